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
    /// ChaCha20-Poly1305 in TLS 1.3; policies of FIPS leave it out.
    pub chacha20: bool,
    /// What the policy has and nobody gets here.
    pub left_out: LeftOut,
}

/// What a policy allows that is not spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// TLS 1.0 or 1.1.
    pub old_versions: bool,
    /// Cipher suites of TLS 1.2 with CBC, or without forward secrecy.
    pub old_ciphers: bool,
}

/// Policies of before TLS 1.3, with what they leave to older clients.
const EARLIER: &[(&str, LeftOut)] = &[
    ("2016-08", LeftOut { old_versions: true, old_ciphers: true }),
    ("2015-05", LeftOut { old_versions: true, old_ciphers: true }),
    ("2015-03", LeftOut { old_versions: true, old_ciphers: true }),
    ("2015-02", LeftOut { old_versions: true, old_ciphers: true }),
    ("TLS-1-0-2015-04", LeftOut { old_versions: true, old_ciphers: true }),
    ("TLS-1-1-2017-01", LeftOut { old_versions: true, old_ciphers: true }),
    ("TLS-1-2-2017-01", LeftOut { old_versions: false, old_ciphers: true }),
    ("TLS-1-2-Ext-2018-06", LeftOut { old_versions: false, old_ciphers: true }),
    ("FS-2018-06", LeftOut { old_versions: true, old_ciphers: true }),
    ("FS-1-1-2019-08", LeftOut { old_versions: true, old_ciphers: true }),
    ("FS-1-2-2019-08", LeftOut { old_versions: false, old_ciphers: true }),
    ("FS-1-2-Res-2019-08", LeftOut { old_versions: false, old_ciphers: true }),
    ("FS-1-2-Res-2020-10", LeftOut { old_versions: false, old_ciphers: false }),
];

/// What the names of policies with TLS 1.3 go on with: the oldest version, which ciphers, of FIPS or not, post-quantum or
/// not, and when they came.
const DATES: &[&str] = &["2021-06", "2023-04", "PQ-2025-09", "FIPS-2023-04", "FIPS-PQ-2025-09"];

// === impl TlsPolicy ===

impl TlsPolicy {
    /// The policy of this name, for example `ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09`; `None` for one that AWS does not
    /// have.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.strip_prefix("ELBSecurityPolicy-")?;
        if let Some((_, left_out)) = EARLIER.iter().find(|(earlier, _)| *earlier == name) {
            let (tls12, tls13) = (true, false);
            return Some(Self { tls12, tls13, post_quantum: false, chacha20: false, left_out: *left_out });
        }
        let rest = name.strip_prefix("TLS13-1-")?;
        let (oldest, rest) = rest.split_once('-')?;
        let (ciphers, date) = match rest.split_once('-') {
            Some((ciphers @ ("Res" | "Ext0" | "Ext1" | "Ext2"), date)) => (ciphers, date),
            _ => ("", rest),
        };
        let is_known = matches!(oldest, "0" | "1" | "2" | "3") && DATES.contains(&date);
        let has_ciphers = oldest == "2" || ciphers.is_empty();
        let restricted = oldest == "3" || ciphers == "Res";
        (is_known && has_ciphers).then(|| Self {
            tls12: oldest != "3",
            tls13: true,
            post_quantum: date.contains("PQ"),
            chacha20: !date.contains("FIPS"),
            left_out: LeftOut { old_versions: matches!(oldest, "0" | "1"), old_ciphers: !restricted },
        })
    }

    /// The names of all policies.
    pub fn names() -> impl Iterator<Item = String> {
        const CIPHERS: [&str; 5] = ["", "Res-", "Ext0-", "Ext1-", "Ext2-"];
        let later = ["0", "1", "2", "3"].into_iter().flat_map(|oldest| {
            CIPHERS.into_iter().flat_map(move |ciphers| {
                DATES.iter().map(move |date| format!("ELBSecurityPolicy-TLS13-1-{oldest}-{ciphers}{date}"))
            })
        });
        let earlier = EARLIER.iter().map(|(name, _)| format!("ELBSecurityPolicy-{name}"));
        earlier.chain(later).filter(|name| Self::named(name).is_some())
    }

    /// The policy that somebody probably meant who wrote a name that there is not. What the name asks for is kept, and
    /// nothing is suggested that speaks more than TLS 1.2 and 1.3 do with safe ciphers where the name does not say so.
    #[must_use]
    pub fn meant_by(written: &str) -> String {
        let written = written.to_ascii_lowercase();
        let asks = |mark: &str| written.contains(&mark.to_ascii_lowercase());
        let keeps = |name: &str, policy: &Self| {
            let only_tls13 = asks("TLS13-1-3");
            let marks = ["Res", "FIPS", "PQ", "TLS13"].into_iter();
            let mut missing = marks.filter(|mark| asks(mark) && !name.contains(mark));
            let is_weak = policy.left_out.old_versions || (name.contains("Ext") && !asks("Ext"));
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
        const TLS12: [u16; 4] = [0xc02b, 0xc02f, 0xc02c, 0xc030];
        const TLS13: [u16; 2] = [0x1301, 0x1302];
        const CHACHA20: u16 = 0x1303;
        let tls12 = self.tls12.then_some(TLS12).into_iter().flatten();
        let tls13 = self.tls13.then_some(TLS13).into_iter().flatten();
        let chacha20 = (self.tls13 && self.chacha20).then_some(CHACHA20);
        tls13.chain(chacha20).chain(tls12).collect()
    }

    /// Groups of the key exchange by their number in IANA's registry.
    #[must_use]
    pub fn groups(&self) -> Vec<u16> {
        const X25519_MLKEM768: u16 = 0x11ec;
        const CLASSICAL: [u16; 3] = [0x001d, 0x0017, 0x0018];
        self.post_quantum.then_some(X25519_MLKEM768).into_iter().chain(CLASSICAL).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_policies_allow() {
        let of = |name: &str| {
            let policy = TlsPolicy::named(&format!("ELBSecurityPolicy-{name}"))?;
            let LeftOut { old_versions, old_ciphers } = policy.left_out;
            Some((policy.tls12, policy.tls13, policy.post_quantum, old_versions, old_ciphers))
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
        for unknown in
            ["TLS13-1-4-2021-06", "TLS13-1-2-Res-2021", "TLS13-1-3-Res-2021-06", "TLS-1-3-2017-01", ""]
        {
            assert_eq!(of(unknown), None, "{unknown}");
        }
        assert_eq!(TlsPolicy::named("TLS13-1-2-2021-06"), None);
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
    fn chacha20_is_none_of_fips() {
        let suites = |name: &str| TlsPolicy::named(name).unwrap().cipher_suites();
        assert_eq!(suites("ELBSecurityPolicy-TLS13-1-3-2021-06"), [0x1301, 0x1302, 0x1303]);
        assert_eq!(suites("ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04"), [0x1301, 0x1302]);
    }
}
