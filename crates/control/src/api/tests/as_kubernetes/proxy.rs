//! Requests that are passed on to pods and Services.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::local::ContainerName;

/// An API over one pod, `p`, that answers one request on a port. Gives the request that it got.
async fn with_pod(answer: &'static str) -> (Api, u16, tokio::task::JoinHandle<String>, impl Sized) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let got = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") && !request.ends_with(b"body") {
            assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0);
        }
        connection.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    let name = |text: &str| text.to_owned();
    let container = ContainerName { namespace: name("default"), pod: name("p"), container: name("main") };
    let (machine, stay) = Machine::with_one(container, &[]);
    let settings = Settings { token: TOKEN.to_owned(), ..Settings::default() };
    let api = Api::new(Rc::new(Store::in_memory()), Some(machine), settings);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": "forebay:1", "ports": [{"containerPort": port}]}]}});
    write(&api, "POST /api/v1/namespaces/default/pods", JSON, &pod);
    (api, port, got, stay)
}

async fn ask(api: &Api, line: &str, body: &'static str) -> (u16, String) {
    let (method, path) = line.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.header("authorization", format!("Bearer {TOKEN}")).header("x-mine", "1");
    let answer = api.answer_to(&request.body(Bytes::from_static(body.as_bytes())).unwrap()).await;
    let code = answer.status().as_u16();
    match answer.into_body() {
        Body::Full(bytes) => (code, String::from_utf8(bytes.to_vec()).unwrap()),
        Body::Stream(mut stream) => {
            let mut text = String::new();
            while let Some(bytes) = stream.next().await {
                text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
            (code, text)
        }
        Body::Upgrade(_) => panic!("an upgrade"),
    }
}

#[tokio::test]
async fn pods_proxy() {
    let (api, port, got, _stay) =
        with_pod("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello and more").await;
    let line = format!("POST /api/v1/namespaces/default/pods/p:{port}/proxy/v1/a%20b/?x=1");
    assert_eq!(ask(&api, &line, "body").await, (201, "hello".to_owned()));
    let got = got.await.unwrap();
    assert!(got.starts_with("POST /v1/a%20b/?x=1 HTTP/1.0\r\n"), "{got}");
    assert!(got.contains("x-mine: 1\r\n") && got.ends_with("\r\n\r\nbody") && !got.contains(TOKEN), "{got}");
    let (code, text) = ask(&api, "GET /api/v1/namespaces/default/pods/p:1/proxy/", "").await;
    assert!(code == 503 && text.contains("error trying to reach service: dial tcp 127.0.0.1:1: "), "{text}");
    assert_eq!(ask(&api, "GET /api/v1/namespaces/default/pods/nobody/proxy", "").await.0, 404);
    assert_eq!(ask(&api, "GET /api/v1/namespaces/default/pods/https:p:1/proxy", "").await.0, 400);
}

#[tokio::test]
async fn services_proxy() {
    let (api, port, got, _stay) = with_pod("HTTP/1.0 200 OK\r\n\r\nall of it").await;
    write(&api, &format!("POST {SERVICES}"), JSON, &service("web"));
    let (code, text) = ask(&api, "GET /api/v1/namespaces/default/services/web:80/proxy/", "").await;
    assert!(code == 503 && text.contains("no endpoints available for service"), "{text}");
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "p"}}],
        "ports": [{"name": "", "port": port, "protocol": "TCP"}]});
    assert_eq!(
        write(&api, "POST /apis/discovery.k8s.io/v1/namespaces/default/endpointslices", JSON, &slice).0,
        201
    );
    assert_eq!(
        ask(&api, "GET /api/v1/namespaces/default/services/web:80/proxy", "").await,
        (200, "all of it".to_owned())
    );
    assert!(got.await.unwrap().starts_with("GET / HTTP/1.0\r\n"));
}

#[tokio::test]
async fn nodes_proxy() {
    let api = api();
    let (code, text) = ask(&api, "GET /api/v1/nodes/n/proxy/metrics", "").await;
    assert!(code == 503 && text.contains("there is no kubelet to ask"), "{text}");
}
