//! Names of new Events.

use jiff::Timestamp;
use uuid::Uuid;

/// Gives each Event of one recorder its name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    last: i128,
}

impl Names {
    /// `<object>.<nanoseconds in hex>`, or a UUID if that is not a DNS name. The number only grows, even where the
    /// clock is coarse: no report is lost to a name that is taken, and names sort in the order of reports although
    /// the timestamps of v1 Events have whole seconds.
    pub(crate) fn next(&mut self, object: &str, at: Timestamp) -> String {
        self.last = at.as_nanosecond().max(self.last + 1);
        let name = format!("{object}.{:x}", self.last);
        if is_subdomain(&name) { name } else { Uuid::new_v4().to_string() }
    }
}

/// A DNS subdomain, as object names have to be.
fn is_subdomain(name: &str) -> bool {
    let label = |label: &str| {
        let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(inside) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_object_and_the_time_unless_that_is_no_dns_name() {
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let long = "a".repeat(250);
        let cases = [
            ("web", Some("web.1886caf21c963200")),
            ("10.0.0.1", Some("10.0.0.1.1886caf21c963200")),
            ("system:node:X", None),
            ("Web", None),
            ("2001:db8::1", None),
            (long.as_str(), None),
            ("", None),
        ];
        for (object, expected) in cases {
            let name = Names::default().next(object, at);
            match expected {
                Some(expected) => assert_eq!(name, expected),
                None => assert!(Uuid::parse_str(&name).is_ok(), "{object}: {name}"),
            }
        }
    }

    #[test]
    fn names_grow_even_if_the_clock_stands_still_or_goes_back() {
        let mut names = Names::default();
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let all: Vec<String> = (0..5).map(|n| names.next("web", at - jiff::SignedDuration::from_secs(n))).collect();
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
    }
}
