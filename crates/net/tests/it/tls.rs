use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use net::{
    Authorities, Body, Certificates, ClientConnection, Drain, Fields, Identity, Limits, Method, Outgoing,
    Request, Response, ServerTls, StatusCode, TlsSettings, TlsVersion, Upgrade,
};
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{echo, run, start, talk};

const SECOND: Duration = Duration::from_secs(1);

/// A certificate for `localhost`, which is its own authority.
fn identity() -> (Identity, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    (Identity::from_pem(&certificate, &made.signing_key.serialize_pem()).unwrap(), certificate)
}

fn start_tls() -> (SocketAddr, Certificates, String, Drain) {
    let (identity, certificate) = identity();
    let certificates = Certificates::new(&[identity]);
    let tls = ServerTls::new(&certificates, &TlsSettings::default()).unwrap();
    let listener = net::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
    let address = listener.local_addr().unwrap();
    let (drain, watch) = Drain::new();
    tokio::task::spawn_local(net::serve_tls(listener, tls, echo, Limits::default(), watch));
    (address, certificates, certificate, drain)
}

async fn open(address: SocketAddr, name: &str, authority: &str) -> Result<ClientConnection, String> {
    let authorities = Authorities::from_pem(authority).unwrap();
    let opening = ClientConnection::open_tls(address, name, &authorities, 5 * SECOND).await;
    opening.map_err(|error| error.to_string())
}

async fn post(
    connection: ClientConnection,
    body: Body,
    give_back: impl FnOnce(ClientConnection) + 'static,
) -> Vec<u8> {
    let mut fields = Fields::new();
    fields.push("host", "localhost");
    let outgoing =
        Outgoing { method: &Method::POST, target: "/", fields: &fields, body, timeout: 5 * SECOND };
    let response = connection.send(outgoing, give_back).await.unwrap();
    assert_eq!(response.status, StatusCode::OK);
    response.body.collect(16 << 20).await.unwrap().to_vec()
}

#[test]
fn requests_of_all_sizes_go_through_tls_and_the_connection_is_used_again() {
    run(async {
        let (address, _, authority, _drain) = start_tls();
        let mut connection = open(address, "localhost", &authority).await.unwrap();
        for size in [0, 1, 100_000, 5 << 20] {
            let sent = vec![b'x'; size];
            let back = Rc::new(Cell::new(None));
            let keep = Rc::clone(&back);
            let received =
                post(connection, Body::from(sent.clone()), move |connection| keep.set(Some(connection)));
            assert!(received.await == sent, "{size}");
            connection = back.take().expect("the connection is given back");
            assert!(connection.is_open());
        }
    });
}

#[test]
fn a_server_must_prove_its_name_to_somebody_who_is_believed() {
    run(async {
        let (address, certificates, authority, _drain) = start_tls();
        assert!(open(address, "localhost", &authority).await.is_ok());
        let (other, other_authority) = identity();
        let stranger = open(address, "localhost", &other_authority).await.map(|_| ()).unwrap_err();
        assert!(stranger.contains("certificate"), "{stranger}");
        let misnamed = open(address, "example.com", &authority).await.map(|_| ()).unwrap_err();
        assert!(misnamed.contains("certificate"), "{misnamed}");
        certificates.replace(&[other]);
        assert!(open(address, "localhost", &other_authority).await.is_ok());
        assert!(open(address, "localhost", &authority).await.is_err());
    });
}

#[test]
fn who_speaks_without_tls_is_told_so() {
    run(async {
        let (address, _, _, _drain) = start_tls();
        let answer = talk(address, b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("this port speaks https"), "{answer}");
    });
}

#[test]
fn a_drain_does_not_wait_for_those_who_never_begin() {
    run(async {
        let (address, _, _, drain) = start_tls();
        let silent = TcpStream::connect(address).await.unwrap();
        tokio::task::yield_now().await;
        assert!(drain.finish(5 * SECOND).await);
        drop(silent);
    });
}

#[test]
fn keys_and_certificates_that_do_not_fit_are_refused() {
    let ours = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
    let refused = |certificate: &str, key: &str| {
        Identity::from_pem(certificate, key).map(|_| ()).unwrap_err().to_string()
    };
    let (certificate, key) = (ours.cert.pem(), other.signing_key.serialize_pem());
    assert!(refused(&certificate, &key).starts_with("the certificate cannot be used"));
    assert!(refused("", &key).starts_with("no certificate"));
    assert!(refused(&certificate, "hello").starts_with("no private key"));
}

