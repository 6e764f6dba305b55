//! One kind, listed once and watched for ever. Upstream: client-go `tools/cache/reflector.go`.
//!
//! ```text
//! Unknown --list--> Listed(version) --watch--> Open(stream) --end, error--> Listed(version)
//!    ^                    |                        |
//!    +------- 410 --------+------------------------+
//! ```
//!
//! The first list asks for whatever the server has at hand (`resourceVersion=0`), a later one for nothing older than
//! what has been seen: both are answered from the server's cache and none goes back in time. Where the server can stream
//! a list, objects are decoded one by one and the whole list is never in memory as text. Failures wait with
//! jitter, so that the many watches of a process do not come back as one.

use std::{collections::BTreeMap, io, pin::Pin, time::Duration};

use futures::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use kube::{Client, core::Status, runtime::watcher};
use serde::{Deserialize, de::DeserializeOwned};
use tracing::{debug, info, warn};

use super::{Change, pause::Pause};
use crate::lenient;

/// A streamed list that says nothing for this long is asked for as an ordinary one.
const SILENCE: Duration = Duration::from_secs(10);
/// The server ends a watch after this long at least, and at most twice as long: clients should not come in step.
const WATCH_SECONDS: u64 = 300;
/// How much later than promised the end of a watch may come before the connection counts as dead.
const GRACE: Duration = Duration::from_secs(5);
/// A watch that ended sooner than this did not work.
const SHORT: Duration = Duration::from_secs(1);
/// The annotation of the bookmark that completes a streamed list.
const COMPLETE: &str = "k8s.io/initial-events-end";

/// The version of an object, and what the part keeps of it. Objects are made small one by one: a complete set is never
/// in memory as it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handling<K, T> {
    pub version: fn(&K) -> Option<&str>,
    pub keep: fn(K) -> T,
}

