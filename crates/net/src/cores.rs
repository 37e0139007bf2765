//! Threads with a runtime of their own, one for each core.

use std::io;
use std::thread::JoinHandle;

/// Starts a thread that runs `main` to its end, on a current-thread runtime with a [`tokio::task::LocalSet`].
///
/// # Errors
/// When the system gives no thread. A runtime that cannot be made ends the thread with a message.
pub fn spawn_core<F: Future<Output = ()>>(
    name: &str,
    main: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => tokio::task::LocalSet::new().block_on(&runtime, async move { main().await }),
            Err(error) => tracing::error!(%error, "cannot make a runtime"),
        }
    })
}

/// How many cores this process may use.
#[must_use]
pub fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
