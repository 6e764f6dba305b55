//! Health checks of nodes: one task per address and port, shared by all balancers that ask the same question.

use std::{net::SocketAddr, time::Duration};

use portolan_netns::Namespace;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Between two checks of a healthy node, and the longest time between two of an unhealthy one.
const INTERVAL: Duration = Duration::from_secs(1);
/// After the first failure of a node that was not healthy; doubled up to [`INTERVAL`]. A node agent that is just
/// starting to answer is then found within milliseconds.
const FIRST_RETRY: Duration = Duration::from_millis(20);
const TIMEOUT: Duration = Duration::from_secs(1);
/// Failures in a row that take a healthy node out.
const THRESHOLD: u32 = 2;

/// A running check; dropping it stops it.
#[derive(Debug)]
pub(super) struct Check {
    /// How many balancers use it.
    pub users: usize,
    result: watch::Receiver<Option<bool>>,
    task: JoinHandle<()>,
}

impl Drop for Check {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Check {
    /// Starts checking at once; `changed` is called after each change of the result, the first one included.
    pub fn start(edge: Namespace, target: SocketAddr, changed: impl Fn(SocketAddr) + Send + 'static) -> Self {
        let (sender, result) = watch::channel(None);
        let task = tokio::spawn(async move {
            let mut judge = Judge::default();
            loop {
                let answered = timeout(TIMEOUT, probe(&edge, target)).await.is_ok_and(|ok| ok);
                let verdict = judge.judge(answered);
                if sender.send_if_modified(|result| result.replace(verdict) != Some(verdict)) {
                    changed(target);
                }
                sleep(judge.pause()).await;
            }
        });
        Self { users: 0, result, task }
    }

    /// The last check said that the node is fine.
    pub fn healthy(&self) -> bool {
        *self.result.borrow() == Some(true)
    }

    /// Follows the result; `None` until the first check is done.
    pub fn result(&self) -> watch::Receiver<Option<bool>> {
        self.result.clone()
    }
}

/// When a node is in and when it is out. Pure.
#[derive(Debug, Default)]
struct Judge {
    healthy: bool,
    failures: u32,
}

impl Judge {
    fn judge(&mut self, answered: bool) -> bool {
        self.failures = if answered { 0 } else { self.failures.saturating_add(1) };
        self.healthy = answered || (self.healthy && self.failures < THRESHOLD);
        self.healthy
    }

    fn pause(&self) -> Duration {
        if self.healthy {
            return INTERVAL;
        }
        FIRST_RETRY.saturating_mul(1 << self.failures.saturating_sub(1).min(10)).min(INTERVAL)
    }
}

/// One HTTP request; true for an answer of 200 to 299.
async fn probe(edge: &Namespace, target: SocketAddr) -> bool {
    let Ok(mut stream) = edge.tcp_connect(target).await else { return false };
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    // "HTTP/1.1 200"
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.is_ok() && start.starts_with(b"HTTP/1.") && start[9] == b'2'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failures_take_a_node_out_and_one_success_brings_it_back() {
        let mut judge = Judge::default();
        let answers = [false, true, false, true, false, false, false, true];
        let verdicts = answers.map(|answered| judge.judge(answered));
        assert_eq!(verdicts, [false, true, true, true, true, false, false, true]);
    }

    #[test]
    fn a_node_that_is_not_there_yet_is_asked_again_soon_and_then_less_often() {
        let mut judge = Judge::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            judge.judge(false);
            pauses.push(judge.pause().as_millis());
        }
        assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1000, 1000]);
        judge.judge(true);
        assert_eq!(judge.pause(), INTERVAL);
    }
}
