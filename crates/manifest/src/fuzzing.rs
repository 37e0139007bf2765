//! Bodies of the fuzz targets, which also run as properties in the normal test run.

use crate::{Defaults, Objects, compile, read, workloads};

/// Any bytes as a manifest: read, compiled, and made into workloads. Must not panic.
pub fn manifest(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let objects: Objects = read("fuzz.yaml", &text).objects.into_iter().collect();
    let _ = compile(&objects, &Defaults::default());
    let _ = workloads(&objects);
}
