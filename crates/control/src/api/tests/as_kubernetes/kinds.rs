//! Which kinds there are: a list of each is answered.

use super::*;

macro_rules! listed {
    ($($row:ident $path:literal;)*) => {$(
        #[test]
        fn $row() {
            let list = get(&api(), $path);
            let kind = list["kind"].as_str().unwrap_or_default();
            assert!(kind.ends_with("List") && list["items"].is_array(), "{list}");
        }
    )*};
}

listed! {
    leases_coordination_k8s_io_v1 "/apis/coordination.k8s.io/v1/leases";
    daemonsets_apps_v1 "/apis/apps/v1/daemonsets";
    statefulsets_apps_v1 "/apis/apps/v1/statefulsets";
    controllerrevisions_apps_v1 "/apis/apps/v1/controllerrevisions";
    jobs_batch_v1 "/apis/batch/v1/jobs";
    cronjobs_batch_v1 "/apis/batch/v1/cronjobs";
    replicationcontrollers_v1 "/api/v1/replicationcontrollers";
    persistentvolumes_v1 "/api/v1/persistentvolumes";
    podtemplates_v1 "/api/v1/podtemplates";
    componentstatuses_v1 "/api/v1/componentstatuses";
    storageclasses_storage_k8s_io_v1 "/apis/storage.k8s.io/v1/storageclasses";
    priorityclasses_scheduling_k8s_io_v1 "/apis/scheduling.k8s.io/v1/priorityclasses";
    validatingwebhookconfigurations_admissionregistration_k8s_io_v1
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    mutatingwebhookconfigurations_admissionregistration_k8s_io_v1
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    apiservices_apiregistration_k8s_io_v1 "/apis/apiregistration.k8s.io/v1/apiservices";
    certificatesigningrequests_certificates_k8s_io_v1 "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    runtimeclasses_node_k8s_io_v1 "/apis/node.k8s.io/v1/runtimeclasses";
    flowschemas_flowcontrol_apiserver_k8s_io_v1 "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";
    httproutes_gateway_networking_k8s_io_v1 "/apis/gateway.networking.k8s.io/v1/httproutes";
    servingruntimes_serving_kserve_io_v1alpha1 "/apis/serving.kserve.io/v1alpha1/servingruntimes";
    clusterservingruntimes_serving_kserve_io_v1alpha1 "/apis/serving.kserve.io/v1alpha1/clusterservingruntimes";
}

#[test]
fn componentstatuses_are_only_read() {
    let refused = write(&api(), "POST /api/v1/componentstatuses", JSON, &json!({"metadata": {"name": "a"}}));
    assert_eq!((refused.0, &refused.1["reason"]), (405, &json!("MethodNotAllowed")));
}
