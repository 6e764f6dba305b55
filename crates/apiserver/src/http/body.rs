//! The body of an answer: bytes at hand, or a stream that lasts as long as a watch or a log.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

use crate::faults::Silence;

type Chunks = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// See the module.
pub enum Body {
    /// All of it; None once it is sent.
    Full(Option<Bytes>),
    /// Piece by piece, each sent on at once.
    Stream(Chunks),
}

impl Body {
    /// Bytes at hand.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Full(Some(bytes.into()))
    }

    /// A stream of pieces.
    pub fn stream(chunks: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static) -> Self {
        Self::Stream(Box::pin(chunks))
    }

    /// Holds a stream back while its watch is silenced.
    pub fn silenced(self, silence: Option<Silence>) -> Self {
        match (self, silence) {
            (Self::Stream(chunks), Some(silence)) => Self::stream(silence.over(chunks)),
            (body, _) => body,
        }
    }

    /// Ends a stream when the server stops, so that a watch does not hold its connection open.
    pub fn until(self, stop: CancellationToken) -> Self {
        match self {
            Self::Stream(chunks) => Self::stream(chunks.take_until(stop.cancelled_owned())),
            full @ Self::Full(_) => full,
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(bytes) => f.debug_tuple("Full").field(bytes).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(chunks) => chunks.poll_next_unpin(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
