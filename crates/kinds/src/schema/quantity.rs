//! Resource quantities: `100m`, `1.5`, `2Gi`, `1e3`.

/// Whether the text is a quantity: a decimal number with an optional binary (`Ki`), decimal (`m`, `k`) or exponent
/// (`e3`) suffix.
pub(crate) fn is_valid(text: &str) -> bool {
    parse(text).is_some()
}

/// The value as a float, good for comparison with zero and with another quantity.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(digits);
    if !number.bytes().any(|b| b.is_ascii_digit()) || number.matches('.').count() > 1 {
        return None;
    }
    let value: f64 = number.trim_end_matches('.').parse().ok()?;
    let factor = factor(suffix)?;
    Some(if text.starts_with('-') { -value * factor } else { value * factor })
}

fn factor(suffix: &str) -> Option<f64> {
    Some(match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            10f64.powi(exponent.parse::<i16>().ok()?.into())
        }
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn quantities_are_told_from_other_text() {
        for good in ["1", "0", "100m", "1.5", "1.", ".5", "2Gi", "1e3", "1E-3", "-1", "+1k"] {
            assert!(super::is_valid(good), "{good}");
        }
        for bad in ["", ".", "1.2.3", "1 Gi", "Gi", "1gi", "1e", "--1", "one", "1K"] {
            assert!(!super::is_valid(bad), "{bad}");
        }
    }
}
