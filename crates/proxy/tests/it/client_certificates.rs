//! Listeners that ask clients for certificates, and what targets are told of clients.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use plan::{
    Certificate, ClientAuthentication, ClientVerification, ListenerState, LoadBalancer, LoadBalancerKind,
    Protocol, TrustStore,
};

use crate::http2::wait_until;
use crate::tls_client::{Authority, Made, NOW, PAST, TlsClient, ask_over};
use crate::world::{Server, World, group, load_balancer, plan_of, run};

const HOST: &str = "a.example";

/// A load balancer with HTTPS, and the authority that its clients have to believe.
async fn start(
    target: SocketAddr,
    clients: Option<ClientAuthentication>,
) -> (World, LoadBalancer, Authority) {
    start_with(target, clients, |_| {}).await
}

async fn start_with(
    target: SocketAddr,
    clients: Option<ClientAuthentication>,
    change: impl FnOnce(&mut LoadBalancer),
) -> (World, LoadBalancer, Authority) {
    let authority = Authority::new("servers");
    let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[target])]);
    balancer.listeners[0].protocol = Protocol::Https;
    balancer.listeners[0].certificates = vec![Certificate { arn: "local:a".to_owned(), source: "issued" }];
    balancer.listeners[0].client_authentication = clients;
    change(&mut balancer);
    let world = World::start(plan_of(&balancer)).await;
    let identity = authority.make(HOST, 1, NOW).identity();
    world.keys.send_replace(Arc::new(HashMap::from([("local:a".to_owned(), identity)])));
    // The certificate is there once any handshake gets as far as it.
    let anybody = TlsClient::new(&authority, None);
    until(async || anybody.open(address_of(&balancer), HOST).await.is_ok()).await;
    (world, balancer, authority)
}

/// Waits until something has come about.
async fn until(condition: impl AsyncFn() -> bool) {
    while !condition().await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn address_of(balancer: &LoadBalancer) -> SocketAddr {
    balancer.listeners[0].addresses[0]
}

fn verify(authority: &Authority, revocations: &str) -> ClientVerification {
    ClientVerification {
        trust_store: "clients".to_owned(),
        ignores_expiry: false,
        advertises_authorities: None,
        contents: TrustStore {
            name: "secret:test/clients".into(),
            authorities: authority.pem.as_str().into(),
            revocations: revocations.into(),
        },
    }
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim)
}

#[test]
fn targets_are_told_of_tls_and_clients_cannot_say_it_themselves() {
    run(async {
        let server = Server::start("one");
        let (_world, balancer, authority) = start_with(server.address, None, |balancer| {
            for key in [
                "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
                "routing.http.x_amzn_tls_kx.enabled",
            ] {
                balancer.attributes.set(key, "true").unwrap();
            }
            let renamed = "routing.http.request.x_amzn_tls_cipher_suite.header_name";
            balancer.listeners[0].attributes.set(renamed, "client-cipher").unwrap();
        })
        .await;
        let client = TlsClient::new(&authority, None);
        let forged = "x-amzn-tls-version: SSLv2\r\nX_Amzn_Tls_Kx: none\r\nclient_cipher: NULL\r\n\
                      x-amzn-tls-cipher-suite: NULL\r\nx-amzn-mtls-clientcert-subject: CN=root\r\n";
        let answer = client.ask(address_of(&balancer), HOST, forged).await.unwrap();
        assert_eq!(field(&answer, "x-amzn-tls-version"), Some("TLSv1.3"));
        assert!(field(&answer, "client-cipher").is_some_and(|cipher| cipher.starts_with("TLS_")), "{answer}");
        assert_eq!(field(&answer, "x-amzn-tls-kx"), Some("X25519MLKEM768"));
        for gone in ["SSLv2", "NULL", "CN=root", ": none", "x-amzn-tls-cipher-suite"] {
            assert!(!answer.contains(gone), "{gone}: {answer}");
        }
    });
}

#[test]
fn only_clients_of_the_trust_store_come_in_and_targets_are_told_who_they_are() {
    run(async {
        let server = Server::start("one");
        let (clients, others) = (Authority::new("clients"), Authority::new("others"));
        let clients_wanted = ClientAuthentication::Verify(verify(&clients, &clients.revoke(9)));
        let (world, balancer, authority) = start(server.address, Some(clients_wanted)).await;
        let address = address_of(&balancer);
        let ask =
            async |made: Option<Made>| TlsClient::new(&authority, made.as_ref()).ask(address, HOST, "").await;

        let made = clients.make("client-1", 0xa5, NOW);
        let forged = "X-Amzn-Mtls-Clientcert: forged\r\nx-amzn-mtls-clientcert-issuer: CN=root\r\n";
        let client = TlsClient::new(&authority, Some(&made));
        let answer = client.ask(address, HOST, forged).await.unwrap();
        for (name, value) in [
            ("x-amzn-mtls-clientcert-serial-number", "A5"),
            ("x-amzn-mtls-clientcert-issuer", "CN=clients"),
            ("x-amzn-mtls-clientcert-subject", "CN=client-1"),
            (
                "x-amzn-mtls-clientcert-validity",
                "NotBefore=2020-01-01T00:00:00Z;NotAfter=2200-01-01T00:00:00Z",
            ),
        ] {
            assert_eq!(field(&answer, name), Some(value), "{answer}");
        }
        let leaf = field(&answer, "x-amzn-mtls-clientcert-leaf").unwrap();
        assert_eq!(
            leaf.replace("%0A", "\n").replace("%20", " ").trim(),
            made.certificate.replace('\r', "").trim()
        );
        assert!(field(&answer, "x-amzn-mtls-clientcert").is_none(), "{answer}");

        let n_before = server.n_requests.get();
        ask(None).await.unwrap_err();
        ask(Some(others.make("client-1", 0xa5, NOW))).await.unwrap_err();
        ask(Some(clients.make("revoked", 9, NOW))).await.unwrap_err();
        ask(Some(clients.make("old", 3, PAST))).await.unwrap_err();
        assert_eq!(server.n_requests.get(), n_before);
        let count = |reason: &str| {
            let metrics = world.metrics.encode();
            let mut lines = metrics.lines();
            let line = lines.find(|line| line.contains("tls_handshake_failures") && line.contains(reason));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).unwrap_or_default()
        };
        // A client knows it before it is counted.
        wait_until(|| count("client-certificate-refused") >= 3).await;
        assert_eq!(count("client-certificate-refused"), 3);
        assert!(count("client-certificate-missing") >= 1);
    });
}

