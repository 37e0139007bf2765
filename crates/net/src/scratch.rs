//! Where reads land.

use std::cell::RefCell;

/// Bytes that one read may bring.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    /// One for all connections of a thread, so that a connection that waits holds no buffer.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Room for a read, until `f` returns.
pub(crate) fn with<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| f(scratch))
}
