//! Requests over a real socket.

use std::net::SocketAddr;

use net::{Drain, Limits, bind, serve};
use serving::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::fixture::{served, server};

#[test]
fn acc_s0_31_a_model_answers_over_a_socket() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        let handler = server(vec![served("iris")], Settings::default()).handler();
        let (drain, watch) = Drain::new();
        let serving = tokio::task::spawn_local(serve(listener, handler, Limits::default(), watch));
        let body = r#"{"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}"#;
        let request = format!(
            "POST /v1/models/iris:predict HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let response = exchange(address, &request).await;
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert!(response.ends_with("\r\n\r\n{\"predictions\":[1,1]}"), "{response}");
        let request = "HEAD /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let response = exchange(address, request).await;
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("\r\n\r\n"), "{response}");
        drain.begin();
        serving.await.unwrap().unwrap();
    });
}

/// Sends a request, and reads to the end of the connection.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}
