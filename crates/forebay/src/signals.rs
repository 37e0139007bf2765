//! What tells a command to end.

use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::End;

/// Waits until somebody wants this process to end: Ctrl-C, SIGTERM, or the end of standard input if that counts.
pub(crate) async fn end(stdin_counts: bool) -> End {
    let (mut interrupt, mut terminate) = match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
        // Without signal handlers the system ends the process, as it does any other.
        _ => return std::future::pending().await,
    };
    tokio::select! {
        _ = interrupt.recv() => End::Interrupted,
        _ = terminate.recv() => End::Done,
        () = end_of_stdin(), if stdin_counts => End::Done,
    }
}

async fn end_of_stdin() {
    let mut stdin = tokio::io::stdin();
    let mut bytes = [0; 64];
    while !matches!(stdin.read(&mut bytes).await, Ok(0) | Err(_)) {}
}
