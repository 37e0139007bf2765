//! What the Pod Security Standards of 1.33 look at: a row each, in the order in which they are told.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{containers, items, text};
use super::{Level, Policy};

/// One thing that is looked at.
struct Check {
    level: Level,
    /// The first minor version that has it.
    since: u32,
    /// What it is called where a pod is refused for it.
    reason: &'static str,
    /// What is wrong with a pod.
    find: fn(pod: &Pod<'_>) -> Option<String>,
    /// Whether pods of Windows are not held to it.
    is_of_linux: bool,
    /// Since which minor version the restricted level has another in its place.
    replaced_since: u32,
}

/// A pod, or what one will be made of.
struct Pod<'a> {
    metadata: &'a Value,
    spec: &'a Value,
    minor: u32,
}

const BASE: Check = Check {
    level: Level::Baseline,
    since: 0,
    reason: "",
    find: |_| None,
    is_of_linux: false,
    replaced_since: u32::MAX,
};
const LINUX: Check = Check { level: Level::Restricted, is_of_linux: true, ..BASE };

const CHECKS: &[Check] = &[
    Check { reason: "forbidden AppArmor profile", find: app_armor, ..BASE },
    Check { reason: "non-default capabilities", find: capabilities, replaced_since: 22, ..BASE },
    Check { reason: "host namespaces", find: host_namespaces, ..BASE },
    Check { reason: "hostPath volumes", find: host_path_volumes, replaced_since: 0, ..BASE },
    Check { reason: "hostPort", find: host_ports, ..BASE },
    Check { reason: "privileged", find: privileged, ..BASE },
    Check { reason: "procMount", find: proc_mount, ..BASE },
    Check { reason: "seLinuxOptions", find: se_linux_options, ..BASE },
    Check { reason: "seccompProfile", find: seccomp, since: 19, replaced_since: 19, ..BASE },
    Check { reason: "forbidden sysctls", find: sysctls, ..BASE },
    Check { reason: "hostProcess", find: host_process, ..BASE },
    Check { reason: "allowPrivilegeEscalation != false", find: privilege_escalation, since: 8, ..LINUX },
    Check { reason: "unrestricted capabilities", find: all_capabilities, since: 22, ..LINUX },
    Check { reason: "restricted volume types", find: volume_types, is_of_linux: false, ..LINUX },
    Check { reason: "runAsNonRoot != true", find: non_root, is_of_linux: false, ..LINUX },
    Check { reason: "runAsUser=0", find: user, since: 23, is_of_linux: false, ..LINUX },
    Check { reason: "seccompProfile", find: seccomp_said, since: 19, ..LINUX },
];

/// The version that pods are held to where none is said.
const LATEST: u32 = 33;
/// Since when pods may say that they are of Windows.
const WINDOWS_SINCE: u32 = 25;
const CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// What kernel settings a pod may change, with the version since which it may.
const SYSCTLS: &[(&str, u32)] = &[
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];
const VOLUMES: &[&str] = &[
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// What is wrong with a pod: `privileged (container "a" must not set securityContext.privileged=true), hostPort (…)`.
pub(super) fn violations(policy: Policy, metadata: &Value, spec: &Value) -> Option<String> {
    let minor = policy.minor.unwrap_or(LATEST);
    let pod = Pod { metadata, spec, minor };
    let is_restricted = policy.level == Level::Restricted;
    let is_of_windows = minor >= WINDOWS_SINCE && spec["os"]["name"] == "windows";
    let checks = CHECKS.iter().filter(|check| {
        let is_replaced = is_restricted && minor >= check.replaced_since;
        let is_had = minor >= check.since && !(check.is_of_linux && is_of_windows);
        check.level <= policy.level && is_had && !is_replaced
    });
    let found = checks.filter_map(|check| Some(format!("{}{}", check.reason, (check.find)(&pod)?)));
    let found: Vec<String> = found.collect();
    (!found.is_empty()).then(|| found.join(", "))
}

// --- what is said of it ---

/// ` (what)`
fn told(what: impl AsRef<str>) -> Option<String> {
    Some(format!(" ({})", what.as_ref()))
}

fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// `container "a"`, `containers "a", "b"`
fn named(names: &[&str]) -> String {
    format!("{} {}", plural(names.len(), "container", "containers"), quoted(names.iter().copied()))
}

fn plural<'a>(count: usize, one: &'a str, several: &'a str) -> &'a str {
    if count == 1 { one } else { several }
}

/// The containers for which something holds.
fn those<'a>(pod: &Pod<'a>, holds: impl Fn(&'a Value) -> bool) -> Vec<&'a str> {
    containers(pod.spec).filter(|it| holds(it)).map(|container| text(container, "name")).collect()
}

fn context(of: &Value) -> &Value {
    &of["securityContext"]
}

/// `pod and containers "a", "b"`: whoever says something bad.
fn setters(pod: &Pod<'_>, is_bad: impl Fn(&Value) -> bool) -> Option<String> {
    let mut setters = Vec::new();
    if is_bad(context(pod.spec)) {
        setters.push("pod".to_owned());
    }
    let bad = those(pod, |container| is_bad(context(container)));
    if !bad.is_empty() {
        setters.push(named(&bad));
    }
    (!setters.is_empty()).then(|| setters.join(" and "))
}

/// The bad ones among values that the pod and its containers say.
fn values<'a>(pod: &Pod<'a>, value: impl Fn(&'a Value) -> Option<&'a str>) -> BTreeSet<&'a str> {
    let contexts = std::iter::once(context(pod.spec)).chain(containers(pod.spec).map(context));
    contexts.filter_map(value).collect()
}

// --- baseline ---

fn app_armor(pod: &Pod<'_>) -> Option<String> {
    const KEY: &str = "container.apparmor.security.beta.kubernetes.io/";
    let is_bad = |it: &Value| {
        let kind = &it["appArmorProfile"]["type"];
        !kind.is_null() && kind != "RuntimeDefault" && kind != "Localhost"
    };
    let is_free = |profile: &str| {
        profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/")
    };
    let annotations = pod.metadata["annotations"].as_object().into_iter().flatten();
    let annotations: Vec<String> = annotations
        .filter(|(key, value)| key.starts_with(KEY) && !value.as_str().is_some_and(is_free))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let mut setters: Vec<String> = setters(pod, is_bad).into_iter().collect();
    if !annotations.is_empty() {
        setters.push(plural(annotations.len(), "annotation", "annotations").to_owned());
    }
    if setters.is_empty() {
        return None;
    }
    let kinds = values(pod, |it| it["appArmorProfile"]["type"].as_str().filter(|_| is_bad(it)));
    let bad: Vec<&str> = kinds.into_iter().chain(annotations.iter().map(String::as_str)).collect();
    // The reason is in the plural of what was found.
    let ending = plural(bad.len(), "", "s");
    let setters = setters.join(" and ");
    Some(format!("{ending} ({setters} must not set AppArmor profile type to {})", quoted(bad)))
}

/// What containers add that they may not.
fn added<'a>(pod: &Pod<'a>, allowed: &[&str]) -> (Vec<&'a str>, BTreeSet<&'a str>) {
    let forbidden = |container: &'a Value| {
        let added = items(&context(container)["capabilities"]["add"]).filter_map(Value::as_str);
        added.filter(|capability| !allowed.contains(capability))
    };
    let names = those(pod, |container| forbidden(container).next().is_some());
    (names, containers(pod.spec).flat_map(forbidden).collect())
}

