//! What tells a command to end.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::commands::End;

/// Waits until somebody wants this process to end: Ctrl-C, SIGTERM, or the end of standard input if that counts.
pub(crate) async fn end(stdin_counts: bool) -> End {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        // Without signal handlers the system ends the process, as it does any other.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => End::Interrupted,
        _ = terminate.recv() => End::Done,
        () = end_of_stdin(), if stdin_counts => End::Done,
    }
}

/// Waits for the end of standard input on a thread that the end of the process does not wait for.
async fn end_of_stdin() {
    let (ended, has_ended) = oneshot::channel::<()>();
    let reading = std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(ended);
    });
    match reading {
        Ok(_) => drop(has_ended.await),
        Err(_) => std::future::pending().await,
    }
}
