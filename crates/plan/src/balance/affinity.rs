//! Where a client belongs: what sticky cookies say once they are opened, and which target an address leads to ("Sticky sessions",
//! Application and Network Load Balancer guides).
//!
//! What is here is neither secret nor proven: whoever carries it over a network seals it.

use std::net::{IpAddr, SocketAddr};

/// Where a client belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belonging {
    /// The target, or the target group.
    pub place: Place,
    /// Until when, in seconds since the beginning of 1970.
    pub until: u64,
}

/// What a client belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A target.
    Target(SocketAddr),
    /// A target group, by [`name_of_group`].
    TargetGroup(u64),
}

/// The first byte of what is written, which says what follows.
const OF_IPV4: u8 = 4;
const OF_IPV6: u8 = 6;
const OF_GROUP: u8 = 1;

// === impl Belonging ===

impl Belonging {
    /// What a cookie carries of it.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(27);
        let kind = match self.place {
            Place::Target(SocketAddr::V4(_)) => OF_IPV4,
            Place::Target(SocketAddr::V6(_)) => OF_IPV6,
            Place::TargetGroup(_) => OF_GROUP,
        };
        bytes.push(kind);
        bytes.extend_from_slice(&self.until.to_be_bytes());
        match self.place {
            Place::Target(target) => {
                bytes.extend_from_slice(&target.port().to_be_bytes());
                match target.ip() {
                    IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
                    IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
                }
            }
            Place::TargetGroup(name) => bytes.extend_from_slice(&name.to_be_bytes()),
        }
        bytes
    }

    /// What a cookie carried; `None` for what [`Self::to_bytes`] does not write.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (until, rest) = rest.split_first_chunk()?;
        let until = u64::from_be_bytes(*until);
        let target = |rest: &[u8], ip: fn(&[u8]) -> Option<IpAddr>| {
            let (port, address) = rest.split_first_chunk()?;
            Some(Place::Target(SocketAddr::new(ip(address)?, u16::from_be_bytes(*port))))
        };
        let place = match *kind {
            OF_IPV4 => target(rest, |address| Some(<[u8; 4]>::try_from(address).ok()?.into()))?,
            OF_IPV6 => target(rest, |address| Some(<[u8; 16]>::try_from(address).ok()?.into()))?,
            OF_GROUP => Place::TargetGroup(u64::from_be_bytes(rest.try_into().ok()?)),
            _ => return None,
        };
        Some(Self { place, until })
    }

    /// Where the client belongs at a moment, in seconds since the beginning of 1970.
    #[must_use]
    pub fn at(self, now: u64) -> Option<Place> {
        (now < self.until).then_some(self.place)
    }
}

/// The name of a target group in a cookie: the same for the same key, on every core and after every start.
#[must_use]
pub fn name_of_group(key: &str) -> u64 {
    key.bytes().fold(0, |name, byte| mixed(name ^ u64::from(byte)))
}

/// The target that a client's address leads to, by its place among those given. It stays the same for as long as that target is
/// there; of those whose target goes, each of the others gets as many ("rendezvous hashing", Thaler and Ravishankar 1998).
#[must_use]
pub fn of_address(client: IpAddr, targets: impl Iterator<Item = (usize, SocketAddr)>) -> Option<usize> {
    let client = mixed_with(0, client);
    let affinity = |target: SocketAddr| mixed_with(mixed(client ^ u64::from(target.port())), target.ip());
    targets.max_by_key(|(_, target)| affinity(*target)).map(|(place, _)| place)
}

/// The name that a client's address leads to, by its place among those given, as [`of_address`] finds a target.
#[must_use]
pub fn of_names<'a>(client: IpAddr, names: impl Iterator<Item = (usize, &'a str)>) -> Option<usize> {
    let client = mixed_with(0, client);
    names.max_by_key(|(_, name)| mixed(client ^ name_of_group(name))).map(|(place, _)| place)
}

