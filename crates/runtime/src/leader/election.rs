//! Who leads: the state machine, with no clock and no I/O of its own.
//!
//! An attempt is a short conversation with the API: [`Election::begin`] gives the first request, [`Election::answer`]
//! the next one or the result. Time is the candidate's own: when *it* saw a change, never what another one wrote into
//! the Lease. Whoever leads stops at [`Election::deadline`], which is before any other candidate can think that the lease
//! has run out, as long as clocks run at about the same speed.
//!
//! Upstream: client-go `tools/leaderelection/leaderelection.go`, `resourcelock/leaselock.go`.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use tokio::time::Instant;

/// How long things take. The defaults are client-go's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Others wait this long after the last renewal they have seen.
    pub lease: Duration,
    /// The leader stops if it could not renew for this long.
    pub renew_deadline: Duration,
    /// Between attempts.
    pub retry_period: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

impl Timing {
    /// What is wrong with it, in words.
    ///
    /// # Errors
    /// If a leader could go on after its lease has run out, or would not renew in time.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.lease < Duration::from_secs(1) {
            return Err("the lease must last at least one second");
        }
        if self.lease <= self.renew_deadline {
            return Err("the lease must last longer than the renew deadline");
        }
        if self.renew_deadline <= self.retry_period.mul_f64(1.2) {
            return Err("the renew deadline must be more than 1.2 times the retry period");
        }
        if self.retry_period.is_zero() {
            return Err("the retry period must not be zero");
        }
        Ok(())
    }
}

/// What to ask the API.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// The Lease as it is.
    Get,
    /// A first Lease.
    Create(Lease),
    /// The Lease, if it is still of the version that it names.
    Update(Lease),
}

/// What the API said.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The Lease as it is now: as read, or as written.
    Lease(Box<Lease>),
    /// There is none.
    Missing,
    /// Nothing useful. Whether a write was done is not known.
    Failed,
}

/// How an attempt goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Ask this.
    Ask(Box<Request>),
    /// This candidate leads, at least until the deadline.
    Lead,
    /// Another one does.
    Follow,
    /// It is not known: try again.
    Unknown,
}

/// One candidate's view.
#[derive(Debug, Clone)]
pub struct Election {
    identity: String,
    namespace: String,
    name: String,
    timing: Timing,
    /// The Lease as last seen, and when it was first seen so.
    seen: Option<(Lease, Instant)>,
    attempt: Option<Attempt>,
    /// When the last attempt that succeeded had begun; `None` while not leading.
    renewed: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    begun: Instant,
    /// The wall clock, which is only written down for people.
    wall: Timestamp,
    /// It began with a write on top of what was seen last, without reading.
    optimistic: bool,
}

impl Election {
    /// A candidate that has seen nothing yet. No two may have the same identity.
    pub fn new(namespace: &str, name: &str, identity: &str, timing: Timing) -> Self {
        Self {
            identity: identity.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            timing,
            seen: None,
            attempt: None,
            renewed: None,
        }
    }

    /// Begins an attempt to become the leader, or to stay it.
    pub fn begin(&mut self, now: Instant, wall: Timestamp) -> Request {
        let own = self.seen.as_ref().filter(|(lease, _)| self.renewed.is_some() && self.is_own(lease));
        let request = own.map_or(Request::Get, |(lease, _)| Request::Update(self.claim(lease, wall)));
        self.attempt = Some(Attempt { begun: now, wall, optimistic: request != Request::Get });
        request
    }

    /// Takes the answer to `asked`, which was the last request of this attempt.
    pub fn answer(&mut self, now: Instant, asked: &Request, answer: Answer) -> Step {
        let Some(attempt) = &mut self.attempt else { return Step::Unknown };
        match (asked, answer) {
            (Request::Get, Answer::Lease(lease)) => {
                let wall = attempt.wall;
                self.see(*lease, now);
                self.consider(now, wall)
            }
            (Request::Get, Answer::Missing) => {
                let wall = attempt.wall;
                self.seen = None;
                Step::Ask(Box::new(Request::Create(self.first(wall))))
            }
            (Request::Get, Answer::Failed) => Step::Unknown,
            (_, Answer::Lease(lease)) => {
                self.renewed = Some(attempt.begun);
                self.see(*lease, now);
                Step::Lead
            }
            // Somebody else wrote, or the answer to an earlier write was lost: what is there decides.
            (_, Answer::Missing | Answer::Failed) if attempt.optimistic => {
                attempt.optimistic = false;
                Step::Ask(Box::new(Request::Get))
            }
            (_, Answer::Missing | Answer::Failed) => Step::Unknown,
        }
    }

