//! How answers are compressed on their way, and in which coding a client wants one (RFC 9110 §12.5.3).

/// A way to compress what a body says (RFC 9110 §8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 8878, with a window that every client has to have (RFC 9659).
    Zstd,
}

/// How answers are compressed: the codings, the best liked first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Compression {
    /// Never empty; none is there twice.
    pub codings: Vec<Coding>,
}

/// Why a text names no codings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// One is not known.
    #[error("`{0}` is not gzip or zstd")]
    Unknown(String),
    /// One stands there twice.
    #[error("`{0}` stands there twice")]
    Twice(&'static str),
}

/// What a client wants of an answer that can be had in other codings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The coding it likes best.
    pub coding: Coding,
    /// Whether it refuses what is not compressed, however short.
    pub refuses_plain: bool,
}

// === impl Coding ===

impl Coding {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Gzip, Self::Zstd];

    /// What header fields call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Whether a field means it; `x-gzip` is an old name (RFC 9110 §8.4.1.3).
    fn is_named(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.as_str().as_bytes())
            || (self == Self::Gzip && name.eq_ignore_ascii_case(b"x-gzip"))
    }
}

// === impl Compression ===

impl Compression {
    /// Parses `gzip, zstd`.
    ///
    /// # Errors
    /// The first name that is not known or stands there twice.
    pub fn parse(text: &str) -> Result<Self, CompressionError> {
        let mut codings = Vec::new();
        for name in text.split(',').map(str::trim) {
            let coding = Coding::ALL.into_iter().find(|coding| coding.as_str() == name);
            let coding = coding.ok_or_else(|| CompressionError::Unknown(name.to_owned()))?;
            if codings.contains(&coding) {
                return Err(CompressionError::Twice(coding.as_str()));
            }
            codings.push(coding);
        }
        Ok(Self { codings })
    }

    /// What a client wants that sends these values of `Accept-Encoding`; `None` where the answer goes to it as it is. One that
    /// sends none takes anything by the letter, and mostly cannot read it.
    pub fn wanted<'a>(&self, accept_encoding: impl Iterator<Item = &'a [u8]>) -> Option<Wanted> {
        let mut weights = Weights::default();
        accept_encoding
            .flat_map(|value| value.split(|byte| *byte == b','))
            .for_each(|part| weights.take(part));
        let weigh = |coding: Coding| (weights.of(coding), coding);
        let better = |best: (u16, Coding), next: (u16, Coding)| if next.0 > best.0 { next } else { best };
        let (weight, coding) = self.codings.iter().copied().map(weigh).reduce(better)?;
        let plain = weights.plain();
        (weight > 0 && plain.is_none_or(|plain| plain <= weight))
            .then_some(Wanted { coding, refuses_plain: plain == Some(0) })
    }
}

/// What `Accept-Encoding` says, in thousandths.
#[derive(Debug, Default)]
struct Weights {
    codings: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    others: Option<u16>,
}

impl Weights {
    /// Takes in one element of the list.
    fn take(&mut self, part: &[u8]) {
        let mut parts = part.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|parameter| {
            let (name, value) = parameter.split_at_checked(2)?;
            name.eq_ignore_ascii_case(b"q=").then(|| thousandths(value).unwrap_or(0))
        });
        let place = match name {
            b"*" => &mut self.others,
            name if name.eq_ignore_ascii_case(b"identity") => &mut self.identity,
            name => match Coding::ALL.into_iter().position(|coding| coding.is_named(name)) {
                Some(place) => &mut self.codings[place],
                None => return,
            },
        };
        // One that is named twice is wanted as much as it is at most.
        *place = (*place).max(Some(weight.unwrap_or(1000)));
    }

    fn of(&self, coding: Coding) -> u16 {
        self.codings[coding as usize].or(self.others).unwrap_or(0)
    }

    /// How much the answer as it is is wanted, where that is said.
    fn plain(&self) -> Option<u16> {
        self.identity.or(self.others.filter(|others| *others == 0))
    }
}

/// A weight (RFC 9110 §12.4.2) in thousandths; `None` for what is no weight.
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text {
        [whole @ (b'0' | b'1')] => (*whole, [].as_slice()),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] if fraction.len() <= 3 => (*whole, fraction),
        _ => return None,
    };
    let digit = |place: usize| match fraction.get(place) {
        None => Some(0),
        Some(byte) => byte.is_ascii_digit().then(|| u16::from(byte - b'0')),
    };
    let thousandths = 100 * digit(0)? + 10 * digit(1)? + digit(2)?;
    let weight = 1000 * u16::from(whole - b'0') + thousandths;
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_are_named_in_their_order() {
        let names = |text: &str| Compression::parse(text).map(|it| it.codings);
        assert_eq!(names("gzip"), Ok(vec![Coding::Gzip]));
        assert_eq!(names(" zstd ,gzip"), Ok(vec![Coding::Zstd, Coding::Gzip]));
        for (text, problem) in [
            ("", "`` is not gzip or zstd"),
            ("gzip, br", "`br` is not gzip or zstd"),
            ("gzip,gzip", "`gzip` stands there twice"),
        ] {
            assert_eq!(names(text).unwrap_err().to_string(), problem, "{text}");
        }
    }

    #[test]
    fn a_client_gets_what_it_likes_best_of_what_there_is() {
        #[track_caller]
        fn check(accept: &[&str], expected: Option<(Coding, bool)>) {
            let compression = Compression::parse("gzip, zstd").unwrap();
            let wanted = compression.wanted(accept.iter().map(|value| value.as_bytes()));
            assert_eq!(wanted.map(|it| (it.coding, it.refuses_plain)), expected, "{accept:?}");
        }
        let (gzip, zstd) = (Some((Coding::Gzip, false)), Some((Coding::Zstd, false)));
        check(&[], None);
        check(&[""], None);
        check(&["gzip, deflate, br, zstd"], gzip);
        check(&["zstd"], zstd);
        check(&["deflate", "zstd"], zstd);
        check(&["gzip;q=0.5, zstd;q=0.9"], zstd);
        check(&["gzip;q=0, *"], zstd);
        check(&["*"], gzip);
        check(&["*;q=0"], None);
        check(&["br"], None);
        check(&["X-GZIP ; Q=0.001"], gzip);
        check(&["gzip;q=nonsense"], None);
        check(&["gzip;q=1.5"], None);
        check(&["gzip;q=0.8, identity"], None);
        check(&["gzip, identity"], gzip);
        check(&["gzip;q=0.1, identity;q=0"], Some((Coding::Gzip, true)));
        check(&["zstd;q=0.2, *;q=0"], Some((Coding::Zstd, true)));
        // Nothing that there is here is wanted, so the answer goes out as it is.
        check(&["identity;q=0"], None);
        check(&["br, identity;q=0"], None);
    }

    #[test]
    fn weights_have_three_digits_and_are_one_at_most() {
        let weigh = |text: &str| thousandths(text.as_bytes());
        for (text, weight) in
            [("0", 0), ("1", 1000), ("0.5", 500), ("0.05", 50), ("0.001", 1), ("1.000", 1000), ("0.", 0)]
        {
            assert_eq!(weigh(text), Some(weight), "{text}");
        }
        for text in ["", "2", "1.001", "0.0001", "-0.1", ".5", "0,5", "0.5x"] {
            assert_eq!(weigh(text), None, "{text}");
        }
    }
}
