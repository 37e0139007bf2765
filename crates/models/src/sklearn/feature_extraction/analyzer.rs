//! From a text to its terms: words or pieces of them (`_VectorizerMixin` in `sklearn/feature_extraction/text.py`).

use std::borrow::Cow;
use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;

use super::characters::{is_space, is_word};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::record::Record;

/// What an analyzer reads of an object and does not need.
pub(super) const FIT: &str = "decode_error encoding max_df max_features min_df _stop_words_id stop_words_";

/// The words that `stop_words='english'` leaves out.
const ENGLISH: &str = include_str!("english.txt");

/// The longest run of words or characters that is one term.
const MAX_LENGTH: usize = 64;

/// Makes terms of texts.
#[derive(Debug)]
pub(super) struct Analyzer {
    is_lowered: bool,
    accents: Accents,
    unit: Unit,
    /// How many units a term has, at least and at most.
    lengths: [usize; 2],
}

/// What becomes of accents (`strip_accents`).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Accents {
    Kept,
    /// `unicode`: characters fall apart into letters and marks, which go.
    Stripped,
    /// `ascii`: the same, and everything else that is not ASCII goes too.
    Ascii,
}

#[derive(Debug)]
enum Unit {
    Word {
        pattern: Pattern,
        left_out: HashSet<String>,
    },
    Character,
    /// Characters of one word, with a space before and after.
    CharacterOfWord,
}

/// What is a word, as far as it is a run of certain characters.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pattern {
    characters: Characters,
    min_length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Characters {
    Word,
    NoSpace,
    AsciiLetters,
    LowerAsciiLetters,
}

// === impl Analyzer ===

impl Analyzer {
    pub(super) fn read(object: &Object<'_>) -> Result<Self, Fault> {
        for (key, help) in [
            ("preprocessor", "texts are prepared in no other way than `lowercase`"),
            ("tokenizer", "words are found by a `token_pattern`"),
        ] {
            if let Some(value) = object.some(key) {
                return Err(value.unsupported(help));
            }
        }
        let input = object.get("input")?;
        if !input.is_text("content") {
            return Err(input.unsupported("texts are given themselves"));
        }
        let lengths = object.get("ngram_range")?;
        let lengths = match lengths.integers()?[..] {
            [min, max] if 1 <= min && min <= max && max as usize <= MAX_LENGTH => {
                [min as usize, max as usize]
            }
            _ => return Err(lengths.unsupported("a term has one to 64 parts")),
        };
        let analyzer = object.get("analyzer")?;
        let unit = match analyzer.text().as_deref() {
            Ok("word") => Unit::Word {
                pattern: Pattern::read(&object.get("token_pattern")?)?,
                left_out: left_out(&object.get("stop_words")?)?,
            },
            Ok("char") => Unit::Character,
            Ok("char_wb") => Unit::CharacterOfWord,
            _ => return Err(analyzer.unsupported("it is `word`, `char` or `char_wb`")),
        };
        object.find("token_pattern");
        object.find("stop_words");
        let accents = match object.some("strip_accents") {
            None => Accents::Kept,
            Some(value) if value.is_text("unicode") => Accents::Stripped,
            Some(value) if value.is_text("ascii") => Accents::Ascii,
            Some(value) => return Err(value.unsupported("it is `unicode` or `ascii`")),
        };
        Ok(Self { is_lowered: object.get("lowercase")?.flag()?, accents, unit, lengths })
    }

    /// A text as its terms are looked for.
    fn prepared<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let lowered: Cow<'t, str> = if self.is_lowered { text.to_lowercase().into() } else { text.into() };
        if self.accents == Accents::Kept || lowered.is_ascii() {
            return lowered;
        }
        let keeps: fn(&char) -> bool = match self.accents {
            Accents::Ascii => char::is_ascii,
            _ => |character| canonical_combining_class(*character) == 0,
        };
        lowered.nfkd().filter(keeps).collect::<String>().into()
    }

    /// Calls `each` with every term of a text.
    pub(super) fn for_terms(&self, text: &str, mut each: impl FnMut(&str)) {
        let text = &*self.prepared(text);
        match &self.unit {
            Unit::Word { pattern, left_out } => {
                let words = pattern.words(text).filter(|word| !left_out.contains(*word));
                self.for_runs(&words.collect::<Vec<_>>(), &mut each);
            }
            Unit::Character => self.for_characters(&single_spaces(text), &mut each),
            Unit::CharacterOfWord => {
                for word in text.split(is_space).filter(|word| !word.is_empty()) {
                    self.for_characters_of_word(word, &mut each);
                }
            }
        }
    }

    fn for_runs(&self, words: &[&str], each: &mut impl FnMut(&str)) {
        let [min, max] = self.lengths;
        for length in min..=max.min(words.len()) {
            match length {
                1 => words.iter().for_each(|word| each(word)),
                length => words.windows(length).for_each(|run| each(&run.join(" "))),
            }
        }
    }

    fn for_characters(&self, text: &str, each: &mut impl FnMut(&str)) {
        let places = places(text);
        let [min, max] = self.lengths;
        for length in min..=max.min(places.len() - 1) {
            places.windows(length + 1).for_each(|run| each(&text[run[0]..run[length]]));
        }
    }

    fn for_characters_of_word(&self, word: &str, each: &mut impl FnMut(&str)) {
        let word = format!(" {word} ");
        let places = places(&word);
        let n_characters = places.len() - 1;
        let [min, max] = self.lengths;
        for length in min..=max {
            if length >= n_characters {
                // A short word counts once.
                each(&word);
                break;
            }
            places.windows(length + 1).for_each(|run| each(&word[run[0]..run[length]]));
        }
    }
}

