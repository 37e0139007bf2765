//! gRPC through load balancers: one of connections lets it through as it is.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use tempfile::TempDir;
use testkit::{PATIENCE, Platform};

use crate::{FOREBAY, folder, project};

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
apiVersion: apps/v1
kind: Deployment
metadata: {{name: iris}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: iris}}}}
  template:
    metadata: {{labels: {{app: iris}}}}
    spec:
      containers:
      - name: iris
        image: forebay
        args: [serve, 'iris={}', --grpc-port, '9000', --cache-size, '1000000']
        ports: [{{containerPort: 8080}}, {{containerPort: 9000}}]
        readinessProbe: {{httpGet: {{path: /readyz, port: 8080}}}}
",
        project("examples/iris/model")
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
