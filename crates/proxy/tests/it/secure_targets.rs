//! Targets that are spoken with inside TLS.

use std::net::SocketAddr;
use std::time::Duration;

use net::{
    Certificates, ClientConnection, Drain, Identity, KeyRing, Limits, Request, Response, ServerTls,
    StatusCode, TlsSettings,
};
use plan::{LoadBalancerKind, Protocol, ProtocolVersion, TargetGroup, TargetTrust};
use tokio::io::AsyncReadExt as _;

use crate::world::{Client, Server, World, free_address, group, load_balancer, plan_of, run};

/// A certificate for one name, and its own authority.
fn identity(name: &str) -> (Identity, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = made.cert.pem();
    (Identity::from_pem(&certificate, &made.signing_key.serialize_pem()).unwrap(), certificate)
}

/// A server inside TLS that tells who asks it, and in what.
fn start(identity: Identity) -> (SocketAddr, Drain) {
    let handler = async |request: Request| {
        let (peer, is_tls) = (request.connection.peer, request.connection.is_tls());
        let text = format!("{peer} {:?} {is_tls}", request.version);
        Response::with_body(StatusCode::OK, "text/plain", text)
    };
    let tls = ServerTls::new(&Certificates::new(&[identity]), &TlsSettings::default()).unwrap();
    let address = free_address();
    let listener = net::bind(address, 1).unwrap().remove(0);
    let (drain, watch) = Drain::new();
    tokio::task::spawn_local(net::serve_tls(listener, tls, handler, Limits::default(), watch));
    (address, drain)
}

fn secure_group(targets: &[SocketAddr]) -> TargetGroup {
    let mut group = group("g", targets);
    group.protocol = Protocol::Https;
    group.health_check.protocol = Protocol::Https;
    group
}

#[test]
fn targets_are_spoken_with_inside_tls_whatever_they_show_and_connections_are_kept() {
    run(async {
        let (address, _drain) = start(identity("somebody.else").0);
        let balancer = load_balancer(LoadBalancerKind::Application, vec![secure_group(&[address])]);
        let world = World::start(plan_of(&balancer)).await;
        assert_eq!(world.state_of(address), Some("healthy"));
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let first = client.get("/").await;
        assert_eq!(first.status, 200, "{}", first.text);
        assert!(first.text.ends_with("HTTP/1.1 true"), "{}", first.text);
        assert_eq!(client.get("/").await.text, first.text, "the same connection");
    });
}

#[test]
fn a_target_has_to_prove_its_name_where_somebody_says_which() {
    run(async {
        let (known, authority) = identity("api.internal");
        let ((one, _a), (other, _b)) = (start(known), start(identity("api.internal").0));
        let mut group = secure_group(&[one, other]);
        group.trust = Some(TargetTrust { name: "api.internal".into(), authorities: authority });
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group.clone()]);
        let mut world = World::start(plan_of(&balancer)).await;
        world
            .wait_until(|observed| observed.targets.values().any(|it| it.state.as_str() == "unhealthy"))
            .await;
        assert_eq!((world.state_of(one), world.state_of(other)), (Some("healthy"), Some("unhealthy")));

        group.targets.retain(|target| target.socket() == other);
        let balancer = plan::LoadBalancer { target_groups: vec![group.clone()].into(), ..balancer };
        world.change(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let answer = client.get("/").await;
        assert_eq!((answer.status, answer.fields.text("x-forebay-reason")), (502, Some("target-tls")));

        // What cannot be read as an authority lets nobody through either.
        group.trust = Some(TargetTrust { name: "api.internal".into(), authorities: "none".into() });
        world.change(plan_of(&plan::LoadBalancer { target_groups: vec![group].into(), ..balancer })).await;
        assert_eq!(client.get("/").await.status, 502);
    });
}

