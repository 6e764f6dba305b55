//! One write, tried until the API has answered: the part that both recorders share.
//!
//! An answer is final, also a refusal: what the API does not take now it would not take later. Only its wish to be
//! asked later is granted, as client-go's REST client does below its recorders. No answer is another matter: 12 tries,
//! 10 s apart, while everything behind in the queue waits. Upstream: `recordEvent` and its callers in
//! `tools/record/event.go` and `tools/events/event_broadcaster.go` of client-go.

use std::time::Duration;

use kube::core::Status;
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::metrics::Metrics;

/// How often a write is tried while the API does not answer.
const TRIES: u32 = 12;
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(10);
/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often one try waits because the API asks for it.
const DEFERRALS: u32 = 10;
/// The wait if the API asks for one and does not say how long: what its overload protection sends.
const DEFERRAL: Duration = Duration::from_secs(1);

/// How long the pauses are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rhythm {
    /// 10 s, the first a random part of it, so that many recorders do not come back together.
    RandomStart,
    /// 10 s and up to a quarter more each time.
    Jitter,
}

/// Why an Event is not in the API.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Its answer was no.
    Refused(Box<Status>),
    /// No request can be made of it.
    Impossible(kube::Error),
    /// No answer.
    Silent,
    /// The object is there and was not a moment ago: somebody else is writing it.
    Raced,
}

/// What one write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Created,
    Updated,
}

impl Rhythm {
    fn pause(self, attempt: u32) -> Duration {
        match self {
            Self::RandomStart if attempt == 1 => PAUSE.mul_f64(fastrand::f64()),
            Self::RandomStart => PAUSE,
            Self::Jitter => PAUSE.mul_f64(1.0 + fastrand::f64() / 4.0),
        }
    }
}

/// Tries `send` until the API has answered, and counts what became of it. Once `closing` is true it is tried once.
pub(crate) async fn deliver<F>(
    name: &str,
    rhythm: Rhythm,
    closing: &mut watch::Receiver<bool>,
    metrics: &Metrics,
    send: impl Fn() -> F,
) where
    F: Future<Output = Result<Written, Failure>>,
{
    for attempt in 0..TRIES {
        if attempt > 0 && !pause(rhythm.pause(attempt), closing).await {
            metrics.failed.inc();
            warn!(event = name, "event given up: the program ends and the API does not answer");
            return;
        }
        match attempt_once(&send).await {
            Ok(written) => return count(metrics, written),
            Err(Failure::Refused(status)) => {
                metrics.failed.inc();
                // Expected while a namespace goes away.
                debug!(event = name, code = status.code, error = status.message, "event refused by the API");
                return;
            }
            Err(Failure::Impossible(error)) => {
                metrics.failed.inc();
                warn!(event = name, %error, "event cannot be sent");
                return;
            }
            Err(Failure::Silent | Failure::Raced) => debug!(event = name, attempt, "cannot write an event"),
        }
    }
    metrics.failed.inc();
    warn!(event = name, tries = TRIES, "event given up: the API does not answer");
}

pub(crate) fn count(metrics: &Metrics, written: Written) {
    match written {
        Written::Created => metrics.created.inc(),
        Written::Updated => metrics.updated.inc(),
    };
}

/// One try; waits while the API asks for it.
pub(crate) async fn attempt_once<F>(send: impl Fn() -> F) -> Result<Written, Failure>
where
    F: Future<Output = Result<Written, Failure>>,
{
    for _ in 0..DEFERRALS {
        let result = tokio::time::timeout(TIMEOUT, send()).await.unwrap_or(Err(Failure::Silent));
        let Err(Failure::Refused(status)) = &result else { return result };
        let Some(later) = deferral(status) else { return result };
        tokio::time::sleep(later).await;
    }
    tokio::time::timeout(TIMEOUT, send()).await.unwrap_or(Err(Failure::Silent))
}

/// How long the API asks to wait, if it does.
fn deferral(status: &Status) -> Option<Duration> {
    let asked = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    match (status.code, asked) {
        (429, 0) => Some(DEFERRAL),
        (429 | 500.., 1..) => Some(Duration::from_secs(asked.into())),
        _ => None,
    }
}

/// Waits; false if the program ends instead.
async fn pause(time: Duration, closing: &mut watch::Receiver<bool>) -> bool {
    let closed = async {
        if closing.wait_for(|closing| *closing).await.is_err() {
            // The last recorder was dropped without a word: what is queued is still worth its tries.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = closed => false,
        () = tokio::time::sleep(time) => true,
    }
}

/// What an error of the client means for a write.
pub(crate) fn failure(error: kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => Failure::Refused(status),
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => Failure::Impossible(error),
        error => {
            debug!(%error, "no answer of the API");
            Failure::Silent
        }
    }
}

/// Whether the API answered with this code.
pub(crate) fn answered<T>(result: &kube::Result<T>, code: u16) -> bool {
    matches!(result, Err(kube::Error::Api(status)) if status.code == code)
}

#[cfg(test)]
mod tests;
