//! Our end of a pipe or of a terminal, as something that can be waited for.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;

use tokio::io::unix::AsyncFd;

/// An open end.
#[derive(Debug)]
pub(super) struct Descriptor(AsyncFd<OwnedFd>);

impl Descriptor {
    #[expect(
        unsafe_code,
        reason = "the runtime must be promised that the descriptor stays open, which its owner sees to"
    )]
    pub(super) fn new(descriptor: OwnedFd) -> io::Result<Rc<Self>> {
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        // SAFETY: an `OwnedFd` owns its descriptor, and nothing here replaces or closes it before it is dropped.
        let registered = unsafe { AsyncFd::register(descriptor) };
        Ok(Rc::new(Self(registered?)))
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }

    pub(super) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            if let Ok(read) = ready.try_io(|descriptor| Ok(rustix::io::read(descriptor, &mut *buffer)?)) {
                return read;
            }
        }
    }

    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await?;
            if let Ok(written) = ready.try_io(|descriptor| Ok(rustix::io::write(descriptor, bytes)?)) {
                bytes = &bytes[written?..];
            }
        }
        Ok(())
    }
}
