//! The five bytes before each message.

use net::{Bytes, BytesMut};

use crate::fault::{Cause, Fault};

/// How many bytes stand before a message.
pub(super) const HEAD: usize = 5;

/// How long the message is that begins here, as it says.
pub(super) fn announced(body: &[u8]) -> Option<usize> {
    let (&[_, a, b, c, d], _) = body.split_first_chunk::<HEAD>()?;
    Some(u32::from_be_bytes([a, b, c, d]) as usize)
}

/// Takes out the first message of several, and says whether it is compressed; `None` as long as it is not whole.
pub(super) fn take(collected: &mut BytesMut, limit: usize) -> Result<Option<(bool, Bytes)>, Fault> {
    let Some((is_compressed, length)) = head(collected, limit)? else { return Ok(None) };
    if collected.len() < HEAD + length {
        return Ok(None);
    }
    let message = collected.split_to(HEAD + length).freeze();
    Ok(Some((is_compressed, message.slice(HEAD..))))
}

/// What the bytes before a message say: whether it is compressed, and how long it is.
fn head(body: &[u8], limit: usize) -> Result<Option<(bool, usize)>, Fault> {
    let (Some(length), Some(&flag)) = (announced(body), body.first()) else { return Ok(None) };
    if length > limit {
        return Err(too_large(limit));
    }
    if flag > 1 {
        return Err(broken("a message is compressed or not"));
    }
    Ok(Some((flag == 1, length)))
}

/// The one message of a call, and whether it is compressed.
pub(super) fn read(body: &Bytes, limit: usize) -> Result<(bool, Bytes), Fault> {
    let (is_compressed, length) =
        head(body, limit)?.ok_or_else(|| broken("the message ends in the bytes before it"))?;
    let message = body.slice(HEAD..);
    if message.len() != length {
        return Err(broken(&format!("expected one message of {length} bytes, got {}", message.len())));
    }
    Ok((is_compressed, message))
}

/// A message after its five bytes.
pub(super) fn write(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("no answer has 4 GB");
    let mut framed = Vec::with_capacity(HEAD + message.len());
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    framed.into()
}

/// The fault of a message that is too long.
pub(super) fn too_large(limit: usize) -> Fault {
    Fault::new(Cause::TooLarge, format!("the message is longer than {limit} bytes"))
        .with_help("send fewer rows at a time")
}

fn broken(problem: &str) -> Fault {
    Fault::new(Cause::Format, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_holds_one_message() {
        assert_eq!(read(&write(b"abc"), 3), Ok((false, Bytes::from("abc"))));
        assert_eq!(read(&Bytes::from_static(b"\x01\0\0\0\x01a"), 3), Ok((true, Bytes::from("a"))));
        let problem = |bytes: &'static [u8]| read(&Bytes::from_static(bytes), 3).unwrap_err().to_string();
        assert_eq!(problem(b"\0\0\0"), "the message ends in the bytes before it");
        assert_eq!(problem(b"\0\0\0\0\x02a"), "expected one message of 2 bytes, got 1");
        assert_eq!(problem(b"\0\0\0\0\x01ab"), "expected one message of 1 bytes, got 2");
        assert_eq!(problem(b"\x02\0\0\0\0"), "a message is compressed or not");
        assert_eq!(read(&write(b"abcd"), 3).unwrap_err().cause, Cause::TooLarge);
    }

    #[test]
    fn of_several_messages_one_is_taken_when_it_is_whole() {
        let both = [write(b"abc"), write(b"")].concat();
        let mut collected = BytesMut::new();
        let mut taken = Vec::new();
        for byte in both {
            collected.extend_from_slice(&[byte]);
            taken.extend(take(&mut collected, 3).unwrap());
        }
        assert_eq!(taken, [(false, Bytes::from("abc")), (false, Bytes::new())]);
        collected.extend_from_slice(b"\0\0\0\0\x04");
        assert_eq!(take(&mut collected, 3).unwrap_err().cause, Cause::TooLarge);
    }
}