fn capabilities(pod: &Pod<'_>) -> Option<String> {
    let (names, added) = added(pod, CAPABILITIES);
    if names.is_empty() {
        return None;
    }
    told(format!("{} must not include {} in securityContext.capabilities.add", named(&names), quoted(added)))
}

fn host_namespaces(pod: &Pod<'_>) -> Option<String> {
    let used = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|field| pod.spec[*field] == true);
    let used: Vec<String> = used.map(|field| format!("{field}=true")).collect();
    if used.is_empty() { None } else { told(used.join(", ")) }
}

fn host_path_volumes(pod: &Pod<'_>) -> Option<String> {
    let volumes = items(&pod.spec["volumes"]).filter(|volume| !volume["hostPath"].is_null());
    let names: Vec<&str> = volumes.map(|volume| text(volume, "name")).collect();
    if names.is_empty() {
        return None;
    }
    told(format!("{} {}", plural(names.len(), "volume", "volumes"), quoted(names)))
}

fn host_ports(pod: &Pod<'_>) -> Option<String> {
    let ports = |container: &Value| -> Vec<u64> {
        let ports = items(&container["ports"]).filter_map(|port| port["hostPort"].as_u64());
        ports.filter(|port| *port != 0).collect()
    };
    let names = those(pod, |container| !ports(container).is_empty());
    if names.is_empty() {
        return None;
    }
    let all: BTreeSet<String> = containers(pod.spec).flat_map(ports).map(|port| port.to_string()).collect();
    told(format!(
        "{} {} {} {}",
        named(&names),
        plural(names.len(), "uses", "use"),
        plural(all.len(), "hostPort", "hostPorts"),
        all.into_iter().collect::<Vec<_>>().join(", ")
    ))
}

fn privileged(pod: &Pod<'_>) -> Option<String> {
    let names = those(pod, |container| context(container)["privileged"] == true);
    if names.is_empty() {
        return None;
    }
    told(format!("{} must not set securityContext.privileged=true", named(&names)))
}

fn proc_mount(pod: &Pod<'_>) -> Option<String> {
    let other =
        |container: &'_ Value| context(container)["procMount"].as_str().is_some_and(|it| it != "Default");
    let names = those(pod, other);
    if names.is_empty() {
        return None;
    }
    let kinds = values(pod, |it| it["procMount"].as_str().filter(|kind| *kind != "Default"));
    told(format!("{} must not set securityContext.procMount to {}", named(&names), quoted(kinds)))
}

