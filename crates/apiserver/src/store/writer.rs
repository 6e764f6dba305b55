//! The one writer: checks, numbers, syncs, publishes, acknowledges, in this order, a group at a time.
//!
//! Whatever waits in the queue when a group is committed forms the next group, so under load the cost of one fsync
//! is shared by up to [`GROUP`] transactions and an idle store adds no delay.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use tokio::sync::{mpsc, oneshot};
use tracing::error;

use super::{Action, CommitError, Event, Expect, Key, Object, Revision, Shared, Step, Write, durable::Durable};

/// Most transactions in one group.
const GROUP: usize = 256;

type Reply = oneshot::Sender<Result<Vec<Arc<Object>>, CommitError>>;

/// What the store asks of its writer.
pub(super) enum Request {
    Commit { steps: Vec<Step>, reply: Reply },
    Close { reply: oneshot::Sender<()> },
}

/// One change on its way.
pub(super) struct Change {
    pub(super) storage: &'static str,
    pub(super) action: Action,
    pub(super) object: Arc<Object>,
    pub(super) old: Option<Arc<Object>>,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    durable: Option<Durable>,
    requests: mpsc::Receiver<Request>,
    /// The last revision given out.
    revision: Revision,
}

/// Changes of the group that are not visible yet but that later transactions of it must see.
#[derive(Default)]
struct Group {
    changes: Vec<Change>,
    newest: HashMap<(&'static str, Key), Option<Arc<Object>>>,
    replies: Vec<(Reply, Vec<Arc<Object>>)>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        durable: Option<Durable>,
        requests: mpsc::Receiver<Request>,
        revision: Revision,
    ) -> Self {
        Self { shared, durable, requests, revision }
    }

    /// Works until the store is closed or its last handle is dropped.
    pub(super) fn run(mut self) {
        while let Some(first) = self.requests.blocking_recv() {
            let mut group = Group::default();
            let mut closing = None;
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Commit { steps, reply } => self.stage(&mut group, steps, reply),
                    Request::Close { reply } => {
                        closing = Some(reply);
                        break;
                    }
                }
                next = (group.replies.len() < GROUP).then(|| self.requests.try_recv().ok()).flatten();
            }
            self.commit(group);
            if let Some(reply) = closing {
                // Closes the file before the answer, so that it can be opened again at once.
                self.durable = None;
                // Whoever closed the store may have stopped waiting.
                let _ = reply.send(());
                return;
            }
        }
    }

    fn stage(&mut self, group: &mut Group, steps: Vec<Step>, reply: Reply) {
        if self.shared.failed.load(Ordering::Acquire) {
            let refused = CommitError::Disk("an earlier write failed".to_owned());
            let _ = reply.send(Err(refused));
            return;
        }
        match self.check(group, &steps) {
            Ok(()) => {
                let written = steps.into_iter().filter_map(|step| self.apply(group, step)).collect();
                group.replies.push((reply, written));
            }
            Err(unexpected) => {
                self.shared.counters.conflicts.fetch_add(1, Ordering::Relaxed);
                // The caller may be gone; it is refused all the same.
                let _ = reply.send(Err(unexpected));
            }
        }
    }

    fn current(&self, group: &Group, storage: &'static str, key: &Key) -> Option<Arc<Object>> {
        match group.newest.get(&(storage, key.clone())) {
            Some(staged) => staged.clone(),
            None => self.shared.shelves.get(storage)?.get(key),
        }
    }

    fn check(&self, group: &Group, steps: &[Step]) -> Result<(), CommitError> {
        for (index, step) in steps.iter().enumerate() {
            let current = self.current(group, step.storage, &step.key);
            let holds = match (step.expect, &current) {
                (Expect::Absent, None) => true,
                (Expect::Live, Some(object)) => !object.deleting,
                (Expect::Revision(revision), Some(object)) => object.revision == revision,
                _ => false,
            };
            if !holds || !self.shared.shelves.contains_key(step.storage) {
                return Err(CommitError::Unexpected { step: index, key: step.key.clone(), current });
            }
        }
        Ok(())
    }

    fn apply(&mut self, group: &mut Group, step: Step) -> Option<Arc<Object>> {
        let old = self.current(group, step.storage, &step.key);
        let (action, value) = match (step.write, &old) {
            (Write::Check, _) => return None,
            (Write::Delete(last), _) => (Action::Deleted, last),
            (Write::Put(value), Some(_)) => (Action::Modified, value),
            (Write::Put(value), None) => (Action::Added, value),
        };
        self.revision += 1;
        let place = (step.storage, step.key.clone());
        let object = Arc::new(Object::encode(step.storage, step.key, value, self.revision, &self.shared.index));
        let newest = (action != Action::Deleted).then(|| object.clone());
        group.newest.insert(place, newest);
        group.changes.push(Change { storage: step.storage, action, object: object.clone(), old });
        Some(object)
    }

    fn commit(&mut self, group: Group) {
        if let Some(durable) = &mut self.durable
            && let Err(failure) = durable.append(&group.changes, self.revision)
        {
            error!(error = %failure, "the store's file cannot be written; no further write is accepted");
            self.shared.failed.store(true, Ordering::Release);
            let refused = CommitError::Disk(failure.to_string());
            for (reply, _) in group.replies {
                let _ = reply.send(Err(refused.clone()));
            }
            return;
        }
        self.shared.synced.store(self.revision, Ordering::Release);
        let counters = &self.shared.counters;
        counters.commits.fetch_add(1, Ordering::Relaxed);
        counters.transactions.fetch_add(group.replies.len() as u64, Ordering::Relaxed);

        let mut by_storage: HashMap<&'static str, Vec<Event>> = HashMap::new();
        for Change { storage, action, object, old } in group.changes {
            by_storage.entry(storage).or_default().push(Event::new(action, object, old));
        }
        for (storage, events) in by_storage {
            self.shared.shelves[storage].publish(events);
        }
        self.shared.visible.store(self.revision, Ordering::Release);
        for (reply, written) in group.replies {
            // A caller that stopped waiting does not undo what is on disk.
            let _ = reply.send(Ok(written));
        }
    }
}
