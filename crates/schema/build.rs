//! Puts the tables into one compressed file, for they are a part of the program.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/tables");
    let mut paths = Vec::new();
    for entry in fs::read_dir("src/tables")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "schema") {
            paths.push(path);
        }
    }
    paths.sort();
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?);
    let mut out = ZlibEncoder::new(fs::File::create(folder.join("tables.zlib"))?, Compression::best());
    for path in &paths {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        write!(out, "{name}\0{}\0", read(path)?)?;
    }
    out.finish()?.flush()
}

/// A table, which has no NUL: that stands between them.
fn read(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    match text.contains('\0') {
        false => Ok(text),
        true => Err(io::Error::other(format!("{} has a NUL", path.display()))),
    }
}
