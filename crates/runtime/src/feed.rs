//! Watches of any kind, restarted for ever and merged into one stream of a part's own input type.

use std::{fmt::Debug, pin::Pin, time::Duration};

use futures::{Stream, StreamExt, stream};
use kube::{
    Api, Client, Resource,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use tracing::warn;

/// What happened to the objects of one watched kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Change<T> {
    /// The complete set: sent once after start and again whenever the watch had to begin anew.
    /// Whatever is not in it no longer exists.
    Reset(Vec<T>),
    /// The object was added or changed.
    Apply(T),
    /// The object is gone; this is its last state.
    Delete(T),
}

/// Inputs with the number of their watch and whether they complete that watch's first set.
type Tagged<I> = Pin<Box<dyn Stream<Item = (usize, bool, I)> + Send>>;

/// The merged watches of one part. Each must deliver its first [`Change::Reset`] before the part may plan.
pub struct Inputs<I> {
    streams: Vec<Tagged<I>>,
    watches: usize,
}

impl<I> Default for Inputs<I> {
    fn default() -> Self {
        Self { streams: Vec::new(), watches: 0 }
    }
}

impl<I: Send + 'static> Inputs<I> {
    /// No watch yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the watch of one kind; `wrap` makes the part's input of each change.
    #[must_use]
    pub fn watch<T>(self, api: Api<T>, config: watcher::Config, wrap: impl Fn(Change<T>) -> I + Send + 'static) -> Self
    where
        T: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        T::DynamicType: Default,
    {
        self.stream(changes(api, config), wrap)
    }

    /// Adds the watch of everything of one kind, in all namespaces.
    #[must_use]
    pub fn all<T>(self, client: &Client, wrap: impl Fn(Change<T>) -> I + Send + 'static) -> Self
    where
        T: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        T::DynamicType: Default,
    {
        self.watch(Api::all(client.clone()), watcher::Config::default(), wrap)
    }

    /// Adds any stream of changes: for tests, and for inputs that are not API objects.
    #[must_use]
    pub fn stream<T: Send + 'static>(
        mut self,
        changes: impl Stream<Item = Change<T>> + Send + 'static,
        wrap: impl Fn(Change<T>) -> I + Send + 'static,
    ) -> Self {
        let source = self.watches;
        self.watches += 1;
        let tagged = changes.map(move |change| (source, matches!(change, Change::Reset(_)), wrap(change)));
        self.streams.push(Box::pin(tagged));
        self
    }

    /// Adds a stream of ticks or other signals that no start has to wait for.
    #[must_use]
    pub fn signal(mut self, signals: impl Stream<Item = I> + Send + 'static) -> Self {
        self.streams.push(Box::pin(signals.map(|input| (usize::MAX, false, input))));
        self
    }

    pub(crate) fn into_stream(self) -> impl Stream<Item = (usize, bool, I)> + Send {
        stream::select_all(self.streams)
    }

    /// How many watches have to deliver a [`Change::Reset`] before planning may begin.
    pub(crate) fn watches(&self) -> usize {
        self.watches
    }
}

/// The changes of one kind, for ever. Errors are logged and the watch starts again with back-off (0.8 s to 30 s).
fn changes<T>(api: Api<T>, config: watcher::Config) -> impl Stream<Item = Change<T>> + Send
where
    T: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    T::DynamicType: Default,
{
    let kind = T::kind(&T::DynamicType::default()).into_owned();
    let events = watcher(api, config).default_backoff();
    stream::unfold((Box::pin(events), Vec::new(), kind), |(mut events, mut pending, kind)| async move {
        loop {
            let change = match events.next().await? {
                Ok(watcher::Event::Init) => {
                    pending.clear();
                    continue;
                }
                Ok(watcher::Event::InitApply(object)) => {
                    pending.push(object);
                    continue;
                }
                Ok(watcher::Event::InitDone) => Change::Reset(std::mem::take(&mut pending)),
                Ok(watcher::Event::Apply(object)) => Change::Apply(object),
                Ok(watcher::Event::Delete(object)) => Change::Delete(object),
                Err(error) => {
                    warn!(%kind, %error, "the watch failed and starts again");
                    // The watcher itself waits; this only keeps a broken stream from spinning.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            return Some((change, (events, pending, kind)));
        }
    })
}
