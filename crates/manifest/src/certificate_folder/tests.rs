use std::collections::BTreeMap;

use super::*;
use crate::certificate::tests::{Made, simple};

fn found(files: &[(&str, &str)]) -> CertificateFolder {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let names: Vec<String> = files.keys().map(|name| (*name).to_owned()).collect();
    let read =
        |name: &str| files.get(name).map(|text| text.as_bytes().to_vec()).ok_or("is not there".to_owned());
    read_folder("/certs", &names, &read)
}

/// What can be shown, and what is said.
fn told(files: &[(&str, &str)]) -> (String, Vec<String>) {
    let found = found(files);
    let told = found.findings.iter().map(|finding| {
        let place = finding.location.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{place} {}", finding.message)
    });
    let shown: Vec<String> = found
        .pairs
        .iter()
        .map(|(name, pair)| format!("{name}={}", pair.kept.facts.names.join("+")))
        .collect();
    (shown.join(" "), told.collect())
}

fn both(made: &Made) -> String {
    format!("{}{}", made.certificate, made.key)
}

const ARN: &str = "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b";

#[test]
fn acc_s0_40_an_arn_finds_its_files_by_its_last_part_or_by_a_map() {
    let (a, b, c) = (simple("a.example"), simple("b.example"), simple("c.example"));
    let map =
        format!("{ARN}: {{certificate: x.crt, key: y.key}}\narn:aws:iam::1:server-certificate/old: z.txt\n");
    let (both_b, both_c) = (both(&b), both(&c));
    let found = found(&[
        ("0a1c.crt", &a.certificate),
        ("0a1c.key", &a.key),
        ("web.pem", &both_b),
        ("certificates.yaml", &map),
        ("x.crt", &c.certificate),
        ("y.key", &c.key),
        ("z.txt", &both_c),
        ("README.md", "hello"),
    ]);
    assert_eq!(found.findings, []);
    let host = |arn: &str| found.pair(arn).map(|pair| pair.kept.facts.names.join("+")).unwrap_or_default();
    assert_eq!(host("arn:aws:acm:us-east-1:111122223333:certificate/0a1c"), "a.example");
    assert_eq!(host("arn:aws:acm:us-east-1:111122223333:certificate/web"), "b.example");
    assert_eq!(host(ARN), "c.example");
    assert_eq!(host("arn:aws:iam::1:server-certificate/old"), "c.example");
    assert_eq!(host("arn:aws:acm:us-east-1:111122223333:certificate/0a1b"), "", "a map has whole ARNs");
}

#[test]
fn what_is_wrong_in_a_folder_is_told_with_file_line_and_fix() {
    let (a, b) = (simple("a.example"), simple("b.example"));
    let (both_a, junk) = (both(&a), a.certificate.replacen("MII", "M?I", 1));
    for (files, expected) in [
        (
            vec![("a.crt", a.certificate.as_str())],
            "/certs/a.crt:1:1 `a.crt` has no key beside it: there is no `a.key`",
        ),
        (
            vec![("a.key", a.key.as_str())],
            "/certs/a.key:1:1 `a.key` has no certificate beside it: there is no `a.crt`",
        ),
        (vec![("a.pem", a.certificate.as_str())], "/certs/a.pem:1:1 `a.pem` has no private key"),
        (
            vec![("a.crt", a.certificate.as_str()), ("a.key", b.key.as_str())],
            "/certs/a.key:1:1 `a.key` is not the key of the certificate (CN=a.example)",
        ),
        (
            vec![("a.crt", junk.as_str()), ("a.key", a.key.as_str())],
            "/certs/a.crt:2:1 `a.crt` has `?` inside of a CERTIFICATE, which is no base64",
        ),
        (
            vec![("a.p12", "x")],
            "/certs/a.p12:1:1 `a.p12` is not read: it is in another form than PEM, or named so",
        ),
        (
            vec![("certificates.yaml", "[")],
            "/certs/certificates.yaml:1:1 `certificates.yaml` is not YAML: unclosed bracket '['",
        ),
        (
            vec![("certificates.yaml", "- a")],
            "/certs/certificates.yaml:1:1 `certificates.yaml` is no map from ARNs to files",
        ),
        (
            vec![("certificates.yaml", "arn:x: {crt: a}")],
            "/certs/certificates.yaml:1:1 `certificates.yaml` does not say in which files `arn:x` is",
        ),
        (vec![("certificates.yaml", "arn:x: gone.pem")], "/certs/gone.pem:1:1 `gone.pem` is not there"),
    ] {
        assert_eq!(told(&files), (String::new(), vec![expected.to_owned()]));
        assert!(found(&files).findings[0].suggestion.is_some());
    }
    let (shown, said) =
        told(&[("a.crt", &a.certificate), ("a.key", &a.key), ("a.pem", &both_a), (".b.crt", &b.certificate)]);
    assert_eq!(shown, "a=a.example");
    assert_eq!(said, ["/certs/a.pem:1:1 `a.pem` is not read, because there is `a.crt` for the same ARN"]);
}

#[test]
fn no_line_of_a_key_is_ever_part_of_what_is_said() {
    let a = simple("a.example");
    let broken = a.key.replacen("MIG", "MI!", 1);
    let found = found(&[("a.crt", &a.certificate), ("a.key", &broken)]);
    let rendered: String = found.findings.iter().map(|finding| crate::render(finding, false)).collect();
    assert!(!rendered.contains("MI!") && rendered.contains("/certs/a.key:2:1"), "{rendered}");
}

#[test]
fn of_two_for_one_host_the_one_that_holds_for_longer_comes_first() {
    let old = simple("a.example");
    let (old_text, new) = (both(&old), crate::certificate::tests::until_2030("a.example"));
    let new_text = both(&new);
    let found = found(&[("a-old.pem", &old_text), ("b-new.pem", &new_text)]);
    let names = |now: &str| {
        let kept = found.kept(now.parse().unwrap()).into_iter();
        kept.map(|kept| kept.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("2026-06-01T00:00:00Z"), "a-old b-new", "one of them does not hold yet");
    assert_eq!(names("2026-12-01T00:00:00Z"), "b-new a-old");
    assert_eq!(names("2028-01-01T00:00:00Z"), "b-new a-old");
}

#[test]
fn authorities_alone_are_a_trust_store_and_a_list_that_cannot_be_read_costs_it() {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyPair,
    };
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let list = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2024, 1, 1),
        next_update: rcgen::date_time_ymd(2200, 1, 1),
        crl_number: rcgen::SerialNumber::from(vec![1]),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&Issuer::new(params, key)).unwrap().pem().unwrap();
    let with = |list: &str| found(&[("0a1b.pem", &authority), ("0a1b.crl", list)]);
    let good = with(&list);
    let [store] = &good.trust_stores[..] else { panic!("{:?}", good.findings) };
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:truststore/clients/0a1b";
    assert!(store.is_named(arn) && store.is_named("0a1b") && !store.is_named("clients"));
    assert!(store.contents.authorities.contains("CERTIFICATE") && store.contents.revocations.contains("CRL"));
    assert!(good.findings.is_empty() && good.pairs.is_empty());
    let bad = with("junk");
    assert!(bad.trust_stores.is_empty());
    assert!(bad.findings[0].message.contains("not in PEM form"), "{:?}", bad.findings);
}
