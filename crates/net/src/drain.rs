//! Ending gracefully: telling everything that runs to finish, and knowing when it has.

use std::time::Duration;

use tokio::sync::watch;

/// The side that says when to end. Everything that holds a [`DrainWatch`] has ended when the last one is dropped.
#[derive(Debug)]
pub struct Drain {
    sender: watch::Sender<bool>,
}

/// The side that is told to end, and whose lifetime says that it has not yet.
#[derive(Debug, Clone)]
pub struct DrainWatch {
    receiver: watch::Receiver<bool>,
}

impl Drain {
    /// A drain and its first watch.
    #[must_use]
    pub fn new() -> (Self, DrainWatch) {
        let (sender, receiver) = watch::channel(false);
        (Self { sender }, DrainWatch { receiver })
    }

    /// A further watch.
    #[must_use]
    pub fn watch(&self) -> DrainWatch {
        DrainWatch { receiver: self.sender.subscribe() }
    }

    /// How many watch, and so have not ended.
    #[must_use]
    pub fn n_watches(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Tells all watches to end, without waiting.
    pub fn begin(&self) {
        self.sender.send_replace(true);
    }

    /// Tells all watches to end and waits until they have, at most `patience`. Returns whether they have.
    pub async fn finish(self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.finish_all()).await.is_ok()
    }

    /// Tells all watches to end and waits until they have, however long that takes.
    pub async fn finish_all(self) {
        self.begin();
        self.sender.closed().await;
    }
}

impl DrainWatch {
    /// Whether it is time to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.receiver.borrow()
    }

    /// Waits until it is time to end. A drain that was dropped means the same.
    pub async fn draining(&mut self) {
        let _ = self.receiver.wait_for(|draining| *draining).await;
    }

    /// Waits until it has been time to end for so long that nothing more is to be begun.
    pub(crate) async fn draining_for(&mut self, patience: Duration) {
        self.draining().await;
        tokio::time::sleep(patience).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn finishing_waits_for_the_last_watch() {
        let (drain, mut watch) = Drain::new();
        let worker = async move {
            watch.draining().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            drop(watch);
        };
        let (finished, ()) = tokio::join!(drain.finish(Duration::from_secs(10)), worker);
        assert!(finished);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let (drain, watch) = Drain::new();
        assert!(!drain.finish(Duration::from_secs(1)).await);
        assert!(watch.is_draining());
    }
}
