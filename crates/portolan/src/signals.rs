//! The signals that ask a program to stop.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Ctrl-C, SIGTERM, and the end of the terminal.
pub struct Signals([tokio::signal::unix::Signal; 3]);

impl Signals {
    /// Waits for them from now on.
    pub fn new() -> Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [a, b, c] = kinds.map(|kind| signal(kind).context("cannot wait for signals"));
        Ok(Self([a?, b?, c?]))
    }

    /// The next of them.
    pub async fn next(&mut self) {
        let [a, b, c] = &mut self.0;
        tokio::select! {
            _ = a.recv() => {}
            _ = b.recv() => {}
            _ = c.recv() => {}
        }
    }
}
