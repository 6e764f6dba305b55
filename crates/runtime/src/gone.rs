//! Objects that have left a watch, so that late news about them does not bring them back.
//!
//! A watch by label shows an object as deleted also when it only lost the label, and then it can return, at a later
//! revision: [`Gone::left`]. What was deleted never does: [`Gone::deleted`].

use std::collections::{HashMap, VecDeque};

/// Objects that are remembered. Only what is under way when they go can still name them: a few writes of this part, and
/// the length of the watch's delay.
const REMEMBERED: usize = 4096;

/// UIDs, with the revision at which each left the watch.
#[derive(Debug, Default)]
pub struct Gone {
    revisions: HashMap<String, Option<u64>>,
    order: VecDeque<String>,
}

impl Gone {
    /// The watch shows that the object has left, at this revision.
    pub fn left(&mut self, uid: &str, revision: Option<u64>) {
        self.insert(uid, revision);
    }

    /// The API has confirmed a deletion of this controller's own: whatever the watch still shows is from before.
    pub fn deleted(&mut self, uid: &str) {
        self.insert(uid, None);
    }

    /// Whether a state of the object, of this revision, is of the time before it went.
    pub fn is_before(&self, uid: Option<&str>, revision: Option<u64>) -> bool {
        let went = uid.and_then(|uid| self.revisions.get(uid));
        went.is_some_and(|went| went.is_none_or(|went| revision.is_none_or(|now| now <= went)))
    }

    fn insert(&mut self, uid: &str, revision: Option<u64>) {
        if self.revisions.insert(uid.to_owned(), revision).is_none() {
            self.order.push_back(uid.to_owned());
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.revisions.remove(&oldest);
        }
    }
}

/// Revisions of one kind are ordered numbers: documented since Kubernetes 1.35, true of etcd always.
pub fn revision(resource_version: Option<&str>) -> Option<u64> {
    resource_version?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_left_may_come_back_later_and_what_was_deleted_may_not() {
        let (left, deleted) = ("left".to_owned(), "deleted".to_owned());
        let mut gone = Gone::default();
        gone.left(&left, Some(10));
        gone.left(&deleted, Some(10));
        gone.deleted(&deleted);
        let cases =
            [(&left, Some(10), true), (&left, Some(11), false), (&left, None, true), (&deleted, Some(11), true)];
        for (uid, revision, before) in cases {
            assert_eq!(gone.is_before(Some(uid.as_str()), revision), before, "{uid} {revision:?}");
        }
        assert!(!gone.is_before(Some("other"), Some(1)) && !gone.is_before(None, Some(1)));
    }

    #[test]
    fn only_some_are_remembered() {
        let mut gone = Gone::default();
        (0..2 * REMEMBERED).for_each(|number| gone.left(&number.to_string(), Some(1)));
        assert_eq!((gone.revisions.len(), gone.order.len()), (REMEMBERED, REMEMBERED));
    }
}
