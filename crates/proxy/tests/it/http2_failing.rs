//! Targets of HTTP/2 that refuse, end, go, or speak something else.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use h2::Reason;
use net::Method;
use plan::ProtocolVersion;

use crate::http2::{
    ask, balancer_of, connect, connections_only, get, http2_group, request, respond, start, start_by_hand,
    wait_until,
};
use crate::world::{World, of_ours, plan_of, run};

#[test]
fn requests_that_a_target_did_not_look_at_are_asked_again_whatever_they_are() {
    run(async {
        let n_refused = Rc::new(Cell::new(0));
        let refused = Rc::clone(&n_refused);
        // It refuses the first request, answers the second and says with it that it ends, and leaves the third alone.
        let address = start_by_hand(move |_, stream| {
            let refused = Rc::clone(&refused);
            async move {
                let Ok(mut server) = h2::server::handshake(stream).await else { return };
                let mut n_here = 0;
                while let Some(Ok((_request, mut answer))) = server.accept().await {
                    n_here += 1;
                    if refused.get() == 0 {
                        refused.set(1);
                        answer.send_reset(Reason::REFUSED_STREAM);
                    } else {
                        respond(&mut answer, "here");
                        if n_here > 1 {
                            server.graceful_shutdown();
                        }
                    }
                }
            }
        });
        let balancer = balancer_of(connections_only(http2_group(ProtocolVersion::Http2, &[address])));
        let _world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        for n in 0..20 {
            let answer = ask(&client, request(Method::POST, "/", &[]), b"not idempotent").await.unwrap();
            assert_eq!((answer.status, answer.text.as_str()), (200, "here"), "request {n}");
        }
        assert_eq!(n_refused.get(), 1);
    });
}

#[test]
fn a_target_that_goes_costs_no_request() {
    run(async {
        let (mut one, two) = (start(), start());
        let group = of_ours(http2_group(ProtocolVersion::Http2, &[one.address, two.address]));
        let balancer = balancer_of(group);
        let _world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        let is_done = Rc::new(Cell::new(false));
        let asking: Vec<_> = (0..16)
            .map(|_| {
                let (client, is_done) = (client.clone(), Rc::clone(&is_done));
                tokio::task::spawn_local(async move {
                    let mut n = 0;
                    while !is_done.get() {
                        let answer = ask(&client, request(Method::POST, "/", &[]), b"12345").await.unwrap();
                        assert_eq!((answer.status, answer.text.as_str()), (200, "5"));
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        wait_until(|| one.seen.n_requests.get() > 50).await;
        drop(one.drain.take());
        let before = two.seen.n_requests.get();
        wait_until(|| two.seen.n_requests.get() > before + 200).await;
        is_done.set(true);
        for asked in asking {
            assert!(asked.await.unwrap() > 0);
        }
    });
}

#[test]
fn a_server_that_speaks_no_http_2_is_no_target_of_it() {
    run(async {
        let address = start_by_hand(|_, stream| async move {
            let _ = stream.readable().await;
            let _ = stream.try_write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
        let balancer = balancer_of(connections_only(http2_group(ProtocolVersion::Http2, &[address])));
        let _world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        let answer = get(&client, "/").await.unwrap();
        assert_eq!((answer.status, answer.field("x-forebay-reason")), (502, "target-malformed"));
    });
}
