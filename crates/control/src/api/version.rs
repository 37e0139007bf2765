//! Which Kubernetes this looks like.

use serde_json::{Value, json};

/// The minor version of Kubernetes whose API is spoken; clients choose their own behaviour by it.
const MINOR: &str = "33";

/// `/version`: everything is text.
pub(super) fn info() -> Value {
    json!({
        "major": "1",
        "minor": MINOR,
        "gitVersion": format!("v1.{MINOR}.0+forebay-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
