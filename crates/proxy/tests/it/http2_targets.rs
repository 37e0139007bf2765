//! Targets that are spoken with in HTTP/2: many requests on few connections, both ways at a time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use h2::Reason;
use net::{Bytes, Method};
use plan::ProtocolVersion;

use crate::http2::{
    CALL, ask, balancer_of, call, connect, connections_only, get, http2_group, request, respond, start,
    start_by_hand, wait_until,
};
use crate::world::{Client, Server, World, plan_of, run};

#[test]
fn many_requests_share_one_connection_and_say_what_they_said() {
    run(async {
        let target = start();
        let balancer = balancer_of(http2_group(ProtocolVersion::Http2, &[target.address]));
        let world = World::start(plan_of(&balancer)).await;
        assert_eq!(world.state_of(target.address), Some("healthy"));
        let client = connect(balancer.listeners[0].addresses[0]).await;
        let asking: Vec<_> = (0..50)
            .map(|_| {
                let client = client.clone();
                tokio::task::spawn_local(async move { get(&client, "/pause").await.unwrap().text })
            })
            .collect();
        for asked in asking {
            assert_eq!(asked.await.unwrap(), "paused");
        }
        // The client's connection lives on one core.
        assert_eq!(target.seen.connections.borrow().len(), 1);
        assert!(target.seen.most_at_once.get() > 25, "{}", target.seen.most_at_once.get());

        let fields = [("x-a", "1"), ("cookie", "a=b")];
        let told = ask(&client, request(Method::PUT, "/fields?q=%20", &fields), b"12345").await.unwrap();
        let lines: Vec<&str> = told.text.lines().collect();
        assert_eq!(lines[0], "PUT /fields?q=%20");
        for expected in [
            "host: a.example.com",
            "x-a: 1",
            "cookie: a=b",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: http",
            "x-forwarded-port: 80",
        ] {
            assert!(lines.contains(&expected), "{expected} is not in\n{}", told.text);
        }
    });
}

#[test]
fn bodies_of_all_sizes_pass_both_ways() {
    run(async {
        let target = start();
        let balancer = balancer_of(http2_group(ProtocolVersion::Http2, &[target.address]));
        let _world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        for n_bytes in [0, 1, 16_384, 70_000, (1 << 20) + 1, 3 << 20] {
            let answer =
                ask(&client, request(Method::POST, "/echo", &[]), &vec![b'x'; n_bytes]).await.unwrap();
            assert_eq!((answer.status, answer.text.len()), (200, n_bytes));
        }
    });
}

#[test]
fn requests_that_the_group_cannot_be_asked_are_464() {
    run(async {
        let (old, new) = (Server::start("old"), start());
        for (version, target, cases) in [
            // Version and method of the request, and whether it is a call: the status, or that of gRPC.
            (ProtocolVersion::Http1, old.address, [("1 GET", 200), ("2 GET", 200), ("2 CALL", 12)]),
            (ProtocolVersion::Http2, new.address, [("1 GET", 464), ("2 GET", 200), ("2 CALL", 0)]),
            (ProtocolVersion::Grpc, new.address, [("1 GET", 464), ("2 GET", 464), ("2 CALL", 0)]),
        ] {
            let balancer = balancer_of(http2_group(version, &[target]));
            let _world = World::start(plan_of(&balancer)).await;
            let address = balancer.listeners[0].addresses[0];
            let client = connect(address).await;
            for (asked, expected) in cases {
                let (status, reason) = match asked {
                    "1 GET" => {
                        let answer = Client::new(address).get("/").await;
                        (answer.status, answer.fields.text("x-forebay-reason").unwrap_or_default().to_owned())
                    }
                    "2 GET" => {
                        let answer = get(&client, "/").await.unwrap();
                        (answer.status, answer.field("x-forebay-reason").to_owned())
                    }
                    _ => {
                        let answer = call(&client, "/", b"").await.unwrap();
                        let code = answer.field("grpc-status").parse().unwrap();
                        (code, answer.field("x-forebay-reason").to_owned())
                    }
                };
                let is_refused = matches!(expected, 464 | 12);
                let expected = (expected, if is_refused { "target-version" } else { "" });
                assert_eq!((status, reason.as_str()), expected, "{version:?} asked {asked}");
            }
        }
    });
}

