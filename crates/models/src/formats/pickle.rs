//! Python's pickle, read as data.
//!
//! The machine knows every opcode of protocols 0 to 5 and executes none: a class becomes its name, a call becomes an
//! object with arguments, a state is kept beside it. What the result means is decided elsewhere, from the records.
//! joblib's files are pickles with array data between the opcodes; the machine lets [`joblib`] read those.

pub(crate) mod allowed;
mod literal;
mod opcode;

use std::borrow::Cow;

use crate::fault::Fault;
use crate::formats::cursor::Cursor;
use crate::formats::joblib;
use crate::record::{Id, Instance, MAX_NAME_BYTES, Record, Records};
use opcode::Op;

/// Containers that are open at once. Python's own writer stops at its recursion limit, which is lower.
const MAX_DEPTH: usize = 4096;

/// What was read from a pickle.
#[derive(Debug)]
pub(crate) struct Pickle {
    /// The object that was saved.
    pub(crate) root: Id,
    /// The protocol it was written in, as far as it says so.
    pub(crate) protocol: u8,
    /// Whether joblib wrote it.
    pub(crate) has_joblib_arrays: bool,
}

/// Reads one pickle into `records`; the cursor then stands behind it.
pub(crate) fn read<'a>(cursor: &mut Cursor<'a>, records: &mut Records<'a>) -> Result<Pickle, Fault> {
    let mut machine = Machine::new(cursor, records, true);
    let root = machine.run()?;
    Ok(Pickle { root, protocol: machine.protocol, has_joblib_arrays: machine.has_joblib_arrays })
}

/// Reads a pickle that lies inside a joblib file and has no joblib arrays itself, so nothing nests further.
pub(crate) fn read_nested<'a>(cursor: &mut Cursor<'a>, records: &mut Records<'a>) -> Result<Id, Fault> {
    Machine::new(cursor, records, false).run()
}

/// Whether bytes could begin a pickle: protocols 2 and later say so, older ones begin with one of a few opcodes.
pub(crate) fn is_likely(data: &[u8]) -> bool {
    match data {
        [0x80, protocol, ..] => *protocol <= 5,
        [b'(' | b'c' | b']' | b'}' | b'i', ..] => data.last() == Some(&b'.'),
        _ => false,
    }
}

/// The longest name of a class that an error shows, in bytes.
const MAX_SHOWN_NAME: usize = 256;

struct Machine<'m, 'a> {
    cursor: &'m mut Cursor<'a>,
    records: &'m mut Records<'a>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: Vec<Option<Id>>,
    /// Bytes that were encoded from texts.
    n_encoded: usize,
    protocol: u8,
    may_have_joblib_arrays: bool,
    has_joblib_arrays: bool,
    /// Where the current opcode begins.
    offset: usize,
}

impl<'m, 'a> Machine<'m, 'a> {
    fn new(cursor: &'m mut Cursor<'a>, records: &'m mut Records<'a>, may_have_joblib_arrays: bool) -> Self {
        Self {
            offset: cursor.position(),
            cursor,
            records,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            n_encoded: 0,
            protocol: 0,
            may_have_joblib_arrays,
            has_joblib_arrays: false,
        }
    }

    fn run(&mut self) -> Result<Id, Fault> {
        loop {
            self.offset = self.cursor.position();
            match Op::read(self.cursor)? {
                Op::Stop => return self.pop(),
                op => self.step(op)?,
            }
        }
    }

