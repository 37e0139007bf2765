use expect_test::{Expect, expect};

use super::*;
use crate::{compile, read, render};

/// What the manifests want to run, and what is wrong with it.
#[track_caller]
fn check(manifests: &str, expected: &Expect) {
    let (workloads, findings) = workloads(&objects(manifests));
    let shown = workloads.iter().map(|workload| format!("{}\n", show(workload)));
    let findings = findings.iter().map(|finding| render(finding, false));
    expected.assert_eq(&shown.chain(findings).collect::<String>());
}

fn objects(manifests: &str) -> Objects {
    read("f.yaml", manifests).objects.into_iter().collect()
}

fn show(workload: &Workload) -> String {
    let Workload { owner, replicas, rollout, containers, .. } = workload;
    let containers = containers.iter().map(|container| {
        let Container { name, program, environment, pod_fields, ports, .. } = container;
        let ports: Vec<u16> = ports.iter().map(|port| port.number).collect();
        let limits = (container.cpu_limit, container.memory_limit);
        let probes = [
            ("startup", &container.startup),
            ("readiness", &container.readiness),
            ("liveness", &container.liveness),
        ];
        let probes =
            probes.iter().filter_map(|(name, probe)| Some(format!("\n  {name}: {:?}", probe.as_ref()?)));
        format!(
            "\n {name}: {program:?}\n  {environment:?} {pod_fields:?} {ports:?} {limits:?}{}",
            probes.collect::<String>()
        )
    });
    format!("{owner}: {replicas} {rollout:?}{}", containers.collect::<String>())
}

/// A Deployment with these lines in its pod spec.
fn deployment(spec: &str) -> String {
    let spec = spec.replace('\n', "\n      ");
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: api, namespace: mlops}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: api}}}}
  template:
    metadata: {{labels: {{app: api, tier: web}}, annotations: {{note: x}}}}
    spec:
      {spec}
"
    )
}

