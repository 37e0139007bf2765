//! How many files and sockets this process may have open (`RLIMIT_NOFILE`, getrlimit(2)).

use std::io;
use std::os::fd::AsRawFd;
use std::sync::LazyLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit, raised as far as the system allows when it is first asked for: shells set it to 1024 for programs of another
/// age, and allow much more.
static LIMIT: LazyLock<u64> = LazyLock::new(|| {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Where nothing is set, the kernel has a bound of its own (nr_open), which we come nowhere near.
    let most = maximum.unwrap_or(1 << 20);
    if current.is_some_and(|current| current < most)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum }).is_ok()
    {
        return most;
    }
    current.unwrap_or(most)
});

/// How many descriptors this process may have open, after it has asked for as many as it can get.
pub fn limit() -> u64 {
    *LIMIT
}

/// Descriptors that somebody leaves to others: so many, or the `part`th of all where that is less, for example 8 for an eighth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    n: u64,
    part: u64,
}

/// What connections to servers leave to clients, administrators and files: who comes then is at least told.
pub(crate) const BY_SERVERS: Left = Left { n: 128, part: 8 };

/// What clients leave to administrators and files, whoever took the others. Less than [`BY_SERVERS`], or clients would find
/// nothing left that servers left to them.
pub(crate) const BY_CLIENTS: Left = Left { n: 64, part: 16 };

const _: () = assert!(BY_CLIENTS.n < BY_SERVERS.n && BY_CLIENTS.part > BY_SERVERS.part);

impl Left {
    /// Whether a socket stands among them. The system always gives the lowest descriptor that is free, so its number says how
    /// many are in use (open(2)).
    pub(crate) fn has(self, socket: &impl AsRawFd) -> bool {
        let all = limit();
        u64::try_from(socket.as_raw_fd()).is_ok_and(|number| number >= all - self.n.min(all / self.part))
    }
}

/// What the system says when there is none left.
pub(crate) fn used_up() -> io::Error {
    rustix::io::Errno::MFILE.into()
}

/// Whether there was no descriptor left for something: that says nothing of whom it was for.
#[must_use]
pub fn are_used_up(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(rustix::io::Errno::MFILE.raw_os_error())
        || code == Some(rustix::io::Errno::NFILE.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let raised = limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, Some(raised));
        assert!(now.maximum.is_none_or(|maximum| maximum == raised));
        assert!(
            are_used_up(&io::Error::from_raw_os_error(24)) && !are_used_up(&io::ErrorKind::NotFound.into())
        );
    }
}
