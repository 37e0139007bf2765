//! Header fields that are set and removed.

use crate::header_modification::{NAME_LIMIT, VALUE_LIMIT, is_field_value, is_name};

/// Header fields that are set, over those of the same name, and removed. Names are in lower case, and none is there
/// twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldEdits {
    set: Vec<(String, String)>,
    remove: Vec<String>,
}

/// Whose fields are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldSide {
    /// Those that targets get.
    Request,
    /// Those that clients get.
    Answer,
}

/// Why fields are not changed as somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldEditError {
    /// It is no name.
    #[error("`{name}` is not the name of a header field: letters, digits, `-` and `_`, at most {NAME_LIMIT}")]
    Name {
        /// As written.
        name: String,
    },
    /// It is not for everybody to say.
    #[error("`{name}` is not to be changed: {reason}")]
    Taken {
        /// In lower case.
        name: String,
        /// What it says.
        reason: &'static str,
    },
    /// It is said twice what becomes of it.
    #[error("`{name}` stands there twice")]
    Twice {
        /// In lower case.
        name: String,
    },
    /// It is no value.
    #[error(
        "the value of `{name}` is not {VALUE_LIMIT} printable ASCII characters at most, without line breaks"
    )]
    Value {
        /// In lower case.
        name: String,
    },
    /// There are too many.
    #[error("{count} fields are more than {}", FieldEdits::MOST)]
    TooMany {
        /// As many.
        count: usize,
    },
}

/// Fields that say how messages are framed, which connection they are on, where they go, or what a load balancer says
/// of them.
const TAKEN: &[(&str, &[FieldSide], &str)] = {
    const CONNECTION: &str = "it is about one connection (RFC 9110 §7.6.1)";
    const FRAMING: &str = "it says where a body ends";
    const TOLD: &str = "the load balancer tells it of every request";
    const BOTH: &[FieldSide] = &[FieldSide::Request, FieldSide::Answer];
    const REQUEST: &[FieldSide] = &[FieldSide::Request];
    const ANSWER: &[FieldSide] = &[FieldSide::Answer];
    &[
        ("connection", BOTH, CONNECTION),
        ("keep-alive", BOTH, CONNECTION),
        ("proxy-authenticate", BOTH, CONNECTION),
        ("proxy-authorization", BOTH, CONNECTION),
        ("proxy-connection", BOTH, CONNECTION),
        ("te", BOTH, CONNECTION),
        ("trailer", BOTH, CONNECTION),
        ("upgrade", BOTH, CONNECTION),
        ("content-length", BOTH, FRAMING),
        ("transfer-encoding", BOTH, FRAMING),
        ("content-encoding", BOTH, "it says how a body is to be read"),
        ("content-range", ANSWER, "it says which part of a whole an answer has"),
        ("cookie", REQUEST, "the cookies in it keep clients with their targets"),
        ("set-cookie", ANSWER, "the cookies in it keep clients with their targets"),
        ("expect", REQUEST, "the load balancer answers it"),
        ("host", REQUEST, "transforms.<service> rewrites it"),
        ("x-amzn-trace-id", REQUEST, TOLD),
        ("x-forwarded-for", REQUEST, TOLD),
        ("x-forwarded-port", REQUEST, TOLD),
        ("x-forwarded-proto", REQUEST, TOLD),
        ("x-forebay-reason", ANSWER, "it says why an answer is the load balancer's own"),
    ]
};

/// The beginnings of names of fields that tell of a client's TLS and certificate.
const TAKEN_FAMILIES: [&str; 2] = crate::header_modification::CLIENT_FIELD_FAMILIES;

// === impl FieldEdits ===

impl FieldEdits {
    /// So many fields are changed, at most.
    pub const MOST: usize = 32;

    /// Fields to set, with their values, and to remove. Names are in any case.
    ///
    /// # Errors
    /// The first field that cannot be changed so.
    pub fn new(
        side: FieldSide,
        set: impl IntoIterator<Item = (String, String)>,
        remove: impl IntoIterator<Item = String>,
    ) -> Result<Self, FieldEditError> {
        let mut edits = Self { set: Vec::new(), remove: Vec::new() };
        for (name, value) in set {
            let name = edits.name(side, &name)?;
            if !is_field_value(&value) {
                return Err(FieldEditError::Value { name });
            }
            edits.set.push((name, value.trim().to_owned()));
        }
        for name in remove {
            let name = edits.name(side, &name)?;
            edits.remove.push(name);
        }
        let count = edits.set.len() + edits.remove.len();
        if count > Self::MOST { Err(FieldEditError::TooMany { count }) } else { Ok(edits) }
    }

