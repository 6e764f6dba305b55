//! One series as a line of the text format. Upstream: kube-state-metrics `pkg/metric/metric.go`.

use std::fmt::Write;

/// Appends `name{labels} value` and a line feed.
pub(crate) fn push(text: &mut String, name: &str, labels: &[(&str, &str)], value: i64) {
    text.push_str(name);
    let mut separator = '{';
    for (label, value) in labels {
        text.push(separator);
        text.push_str(label);
        text.push_str("=\"");
        escape(text, value);
        text.push('"');
        separator = ',';
    }
    if !labels.is_empty() {
        text.push('}');
    }
    text.push(' ');
    number(text, value);
    text.push('\n');
}

fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}

/// As Go's `%g` without a precision: with an exponent from a million on.
fn number(text: &mut String, value: i64) {
    let digits = value.unsigned_abs().to_string();
    if value < 0 {
        text.push('-');
    }
    if digits.len() <= 6 {
        text.push_str(&digits);
        return;
    }
    let (first, rest) = digits.split_at(1);
    let rest = rest.trim_end_matches('0');
    text.push_str(first);
    if !rest.is_empty() {
        text.push('.');
        text.push_str(rest);
    }
    // Writing to a String cannot fail.
    let _ = write!(text, "e+{:02}", digits.len() - 1);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(labels: &[(&str, &str)], value: i64) -> String {
        let mut text = String::new();
        push(&mut text, "m", labels, value);
        text
    }

    #[test]
    fn lines_are_written_as_upstream_writes_them() {
        for (labels, value, expected) in [
            (&[][..], 1, "m 1\n"),
            (&[("a", "x"), ("b", "")], 0, "m{a=\"x\",b=\"\"} 0\n"),
            (&[("a", "q\"b\\n\nz")], -1, "m{a=\"q\\\"b\\\\n\\nz\"} -1\n"),
            (&[], 999_999, "m 999999\n"),
            (&[], 1_000_000, "m 1e+06\n"),
            (&[], 1_764_000_120, "m 1.76400012e+09\n"),
            (&[], -12_345_678, "m -1.2345678e+07\n"),
        ] {
            assert_eq!(line(labels, value), expected);
        }
    }

    proptest! {
        #[test]
        fn a_line_is_one_line_and_its_number_survives(value in "\\PC*|[\"\\\\\n]*", number in -(1_i64 << 52)..(1_i64 << 52)) {
            let text = line(&[("a", &value)], number);
            prop_assert_eq!(text.matches('\n').count(), 1);
            let (_, written) = text.trim_end().rsplit_once(' ').unwrap_or_default();
            prop_assert_eq!(written.parse::<f64>().ok(), Some(number as f64));
        }
    }
}
