//! The opcodes of pickle protocols 0 to 5 (CPython `Lib/pickletools.py`), decoded to the few things they do.

use std::borrow::Cow;

use super::literal;
use crate::fault::Fault;
use crate::formats::cursor::Cursor;
use crate::record::Record;

/// What one opcode does.
#[derive(Debug)]
pub(super) enum Op<'a> {
    /// The stream's protocol, or the begin of a frame: nothing to do.
    Nothing,
    Protocol(u8),
    /// Push a value.
    Push(Record<'a>),
    /// Push a value that is kept once for all.
    PushNone,
    PushBool(bool),
    Mark,
    /// Push a list, tuple, dict or set of what lies above the mark.
    List,
    Tuple,
    Dict,
    FrozenSet,
    /// Push a tuple of the last one, two or three values.
    ShortTuple(usize),
    Pop,
    PopMark,
    Duplicate,
    /// Remember the top under the next free number, or under this one.
    Memoize,
    Put(usize),
    Get(usize),
    Append,
    Appends,
    SetItem,
    SetItems,
    AddItems,
    /// Push a class or function by name.
    Global {
        module: &'a [u8],
        name: &'a [u8],
    },
    /// The same, with both names on the stack.
    StackGlobal,
    /// Call a function with a tuple.
    Reduce,
    /// Make an object of a class: `class, arguments`.
    NewObject,
    /// Make an object of a class: `class, arguments, keyword arguments`.
    NewObjectWithKeywords,
    /// Make an object from what lies above the mark: class by name, or first above the mark.
    Instance {
        module: &'a [u8],
        name: &'a [u8],
    },
    Object,
    /// Set an object's state.
    Build,
    /// A class by its number in a registry of the writer.
    Extension(u32),
    /// An object that the writer keeps elsewhere.
    PersistentId,
    /// Bytes that the writer sent another way.
    OutOfBand,
    Stop,
}

impl<'a> Op<'a> {
    /// Reads the next opcode with its argument.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Fault> {
        let offset = cursor.position();
        let op = match cursor.byte()? {
            b'(' => Self::Mark,
            b'.' => Self::Stop,
            b'0' => Self::Pop,
            b'1' => Self::PopMark,
            b'2' => Self::Duplicate,

            b'N' => Self::PushNone,
            0x88 => Self::PushBool(true),
            0x89 => Self::PushBool(false),
            b'I' => match cursor.line()? {
                b"00" => Self::PushBool(false),
                b"01" => Self::PushBool(true),
                digits => Self::Push(literal::decimal(digits, offset)?),
            },
            b'L' => Self::Push(literal::decimal(cursor.line()?, offset)?),
            b'J' => Self::int(i32::from_le_bytes(cursor.array()?)),
            b'K' => Self::int(cursor.byte()?),
            b'M' => Self::int(u16::from_le_bytes(cursor.array()?)),
            0x8a => {
                let length = cursor.byte()?;
                Self::Push(literal::long(cursor.take(length.into())?))
            }
            0x8b => {
                let length = short_length(cursor)?;
                Self::Push(literal::long(cursor.take(length)?))
            }
            b'F' => Self::Push(literal::float(cursor.line()?, offset)?),
            b'G' => Self::Push(Record::Float(f64::from_be_bytes(cursor.array()?))),

            b'S' => Self::Push(literal::quoted(cursor.line()?, offset)?),
            b'T' => {
                let length = short_length(cursor)?;
                Self::Push(literal::old_text(cursor.take(length)?))
            }
            b'U' => {
                let length = cursor.byte()?;
                Self::Push(literal::old_text(cursor.take(length.into())?))
            }
            b'V' => Self::Push(literal::escaped_unicode(cursor.line()?, offset)?),
            b'X' => Self::text(cursor, short_length)?,
            0x8c => Self::text(cursor, |cursor| cursor.byte().map(usize::from))?,
            0x8d => Self::text(cursor, Cursor::length)?,
            b'B' => Self::bytes(cursor, short_length)?,
            b'C' => Self::bytes(cursor, |cursor| cursor.byte().map(usize::from))?,
            0x8e | 0x96 => Self::bytes(cursor, Cursor::length)?,

            b']' => Self::Push(Record::List(Vec::new())),
            b')' => Self::Push(Record::Tuple(Vec::new())),
            b'}' => Self::Push(Record::Dict(Vec::new())),
            0x8f => Self::Push(Record::Set(Vec::new())),
            b'l' => Self::List,
            b't' => Self::Tuple,
            b'd' => Self::Dict,
            0x91 => Self::FrozenSet,
            0x85 => Self::ShortTuple(1),
            0x86 => Self::ShortTuple(2),
            0x87 => Self::ShortTuple(3),
            b'a' => Self::Append,
            b'e' => Self::Appends,
            b's' => Self::SetItem,
            b'u' => Self::SetItems,
            0x90 => Self::AddItems,

            0x94 => Self::Memoize,
            b'p' => Self::Put(literal::index(cursor.line()?, offset)?),
            b'q' => Self::Put(cursor.byte()?.into()),
            b'r' => Self::Put(short_length(cursor)?),
            b'g' => Self::Get(literal::index(cursor.line()?, offset)?),
            b'h' => Self::Get(cursor.byte()?.into()),
            b'j' => Self::Get(short_length(cursor)?),

            b'c' => Self::Global { module: cursor.line()?, name: cursor.line()? },
            0x93 => Self::StackGlobal,
            b'R' => Self::Reduce,
            0x81 => Self::NewObject,
            0x92 => Self::NewObjectWithKeywords,
            b'i' => Self::Instance { module: cursor.line()?, name: cursor.line()? },
            b'o' => Self::Object,
            b'b' => Self::Build,

            0x80 => Self::Protocol(cursor.byte()?),
            0x95 => {
                cursor.length()?;
                Self::Nothing
            }
            0x82 => Self::Extension(cursor.byte()?.into()),
            0x83 => Self::Extension(u16::from_le_bytes(cursor.array()?).into()),
            0x84 => Self::Extension(u32::from_le_bytes(cursor.array()?)),
            b'P' => {
                cursor.line()?;
                Self::PersistentId
            }
            b'Q' => Self::PersistentId,
            0x97 | 0x98 => Self::OutOfBand,
            other => return Err(Fault::damaged(offset, format!("0x{other:02x} is no pickle opcode"))),
        };
        Ok(op)
    }

    fn int(int: impl Into<i64>) -> Self {
        Self::Push(Record::Int(int.into()))
    }

    fn text(
        cursor: &mut Cursor<'a>,
        length: impl Fn(&mut Cursor<'a>) -> Result<usize, Fault>,
    ) -> Result<Self, Fault> {
        let length = length(cursor)?;
        let offset = cursor.position();
        match std::str::from_utf8(cursor.take(length)?) {
            Ok(text) => Ok(Self::Push(Record::Text(Cow::Borrowed(text)))),
            Err(_) => Err(Fault::damaged(offset, "a text is not UTF-8")),
        }
    }

    fn bytes(
        cursor: &mut Cursor<'a>,
        length: impl Fn(&mut Cursor<'a>) -> Result<usize, Fault>,
    ) -> Result<Self, Fault> {
        let length = length(cursor)?;
        Ok(Self::Push(Record::Bytes(Cow::Borrowed(cursor.take(length)?))))
    }
}

/// A 32-bit length or number.
fn short_length(cursor: &mut Cursor<'_>) -> Result<usize, Fault> {
    Ok(u32::from_le_bytes(cursor.array()?) as usize)
}
