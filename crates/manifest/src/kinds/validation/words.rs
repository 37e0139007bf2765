//! Fields that hold one of a few words. An empty one counts as nothing, and gets its default.

use serde_json::Value;

use super::{PODS, Violation, at, each, rows};

/// A field with the words that it takes, in Kubernetes' order.
type Word = (&'static str, &'static [&'static str]);

const TRANSPORTS: &[&str] = &["SCTP", "TCP", "UDP"];

/// Those of each kind; `[]` stands for every item of a list.
const WORDS: &[(&str, &[Word])] = &[
    (
        "Deployment",
        &[
            ("spec.strategy.type", &["Recreate", "RollingUpdate"]),
            ("spec.template.spec.restartPolicy", &["Always"]),
        ],
    ),
    ("Pod", &[("spec.restartPolicy", &["Always", "OnFailure", "Never"])]),
    (
        "Service",
        &[
            ("spec.type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]),
            ("spec.ports[].protocol", TRANSPORTS),
            ("spec.sessionAffinity", &["ClientIP", "None"]),
            ("spec.externalTrafficPolicy", &["Cluster", "Local"]),
            ("spec.internalTrafficPolicy", &["Cluster", "Local"]),
            ("spec.ipFamilyPolicy", &["PreferDualStack", "RequireDualStack", "SingleStack"]),
            ("spec.ipFamilies[]", &["IPv4", "IPv6"]),
        ],
    ),
    ("Ingress", &[("spec.rules[].http.paths[].pathType", &["Exact", "ImplementationSpecific", "Prefix"])]),
];

/// Those of a pod's spec.
const POD_WORDS: &[Word] = &[
    ("dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]),
    ("containers[].imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("containers[].ports[].protocol", TRANSPORTS),
];

/// Finds every field that holds none of its words.
pub(super) fn check(kind: &str, object: &Value, found: &mut Vec<Violation>) {
    let mut check = |within: &Value, above: &str, (path, words): &Word| {
        each(within, above, path, &mut |field, value| {
            let wrong = value.as_str().filter(|word| !word.is_empty() && !words.contains(word));
            found.extend(wrong.map(|word| Violation::unsupported(field, word, words)));
        });
    };
    rows(WORDS, kind).iter().for_each(|word| check(object, "", word));
    for (_, spec) in PODS.iter().filter(|(of, _)| *of == kind) {
        let Some(pod) = at(object, spec) else { continue };
        POD_WORDS.iter().for_each(|word| check(pod, spec, word));
    }
}
