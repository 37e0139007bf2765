//! Security policies: what a listener speaks with clients ("Security policies for your Application Load Balancer", "Security
//! policies for your Network Load Balancer").

/// What a policy allows, as far as anybody should still speak it: neither TLS 1.0 and 1.1, nor CBC, nor a key exchange
/// without forward secrecy is ever spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsPolicy {
    /// TLS 1.2 (RFC 5246).
    pub tls12: bool,
    /// TLS 1.3 (RFC 8446).
    pub tls13: bool,
    /// A key exchange that a quantum computer does not break, X25519MLKEM768, for those who offer it.
    pub post_quantum: bool,
    /// Which of the algorithms that are safe.
    pub algorithms: Algorithms,
    /// What the policy has and nobody gets here.
    pub left_out: LeftOut,
}

/// A choice among algorithms that are safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithms {
    /// All of them.
    All,
    /// What FIPS approves: neither ChaCha20-Poly1305 nor X25519 alone.
    Fips,
    /// What RFC 9151 leaves of them: AES with 256 bits, and P-384.
    Rfc9151,
}

/// What a policy has that is not spoken here, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// Versions before TLS 1.2.
    pub versions: Option<&'static str>,
    /// Cipher suites of TLS 1.2.
    pub ciphers: Option<&'static str>,
    /// Groups of the key exchange, as far as the pages name them.
    pub groups: Option<&'static str>,
}

/// Cipher suites of TLS 1.2 that policies have and nobody gets here.
const CBC: Option<&str> = Some("ciphers with CBC");
const STATIC: Option<&str> = Some("ciphers without forward secrecy");
const BOTH: Option<&str> = Some("ciphers with CBC or without forward secrecy");

/// A policy without what all names begin with, its oldest and newest version of TLS 1, and its ciphers that nobody gets.
type Row = (&'static str, u8, u8, Option<&'static str>);

/// Every policy of the two pages as they were in October 2026, and `TLS-1-0-2015-04`, which the API has and they have no
/// longer. What marks in the names mean is not repeated: `PQ`, `FIPS`, `RFC9151`.
const POLICIES: &[Row] = &[
    ("2016-08", 0, 2, BOTH),
    ("2015-05", 0, 2, BOTH),
    ("TLS-1-0-2015-04", 0, 2, BOTH),
    ("TLS-1-1-2017-01", 1, 2, BOTH),
    ("TLS-1-2-2017-01", 2, 2, BOTH),
    ("TLS-1-2-Ext-2018-06", 2, 2, BOTH),
    ("FS-2018-06", 0, 2, CBC),
    ("FS-1-1-2019-08", 1, 2, CBC),
    ("FS-1-2-2019-08", 2, 2, CBC),
    ("FS-1-2-Res-2019-08", 2, 2, CBC),
    ("FS-1-2-Res-2020-10", 2, 2, None),
    ("TLS13-1-0-2021-06", 0, 3, BOTH),
    ("TLS13-1-0-PQ-2025-09", 0, 3, BOTH),
    ("TLS13-1-0-FIPS-2023-04", 0, 3, BOTH),
    ("TLS13-1-0-FIPS-PQ-2025-09", 0, 3, BOTH),
    ("TLS13-1-1-2021-06", 1, 3, BOTH),
    ("TLS13-1-1-FIPS-2023-04", 1, 3, BOTH),
    ("TLS13-1-2-2021-06", 2, 3, CBC),
    ("TLS13-1-2-PQ-2025-09", 2, 3, CBC),
    ("TLS13-1-2-FIPS-2023-04", 2, 3, CBC),
    ("TLS13-1-2-FIPS-PQ-2025-09", 2, 3, CBC),
    ("TLS13-1-2-Res-2021-06", 2, 3, None),
    ("TLS13-1-2-Res-PQ-2025-09", 2, 3, None),
    ("TLS13-1-2-Res-FIPS-2023-04", 2, 3, None),
    ("TLS13-1-2-Res-FIPS-PQ-2025-09", 2, 3, None),
    ("TLS13-1-2-Ext0-FIPS-2023-04", 2, 3, CBC),
    ("TLS13-1-2-Ext0-FIPS-PQ-2025-09", 2, 3, CBC),
    ("TLS13-1-2-Ext1-2021-06", 2, 3, BOTH),
    ("TLS13-1-2-Ext1-PQ-2025-09", 2, 3, BOTH),
    ("TLS13-1-2-Ext1-FIPS-2023-04", 2, 3, BOTH),
    ("TLS13-1-2-Ext1-FIPS-PQ-2025-09", 2, 3, BOTH),
    ("TLS13-1-2-Ext2-2021-06", 2, 3, BOTH),
    ("TLS13-1-2-Ext2-PQ-2025-09", 2, 3, BOTH),
    ("TLS13-1-2-Ext2-FIPS-2023-04", 2, 3, BOTH),
    ("TLS13-1-2-Ext2-FIPS-PQ-2025-09", 2, 3, BOTH),
    ("TLS13-1-2-RFC9151-FIPS-2023-07", 2, 3, None),
    ("TLS13-1-2-Ext0-RFC9151-FIPS-2023-07", 2, 3, STATIC),
    ("TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07", 2, 3, None),
    ("TLS13-1-2-RFC9151-INTEROP2-FIPS-2023-07", 2, 3, CBC),
    ("TLS13-1-2-RFC9151-INTEROP3-FIPS-2023-07", 2, 3, CBC),
    ("TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07", 2, 3, BOTH),
    ("TLS13-1-3-2021-06", 3, 3, None),
    ("TLS13-1-3-PQ-2025-09", 3, 3, None),
    ("TLS13-1-3-FIPS-2023-04", 3, 3, None),
    ("TLS13-1-3-FIPS-PQ-2025-09", 3, 3, None),
    ("TLS13-1-3-RFC9151-FIPS-2023-07", 3, 3, None),
];

