//! The tables, which are compressed text in this binary and are read once, when they are first asked for.

use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::ZlibDecoder;

use crate::Type;
use crate::parse;

/// Every table, with its name.
pub(crate) static TABLES: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
    let compressed: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tables.zlib"));
    let mut text = String::new();
    ZlibDecoder::new(compressed).read_to_string(&mut text).expect("the build compressed them");
    // The types that are made of it refer to it, and there for as long as the program is.
    let parts: Vec<&'static str> = String::leak(text).split('\0').collect();
    parts.chunks_exact(2).map(|table| (table[0], table[1])).collect()
});

static ALL: LazyLock<Vec<Type>> =
    LazyLock::new(|| parse::tables(&TABLES).expect("the tests read the tables"));

/// Every type there is.
pub(crate) fn all() -> &'static [Type] {
    &ALL
}
