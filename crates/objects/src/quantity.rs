//! Amounts as Kubernetes writes them: `500m`, `1.5Gi`, `2e3`. Upstream: `apimachinery/pkg/api/resource`.
//!
//! Amounts are read for sums and comparisons only, so they become integers, rounded up as upstream does, and what is
//! too large to count is the largest number there is.

/// Digits after the point that count; the finest suffix is `n`, a billionth.
const PLACES: usize = 9;

/// Thousandths: how CPU is counted. `None` if the text is not an amount, or a negative one.
pub fn milli(text: &str) -> Option<u64> {
    scaled(text, 3)
}

/// Whole units, such as bytes. `None` if the text is not an amount, or a negative one.
pub fn whole(text: &str) -> Option<u64> {
    scaled(text, 0)
}

/// `text` times 10^`extra`, rounded up.
fn scaled(text: &str, extra: i32) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (integer.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (binary, decimal) = powers(suffix)?;
    let counted = fraction.get(..PLACES).unwrap_or(fraction);
    let rest = fraction.get(PLACES..).is_some_and(|rest| rest.bytes().any(|digit| digit != b'0'));
    let digits = integer.bytes().chain(counted.bytes()).try_fold(0u128, |sum, digit| {
        let digit = u128::from(digit - b'0');
        sum.checked_mul(10)?.checked_add(digit)
    });
    let places = i32::try_from(counted.len()).ok()?;
    Some(match digits.and_then(|digits| digits.checked_add(u128::from(rest))) {
        Some(0) => 0,
        Some(digits) => round_up(digits, binary, decimal.saturating_add(extra).saturating_sub(places)),
        None => u64::MAX,
    })
}

/// `digits` * 2^`binary` * 10^`decimal`.
fn round_up(digits: u128, binary: u32, decimal: i32) -> u64 {
    let factor = 10u128.checked_pow(decimal.unsigned_abs());
    let product = digits.checked_mul(1 << binary);
    let exact = match (product, factor) {
        (Some(product), Some(factor)) if decimal < 0 => Some(product.div_ceil(factor)),
        (Some(product), Some(factor)) => product.checked_mul(factor),
        // Far less than one, and not nothing.
        (Some(_), None) if decimal < 0 => Some(1),
        _ => None,
    };
    exact.and_then(|exact| u64::try_from(exact).ok()).unwrap_or(u64::MAX)
}

/// What a suffix multiplies by: a power of two and a power of ten.
fn powers(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => (0, suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_every_notation() {
        for (text, thousandths, units) in [
            ("0", 0, 0),
            ("2", 2000, 2),
            ("+2", 2000, 2),
            ("500m", 500, 1),
            ("0.5", 500, 1),
            (".5", 500, 1),
            ("1.", 1000, 1),
            ("1500m", 1500, 2),
            ("1u", 1, 1),
            ("2500u", 3, 1),
            ("100n", 1, 1),
            ("0n", 0, 0),
            ("0.0000000001", 1, 1),
            ("1k", 1_000_000, 1000),
            ("3M", 3_000_000_000, 3_000_000),
            ("1.5G", 1_500_000_000_000, 1_500_000_000),
            ("64Ki", 65_536_000, 65_536),
            ("1.5Mi", 1_572_864_000, 1_572_864),
            ("2Gi", 2_147_483_648_000, 2_147_483_648),
            ("2e3", 2_000_000, 2000),
            ("2E3", 2_000_000, 2000),
            ("12e-1", 1200, 2),
            ("1e-30", 1, 1),
            ("1E", u64::MAX, 1_000_000_000_000_000_000),
            ("8Ei", u64::MAX, 1 << 63),
            ("0e999", 0, 0),
            ("1e999", u64::MAX, u64::MAX),
            ("99999999999999999999999999999999999999999999", u64::MAX, u64::MAX),
        ] {
            assert_eq!((milli(text), whole(text)), (Some(thousandths), Some(units)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in ["", ".", "m", "-1", "1.2.3", "1 Gi", "1Kii", "1K", "1e", "1e1.5", "0x10", "one", "\u{663}"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
