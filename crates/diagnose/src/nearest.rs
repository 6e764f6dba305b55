//! The label set nearest to a selector: what was probably meant.
//!
//! Each label that a selector asks for costs 0 if it is there, up to 1 if its key has another value (by edit distance),
//! 1 or more if only another key has the value, and 2 if nothing resembles it. The cheapest set wins if at least one
//! asked label was found or resembles one, so that unrelated pods are never suggested.

use std::collections::BTreeMap;

/// Labels, as of a pod or a selector.
pub(crate) type Labels = BTreeMap<String, String>;

/// How one asked label differs from what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Difference {
    /// The key has this value instead.
    Value { key: String, asked: String, found: String },
    /// This key has the value instead.
    Key { asked: String, found: String, value: String },
    /// Nothing resembles it.
    Missing { key: String, asked: String },
}

/// A label set and its differences to the selector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Near {
    pub(crate) differences: Vec<Difference>,
    cost: f64,
}

/// Compares; `None` if the set has nothing in common with what is asked.
pub(crate) fn compare(asked: &Labels, found: &Labels) -> Option<Near> {
    let mut near = Near { differences: Vec::new(), cost: 0.0 };
    let mut related = false;
    for (key, value) in asked {
        match difference(key, value, found) {
            None => related = true,
            Some((difference, cost)) => {
                // A value with no letter in common is no relation; the key alone proves little.
                related |= cost < RELATED;
                near.differences.push(difference);
                near.cost += cost;
            }
        }
    }
    related.then_some(near)
}

/// Costs below this count as a resemblance.
const RELATED: f64 = 1.7;

fn difference(key: &str, value: &str, found: &Labels) -> Option<(Difference, f64)> {
    let mut best = (Difference::Missing { key: key.to_owned(), asked: value.to_owned() }, 2.0);
    let mut offer = |difference, cost| {
        if cost < best.1 {
            best = (difference, cost);
        }
    };
    if let Some(other) = found.get(key) {
        if other == value {
            return None;
        }
        let difference = Difference::Value { key: key.to_owned(), asked: value.to_owned(), found: other.clone() };
        // A wholly different value under the right key still says which key the pods use.
        let distance = relative_distance(value, other);
        offer(difference, if distance < 0.75 { distance } else { 1.75 });
    }
    for (other, _) in found.iter().filter(|(_, have)| *have == value) {
        let difference = Difference::Key { asked: key.to_owned(), found: other.clone(), value: value.to_owned() };
        offer(difference, 1.0 + 0.5 * relative_distance(key, other));
    }
    Some(best)
}

impl Near {
    /// Smaller is nearer.
    pub(crate) fn cost(&self) -> f64 {
        self.cost
    }

    /// The labels that the set has where the selector differs, such as `app=web`.
    pub(crate) fn found(&self) -> Vec<String> {
        let found = self.differences.iter().filter_map(|difference| match difference {
            Difference::Value { key, found, .. } => Some(format!("{key}={found}")),
            Difference::Key { found, value, .. } => Some(format!("{found}={value}")),
            Difference::Missing { .. } => None,
        });
        found.collect()
    }

    /// The merge patch of `spec.selector` that makes it select the set.
    pub(crate) fn patch(&self) -> serde_json::Value {
        let mut selector = serde_json::Map::new();
        for difference in &self.differences {
            match difference {
                Difference::Value { key, found, .. } => {
                    selector.insert(key.clone(), found.as_str().into());
                }
                Difference::Key { asked, found, value } => {
                    selector.insert(asked.clone(), serde_json::Value::Null);
                    selector.insert(found.clone(), value.as_str().into());
                }
                Difference::Missing { key, .. } => {
                    selector.insert(key.clone(), serde_json::Value::Null);
                }
            }
        }
        serde_json::json!({"spec": {"selector": selector}})
    }
}

/// The nearest of some words to `asked`, if it resembles it at all.
pub(crate) fn nearest_word<'a>(asked: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    words
        .map(|word| (relative_distance(asked, word), word))
        .filter(|(distance, _)| *distance < 0.6)
        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)))
        .map(|(_, word)| word)
}

/// Edit distance from 0 (equal) to 1 (nothing in common). A word contained in the other is near.
fn relative_distance(a: &str, b: &str) -> f64 {
    let longest = a.chars().count().max(b.chars().count()).max(1);
    let distance = edit_distance(a, b) as f64 / longest as f64;
    let contained = a.len().min(b.len()) >= 3 && (a.contains(b) || b.contains(a));
    if contained { distance.min(0.4) } else { distance }
}

/// Whether two words are at most `edits` letters apart. Cheap for words of different length.
pub(crate) fn within(a: &str, b: &str, edits: usize) -> bool {
    a.len().abs_diff(b.len()) <= 4 * edits && edit_distance(a, b) <= edits
}

/// Insertions, deletions, changes and swaps of neighbours (optimal string alignment).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(text: &str) -> Labels {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn the_patch_says_what_was_probably_meant() {
        let cases = [
            ("a typo", "app=wbe", "app=web,pod-template-hash=1", Some(r#"{"app":"web"}"#)),
            ("one of two", "app=web,tier=frnt", "app=web,tier=front", Some(r#"{"tier":"front"}"#)),
            (
                "the value under another key",
                "app=web",
                "app.kubernetes.io/name=web",
                Some(r#"{"app":null,"app.kubernetes.io/name":"web"}"#),
            ),
            ("one label too many", "app=web,track=x", "app=web", Some(r#"{"track":null}"#)),
            ("an abbreviation", "app=webapp", "app=web", Some(r#"{"app":"web"}"#)),
            ("unrelated", "app=web", "k8s-app=database", None),
            ("the same key, another thing", "app=web", "app=postgres", None),
            ("no labels", "app=web", "", None),
        ];
        for (name, asked, found, expected) in cases {
            let near = compare(&labels(asked), &labels(found));
            let patch = near.map(|near| near.patch()["spec"]["selector"].to_string());
            assert_eq!(patch.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn words_resemble_or_not() {
        let words = ["http", "metrics", "grpc"];
        for (asked, expected) in [("htpp", Some("http")), ("metric", Some("metrics")), ("sql", None)] {
            assert_eq!(nearest_word(asked, words.into_iter()), expected, "{asked}");
        }
    }

    proptest! {
        #[test]
        fn the_distance_is_one(a in "[a-c]{0,6}", b in "[a-c]{0,6}") {
            prop_assert_eq!(edit_distance(&a, &a), 0);
            prop_assert_eq!(edit_distance(&a, &b), edit_distance(&b, &a));
            prop_assert!(edit_distance(&a, &b) <= a.len().max(b.len()));
            prop_assert_eq!(edit_distance(&a, &b) == 0, a == b);
        }
    }
}
