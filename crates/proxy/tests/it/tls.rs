//! Listeners that end TLS, and the certificates that come and go under them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::{Authorities, Body, ClientConnection, Fields, Identity, KeyRing, Method, Outgoing};
use plan::{Certificate, LoadBalancer, LoadBalancerKind, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{Server, World, group, load_balancer, plan_of, run};

/// A certificate for one name, and its own authority.
fn identity(name: &str) -> (Identity, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = made.cert.pem();
    (Identity::from_pem(&certificate, &made.signing_key.serialize_pem()).unwrap(), certificate)
}

fn ring(identities: &[(&str, &Identity)]) -> Arc<KeyRing> {
    let ring: HashMap<String, Identity> =
        identities.iter().map(|(name, identity)| ((*name).to_owned(), (*identity).clone())).collect();
    Arc::new(ring)
}

fn secure(kind: LoadBalancerKind, protocol: Protocol, target: SocketAddr, names: &[&str]) -> LoadBalancer {
    let mut balancer = load_balancer(kind, vec![group("g", &[target])]);
    let certificate = |name: &&str| Certificate { arn: (*name).to_owned(), source: "issued" };
    balancer.listeners[0].protocol = protocol;
    balancer.listeners[0].certificates = names.iter().map(certificate).collect();
    balancer
}

/// Asks over a connection of its own. The error says what went wrong.
async fn ask(address: SocketAddr, name: &str, authority: &str) -> Result<String, String> {
    let authorities = Authorities::from_pem(authority).unwrap();
    let patience = Duration::from_secs(5);
    let connection = ClientConnection::open_tls(address, name, &authorities, patience).await;
    let connection = connection.map_err(|error| error.to_string())?;
    let mut fields = Fields::new();
    fields.push("host", name);
    let (method, body) = (&Method::GET, Body::Empty);
    let outgoing = Outgoing { method, target: "/", fields: &fields, body, timeout: patience };
    let response = connection.send(outgoing, drop).await.map_err(|error| error.to_string())?;
    let text = response.body.collect(1 << 20).await.map_err(|error| error.to_string())?;
    Ok(format!("{} {}", response.status.as_u16(), String::from_utf8_lossy(&text)))
}

#[test]
fn each_name_has_its_certificate_and_others_get_the_first() {
    run(async {
        let server = Server::start("one");
        let ((a, of_a), (b, of_b)) = (identity("a.example"), identity("b.example"));
        let balancer =
            secure(LoadBalancerKind::Application, Protocol::Https, server.address, &["local:a", "local:b"]);
        let world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        assert!(ask(address, "a.example", &of_a).await.is_err(), "there is no key yet");
        world.keys.send_replace(ring(&[("local:a", &a), ("local:b", &b)]));
        while ask(address, "a.example", &of_a).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(ask(address, "b.example", &of_b).await.unwrap(), "200 one");
        let other = ask(address, "c.example", &of_a).await.unwrap_err();
        assert!(other.contains("certificate"), "{other}");
    });
}

#[test]
fn http_2_is_offered_until_an_attribute_says_otherwise() {
    run(async {
        let server = Server::start("one");
        let (identity, authority) = identity("a.example");
        let mut balancer =
            secure(LoadBalancerKind::Application, Protocol::Https, server.address, &["local:a"]);
        let mut world = World::start(plan_of(&balancer)).await;
        world.keys.send_replace(ring(&[("local:a", &identity)]));
        let address = balancer.listeners[0].addresses[0];
        while ask(address, "a.example", &authority).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let authorities = Authorities::from_pem(&authority).unwrap();
        let tls = net::ClientTls::verifying("a.example", &authorities).unwrap();
        let http2 = async || net::Http2Connection::open(address, Some(&tls), Duration::from_secs(5)).await;
        assert!(http2().await.is_ok());
        balancer.attributes.set("routing.http2.enabled", "false").unwrap();
        world.change(plan_of(&balancer)).await;
        while http2().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(ask(address, "a.example", &authority).await.unwrap(), "200 one");
    });
}

#[test]
fn certificates_are_swapped_without_a_failed_handshake() {
    run(async {
        let server = Server::start("one");
        let identities: Vec<(Identity, String)> = (0..10).map(|_| identity("a.example")).collect();
        let authorities: String = identities.iter().map(|(_, authority)| authority.as_str()).collect();
        let mut balancer =
            secure(LoadBalancerKind::Application, Protocol::Https, server.address, &["local:a"]);
        let world = World::start(plan_of(&balancer)).await;
        world.keys.send_replace(ring(&[("local:a", &identities[0].0)]));
        let address = balancer.listeners[0].addresses[0];
        while ask(address, "a.example", &authorities).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for swap in 1..50 {
            world.keys.send_replace(ring(&[("local:a", &identities[swap % 10].0)]));
            if swap % 10 == 0 {
                // A new plan, with another policy now and then.
                balancer.listeners[0].ssl_policy = Some(if swap % 20 == 0 {
                    "ELBSecurityPolicy-TLS13-1-3-2021-06".to_owned()
                } else {
                    "ELBSecurityPolicy-TLS13-1-2-2021-06".to_owned()
                });
                world.plans.send_replace(Arc::new(plan_of(&balancer)));
            }
            for _ in 0..4 {
                assert_eq!(ask(address, "a.example", &authorities).await, Ok("200 one".to_owned()), "{swap}");
            }
        }
    });
}

#[test]
fn a_network_load_balancer_ends_tls_and_passes_the_bytes_on() {
    run(async {
        let server = Server::start("one");
        let (identity, authority) = identity("a.example");
        let balancer = secure(LoadBalancerKind::Network, Protocol::Tls, server.address, &["local:a"]);
        let world = World::start(plan_of(&balancer)).await;
        world.keys.send_replace(ring(&[("local:a", &identity)]));
        let address = balancer.listeners[0].addresses[0];
        while ask(address, "a.example", &authority).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(ask(address, "a.example", &authority).await.unwrap(), "200 one");
    });
}

#[test]
fn who_stops_within_a_handshake_makes_room_for_others() {
    run(async {
        let server = Server::start("one");
        let (identity, authority) = identity("a.example");
        for (kind, protocol) in
            [(LoadBalancerKind::Application, Protocol::Https), (LoadBalancerKind::Network, Protocol::Tls)]
        {
            let balancer = secure(kind, protocol, server.address, &["local:a"]);
            let limits = net::Limits { connections: 40, ..net::Limits::default() };
            let settings = proxy::Settings { n_cores: 1, limits, ..proxy::Settings::default() };
            let world = World::start_as(plan_of(&balancer), proxy::Metrics::default(), settings).await;
            world.keys.send_replace(ring(&[("local:a", &identity)]));
            let address = balancer.listeners[0].addresses[0];
            while ask(address, "a.example", &authority).await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            for beginning in [&b""[..], &[22, 3, 1], &[22, 3, 1, 2, 0, 1, 0]] {
                let mut silent = Vec::new();
                for _ in 0..100 {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    let _ = stream.write_all(beginning).await;
                    silent.push(stream);
                }
                for _ in 0..5 {
                    let answer = ask(address, "a.example", &authority).await;
                    assert_eq!(answer, Ok("200 one".to_owned()), "{protocol:?} {beginning:?}");
                }
                let first = tokio::time::timeout(Duration::from_secs(5), silent[0].read_u8()).await;
                assert!(first.unwrap().is_err(), "the first has gone");
            }
        }
    });
}
