//! Several load balancers behind one address, told apart by host and SNI.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use net::{Body, Method};
use plan::{
    Certificate, ClientAuthentication, ClientVerification, Condition, ListenerKey, ListenerState,
    LoadBalancer, LoadBalancerId, LoadBalancerKind, Plan, Protocol, Rule, TrustStore,
};

use crate::tls_client::{Authority, NOW, TlsClient, ask_over};
use crate::world::{Client, Server, World, forward_to, group, load_balancer, run};

/// A load balancer for a host, at an address that it has beside its own.
fn balancer(name: &str, host: &str, target: SocketAddr, shared: SocketAddr) -> LoadBalancer {
    let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[target])]);
    balancer.id = LoadBalancerId::ingress("test", name);
    balancer.name = name.to_owned();
    let action = forward_to(&balancer, "g");
    let listener = &mut balancer.listeners[0];
    listener.addresses.push(shared);
    listener.default_action = None;
    let hosts = Condition::hosts(&[host]);
    listener.rules = vec![Rule::new(vec![hosts], action).into()];
    balancer
}

async fn ask(client: &Client, host: &str) -> (u16, String) {
    let answer = client.send(Method::GET, host, "/", Body::Empty, &[]).await.unwrap();
    (answer.status, answer.text)
}

#[test]
fn acc_s1_38_load_balancers_share_an_address_by_host_and_come_and_go_without_a_lost_connection() {
    run(async {
        let (one, two) = (Server::start("one"), Server::start("two"));
        let shared = crate::world::free_address();
        let first = balancer("a", "a.example", one.address, shared);
        let second = balancer("b", "*.b.example", two.address, shared);
        let both = Plan { load_balancers: vec![first.clone(), second.clone()], ..Plan::default() };
        let mut world = World::start(both.clone()).await;
        let is_open = |observed: &Arc<plan::Observed>, id: &LoadBalancerId| {
            let key = ListenerKey { load_balancer: id.clone(), port: 80 };
            observed.listeners.get(&key) == Some(&ListenerState::Open)
        };
        world.wait_until(|seen| is_open(seen, &first.id) && is_open(seen, &second.id)).await;
        let client = Client::new(shared);
        assert_eq!(ask(&client, "A.example:80").await, (200, "one".to_owned()));
        assert_eq!(ask(&client, "x.b.example").await, (200, "two".to_owned()));
        assert_eq!(ask(&client, "elsewhere").await.0, 404);
        // Each is at its own address for itself.
        assert_eq!(ask(&Client::new(second.listeners[0].addresses[0]), "a.example").await.0, 404);

        // The same connection goes on, whoever comes and goes.
        for _ in 0..5 {
            world
                .plans
                .send_replace(Arc::new(Plan { load_balancers: vec![second.clone()], ..Plan::default() }));
            while ask(&client, "a.example").await.0 != 404 {}
            assert_eq!(ask(&client, "x.b.example").await.0, 200);
            world.plans.send_replace(Arc::new(both.clone()));
            while ask(&client, "a.example").await.0 != 200 {}
        }
        assert_eq!(client.n_opened(), 1);
        let metrics = world.metrics.encode();
        for name in ["a", "b"] {
            let line = format!("forebay_requests_total{{load_balancer=\"{name}\"");
            assert!(metrics.contains(&line), "{metrics}");
        }
    });
}

#[test]
fn sni_chooses_whose_certificate_is_shown_and_whose_clients_are_asked() {
    run(async {
        let (one, two) = (Server::start("one"), Server::start("two"));
        let shared = crate::world::free_address();
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let mut all = [
            balancer("a", "a.example", one.address, shared),
            balancer("b", "b.example", two.address, shared),
        ];
        for (balancer, name) in all.iter_mut().zip(["local:a", "local:b"]) {
            balancer.listeners[0].protocol = Protocol::Https;
            balancer.listeners[0].certificates = vec![Certificate { arn: name.to_owned(), source: "issued" }];
        }
        all[1].listeners[0].client_authentication = Some(ClientAuthentication::Verify(ClientVerification {
            trust_store: "clients".to_owned(),
            ignores_expiry: false,
            advertises_authorities: Some(true),
            contents: TrustStore {
                name: "secret:test/clients".into(),
                authorities: clients.pem.as_str().into(),
                revocations: "".into(),
            },
        }));
        let world = World::start(Plan { load_balancers: all.to_vec(), ..Plan::default() }).await;
        let identity = |host: &str, serial| servers.make(host, serial, NOW).identity();
        world.keys.send_replace(Arc::new(HashMap::from([
            ("local:a".to_owned(), identity("a.example", 1)),
            ("local:b".to_owned(), identity("b.example", 2)),
        ])));
        let nobody = TlsClient::new(&servers, None);
        while nobody.open(shared, "a.example").await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let made = clients.make("client", 1, NOW);
        let somebody = TlsClient::new(&servers, Some(&made));
        let status = |answer: String| answer.split(' ').nth(1).unwrap_or_default().to_owned();
        // Nobody is asked at a, and everybody is at b.
        assert_eq!(nobody.ask(shared, "a.example", "").await.map(status), Ok("200".to_owned()));
        nobody.ask(shared, "b.example", "").await.unwrap_err();
        assert_eq!(somebody.ask(shared, "b.example", "").await.map(status), Ok("200".to_owned()));
        // Whoever came in as for a has not shown what b wants to see; the other way round nothing is missing.
        for (client, name, host, expected) in [
            (&nobody, "a.example", "b.example", "421"),
            (&somebody, "a.example", "b.example", "421"),
            (&somebody, "b.example", "a.example", "200"),
        ] {
            let stream = client.open(shared, name).await.unwrap();
            let answer = ask_over(stream, host, "").await.unwrap();
            assert_eq!(status(answer), expected, "{name} {host}");
        }
        assert_eq!(two.n_requests.get(), 1);
    });
}