#[test]
fn both_sides_agree_on_http2_where_it_is_offered_and_on_a_version_that_both_speak() {
    run(async {
        let (identity, authority) = identity();
        let certificates = Certificates::new(&[identity]);
        let start = |settings: &TlsSettings| {
            let tls = ServerTls::new(&certificates, settings).unwrap();
            let listener = net::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
            let address = listener.local_addr().unwrap();
            let (drain, watch) = Drain::new();
            tokio::task::spawn_local(net::serve_tls(listener, tls, echo, Limits::default(), watch));
            (address, drain)
        };
        let handshake =
            async |address: SocketAddr, versions: &[&'static rustls::SupportedProtocolVersion]| {
                let mut roots = rustls::RootCertStore::empty();
                let pem = rustls::pki_types::CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
                roots.add(pem).unwrap();
                let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
                let config =
                    rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
                let mut config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
                config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
                let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
                let stream = TcpStream::connect(address).await.unwrap();
                let name = "localhost".try_into().unwrap();
                let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
                let state = stream.get_ref().1;
                let group = state.negotiated_key_exchange_group().map(|group| u16::from(group.name()));
                let protocol = state.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
                Ok::<_, String>((protocol.unwrap_or_default(), group.unwrap_or_default()))
            };
        const X25519MLKEM768: u16 = 0x11ec;
        const X25519: u16 = 0x1d;
        let both = rustls::ALL_VERSIONS;
        let (all, _all) = start(&TlsSettings::default());
        assert_eq!(handshake(all, both).await.unwrap(), ("h2".to_owned(), X25519MLKEM768));
        let classical =
            TlsSettings { groups: vec![X25519], protocols: vec!["http/1.1"], ..TlsSettings::default() };
        let (classical, _classical) = start(&classical);
        assert_eq!(handshake(classical, both).await.unwrap(), ("http/1.1".to_owned(), X25519));
        let new = TlsSettings { versions: vec![TlsVersion::Tls13], ..TlsSettings::default() };
        let (new, _new) = start(&new);
        assert!(handshake(new, both).await.is_ok());
        let old = handshake(new, &[&rustls::version::TLS12]).await.unwrap_err();
        assert!(old.contains("version") || old.contains("alert"), "{old}");
        let nothing = TlsSettings { cipher_suites: vec![0x0005], ..TlsSettings::default() };
        assert!(ServerTls::new(&certificates, &nothing).is_err());
    });
}

// === upgrades ===

/// Gives what a client says back in capitals, once the connection is handed over.
async fn shout(request: Request) -> Response {
    match request.target.path() {
        "/refused" => Response::new(StatusCode::SWITCHING_PROTOCOLS),
        _ => Response::switching_protocols(Upgrade::new(|mut connection| async move {
            let mut bytes = [0; 64];
            while let Ok(n_bytes @ 1..) = connection.read(&mut bytes).await {
                bytes.make_ascii_uppercase();
                connection.write_all(&bytes[..n_bytes]).await.unwrap();
            }
            connection.shutdown().await.unwrap();
        }))
        .with_field("upgrade", "shouting"),
    }
}

#[test]
fn a_connection_is_handed_over_with_what_was_sent_early() {
    run(async {
        let (address, drain) = start(shout, Limits::default());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nearly ").await.unwrap();
        let mut answer = vec![0; 512];
        let mut n_bytes = 0;
        while !answer[..n_bytes].ends_with(b"EARLY ") {
            n_bytes += stream.read(&mut answer[n_bytes..]).await.unwrap();
        }
        let head = String::from_utf8_lossy(&answer[..n_bytes]).into_owned();
        assert_eq!(
            head,
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: shouting\r\n\r\nEARLY "
        );
        // It counts as open for as long as whoever has it.
        let finishing = tokio::task::spawn_local(drain.finish(20 * SECOND));
        stream.write_all(b"late").await.unwrap();
        let mut late = [0; 4];
        stream.read_exact(&mut late).await.unwrap();
        assert_eq!(&late, b"LATE");
        assert!(!finishing.is_finished());
        drop(stream);
        assert!(finishing.await.unwrap());
    });
}

#[test]
fn nobody_switches_protocols_without_somebody_to_go_on() {
    run(async {
        let (address, _drain) = start(shout, Limits::default());
        for head in ["GET /refused HTTP/1.1\r\nhost: a\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
            let answer = talk(address, head.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
        // The rest of a body would be read as what comes after the switch.
        let posted = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab";
        let answer = talk(address, posted.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    });
}
