//! Objects as people name them on the command line: `svc`, `svc api`, `deploy/web`, `svc,pods`, `all`.

use anyhow::bail;
use manifest::{KINDS, Kind, Kinds, Object};

use crate::client::{Client, collection, path, with_query};

/// Objects that somebody names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) kind: &'static Kind,
    /// `None`: all of the kind.
    pub(crate) name: Option<String>,
}

/// Where objects are looked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Scope {
    /// Namespace [default: default]
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,

    /// Only objects with these labels: app=web,tier!=cache
    #[arg(short = 'l', long, value_name = "LABELS", default_value = "", hide_default_value = true)]
    pub(crate) selector: String,
}

/// Reads `KIND [NAME…]`, `KIND,KIND [NAME…]` or `KIND/NAME…`. The platform is asked for kinds that are not known.
pub(crate) async fn parse_for(client: &Client, arguments: &[String]) -> anyhow::Result<Vec<Named>> {
    match parse(arguments) {
        Ok(named) => Ok(named),
        Err(error) => {
            let kinds = Kinds::default().declared_by(client.definitions().await?.iter());
            parse_among(arguments, &kinds).map_err(|_| error)
        }
    }
}

/// The same of the kinds of the program alone.
pub(crate) fn parse(arguments: &[String]) -> anyhow::Result<Vec<Named>> {
    parse_among(arguments, &Kinds::default())
}

fn parse_among(arguments: &[String], all: &Kinds) -> anyhow::Result<Vec<Named>> {
    let Some((first, names)) = arguments.split_first() else {
        bail!("name a kind of object, for example svc, isvc or ingress; or KIND/NAME");
    };
    if arguments.iter().any(|argument| argument.contains('/')) {
        return arguments.iter().map(|argument| kind_and_name(argument, all)).collect();
    }
    let mut named = Vec::new();
    for kind in kinds(first, all)? {
        if names.is_empty() {
            named.push(Named { kind, name: None });
        }
        named.extend(names.iter().map(|name| Named { kind, name: Some(name.clone()) }));
    }
    Ok(named)
}

/// Reads `KIND/NAME`.
fn kind_and_name(argument: &str, all: &Kinds) -> anyhow::Result<Named> {
    match argument.split_once('/') {
        Some((kind, name)) if !name.is_empty() && !name.contains('/') => {
            Ok(Named { kind: known(kind, all)?, name: Some(name.to_owned()) })
        }
        Some(_) => bail!("`{argument}` is not KIND/NAME"),
        None => {
            bail!(
                "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form"
            )
        }
    }
}

fn kinds(written: &str, all: &Kinds) -> anyhow::Result<Vec<&'static Kind>> {
    let mut kinds = Vec::new();
    for name in written.split(',') {
        match name {
            "all" => kinds.extend(control::api::kinds_of_all()),
            name => kinds.push(known(name, all)?),
        }
    }
    Ok(kinds)
}

/// The kind of a name in any of kubectl's spellings.
fn known(name: &str, all: &Kinds) -> anyhow::Result<&'static Kind> {
    let Some(kind) = all.named(name) else {
        let names =
            KINDS.iter().flat_map(|kind| [kind.plural].into_iter().chain(kind.short_names.iter().copied()));
        let near = plan::suggest::nearest(name, names);
        let help = near.map(|near| format!("\n  help: did you mean `{near}`?")).unwrap_or_default();
        bail!("the server doesn't have a resource type \"{name}\"{help}");
    };
    Ok(kind)
}

// === impl Scope ===

impl Scope {
    /// The namespace that is asked for.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }

    /// The namespace of an object of a manifest: what it says itself, or what is asked for; they must not differ.
    pub(crate) fn namespace_of(&self, object: &Object) -> anyhow::Result<String> {
        namespace_of(object, self.namespace.as_deref())
    }
}

/// The namespace of an object of a manifest: what it says itself, or what is asked for; they must not differ.
pub(crate) fn namespace_of(object: &Object, asked: Option<&str>) -> anyhow::Result<String> {
    if !object.kind.is_namespaced {
        return Ok(String::new());
    }
    // Reading fills in a namespace where the manifest has none.
    let source = object.source.as_ref();
    let is_written = source.is_none_or(|source| source.places.contains_key("metadata.namespace"));
    match asked {
        Some(asked) if is_written && asked != object.namespace => {
            let namespace = &object.namespace;
            bail!(
                "the namespace from the provided object \"{namespace}\" does not match the namespace \"{asked}\". You must pass '--namespace={namespace}' to perform this operation."
            )
        }
        Some(asked) => Ok(asked.to_owned()),
        None => Ok(object.namespace.clone()),
    }
}

// === impl Named ===
impl Named {
    /// `service "api"`, as messages have it.
    pub(crate) fn quoted(kind: &Kind, name: &str) -> String {
        format!("{} \"{name}\"", kind.resource())
    }

    /// Where these objects are. `namespace` is `None` for all namespaces.
    pub(crate) fn target(&self, namespace: Option<&str>, selector: &str, field_selector: &str) -> String {
        match (&self.name, namespace) {
            (Some(name), namespace) => path(self.kind, namespace.unwrap_or_default(), name),
            (None, namespace) => {
                let parameters = [("labelSelector", selector), ("fieldSelector", field_selector)];
                with_query(&collection(self.kind, namespace), &parameters)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(arguments: &str, expected: &Expect) {
        let arguments: Vec<String> = arguments.split_whitespace().map(ToOwned::to_owned).collect();
        let said = match parse(&arguments) {
            Ok(named) => {
                let named = named.iter().map(|named| {
                    format!("{}/{}", named.kind.singular(), named.name.as_deref().unwrap_or("*"))
                });
                named.collect::<Vec<_>>().join(" ")
            }
            Err(error) => format!("{error:#}"),
        };
        expected.assert_eq(&said);
    }

    #[test]
    fn objects_are_named_as_for_kubectl() {
        check("svc", &expect!["service/*"]);
        check("svc a b", &expect!["service/a service/b"]);
        check("svc/a isvc/b", &expect!["service/a inferenceservice/b"]);
        check("svc,ing", &expect!["service/* ingress/*"]);
        check("svc,ing a", &expect!["service/a ingress/a"]);
        check("deployments.apps", &expect!["deployment/*"]);
        check(
            "all",
            &expect![
                "pod/* replicationcontroller/* service/* daemonset/* deployment/* replicaset/* statefulset/* horizontalpodautoscaler/* cronjob/* job/* inferenceservice/*"
            ],
        );
    }

    #[test]
    fn what_names_nothing_is_said() {
        check("", &expect!["name a kind of object, for example svc, isvc or ingress; or KIND/NAME"]);
        check(
            "servces",
            &expect![[r#"
                the server doesn't have a resource type "servces"
                  help: did you mean `services`?"#]],
        );
        check("svc/", &expect!["`svc/` is not KIND/NAME"]);
        check("svc/a/b", &expect!["`svc/a/b` is not KIND/NAME"]);
        check(
            "svc a/b",
            &expect![
                "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form"
            ],
        );
    }
}