#[test]
fn a_target_that_speaks_no_tls_says_so_by_its_health_and_its_reason() {
    run(async {
        let plain = Server::start("plain");
        let mut group = secure_group(&[plain.address]);
        group.health_check.protocol = Protocol::Http;
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group.clone()]);
        let mut world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let answer = client.get("/").await;
        assert_eq!((answer.status, answer.fields.text("x-forebay-reason")), (502, Some("target-tls")));
        let counted = r#"forebay_target_tls_failures_total{load_balancer="lb",target_group="g"} 1"#;
        assert!(world.metrics.encode().contains(counted), "{}", world.metrics.encode());

        group.health_check.protocol = Protocol::Https;
        world.change(plan_of(&plan::LoadBalancer { target_groups: vec![group].into(), ..balancer })).await;
        world
            .wait_until(|observed| {
                observed.targets.values().any(|health| health.description.contains("cannot open TLS"))
            })
            .await;
    });
}

#[test]
fn http_2_inside_tls_is_agreed_on() {
    run(async {
        let (address, _drain) = start(identity("a").0);
        let mut group = secure_group(&[address]);
        group.protocol_version = Some(ProtocolVersion::Http2);
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group]);
        let world = World::start(plan_of(&balancer)).await;
        assert_eq!(world.state_of(address), Some("healthy"));
        let client = crate::http2::connect(balancer.listeners[0].addresses[0]).await;
        let answer = crate::http2::get(&client, "/").await.unwrap();
        assert!(answer.text.ends_with("HTTP/2.0 true"), "{}", answer.text);
    });
}

#[test]
fn a_network_load_balancer_opens_tls_anew_to_its_targets() {
    run(async {
        let (address, _drain) = start(identity("somebody.else").0);
        let (identity, authority) = identity("a.example");
        let mut group = group("g", &[address]);
        (group.protocol, group.protocol_version) = (Protocol::Tls, None);
        group.health_check.protocol = Protocol::Https;
        let mut balancer = load_balancer(LoadBalancerKind::Network, vec![group]);
        balancer.listeners[0].protocol = Protocol::Tls;
        balancer.listeners[0].alpn_policy = Some("HTTP2Preferred".into());
        balancer.listeners[0].certificates =
            vec![plan::Certificate { arn: "local:a".into(), source: "issued" }];
        let world = World::start(plan_of(&balancer)).await;
        world.keys.send_replace(KeyRing::from([("local:a".to_owned(), identity)]).into());
        let authorities = net::Authorities::from_pem(&authority).unwrap();
        let tls = net::ClientTls::verifying("a.example", &authorities).unwrap();
        let (address, patience) = (balancer.listeners[0].addresses[0], Duration::from_secs(5));
        let connection = loop {
            match ClientConnection::open_in(address, Some(&tls), patience).await {
                Ok(connection) => break connection,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        drop(connection);
        // Both sides agree on the same protocol.
        let http2 = net::Http2Connection::open(address, Some(&tls), patience).await.unwrap();
        let mut fields = net::Fields::new();
        fields.push("host", "a.example");
        let (method, body) = (&net::Method::GET, net::Body::Empty);
        let outgoing = net::Outgoing { method, target: "/", fields: &fields, body, timeout: patience };
        let answer = http2.send(outgoing).await.unwrap();
        let text = answer.body.collect(1 << 20).await.unwrap();
        assert!(text.ends_with(b"HTTP/2.0 true"), "{text:?}");
    });
}

#[test]
fn a_target_that_says_nothing_in_a_handshake_is_given_up() {
    run(async {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            let mut taken = Vec::new();
            while let Ok((mut stream, _)) = silent.accept().await {
                taken.push(tokio::task::spawn_local(async move {
                    while stream.read(&mut [0; 256]).await.is_ok_and(|n_bytes| n_bytes > 0) {}
                }));
            }
        });
        let mut group = secure_group(&[address]);
        group.health_check.protocol = Protocol::Tcp;
        group.health_check.matcher = plan::Matcher::Connection;
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group]);
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let began = std::time::Instant::now();
        let asked = client.send_within(Duration::from_secs(20), "/").await.unwrap();
        assert_eq!((asked.status, asked.fields.text("x-forebay-reason")), (502, Some("target-tls")));
        assert!((9..15).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    });
}