fn se_linux_options(pod: &Pod<'_>) -> Option<String> {
    const TYPES: &[&str] = &["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
    let bad_type = |it: &'_ Value| !TYPES.contains(&text(&it["seLinuxOptions"], "type"));
    let says = |it: &Value, field: &str| !text(&it["seLinuxOptions"], field).is_empty();
    let setters = setters(pod, |it| bad_type(it) || says(it, "user") || says(it, "role"))?;
    let types = values(pod, |it| it["seLinuxOptions"]["type"].as_str().filter(|_| bad_type(it)));
    let mut what = Vec::new();
    if !types.is_empty() {
        what.push(format!("{} {}", plural(types.len(), "type", "types"), quoted(types)));
    }
    for field in ["user", "role"] {
        if self::setters(pod, |it| says(it, field)).is_some() {
            what.push(format!("{field} may not be set"));
        }
    }
    told(format!("{setters} set forbidden securityContext.seLinuxOptions: {}", what.join("; ")))
}

fn sysctls(pod: &Pod<'_>) -> Option<String> {
    let is_safe = |name: &str| SYSCTLS.iter().any(|(known, since)| *known == name && pod.minor >= *since);
    let names = items(&context(pod.spec)["sysctls"]).map(|sysctl| text(sysctl, "name"));
    let names: Vec<&str> = names.filter(|name| !is_safe(name)).collect();
    if names.is_empty() { None } else { told(names.join(", ")) }
}

fn host_process(pod: &Pod<'_>) -> Option<String> {
    let setters = setters(pod, |it| it["windowsOptions"]["hostProcess"] == true)?;
    told(format!("{setters} must not set securityContext.windowsOptions.hostProcess=true"))
}

fn is_bad_profile(context: &Value) -> bool {
    let profile = &context["seccompProfile"];
    profile.is_object() && !["RuntimeDefault", "Localhost"].contains(&text(profile, "type"))
}

fn seccomp(pod: &Pod<'_>) -> Option<String> {
    let setters = setters(pod, is_bad_profile)?;
    let kinds = values(pod, |it| is_bad_profile(it).then(|| text(&it["seccompProfile"], "type")));
    told(format!("{setters} must not set securityContext.seccompProfile.type to {}", quoted(kinds)))
}

// --- restricted ---

fn privilege_escalation(pod: &Pod<'_>) -> Option<String> {
    let names = those(pod, |container| context(container)["allowPrivilegeEscalation"] != false);
    if names.is_empty() {
        return None;
    }
    told(format!("{} must set securityContext.allowPrivilegeEscalation=false", named(&names)))
}

fn all_capabilities(pod: &Pod<'_>) -> Option<String> {
    let drops_all =
        |container: &Value| items(&context(container)["capabilities"]["drop"]).any(|it| it == "ALL");
    let missing = those(pod, |container| !drops_all(container));
    let (adding, added) = added(pod, &["NET_BIND_SERVICE"]);
    let mut what = Vec::new();
    if !missing.is_empty() {
        what.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", named(&missing)));
    }
    if !adding.is_empty() {
        what.push(format!(
            "{} must not include {} in securityContext.capabilities.add",
            named(&adding),
            quoted(added)
        ));
    }
    if what.is_empty() { None } else { told(what.join("; ")) }
}

fn volume_types(pod: &Pod<'_>) -> Option<String> {
    let kind = |volume: &'_ Value| -> String {
        let mut keys = volume.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        keys.find(|key| *key != "name").unwrap_or_default().to_owned()
    };
    let bad: Vec<(&str, String)> = items(&pod.spec["volumes"])
        .map(|volume| (text(volume, "name"), kind(volume)))
        .filter(|(_, kind)| !VOLUMES.contains(&kind.as_str()))
        .collect();
    if bad.is_empty() {
        return None;
    }
    let kinds: BTreeSet<&str> = bad.iter().map(|(_, kind)| kind.as_str()).collect();
    let n = bad.len();
    told(format!(
        "{} {} {} {} {}",
        plural(n, "volume", "volumes"),
        quoted(bad.iter().map(|(name, _)| *name)),
        plural(n, "uses", "use"),
        plural(kinds.len(), "restricted volume type", "restricted volume types"),
        quoted(kinds)
    ))
}

fn non_root(pod: &Pod<'_>) -> Option<String> {
    if let Some(setters) = setters(pod, |it| it["runAsNonRoot"] == false) {
        return told(format!("{setters} must not set securityContext.runAsNonRoot=false"));
    }
    if context(pod.spec)["runAsNonRoot"] == true {
        return None;
    }
    let silent = those(pod, |container| context(container)["runAsNonRoot"].is_null());
    if silent.is_empty() {
        return None;
    }
    told(format!("pod or {} must set securityContext.runAsNonRoot=true", named(&silent)))
}

fn user(pod: &Pod<'_>) -> Option<String> {
    let setters = setters(pod, |it| it["runAsUser"] == 0)?;
    told(format!("{setters} must not set runAsUser=0"))
}

fn seccomp_said(pod: &Pod<'_>) -> Option<String> {
    if let Some(bad) = seccomp(pod) {
        return Some(bad);
    }
    if context(pod.spec)["seccompProfile"].is_object() {
        return None;
    }
    let silent = those(pod, |container| !context(container)["seccompProfile"].is_object());
    if silent.is_empty() {
        return None;
    }
    told(format!(
        "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
        named(&silent)
    ))
}
