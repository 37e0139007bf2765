//! Names that say where a column stands, which is all that a model without column names can be told by name.

/// What libraries write before the number of a column that has no name: pandas nothing, scikit-learn `x2`, XGBoost `f2`,
/// LightGBM `Column_2`, and this crate, of columns of texts, `column_2`.
const PREFIXES: [&str; 5] = ["", "x", "f", "Column_", "column_"];

/// The position that the name of a column says by itself: `2`, `x2`, `f2` and `Column_2` are the third.
#[must_use]
pub fn position_in_name(name: &str) -> Option<usize> {
    let number = |prefix: &&'static str| {
        let digits = name.strip_prefix(*prefix)?;
        // `007` and `+7` are names.
        let is_number =
            digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        digits.parse().ok().filter(|_| is_number)
    };
    PREFIXES.iter().find_map(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_that_libraries_give_say_a_position() {
        for name in ["3", "x3", "f3", "Column_3", "column_3"] {
            assert_eq!(position_in_name(name), Some(3), "{name}");
        }
        for name in ["", "x", "a3", "x3.0", "x-3", "+3", "03", "x 3", "price", "99999999999999999999"] {
            assert_eq!(position_in_name(name), None, "{name}");
        }
        assert_eq!(position_in_name("0"), Some(0));
    }
}
