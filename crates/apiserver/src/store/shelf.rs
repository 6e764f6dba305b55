//! One storage in memory: its objects, the ring of its recent changes, and the cursors that read the ring.
//!
//! Written only by the writer thread ([`Shelf::publish`]); read by anyone. The ring's revisions are strictly growing.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use tokio::sync::watch;

use super::{Action, Event, Key, Object, Retention, Revision, Shared};

/// How many changes a cursor takes at once.
const BATCH: usize = 256;

/// How long the encodings of an event are kept for watchers to share.
const FRAMES_KEPT: Duration = Duration::from_secs(10);

/// The part of a storage to list.
pub struct Selection<'a> {
    /// Only this namespace.
    pub namespace: Option<&'a str>,
    /// Only keys after this one: where the page before ended.
    pub after: Option<&'a Key>,
    /// At most so many; 0 is no limit.
    pub limit: usize,
    /// Which objects; None for all, which makes counting the rest free of cost.
    pub matches: Option<&'a dyn Fn(&Object) -> bool>,
}

impl Selection<'_> {
    /// Everything.
    pub const ALL: Selection<'static> = Selection { namespace: None, after: None, limit: 0, matches: None };

    fn covers(&self, key: &Key) -> bool {
        self.namespace.is_none_or(|namespace| key.namespace == namespace) && self.after.is_none_or(|after| key > after)
    }
}

/// One page of a list.
pub struct Page {
    /// The state of which revision this is.
    pub revision: Revision,
    /// The objects in key order.
    pub objects: Vec<Arc<Object>>,
    /// Whether there are more after the last.
    pub more: bool,
    /// How many more, known only when nothing was filtered.
    pub remaining: Option<usize>,
}

pub(super) struct Shelf {
    pub(super) name: &'static str,
    retention: Retention,
    state: RwLock<State>,
    /// The newest revision in the ring, to wake cursors.
    news: watch::Sender<Revision>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Arc<Object>>,
    ring: VecDeque<Arc<Event>>,
    /// Revision of the newest change.
    newest: Revision,
    /// Changes up to here are no longer in the ring.
    compacted: Revision,
}

impl State {
    fn after(&self, revision: Revision) -> usize {
        self.ring.partition_point(|event| event.object.revision <= revision)
    }

    /// The objects of the selection as they were at `revision`: today's with the later changes undone.
    fn at<'a>(&'a self, selection: &Selection<'a>, revision: Revision) -> BTreeMap<&'a Key, &'a Arc<Object>> {
        let mut view: BTreeMap<_, _> = self.range(selection).collect();
        for event in self.ring.range(self.after(revision)..).rev() {
            let key = &event.object.key;
            if selection.covers(key) {
                match &event.old {
                    Some(old) => view.insert(key, old),
                    None => view.remove(key),
                };
            }
        }
        view
    }

    fn range<'a>(&'a self, selection: &Selection<'a>) -> impl Iterator<Item = (&'a Key, &'a Arc<Object>)> + use<'a> {
        let namespace = selection.namespace.map(str::to_owned);
        let start = match (selection.after, &namespace) {
            (Some(after), _) => Bound::Excluded(after.clone()),
            (None, Some(namespace)) => Bound::Included(Key::new(namespace.as_str(), "")),
            (None, None) => Bound::Unbounded,
        };
        self.objects
            .range((start, Bound::Unbounded))
            .take_while(move |(key, _)| namespace.as_ref().is_none_or(|namespace| key.namespace == *namespace))
    }

    fn trim(&mut self, retention: Retention) {
        let now = Instant::now();
        while let Some(oldest) = self.ring.front()
            && (self.ring.len() > retention.count || now.duration_since(oldest.at) > retention.age)
        {
            self.compacted = oldest.object.revision;
            self.ring.pop_front();
        }
    }
}

impl Shelf {
    pub(super) fn new(name: &'static str, retention: Retention) -> Self {
        Self { name, retention, state: RwLock::default(), news: watch::Sender::new(0) }
    }

    /// Fills the shelf before anyone reads it. Gives the state of the file's end and the log's tail in order.
    pub(super) fn load(&mut self, objects: Vec<Object>, tail: Vec<Event>, compacted: Revision) {
        let state = self.state.get_mut();
        state.objects = objects.into_iter().map(|object| (object.key.clone(), Arc::new(object))).collect();
        state.ring = tail.into_iter().map(Arc::new).collect();
        state.newest = state.ring.back().map_or(compacted, |event| event.object.revision);
        state.compacted = compacted;
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Object>> {
        self.state.read().objects.get(key).cloned()
    }

    pub(super) fn len(&self) -> usize {
        self.state.read().objects.len()
    }

    pub(super) fn list<'a>(
        &'a self,
        selection: &Selection<'a>,
        at: Option<Revision>,
        visible: &AtomicU64,
    ) -> Option<Page> {
        let state = self.state.read();
        // Both under the lock: a group is published to every storage before it becomes visible.
        let present = visible.load(Ordering::Acquire).max(state.newest);
        match at {
            Some(revision) if revision < state.compacted => None,
            Some(revision) if state.after(revision) < state.ring.len() => {
                let view = state.at(selection, revision);
                Some(page(selection, revision, view.into_iter()))
            }
            _ => Some(page(selection, at.unwrap_or(present), state.range(selection))),
        }
    }

