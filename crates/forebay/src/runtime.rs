//! The thread that a command runs on.

/// Has this thread work only where the others leave it time.
pub(crate) fn give_way() {
    const LEAST: i32 = 19;
    // It is about this thread alone (setpriority(2), NOTES); where it may not be, it takes its turn with the others.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), LEAST);
}

/// Runs a future to its end on this thread, with tasks of its own beside it.
pub(crate) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = net::runtime()?;
    tokio::task::LocalSet::new().block_on(&runtime, future)
}