    /// Names in lower case, with values.
    #[must_use]
    pub fn set(&self) -> &[(String, String)] {
        &self.set
    }

    /// Names in lower case.
    #[must_use]
    pub fn removed(&self) -> &[String] {
        &self.remove
    }

    /// The names of all fields that are no more what they were.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.set.iter().map(|(name, _)| name).chain(&self.remove).map(String::as_str)
    }

    fn name(&self, side: FieldSide, written: &str) -> Result<String, FieldEditError> {
        if !is_name(written) {
            return Err(FieldEditError::Name { name: written.to_owned() });
        }
        let name = written.to_ascii_lowercase();
        // Servers that make variables of fields do not tell these apart.
        let plain = name.replace('_', "-");
        if let Some((_, _, reason)) =
            TAKEN.iter().find(|(taken, sides, _)| *taken == plain && sides.contains(&side))
        {
            return Err(FieldEditError::Taken { name, reason });
        }
        if side == FieldSide::Request && TAKEN_FAMILIES.iter().any(|family| plain.starts_with(family)) {
            return Err(FieldEditError::Taken { name, reason: "the load balancer tells it of clients" });
        }
        if self.names().any(|other| other.replace('_', "-") == plain) {
            return Err(FieldEditError::Twice { name });
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(side: FieldSide, set: &[(&str, &str)], remove: &[&str]) -> Result<FieldEdits, FieldEditError> {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        FieldEdits::new(side, set, remove.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn names_are_in_any_case_and_none_is_there_twice() {
        let good = edits(FieldSide::Request, &[("X-Tenant", " a b ")], &["X-Debug"]).unwrap();
        assert_eq!(good.set(), [("x-tenant".to_owned(), "a b".to_owned())]);
        assert_eq!(good.names().collect::<Vec<_>>(), ["x-tenant", "x-debug"]);
        for (set, remove) in [
            (vec![("x-a", "1"), ("X-A", "2")], vec![]),
            (vec![("x-a", "1")], vec!["x_a"]),
            (vec![], vec!["x-a", "x-a"]),
        ] {
            let error = edits(FieldSide::Request, &set, &remove).unwrap_err();
            assert!(matches!(error, FieldEditError::Twice { .. }), "{error}");
        }
    }

    #[test]
    fn what_frames_routes_or_tells_of_clients_stays_what_it_is() {
        for name in
            ["Host", "content-length", "Transfer_Encoding", "X-Forwarded-For", "x-amzn-tls-version", "cookie"]
        {
            let error = edits(FieldSide::Request, &[], &[name]).unwrap_err();
            assert!(matches!(error, FieldEditError::Taken { .. }), "{name}: {error}");
        }
        for name in ["connection", "set-cookie", "x-forebay-reason", "content-encoding"] {
            assert!(edits(FieldSide::Answer, &[(name, "a")], &[]).is_err(), "{name}");
        }
        edits(FieldSide::Answer, &[("host", "a"), ("x-forwarded-for", "b")], &["cookie"]).unwrap();
    }

    #[test]
    fn values_are_one_line_and_their_number_is_bounded() {
        for value in ["a\r\nx-b: c", "a\0", "ä", &"x".repeat(4097)] {
            let error = edits(FieldSide::Answer, &[("x-a", value)], &[]).unwrap_err();
            assert!(matches!(error, FieldEditError::Value { .. }), "{error}");
        }
        for name in ["", "a b", "a:b", &"a".repeat(65)] {
            assert!(
                matches!(edits(FieldSide::Answer, &[], &[name]), Err(FieldEditError::Name { .. })),
                "{name}"
            );
        }
        let many: Vec<String> = (0..=FieldEdits::MOST).map(|n| format!("x-{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(edits(FieldSide::Answer, &[], &many[1..]).is_ok());
        assert_eq!(edits(FieldSide::Answer, &[], &many), Err(FieldEditError::TooMany { count: 33 }));
    }
}
