//! gRPC through load balancers: one of connections lets it through as it is, one of requests carries each call by itself.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use net::{Fields, Http2Connection, Method, Outgoing};
use tempfile::TempDir;
use testkit::{PATIENCE, Platform, Request};
use tokio::task::LocalSet;

use crate::{FOREBAY, folder, project, replicas_of_iris};

/// Two replicas of the iris model that speak gRPC, behind a Network Load Balancer.
pub(crate) fn behind_a_network_load_balancer() -> (Platform, TempDir, SocketAddr) {
    let manifest = format!(
        "apiVersion: v1
kind: Service
metadata:
  name: iris
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-type: external
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
    service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing
spec:
  type: LoadBalancer
  selector: {{app: iris}}
  ports: [{{name: grpc, port: 9000}}]
---
{}",
        replicas_of_iris("--grpc-port, '9000', --cache-size, '1000000'", "8080, 9000")
    );
    let folder = folder(&[("iris.yaml", &manifest)]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let (address, _) = platform.endpoint("iris");
    (platform, folder, address)
}

/// Whether a server speaks HTTP/2: it answers the preface with SETTINGS (RFC 9113 §3.4).
pub(crate) fn speaks_http2(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let empty_settings = b"\0\0\0\x04\0\0\0\0\0";
    stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), empty_settings].concat()).unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    head[3] == 0x04
}

#[test]
fn grpc_goes_through_a_network_load_balancer() {
    let (_platform, _folder, address) = behind_a_network_load_balancer();
    assert!((0..4).all(|_| speaks_http2(address)));
}

/// Two replicas of the iris model, which speak everything on one port, behind an Application Load Balancer with this
/// listener.
pub(crate) fn behind_an_application_load_balancer(listener: &str) -> (Platform, TempDir, SocketAddr) {
    let manifest = format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: iris
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{listener}]'
    alb.ingress.kubernetes.io/backend-protocol-version: GRPC
spec:
  ingressClassName: alb
  rules:
  - host: iris.example.com
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: iris, port: {{number: 80}}}}}}}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: iris}}
spec: {{selector: {{app: iris}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
{}",
        replicas_of_iris("--cache-size, '1000000'", "8080")
    );
    let folder = folder(&[("iris.yaml", &manifest)]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let (address, _) = platform.endpoint("iris");
    (platform, folder, address)
}

/// Calls a method without an argument. Returns the message that answers, and the status of the call.
async fn call(connection: &Http2Connection, method: &str) -> (Vec<u8>, String) {
    let mut fields = Fields::new();
    fields.push("host", "iris.example.com");
    fields.push("content-type", "application/grpc");
    let target = format!("/inference.GRPCInferenceService/{method}");
    let body = net::Body::from([0; 5].to_vec());
    let outgoing =
        Outgoing { method: &Method::POST, target: &target, fields: &fields, body, timeout: PATIENCE };
    let mut response = connection.send(outgoing).await.unwrap();
    let mut message = Vec::new();
    while let Some(piece) = response.body.chunk().await {
        message.extend_from_slice(&piece.unwrap());
    }
    let trailers = response.body.take_trailers().unwrap_or_default();
    let status = trailers.text("grpc-status").or(response.fields.text("grpc-status"));
    (message, status.unwrap_or_default().to_owned())
}

#[test]
fn calls_go_through_an_application_load_balancer_to_our_own_replicas_and_a_killed_one_costs_none() {
    let (platform, _folder, address) = behind_an_application_load_balancer(r#"{"HTTP": 80}"#);
    platform.wait_for("both targets are healthy", &["targets"], |text| text.matches("healthy").count() == 2);
    let plain = Request::get(address, "/readyz").host("iris.example.com").send();
    assert_eq!((plain.status, plain.field("x-forebay-reason")), (464, Some("target-version")));
    let runtime = net::runtime().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let connection = Http2Connection::open(address, None, PATIENCE).await.unwrap();
        let is_live = (vec![0, 0, 0, 0, 2, 8, 1], "0".to_owned());
        assert_eq!(call(&connection, "ServerLive").await, is_live);
        assert_eq!(call(&connection, "Nothing").await, (Vec::new(), "12".to_owned()));
        for n in 0..400 {
            if n == 100 {
                let replicas = platform.replicas("iris");
                let killed =
                    std::process::Command::new("kill").args(["-9", &replicas[0].to_string()]).status();
                assert!(killed.unwrap().success());
            }
            assert_eq!(call(&connection, "ServerLive").await, is_live, "call {n}");
        }
    });
}

#[test]
fn an_inference_service_is_called_through_an_ingress() {
    let manifest = format!(
        "apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: iris}}
spec: {{predictor: {{minReplicas: 1, sklearn: {{storageUri: '{}'}}}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: calls
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{{\"HTTP\": 80}}]'
    alb.ingress.kubernetes.io/backend-protocol-version: GRPC
spec: {{ingressClassName: alb, defaultBackend: {{service: {{name: iris-predictor, port: {{number: 80}}}}}}}}
",
        project("examples/iris/model")
    );
    let folder = folder(&[("iris.yaml", &manifest)]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let (address, _) = platform.endpoint("calls");
    let runtime = net::runtime().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let connection = Http2Connection::open(address, None, PATIENCE).await.unwrap();
        let is_ready = (vec![0, 0, 0, 0, 2, 8, 1], "0".to_owned());
        assert_eq!(call(&connection, "ServerReady").await, is_ready);
    });
}
