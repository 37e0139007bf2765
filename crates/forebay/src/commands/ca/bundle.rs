//! What programs with trust stores of their own are given: one file with the authorities of this machine and ours, and the
//! variables that name it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::applied::quoted;

/// The authorities of systems, as OpenSSL, Go and curl find them.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

const FILE: &str = "ca-bundle.crt";

/// Writes the file into the state folder. A variable that named our certificate alone would take the place of all others.
pub(super) fn write(state_dir: &Path, certificate: &str) -> anyhow::Result<PathBuf> {
    let system = SYSTEM.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let path = state_dir.join(FILE);
    let text = if system.contains(certificate.trim()) { system } else { format!("{certificate}{system}") };
    fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(path)
}

pub(super) fn remove(state_dir: &Path) {
    let _ = fs::remove_file(state_dir.join(FILE));
}

/// The variables with their values. Node adds what it is given to its own authorities; others replace theirs.
pub(super) fn variables(certificate: &Path, bundle: &Path) -> [(&'static str, String); 6] {
    let (certificate, bundle) = (certificate.display().to_string(), bundle.display().to_string());
    [
        ("SSL_CERT_FILE", bundle.clone()),
        ("REQUESTS_CA_BUNDLE", bundle.clone()),
        ("CURL_CA_BUNDLE", bundle.clone()),
        ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", bundle.clone()),
        ("GIT_SSL_CAINFO", bundle),
        ("NODE_EXTRA_CA_CERTS", certificate),
    ]
}

/// How Chromium is told, which looks at the stores of its user and not at that of the machine.
pub(super) fn chromium(certificate: &Path) -> String {
    let certificate = quoted(&certificate.display().to_string());
    format!(
        "# Chromium: mkdir -p ~/.pki/nssdb && certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n forebay -i {certificate}\n"
    )
}

/// How Java is told, which reads stores of its own form only.
pub(super) fn java(certificate: &Path, state_dir: &Path) -> String {
    let (certificate, store) =
        (certificate.display().to_string(), state_dir.join("ca.p12").display().to_string());
    format!(
        "# Java: keytool -importcert -noprompt -alias forebay -file {} -keystore {} -storetype PKCS12 -storepass changeit\n\
         #       export JAVA_TOOL_OPTIONS='-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit'\n",
        quoted(&certificate),
        quoted(&store)
    )
}
