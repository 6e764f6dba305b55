//! Watches of any kind, restarted for ever and merged into one stream of a part's own input type.

mod pause;
mod reflect;

use std::{fmt::Debug, pin::Pin};

use futures::{Stream, StreamExt, stream};
use kube::{Api, Client, Resource, runtime::watcher};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use reflect::{Handling, Reflect};

/// Changes that wait for the part; the watch itself waits after that.
const AHEAD: usize = 256;

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
        // Nobody here reads the field managers, and they are often the larger half of an object.
        let keep = |mut object: T| {
            object.meta_mut().managed_fields = None;
            object
        };
        self.watch_into(api, config, keep, wrap)
    }

    /// The same, when the part keeps only some of each object: `keep` takes it out as soon as the object is decoded.
    #[must_use]
    pub fn watch_into<K, T>(
        self,
        api: Api<K>,
        config: watcher::Config,
        keep: fn(K) -> T,
        wrap: impl Fn(Change<T>) -> I + Send + 'static,
    ) -> Self
    where
        K: Resource + DeserializeOwned + Send + 'static,
        K::DynamicType: Default,
        T: Send + 'static,
    {
        let handling = Handling { version: |object: &K| object.meta().resource_version.as_deref(), keep };
        let kind = K::kind(&K::DynamicType::default()).into_owned();
        let url = api.resource_url().to_owned();
        self.stream(changes(Reflect::new(api.into_client(), kind, url, &config, handling)), wrap)
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

/// The changes of one kind, for ever. Decoding happens in a task of its own, at most [`AHEAD`] changes ahead.
fn changes<K, T>(mut reflect: Reflect<K, T>) -> impl Stream<Item = Change<T>> + Send
where
    K: DeserializeOwned + Send + 'static,
    T: Send + 'static,
{
    let start = async move {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let task = tokio::spawn(async move {
            loop {
                let change = reflect.next().await;
                if sender.send(change).await.is_err() {
                    return;
                }
            }
        });
        let task = AbortOnDropHandle::new(task);
        stream::unfold((receiver, task), |(mut receiver, task)| async move {
            receiver.recv().await.map(|change| (change, (receiver, task)))
        })
    };
    stream::once(start).flatten()
}
