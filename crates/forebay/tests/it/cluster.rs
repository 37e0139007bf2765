//! What a cluster does besides running pods: Services answer where they are, quotas hold for the pods of controllers, and the
//! control loop has a log.

use std::net::{IpAddr, SocketAddr};

use testkit::{Platform, Request, wait_until};

use crate::objects::{kubectl, run_kubectl};
use crate::{FOREBAY, folder, project};

/// A Deployment and its Service.
fn manifest(service: &str, replicas: u32) -> String {
    let model = project("examples/iris/model");
    format!(
        "\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: good}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: good}}}}
  template:
    metadata: {{labels: {{app: good}}}}
    spec: {{containers: [{{name: main, image: forebay, args: [serve, '{model}'], ports: [{{name: http, containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: good}}
spec: {{selector: {{app: good}}, ports: [{{port: 8000, targetPort: http}}], {service}}}
"
    )
}

fn platform(text: &str) -> (Platform, tempfile::TempDir) {
    let folder = folder(&[("all.yaml", text)]);
    (Platform::start(FOREBAY, &[&folder.path().display().to_string()]), folder)
}

#[test]
fn a_service_answers_at_its_cluster_ip_and_at_its_node_port() {
    let (platform, _folder) = platform(&manifest("type: NodePort", 1));
    let of_service = |path: &str| platform.ok(&["get", "svc", "good", "-o", &format!("jsonpath={{{path}}}")]);
    let cluster_ip: IpAddr = of_service(".spec.clusterIP").parse().unwrap();
    let node_port = of_service(".spec.ports[0].nodePort").parse().unwrap();
    assert!(cluster_ip.is_loopback(), "{cluster_ip}");
    for address in [SocketAddr::new(cluster_ip, 8000), SocketAddr::from(([127, 0, 0, 1], node_port))] {
        wait_until("the Service answers", || std::net::TcpStream::connect(address).is_ok());
        assert_eq!(Request::get(address, "/healthz").send().status, 200, "{address}");
    }
    // It is no load balancer.
    let endpoints =
        platform.ok(&["get", "endpoints", "kubernetes", "-o", "jsonpath={.subsets[0].addresses[0].ip}"]);
    assert_eq!(endpoints, "127.0.0.1");
    let targets = platform.run(&["targets"]);
    assert!(String::from_utf8_lossy(&targets.stderr).contains("there is no load balancer"), "{targets:?}");
}

#[test]
fn pods_of_a_deployment_are_held_to_a_quota_and_it_says_so() {
    let quota =
        "---\napiVersion: v1\nkind: ResourceQuota\nmetadata: {name: few}\nspec: {hard: {pods: '1'}}\n";
    let (platform, _folder) = platform(&[manifest("type: ClusterIP", 1), quota.to_owned()].concat());
    let _ = platform.ok(&["scale", "deploy/good", "--replicas=2"]);
    let path = "jsonpath={.status.conditions[?(@.type==\"ReplicaFailure\")].message}";
    platform.wait_for(
        "the Deployment says why it has one replica",
        &["get", "deploy", "good", "-o", path],
        |text| text.contains("exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1"),
    );
    let used = platform.ok(&["get", "quota", "few", "-o", "jsonpath={.status.used.pods}"]);
    assert_eq!(used, "1");
    let events = platform.ok(&["get", "events", "-o", "json"]);
    assert!(events.contains("FailedCreate"), "{events}");
    let _ = platform.ok(&["delete", "quota", "few"]);
    platform.wait_for(
        "the second replica runs",
        &["get", "deploy", "good", "-o", "jsonpath={.status.readyReplicas}"],
        |it| it == "2",
    );
}

#[test]
fn acc_s1_44_acc_s3_109_the_control_loop_has_a_log_and_is_not_edited() {
    let Some(kubectl) = kubectl() else { return };
    let (platform, _folder) = platform(&manifest("type: LoadBalancer", 1));
    let run = |arguments: &[&str]| {
        let output = run_kubectl(&kubectl, &platform, arguments);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    for whose in [
        &["deploy/aws-load-balancer-controller"][..],
        &["-l", "app.kubernetes.io/name=aws-load-balancer-controller", "--tail=-1"],
    ] {
        let mut log = String::new();
        wait_until("the log says what was made", || {
            log = run(&[&["logs", "-n", "kube-system"], whose].concat());
            log.contains(r#""msg":"successfully deployed model","service":"default/good""#)
        });
        assert!(log.lines().all(|line| line.starts_with(r#"{"level":"#)), "{log}");
    }
    let refused = run(&["scale", "-n", "kube-system", "deploy/aws-load-balancer-controller", "--replicas=2"]);
    assert!(refused.contains("stands for the control loop"), "{refused}");
}

#[test]
fn a_claim_is_a_folder_and_a_model_in_it_is_served() {
    let claim = "\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";
    let (platform, folder) = platform(claim);
    let path = "jsonpath={.status.phase} {.spec.volumeName}";
    platform.wait_for("the claim has a volume", &["get", "pvc", "models", "-o", path], |it| {
        it.starts_with("Bound pvc-")
    });
    let phase = platform.ok(&["get", "pvc", "models", "-o", path]);
    let volume = phase.split_whitespace().nth(1).unwrap();
    let place = platform.ok(&["get", "pv", volume, "-o", "jsonpath={.spec.local.path}"]);
    std::fs::create_dir(format!("{place}/iris")).unwrap();
    for entry in std::fs::read_dir(project("examples/iris/model")).unwrap().flatten() {
        std::fs::copy(entry.path(), format!("{place}/iris/{}", entry.file_name().display())).unwrap();
    }
    let service = "\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: iris}
spec: {predictor: {model: {modelFormat: {name: sklearn}, storageUri: 'pvc://models/iris'}}}
";
    let file = folder.path().join("service.yaml");
    std::fs::write(&file, service).unwrap();
    let _ = platform.ok(&["apply", "-f", &file.display().to_string()]);
    let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    platform.wait_for("the model is served", &["get", "isvc", "iris", "-o", ready], |it| it == "True");
}
