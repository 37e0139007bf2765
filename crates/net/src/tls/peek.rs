//! What a server shows to whoever asks for a name, believed or not: for people who want to see a certificate.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::believing::believing_all;

/// What a server showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its certificate, then those of its chain, in DER form.
    pub chain: Vec<Vec<u8>>,
    /// For example `TLSv1.3`.
    pub version: String,
    /// For example `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// What would be spoken inside, when both sides agreed on it.
    pub protocol: Option<String>,
}

/// Opens TLS with a server, asks for a name and for one of these protocols (RFC 7301), and leaves. Nothing is sent to a server
/// that nobody believes.
///
/// # Errors
/// When no handshake comes about.
pub async fn shown_by(
    address: SocketAddr,
    name: &str,
    protocols: &[&str],
    patience: Duration,
) -> io::Result<Shown> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
    let name = ServerName::try_from(name.to_owned()).map_err(|error| invalid(error.to_string()))?;
    let mut config = believing_all();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = tokio::time::timeout(patience, async {
        connector.connect(name, TcpStream::connect(address).await?).await
    });
    let stream = stream.await??;
    let (_, connection) = stream.get_ref();
    let chain = connection.peer_certificates().unwrap_or_default();
    Ok(Shown {
        chain: chain.iter().map(|certificate| certificate.to_vec()).collect(),
        version: connection
            .protocol_version()
            .and_then(|it| it.as_str())
            .unwrap_or_default()
            .replace('_', "."),
        cipher: connection
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or_default()
            .to_owned(),
        protocol: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
    })
}