#[test]
fn acc_s4_27_and_s4_49_a_deployment_has_nothing_left_to_a_default() {
    let manifests = deployment(
        "containers:
- name: api
  image: example.com/ml/forebay:1.0
  args: [serve, /models/a, --port, '5000']
  ports: [{name: http, containerPort: 5000}]
  resources: {requests: {cpu: 250m}, limits: {cpu: 1000m, memory: 1Gi}}
  startupProbe: {httpGet: {port: http}, failureThreshold: 30, periodSeconds: 1}
  readinessProbe: {httpGet: {path: /health, port: 5000, httpHeaders: [{name: X-A, value: b}]}, successThreshold: 2}
  livenessProbe: {tcpSocket: {port: http}, initialDelaySeconds: 5, timeoutSeconds: 0}",
    );
    check(
        &manifests,
        &expect![[r#"
        Deployment mlops/api: 3 RollingUpdate { max_surge: 1, max_unavailable: 0 }
         api: Forebay { arguments: ["serve", "/models/a", "--port", "5000"] }
          [] [] [5000] (Some(1.0), Some(1073741824))
          startup: Probe { handler: Http { port: 5000, path: "/", headers: [] }, initial_delay: 0ns, period: 1s, timeout: 1s, success_threshold: 1, failure_threshold: 30 }
          readiness: Probe { handler: Http { port: 5000, path: "/health", headers: [("X-A", "b")] }, initial_delay: 0ns, period: 10s, timeout: 1s, success_threshold: 2, failure_threshold: 3 }
          liveness: Probe { handler: Tcp { port: 5000 }, initial_delay: 5s, period: 10s, timeout: 1s, success_threshold: 1, failure_threshold: 3 }
    "#]],
    );
}

#[test]
fn acc_s4_107_configuration_comes_from_maps_and_secrets_and_fields() {
    let manifests = deployment(
        "serviceAccountName: robot
containers:
- name: api
  image: python:3
  command: [./run, $(MODE), $(POD_NAME), $(NOBODY), $$(MODE)]
  args: [--level=$(LOG_LEVEL)]
  envFrom: [{configMapRef: {name: app}, prefix: APP_}, {secretRef: {name: gone, optional: true}}]
  env:
  - {name: MODE, value: fast}
  - {name: BOTH, value: '$(MODE)-$(APP_COLOR)-$(LATER)'}
  - {name: LATER, value: x}
  - {name: LOG_LEVEL, valueFrom: {configMapKeyRef: {name: app, key: COLOR}}}
  - {name: PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}
  - {name: TOKEN, valueFrom: {secretKeyRef: {name: db, key: token, optional: true}}}
  - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  - {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
  - {name: TIER, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['tier']\"}}}
  - {name: ACCOUNT, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}
  - {name: MODE, value: slow}",
    ) + "---
apiVersion: v1
kind: ConfigMap
metadata: {name: app, namespace: mlops}
data: {COLOR: blue}
---
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: mlops}
data: {password: b2xk, user: YQ==}
stringData: {password: hunter2}
";
    check(
        &manifests,
        &expect![[r#"
        Deployment mlops/api: 3 RollingUpdate { max_surge: 1, max_unavailable: 0 }
         api: Command { command: ["./run", "slow", "$(POD_NAME)", "$(NOBODY)", "$(MODE)", "--level=blue"] }
          [("APP_COLOR", "blue"), ("MODE", "slow"), ("BOTH", "fast-blue-$(LATER)"), ("LATER", "x"), ("LOG_LEVEL", "blue"), ("PASSWORD", "hunter2"), ("NAMESPACE", "mlops"), ("TIER", "web"), ("ACCOUNT", "robot")] [("POD_NAME", Name)] [] (None, None)
    "#]],
    );
}

#[test]
fn acc_s4_26_an_image_that_nothing_here_can_run_is_an_error() {
    check(
        &deployment("containers: [{name: api, image: 'example.com/ml-inference:1.0'}]"),
        &expect![[r#"
        error[image-unsupported]: image `example.com/ml-inference:1.0` cannot be run here: no image is pulled on one machine
          --> f.yaml:10:32
           |  containers: [{name: api, image: 'example.com/ml-inference:1.0'}]
           |                           ^
          fix: image: forebay with args: [serve, MODEL], or a command that this machine has
    "#]],
    );
}

#[test]
fn what_is_missing_or_wrong_leaves_the_workload_out() {
    for (spec, expected) in [
        (
            "containers: [{name: a, image: forebay, env: [{name: A, valueFrom: {configMapKeyRef: {name: x, key: z}}}]}]",
            expect![[r#"
                error[config-missing]: ConfigMap mlops/x does not exist
                  --> f.yaml:10:52
                   |  containers: [{name: a, image: forebay, env: [{name: A, valueFrom: {configMapKeyRef: {name: x, key: z}}}]}]
                   |                                               ^
            "#]],
        ),
        (
            "containers: [{name: a, image: forebay, readinessProbe: {httpGet: {port: web}}}]",
            expect![[r#"
            error[field-invalid]: port `web` is not one of the container
              --> f.yaml:10:46
               |  containers: [{name: a, image: forebay, readinessProbe: {httpGet: {port: web}}}]
               |                                         ^
        "#]],
        ),
        (
            "containers: [{name: a, image: forebay, livenessProbe: {}}]",
            expect![[r#"
            error[field-invalid]: a probe has one of httpGet, tcpSocket, exec and grpc
              --> f.yaml:10:46
               |  containers: [{name: a, image: forebay, livenessProbe: {}}]
               |                                         ^
        "#]],
        ),
        (
            "containers: [{name: a, image: forebay}, {name: a, image: forebay}]",
            expect![[r#"
            error[field-invalid]: `spec.template.spec.containers[1].name` is `a`, which stands there already
              --> f.yaml:10:48
               |  containers: [{name: a, image: forebay}, {name: a, image: forebay}]
               |                                           ^
        "#]],
        ),
        (
            "containers: [{name: a, image: forebay, resources: {limits: {memory: lots}}}]",
            expect![[r#"
            error[field-invalid]: `spec.template.spec.containers[0].resources.limits.memory` is `lots`, not an amount
              --> f.yaml:10:67
               |  containers: [{name: a, image: forebay, resources: {limits: {memory: lots}}}]
               |                                                              ^
        "#]],
        ),
        (
            "containers: []",
            expect![[r#"
            error[field-invalid]: `spec.template.spec.containers` is missing
              --> f.yaml:10:7
               |  containers: []
               |  ^
        "#]],
        ),
        (
            "containers: [{name: a, image: forebay, args: serve}]",
            expect![[r#"
            error[field-invalid]: spec.template.spec.containers[0].args is the text `serve`, not a list
              --> f.yaml:10:46
               |  containers: [{name: a, image: forebay, args: serve}]
               |                                         ^
        "#]],
        ),
    ] {
        check(&deployment(spec), &expected);
    }
}

#[test]
fn no_message_tells_what_a_secret_holds() {
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: mlops}\nDATA\n";
    for data in ["stringData: {pin: 4711}", "data: {pin: 4711}", "data: {pin: '4711!'}"] {
        let spec = "containers: [{name: a, image: forebay, envFrom: [{secretRef: {name: s}}]}]";
        let manifests = deployment(spec) + &secret.replace("DATA", data);
        let (workloads, findings) = workloads(&objects(&manifests));
        assert!(workloads.is_empty() && !findings.is_empty());
        assert!(findings.iter().all(|finding| !finding.message.contains("4711")), "{findings:?}");
    }
}

#[test]
fn what_has_no_effect_is_said() {
    let spec = "initContainers: [{name: i, image: busybox}]
affinity: {podAntiAffinity: {}}
securityContext: {runAsNonRoot: true}
containers:
- {name: a, image: forebay, volumeMounts: [{name: tmp, mountPath: /tmp}], livenessProbe: {grpc: {port: 9000}}, readinessProb: {}}";
    check(
        &deployment(spec),
        &expect![[r#"
        Deployment mlops/api: 3 RollingUpdate { max_surge: 1, max_unavailable: 0 }
         a: Forebay { arguments: [] }
          [] [] [] (None, None)
          liveness: Probe { handler: Tcp { port: 9000 }, initial_delay: 0ns, period: 10s, timeout: 1s, success_threshold: 1, failure_threshold: 3 }
        warning[field-no-effect]: grpc: the health service is not asked in this build, only a connection is made
          --> f.yaml:14:81
           |  - {name: a, image: forebay, volumeMounts: [{name: tmp, mountPath: /tmp}], livenessProbe: {grpc: {port: 9000}}, readinessProb: {}}
           |                                                                            ^
        warning[field-unknown]: Deployment has no field `spec.template.spec.containers[0].readinessProb`: it is ignored
          --> f.yaml:14:118
           |  - {name: a, image: forebay, volumeMounts: [{name: tmp, mountPath: /tmp}], livenessProbe: {grpc: {port: 9000}}, readinessProb: {}}
           |                                                                                                                 ^
          fix: did you mean `readinessProbe`?
        warning[init-containers]: init containers are not run on one machine: what they prepare has to be there
          --> f.yaml:10:7
           |  initContainers: [{name: i, image: busybox}]
           |  ^
        info[field-no-effect]: `spec.template.spec.affinity` has no effect on one machine yet
          --> f.yaml:11:7
           |  affinity: {podAntiAffinity: {}}
           |  ^
        info[field-no-effect]: `spec.template.spec.containers[0].volumeMounts` has no effect on one machine yet
          --> f.yaml:14:35
           |  - {name: a, image: forebay, volumeMounts: [{name: tmp, mountPath: /tmp}], livenessProbe: {grpc: {port: 9000}}, readinessProb: {}}
           |                              ^
    "#]],
    );
}

#[test]
fn pods_of_nobody_run_and_pods_of_somebody_do_not() {
    let pod = "apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: x}}
spec: {restartPolicy: Never, terminationGracePeriodSeconds: 5, containers: [{name: a, image: forebay, args: [serve, m]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: two, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: api-1, uid: u}]}
spec: {containers: [{name: a, image: forebay}]}
";
    check(
        pod,
        &expect![[r#"
        Pod default/one: 1 Recreate
         a: Forebay { arguments: ["serve", "m"] }
          [] [] [] (None, None)
    "#]],
    );
}

#[test]
fn the_number_of_replicas_has_a_bound() {
    let many =
        deployment("containers: [{name: a, image: forebay}]").replace("replicas: 3", "replicas: 4000000000");
    check(
        &many,
        &expect![[r#"
        error[field-invalid]: `spec.replicas` is `4000000000`: it must be less than or equal to 200, the most that one machine runs
          --> f.yaml:5:3
           |  replicas: 4000000000
           |  ^
    "#]],
    );
}

#[test]
fn the_hash_changes_with_the_template_and_with_what_it_reads_and_with_nothing_else() {
    let config =
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: mlops}\ndata: {A: '1'}\n";
    let text = deployment("containers: [{name: a, image: forebay, envFrom: [{configMapRef: {name: app}}]}]")
        + config;
    let hash = |text: &str| workloads(&objects(text)).0[0].template_hash.clone();
    assert_eq!(hash(&text), hash(&text.replace("replicas: 3", "replicas: 5")));
    for (from, to) in [("A: '1'", "A: '2'"), ("image: forebay", "image: forebay:2"), ("note: x", "note: z")] {
        assert_ne!(hash(&text), hash(&text.replace(from, to)), "{to}");
    }
}

#[test]
fn acc_s2_38_an_inference_service_becomes_replicas_of_our_server() {
    let manifests = "apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: iris, namespace: staging, uid: u-1, annotations: {forebay.dev/base-directory: /srv/iris}}
spec: {predictor: {minReplicas: 2, sklearn: {storageUri: model.pkl, env: [{name: A, value: b}]}}}
";
    let mut objects = objects(manifests);
    let compiled = compile(&objects, &crate::Defaults::default());
    let children: Vec<String> = compiled.children.iter().map(|child| child.reference().to_string()).collect();
    assert_eq!(
        children,
        [
            "Deployment staging/iris-predictor-default",
            "Service staging/iris-predictor-default",
            "Service staging/iris-predictor",
            "Service knative-serving/kourier"
        ]
    );
    assert_eq!(compiled.children[0].value.pointer("/metadata/ownerReferences/0/uid").unwrap(), "u-1");
    for child in compiled.children {
        objects.insert(child);
    }
    let (workloads, findings) = workloads(&objects);
    assert_eq!(findings, []);
    assert_eq!(workloads[0].working_directory.as_deref(), Some(std::path::Path::new("/srv/iris")));
    expect![[r#"
        Deployment staging/iris-predictor-default: 2 RollingUpdate { max_surge: 1, max_unavailable: 0 }
         kserve-container: Forebay { arguments: ["serve", "iris=model.pkl", "--port", "8080"] }
          [("A", "b")] [] [8080] (None, None)
          readiness: Probe { handler: Http { port: 8080, path: "/v2/health/ready", headers: [] }, initial_delay: 0ns, period: 10s, timeout: 1s, success_threshold: 1, failure_threshold: 3 }
          liveness: Probe { handler: Http { port: 8080, path: "/v2/health/live", headers: [] }, initial_delay: 0ns, period: 10s, timeout: 1s, success_threshold: 1, failure_threshold: 3 }"#]].assert_eq(&show(&workloads[0]));
}

#[test]
fn expansions_do_not_grow_without_bound() {
    let mut lines =
        "containers:\n- name: a\n  image: forebay\n  env:\n  - {name: X0, value: aaaaaaaaaaaaaaaa}"
            .to_owned();
    for level in 1..200 {
        let below = level - 1;
        lines += &format!("\n  - {{name: X{level}, value: '$(X{below})$(X{below})$(X{below})$(X{below})'}}");
    }
    let (workloads, findings) = workloads(&objects(&deployment(&lines)));
    assert_eq!(workloads, []);
    assert!(
        findings.iter().any(|finding| finding.message.contains("more than 2097152 bytes")),
        "{findings:?}"
    );
}
