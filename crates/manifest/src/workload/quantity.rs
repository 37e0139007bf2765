//! Amounts of resources ("Quantity", Kubernetes API conventions).

/// An amount in its base unit (cores, bytes). `None` when it is no amount, or a negative one.
#[must_use]
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let factors = [
        ("Ki", 1024.0),
        ("Mi", 1024.0_f64.powi(2)),
        ("Gi", 1024.0_f64.powi(3)),
        ("Ti", 1024.0_f64.powi(4)),
        ("Pi", 1024.0_f64.powi(5)),
        ("Ei", 1024.0_f64.powi(6)),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let suffixed = factors.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)));
    let (number, factor) = suffixed.unwrap_or((text, 1.0));
    let is_number = |byte: u8| byte.is_ascii_digit() || b".+eE-".contains(&byte);
    if number.is_empty() || !number.bytes().all(is_number) {
        return None;
    }
    let amount = number.parse::<f64>().ok()? * factor;
    (amount.is_finite() && amount >= 0.0).then_some(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acc_s4_28_amounts_have_suffixes() {
        for (text, amount) in [
            ("250m", Some(0.25)),
            ("1", Some(1.0)),
            ("0.5", Some(0.5)),
            ("512Mi", Some(536_870_912.0)),
            ("1Gi", Some(1_073_741_824.0)),
            ("1e3", Some(1000.0)),
            ("2E", Some(2e18)),
            ("1k", Some(1000.0)),
            ("-1", None),
            ("", None),
            ("Mi", None),
            ("inf", None),
            ("NaN", None),
            ("1 Gi", None),
            ("1e999", None),
        ] {
            assert_eq!(parse(text), amount, "{text}");
        }
    }
}
