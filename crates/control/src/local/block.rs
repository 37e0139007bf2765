//! The loopback addresses of one platform: `127.77.B.n` for load balancers, `127.78.B.n` for replicas, and the B-th part of
//! `127.96.0.0/12` for Services.
//!
//! Several platforms run side by side on one machine, so each claims a block B for itself. The claim is a bound socket:
//! it ends with the process, however that ends.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;

/// A block of addresses that is ours.
#[derive(Debug)]
pub(super) struct Block {
    number: u8,
    /// The last address given to a replica: addresses are given in turns, so that what still knows of a replica that
    /// ended does not meet another at its address.
    last: u8,
    _claim: UdpSocket,
}

/// The address and the port whose socket is the claim.
const CLAIM: (u8, u16) = (254, 7777);
/// The networks of Services of all blocks.
const SERVICES: Ipv4Addr = Ipv4Addr::new(127, 96, 0, 0);
/// Addresses that are given out in a block: 254 is the claim, 0 and 255 are for nobody.
const FIRST: u8 = 1;
const LAST: u8 = 253;

/// No block is free.
#[derive(Debug, thiserror::Error)]
#[error("no block of loopback addresses is free: 127.77.0.{0} to 127.77.255.{0} are all taken", CLAIM.0)]
pub struct NoBlock;

impl Block {
    /// Claims a block, if possible this one.
    pub(super) fn claim(preferred: u8) -> Result<Self, NoBlock> {
        let claimed = candidates(preferred).find_map(|number| {
            let claim = UdpSocket::bind((Ipv4Addr::new(127, 77, number, CLAIM.0), CLAIM.1)).ok()?;
            Some(Self { number, last: LAST, _claim: claim })
        });
        claimed.ok_or(NoBlock)
    }

    pub(super) fn number(&self) -> u8 {
        self.number
    }

    /// The address of a load balancer.
    pub(super) fn load_balancer(&self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 77, self.number, n)
    }

    /// The first address of the network of Services: 4,096 of 127.96.0.0/12 for each block.
    pub(super) fn service_network(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(SERVICES.to_bits() | u32::from(self.number) << 12 | 1)
    }

    /// The next free address for a replica; `None` when all are taken.
    pub(super) fn next_replica(&mut self, is_taken: impl Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        let after = self.last.saturating_add(1)..=LAST;
        let mut numbers = after.chain(FIRST..=self.last);
        let (number, address) = numbers.find_map(|n| {
            let address = Ipv4Addr::new(127, 78, self.number, n);
            (!is_taken(address)).then_some((n, address))
        })?;
        self.last = number;
        Some(address)
    }
}

/// The block that a platform asks for first: its own by its state folder, so that while it is away no other platform
/// is likely to take its addresses.
pub(super) fn number_for(state_folder: &Path) -> u8 {
    let hash =
        state_folder.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    // FNV-1a, folded to a byte.
    hash.to_le_bytes().into_iter().fold(0, |folded, byte| folded ^ byte)
}

/// The blocks in the order in which they are tried.
fn candidates(preferred: u8) -> impl Iterator<Item = u8> {
    (0..=255).map(move |offset| preferred.wrapping_add(offset))
}

/// The number of a new load balancer: the first that none has. `None` when all are taken.
pub(super) fn free_number(is_taken: impl Fn(u8) -> bool) -> Option<u8> {
    (FIRST..=LAST).find(|n| !is_taken(*n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_do_not_share_a_block() {
        let first = Block::claim(7).unwrap();
        let second = Block::claim(first.number()).unwrap();
        assert_ne!(first.number(), second.number());
    }

    #[test]
    fn the_block_of_before_is_tried_first_and_then_every_other() {
        let all: Vec<u8> = candidates(254).collect();
        assert_eq!(all[..3], [254, 255, 0]);
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 256);
        assert_ne!(number_for(Path::new("/a/forebay")), number_for(Path::new("/b/forebay")));
    }

    #[test]
    fn addresses_are_given_in_turns() {
        let mut block = Block::claim(0).unwrap();
        let last = |address: Option<Ipv4Addr>| address.map(|address| address.octets()[3]);
        assert_eq!(last(block.next_replica(|_| false)), Some(1));
        assert_eq!(last(block.next_replica(|_| false)), Some(2));
        assert_eq!(last(block.next_replica(|address| address.octets()[3] == 3)), Some(4));
        block.last = LAST;
        assert_eq!(last(block.next_replica(|_| false)), Some(1));
        assert_eq!(block.next_replica(|_| true), None);
    }
}