/// Where characters begin, and where the last one ends.
fn places(text: &str) -> Vec<usize> {
    text.char_indices().map(|(place, _)| place).chain([text.len()]).collect()
}

/// Several spaces become one. A single one stays what it is.
fn single_spaces(text: &str) -> String {
    let mut single = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let mut is_run = false;
        while is_space(character) && characters.next_if(|next| is_space(*next)).is_some() {
            is_run = true;
        }
        single.push(if is_run { ' ' } else { character });
    }
    single
}

fn left_out(stop_words: &Value<'_>) -> Result<HashSet<String>, Fault> {
    if stop_words.is_none() {
        return Ok(HashSet::new());
    }
    match stop_words.record() {
        Record::Text(name) if name == "english" => {
            Ok(ENGLISH.split_whitespace().map(str::to_owned).collect())
        }
        Record::Text(_) => Err(stop_words.unsupported("there is a list for `english` only")),
        _ => Ok(stop_words.elements()?.into_iter().collect()),
    }
}

// === impl Pattern ===

impl Pattern {
    /// Reads a regular expression, if it says nothing else than which characters words are made of.
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let unsupported = || {
            let help = r"words are runs of `\w`, `\S`, `[a-zA-Z]` or `[a-z]`, like `(?u)\b\w\w+\b`";
            value.unsupported(help)
        };
        Self::parse(&value.text()?).ok_or_else(unsupported)
    }

    fn parse(pattern: &str) -> Option<Self> {
        const ATOMS: &[(&str, Characters)] = &[
            (r"\w", Characters::Word),
            (r"\S", Characters::NoSpace),
            ("[a-zA-Z]", Characters::AsciiLetters),
            ("[A-Za-z]", Characters::AsciiLetters),
            ("[a-z]", Characters::LowerAsciiLetters),
        ];
        let pattern = pattern.strip_prefix("(?u)").unwrap_or(pattern);
        let (pattern, begins_at_word) = strip(pattern.strip_prefix(r"\b"), pattern);
        let (mut rest, ends_at_word) = strip(pattern.strip_suffix(r"\b"), pattern);
        let (atom, characters) = ATOMS.iter().find(|(atom, _)| rest.starts_with(atom))?;
        // At the ends of runs of word characters there are boundaries anyway; elsewhere they would matter.
        if *characters != Characters::Word && (begins_at_word || ends_at_word) {
            return None;
        }
        let mut min_length = 0;
        while let Some(after) = rest.strip_prefix(atom) {
            min_length += 1;
            rest = after;
        }
        let open = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix(",}"));
        match (rest, open) {
            ("+", _) => {}
            (_, Some(least)) => min_length += least.parse::<usize>().ok().filter(|least| *least > 0)? - 1,
            _ => return None,
        }
        Some(Self { characters: *characters, min_length })
    }

    /// The words of a text.
    fn words(self, text: &str) -> impl Iterator<Item = &str> {
        let is_long = move |word: &&str| !word.is_empty() && word.chars().nth(self.min_length - 1).is_some();
        text.split(move |character| !self.characters.contain(character)).filter(is_long)
    }
}

/// What is left of a text, and whether something was cut off.
fn strip<'t>(stripped: Option<&'t str>, whole: &'t str) -> (&'t str, bool) {
    (stripped.unwrap_or(whole), stripped.is_some())
}

impl Characters {
    fn contain(self, character: char) -> bool {
        match self {
            Self::Word => is_word(character),
            Self::NoSpace => !is_space(character),
            Self::AsciiLetters => character.is_ascii_alphabetic(),
            Self::LowerAsciiLetters => character.is_ascii_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(unit: Unit, lengths: [usize; 2], text: &str) -> Vec<String> {
        let analyzer = Analyzer { is_lowered: true, accents: Accents::Kept, unit, lengths };
        let mut terms = Vec::new();
        analyzer.for_terms(text, |term| terms.push(term.to_owned()));
        terms
    }

    #[test]
    fn words_are_runs_of_two_and_more() {
        let pattern = Pattern::parse(r"(?u)\b\w\w+\b").unwrap();
        let unit = || Unit::Word { pattern, left_out: HashSet::from(["the".to_owned()]) };
        assert_eq!(
            terms(unit(), [1, 1], "It's THE free_offer, a Bücher-Laden"),
            ["it", "free_offer", "bücher", "laden"]
        );
        assert_eq!(terms(unit(), [1, 2], "win the prize"), ["win", "prize", "win prize"]);
        assert_eq!(terms(unit(), [2, 3], ""), Vec::<String>::new());
    }

    #[test]
    fn characters_cross_words_or_do_not() {
        assert_eq!(terms(Unit::Character, [2, 2], "a  \tb"), ["a ", " b"]);
        assert_eq!(
            terms(Unit::CharacterOfWord, [2, 4], "ab c"),
            [" a", "ab", "b ", " ab", "ab ", " ab ", " c", "c ", " c "]
        );
        assert_eq!(terms(Unit::Character, [1, 3], ""), Vec::<String>::new());
    }

    #[test]
    fn patterns_that_are_more_than_runs_are_not_read() {
        let word = |min_length| Some(Pattern { characters: Characters::Word, min_length });
        for (pattern, expected) in [
            (r"(?u)\b\w\w+\b", word(2)),
            (r"\w+", word(1)),
            (r"\b\w{3,}\b", word(3)),
            (r"\w\w{2,}", word(3)),
            ("[a-zA-Z]+", Some(Pattern { characters: Characters::AsciiLetters, min_length: 1 })),
            (r"\b[a-z]+\b", None),
            (r"\w", None),
            (r"\w{0,}", None),
            (r"\w+-\w+", None),
            ("", None),
            (r"\w{2,99999999999999999999}", None),
        ] {
            assert_eq!(Pattern::parse(pattern), expected, "{pattern}");
        }
    }
}
