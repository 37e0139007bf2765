//! Writes the table of bundled examples: every file below `examples/`, with its bytes. And has functions that came out the same
//! be kept once, where the linker can.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    keep_same_functions_once();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    println!("cargo::rerun-if-changed={}", examples.display());
    let mut table = String::from("&[\n");
    for file in files(&examples) {
        let name = file.strip_prefix(&examples).expect("it was found below").display().to_string();
        let path = file.canonicalize().expect("it was found just now");
        table.push_str(&format!("    (\"{name}\", include_bytes!(\"{}\")),\n", path.display()));
    }
    table.push_str("]\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("examples.rs"), table).expect("cargo's folder is there to be written to");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the examples are part of the project");
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    entries.sort();
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.into_iter().flat_map(below).collect()
}

/// The linker that Rust brings along for this target knows how.
fn keep_same_functions_once() {
    let is = |key: &str, value: &str| std::env::var(key).is_ok_and(|it| it == value);
    let brings_lld = is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu");
    if brings_lld && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}