    fn step(&mut self, op: Op<'a>) -> Result<(), Fault> {
        match op {
            Op::Nothing | Op::Stop => {}
            Op::Protocol(protocol) => self.protocol = protocol,

            Op::PushNone => self.stack.push(Id::NONE),
            Op::PushBool(true) => self.stack.push(Id::TRUE),
            Op::PushBool(false) => self.stack.push(Id::FALSE),
            Op::Push(record) => self.push(record)?,
            Op::Mark => self.mark()?,
            Op::List => {
                let items = self.pop_to_mark()?;
                self.push(Record::List(items))?;
            }
            Op::Tuple => {
                let items = self.pop_to_mark()?;
                self.push(Record::Tuple(items))?;
            }
            Op::Dict => {
                let items = self.pop_to_mark()?;
                let pairs = self.pairs(&items)?;
                self.push(Record::Dict(pairs))?;
            }
            Op::FrozenSet => {
                let items = self.pop_to_mark()?;
                self.push(Record::Set(items))?;
            }
            Op::ShortTuple(length) => {
                let items = self.pop_n(length)?;
                self.push(Record::Tuple(items))?;
            }

            Op::Pop => self.pop_or_mark()?,
            Op::PopMark => drop(self.pop_to_mark()?),
            Op::Duplicate => self.stack.push(self.top()?),
            Op::Memoize => self.put(self.memo.len())?,
            Op::Put(index) => self.put(index)?,
            Op::Get(index) => {
                let known = self.memo.get(index).copied().flatten();
                self.stack.push(known.ok_or_else(|| self.damaged("the memo has no such number"))?);
            }

            Op::Append => {
                let item = self.pop()?;
                self.extend(&[item])?;
            }
            Op::Appends | Op::AddItems => {
                let items = self.pop_to_mark()?;
                self.extend(&items)?;
            }
            Op::SetItem => {
                let items = self.pop_n(2)?;
                self.insert(&items)?;
            }
            Op::SetItems => {
                let items = self.pop_to_mark()?;
                self.insert(&items)?;
            }

            Op::Global { module, name } => {
                let class = self.global(module, name)?;
                self.stack.push(class);
            }
            Op::StackGlobal => {
                let names = self.pop_n(2)?;
                let name = |id| self.records.text(id).filter(|name| name.len() <= MAX_NAME_BYTES);
                let [Some(module), Some(name)] = [names[0], names[1]].map(name) else {
                    return Err(self.damaged("a class is not named by a short text"));
                };
                let path = class_path(module, name);
                let class = self.class(path)?;
                self.stack.push(class);
            }
            Op::Reduce => {
                let call = self.pop_n(2)?;
                self.call(call[0], call[1])?;
            }
            Op::NewObject => {
                let call = self.pop_n(2)?;
                self.instance(call[0], call[1])?;
            }
            Op::NewObjectWithKeywords => {
                let call = self.pop_n(3)?;
                let arguments = self.records.add(Record::Tuple(vec![call[1], call[2]]))?;
                self.instance(call[0], arguments)?;
            }
            Op::Instance { module, name } => {
                let class = self.global(module, name)?;
                let arguments = self.pop_to_mark()?;
                let arguments = self.records.add(Record::Tuple(arguments))?;
                self.call(class, arguments)?;
            }
            Op::Object => {
                let arguments = self.pop_to_mark()?;
                let Some((class, arguments)) = arguments.split_first() else {
                    return Err(self.damaged("an object has no class"));
                };
                let arguments = self.records.add(Record::Tuple(arguments.to_vec()))?;
                self.call(*class, arguments)?;
            }
            Op::Build => self.build()?,

            Op::Extension(code) => return Err(self.forbidden(format!("extension {code}"))),
            Op::PersistentId => return Err(self.forbidden("persistent reference".to_owned())),
            Op::OutOfBand => {
                return Err(Fault::Unsupported {
                    what: "a pickle whose arrays were sent apart (out-of-band buffers)".to_owned(),
                    help: Some("save the model again without a `buffer_callback`".to_owned()),
                });
            }
        }
        Ok(())
    }

    // The stack and the memo.

    fn push(&mut self, record: Record<'a>) -> Result<(), Fault> {
        let id = self.records.add(record)?;
        self.stack.push(id);
        Ok(())
    }

