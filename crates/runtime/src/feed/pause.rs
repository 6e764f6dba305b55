//! How long to wait before asking a server again that has just failed, and which failures people should hear of. Pure
//! but for the jitter.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// Doubles with every failure in a row; each wait is drawn between once and twice the step, so that those who failed
/// together do not come back together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pause {
    /// In a row.
    failures: u32,
}

impl Pause {
    /// The wait after one more failure; never shorter than what the server asked for.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let step = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let step = asked.map_or(step, |asked| asked.max(step));
        step.mul_f64(1.0 + fastrand::f64()).min(step + LONGEST)
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether the last failure is news: the first one is, then each that doubles their number. A process has many
    /// watches, and when the server is away all of them fail.
    pub fn is_news(&self) -> bool {
        self.failures.is_power_of_two()
    }

    /// Something came through; returns how many failures that ends.
    pub fn worked(&mut self) -> u32 {
        std::mem::take(&mut self.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_spread() {
        let mut pause = Pause::default();
        for step in [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000] {
            let step = Duration::from_millis(step);
            let wait = pause.next(None);
            assert!(wait >= step && wait <= 2 * step, "{wait:?} for a step of {step:?}");
        }
        pause.worked();
        assert!(pause.next(None) <= 2 * FIRST);
    }

    #[test]
    fn an_outage_is_told_ever_more_rarely_and_its_end_once() {
        let mut pause = Pause::default();
        assert_eq!(pause.worked(), 0, "nothing has ended");
        let news: Vec<u32> = (0..40)
            .filter_map(|_| {
                pause.next(None);
                pause.is_news().then(|| pause.failures())
            })
            .collect();
        assert_eq!(news, [1, 2, 4, 8, 16, 32]);
        assert_eq!((pause.worked(), pause.worked()), (40, 0));
        pause.next(None);
        assert!(pause.is_news(), "another outage");
    }

    #[test]
    fn those_who_failed_together_do_not_come_back_together() {
        let mut waits: Vec<_> = (0..20).map(|_| Pause::default().next(None)).collect();
        waits.sort();
        waits.dedup();
        assert!(waits.len() > 15, "{waits:?}");
    }

    #[test]
    fn the_wish_of_the_server_is_the_least() {
        let asked = Duration::from_secs(7);
        let wait = Pause::default().next(Some(asked));
        assert!(wait >= asked && wait <= 2 * asked, "{wait:?}");
    }
}
