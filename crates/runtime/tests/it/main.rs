//! The client and the watches, over real sockets, with a real API server that a proxy makes misbehave.
#![allow(clippy::unwrap_used, missing_docs)]

mod client;
mod front;
mod watches;

use std::time::Duration;

/// Everything here is over in a second or a few; a test that hangs should say so.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, future).await.unwrap_or_else(|_| panic!("waited {limit:?} for {what}"))
}