/// What all names begin with.
const PREFIX: &str = "ELBSecurityPolicy-";

// === impl TlsPolicy ===

impl TlsPolicy {
    /// The policy of this name, for example `ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09`; `None` for one that AWS does not
    /// have.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.strip_prefix(PREFIX)?;
        POLICIES.iter().find(|(known, ..)| *known == name).map(Self::of)
    }

    fn of((name, oldest, newest, ciphers): &Row) -> Self {
        let has = |mark: &str| name.split('-').any(|part| part == mark);
        // Those for both sides take what FIPS approves.
        let is_for_both_sides = name.contains("INTEROP");
        let algorithms = match () {
            () if has("RFC9151") && !is_for_both_sides => Algorithms::Rfc9151,
            () if has("FIPS") => Algorithms::Fips,
            () => Algorithms::All,
        };
        let versions = match oldest {
            0 => Some("TLS 1.0 and 1.1"),
            1 => Some("TLS 1.1"),
            _ => None,
        };
        let post_quantum = has("PQ");
        let groups = post_quantum.then_some("the groups SecP256r1MLKEM768 and SecP384r1MLKEM1024");
        let left_out = LeftOut { versions, ciphers: *ciphers, groups };
        Self { tls12: *oldest <= 2, tls13: *newest == 3, post_quantum, algorithms, left_out }
    }

    /// The names of all policies.
    pub fn names() -> impl Iterator<Item = String> {
        POLICIES.iter().map(|(name, ..)| format!("{PREFIX}{name}"))
    }

    /// The policy that somebody probably meant who wrote a name that there is not. What the name asks for is kept, and
    /// nothing is suggested that speaks more than TLS 1.2 and 1.3 do with safe ciphers where the name does not say so.
    #[must_use]
    pub fn meant_by(written: &str) -> String {
        let written = written.to_ascii_lowercase();
        let asks = |mark: &str| written.contains(&mark.to_ascii_lowercase());
        let keeps = |name: &str, policy: &Self| {
            let only_tls13 = asks("TLS13-1-3");
            let marks = ["Res", "FIPS", "PQ", "TLS13", "RFC9151"].into_iter();
            let mut missing = marks.filter(|mark| asks(mark) && !name.contains(mark));
            let is_weak = policy.left_out.versions.is_some() || (name.contains("Ext") && !asks("Ext"));
            !is_weak && (!only_tls13 || !policy.tls12) && missing.next().is_none()
        };
        let names = Self::names().filter(|name| Self::named(name).is_some_and(|policy| keeps(name, &policy)));
        let names: Vec<(String, String)> = names.map(|name| (name.to_ascii_lowercase(), name)).collect();
        let nearest = crate::suggest::nearest(&written, names.iter().map(|(lower, _)| lower.as_str()));
        let nearest = names.iter().find(|(lower, _)| Some(lower.as_str()) == nearest);
        nearest.map_or_else(|| Self::RECOMMENDED.to_owned(), |(_, name)| name.clone())
    }

    /// What AWS recommends ("Security policies for your Application Load Balancer").
    const RECOMMENDED: &str = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09";

    /// Cipher suites by their number in IANA's registry.
    #[must_use]
    pub fn cipher_suites(&self) -> Vec<u16> {
        const AES_128: [u16; 3] = [0x1301, 0xc02b, 0xc02f];
        const AES_256: [u16; 3] = [0x1302, 0xc02c, 0xc030];
        const CHACHA20: [u16; 1] = [0x1303];
        let chosen: &[&[u16]] = match self.algorithms {
            Algorithms::All => &[&AES_128, &AES_256, &CHACHA20],
            Algorithms::Fips => &[&AES_128, &AES_256],
            Algorithms::Rfc9151 => &[&AES_256],
        };
        let is_spoken = |suite: &u16| if suite.to_be_bytes()[0] == 0x13 { self.tls13 } else { self.tls12 };
        chosen.iter().copied().flatten().copied().filter(is_spoken).collect()
    }

    /// Groups of the key exchange by their number in IANA's registry.
    #[must_use]
    pub fn groups(&self) -> Vec<u16> {
        const X25519_MLKEM768: u16 = 0x11ec;
        const X25519: u16 = 0x001d;
        const P256: u16 = 0x0017;
        const P384: u16 = 0x0018;
        let classical: &[u16] = match self.algorithms {
            Algorithms::All => &[X25519, P256, P384],
            Algorithms::Fips => &[P256, P384],
            Algorithms::Rfc9151 => &[P384],
        };
        self.post_quantum.then_some(X25519_MLKEM768).into_iter().chain(classical.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_policies_allow() {
        let of = |name: &str| {
            let policy = TlsPolicy::named(&format!("{PREFIX}{name}"))?;
            let LeftOut { versions, ciphers, .. } = policy.left_out;
            Some((policy.tls12, policy.tls13, policy.post_quantum, versions.is_some(), ciphers.is_some()))
        };
        assert_eq!(of("2016-08"), Some((true, false, false, true, true)));
        assert_eq!(of("FS-1-2-Res-2020-10"), Some((true, false, false, false, false)));
        assert_eq!(of("TLS13-1-3-2021-06"), Some((false, true, false, false, false)));
        assert_eq!(of("TLS13-1-2-2021-06"), Some((true, true, false, false, true)));
        assert_eq!(of("TLS13-1-2-Res-2021-06"), Some((true, true, false, false, false)));
        assert_eq!(of("TLS13-1-2-Ext2-2021-06"), Some((true, true, false, false, true)));
        assert_eq!(of("TLS13-1-2-Res-PQ-2025-09"), Some((true, true, true, false, false)));
        assert_eq!(of("TLS13-1-3-FIPS-PQ-2025-09"), Some((false, true, true, false, false)));
        assert_eq!(of("TLS13-1-0-2021-06"), Some((true, true, false, true, true)));
        for unknown in [
            "TLS13-1-4-2021-06",
            "TLS13-1-2-Res-2021",
            "TLS13-1-3-Res-2021-06",
            "TLS-1-3-2017-01",
            // These would follow the pattern, and AWS does not have them.
            "TLS13-1-2-2023-04",
            "TLS13-1-2-Ext0-2021-06",
            "TLS13-1-1-PQ-2025-09",
            // Of Classic Load Balancers.
            "2015-03",
            "",
        ] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
        assert_eq!(TlsPolicy::named("TLS13-1-2-2021-06"), None);
    }

    #[test]
    fn versions_and_ciphers_that_nobody_gets_have_words() {
        let of = |name: &str| TlsPolicy::named(&format!("{PREFIX}{name}")).unwrap().left_out;
        let left_out = |versions, ciphers| LeftOut { versions, ciphers, groups: None };
        assert_eq!(of("TLS13-1-1-2021-06"), left_out(Some("TLS 1.1"), BOTH));
        assert_eq!(of("FS-2018-06"), left_out(Some("TLS 1.0 and 1.1"), CBC));
        assert_eq!(of("TLS13-1-2-Ext0-RFC9151-FIPS-2023-07"), left_out(None, STATIC));
        assert_eq!(of("TLS13-1-2-RFC9151-FIPS-2023-07"), left_out(None, None));
        assert!(of("TLS13-1-3-PQ-2025-09").groups.is_some());
    }

    #[test]
    fn a_mistyped_name_is_near_to_what_was_meant_and_never_to_something_weaker() {
        for (written, meant) in [
            ("ELBSecurityPolicy-TLS13-1-2-2021-07", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
            ("elbsecuritypolicy-tls13-1-2-2021-06", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
            ("ELBSecurityPolicy-TLS13-1-9-2021-06", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
            ("ELBSecurityPolicy-TLS13-1-3-Res-2021-06", "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"),
            ("ELBSecurityPolicy-TLS13-1-2-Res-2021", "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"),
            ("ELBSecurityPolicy-TLS-1-0-2017-01", "ELBSecurityPolicy-TLS-1-2-2017-01"),
            ("modern", "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"),
        ] {
            assert_eq!(TlsPolicy::meant_by(written), meant, "{written}");
        }
    }

    #[test]
    fn what_fips_and_rfc_9151_leave_out_is_spoken_by_none_of_theirs() {
        let of = |name: &str| {
            let policy = TlsPolicy::named(&format!("{PREFIX}{name}")).unwrap();
            (policy.cipher_suites(), policy.groups())
        };
        assert_eq!(of("TLS13-1-3-2021-06"), (vec![0x1301, 0x1302, 0x1303], vec![0x1d, 0x17, 0x18]));
        assert_eq!(of("TLS13-1-3-FIPS-2023-04"), (vec![0x1301, 0x1302], vec![0x17, 0x18]));
        assert_eq!(of("TLS13-1-3-FIPS-PQ-2025-09"), (vec![0x1301, 0x1302], vec![0x11ec, 0x17, 0x18]));
        assert_eq!(of("TLS13-1-2-RFC9151-FIPS-2023-07"), (vec![0x1302, 0xc02c, 0xc030], vec![0x18]));
        let both_sides = of("TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07");
        assert_eq!(both_sides, of("TLS13-1-2-FIPS-2023-04"));
    }
}