#[test]
fn a_client_that_leaves_takes_its_request_back_from_the_target() {
    run(async {
        let target = start();
        let balancer = balancer_of(http2_group(ProtocolVersion::Grpc, &[target.address]));
        let world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        // One that waits for its answer, and one within it.
        let mut ready = client.clone().ready().await.unwrap();
        let (waiting, mut sending) =
            ready.send_request(request(Method::POST, "/never", &CALL), false).unwrap();
        wait_until(|| target.seen.n_at_once.get() == 1).await;
        sending.send_reset(Reason::CANCEL);
        drop(waiting);
        wait_until(|| target.seen.n_dropped.get() == 1).await;
        let mut ready = client.clone().ready().await.unwrap();
        let (answer, _sending) = ready.send_request(request(Method::POST, "/endless", &CALL), true).unwrap();
        let mut stream = answer.await.unwrap().into_body();
        assert!(stream.data().await.unwrap().is_ok());
        drop(stream);
        let in_flight = || world.observed.borrow().targets.values().map(|it| it.in_flight).sum::<u32>();
        wait_until(|| in_flight() == 0).await;
        // Nobody takes it any more, so it comes to a standstill.
        let mut n_sent = 0;
        while target.seen.n_bytes_sent.get() != n_sent {
            n_sent = target.seen.n_bytes_sent.get();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(call(&client, "/", b"1").await.unwrap().field("grpc-status"), "0");
    });
}

#[test]
fn an_answer_that_nobody_takes_is_not_piled_up_and_holds_nobody_up() {
    run(async {
        let target = start();
        let balancer = balancer_of(http2_group(ProtocolVersion::Http2, &[target.address]));
        let _world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        let client = connect(address).await;
        let mut idle = Vec::new();
        for _ in 0..20 {
            let mut ready = client.clone().ready().await.unwrap();
            let (answer, _) = ready.send_request(request(Method::POST, "/endless", &[]), true).unwrap();
            idle.push(answer.await.unwrap().into_body());
        }
        let sent = || target.seen.n_bytes_sent.get();
        let mut before = 0;
        while sent() != before {
            before = sent();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Windows and buffers of two hops, and what the client takes.
        assert!(before < 20 * 512 * 1024, "{before}");
        let other = connect(address).await;
        assert_eq!(get(&other, "/pause").await.unwrap().text, "paused");
    });
}

#[test]
fn a_target_that_takes_few_requests_at_a_time_gets_more_connections_and_no_more_requests() {
    run(async {
        let (most, n_connections) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (seen, counted) = (Rc::clone(&most), Rc::clone(&n_connections));
        let address = start_by_hand(move |_, stream| {
            let (seen, counted) = (Rc::clone(&seen), Rc::clone(&counted));
            async move {
                let mut builder = h2::server::Builder::new();
                let Ok(mut server) = builder.max_concurrent_streams(2).handshake::<_, Bytes>(stream).await
                else {
                    return;
                };
                let at_once = Rc::new(Cell::new(0));
                let mut is_first = true;
                while let Some(Ok((_request, mut answer))) = server.accept().await {
                    counted.set(counted.get() + usize::from(std::mem::take(&mut is_first)));
                    at_once.set(at_once.get() + 1);
                    seen.set(seen.get().max(at_once.get()));
                    let at_once = Rc::clone(&at_once);
                    tokio::task::spawn_local(async move {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                        at_once.set(at_once.get() - 1);
                        respond(&mut answer, "here");
                    });
                }
            }
        });
        let balancer = balancer_of(connections_only(http2_group(ProtocolVersion::Http2, &[address])));
        let _world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        assert_eq!(get(&client, "/").await.unwrap().text, "here");
        let asking: Vec<_> = (0..60)
            .map(|_| {
                let client = client.clone();
                tokio::task::spawn_local(async move { get(&client, "/").await.unwrap().text })
            })
            .collect();
        for asked in asking {
            assert_eq!(asked.await.unwrap(), "here");
        }
        assert_eq!(most.get(), 2);
        assert!((2..=8).contains(&n_connections.get()), "{}", n_connections.get());
    });
}
