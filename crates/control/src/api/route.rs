//! Paths: what each of them names.

use std::borrow::Cow;

use manifest::{Kind, Kinds};

use super::questions::{QUESTIONS, Question};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/healthz`, `/livez`, `/readyz`
    Health,
    /// `/`
    Root,
    /// `/metrics`
    Metrics,
    /// `/version`
    Version,
    /// `/api`, `/apis`
    Groups { is_core: bool },
    /// `/apis/apps`
    Group(&'static str),
    /// `/api/v1`, `/apis/apps/v1`
    GroupVersion { group: &'static str, version: &'static str },
    /// `/openapi/v3`
    OpenApi,
    /// `/openapi/v2`
    OpenApiV2,
    /// `/openapi/v3/apis/apps/v1`
    OpenApiOf { group: &'static str, version: &'static str },
    /// `/api/v1/services`, `/api/v1/namespaces/mlops/services`
    Collection { kind: &'static Kind, namespace: Option<String> },
    /// `/api/v1/watch/services`, of old clients
    Watch { kind: &'static Kind, namespace: Option<String> },
    /// `/api/v1/watch/namespaces/mlops/services/api`, of old clients
    WatchOne(ObjectRoute),
    /// `/api/v1/namespaces/mlops/services/api`
    Object(ObjectRoute),
    /// `/apis/authorization.k8s.io/v1/selfsubjectaccessreviews`; namespace and name may be empty
    Question { question: &'static Question, namespace: String, name: String },
    /// `/api/v1/namespaces/mlops/services/api:80/proxy/metrics`, with the path within
    Proxy { object: ObjectRoute, path: String },
    /// `/apis/apps/v1/namespaces/mlops/deployments/api/scale`
    Subresource(ObjectRoute, Subresource),
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectRoute {
    pub(super) kind: &'static Kind,
    /// Empty for kinds without namespaces.
    pub(super) namespace: String,
    pub(super) name: String,
}

/// A part of an object, or something about it, with a path of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subresource {
    Status,
    Scale,
    Log,
    Exec,
    Attach,
    PortForward,
    Eviction,
    Token,
    EphemeralContainers,
    Resize,
    Finalize,
}

/// The names of subresources. Which of them a kind has is said in the registry of kinds.
const SUBRESOURCES: &[(&str, Subresource)] = &[
    ("status", Subresource::Status),
    ("scale", Subresource::Scale),
    ("log", Subresource::Log),
    ("exec", Subresource::Exec),
    ("attach", Subresource::Attach),
    ("portforward", Subresource::PortForward),
    ("eviction", Subresource::Eviction),
    ("token", Subresource::Token),
    ("ephemeralcontainers", Subresource::EphemeralContainers),
    ("resize", Subresource::Resize),
    ("finalize", Subresource::Finalize),
];

// === impl Route ===

impl Route {
    /// What a path names among the kinds that there are; `None` for nothing.
    pub(super) fn parse(path: &str, kinds: &Kinds) -> Option<Self> {
        if let Some(proxy) = Self::proxy(path) {
            return Some(proxy);
        }
        let segments = path.strip_prefix('/')?.trim_end_matches('/').split('/');
        let segments = segments.map(decoded).collect::<Option<Vec<Cow<'_, str>>>>()?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match *segments.as_slice() {
            [""] => Some(Self::Root),
            ["healthz" | "livez" | "readyz"] => Some(Self::Health),
            ["metrics"] => Some(Self::Metrics),
            ["version"] => Some(Self::Version),
            ["api"] => Some(Self::Groups { is_core: true }),
            ["apis"] => Some(Self::Groups { is_core: false }),
            ["apis", group] => Some(Self::Group(known_group(group, kinds)?)),
            ["openapi", "v2"] => Some(Self::OpenApiV2),
            ["openapi", "v3"] => Some(Self::OpenApi),
            ["openapi", "v3", ref rest @ ..] => {
                if let ["apis", group, version] = *rest
                    && let Some(question) = questions(group, version).next()
                {
                    return Some(Self::OpenApiOf { group: question.group, version: question.version });
                }
                let (kind, []) = group_version(rest, kinds)? else { return None };
                Some(Self::OpenApiOf { group: kind.group, version: kind.version })
            }
            ["apis", group, version, ref rest @ ..] if questions(group, version).next().is_some() => {
                Self::question(group, version, rest)
            }
            ref segments => {
                let (kind, rest) = group_version(segments, kinds)?;
                let ["watch", watched @ ..] = rest else { return Self::within(kind, rest, kinds) };
                match Self::within(kind, watched, kinds)? {
                    Self::Collection { kind, namespace } => Some(Self::Watch { kind, namespace }),
                    Self::Object(object) => Some(Self::WatchOne(object)),
                    _ => None,
                }
            }
        }
    }

    /// The kind that a path is about as a whole, not a part of one of its objects.
    pub(super) fn kind(&self) -> Option<&'static Kind> {
        match self {
            Self::Collection { kind, .. } | Self::Watch { kind, .. } => Some(kind),
            Self::Object(object) | Self::WatchOne(object) => Some(object.kind),
            _ => None,
        }
    }

    /// The kind that a path is about, or about a part of one of its objects.
    pub(super) fn served(&self) -> Option<&'static Kind> {
        match self {
            Self::Subresource(object, _) | Self::Proxy { object, .. } => Some(object.kind),
            other => other.kind(),
        }
    }

    /// What is passed on, and with which path, as it is written.
    fn proxy(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/api/v1/")?;
        // The words before may be names of objects, too.
        let n_before = if rest.starts_with("nodes/") { 2 } else { 4 };
        let segments: Vec<&str> = rest.splitn(n_before + 2, '/').collect();
        let (before, after) = segments.split_at_checked(n_before)?;
        let ("proxy", after) = after.split_first().map(|(proxy, after)| (*proxy, after))? else {
            return None;
        };
        let (namespace, plural, name) = match *before {
            ["namespaces", namespace, plural @ ("pods" | "services"), name] => (namespace, plural, name),
            [plural @ "nodes", name] => ("", plural, name),
            _ => return None,
        };
        let kind = manifest::kind_named(plural)?;
        let (namespace, name) = (decoded(namespace)?.into_owned(), decoded(name)?.into_owned());
        let path = format!("/{}", after.first().copied().unwrap_or_default());
        Some(Self::Proxy { object: ObjectRoute { kind, namespace, name }, path })
    }

    /// What the rest of a path names in a group and version of questions.
    fn question(group: &str, version: &str, rest: &[&str]) -> Option<Self> {
        let (namespace, plural, name) = match *rest {
            [] => {
                let question = questions(group, version).next()?;
                return Some(Self::GroupVersion { group: question.group, version: question.version });
            }
            ["namespaces", namespace, plural] => (namespace, plural, ""),
            ["namespaces", namespace, plural, name] => (namespace, plural, name),
            [plural] => ("", plural, ""),
            [plural, name] => ("", plural, name),
            _ => return None,
        };
        let question = questions(group, version).find(|question| question.plural == plural)?;
        let may_be_everywhere =
            !question.is_namespaced || (name.is_empty() && question.verbs.contains(&"list"));
        let is_place = if namespace.is_empty() { may_be_everywhere } else { question.is_namespaced };
        let is_one = name.is_empty() || question.verbs.contains(&"get");
        (is_place && is_one).then(|| Self::Question {
            question,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// What the rest of a path names in the group and version of a kind.
    fn within(of_version: &'static Kind, rest: &[&str], kinds: &Kinds) -> Option<Self> {
        let (group, version) = (of_version.group, of_version.version);
        let kind = |plural: &str, is_namespaced: bool| {
            let is_meant = |kind: &&'static Kind| {
                (kind.group, kind.version, kind.plural) == (group, version, plural)
                    && (kind.is_namespaced || !is_namespaced)
            };
            kinds.all().find(is_meant)
        };
        let object = |kind: &'static Kind, namespace: &str, name: &str| ObjectRoute {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        match *rest {
            [] => Some(Self::GroupVersion { group, version }),
            // A namespace is an object, and the place of others.
            ["namespaces", namespace, plural] if kind(plural, true).is_some() => {
                Some(Self::Collection { kind: kind(plural, true)?, namespace: Some(namespace.to_owned()) })
            }
            ["namespaces", namespace, plural, name] => {
                Some(Self::Object(object(kind(plural, true)?, namespace, name)))
            }
            ["namespaces", namespace, plural, name, subresource] => {
                let kind = kind(plural, true)?;
                Some(Self::Subresource(object(kind, namespace, name), Subresource::named(subresource, kind)?))
            }
            [plural] => Some(Self::Collection { kind: kind(plural, false)?, namespace: None }),
            [plural, name] => {
                let kind = kind(plural, false).filter(|kind| !kind.is_namespaced)?;
                Some(Self::Object(object(kind, "", name)))
            }
            [plural, name, subresource] => {
                let kind = kind(plural, false).filter(|kind| !kind.is_namespaced)?;
                Some(Self::Subresource(object(kind, "", name), Subresource::named(subresource, kind)?))
            }
            _ => None,
        }
    }
}

/// The questions of a group and version.
fn questions(group: &str, version: &str) -> impl Iterator<Item = &'static Question> {
    QUESTIONS.iter().filter(move |question| (question.group, question.version) == (group, version))
}

/// A group that has kinds, objects of which are kept or not.
fn known_group(group: &str, kinds: &Kinds) -> Option<&'static str> {
    let mut groups =
        kinds.all().map(|kind| kind.group).chain(QUESTIONS.iter().map(|question| question.group));
    groups.find(|known| !group.is_empty() && *known == group)
}

/// Any kind of the group and version at the start of a path, and what comes after.
fn group_version<'a, 'b>(segments: &'a [&'b str], kinds: &Kinds) -> Option<(&'static Kind, &'a [&'b str])> {
    let ((group, version), rest) = match segments {
        ["api", version, rest @ ..] => (("", *version), rest),
        ["apis", group, version, rest @ ..] if !group.is_empty() => ((*group, *version), rest),
        _ => return None,
    };
    Some((kinds.all().find(|kind| (kind.group, kind.version) == (group, version))?, rest))
}

/// A segment without its percent signs.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    super::parameters::decoded(segment, false)
}

// === impl Subresource ===

impl Subresource {
    fn named(name: &str, kind: &Kind) -> Option<Self> {
        Self::of(kind).find(|(known, _)| *known == name).map(|(_, found)| found)
    }

    /// What it is called in paths.
    pub(super) fn name(self) -> &'static str {
        SUBRESOURCES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| *name)
    }

    /// The subresources of a kind, with their names.
    pub(super) fn of(kind: &Kind) -> impl Iterator<Item = (&'static str, Self)> {
        let known = |name: &&'static str| SUBRESOURCES.iter().find(|(known, _)| known == name).copied();
        kind.subresources.iter().filter_map(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(path: &str, expected: &Expect) {
        let told = match Route::parse(path, &Kinds::default()) {
            None => "nothing".to_owned(),
            Some(Route::Collection { kind, namespace }) => format!("{} in {namespace:?}", kind.plural),
            Some(Route::Watch { kind, namespace }) => format!("watch {} in {namespace:?}", kind.plural),
            Some(Route::WatchOne(object)) => format!("watch {}", told(&object)),
            Some(Route::Object(object)) => told(&object),
            Some(Route::Subresource(object, subresource)) => format!("{subresource:?} of {}", told(&object)),
            Some(other) => format!("{other:?}"),
        };
        expected.assert_eq(&told);
    }

    fn told(object: &ObjectRoute) -> String {
        format!("{} {}/{}", object.kind.plural, object.namespace, object.name)
    }

    #[test]
    fn paths_name_collections_and_objects() {
        check("/api/v1/services", &expect!["services in None"]);
        check("/api/v1/namespaces/mlops/services", &expect![[r#"services in Some("mlops")"#]]);
        check("/api/v1/namespaces/mlops/services/api", &expect!["services mlops/api"]);
        check("/api/v1/namespaces/mlops/services/api/status", &expect!["Status of services mlops/api"]);
        check("/api/v1/watch/services", &expect!["watch services in None"]);
        check("/api/v1/watch/namespaces/mlops/services/api", &expect!["watch services mlops/api"]);
        check("/api/v1/namespaces", &expect!["namespaces in None"]);
        check("/api/v1/namespaces/mlops", &expect!["namespaces /mlops"]);
        check("/api/v1/namespaces/mlops/status", &expect!["Status of namespaces /mlops"]);
        check("/api/v1/namespaces/mlops/pods/a/log", &expect!["Log of pods mlops/a"]);
        check("/apis/apps/v1/namespaces/mlops/deployments/a/scale", &expect!["Scale of deployments mlops/a"]);
        check(
            "/apis/serving.kserve.io/v1beta1/namespaces/a/inferenceservices",
            &expect![[r#"inferenceservices in Some("a")"#]],
        );
        check("/apis/networking.k8s.io/v1/ingressclasses/alb", &expect!["ingressclasses /alb"]);
        check(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aadmin",
            &expect!["clusterroles /system:admin"],
        );
    }

    #[test]
    fn paths_name_what_there_is() {
        check("/", &expect!["Root"]);
        check("/readyz", &expect!["Health"]);
        check("/version/", &expect!["Version"]);
        check("/api", &expect!["Groups { is_core: true }"]);
        check("/apis", &expect!["Groups { is_core: false }"]);
        check("/apis/apps", &expect![[r#"Group("apps")"#]]);
        check("/api/v1", &expect![[r#"GroupVersion { group: "", version: "v1" }"#]]);
        check("/apis/apps/v1", &expect![[r#"GroupVersion { group: "apps", version: "v1" }"#]]);
        check("/openapi/v2", &expect!["OpenApiV2"]);
        check("/openapi/v3", &expect!["OpenApi"]);
        check("/openapi/v3/api/v1", &expect![[r#"OpenApiOf { group: "", version: "v1" }"#]]);
        check("/openapi/v3/apis/apps/v1", &expect![[r#"OpenApiOf { group: "apps", version: "v1" }"#]]);
    }

    #[test]
    fn what_is_passed_on_may_be_called_proxy() {
        for (path, expected) in [
            (
                "/api/v1/namespaces/a/services/proxy-b:80/proxy/c/proxy/d?",
                "services a/proxy-b:80 /c/proxy/d?",
            ),
            ("/api/v1/namespaces/proxy/pods/proxy/proxy", "pods proxy/proxy /"),
            ("/api/v1/nodes/proxy/proxy/metrics", "nodes /proxy /metrics"),
        ] {
            let Some(Route::Proxy { object, path: within }) = Route::parse(path, &Kinds::default()) else {
                panic!("{path}")
            };
            assert_eq!(format!("{} {within}", told(&object)), expected);
        }
    }

    #[test]
    fn every_subresource_of_every_kind_is_one() {
        for kind in manifest::KINDS {
            assert_eq!(Subresource::of(kind).count(), kind.subresources.len(), "{kind:?}");
        }
    }

    #[test]
    fn other_paths_name_nothing() {
        for path in [
            "",
            "/x",
            "/api/v2",
            "/apis/apps/v2/deployments",
            "/apis//v1/pods",
            "/api/v1/deployments",
            "/api/v1/nobodies",
            "/api/v1/services/api",
            "/api/v1/namespaces/a/nodes",
            "/api/v1/namespaces/a/services/b/scale",
            "/api/v1/namespaces/a/pods/b/log/c",
            "/api/v1/namespaces/%zz",
            "/openapi/v3/apis/apps/v1/x",
            "/apis/authorization.k8s.io/v1/localsubjectaccessreviews",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/a",
            "/apis/authorization.k8s.io/v2/selfsubjectaccessreviews",
            "/api/v1/watch",
            "/api/v1/watch/namespaces/a/pods/b/log",
        ] {
            assert_eq!(Route::parse(path, &Kinds::default()), None, "{path}");
        }
    }
}
