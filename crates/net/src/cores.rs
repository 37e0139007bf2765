//! Threads with a runtime of their own, one for each core.

use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, LocalOptions, Runtime};

use crate::clock;

/// The runtime of one thread, as this crate's connections need it: it reads the clock whenever it wakes up.
///
/// # Errors
/// When the system gives none.
pub fn runtime() -> io::Result<Runtime> {
    builder().build()
}

/// Starts a thread that runs `main` to its end, on a runtime whose tasks may stay on the thread as those of a
/// [`tokio::task::LocalSet`] do. Such a set would poll `main` whenever any of its tasks is woken.
///
/// # Errors
/// When the system gives no thread. A runtime that cannot be made ends the thread with a message.
pub fn spawn_core<F: Future<Output = ()>>(
    name: &str,
    main: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        match builder().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime.block_on(async move { main().await }),
            Err(error) => tracing::error!(%error, "cannot make a runtime"),
        }
    })
}

fn builder() -> Builder {
    let wake = || _ = clock::refresh();
    let mut builder = Builder::new_current_thread();
    builder.enable_all().on_thread_unpark(wake);
    builder
}

/// How many cores this process may use.
#[must_use]
pub fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
