//! The probes of a running container.
//!
//! Unlike upstream, a container that has just been started is probed at once and then in short steps for up to a
//! second, and these first failures do not count: a program that listens after 20 ms is ready after 20 ms, not after a
//! whole period.

use std::time::Duration;

use k8s_openapi::api::core::v1::Probe;
use portolan_catalogue::Reason;
use tokio::{sync::watch, time::Instant};

use super::Supervisor;
use crate::probe::{Action, Place};

/// First step of the impatient beginning; doubled each time.
const FIRST_STEP: Duration = Duration::from_millis(20);
/// Length of the impatient beginning.
const BEGINNING: Duration = Duration::from_secs(1);

/// A probe with its defaults applied.
struct Schedule {
    action: Action,
    delay: Duration,
    period: Duration,
    timeout: Duration,
    successes: i32,
    failures: i32,
}

impl Supervisor {
    /// Sets the container ready and not ready as its readiness probe says, once it has started. Never ends, but with
    /// the container.
    pub(super) async fn keep_readiness(&self, place: &Place, mut started: watch::Receiver<bool>) {
        // An error means that the container is ending without ever having started.
        if started.wait_for(|started| *started).await.is_err() {
            return std::future::pending().await;
        }
        let Some(probe) = &self.container.readiness_probe else {
            self.update(|report| report.ready = true);
            return std::future::pending().await;
        };
        let schedule = self.schedule(probe);
        tokio::time::sleep(schedule.delay).await;
        self.await_first_success(place, &schedule).await;
        let (mut good, mut bad, mut ready) = (0, 0, false);
        loop {
            match place.attempt(&schedule.action, schedule.timeout).await {
                Ok(()) => (good, bad) = (good + 1, 0),
                Err(message) => {
                    (good, bad) = (0, bad + 1);
                    self.event(Reason::Unhealthy, format!("Readiness probe failed: {message}"));
                }
            }
            let now = if ready { bad < schedule.failures } else { good >= schedule.successes };
            if now != ready {
                ready = now;
                self.update(|report| report.ready = ready);
            }
            tokio::time::sleep(schedule.period).await;
        }
    }

    /// Runs the startup probe and then the liveness probe. Ends with the message of the event when the container has
    /// to be restarted.
    pub(super) async fn fail_health(&self, place: &Place, started: watch::Sender<bool>) -> String {
        if let Some(probe) = &self.container.startup_probe {
            let schedule = self.schedule(probe);
            tokio::time::sleep(schedule.delay).await;
            self.await_first_success(place, &schedule).await;
            if self.fails(place, &schedule, "Startup", true).await {
                return format!("Container {} failed startup probe, will be restarted", self.container.name);
            }
            self.update(|report| report.started = true);
        }
        started.send_replace(true);
        let Some(probe) = &self.container.liveness_probe else {
            return std::future::pending().await;
        };
        let schedule = self.schedule(probe);
        tokio::time::sleep(schedule.delay).await;
        self.await_first_success(place, &schedule).await;
        self.fails(place, &schedule, "Liveness", false).await;
        // The sender lives on until here, so that readiness goes on.
        drop(started);
        format!("Container {} failed liveness probe, will be restarted", self.container.name)
    }

    /// Probes until the failures in a row are too many (true), or until the first success if that is `enough` (false).
    async fn fails(&self, place: &Place, schedule: &Schedule, name: &str, enough: bool) -> bool {
        let mut bad = 0;
        loop {
            match place.attempt(&schedule.action, schedule.timeout).await {
                Ok(()) if enough => return false,
                Ok(()) => bad = 0,
                Err(message) => {
                    bad += 1;
                    self.event(Reason::Unhealthy, format!("{name} probe failed: {message}"));
                    if bad >= schedule.failures {
                        return true;
                    }
                }
            }
            tokio::time::sleep(schedule.period).await;
        }
    }

    /// The impatient beginning: ends with a success, or when its time is over.
    async fn await_first_success(&self, place: &Place, schedule: &Schedule) {
        let end = Instant::now() + BEGINNING.min(schedule.period);
        let mut step = FIRST_STEP;
        while place.attempt(&schedule.action, schedule.timeout).await.is_err() && Instant::now() + step < end {
            tokio::time::sleep(step).await;
            step *= 2;
        }
    }

    fn schedule(&self, probe: &Probe) -> Schedule {
        let seconds = |value: Option<i32>, default: i32| {
            Duration::from_secs(value.filter(|value| *value > 0).unwrap_or(default).unsigned_abs().into())
        };
        let count = |value: Option<i32>, default: i32| value.filter(|value| *value > 0).unwrap_or(default);
        Schedule {
            action: Action::of_probe(probe, &self.container),
            delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            timeout: seconds(probe.timeout_seconds, 1),
            successes: count(probe.success_threshold, 1),
            failures: count(probe.failure_threshold, 3),
        }
    }
}
