//! How long to wait before asking a server again that has just failed. Pure but for the jitter.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// Doubles with every failure in a row; each wait is drawn between once and twice the step, so that those who failed
/// together do not come back together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pause {
    failures: u32,
}

impl Pause {
    /// The wait after one more failure; never shorter than what the server asked for.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let step = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        let step = asked.map_or(step, |asked| asked.max(step));
        step.mul_f64(1.0 + fastrand::f64()).min(step + LONGEST)
    }

    /// Something came through.
    pub fn worked(&mut self) {
        self.failures = 0;
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
