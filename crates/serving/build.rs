//! Takes the files that the page of the reference needs out of Swagger UI's release, so that the rest of it is no part of the
//! program.

use std::fmt::Write as _;
use std::io::{Cursor, Error, Read as _};
use std::path::PathBuf;

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::{CompressionMethod, ZipArchive};

/// The files, and what they are.
const FILES: &[(&str, &str)] = &[
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("favicon-32x32.png", "image/png"),
];

fn main() -> Result<(), Error> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").ok_or_else(|| Error::other("no OUT_DIR"))?);
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let mut assets = String::new();
    for (name, content_type) in FILES {
        let (bytes, is_gzip) = read(&mut archive, name)?;
        std::fs::write(folder.join(name), bytes)?;
        let _ = writeln!(
            assets,
            "Asset {{ name: {name:?}, content_type: {content_type:?}, \
             bytes: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\")), is_gzip: {is_gzip} }},"
        );
    }
    std::fs::write(folder.join("assets.rs"), format!("[{assets}]"))
}

/// A file of the release, and whether it is compressed by gzip.
fn read(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<(Vec<u8>, bool), Error> {
    // All names begin with one folder, that of the release.
    let path = format!("/dist/{name}");
    let is_it =
        |index: &usize| matches!(archive.name_for_index(*index), Some(Ok(name)) if name.ends_with(&path));
    let index = (0..archive.len()).find(is_it).ok_or_else(|| Error::other(format!("no {path}")))?;
    let mut file = archive.by_index_raw(index)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let is_gzip = file.compression() == CompressionMethod::DEFLATE;
    Ok((if is_gzip { gzip(&bytes, file.crc32(), file.size()) } else { bytes }, is_gzip))
}

/// What a zip archive has deflated is a gzip file already, but for the head and the tail (RFC 1952 §2.3).
fn gzip(deflated: &[u8], crc32: u32, length: u64) -> Vec<u8> {
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    gzip.extend_from_slice(deflated);
    gzip.extend_from_slice(&crc32.to_le_bytes());
    gzip.extend_from_slice(&(length as u32).to_le_bytes());
    gzip
}