    /// Makes changes readable and wakes the cursors. Called with growing revisions.
    pub(super) fn publish(&self, events: Vec<Event>) {
        let Some(newest) = events.last().map(|event| event.object.revision) else { return };
        {
            let mut state = self.state.write();
            for event in events {
                match event.action {
                    Action::Deleted => state.objects.remove(&event.object.key),
                    Action::Added | Action::Modified => {
                        state.objects.insert(event.object.key.clone(), event.object.clone())
                    }
                };
                state.ring.push_back(Arc::new(event));
            }
            state.newest = newest;
            state.trim(self.retention);
        }
        self.news.send_replace(newest);
    }

    /// Drops what is too old: events by the retention, their encodings soon.
    pub(super) fn trim(&self) {
        let mut state = self.state.write();
        state.trim(self.retention);
        for event in state.ring.iter().filter(|event| event.at.elapsed() > FRAMES_KEPT) {
            event.forget_frames();
        }
    }
}

fn page<'a>(
    selection: &Selection<'_>,
    revision: Revision,
    mut objects: impl Iterator<Item = (&'a Key, &'a Arc<Object>)>,
) -> Page {
    let mut page = Page { revision, objects: Vec::new(), more: false, remaining: None };
    for (_, object) in objects.by_ref() {
        if selection.matches.is_some_and(|matches| !matches(object)) {
            continue;
        }
        if selection.limit > 0 && page.objects.len() == selection.limit {
            page.more = true;
            break;
        }
        page.objects.push(object.clone());
    }
    if page.more && selection.matches.is_none() {
        page.remaining = Some(1 + objects.count());
    }
    page
}

/// Why a cursor cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The changes after its position are no longer kept: it started too far back, or read too slowly.
    Compacted,
    /// The store is gone.
    Closed,
}

/// A reader of one storage's changes.
pub struct Cursor {
    shared: Arc<Shared>,
    storage: &'static str,
    position: Revision,
    /// Whether it has been level with the ring once: losing it after that means that it was slow.
    level: bool,
    news: watch::Receiver<Revision>,
}

impl Cursor {
    pub(super) fn new(shared: Arc<Shared>, storage: &'static str, from: Revision) -> Self {
        let news = shared.shelves[storage].news.subscribe();
        Self { shared, storage, position: from, level: false, news }
    }

    /// Waits for the next changes, at least one. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Vec<Arc<Event>>, Lost> {
        loop {
            // Before reading: news that come in between wake us again at once.
            self.news.borrow_and_update();
            let events = self.take()?;
            if !events.is_empty() {
                return Ok(events);
            }
            self.level = true;
            self.news.changed().await.map_err(|_| Lost::Closed)?;
        }
    }

    /// The next changes, none if there are none yet. Does not wait.
    pub fn ready(&mut self) -> Result<Vec<Arc<Event>>, Lost> {
        self.take()
    }

    /// The storage that it reads.
    pub fn storage(&self) -> &'static str {
        self.storage
    }

    fn take(&mut self) -> Result<Vec<Arc<Event>>, Lost> {
        let state = self.shared.shelves[self.storage].state.read();
        if state.compacted > self.position {
            if self.level {
                self.shared.counters.slow_watchers.fetch_add(1, Ordering::Relaxed);
            }
            return Err(Lost::Compacted);
        }
        let start = state.after(self.position);
        let events: Vec<_> = state.ring.range(start..).take(BATCH).cloned().collect();
        if let Some(last) = events.last() {
            self.position = last.object.revision;
        }
        Ok(events)
    }

    /// The revision up to which this cursor has delivered everything, if it is level with the store: a bookmark.
    pub fn progress(&mut self) -> Option<Revision> {
        // Read before the ring: what is visible now is in the ring already.
        let visible = self.shared.visible.load(Ordering::Acquire);
        let state = self.shared.shelves[self.storage].state.read();
        if state.after(self.position) < state.ring.len() {
            return None;
        }
        self.position = self.position.max(visible);
        Some(self.position)
    }
}