/// The reflection of one kind: `K` as it is sent, `T` as the part keeps it.
pub(super) struct Reflect<K, T> {
    client: Client,
    kind: String,
    url: String,
    selectors: Vec<(&'static str, String)>,
    handling: Handling<K, T>,
    /// The newest version seen; `None` before the first list.
    version: Option<String>,
    state: State,
    /// Whether lists are asked for as streams.
    streams: bool,
    pause: Pause,
    /// Changes that a streamed list brought after its objects, last first.
    early: Vec<Change<T>>,
}

enum State {
    /// What exists is not known.
    Unknown {
        /// The server has forgotten `version`, or never knew it.
        version_lost: bool,
    },
    /// What existed at `version` is known.
    Listed,
    Open(Box<Lines>),
}

struct Lines {
    stream: Pin<Box<dyn AsyncBufRead + Send>>,
    line: Vec<u8>,
    opened: tokio::time::Instant,
    /// No line for this long means that nobody is there any more.
    patience: Duration,
}

/// Why a list or a watch did not work.
#[derive(Debug, thiserror::Error)]
enum ReflectError {
    #[error("the request failed")]
    Request(#[source] kube::Error),
    #[error("the server ended the watch: {}", .0.message)]
    Ended(Box<Status>),
    #[error("the connection broke")]
    Read(#[source] io::Error),
    #[error("cannot read what the server sent")]
    Decode(#[source] serde_json::Error),
    #[error("the server streams no lists")]
    NoStream,
    #[error("the server has given no resourceVersion")]
    NoVersion,
}

impl ReflectError {
    fn status(&self) -> Option<&Status> {
        match self {
            Self::Request(kube::Error::Api(status)) | Self::Ended(status) => Some(status),
            _ => None,
        }
    }

    fn code(&self) -> u16 {
        self.status().map_or(0, |status| status.code)
    }

    /// The version is too old, or (after a restore of the store, say) too new.
    fn version_is_lost(&self) -> bool {
        let too_large = |status: &Status| {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            causes.into_iter().any(|cause| cause.reason == "ResourceVersionTooLarge")
        };
        self.code() == 410 || self.status().is_some_and(too_large)
    }

    /// The parameters of a streamed list are not accepted.
    fn knows_no_streams(&self) -> bool {
        matches!(self, Self::NoStream) || matches!(self.code(), 400 | 422)
    }

    /// How long the server wants to be left alone.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.status()?.details.as_ref()?.retry_after_seconds;
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }
}

/// One line of a watch.
#[derive(Deserialize)]
#[serde(tag = "type", content = "object", rename_all = "UPPERCASE")]
enum Line<T> {
    Added(T),
    Modified(T),
    Deleted(T),
    Bookmark(Bookmark),
    Error(Box<Status>),
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: BookmarkMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMeta {
    resource_version: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct List<T> {
    metadata: ListMeta,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    #[serde(default)]
    resource_version: String,
}

impl<K: DeserializeOwned, T> Reflect<K, T> {
    pub fn new(client: Client, kind: String, url: String, config: &watcher::Config, handling: Handling<K, T>) -> Self {
        let labels = config.label_selector.clone().map(|selector| ("labelSelector", selector));
        let fields = config.field_selector.clone().map(|selector| ("fieldSelector", selector));
        Self {
            client,
            kind,
            url,
            selectors: labels.into_iter().chain(fields).collect(),
            handling,
            version: None,
            state: State::Unknown { version_lost: false },
            streams: true,
            pause: Pause::default(),
            early: Vec::new(),
        }
    }

    /// The next change. Waits as long as it takes; errors are logged.
    pub async fn next(&mut self) -> Change<T> {
        loop {
            if let Some(change) = self.early.pop() {
                return change;
            }
            let step = match &mut self.state {
                State::Unknown { version_lost } => {
                    let from = from_version(self.version.as_deref(), *version_lost);
                    self.list(&from).await.map(Some)
                }
                State::Listed => self.watch().await.map(|()| None),
                State::Open(_) => self.read().await,
            };
            match step {
                Ok(Some(change)) => return change,
                Ok(None) => {}
                Err(error) => self.recover(&error).await,
            }
        }
    }

    async fn recover(&mut self, error: &ReflectError) {
        if error.version_is_lost() {
            // A list that may not be older than `version` still works when only the watch's window is over.
            let listing = matches!(self.state, State::Unknown { .. });
            self.state = State::Unknown { version_lost: listing };
            debug!(kind = self.kind, %error, "the watch cannot go on where it was, listing anew");
            if !listing {
                return;
            }
        } else if matches!(self.state, State::Open(_)) {
            self.state = State::Listed;
        }
        let delay = self.pause.next(error.retry_after());
        let error: &dyn std::error::Error = error;
        let error = crate::Failure::new(error).message;
        let failures = self.pause.failures();
        match self.pause.is_news() {
            true => warn!(kind = self.kind, error, failures, ?delay, "cannot follow, trying again"),
            false => debug!(kind = self.kind, error, failures, ?delay, "cannot follow, trying again"),
        }
        tokio::time::sleep(delay).await;
    }

    /// Something came through.
    fn worked(&mut self) {
        let failures = self.pause.worked();
        if failures > 0 {
            info!(kind = self.kind, failures, "follows again");
        }
    }

    async fn list(&mut self, from: &str) -> Result<Change<T>, ReflectError> {
        if self.streams {
            match self.streamed_list(from).await {
                Err(error) if error.knows_no_streams() => {
                    debug!(kind = self.kind, %error, "the server streams no lists");
                    self.streams = false;
                }
                answer => return answer,
            }
        }
        self.whole_list(from).await
    }

    async fn streamed_list(&mut self, from: &str) -> Result<Change<T>, ReflectError> {
        let mut lines = self.open(from, true).await?;
        let mut objects = Vec::new();
        let mut later = Vec::new();
        loop {
            let line = tokio::time::timeout(SILENCE, lines.next::<K>()).await.map_err(|_| ReflectError::NoStream)?;
            if let Err(ReflectError::Decode(error)) = &line {
                self.unreadable(error);
                continue;
            }
            match line? {
                Some(Line::Added(object)) => objects.push((self.handling.keep)(object)),
                Some(Line::Modified(object)) => later.push(Change::Apply((self.handling.keep)(object))),
                Some(Line::Deleted(object)) => later.push(Change::Delete((self.handling.keep)(object))),
                Some(Line::Bookmark(bookmark)) if bookmark.metadata.annotations.contains_key(COMPLETE) => {
                    self.version = Some(bookmark.metadata.resource_version);
                    break;
                }
                // A server that does not know the parameter begins an ordinary watch and never completes.
                Some(Line::Bookmark(_)) => return Err(ReflectError::NoStream),
                Some(Line::Error(status)) => return Err(ReflectError::Ended(status)),
                None => return Err(ReflectError::Read(io::ErrorKind::UnexpectedEof.into())),
            }
        }
        later.reverse();
        self.early = later;
        self.state = State::Open(Box::new(lines));
        self.worked();
        Ok(Change::Reset(objects))
    }

    async fn whole_list(&mut self, from: &str) -> Result<Change<T>, ReflectError> {
        let matching = if from.is_empty() { None } else { Some(("resourceVersionMatch", "NotOlderThan")) };
        let request = self.request([("resourceVersion", from)].into_iter().chain(matching));
        let request = request?;
        let mut body = self.client.request_stream(request).await.map_err(ReflectError::Request)?;
        let mut text = Vec::new();
        body.read_to_end(&mut text).await.map_err(ReflectError::Read)?;
        let list = self.read_list(&text)?;
        if list.metadata.resource_version.is_empty() {
            return Err(ReflectError::NoVersion);
        }
        self.version = Some(list.metadata.resource_version);
        self.state = State::Listed;
        self.worked();
        Ok(Change::Reset(list.items.into_iter().map(self.handling.keep).collect()))
    }

    /// The objects of a whole list. One that cannot be read is left out: the others need not suffer for it.
    fn read_list(&self, text: &[u8]) -> Result<List<K>, ReflectError> {
        if let Ok(list) = serde_json::from_slice(text) {
            return Ok(list);
        }
        let list: List<serde_json::Value> = serde_json::from_slice(text).map_err(ReflectError::Decode)?;
        let (items, errors) = lenient::read_each(list.items);
        errors.iter().for_each(|error| self.unreadable(error));
        Ok(List { metadata: list.metadata, items })
    }

    fn unreadable(&self, error: &serde_json::Error) {
        tracing::error!(kind = self.kind, %error, "an object cannot be read and is ignored");
    }

    async fn watch(&mut self) -> Result<(), ReflectError> {
        let Some(version) = self.version.clone() else {
            self.state = State::Unknown { version_lost: false };
            return Ok(());
        };
        let lines = self.open(&version, false).await?;
        self.state = State::Open(Box::new(lines));
        Ok(())
    }

    async fn open(&mut self, version: &str, initial: bool) -> Result<Lines, ReflectError> {
        let seconds = fastrand::u64(WATCH_SECONDS..2 * WATCH_SECONDS);
        let timeout = seconds.to_string();
        let mut query = vec![("watch", "1"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", timeout.as_str())];
        query.push(("resourceVersion", version));
        if initial {
            query.extend([("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]);
        }
        let request = self.request(query.into_iter())?;
        let stream = self.client.request_stream(request).await.map_err(ReflectError::Request)?;
        let patience = Duration::from_secs(seconds) + GRACE;
        Ok(Lines { stream: Box::pin(stream), line: Vec::new(), opened: tokio::time::Instant::now(), patience })
    }

    async fn read(&mut self) -> Result<Option<Change<T>>, ReflectError> {
        let State::Open(lines) = &mut self.state else { return Ok(None) };
        let line = match tokio::time::timeout(lines.patience, lines.next::<K>()).await {
            Ok(Err(ReflectError::Decode(error))) => {
                // The stream itself is whole: what follows can be read, and only this object is not seen.
                self.unreadable(&error);
                return Ok(None);
            }
            Ok(line) => line?,
            Err(_) => None,
        };
        let change = match line {
            Some(Line::Added(object) | Line::Modified(object)) => Change::Apply(self.keep(object)),
            Some(Line::Deleted(object)) => Change::Delete(self.keep(object)),
            Some(Line::Bookmark(bookmark)) => {
                self.version = Some(bookmark.metadata.resource_version);
                self.worked();
                return Ok(None);
            }
            Some(Line::Error(status)) => return Err(ReflectError::Ended(status)),
            None => {
                let short = lines.opened.elapsed() < SHORT;
                self.state = State::Listed;
                return if short { Err(ReflectError::Read(io::ErrorKind::UnexpectedEof.into())) } else { Ok(None) };
            }
        };
        self.worked();
        Ok(Some(change))
    }

    /// Takes note of where the watch is now.
    fn keep(&mut self, object: K) -> T {
        if let Some(version) = (self.handling.version)(&object) {
            // Reusing the allocation: this runs once for every event.
            let held = self.version.get_or_insert_default();
            held.clear();
            held.push_str(version);
        }
        (self.handling.keep)(object)
    }

    fn request<'a>(
        &'a self,
        query: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<http::Request<Vec<u8>>, ReflectError> {
        let mut target = form_urlencoded::Serializer::new(format!("{}?", self.url));
        target.extend_pairs(query).extend_pairs(&self.selectors);
        let request = http::Request::get(target.finish()).body(Vec::new());
        request.map_err(|error| ReflectError::Request(kube::Error::HttpError(error)))
    }
}

/// What a list asks for.
fn from_version(seen: Option<&str>, lost: bool) -> String {
    match seen {
        None => "0".to_owned(),
        Some(_) if lost => String::new(),
        Some(version) => version.to_owned(),
    }
}

impl Lines {
    /// The next line, or `None` at the end.
    async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<Line<T>>, ReflectError> {
        loop {
            self.line.clear();
            match self.stream.read_until(b'\n', &mut self.line).await {
                Ok(0) => return Ok(None),
                // Half a line: the connection ended within it.
                Ok(_) if self.line.last() != Some(&b'\n') => return Ok(None),
                Ok(1) => {}
                Ok(_) => return lenient::read(&self.line).map(Some).map_err(ReflectError::Decode),
                Err(error) => return Err(ReflectError::Read(error)),
            }
        }
    }
}
