//! Memory that many share, and that none of them may use up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Body, Bytes, BytesMut, CollectError};

/// So many bytes for all who hold a handle to it.
#[derive(Debug, Clone)]
pub struct Budget {
    blocks: Arc<Semaphore>,
    n_blocks: u32,
}

/// Bytes that were granted, until this is dropped.
#[derive(Debug)]
pub struct Grant {
    blocks: Option<OwnedSemaphorePermit>,
}

/// What is granted to one who collects bytes, and does not always know before how many there will be.
#[derive(Debug)]
pub struct Hoard {
    budget: Budget,
    grants: Vec<Grant>,
    n_granted: usize,
}

/// There is no room for more bytes, and none was made in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no memory left for more bodies of requests")]
pub struct NoRoom;

/// So many bytes nobody is asked for: they are no more than a connection has to have.
const FREE: usize = 16 * 1024;

/// How long bytes are waited for that others have.
const PATIENCE: Duration = Duration::from_secs(2);

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
            return Some(Grant { blocks: None });
        }
        let blocks = Arc::clone(&self.blocks).try_acquire_many_owned(n_blocks).ok()?;
        Some(Grant { blocks: Some(blocks) })
    }

    /// So many bytes, once those before us have them and given them back, if that does not take too long.
    pub async fn wait(&self, n_bytes: usize, patience: Duration) -> Option<Grant> {
        let n_blocks = n_blocks(n_bytes).filter(|n_blocks| *n_blocks <= self.n_blocks)?;
        let waiting = Arc::clone(&self.blocks).acquire_many_owned(n_blocks);
        let blocks = tokio::time::timeout(patience, waiting).await.ok()?.ok()?;
        Some(Grant { blocks: Some(blocks) })
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

// === impl Grant ===

impl Grant {
    /// Gives back what is beyond so many bytes.
    pub fn shrink_to(&mut self, n_bytes: usize) {
        let Some(blocks) = &mut self.blocks else { return };
        let n_spare = blocks.num_permits().saturating_sub(n_bytes.div_ceil(BLOCK));
        drop(blocks.split(n_spare));
    }
}

// === impl Hoard ===

impl Hoard {
    /// Nothing yet, of this budget.
    #[must_use]
    pub fn new(budget: &Budget) -> Self {
        Self { budget: budget.clone(), grants: Vec::new(), n_granted: 0 }
    }

    /// Makes sure that so many bytes are granted in all, and waits for them if it has to. One who comes back for more gets
    /// twice as much, where that is left.
    ///
    /// # Errors
    /// When others do not give enough back in time.
    pub async fn hold(&mut self, n_bytes: usize) -> Result<(), NoRoom> {
        if n_bytes <= self.n_granted.max(FREE) {
            return Ok(());
        }
        let wanted = n_bytes - self.n_granted;
        let generous = wanted.max(self.n_granted);
        let (grant, n_bytes) = match self.budget.take(generous) {
            Some(grant) => (grant, generous),
            None => (self.budget.wait(wanted, PATIENCE).await.ok_or(NoRoom)?, wanted),
        };
        self.grants.push(grant);
        self.n_granted += n_bytes;
        Ok(())
    }

    /// Waits for all bytes of a body, at most `limit` of them, as far as there is room for them.
    ///
    /// # Errors
    /// See [`Body::collect`]; and when there is no room.
    pub async fn collect(&mut self, mut body: Body, limit: usize) -> Result<Bytes, CollectError> {
        let limit = limit.min(self.budget.total().max(FREE));
        let length = body.remaining().and_then(|length| usize::try_from(length).ok());
        if length.is_some_and(|length| length > limit) {
            return Err(CollectError::TooLarge { limit });
        }
        if let Body::Full(bytes) = body {
            return Ok(bytes);
        }
        self.hold(length.unwrap_or(0)).await?;
        let mut all = BytesMut::new();
        while let Some(chunk) = body.chunk().await {
            let chunk = chunk?;
            if all.len() + chunk.len() > limit {
                return Err(CollectError::TooLarge { limit });
            }
            self.hold(all.len() + chunk.len()).await?;
            if all.capacity() == 0 {
                // A length that was told is what a client says: it gets its memory as its bytes come.
                all.reserve(length.unwrap_or(0).min(FREE).max(chunk.len()));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
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
        let mut shrunk = budget.take(8 * BLOCK).unwrap();
        shrunk.shrink_to(BLOCK + 1);
        assert_eq!(budget.used(), 2 * BLOCK);
        shrunk.shrink_to(9 * BLOCK);
        assert_eq!(budget.used(), 2 * BLOCK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_collected_where_there_is_room_for_it() {
        let budget = Budget::new(64 * BLOCK);
        let body = |n_bytes: usize| Body::from(vec![b'x'; n_bytes]);
        let stream = |n_bytes: usize| Body::with_trailers(vec![b'x'; n_bytes].into(), crate::Fields::new());
        let mut one = Hoard::new(&budget);
        assert_eq!(one.collect(stream(40 * BLOCK), 1 << 20).await.unwrap().len(), 40 * BLOCK);
        assert_eq!(budget.used(), 40 * BLOCK);
        let mut two = Hoard::new(&budget);
        assert_eq!(
            two.collect(stream(16 * BLOCK), 1 << 20).await.unwrap().len(),
            16 * BLOCK,
            "small ones always"
        );
        let crowded = two.collect(stream(40 * BLOCK), 1 << 20).await;
        assert_eq!(crowded, Err(CollectError::NoRoom(NoRoom)));
        let (collected, ()) = tokio::join!(two.collect(stream(40 * BLOCK), 1 << 20), async { drop(one) });
        assert_eq!(collected.unwrap().len(), 40 * BLOCK);
        let too_large = Hoard::new(&budget).collect(body(65 * BLOCK), 1 << 20).await;
        assert_eq!(too_large, Err(CollectError::TooLarge { limit: 64 * BLOCK }));
        drop(two);
        assert_eq!(budget.used(), 0);
    }
}
