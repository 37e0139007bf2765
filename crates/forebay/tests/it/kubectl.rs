//! kubectl as it is, of every version that lies on this machine: what it creates, in JSON or in protobuf, and what it explains.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use testkit::Platform;

use crate::{FOREBAY, folder};

/// kubectl, and those of other versions that lie beside it as `kubectl.1.27`.
fn every_kubectl() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|path| path.exists());
    let Some(found) = found.and_then(|path| path.canonicalize().ok()) else {
        eprintln!("skipped: there is no kubectl on this machine");
        return Vec::new();
    };
    let beside = found.parent().unwrap().read_dir().unwrap().flatten().map(|entry| entry.path());
    let is_versioned = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kubectl.1."))
    };
    let mut all: Vec<PathBuf> = beside.filter(is_versioned).collect();
    all.sort();
    all.push(found);
    all
}

fn run(kubectl: &Path, platform: &Platform, arguments: &[&str]) -> Output {
    Command::new(kubectl)
        .args(arguments)
        .env("KUBECONFIG", platform.state_dir().join("kubeconfig"))
        .env("HOME", platform.state_dir().join("home").join(kubectl.file_name().unwrap()))
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn every_kubectl_creates_applies_and_explains() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {a: b}}\n- {apiVersion: v1, kind: Secret, metadata: {name: two}, stringData: {a: b}}\n";
    let wrong =
        "apiVersion: v1\nkind: Service\nmetadata: {name: wrong}\nspec:\n  prots: []\n  ports: [{port: 80}]\n";
    let start = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: start}\n";
    let folder = folder(&[("list.yaml", list), ("wrong.yaml", wrong), ("start.yaml", start)]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let platform = Platform::start(FOREBAY, &[&path("start.yaml")]);
    for (index, kubectl) in every_kubectl().iter().enumerate() {
        let namespace = format!("n{index}");
        let told = |arguments: &[&str]| {
            let arguments = [&["-n", &namespace], arguments].concat();
            let output = run(kubectl, &platform, &arguments);
            (output.status.success(), text(&output))
        };
        let ok = |arguments: &str, expected: &str| {
            let (is_good, said) = told(&arguments.split(' ').collect::<Vec<_>>());
            assert!(is_good && said.contains(expected), "{} {arguments}: {said}", kubectl.display());
        };
        ok(&format!("create namespace {namespace}"), "created");
        ok("create deployment web --image=nginx --replicas=0", "deployment.apps/web created");
        ok("create service clusterip web --tcp=80:8080", "service/web created");
        ok("create ingress web --rule=a.example.com/*=web:80", "ingress.networking.k8s.io/web created");
        ok("create role r --verb=get --resource=pods", "role.rbac.authorization.k8s.io/r created");
        ok("create rolebinding r --role=r --user=u", "rolebinding.rbac.authorization.k8s.io/r created");
        ok("create quota q --hard=pods=5", "resourcequota/q created");
        ok("create pdb b --selector=a=b --min-available=1", "poddisruptionbudget.policy/b created");
        ok("get deployment web -o jsonpath={.spec.replicas}", "0");
        for server_side in ["--server-side=false", "--server-side=true --force-conflicts"] {
            ok(&format!("apply -f {} {server_side}", path("list.yaml")), "secret/two");
        }
        let (is_good, said) = told(&["apply", "-f", &path("wrong.yaml")]);
        assert!(!is_good && said.contains("unknown field \"spec.prots\""), "{said}");
        ok("explain pod", "Containers that run together on one node.");
        ok("explain deployment.spec.strategy", "rollingUpdate");
        ok("explain pod.spec.containers --recursive", "livenessProbe");
        ok("explain isvc.spec.predictor", "Predicts with a model");
        ok("explain hpa --api-version=autoscaling/v2", "VERSION:    v2");
        ok("explain pod.spec --output=plaintext-openapiv2", "terminationGracePeriodSeconds");
    }
}
