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

/// Starts a thread that carries traffic: as [`spawn_thread`] does, and when it is woken it soon goes before what computes.
///
/// # Errors
/// As of [`spawn_thread`].
pub fn spawn_core<F: Future<Output = ()>>(
    name: &str,
    main: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    spawn_thread(name, || {
        ask_for_short_slices();
        main()
    })
}

/// Starts a thread that runs `main` to its end, on a runtime whose tasks may stay on the thread as those of a
/// [`tokio::task::LocalSet`] do. Such a set would poll `main` whenever any of its tasks is woken.
///
/// # Errors
/// When the system gives no thread. A runtime that cannot be made ends the thread with a message.
pub fn spawn_thread<F: Future<Output = ()>>(
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

/// The shortest that a thread may ask for, in nanoseconds.
const SLICE: u64 = 100_000;

/// Has the scheduler give this thread its share of a core in short slices, so that it need not wait for the end of a long one
/// of another thread (sched_setattr(2); sched-eevdf in the kernel's documentation). Linux does so since 6.12; one before that
/// goes on as it did.
fn ask_for_short_slices() {
    let Ok(nice) = rustix::process::getpriority_process(None) else { return };
    let size = size_of::<libc::sched_attr>();
    let attributes = libc::sched_attr {
        size: u32::try_from(size).unwrap_or_default(),
        sched_policy: libc::SCHED_OTHER.cast_unsigned(),
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: SLICE,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes from the address, which are these attributes, and keeps nothing of it.
    #[expect(unsafe_code, reason = "no library has it")]
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if done != 0 {
        tracing::debug!(error = %io::Error::last_os_error(), "slices stay as long as they are");
    }
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
