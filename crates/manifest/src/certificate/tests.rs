use std::sync::LazyLock;

use super::*;

/// A certificate with its key, both in PEM form.
pub(crate) struct Made {
    pub(crate) certificate: String,
    pub(crate) key: String,
    signer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

/// A certificate for names, by another one or by itself.
fn made(names: &[&str], by: Option<&Made>, adjust: impl FnOnce(&mut rcgen::CertificateParams)) -> Made {
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = rcgen::CertificateParams::new(names.clone()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let subject = names.first().map_or("nobody", String::as_str);
    parameters.distinguished_name.push(rcgen::DnType::CommonName, subject);
    adjust(&mut parameters);
    let certificate = match by {
        Some(by) => parameters.signed_by(&key, &by.signer).unwrap(),
        None => parameters.self_signed(&key).unwrap(),
    };
    let (certificate, text) = (certificate.pem(), key.serialize_pem());
    Made { certificate, key: text, signer: rcgen::Issuer::new(parameters, key) }
}

/// A certificate for one name that signed itself, from 2026-01-01 for a year.
pub(crate) fn simple(name: &str) -> Made {
    made(&[name], None, |parameters| {
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2027, 1, 1);
    })
}

/// The same from 2026-07-01 for some years.
pub(crate) fn until_2030(name: &str) -> Made {
    made(&[name], None, |parameters| {
        parameters.not_before = rcgen::date_time_ymd(2026, 7, 1);
        parameters.not_after = rcgen::date_time_ymd(2030, 1, 1);
    })
}

fn authority(name: &str, by: Option<&Made>) -> Made {
    made(&[name], by, |parameters| parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained))
}

static ONE: LazyLock<Made> = LazyLock::new(|| simple("one.example"));
static TWO: LazyLock<Made> = LazyLock::new(|| simple("two.example"));

fn told(certificate: &str, key: &str) -> String {
    match read_pair(certificate, key) {
        Ok(read) => {
            let notes = read.notes.iter().map(|note| format!("; line {}: {}", note.line, note.problem));
            read.facts.names.join(",") + &notes.collect::<String>()
        }
        Err(Fault { part, line, problem, .. }) => format!("{part:?} {line}: {problem}"),
    }
}

#[test]
fn what_a_certificate_says_of_itself() {
    let read = read_pair(&ONE.certificate, &ONE.key)
        .map_err(|fault| fault.problem)
        .unwrap_or_else(|_| unreachable!());
    let facts = &read.facts;
    assert_eq!((facts.names.join(","), facts.key.as_str()), ("one.example".to_owned(), "ECDSA P-256"));
    assert_eq!((facts.subject.as_str(), facts.issuer.as_str()), ("CN=one.example", "CN=one.example"));
    assert_eq!(
        (facts.from.to_string(), facts.until.to_string()),
        ("2026-01-01T00:00:00Z".to_owned(), "2027-01-01T00:00:00Z".to_owned())
    );
    assert_eq!(facts.fingerprint.len(), 32 * 3 - 1);
    assert_eq!(read_facts(&ONE.certificate).as_ref(), Some(facts));
    for (now, holds) in [
        ("2025-12-31T23:59:59Z", Holds::NotYet),
        ("2026-06-01T00:00:00Z", Holds::Well),
        ("2026-12-10T00:00:00Z", Holds::ForWeeks),
        ("2026-12-28T00:00:00Z", Holds::ForDays),
        ("2027-01-01T00:00:01Z", Holds::Ended),
    ] {
        assert_eq!(facts.holds(now.parse().unwrap()), holds, "{now}");
    }
}

#[test]
fn acc_s2_14_acc_s2_15_a_wildcard_stands_for_one_label_and_every_name_counts() {
    let both = made(&["*.platform.example.com", "*.staging.example.com"], None, |_| {});
    let facts = read_facts(&both.certificate).unwrap();
    for (host, is_covered) in [
        ("sklearn-iris.platform.example.com", true),
        ("SKLEARN-iris.Staging.example.com", true),
        ("sklearn-iris.staging.platform.example.com", false),
        ("platform.example.com", false),
    ] {
        assert_eq!(facts.covers(host), is_covered, "{host}");
    }
    // The common name, which is the first of them, counts for nothing by itself.
    let named = made(&[], None, |parameters| {
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "cn.example");
    });
    assert!(!read_facts(&named.certificate).unwrap().covers("cn.example"));
    assert!(
        told(&named.certificate, &named.key).contains("names no host: `CN="),
        "{}",
        told(&named.certificate, &named.key)
    );
}

