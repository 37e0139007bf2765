//! `cargo xtask test` and `cargo xtask ci`.

use crate::tools::{self, Tool};

const TOOLS: &[Tool] = &[
    Tool { program: "chromium", package: "chromium", why: "a test opens /docs in a browser" },
    Tool { program: "chromedriver", package: "chromium-driver", why: "a test clicks through /docs" },
    Tool { program: "certutil", package: "libnss3-tools", why: "a test gives a browser an authority" },
    Tool { program: "openssl", package: "openssl", why: "tests make handshakes with it" },
    Tool { program: "promtool", package: "prometheus", why: "a test has it read the metrics" },
    Tool { program: "pebble", package: "pebble", why: "a test gets certificates by ACME" },
];

/// Everything that must pass before a change lands.
pub(crate) fn test() -> Result<(), String> {
    tools::ensure(TOOLS)?;
    tools::run("cargo", &["fmt", "--all", "--check"])?;
    tools::run(
        "cargo",
        &["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"],
    )?;
    tools::run("cargo", &["test", "--workspace", "--locked"])
}

/// What also must pass before a release.
pub(crate) fn ci() -> Result<(), String> {
    test()?;
    if tools::find("cargo-deny").is_none() {
        tools::run("cargo", &["install", "cargo-deny", "--locked"])?;
    }
    tools::run("cargo", &["deny", "check"])?;
    tools::run("cargo", &["doc", "--workspace", "--no-deps", "--locked"])
}