/// The weight that a client's address leads to, by its place: of many clients each weight gets its share. `None` when all are zero.
#[must_use]
pub fn of_weights(client: IpAddr, weights: &[u16]) -> Option<usize> {
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut left = mixed(mixed_with(0, client)).checked_rem(total)?;
    weights.iter().position(|weight| {
        let is_it = left < u64::from(*weight);
        left = left.saturating_sub((*weight).into());
        is_it
    })
}

/// The values of a cookie in the `Cookie` fields of a request (RFC 6265 §4.2.1).
pub fn cookies<'a>(fields: impl Iterator<Item = &'a [u8]>, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let pairs = fields.flat_map(|field| field.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    pairs.filter_map(move |pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

fn mixed_with(seed: u64, ip: IpAddr) -> u64 {
    let words = match ip.to_canonical() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let halves = [words >> 64, words & u128::from(u64::MAX)];
    halves.into_iter().fold(seed, |state, half| mixed(state ^ u64::try_from(half).unwrap_or_default()))
}

/// Spreads numbers that differ little over all numbers (SplitMix64; Steele, Lea, Flood 2014).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    proptest! {
        #[test]
        fn what_is_written_is_read(ip: IpAddr, port: u16, name: u64, until: u64, is_target: bool) {
            let place =
                if is_target { Place::Target((ip, port).into()) } else { Place::TargetGroup(name) };
            let belonging = Belonging { place, until };
            prop_assert_eq!(Belonging::from_bytes(&belonging.to_bytes()), Some(belonging));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Some(read) = Belonging::from_bytes(&bytes) {
                prop_assert_eq!(read.to_bytes(), bytes);
            }
        }
    }

    fn targets(n: u16) -> impl Iterator<Item = (usize, SocketAddr)> {
        (0..n).map(|number| (usize::from(number), SocketAddr::from(([10, 0, 0, 9], 8000 + number))))
    }

    #[test]
    fn addresses_spread_over_targets_and_only_those_of_one_that_goes_move() {
        let clients =
            || (0..10_000_u32).map(|number| IpAddr::from(Ipv4Addr::from_bits(0x0a01_0000 + number)));
        let mut counts = [0; 4];
        let (mut n_moved, mut n_of_third) = (0, 0);
        for client in clients() {
            let place = of_address(client, targets(4)).unwrap();
            counts[place] += 1;
            let without_third = of_address(client, targets(4).filter(|(place, _)| *place != 2)).unwrap();
            n_of_third += usize::from(place == 2);
            n_moved += usize::from(place != without_third);
        }
        assert!(counts.iter().all(|count| (2300..2700).contains(count)), "{counts:?}");
        assert_eq!(n_moved, n_of_third);
        assert_eq!(of_address(IpAddr::from([1, 2, 3, 4]), targets(0)), None);
    }

    #[test]
    fn addresses_spread_by_weight() {
        let clients =
            || (0..10_000_u32).map(|number| IpAddr::from(Ipv4Addr::from_bits(0x0a01_0000 + number)));
        let mut counts = [0; 3];
        clients().for_each(|client| counts[of_weights(client, &[90, 0, 10]).unwrap()] += 1);
        assert!(counts[1] == 0 && (900..1100).contains(&counts[2]), "{counts:?}");
        assert_eq!(of_weights(IpAddr::from([1, 2, 3, 4]), &[0, 0]), None);
    }

    #[test]
    fn cookies_are_found_by_their_whole_name_in_all_fields() {
        let fields: [&[u8]; 2] = [b"a=1; AWSALB=x=y ;AWSALBCORS=z", b"AWSALB=second; b"];
        let all = |name| cookies(fields.into_iter(), name).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(all("AWSALB"), [b"x=y".to_vec(), b"second".to_vec()]);
        assert_eq!(all("AWSALBCORS"), [b"z".to_vec()]);
        assert_eq!(all("awsalb"), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_belonging_ends() {
        let belonging = Belonging { place: Place::TargetGroup(name_of_group("a")), until: 10 };
        assert_eq!((belonging.at(9), belonging.at(10)), (Some(belonging.place), None));
        assert_ne!(name_of_group("a"), name_of_group("b"));
    }
}