    fn top(&self) -> Result<Id, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.get(floor..).and_then(<[Id]>::last);
        top.copied().ok_or_else(|| self.damaged("the stack is empty"))
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_n(&mut self, n: usize) -> Result<Vec<Id>, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(n) {
            Some(start) if start >= floor => Ok(self.stack.split_off(start)),
            _ => Err(self.damaged("the stack is empty")),
        }
    }

    fn pop_or_mark(&mut self) -> Result<(), Fault> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn mark(&mut self) -> Result<(), Fault> {
        if self.marks.len() >= MAX_DEPTH {
            return Err(Fault::TooLarge { what: "open containers", limit: MAX_DEPTH as u64 });
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let mark = self.marks.pop().ok_or_else(|| self.damaged("there is no mark"))?;
        Ok(self.stack.split_off(mark))
    }

    /// Writers number the memo without gaps, so no number is beyond the bytes that were read.
    fn put(&mut self, index: usize) -> Result<(), Fault> {
        let top = self.top()?;
        if index > self.cursor.position() {
            return Err(self.damaged("a memo number is out of order"));
        }
        if index >= self.memo.len() {
            self.memo.resize(index + 1, None);
        }
        self.memo[index] = Some(top);
        Ok(())
    }

    // Containers.

    fn pairs(&self, items: &[Id]) -> Result<Vec<(Id, Id)>, Fault> {
        let (pairs, []) = items.as_chunks() else {
            return Err(self.damaged("a dict has a key without a value"));
        };
        Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
    }

    fn extend(&mut self, new: &[Id]) -> Result<(), Fault> {
        let container = self.top()?;
        match self.records.get_mut(container) {
            Record::List(items) | Record::Set(items) => items.extend_from_slice(new),
            Record::Instance(instance) => instance.items.extend_from_slice(new),
            _ => return Err(self.damaged("something is appended to what is no list")),
        }
        Ok(())
    }

    fn insert(&mut self, items: &[Id]) -> Result<(), Fault> {
        let new = self.pairs(items)?;
        let container = self.top()?;
        match self.records.get_mut(container) {
            Record::Dict(pairs) => pairs.extend(new),
            Record::Instance(instance) => instance.pairs.extend(new),
            _ => return Err(self.damaged("something is inserted into what is no dict")),
        }
        Ok(())
    }

    // Classes and objects.

    fn global(&mut self, module: &[u8], name: &[u8]) -> Result<Id, Fault> {
        let names = (std::str::from_utf8(module), std::str::from_utf8(name));
        let (Ok(module), Ok(name)) = names else { return Err(self.damaged("a class name is no text")) };
        self.class(class_path(module, name))
    }

    fn class(&mut self, path: String) -> Result<Id, Fault> {
        if allowed::may_be_named(&path) {
            return self.records.class(&path);
        }
        // A text that begins as a pickle does may be any text, which is not for those who read errors.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
        let is_name = path.len() <= MAX_SHOWN_NAME && path.bytes().all(is_plain);
        Err(self.forbidden(if is_name { path } else { "something that is no class".to_owned() }))
    }

    /// Pushes what a call of a class or function stands for.
    fn call(&mut self, class: Id, arguments: Id) -> Result<(), Fault> {
        let Record::Class(path) = self.records.get(class) else {
            return Err(self.forbidden("something that is no class".to_owned()));
        };
        if !allowed::may_be_called(path) {
            return Err(self.forbidden(path.to_string()));
        }
        let Record::Tuple(given) = self.records.get(arguments) else {
            return Err(self.damaged("the arguments of a call are no tuple"));
        };
        match (&**path, &given[..]) {
            ("copyreg._reconstructor", [class, _base, state]) => {
                let (class, state) = (*class, *state);
                let arguments = self.records.add(Record::Tuple(vec![state]))?;
                self.instance(class, arguments)
            }
            ("_codecs.encode" | "builtins.bytearray", [text, _encoding]) => {
                let bytes = self.records.text(*text).and_then(latin1);
                let bytes = bytes.ok_or_else(|| self.damaged("bytes are encoded from what is no text"))?;
                self.count_encoded(bytes.len())?;
                self.push(Record::Bytes(Cow::Owned(bytes)))
            }
            ("builtins.bytes" | "builtins.bytearray", []) => self.push(Record::Bytes(Cow::Borrowed(&[]))),
            ("builtins.bytearray", [bytes]) if matches!(self.records.get(*bytes), Record::Bytes(_)) => {
                self.stack.push(*bytes);
                Ok(())
            }
            _ => self.instance(class, arguments),
        }
    }

    fn instance(&mut self, class: Id, arguments: Id) -> Result<(), Fault> {
        let Record::Class(path) = self.records.get(class) else {
            return Err(self.forbidden("something that is no class".to_owned()));
        };
        let instance = Instance::new(path.clone(), arguments);
        self.push(Record::Instance(Box::new(instance)))
    }

    fn build(&mut self) -> Result<(), Fault> {
        let state = self.pop()?;
        let object = self.top()?;
        let Record::Instance(instance) = self.records.get_mut(object) else {
            return Err(self.damaged("a state is set on what has none"));
        };
        if instance.state.replace(state).is_some() {
            return Err(self.damaged("a state is set twice"));
        }
        if joblib::WRAPPERS.contains(&&*instance.class) {
            if !self.may_have_joblib_arrays {
                return Err(self.damaged("an array lies inside an array"));
            }
            self.has_joblib_arrays = true;
            let array = joblib::read_array(self.cursor, self.records, state)?;
            self.records.replace(object, Record::Array(Box::new(array)));
        }
        Ok(())
    }

    /// Bytes encoded from texts get memory of their own; a small file could ask for the same ones again and again.
    fn count_encoded(&mut self, n_bytes: usize) -> Result<(), Fault> {
        self.n_encoded += n_bytes;
        let limit = self.cursor.len();
        if self.n_encoded > limit {
            return Err(Fault::TooLarge { what: "bytes encoded from texts", limit: limit as u64 });
        }
        Ok(())
    }

    fn damaged(&self, problem: &str) -> Fault {
        Fault::damaged(self.offset, problem)
    }

    fn forbidden(&self, class: String) -> Fault {
        Fault::Forbidden { class, offset: self.offset }
    }
}

fn class_path(module: &str, name: &str) -> String {
    format!("{}.{name}", allowed::modern_module(module))
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect()
}

#[cfg(test)]
mod tests;