    /// When to stop leading unless an attempt succeeds before; `None` while not leading.
    pub fn deadline(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + self.timing.renew_deadline)
    }

    /// When to make the next attempt. `jitter` from 0 to 1 keeps candidates from coming in step.
    pub fn next_attempt(&self, now: Instant, jitter: f64) -> Instant {
        if self.renewed.is_some() {
            return now + self.timing.retry_period;
        }
        let regular = now + self.timing.retry_period.mul_f64(1.0 - 0.2 * jitter);
        // The lease of the other one ends before that: be there then.
        let expiry = self.expiry().map(|expiry| expiry + self.timing.retry_period.mul_f64(0.1 * jitter));
        expiry.filter(|expiry| *expiry > now).map_or(regular, |expiry| expiry.min(regular))
    }

    /// Whether it has ever asked for the lease: a first write may have been done although its answer was lost.
    pub fn has_asked(&self) -> bool {
        self.attempt.is_some()
    }

    /// This candidate.
    #[cfg(test)]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Who holds the lease, as far as this candidate knows.
    pub fn holder(&self) -> Option<&str> {
        holder(&self.seen.as_ref()?.0)
    }

    /// The Lease as last seen.
    pub fn lease(&self) -> Option<&Lease> {
        self.seen.as_ref().map(|(lease, _)| lease)
    }

    /// What to write to hand over a lease that is `lease` now; `None` if it is another's.
    pub fn release(&self, lease: &Lease, wall: Timestamp) -> Option<Lease> {
        self.is_own(lease).then(|| {
            let mut lease = lease.clone();
            let spec = lease.spec.get_or_insert_default();
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(wall));
            spec.acquire_time = Some(MicroTime(wall));
            lease
        })
    }

    fn consider(&mut self, now: Instant, wall: Timestamp) -> Step {
        let Some((lease, _)) = &self.seen else { return Step::Unknown };
        let free = holder(lease).is_none() || self.expiry().is_some_and(|expiry| expiry <= now);
        if self.is_own(lease) || free {
            return Step::Ask(Box::new(Request::Update(self.claim(lease, wall))));
        }
        self.renewed = None;
        Step::Follow
    }

    /// When the lease runs out: it counts from when this candidate first saw it as it is.
    fn expiry(&self) -> Option<Instant> {
        let (lease, at) = self.seen.as_ref()?;
        let seconds = lease.spec.as_ref()?.lease_duration_seconds;
        let lasts = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        Some(*at + lasts.unwrap_or(self.timing.lease))
    }

    fn see(&mut self, lease: Lease, now: Instant) {
        match &mut self.seen {
            // An annotation, say: no sign of life.
            Some((held, _)) if held.spec == lease.spec => *held = lease,
            seen => *seen = Some((lease, now)),
        }
    }

    fn is_own(&self, lease: &Lease) -> bool {
        holder(lease) == Some(&self.identity)
    }

    /// `lease`, held by this candidate. Whatever else is in it stays.
    fn claim(&self, lease: &Lease, wall: Timestamp) -> Lease {
        let own = self.is_own(lease);
        let mut lease = lease.clone();
        let spec = lease.spec.get_or_insert_default();
        let transitions = spec.lease_transitions.unwrap_or_default();
        let acquired = spec.acquire_time.take().filter(|_| own);
        *spec = LeaseSpec {
            acquire_time: Some(acquired.unwrap_or(MicroTime(wall))),
            lease_transitions: Some(if own { transitions } else { transitions.saturating_add(1) }),
            ..self.spec(wall, std::mem::take(spec))
        };
        lease
    }

    fn first(&self, wall: Timestamp) -> Lease {
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            ..ObjectMeta::default()
        };
        let spec = LeaseSpec {
            acquire_time: Some(MicroTime(wall)),
            lease_transitions: Some(0),
            ..self.spec(wall, LeaseSpec::default())
        };
        Lease { metadata, spec: Some(spec) }
    }

    fn spec(&self, wall: Timestamp, rest: LeaseSpec) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.timing.lease.as_secs()).unwrap_or(i32::MAX)),
            renew_time: Some(MicroTime(wall)),
            ..rest
        }
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}
