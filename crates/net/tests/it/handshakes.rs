//! Handshakes that do not come about, by why; and those of authorities that look for an answer.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use net::{
    Certificates, Drain, Handler, HandshakeFailure, Identity, Limits, Request, Response, ServerTls,
    StatusCode, TlsSettings, TlsVersion,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::run;

const PATIENCE: Duration = Duration::from_secs(5);

/// Remembers why handshakes failed.
#[derive(Clone, Default)]
struct Remembering(Rc<RefCell<Vec<HandshakeFailure>>>);

impl Handler for Remembering {
    async fn handle(&self, _: Request) -> Response {
        Response::new(StatusCode::OK)
    }

    fn handshake_failed(&self, failure: HandshakeFailure, _: &net::Connection) {
        self.0.borrow_mut().push(failure);
    }
}

fn identity(name: &str) -> Identity {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    Identity::from_pem(&made.cert.pem(), &made.signing_key.serialize_pem()).unwrap()
}

fn start(certificates: &Certificates, settings: &TlsSettings) -> (SocketAddr, Remembering, Drain) {
    let tls = ServerTls::new(certificates, settings).unwrap();
    let listener = net::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
    let address = listener.local_addr().unwrap();
    let (drain, watch) = Drain::new();
    let handler = Remembering::default();
    tokio::task::spawn_local(net::serve_tls(listener, tls, handler.clone(), Limits::default(), watch));
    (address, handler, drain)
}

/// The next reason.
async fn reason(handler: &Remembering) -> &'static str {
    loop {
        if let Some(failure) = handler.0.borrow_mut().pop() {
            return failure.as_str();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn every_way_to_fail_has_a_name() {
    run(async {
        let certificates = Certificates::new(&[identity("localhost")]);
        let (address, handler, _drain) = start(&certificates, &TlsSettings::default());
        for (sent, expected) in [
            (&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], "not-tls"),
            (&[22, 3, 1, 0, 5, 9, 0, 0, 1, 7], "malformed"),
            (&[22, 3, 1, 0x40, 0], "client-left"),
            (&[], "client-left"),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            stream.shutdown().await.unwrap();
            assert_eq!(reason(&handler).await, expected, "{sent:?}");
        }
        let authorities = {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut other = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
            other.distinguished_name.push(rcgen::DnType::CommonName, "somebody else");
            net::Authorities::from_pem(&other.self_signed(&key).unwrap().pem()).unwrap()
        };
        let refusing = net::ClientConnection::open_tls(address, "localhost", &authorities, PATIENCE).await;
        assert!(refusing.is_err());
        assert_eq!(reason(&handler).await, "certificate-refused");
        let unknown = net::shown_by(address, "localhost", &["spdy/1"], PATIENCE).await;
        assert!(unknown.is_err());
        assert_eq!(reason(&handler).await, "no-shared-protocol");

        let (nothing, handler, _drain) = start(&Certificates::default(), &TlsSettings::default());
        assert!(net::shown_by(nothing, "localhost", &[], PATIENCE).await.is_err());
        assert_eq!(reason(&handler).await, "no-certificate");
        let new = TlsSettings { versions: vec![TlsVersion::Tls13], ..TlsSettings::default() };
        let (new, handler, _drain) = start(&certificates, &new);
        let mut stream = TcpStream::connect(new).await.unwrap();
        stream.write_all(&client_hello_of_tls12()).await.unwrap();
        assert_eq!(reason(&handler).await, "no-shared-version");
        let names: Vec<&str> = HandshakeFailure::ALL.iter().map(|failure| failure.as_str()).collect();
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
    });
}

/// A ClientHello without `supported_versions` (RFC 5246 §7.4.1.2).
fn client_hello_of_tls12() -> Vec<u8> {
    let extensions: &[u8] = &[
        0, 10, 0, 4, 0, 2, 0, 0x1d, // groups: x25519
        0, 13, 0, 4, 0, 2, 4, 3, // signatures: ecdsa_secp256r1_sha256
    ];
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let mut hello = vec![1, 0];
    hello.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    hello.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend(u16::try_from(hello.len()).unwrap().to_be_bytes());
    record.extend(hello);
    record
}

#[test]
fn an_answer_is_shown_to_authorities_only_and_for_its_host_only() {
    run(async {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        parameters.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(&[7; 32])];
        let answer = parameters.self_signed(&key).unwrap();
        let challenge =
            Identity::challenge_from_pem("A.example", &answer.pem(), &key.serialize_pem()).unwrap();
        let own = identity("a.example");
        let certificates = Certificates::new(&[own, challenge]);
        let settings =
            TlsSettings { protocols: vec!["h2", "http/1.1", net::ACME_TLS], ..TlsSettings::default() };
        let (address, _, _drain) = start(&certificates, &settings);
        let shown = async |name: &str, protocol: &str| {
            let shown = net::shown_by(address, name, &[protocol], PATIENCE).await.unwrap();
            (shown.chain[0] == **answer.der(), shown.protocol.unwrap())
        };
        assert_eq!(shown("a.example", "acme-tls/1").await, (true, "acme-tls/1".to_owned()));
        assert_eq!(shown("a.example", "h2").await, (false, "h2".to_owned()));
        assert!(!shown("b.example", "acme-tls/1").await.0);
    });
}
