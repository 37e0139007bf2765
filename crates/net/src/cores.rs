//! Threads with a runtime of their own, one for each core.

use std::io;
use std::thread::JoinHandle;

use tokio::runtime::Runtime;

use crate::clock;

/// The runtime of one thread, as this crate's connections need it: it reads the clock whenever it wakes up.
///
/// # Errors
/// When the system gives none.
pub fn runtime() -> io::Result<Runtime> {
    let wake = || _ = clock::refresh();
    tokio::runtime::Builder::new_current_thread().enable_all().on_thread_unpark(wake).build()
}

/// Starts a thread that runs `main` to its end, on a current-thread runtime with a [`tokio::task::LocalSet`].
///
/// # Errors
/// When the system gives no thread. A runtime that cannot be made ends the thread with a message.
pub fn spawn_core<F: Future<Output = ()>>(
    name: &str,
    main: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || match runtime() {
        Ok(runtime) => tokio::task::LocalSet::new().block_on(&runtime, async move { main().await }),
        Err(error) => tracing::error!(%error, "cannot make a runtime"),
    })
}

/// How many cores this process may use.
#[must_use]
pub fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
