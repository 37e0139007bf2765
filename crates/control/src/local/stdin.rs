//! The standard input of a container, for whoever attaches to it.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::sync::mpsc;

use super::command::Input;
use super::descriptor::Descriptor;
use super::process::Process;

/// `^C` and `^D` at a terminal.
const INTERRUPT: u8 = 3;
const END_OF_TRANSMISSION: u8 = 4;

/// The input of a container that runs. All clones are the same one.
#[derive(Debug, Clone)]
pub struct Stdin {
    /// Gone once it was closed.
    open: Rc<RefCell<Option<Rc<Descriptor>>>>,
    is_for_one: bool,
}

impl Stdin {
    /// Takes the input of a process, if its container lets somebody write to it.
    pub(super) fn of(process: &mut Process, stdin: manifest::Stdin) -> Option<Self> {
        if stdin == manifest::Stdin::Nobody {
            return None;
        }
        let descriptor = Descriptor::new(process.take_stdin()?).ok()?;
        let is_for_one = stdin == manifest::Stdin::Once;
        Some(Self { open: Rc::new(RefCell::new(Some(descriptor))), is_for_one })
    }

    /// Whether it ends with the first who attaches to it.
    #[must_use]
    pub fn is_for_one(&self) -> bool {
        self.is_for_one
    }

    /// Passes on what somebody says, until they have gone, or at a terminal have had enough (`^C`). If it is for one alone it ends
    /// with them, however they go.
    pub async fn feed(self, mut input: mpsc::Receiver<Input>, is_terminal: bool) {
        let stay = Stay(&self);
        while let Some(told) = input.recv().await {
            let Some(open) = self.open.borrow().clone() else { continue };
            match told {
                Input::Bytes(bytes) if is_terminal && bytes.contains(&INTERRUPT) => return,
                Input::Bytes(bytes) => {
                    let has_closed = open.write_all(&as_lines(&bytes, is_terminal)).await.is_err();
                    if has_closed || (is_terminal && bytes.contains(&END_OF_TRANSMISSION)) {
                        self.open.borrow_mut().take();
                    }
                }
                Input::End if self.is_for_one => drop(self.open.borrow_mut().take()),
                Input::End | Input::Resize(..) => {}
            }
        }
        drop(stay);
        std::future::pending::<()>().await;
    }
}

/// As long as somebody is attached.
struct Stay<'a>(&'a Stdin);

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        if self.0.is_for_one {
            self.0.open.borrow_mut().take();
        }
    }
}

/// What a terminal makes of its keys for who reads lines: there is none between the two.
fn as_lines(bytes: &[u8], is_terminal: bool) -> Vec<u8> {
    let bytes = bytes.iter().filter(|byte| !is_terminal || **byte != END_OF_TRANSMISSION);
    bytes.map(|byte| if is_terminal && *byte == b'\r' { b'\n' } else { *byte }).collect()
}
