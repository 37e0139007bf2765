//! What `Cache-Control` says (RFC 9111 §5.2), of requests and of answers.

/// The directives that a shared cache goes by. Others are passed over, as they have to be (§5.2.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Directives {
    pub(super) no_store: bool,
    /// With names of fields it is meant of the whole answer too: leaving fields out would help few.
    pub(super) no_cache: bool,
    pub(super) private: bool,
    pub(super) public: bool,
    /// That, or `proxy-revalidate`, which says the same to a shared cache.
    pub(super) must_revalidate: bool,
    pub(super) only_if_cached: bool,
    /// In seconds, as all of the following.
    pub(super) max_age: Option<u32>,
    pub(super) s_maxage: Option<u32>,
    pub(super) min_fresh: Option<u32>,
    /// Without a number it is any.
    pub(super) max_stale: Option<u32>,
    /// RFC 5861 §3 and §4.
    pub(super) stale_while_revalidate: Option<u32>,
    pub(super) stale_if_error: Option<u32>,
}

/// As old as anything can be (RFC 9111 §1.2.2).
pub(super) const FOREVER: u32 = 1 << 31;

impl Directives {
    /// Reads the values of the field. Of one that stands there twice the first counts (§4.2.1).
    pub(super) fn read<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut all = Self::default();
        for value in values {
            let mut rest = value;
            while let Some((directive, after)) = next(rest) {
                all.take(directive);
                rest = after;
            }
        }
        all
    }

    fn take(&mut self, directive: &[u8]) {
        let (name, argument) = match directive.iter().position(|byte| *byte == b'=') {
            Some(place) => (&directive[..place], Some(unquoted(directive[place + 1..].trim_ascii()))),
            None => (directive, None),
        };
        let name = name.trim_ascii().to_ascii_lowercase();
        let number = || argument.map_or(0, seconds);
        match name.as_slice() {
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache = true,
            b"private" => self.private = true,
            b"public" => self.public = true,
            b"must-revalidate" | b"proxy-revalidate" => self.must_revalidate = true,
            b"only-if-cached" => self.only_if_cached = true,
            b"max-age" => _ = self.max_age.get_or_insert_with(number),
            b"s-maxage" => _ = self.s_maxage.get_or_insert_with(number),
            b"min-fresh" => _ = self.min_fresh.get_or_insert_with(number),
            b"max-stale" => _ = self.max_stale.get_or_insert_with(|| argument.map_or(FOREVER, seconds)),
            b"stale-while-revalidate" => _ = self.stale_while_revalidate.get_or_insert_with(number),
            b"stale-if-error" => _ = self.stale_if_error.get_or_insert_with(number),
            _ => {}
        }
    }
}

/// The next directive and what stands behind it. A comma between quotes ends none.
fn next(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if text.is_empty() {
        return None;
    }
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (place, byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => return Some((&text[..place], &text[place + 1..])),
            _ => {}
        }
    }
    Some((text, &[]))
}

/// Both forms are taken for all arguments (§5.2).
fn unquoted(argument: &[u8]) -> &[u8] {
    argument.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(argument)
}

/// A number of seconds. What is none makes an answer stale (§4.2.1).
fn seconds(argument: &[u8]) -> u32 {
    if argument.is_empty() || !argument.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let text = std::str::from_utf8(argument).unwrap_or_default();
    text.parse::<u32>().unwrap_or(FOREVER).min(FOREVER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(values: &[&str]) -> Directives {
        Directives::read(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn directives_are_read_as_people_write_them() {
        let age = |max_age| Directives { max_age: Some(max_age), ..Directives::default() };
        let public = Directives { public: true, ..age(60) };
        for (values, expected) in [
            (&["max-age=60"][..], age(60)),
            (&["Max-Age = \"60\" ,, "], age(60)),
            (&["max-age=60, max-age=5"], age(60)),
            (&["max-age=x"], age(0)),
            (&["max-age=-1"], age(0)),
            (&["max-age"], age(0)),
            (&["max-age=1.5"], age(0)),
            (&["max-age=99999999999999999999"], age(FOREVER)),
            (&["max-age=60", "PUBLIC"], public),
            (&["extension=\"a, no-store\", max-age=60, public"], public),
            (&["extension=\"\\\", no-store\", max-age=60, public"], public),
            (&["no-cache=\"set-cookie, a\""], Directives { no_cache: true, ..Directives::default() }),
            (&["max-stale"], Directives { max_stale: Some(FOREVER), ..Directives::default() }),
            (&["max-stale=5"], Directives { max_stale: Some(5), ..Directives::default() }),
            (&["proxy-revalidate"], Directives { must_revalidate: true, ..Directives::default() }),
            (&["no-storey, xprivate"], Directives::default()),
            (&[], Directives::default()),
        ] {
            assert_eq!(read(values), expected, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            crate::cache::fuzz(&bytes);
        }

        #[test]
        fn what_is_written_is_read(
            names in prop::sample::subsequence(vec!["no-store", "private", "public", "must-revalidate", "no-cache"], 0..5),
            age in prop::option::of(0..FOREVER),
            space in " {0,2}",
        ) {
            let mut parts: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            parts.extend(age.map(|age| format!("s-maxage={space}{age}")));
            let directives = read(&[&parts.join(&format!("{space},{space}"))]);
            let has = |name: &str| names.contains(&name);
            let told = [directives.no_store, directives.private, directives.public, directives.must_revalidate];
            prop_assert_eq!(told, [has("no-store"), has("private"), has("public"), has("must-revalidate")]);
            prop_assert_eq!((directives.no_cache, directives.s_maxage), (has("no-cache"), age));
        }
    }
}
