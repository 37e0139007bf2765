//! The certificate that a client showed, in the forms in which load balancers tell servers of it.

use std::cell::OnceCell;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

use super::distinguished_name;

/// The certificate of a client, with those that it sent along. Its forms are made when somebody first asks for them, once
/// for a connection.
#[derive(Debug)]
pub struct ClientCertificate {
    /// Its own is the first; never empty.
    chain: Box<[CertificateDer<'static>]>,
    facts: OnceCell<Option<ClientCertificateFacts>>,
    leaf_text: OnceCell<String>,
    chain_text: OnceCell<String>,
}

/// What the certificate of a client says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificateFacts {
    /// Its number in hexadecimal, for example `03A5B1`.
    pub serial_number: String,
    /// Who signed it, as RFC 2253 writes names.
    pub issuer: String,
    /// Whom it is about, as RFC 2253 writes names.
    pub subject: String,
    /// From when and until when it holds, for example `NotBefore=2023-09-21T01:50:17Z;NotAfter=2024-09-20T01:50:17Z`.
    pub validity: String,
}

// === impl ClientCertificate ===

impl ClientCertificate {
    pub(crate) fn new(chain: &[CertificateDer<'static>]) -> Option<Self> {
        let chain: Box<[_]> = chain.into();
        (!chain.is_empty()).then(|| Self {
            chain,
            facts: OnceCell::new(),
            leaf_text: OnceCell::new(),
            chain_text: OnceCell::new(),
        })
    }

    /// What it says of itself; `None` when that cannot be read.
    #[must_use]
    pub fn facts(&self) -> Option<&ClientCertificateFacts> {
        self.facts.get_or_init(|| ClientCertificateFacts::of(self.chain.first()?)).as_ref()
    }

    /// The certificate itself in PEM form, as it stands in a URL.
    #[must_use]
    pub fn leaf_text(&self) -> &str {
        self.leaf_text.get_or_init(|| self.chain.first().map(in_url).unwrap_or_default())
    }

    /// The same, and after it those that came along.
    #[must_use]
    pub fn chain_text(&self) -> &str {
        self.chain_text.get_or_init(|| self.chain.iter().map(in_url).collect())
    }
}

// === impl ClientCertificateFacts ===

impl ClientCertificateFacts {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let validity = certificate.validity();
        Some(Self {
            serial_number: hexadecimal(certificate.raw_serial()),
            issuer: distinguished_name::text(certificate.issuer()),
            subject: distinguished_name::text(certificate.subject()),
            validity: format!(
                "NotBefore={};NotAfter={}",
                time(validity.not_before),
                time(validity.not_after)
            ),
        })
    }
}

/// A number without the byte that only says that it is not negative.
fn hexadecimal(number: &[u8]) -> String {
    let number = match number {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    number.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn time(time: ASN1Time) -> String {
    let time = time.to_datetime();
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

/// A certificate in PEM form (RFC 7468) with `%20` and `%0A` for what may not stand in a URL; `+`, `=` and `/` stay ("Mutual
/// authentication with TLS", ALB user guide).
fn in_url(certificate: &CertificateDer<'static>) -> String {
    let encoded = BASE64_STANDARD.encode(certificate);
    let mut text = String::with_capacity(encoded.len() + encoded.len() / 16 + 80);
    text.push_str("-----BEGIN%20CERTIFICATE-----%0A");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push_str("%0A");
        rest = more;
    }
    text.push_str("-----END%20CERTIFICATE-----%0A");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber, date_time_ymd};

    fn certificate() -> CertificateDer<'static> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.serial_number = Some(SerialNumber::from(vec![0x03, 0xa5, 0xb1]));
        params.not_before = date_time_ymd(2023, 9, 21);
        params.not_after = date_time_ymd(2124, 9, 20);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "US");
        params.distinguished_name.push(DnType::OrganizationName, "mTLS, \"quoted\"");
        params.distinguished_name.push(DnType::CommonName, "client_.com");
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn a_certificate_says_of_itself_what_servers_are_told() {
        let der = certificate();
        let client = ClientCertificate::new(std::slice::from_ref(&der)).unwrap();
        let facts = client.facts().unwrap();
        assert_eq!(facts.serial_number, "03A5B1");
        assert_eq!(facts.subject, r#"CN=client_.com,O=mTLS\, \"quoted\",C=US"#);
        assert_eq!(facts.issuer, facts.subject);
        assert_eq!(facts.validity, "NotBefore=2023-09-21T00:00:00Z;NotAfter=2124-09-20T00:00:00Z");
    }

    #[test]
    fn its_text_can_stand_in_a_field_and_be_read_back() {
        let der = certificate();
        let client = ClientCertificate::new(&[der.clone(), der.clone()]).unwrap();
        assert_eq!(client.chain_text(), client.leaf_text().repeat(2));
        let text = client.leaf_text();
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
        let pem = text.replace("%0A", "\n").replace("%20", " ");
        let identity =
            <CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(pem.as_bytes());
        assert_eq!(identity.unwrap(), der);
    }

    proptest::proptest! {
        #[test]
        fn whatever_stands_in_a_certificate_can_stand_in_a_field(
            changes in proptest::collection::vec((0_usize..600, 0_u8..), 0..8),
        ) {
            let mut bytes = certificate().to_vec();
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            crate::fuzzing::client_certificates(&bytes);
        }
    }

    #[test]
    fn numbers_lose_only_the_byte_of_their_sign() {
        assert_eq!(hexadecimal(&[0, 0x80]), "80");
        assert_eq!((hexadecimal(&[0]), hexadecimal(&[])), ("00".to_owned(), String::new()));
    }

    #[test]
    fn what_is_no_certificate_has_no_facts() {
        let client = ClientCertificate::new(&[CertificateDer::from(vec![1, 2, 3])]).unwrap();
        assert_eq!(client.facts(), None);
        assert!(client.leaf_text().contains("%0AAQID%0A"));
        assert!(ClientCertificate::new(&[]).is_none());
    }
}
