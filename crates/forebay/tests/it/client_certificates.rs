//! Client certificates and fields of answers, from the manifest to the wire.

use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::json;
use testkit::{Platform, wait_until};

use crate::certificates::ingress;
use crate::{FOREBAY, folder};

fn authority() -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "clients");
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

fn write_client(folder: &Path, name: &str, issuer: &Issuer<'_, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    std::fs::write(folder.join(format!("{name}.crt")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

#[test]
fn acc_s0_20_an_ingress_asks_for_client_certificates_and_puts_fields_into_answers() {
    const HOST: &str = "api.example.com";
    if Command::new("curl").arg("--version").output().is_err() {
        return eprintln!("skipped: curl cannot be run");
    }
    let ((issuer, pem), (other_issuer, other_pem)) = (authority(), authority());
    let clients = tempfile::tempdir().unwrap();
    write_client(clients.path(), "good", &issuer);
    write_client(clients.path(), "bad", &other_issuer);
    let store = |pem: &str| {
        let (kind, name) = ("Secret", "clients");
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "stringData": {"ca.crt": pem}})
            .to_string()
    };
    let annotations = [
        r#"mutual-authentication: '[{"port":443,"mode":"verify","trustStore":"clients"}]'"#,
        r"listener-attributes.HTTPS-443: routing.http.response.server.enabled=false,routing.http.response.access_control_allow_methods.header_value=GET\,POST",
    ];
    let folder =
        folder(&[("web.yaml", &ingress("web", HOST, &annotations, "")), ("clients.json", &store(&pem))]);
    let path = folder.path().display().to_string();
    let platform = Platform::start(FOREBAY, &[&path]);
    let url = platform.ok(&["url", "web"]);
    let url = url.lines().find(|line| line.starts_with("https://")).unwrap_or_default().trim().to_owned();
    let port = url.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(443);
    let ready = platform.ready()["endpoints"][0]["address"].as_str().unwrap().to_owned();
    let ask = |client: Option<&str>| {
        let file = |name: &str, kind: &str| clients.path().join(format!("{name}.{kind}"));
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-i", "--resolve", &format!("{HOST}:{port}:{ready}"), "--cacert"]);
        curl.arg(platform.state_dir().join("ca.crt"));
        if let Some(name) = client {
            curl.arg("--cert").arg(file(name, "crt")).arg("--key").arg(file(name, "key"));
        }
        let output = curl.arg(format!("https://{HOST}:{port}/")).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    wait_until("a client comes in", || ask(Some("good")).0);
    let (_, answer) = ask(Some("good"));
    assert!(answer.contains(" 200") && answer.contains("access-control-allow-methods: get,post"), "{answer}");
    assert!(!answer.contains("\nserver:"), "{answer}");
    for refused in [None, Some("bad")] {
        let (is_in, answer) = ask(refused);
        assert!(!is_in, "{refused:?}: {answer}");
    }
    // Another trust store, and the other client.
    std::fs::write(folder.path().join("clients.json"), store(&other_pem)).unwrap();
    let _ = platform.ok(&["apply", "-f", &path]);
    wait_until("the other client comes in", || ask(Some("bad")).0);
    assert!(!ask(Some("good")).0);
    // Without one everybody would be let in, or nobody: it is not served at all.
    let _ = platform.ok(&["delete", "secret", "clients"]);
    wait_until("nobody comes in", || !ask(Some("bad")).0);
    assert!(!ask(None).0);
    let checked = Command::new(FOREBAY).arg("check").arg(folder.path().join("web.yaml")).output();
    let said = String::from_utf8_lossy(&checked.unwrap().stdout).into_owned();
    assert!(said.contains("trust store `clients` is not on this machine"), "{said}");
}
