//! Finding an entry by a name that may be spelled differently, belong to somebody else, or be wrong.

use crate::{Entry, entries};

/// How many suggestions [`nearest`] gives at most.
pub(crate) const SUGGESTIONS: usize = 5;

/// The entry of this name or alias, whatever its case.
pub fn find(name: &str) -> Option<&'static Entry> {
    let name = name.trim();
    let own = |entry: &&Entry| entry.name.eq_ignore_ascii_case(name);
    let alias = |entry: &&Entry| entry.aliases.iter().any(|alias| alias.name.eq_ignore_ascii_case(name));
    // A reason's own entry wins over being somebody else's alias.
    entries().iter().find(own).or_else(|| entries().iter().find(alias))
}

/// The entries whose names are like `name`, nearest first, five at most; none if nothing is near.
pub fn nearest(name: &str) -> Vec<&'static Entry> {
    let wanted = name.trim().to_ascii_lowercase();
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut ranked: Vec<(usize, &'static Entry)> = entries()
        .iter()
        .filter_map(|entry| {
            let names = std::iter::once(entry.name).chain(entry.aliases.iter().map(|alias| alias.name));
            let best = names.filter_map(|candidate| cost(&wanted, &candidate.to_ascii_lowercase())).min()?;
            Some((best, entry))
        })
        .collect();
    // Stable: entries of equal cost stay in the order of the catalogue.
    ranked.sort_by_key(|(cost, _)| *cost);
    ranked.into_iter().take(SUGGESTIONS).map(|(_, entry)| entry).collect()
}

/// How far `candidate` is from what was typed; `None` when it is not worth suggesting. Typing errors come first, then
/// names that begin with the word, then names that contain it.
pub(crate) fn cost(wanted: &str, candidate: &str) -> Option<usize> {
    const PREFIX: usize = 100;
    const SUBSTRING: usize = 200;
    const FAR: usize = 300;
    let edits = distance(wanted, candidate);
    if edits <= 2.max(wanted.chars().count() / 6) {
        return Some(edits);
    }
    // Two letters begin or are in too many names to mean anything.
    if wanted.len() < 3 {
        return None;
    }
    if candidate.starts_with(wanted) {
        return Some(PREFIX + candidate.len());
    }
    if candidate.contains(wanted) {
        return Some(SUBSTRING + candidate.len());
    }
    (edits <= wanted.chars().count() / 3).then_some(FAR + edits)
}

/// Damerau-Levenshtein distance (optimal string alignment): insertions, deletions, substitutions and swaps of
/// neighbours that turn one word into the other.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    // Rows i-2, i-1 and i of the table; nothing older is looked at.
    let mut before_last = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1; right.len() + 1];
        for (j, r) in right.iter().enumerate() {
            let substitution = last[j] + usize::from(l != r);
            row[j + 1] = substitution.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Reason;

    #[test]
    fn distance_counts_edits_and_swaps() {
        for (left, right, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("abc", "abd", 1),
            ("abc", "ab", 1),
            ("kitten", "sitting", 3),
            ("syncloadblaancerfailed", "syncloadbalancerfailed", 1),
        ] {
            assert_eq!(distance(left, right), edits, "{left} {right}");
        }
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_and_bounded(left in "[a-d]{0,8}", right in "[a-d]{0,8}") {
            let edits = distance(&left, &right);
            prop_assert_eq!(edits, distance(&right, &left));
            prop_assert!(edits <= left.len().max(right.len()));
            prop_assert!(edits >= left.len().abs_diff(right.len()));
            prop_assert_eq!(edits == 0, left == right);
        }

        #[test]
        fn nearest_takes_any_input(name in "\\PC{0,40}") {
            prop_assert!(nearest(&name).len() <= SUGGESTIONS);
        }
    }

    #[test]
    fn every_reason_is_found_whatever_its_case() {
        for reason in Reason::ALL {
            let upper = reason.as_str().to_ascii_uppercase();
            assert_eq!(find(&upper).and_then(|entry| entry.reason), Some(*reason));
            assert_eq!(find(&format!(" {} ", upper.to_lowercase())).and_then(|entry| entry.reason), Some(*reason));
        }
    }

    #[test]
    fn names_of_others_lead_to_the_entry() {
        for (name, reason) in [
            ("FailedToUpdateEndpointSlices", Reason::FailedToUpdateEndpointSlices),
            ("CleanupLoadBalancerFailed", Reason::DeleteLoadBalancerFailed),
            ("LoadBalancerSourceRanges", Reason::EnsuringLoadBalancer),
            ("missingclusterdns", Reason::MissingClusterDNS),
            ("CreatingLoadBalancerFailed", Reason::SyncLoadBalancerFailed),
            ("hostPortConflict", Reason::HostPortConflict),
        ] {
            assert_eq!(find(name).and_then(|entry| entry.reason), Some(reason), "{name}");
        }
        assert!(find("NoSuchReason").is_none());
        assert!(find("").is_none());
    }

    #[test]
    fn wrong_names_get_the_nearest_ones_first() {
        let first = |name: &str| nearest(name).first().and_then(|entry| entry.reason);
        for (name, reason) in [
            ("SyncLoadBalancerFaild", Reason::SyncLoadBalancerFailed),
            ("SyncLoadBlaancerFailed", Reason::SyncLoadBalancerFailed),
            ("UnavailableLoadBalancer", Reason::UnAvailableLoadBalancer),
            ("EnsuredLoadBalance", Reason::EnsuredLoadBalancer),
            ("dnsconfig", Reason::DNSConfigForming),
            ("NodePort", Reason::NodePorts),
            ("hostport", Reason::HostPortConflict),
        ] {
            assert_eq!(first(name), Some(reason), "{name}");
        }
        assert_eq!(nearest("LoadBalancer").len(), SUGGESTIONS);
        assert!(nearest("zzzzzzzzzz").is_empty());
        assert!(nearest("  ").is_empty());
    }
}
