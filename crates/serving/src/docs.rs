//! The page of the reference: Swagger UI, from memory, without the network.

use std::io::Read as _;

use flate2::read::GzDecoder;
use net::{Bytes, StatusCode};

use crate::reply::Reply;

/// All addresses are relative, so that the page works behind any path and any load balancer.
const PAGE: &str = include_str!("docs/page.html");

/// A file that the page needs, as the program holds it.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    is_gzip: bool,
}

/// Written by the build script.
const ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The page.
pub(crate) fn page() -> Reply {
    Reply::new(StatusCode::OK, "text/html; charset=utf-8", PAGE)
}

/// A file of the page.
pub(crate) fn file(name: &str, takes_gzip: bool) -> Option<Reply> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    let reply = |bytes: Bytes| {
        Reply::new(StatusCode::OK, asset.content_type, bytes).with_field("cache-control", "max-age=86400")
    };
    if !asset.is_gzip {
        return Some(reply(Bytes::from_static(asset.bytes)));
    }
    let reply = if takes_gzip {
        reply(Bytes::from_static(asset.bytes)).with_field("content-encoding", "gzip")
    } else {
        reply(plain(asset.bytes).into())
    };
    Some(reply.with_field("vary", "accept-encoding"))
}

/// For the few clients that do not take gzip.
fn plain(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut plain).expect("it is a part of the program, and a test reads it");
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acc_s1_02_the_page_has_all_its_files() {
        for Asset { name, is_gzip, .. } in ASSETS {
            assert!(PAGE.contains(&format!("\"docs/{name}\"")), "{name}");
            let (gzip, plain) = (file(name, true).unwrap(), file(name, false).unwrap());
            let is_encoded = |reply: &Reply| reply.fields.iter().any(|(name, _)| *name == "content-encoding");
            assert_eq!((is_encoded(&gzip), is_encoded(&plain)), (*is_gzip, false), "{name}");
            assert!(plain.body.len() >= gzip.body.len() && !gzip.body.is_empty(), "{name}");
        }
        let script = file("swagger-ui-bundle.js", false).unwrap();
        assert!(script.body.len() > 1_000_000 && script.body.starts_with(b"/*"), "{}", script.body.len());
        assert!(file("../Cargo.toml", false).is_none());
    }
}
