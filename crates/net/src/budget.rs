//! Memory that many share, and that none of them may use up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many bytes for all who hold a handle to it.
#[derive(Debug, Clone)]
pub struct Budget {
    blocks: Arc<Semaphore>,
    n_blocks: u32,
}

/// Bytes that were granted, until this is dropped.
#[derive(Debug)]
pub struct Grant {
    _blocks: Option<OwnedSemaphorePermit>,
}

/// Bytes are granted in blocks of so many.
const BLOCK: usize = 1024;

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(n_bytes: usize) -> Self {
        let n_blocks = u32::try_from(n_bytes / BLOCK).unwrap_or(u32::MAX).min(MOST_BLOCKS);
        Self { blocks: Arc::new(Semaphore::new(n_blocks as usize)), n_blocks }
    }

    /// So many bytes at once, if they are left.
    #[must_use]
    pub fn take(&self, n_bytes: usize) -> Option<Grant> {
        let n_blocks = n_blocks(n_bytes)?;
        if n_blocks == 0 {
            return Some(Grant { _blocks: None });
        }
        let blocks = Arc::clone(&self.blocks).try_acquire_many_owned(n_blocks).ok()?;
        Some(Grant { _blocks: Some(blocks) })
    }

    /// So many bytes, once those before us have them and given them back, if that does not take too long.
    pub async fn wait(&self, n_bytes: usize, patience: Duration) -> Option<Grant> {
        let n_blocks = n_blocks(n_bytes).filter(|n_blocks| *n_blocks <= self.n_blocks)?;
        let waiting = Arc::clone(&self.blocks).acquire_many_owned(n_blocks);
        let blocks = tokio::time::timeout(patience, waiting).await.ok()?.ok()?;
        Some(Grant { _blocks: Some(blocks) })
    }

    /// Bytes that there are in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.n_blocks as usize * BLOCK
    }

    /// Bytes that are granted now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.total() - self.blocks.available_permits().min(self.n_blocks as usize) * BLOCK
    }
}

/// What a semaphore may hold on machines of 32 bits, too.
const MOST_BLOCKS: u32 = 1 << 28;

fn n_blocks(n_bytes: usize) -> Option<u32> {
    u32::try_from(n_bytes.div_ceil(BLOCK)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_gets_what_others_have() {
        let budget = Budget::new(10 * BLOCK);
        let most = budget.take(9 * BLOCK - 1).unwrap();
        assert_eq!((budget.used(), budget.total()), (9 * BLOCK, 10 * BLOCK));
        assert!(budget.take(BLOCK + 1).is_none() && budget.take(0).is_some());
        assert!(budget.wait(BLOCK + 1, Duration::from_secs(1)).await.is_none());
        let soon = budget.wait(BLOCK + 1, Duration::from_secs(1));
        let (granted, ()) = tokio::join!(soon, async { drop(most) });
        assert_eq!((granted.is_some(), budget.used()), (true, 2 * BLOCK));
        assert!(budget.wait(11 * BLOCK, Duration::from_secs(9)).await.is_none(), "more than there is");
        drop(granted);
        assert_eq!(budget.used(), 0);
        assert!(Budget::new(0).take(1).is_none());
    }
}
