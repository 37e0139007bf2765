//! HPACK (RFC 7541): how the fields of HTTP/2 are compressed.
//!
//! A connection has one [`Decoder`] and one [`Encoder`]; each holds a table of the fields that went its way lately, of 4096
//! octets at most, and nothing as long as none did. Neither knows what a field means, except that the encoder knows by name
//! which values are secret and which never come twice. Both work on whole field blocks: whoever puts CONTINUATION frames
//! together bounds how long a block may be, and counts what the decoder hands out, which may be four kilobytes for an octet.
//!
//! An error leaves the table in disagreement with the other side. It ends the connection (RFC 9113 §4.3).

mod decoder;
mod dynamic_table;
mod encoder;
mod huffman;
mod integer;
mod names;
mod static_table;

pub(crate) use decoder::Decoder;
pub(crate) use encoder::Encoder;

/// Octets of a dynamic table where nobody said otherwise (RFC 9113 §6.5.2, SETTINGS_HEADER_TABLE_SIZE).
const DEFAULT_TABLE_BYTES: usize = 4096;

/// Why a field block cannot be decoded: each is a connection error COMPRESSION_ERROR (RFC 9113 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HpackError {
    /// RFC 7541 §5.1, §5.2.
    #[error("field block ends inside of a field")]
    Truncated,
    /// RFC 7541 §5.1.
    #[error("integer is too large or has no end")]
    IntegerTooLarge,
    /// RFC 7541 §2.3.3, §6.1; the index 0 stands for nothing.
    #[error("no table has a field `{index}`")]
    NoSuchField { index: usize },
    /// RFC 7541 §5.2.
    #[error("Huffman-coded string holds the end-of-string symbol")]
    EndInString,
    /// RFC 7541 §5.2; also a code that is cut off.
    #[error("padding of a Huffman-coded string is not less than eight ones")]
    Padding,
    /// RFC 7541 §6.3.
    #[error("table size `{asked}` is above the `{most}` that were allowed")]
    TableTooLarge { asked: usize, most: usize },
    /// RFC 7541 §4.2.
    #[error("table size changes after the first field of a block")]
    LateTableSize,
    /// RFC 7541 §4.2.
    #[error("table size changes more than twice before one block")]
    TooManyTableSizes,
}

/// Any bytes are field blocks (each begins with its length), or refused; what they say is the same again when we write it.
pub(crate) fn fuzz(bytes: &[u8]) {
    let (mut theirs, mut ours, mut encoder) = (Decoder::new(4096), Decoder::new(4096), Encoder::new());
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first() {
        let (block, after) = after.split_at(after.len().min(usize::from(*length)));
        rest = after;
        let mut fields = Vec::new();
        let result = theirs.decode(block, |name, value| {
            // No string is longer than bytes can be that five bits each stand for, or than one of the static table.
            assert!(name.len().max(value.len()) <= (bytes.len() * 8 / 5).max(27));
            fields.push((name.to_ascii_lowercase(), value.to_vec()));
        });
        if result.is_err() {
            return;
        }
        assert!(fields.len() <= block.len());
        let mut written = Vec::new();
        encoder.resize(usize::from(*length) * 32);
        encoder.begin(&mut written);
        encoder.status(100 + u16::from(*length), &mut written);
        for (name, value) in &fields {
            encoder.field(name, value, &mut written);
        }
        let status = (b":status".to_vec(), (100 + u16::from(*length)).to_string().into_bytes());
        let mut expected = std::iter::once(status).chain(fields);
        let read = ours.decode(&written, |name, value| {
            assert!(expected.next().is_some_and(|field| field.0 == name && field.1 == value));
        });
        assert_eq!((read, expected.next()), (Ok(()), None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Field = (Vec<u8>, Vec<u8>);

    /// Fields as they come: few names and values again and again, and now and then anything.
    fn field() -> impl Strategy<Value = Field> {
        let name = prop_oneof![
            prop::sample::select(vec![
                "Date",
                "content-type",
                ":path",
                "set-cookie",
                "x-a",
                "X-Long-Name-Of-Ours"
            ])
            .prop_map(|name| name.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..20),
        ];
        let value = prop_oneof![
            "[a-c]{0,2}".prop_map(String::into_bytes),
            "[ -~]{0,60}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..1500),
        ];
        (name, value)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn fields_pass_whatever_they_are_and_however_the_table_changes(
            blocks in prop::collection::vec(
                (prop::collection::vec(0_usize..6000, 0..4), prop::collection::vec(field(), 0..12)), 0..12)
        ) {
            let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
            for (sizes, fields) in blocks {
                let mut block = Vec::new();
                sizes.into_iter().for_each(|size| encoder.resize(size));
                encoder.begin(&mut block);
                fields.iter().for_each(|(name, value)| encoder.field(name, value, &mut block));
                let mut read = Vec::new();
                let result = decoder.decode(&block, |name, value| read.push((name.to_vec(), value.to_vec())));
                let expected: Vec<Field> =
                    fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
                prop_assert_eq!((result, read), (Ok(()), expected));
            }
        }

        #[test]
        fn any_bytes_are_field_blocks_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            crate::fuzzing::hpack(&bytes);
        }

        #[test]
        fn bytes_that_look_like_fields_are_field_blocks_or_refused(
            pieces in prop::collection::vec(prop_oneof![
                (0x80_u8..0xc8).prop_map(|indexed| vec![1, indexed]),
                (0x40_u8..0x7f, prop::collection::vec(any::<u8>(), 0..9)).prop_map(|(first, text)| {
                    [&[text.len() as u8 + 2, first, text.len() as u8], &text[..]].concat()
                }),
                (0_u8..2, prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(huffman, text)| {
                    let length = text.len() as u8;
                    [&[length + 4, 0x40, 1, b'x', huffman << 7 | length], &text[..]].concat()
                }),
                (0x20_u8..0x3f).prop_map(|size| vec![1, size]),
            ], 0..40)
        ) {
            crate::fuzzing::hpack(&pieces.concat());
        }
    }
}
