//! Calls of gRPC to targets that speak it.

use std::net::SocketAddr;
use std::rc::Rc;

use http::HeaderMap;
use net::{Bytes, Drain, Limits, Method, Request, Response, StatusCode};
use plan::{CodeSet, Matcher, ProtocolVersion, Replay};

use crate::http2::{CALL, balancer_of, call, connect, http2_group, request, start, start_by_hand};
use crate::world::{World, free_address, plan_of, run};

#[test]
fn calls_stream_both_ways_at_a_time_and_end_with_trailers() {
    run(async {
        let target = start();
        let mut group = http2_group(ProtocolVersion::Grpc, &[target.address]);
        // Whatever may be asked again is not held back for that.
        group.replay = Replay::Everything;
        group.health_check.matcher = Matcher::Grpc(CodeSet::parse("0", 0..=99).unwrap());
        let balancer = balancer_of(group);
        let _world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        let mut ready = client.clone().ready().await.unwrap();
        let (answer, mut sending) = ready.send_request(request(Method::POST, "/echo", &CALL), false).unwrap();
        sending.send_data(Bytes::from_static(b"first"), false).unwrap();
        let (head, mut stream) = answer.await.unwrap().into_parts();
        assert_eq!(head.headers["content-type"], "application/grpc");
        assert_eq!(stream.data().await.unwrap().unwrap(), "first");
        for word in ["second", "third"] {
            sending.send_data(Bytes::from_static(word.as_bytes()), false).unwrap();
            assert_eq!(stream.data().await.unwrap().unwrap(), word, "an answer before the next word");
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "7".parse().unwrap());
        sending.send_trailers(trailers).unwrap();
        assert!(stream.data().await.is_none());
        assert_eq!(stream.trailers().await.unwrap().unwrap()["grpc-status"], "7");
        // Of the client's trailers and of the target's.
        let mut ready = client.clone().ready().await.unwrap();
        let (answer, mut sending) = ready.send_request(request(Method::POST, "/", &CALL), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "15".parse().unwrap());
        sending.send_data(Bytes::from_static(b"12345"), false).unwrap();
        sending.send_trailers(trailers).unwrap();
        let mut stream = answer.await.unwrap().into_body();
        assert_eq!(stream.data().await.unwrap().unwrap(), "5");
        let trailers = stream.trailers().await.unwrap().unwrap();
        assert_eq!(
            (trailers["grpc-status"].as_bytes(), trailers["x-came"].as_bytes()),
            (b"0".as_slice(), b"15".as_slice())
        );
    });
}

#[test]
fn what_the_balancer_answers_itself_is_an_answer_of_grpc() {
    run(async {
        // It ends connections over which it is asked anything.
        let address = start_by_hand(|_, stream| async move {
            if let Ok(mut server) = h2::server::handshake(stream).await {
                let _ = server.accept().await;
            }
        });
        let silent = start();
        for (target, path, status, reason) in [
            (Some(address), "/", "14", "target-closed"),
            (None, "/", "14", "no-targets"),
            (Some(silent.address), "/never", "4", "target-timeout"),
            (Some(free_address()), "/", "14", "target-unreachable"),
        ] {
            let targets: Vec<SocketAddr> = target.into_iter().collect();
            let mut group = http2_group(ProtocolVersion::Grpc, &targets);
            group.health_check.protocol = plan::Protocol::Tcp;
            group.health_check.matcher = Matcher::Connection;
            let mut balancer = balancer_of(group);
            assert!(balancer.attributes.set(plan::attributes::IDLE_TIMEOUT, "1").is_ok());
            let _world = World::start(plan_of(&balancer)).await;
            let client = connect(balancer.listeners[0].addresses[0]).await;
            let answer = call(&client, path, b"12345").await.unwrap();
            assert_eq!(answer.status, 200);
            assert_eq!((answer.field("grpc-status"), answer.field("x-forebay-reason")), (status, reason));
        }
    });
}

#[test]
fn calls_tell_the_health_of_targets_of_grpc() {
    run(async {
        let in_trailers = start();
        let codes = |codes: &str| Matcher::Grpc(CodeSet::parse(codes, 0..=99).unwrap());
        for (matcher, state) in [("0", "healthy"), ("0-99", "healthy"), ("12", "unhealthy")] {
            let mut group = http2_group(ProtocolVersion::Grpc, &[in_trailers.address]);
            group.health_check.path = Some("/AWS.ALB/healthcheck".into());
            group.health_check.matcher = codes(matcher);
            let mut world = World::start(plan_of(&balancer_of(group))).await;
            world.wait_until(|observed| observed.targets.values().all(|it| it.state.as_str() == state)).await;
            if state == "unhealthy" {
                let observed = world.observed.borrow();
                let description = &observed.targets.values().next().unwrap().description;
                assert!(description.contains("gRPC status codes: [0]"), "{description}");
            }
        }
        // A call that comes to nothing has its status in the head.
        let in_head = Rc::new(|_: Request| async {
            Response::new(StatusCode::OK)
                .with_field("content-type", "application/grpc")
                .with_field("grpc-status", "12")
        });
        let address = free_address();
        let listener = net::bind(address, 1).unwrap().remove(0);
        let (_drain, watch) = Drain::new();
        let handler = move |request| in_head(request);
        tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch));
        let mut group = http2_group(ProtocolVersion::Grpc, &[address]);
        group.health_check.matcher = codes("12");
        let world = World::start(plan_of(&balancer_of(group))).await;
        assert_eq!(world.state_of(address), Some("healthy"));
    });
}
