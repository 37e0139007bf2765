//! The data plane with real sockets on loopback: plans in, traffic through.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod algorithms;
mod balancing;
mod broken;
mod cache;
mod client_certificates;
mod compression;
mod concurrency;
mod downgrade;
mod ejection;
mod grpc_targets;
mod handling;
mod header_modification;
mod http2;
mod http2_ended;
mod http2_failing;
mod http2_targets;
mod limits;
mod logs;
mod mirror;
mod network;
mod plans;
mod rate_limit;
mod requests;
mod secure_targets;
mod shared_addresses;
mod stickiness;
mod targets;
mod tls;
mod tls_client;
mod tls_policies;
mod tokens;
mod trailers;
mod udp;
mod websocket;
mod world;
