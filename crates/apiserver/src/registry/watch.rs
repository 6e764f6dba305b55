//! Watch: the initial state if asked for, then every change, as newline-delimited JSON frames.
//!
//! A watcher is a store cursor and a filter. A selector is a view: an object that enters it is ADDED, one that leaves it
//! is DELETED. The stream is pulled by the connection: a client that does not read costs nothing but its place in the
//! ring, and when the ring has moved on it gets an ERROR frame with 410 and lists again.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream;
use portolan_kinds::Resource;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Answer, Registry,
    render::{self, FrameKind, FrameStyle},
};
use crate::{
    http::{
        body::Body,
        options::{Filter, WatchOptions},
        request::ResourceRequest,
    },
    status::ApiError,
    store::{Cursor, Event, Key, Lost, Object, Selection},
};

/// How often a bookmark is sent.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// Watches without a timeout end after this and up to twice this, spread so that not all clients return at once.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// One watch on its way.
struct Watch {
    cursor: Cursor,
    style: FrameStyle,
    namespace: Option<String>,
    filter: Filter,
    /// The initial state, not yet encoded.
    initial: std::vec::IntoIter<Arc<Object>>,
    /// Sent when the initial state is.
    end_of_initial: Option<Bytes>,
    pending: VecDeque<Arc<Event>>,
    bookmarks: Option<Interval>,
    deadline: Instant,
    stop: CancellationToken,
    ended: bool,
}

impl Registry {
    pub(super) fn watch(&self, request: &ResourceRequest, options: &WatchOptions) -> Result<Answer, ApiError> {
        if let Some(from) = options.from {
            self.not_in_the_future(from)?;
        }
        let storage = request.resource.storage.as_str();
        let namespace = self.namespace_of(request, &options.filter);
        let style = FrameStyle { resource: request.resource, form: request.form, include: options.include };
        let with_state = options.initial_events.unwrap_or(options.from.is_none());
        let (from, initial) = if with_state {
            let filter = |object: &Object| options.filter.matches(object);
            let selection = Selection { namespace, matches: Some(&filter), ..Selection::ALL };
            let page = self.store.list(storage, &selection, None).ok_or_else(|| no_storage(request.resource))?;
            (page.revision, page.objects)
        } else {
            (options.from.unwrap_or_else(|| self.store.revision()), Vec::new())
        };
        let end_of_initial = (options.initial_events == Some(true)).then(|| style.bookmark(from, true));
        let bookmarks = options.bookmarks.then(|| {
            let mut interval = interval_at(Instant::now() + BOOKMARK_EVERY, BOOKMARK_EVERY);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        let lasts = options.timeout.unwrap_or_else(|| LONGEST.mul_f64(1.0 + fastrand::f64()));
        let watch = Watch {
            cursor: self.store.watch(storage, from).ok_or_else(|| no_storage(request.resource))?,
            style,
            namespace: namespace.map(str::to_owned),
            filter: options.filter.clone(),
            initial: initial.into_iter(),
            end_of_initial,
            pending: VecDeque::new(),
            bookmarks,
            deadline: Instant::now() + lasts,
            stop: self.stop.clone(),
            ended: false,
        };
        let frames = stream::unfold(watch, |mut watch| async move { Some((Ok(watch.next().await?), watch)) });
        Ok(Answer { code: 200, content_type: "application/json", body: Body::stream(frames), warnings: Vec::new() })
    }
}

fn no_storage(resource: &Resource) -> ApiError {
    ApiError::internal(format!("no storage for {}", resource.plural))
}

impl Watch {
    /// The next frame; None at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if let Some(object) = self.initial.next() {
            return Some(self.style.initial(&object));
        }
        if let Some(bookmark) = self.end_of_initial.take() {
            return Some(bookmark);
        }
        loop {
            while let Some(event) = self.pending.pop_front() {
                if let Some(kind) = self.kind_of(&event) {
                    return Some(self.style.event(&event, kind));
                }
            }
            tokio::select! {
                // Ends first: a busy storage must not keep a watch alive past its time.
                biased;
                () = self.stop.cancelled() => return None,
                () = sleep_until(self.deadline) => return None,
                events = self.cursor.next() => match events {
                    Ok(events) => self.pending.extend(events),
                    Err(Lost::Closed) => return None,
                    Err(Lost::Compacted) => {
                        self.ended = true;
                        let error = ApiError::expired("too old resource version: the history is no longer kept");
                        return Some(render::frame("ERROR", &error.to_json()));
                    }
                },
                () = tick(&mut self.bookmarks) => if let Some(revision) = self.cursor.progress() {
                    return Some(self.style.bookmark(revision, false));
                },
            }
        }
    }

    /// What the event is to this watch; None if nothing.
    fn kind_of(&self, event: &Event) -> Option<FrameKind> {
        let Key { namespace, .. } = &event.object.key;
        if self.namespace.as_ref().is_some_and(|only| only != namespace) {
            return None;
        }
        if self.filter.is_everything() {
            return Some(event.action.into());
        }
        let kind = FrameKind::from(event.action);
        let was = event.old.as_ref().is_some_and(|old| self.filter.matches(old));
        let is = kind != FrameKind::Deleted && self.filter.matches(&event.object);
        match (was, is) {
            (false, false) => None,
            (false, true) => Some(FrameKind::Added),
            (true, true) => Some(FrameKind::Modified),
            (true, false) if kind == FrameKind::Deleted => Some(FrameKind::Deleted),
            (true, false) => Some(FrameKind::Left),
        }
    }
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}
