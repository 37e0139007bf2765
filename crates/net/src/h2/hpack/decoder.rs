//! From field blocks to fields (RFC 7541 §3, §6).

use super::dynamic_table::{DynamicTable, Name};
use super::{DEFAULT_TABLE_BYTES, HpackError, huffman, integer, static_table};

/// Size updates that may stand before the first field of a block: the least that was asked for, and the last (RFC 7541 §4.2).
const SIZE_UPDATES: usize = 2;

/// Bytes for decoded strings that are kept from block to block.
const KEPT_SCRATCH: usize = 4096;

/// Reads what the other side's encoder writes.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: DynamicTable,
    most_table_bytes: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// A decoder whose table the other side may enlarge to what our SETTINGS_HEADER_TABLE_SIZE says. Less than the 4096 of the
    /// protocol hold from the first block on, whether or not the other side has heard of them.
    pub(crate) const fn new(most_table_bytes: usize) -> Self {
        let first =
            if most_table_bytes < DEFAULT_TABLE_BYTES { most_table_bytes } else { DEFAULT_TABLE_BYTES };
        Self { table: DynamicTable::new(first), most_table_bytes, name: Vec::new(), value: Vec::new() }
    }

    /// Decodes one whole field block, and hands out each name and value in their order. They are any bytes: whether they may
    /// stand in a field is for the caller to say, but not to stop at, as the table has to see the whole block.
    pub(crate) fn decode(&mut self, block: &[u8], field: impl FnMut(&[u8], &[u8])) -> Result<(), HpackError> {
        let result = self.decode_fields(block, field);
        for scratch in [&mut self.name, &mut self.value] {
            if scratch.len() > KEPT_SCRATCH {
                *scratch = Vec::new();
            }
        }
        result
    }

    fn decode_fields(&mut self, block: &[u8], mut field: impl FnMut(&[u8], &[u8])) -> Result<(), HpackError> {
        let mut rest = block;
        self.update_size(&mut rest)?;
        while let Some(first) = rest.first() {
            match first {
                // Indexed (§6.1).
                0x80.. => {
                    let index = integer::read(&mut rest, 7)?;
                    let (name, value) = indexed(&self.table, index)?;
                    field(name, value);
                }
                0x20..=0x3f => return Err(HpackError::LateTableSize),
                // Literal: with incremental indexing, without, or never to be indexed (§6.2).
                _ => {
                    let is_indexed = *first >= 0x40;
                    let index = integer::read(&mut rest, if is_indexed { 6 } else { 4 })?;
                    let name = name(&self.table, index, &mut rest, &mut self.name)?;
                    let value = string(&mut rest, &mut self.value)?;
                    field(text(&self.table, name), value);
                    if is_indexed {
                        self.table.insert(name, value);
                    }
                }
            }
        }
        Ok(())
    }

    /// Size updates at the beginning of a block (§4.2, §6.3).
    fn update_size(&mut self, rest: &mut &[u8]) -> Result<(), HpackError> {
        let mut n_updates = 0;
        while let Some(0x20..=0x3f) = rest.first() {
            if n_updates == SIZE_UPDATES {
                return Err(HpackError::TooManyTableSizes);
            }
            n_updates += 1;
            let asked = integer::read(rest, 5)?;
            if asked > self.most_table_bytes {
                return Err(HpackError::TableTooLarge { asked, most: self.most_table_bytes });
            }
            self.table.resize(asked);
        }
        Ok(())
    }
}

/// The field with this index in both tables (§2.3.3).
#[inline]
fn indexed(table: &DynamicTable, index: usize) -> Result<(&[u8], &[u8]), HpackError> {
    let no_such_field = HpackError::NoSuchField { index };
    let position = index.checked_sub(1).ok_or(no_such_field)?;
    match static_table::ROWS.get(position) {
        Some(row) => Ok(*row),
        None => table.get(position - static_table::ROWS.len()).ok_or(no_such_field),
    }
}

/// The name of a literal: that of a field in a table, or a string (§6.2).
#[inline]
fn name<'a, 'block: 'a>(
    table: &DynamicTable,
    index: usize,
    rest: &mut &'block [u8],
    scratch: &'a mut Vec<u8>,
) -> Result<Name<'a>, HpackError> {
    if index == 0 {
        return string(rest, scratch).map(Name::Given);
    }
    if let Some(row) = static_table::ROWS.get(index - 1) {
        return Ok(Name::Given(row.0));
    }
    indexed(table, index)?;
    Ok(Name::OfField(index - 1 - static_table::ROWS.len()))
}

#[inline]
fn text<'a>(table: &'a DynamicTable, name: Name<'a>) -> &'a [u8] {
    match name {
        Name::Given(name) | Name::Lowered(name) => name,
        Name::OfField(age) => table.get(age).unwrap_or_default().0,
    }
}

