//! What a selector that fits nothing was meant to fit. In a cluster everything is there to compare with; here another file
//! may hold the right pods, so only a slip of the pen, or pods of the Service's own name, prove that it is wrong.

use std::collections::HashMap;

use crate::{
    lint::world::{Maker, Served, World, together},
    nearest::{self, Difference, Labels, Near},
};

/// More makers of one namespace than this are not compared with every selector.
const MANY: usize = 200;

/// Makers whose pods no Service of these files selects.
pub(super) struct Orphans<'a> {
    by_namespace: HashMap<&'a str, Vec<&'a Maker<'a>>>,
    by_name: HashMap<&'a str, Vec<&'a Maker<'a>>>,
}

/// What is meant.
pub(super) enum Meant<'a> {
    /// Nothing that is here.
    Nothing,
    /// These pods, although they are labelled otherwise.
    This(&'a Maker<'a>, Option<Near>),
    /// These pods, which are in another namespace.
    Elsewhere(&'a Maker<'a>),
}

impl<'a> Orphans<'a> {
    pub(super) fn new(world: &'a World<'a>, is_behind: impl Fn(&Maker<'a>) -> bool) -> Self {
        let mut orphans = Self { by_namespace: HashMap::new(), by_name: HashMap::new() };
        for maker in world.makers.iter().filter(|maker| maker.is_server() && !is_behind(maker)) {
            let key = &maker.object.key;
            orphans.by_namespace.entry(&key.namespace).or_default().push(maker);
            orphans.by_name.entry(&key.name).or_default().push(maker);
        }
        orphans
    }

    pub(super) fn meant_by(&self, world: &World<'_>, served: &Served<'_>, asked: &Labels) -> Meant<'a> {
        let key = &served.object.key;
        let named = self.by_name.get(key.name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let here = |maker: &&&Maker<'_>| maker.object.key.namespace == key.namespace;
        // A name says nothing about a file from another part of the tree.
        let same = |maker: &&&Maker<'_>| here(maker) && together(maker.object, served.object);
        if let Some(maker) = named.iter().find(same) {
            return Meant::This(maker, maker.labels().and_then(|labels| nearest::compare(asked, labels)));
        }
        let candidates = self.by_namespace.get(key.namespace.as_str()).map(Vec::as_slice).unwrap_or_default();
        let near = candidates.iter().take(MANY).filter_map(|maker| {
            let near = nearest::compare(asked, maker.labels()?)?;
            slipped(&near).then_some((*maker, near))
        });
        if let Some((maker, near)) = near.min_by(|a, b| a.1.cost().total_cmp(&b.1.cost())) {
            return Meant::This(maker, Some(near));
        }
        let fits = |maker: &&&Maker<'_>| {
            maker.labels().is_some_and(|labels| asked.iter().all(|(key, value)| labels.get(key) == Some(value)))
        };
        // Namespaces with pods of their own are another environment, not a forgotten line.
        match named.iter().find(fits) {
            Some(maker) if world.makers_in(&key.namespace) == 0 => Meant::Elsewhere(maker),
            _ => Meant::Nothing,
        }
    }
}

/// Every difference is one that a person makes without noticing.
fn slipped(near: &Near) -> bool {
    near.differences.len() == 1
        && near.differences.iter().all(|difference| match difference {
            Difference::Value { asked, found, .. } => slip(asked, found),
            // `true` under another key is no word in common.
            Difference::Key { value, .. } => !matches!(value.as_str(), "true" | "false" | "yes" | "no" | "enabled"),
            Difference::Missing { .. } => true,
        })
}

/// Whether one word is the other with a letter or two wrong. `web` and `web-2`, `node1` and `node2` are two words.
pub(in crate::lint) fn slip(asked: &str, found: &str) -> bool {
    let digits = |word: &str| -> String { word.chars().filter(char::is_ascii_digit).collect() };
    let parts = |word: &str| word.split(['-', '_', '.']).count();
    let longest = asked.len().max(found.len());
    let edits = if longest < 6 { 1 } else { 2 };
    longest >= 3
        && digits(asked) == digits(found)
        && parts(asked) == parts(found)
        && nearest::within(asked, found, edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_not_another_name() {
        let cases = [
            ("web", "wbe", true),
            ("web", "webb", true),
            ("frontend", "fronted", true),
            ("checkout", "chekcout", true),
            ("web", "web-2", false),
            ("node1", "node2", false),
            ("web", "api", false),
            ("shop-web", "shop-api", false),
            ("db", "da", false),
            ("stable", "canary", false),
        ];
        for (asked, found, expected) in cases {
            assert_eq!(slip(asked, found), expected, "{asked} {found}");
        }
    }
}