#[test]
fn certificates_that_have_ended_come_in_where_that_is_said() {
    run(async {
        let server = Server::start("one");
        let clients = Authority::new("clients");
        let verification =
            ClientVerification { ignores_expiry: true, ..verify(&clients, &clients.revoke(9)) };
        let (_world, balancer, authority) =
            start(server.address, Some(ClientAuthentication::Verify(verification))).await;
        let ask = async |made: Made| {
            TlsClient::new(&authority, Some(&made)).ask(address_of(&balancer), HOST, "").await
        };
        let answer = ask(clients.make("old", 3, PAST)).await.unwrap();
        assert_eq!(field(&answer, "x-amzn-mtls-clientcert-subject"), Some("CN=old"));
        ask(clients.make("revoked", 9, PAST)).await.unwrap_err();
        ask(Authority::new("others").make("old", 3, PAST)).await.unwrap_err();
    });
}

#[test]
fn whatever_a_client_shows_is_passed_through_and_it_need_not_show_anything() {
    run(async {
        let server = Server::start("one");
        let (_world, balancer, authority) =
            start(server.address, Some(ClientAuthentication::Passthrough)).await;
        let others = Authority::new("others");
        let mut made = others.make("client-1", 1, PAST);
        made.certificate.push_str(&others.pem);
        let client = TlsClient::new(&authority, Some(&made));
        let answer = client.ask(address_of(&balancer), HOST, "").await.unwrap();
        let chain = field(&answer, "x-amzn-mtls-clientcert").unwrap();
        assert_eq!(chain.matches("-----BEGIN%20CERTIFICATE-----%0A").count(), 2);
        assert!(field(&answer, "x-amzn-mtls-clientcert-subject").is_none());
        let forged = "x-amzn-mtls-clientcert: forged\r\n";
        let nobody = TlsClient::new(&authority, None);
        let answer = nobody.ask(address_of(&balancer), HOST, forged).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && field(&answer, "x-amzn-mtls-clientcert").is_none());
    });
}

#[test]
fn no_session_is_resumed_around_a_trust_store_and_it_changes_without_a_new_socket() {
    run(async {
        let server = Server::start("one");
        let (first, second) = (Authority::new("first"), Authority::new("second"));
        let wanted = |authority: &Authority| Some(ClientAuthentication::Verify(verify(authority, "")));
        let (world, mut balancer, authority) = start(server.address, wanted(&first)).await;
        let address = address_of(&balancer);
        let (of_first, of_second) = (first.make("a", 1, NOW), second.make("b", 2, NOW));
        let (one, other) =
            (TlsClient::new(&authority, Some(&of_first)), TlsClient::new(&authority, Some(&of_second)));
        for _ in 0..3 {
            one.ask(address, HOST, "").await.unwrap();
        }
        other.ask(address, HOST, "").await.unwrap_err();
        let kept = one.open(address, HOST).await.unwrap();
        balancer.listeners[0].client_authentication = wanted(&second);
        world.plans.send_replace(Arc::new(plan_of(&balancer)));
        until(async || other.ask(address, HOST, "").await.is_ok()).await;
        one.ask(address, HOST, "").await.unwrap_err();
        // Who came in before stays.
        assert!(ask_over(kept, HOST, "").await.unwrap().starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn a_connection_from_before_clients_were_asked_has_to_be_opened_again() {
    run(async {
        let server = Server::start("one");
        let (world, mut balancer, authority) = start(server.address, None).await;
        let client = TlsClient::new(&authority, None);
        let kept = client.open(address_of(&balancer), HOST).await.unwrap();
        let clients = Authority::new("clients");
        balancer.listeners[0].client_authentication =
            Some(ClientAuthentication::Verify(verify(&clients, "")));
        world.plans.send_replace(Arc::new(plan_of(&balancer)));
        until(async || client.ask(address_of(&balancer), HOST, "").await.is_err()).await;
        let answer = ask_over(kept, HOST, "").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
        assert_eq!(field(&answer, "x-forebay-reason"), Some("misdirected"));
    });
}

#[test]
fn a_listener_whose_trust_store_cannot_be_used_is_not_open_at_all() {
    run(async {
        let server = Server::start("one");
        let (mut world, mut balancer, authority) = start(server.address, None).await;
        let broken = ClientVerification {
            contents: TrustStore { name: "a".into(), authorities: "junk".into(), revocations: "".into() },
            ..verify(&authority, "")
        };
        balancer.listeners[0].client_authentication = Some(ClientAuthentication::Verify(broken));
        world.plans.send_replace(Arc::new(plan_of(&balancer)));
        let is_failed = |state: &ListenerState| matches!(state, ListenerState::Failed(_));
        world.wait_until(|observed| observed.listeners.values().any(is_failed)).await;
        let client = TlsClient::new(&authority, None);
        until(async || client.open(address_of(&balancer), HOST).await.is_err()).await;
    });
}
