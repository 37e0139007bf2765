//! The page of the reference: Swagger UI, from memory, without the network.

use std::io::{Cursor, Read};
use std::sync::LazyLock;

use net::{Bytes, StatusCode};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::result::{ZipError, ZipResult};
use zip::{CompressionMethod, ZipArchive};

use crate::reply::Reply;

/// The files that the page needs, and what they are.
const FILES: &[(&str, &str)] = &[
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("favicon-32x32.png", "image/png"),
];

/// All addresses are relative, so that the page works behind any path and any load balancer.
const PAGE: &str = include_str!("docs/page.html");

/// A file as it may be sent.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    plain: Bytes,
    /// The same for clients that take gzip, when the archive has it compressed.
    gzip: Option<Bytes>,
}

static ASSETS: LazyLock<Vec<Asset>> =
    LazyLock::new(|| read_assets().expect("the archive is a part of the program, and a test reads it"));

/// The page.
pub(crate) fn page() -> Reply {
    Reply::new(StatusCode::OK, "text/html; charset=utf-8", PAGE)
}

/// A file of the page.
pub(crate) fn file(name: &str, takes_gzip: bool) -> Option<Reply> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    let gzip = asset.gzip.as_ref().filter(|_| takes_gzip);
    let reply = Reply::new(StatusCode::OK, asset.content_type, gzip.unwrap_or(&asset.plain).clone())
        .with_field("cache-control", "max-age=86400");
    Some(match gzip {
        None => reply,
        Some(_) => reply.with_field("content-encoding", "gzip").with_field("vary", "accept-encoding"),
    })
}

fn read_assets() -> ZipResult<Vec<Asset>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    // All names begin with one folder, that of the release.
    let folder = archive.file_names().next().ok_or(ZipError::FileNotFound)??.into_owned();
    let folder = folder.split('/').next().unwrap_or_default();
    FILES.iter().map(|&(name, content_type)| read_asset(&mut archive, folder, name, content_type)).collect()
}

fn read_asset(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    folder: &str,
    name: &'static str,
    content_type: &'static str,
) -> ZipResult<Asset> {
    let index = archive.index_for_name(&format!("{folder}/dist/{name}")).ok_or(ZipError::FileNotFound)?;
    let mut plain = Vec::new();
    archive.by_index(index)?.read_to_end(&mut plain)?;
    let mut compressed = Vec::new();
    let mut raw = archive.by_index_raw(index)?;
    raw.read_to_end(&mut compressed)?;
    let is_deflated = raw.compression() == CompressionMethod::Deflated;
    let gzip = is_deflated.then(|| gzip(&compressed, raw.crc32(), plain.len()).into());
    Ok(Asset { name, content_type, plain: plain.into(), gzip })
}

/// What a zip archive has deflated is a gzip file already, but for the head and the tail (RFC 1952 §2.3).
fn gzip(deflated: &[u8], crc32: u32, length: usize) -> Vec<u8> {
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    gzip.extend_from_slice(deflated);
    gzip.extend_from_slice(&crc32.to_le_bytes());
    gzip.extend_from_slice(&(length as u32).to_le_bytes());
    gzip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acc_s1_02_the_page_has_all_its_files() {
        for (name, _) in FILES {
            assert!(PAGE.contains(&format!("\"docs/{name}\"")), "{name}");
            let plain = file(name, false).unwrap();
            assert!(!plain.body.is_empty());
            let gzip = file(name, true).unwrap();
            if gzip.fields.iter().any(|(name, _)| *name == "content-encoding") {
                let mut decoded = Vec::new();
                flate2::read::GzDecoder::new(gzip.body.as_ref()).read_to_end(&mut decoded).unwrap();
                assert_eq!(decoded, plain.body);
            }
        }
        assert!(file("../Cargo.toml", false).is_none());
    }
}
