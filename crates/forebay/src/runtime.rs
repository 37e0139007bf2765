//! The thread that a command runs on.

/// Runs a future to its end on this thread, with tasks of its own beside it.
pub(crate) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = net::runtime()?;
    tokio::task::LocalSet::new().block_on(&runtime, future)
}
