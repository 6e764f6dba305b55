//! How often a trouble that lasts is told.

use std::time::Duration;

use tokio::time::Instant;

/// First pause; doubled each time.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// How often the same is said again: at once when it is news, then after growing pauses.
pub(super) struct Pace<T> {
    said: Option<T>,
    due: Instant,
    pause: Duration,
}

impl<T: Clone + PartialEq> Pace<T> {
    /// Nothing was said yet.
    pub fn new() -> Self {
        Self { said: None, due: Instant::now(), pause: Duration::ZERO }
    }

    /// Whether it is to be said now; then it counts as said.
    pub fn is_due(&mut self, what: &T) -> bool {
        let now = Instant::now();
        if self.said.as_ref() != Some(what) {
            *self = Self { said: Some(what.clone()), due: now, pause: Duration::ZERO };
        }
        let due = self.due <= now;
        if due {
            self.pause = (self.pause * 2).clamp(FIRST, LONGEST);
            self.due = now + self.pause;
        }
        due
    }

    /// How long until it is due again.
    pub fn left(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(500);

    #[tokio::test(start_paused = true)]
    async fn news_is_told_at_once_and_the_rest_ever_more_rarely() {
        let (mut pace, mut told) = (Pace::new(), Vec::new());
        let begun = Instant::now();
        for tick in 0..40 {
            let what = if tick < 30 { 8080 } else { 8081 };
            if pace.is_due(&what) {
                told.push((what, begun.elapsed().as_millis()));
            }
            assert!(pace.left() > Duration::ZERO);
            tokio::time::advance(TICK).await;
        }
        let expected = [(8080, 0), (8080, 1000), (8080, 3000), (8080, 7000), (8081, 15000), (8081, 16000)];
        assert_eq!(told[..6], expected);
    }
}