/// A string (§5.2): a slice of the block, or of `scratch` where it was Huffman-coded.
#[inline]
fn string<'a, 'block: 'a>(rest: &mut &'block [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], HpackError> {
    let is_huffman = rest.first().is_some_and(|octet| octet & 0x80 != 0);
    let length = integer::read(rest, 7)?;
    let (octets, after) = rest.split_at_checked(length).ok_or(HpackError::Truncated)?;
    *rest = after;
    if is_huffman { huffman::decode(octets, scratch) } else { Ok(octets) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that such a dump stands for.
    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(pair).collect()
    }

    fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, HpackError> {
        let mut fields = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        decoder.decode(block, |name, value| fields.push(format!("{}: {}", text(name), text(value))))?;
        Ok(fields)
    }

    /// Blocks of one connection, and what each says; and what the table has at last, the newest first.
    fn check(most_table_bytes: usize, blocks: &[(&str, &[&str])], table: &[&str]) {
        let mut decoder = Decoder::new(most_table_bytes);
        for (block, fields) in blocks {
            assert_eq!(decode(&mut decoder, &bytes(block)).unwrap(), *fields);
        }
        let indices: Vec<u8> = (0..table.len()).map(|age| 0x80 | (62 + age as u8)).collect();
        assert_eq!(decode(&mut decoder, &indices).unwrap(), table);
        let index = 62 + table.len();
        assert_eq!(decode(&mut decoder, &[0x80 | index as u8]), Err(HpackError::NoSuchField { index }));
    }

    #[test]
    fn the_examples_of_rfc_7541_c_2() {
        let custom = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
        check(4096, &[(custom, &["custom-key: custom-header"])], &["custom-key: custom-header"]);
        check(4096, &[("040c 2f73 616d 706c 652f 7061 7468", &[":path: /sample/path"])], &[]);
        check(4096, &[("1008 7061 7373 776f 7264 0673 6563 7265 74", &["password: secret"])], &[]);
        check(4096, &[("82", &[":method: GET"])], &[]);
    }

    const REQUESTS: [&[&str]; 3] = [
        &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
        &[
            ":method: GET",
            ":scheme: http",
            ":path: /",
            ":authority: www.example.com",
            "cache-control: no-cache",
        ],
        &[
            ":method: GET",
            ":scheme: https",
            ":path: /index.html",
            ":authority: www.example.com",
            "custom-key: custom-value",
        ],
    ];
    const AFTER_REQUESTS: &[&str] =
        &["custom-key: custom-value", "cache-control: no-cache", ":authority: www.example.com"];

    #[test]
    fn the_requests_of_rfc_7541_c_3_and_c_4() {
        let plain = [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ];
        let huffman = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ];
        for blocks in [plain, huffman] {
            let blocks: Vec<_> = std::iter::zip(blocks, REQUESTS).collect();
            check(4096, &blocks, AFTER_REQUESTS);
        }
    }

    const LOCATION: &str = "location: https://www.example.com";
    const RESPONSES: [&[&str]; 3] = [
        &[":status: 302", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", LOCATION],
        &[":status: 307", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", LOCATION],
        &[
            ":status: 200",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:22 GMT",
            LOCATION,
            "content-encoding: gzip",
            "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        ],
    ];
    const AFTER_RESPONSES: &[&str] = &[
        "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        "content-encoding: gzip",
        "date: Mon, 21 Oct 2013 20:13:22 GMT",
    ];

    #[test]
    fn the_responses_of_rfc_7541_c_5_and_c_6() {
        let plain = [
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 \
             3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "4803 3330 37c1 c0bf",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 \
             7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 \
             6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
        ];
        let huffman = [
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad \
             1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 \
             e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ];
        for blocks in [plain, huffman] {
            let blocks: Vec<_> = std::iter::zip(blocks, RESPONSES).collect();
            check(256, &blocks, AFTER_RESPONSES);
        }
    }

    #[test]
    fn what_a_block_may_not_hold() {
        let too_large = |asked| HpackError::TableTooLarge { asked, most: 4096 };
        for (block, error) in [
            ("80", HpackError::NoSuchField { index: 0 }),
            ("be", HpackError::NoSuchField { index: 62 }),
            ("7e00", HpackError::NoSuchField { index: 62 }),
            ("0f2f00", HpackError::NoSuchField { index: 62 }),
            ("ffffffff7f", HpackError::NoSuchField { index: 127 + (1 << 28) - 1 }),
            ("ffffffffff00", HpackError::IntegerTooLarge),
            ("ff", HpackError::Truncated),
            ("40", HpackError::Truncated),
            ("4001", HpackError::Truncated),
            ("400161", HpackError::Truncated),
            ("40016102", HpackError::Truncated),
            ("4001610261", HpackError::Truncated),
            ("4001617fffffff7f", HpackError::Truncated),
            ("400161 811e", HpackError::Padding),
            ("400161 84ffffffff", HpackError::EndInString),
            ("3fe21f", too_large(4097)),
            ("20 20 20", HpackError::TooManyTableSizes),
            ("82 20", HpackError::LateTableSize),
        ] {
            assert_eq!(decode(&mut Decoder::new(4096), &bytes(block)), Err(error), "{block}");
        }
    }

    #[test]
    fn two_size_updates_may_begin_a_block_and_evict() {
        let blocks: [(&str, &[&str]); 3] =
            [("4001610162", &["a: b"]), ("be 4001630164", &["a: b", "c: d"]), ("3f03 3fe11f be", &["c: d"])];
        check(4096, &blocks, &["c: d"]);
        check(4096, &[blocks[0], ("20 3fe11f", &[])], &[]);
    }

    #[test]
    fn strings_leave_no_memory_behind_that_they_needed_once() {
        let mut decoder = Decoder::new(4096);
        let block = [&bytes("000161 fff12d"), &[0; 6000][..]].concat();
        assert_eq!(decode(&mut decoder, &block), Ok(vec![format!("a: {}", "0".repeat(6000 * 8 / 5))]));
        assert_eq!((decoder.value.capacity(), decoder.table.n_fields()), (0, 0));
    }
}