#[test]
fn what_stands_around_a_pair_is_passed_over() {
    let one = "one.example";
    let both = format!("{}{}", ONE.certificate, ONE.key);
    let marked = format!("\u{feff}Bag Attributes\r\n  x: y\r\n{}# end", both.replace('\n', "\r\n"));
    let parameters =
        format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}", ONE.key);
    for (certificate, key) in
        [(&ONE.certificate, &ONE.key), (&both, &both), (&marked, &marked), (&ONE.certificate, &parameters)]
    {
        assert_eq!(told(certificate, key), one);
        let read = read_pair(certificate, key).unwrap_or_else(|_| unreachable!());
        assert!(
            read.pair.certificate.replace('\r', "") == ONE.certificate.replace('\r', ""),
            "it is put in order"
        );
    }
}

#[test]
fn what_cannot_be_shown_is_told_with_its_line() {
    let (certificate, key) = (&ONE.certificate, &ONE.key);
    let junk = certificate.replacen("MII", "M!!", 1);
    let cut = &certificate[..certificate.len() / 2];
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let other = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END CERTIFICATE-----\n";
    let long = "x".repeat(TEXT_LIMIT + 1);
    let many = certificate.repeat(17);
    for (certificate, key, expected) in [
        (certificate.as_str(), TWO.key.as_str(), "Key 1: is not the key of the certificate (CN=one.example)"),
        (certificate, certificate, "Key 1: has no private key"),
        (key, key, "Certificate 1: has no certificate; there is: PRIVATE KEY"),
        ("hello", key, "Certificate 1: has no certificate in PEM form"),
        (certificate, &encrypted, "Key 1: has an encrypted key, and nobody is there to type its passphrase"),
        (certificate, old, "Key 1: has an encrypted key, and nobody is there to type its passphrase"),
        (&junk, key, "Certificate 2: has `!` inside of a CERTIFICATE, which is no base64"),
        (cut, key, "Certificate 1: has a CERTIFICATE that begins here and has no end"),
        (damaged, key, "Certificate 1: has something damaged where a certificate should be"),
        (certificate, other, "Key 3: has a PRIVATE KEY that ends as CERTIFICATE"),
        (&long, key, "Certificate 1: is longer than 262144 bytes"),
    ] {
        assert_eq!(told(certificate, key), expected);
    }
    assert!(told(&many, key).contains("has 17 certificates; no chain is longer than 16"));
}

#[test]
fn a_chain_in_another_order_is_put_right_and_that_is_told() {
    let root = authority("root", None);
    let between = authority("between", Some(&root));
    let leaf = made(&["leaf.example"], Some(&between), |_| {});
    let (root, between) = (&root.certificate, &between.certificate);
    let right = format!("{}{between}{root}", leaf.certificate);
    assert_eq!(told(&right, &leaf.key), "leaf.example");
    for wrong in
        [format!("{root}{between}{}", leaf.certificate), format!("{}{root}{between}", leaf.certificate)]
    {
        let read = read_pair(&wrong, &leaf.key).unwrap_or_else(|_| unreachable!());
        assert!(read.pair.certificate.replace('\r', "") == right.replace('\r', ""));
        assert!(read.notes.iter().all(|note| note.is_mended));
        assert!(
            told(&wrong, &leaf.key).contains("has its chain in another order"),
            "{}",
            told(&wrong, &leaf.key)
        );
    }
    let stranger = format!("{}{}{between}", leaf.certificate, TWO.certificate);
    let said = told(&stranger, &leaf.key);
    assert!(
        said.contains("has a certificate that is not of its chain and is left out (CN=two.example)"),
        "{said}"
    );
    assert!(is_trust_store(&format!("{root}{between}")) && !is_trust_store(&right) && !is_trust_store("x"));
}

#[test]
fn keys_of_every_kind_that_is_spoken() {
    for (algorithm, name) in [
        (&rcgen::PKCS_ECDSA_P384_SHA384, "ECDSA P-384"),
        (&rcgen::PKCS_ED25519, "Ed25519"),
        (&rcgen::PKCS_RSA_SHA256, "RSA 2048"),
    ] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let certificate = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap().pem();
        assert_eq!(told(&certificate, &key.serialize_pem()), "a.example", "{name}");
        assert_eq!(read_facts(&certificate).unwrap().key, name);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(mut text in "\\PC{0,200}", at in 0_usize..2_000, byte in 32_u8..127) {
        crate::fuzzing::certificates(text.as_bytes());
        // And none that is nearly one.
        let mut near = format!("{}{}", ONE.certificate, ONE.key).into_bytes();
        let at = at % near.len();
        near[at] = byte;
        crate::fuzzing::certificates(&near);
        near.truncate(at);
        crate::fuzzing::certificates(&near);
        text.insert_str(0, "a.pem\n-----BEGIN CERTIFICATE-----\n");
        crate::fuzzing::certificate_folder(text.as_bytes());
    }
}
