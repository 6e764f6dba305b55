//! Leader election: of several processes that could run the same parts, one does.
//!
//! ```text
//! standby --acquired--> leading --stop, part ended--> part has ended --> lease handed over
//!                          |
//!                          +--could not renew, or another one holds it--> part told to stop --> Lost
//! ```
//!
//! [`run_as_leader`] is called by programs; the part runs only between *acquired* and the end, and it has ended before
//! the lease is handed over. After [`LeaderError::Lost`] the process should exit: what it still had under way must not
//! go on beside the next leader. The rules are in `election`, which knows no clock.

mod election;

use std::{future::Future, time::Duration};

use k8s_openapi::{api::coordination::v1::Lease, jiff::Timestamp};
use kube::{Api, Client, api::PostParams};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub use election::Timing;
use election::{Answer, Election, Request, Step};

/// Where the lease is and who asks for it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// This candidate; no other may use the same.
    pub identity: String,
    /// How long things take.
    pub timing: Timing,
}

/// Something for the outside to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// This candidate leads.
    Became,
    /// This candidate has stopped leading.
    Stopped,
    /// This one leads now.
    Follows(String),
}

/// How leading ended in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to stop.
    Stopped,
    /// The part ended by itself.
    Part,
}

/// Why leading ended, or could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaderError {
    /// The durations do not fit together.
    #[error("{0}")]
    Timing(&'static str),
    /// The lease could not be renewed in time. The part has been told to stop.
    #[error("leadership is lost: the lease {lease} could not be renewed for {after:?}")]
    Lost {
        /// Namespace and name.
        lease: String,
        /// The renew deadline.
        after: Duration,
    },
    /// Somebody else holds the lease, although it had not run out. The part has been told to stop.
    #[error("leadership is lost: the lease {lease} is held by {holder}")]
    Taken {
        /// Namespace and name.
        lease: String,
        /// By whom.
        holder: String,
    },
}

/// Waits for the lease, then runs `part` for as long as it is held or until `stop`. The part is given a token that
/// tells it when to end, and is polled beside the renewals: it must not block.
///
/// # Errors
/// If the lease was lost, or can never be held with these durations.
pub async fn run_as_leader<P, F>(
    client: Client,
    config: Config,
    notify: impl Fn(Notice, &Lease),
    part: P,
    stop: CancellationToken,
) -> Result<Ended, LeaderError>
where
    P: FnOnce(CancellationToken) -> F,
    F: Future<Output = ()>,
{
    config.timing.check().map_err(LeaderError::Timing)?;
    let mut candidate = Candidate::new(client, &config);
    if stop.run_until_cancelled(candidate.acquire(&notify)).await.is_none() {
        // An attempt may have been under way, and may have succeeded.
        candidate.release().await;
        return Ok(Ended::Stopped);
    }
    info!(lease = candidate.lease, identity = config.identity, "leading");
    candidate.tell(&notify, Notice::Became);
    let told = CancellationToken::new();
    let mut part = std::pin::pin!(part(told.clone()));
    let ended = tokio::select! {
        () = stop.cancelled() => Ok(Ended::Stopped),
        () = &mut part => Ok(Ended::Part),
        lost = candidate.keep() => Err(lost),
    };
    told.cancel();
    // The lease outlives the deadline, so nobody else starts while this part is still ending.
    let in_time = match ended {
        Ok(Ended::Part) => true,
        _ => tokio::time::timeout_at(candidate.over(), part).await.is_ok(),
    };
    if ended.is_ok() && in_time {
        candidate.release().await;
    }
    candidate.tell(&notify, Notice::Stopped);
    ended
}

struct Candidate {
    api: Api<Lease>,
    election: Election,
    timing: Timing,
    name: String,
    /// For messages.
    lease: String,
}

impl Candidate {
    fn new(client: Client, config: &Config) -> Self {
        Self {
            api: Api::namespaced(client, &config.namespace),
            election: Election::new(&config.namespace, &config.name, &config.identity, config.timing),
            timing: config.timing,
            name: config.name.clone(),
            lease: format!("{}/{}", config.namespace, config.name),
        }
    }

    /// Returns when this candidate leads.
    async fn acquire(&mut self, notify: &impl Fn(Notice, &Lease)) {
        let mut followed = None;
        loop {
            let step = self.attempt().await;
            if step == Step::Lead {
                return;
            }
            let holder = self.election.holder();
            if let Some(holder) = holder.filter(|holder| followed.as_deref() != Some(*holder)) {
                info!(lease = self.lease, holder, "standing by");
                let holder = holder.to_owned();
                self.tell(notify, Notice::Follows(holder.clone()));
                followed = Some(holder);
            }
            tokio::time::sleep_until(self.election.next_attempt(Instant::now(), fastrand::f64())).await;
        }
    }

    /// Renews until that is no longer possible.
    async fn keep(&mut self) -> LeaderError {
        loop {
            tokio::time::sleep_until(self.election.next_attempt(Instant::now(), 0.0)).await;
            let deadline = self.deadline();
            let taken = async {
                loop {
                    match self.attempt().await {
                        Step::Lead => return None,
                        Step::Follow => return Some(self.election.holder().unwrap_or_default().to_owned()),
                        Step::Ask(_) | Step::Unknown => tokio::time::sleep(self.timing.retry_period).await,
                    }
                }
            };
            match tokio::time::timeout_at(deadline, taken).await {
                Ok(None) => {}
                Ok(Some(holder)) => return LeaderError::Taken { lease: self.lease.clone(), holder },
                Err(_) => {
                    return LeaderError::Lost { lease: self.lease.clone(), after: self.timing.renew_deadline };
                }
            }
        }
    }

    /// One attempt, from the first request to its result. Whatever failed on the way, it is told in one line.
    async fn attempt(&mut self) -> Step {
        let mut request = self.election.begin(Instant::now(), Timestamp::now());
        let mut trouble = None;
        loop {
            let answer = self.ask(&request).await.unwrap_or_else(|error| {
                trouble = error.or(trouble.take());
                Answer::Failed
            });
            match self.election.answer(Instant::now(), &request, answer) {
                Step::Ask(next) => request = *next,
                step => {
                    if let Some(error) = trouble {
                        warn!(lease = self.lease, error, "cannot use the lease");
                    }
                    return step;
                }
            }
        }
    }

    /// # Errors
    /// What went wrong, in words, unless it was only that somebody else was faster.
    async fn ask(&self, request: &Request) -> Result<Answer, Option<String>> {
        let parameters = PostParams::default();
        let answer = async {
            match request {
                Request::Get => self.api.get_opt(&self.name).await,
                Request::Create(lease) => self.api.create(&parameters, lease).await.map(Some),
                Request::Update(lease) => self.api.replace(&self.name, &parameters, lease).await.map(Some),
            }
        };
        // Half the deadline, as kube-controller-manager has it: a request that hangs leaves time for another one.
        match tokio::time::timeout(self.timing.renew_deadline / 2, answer).await {
            Ok(Ok(Some(lease))) => Ok(Answer::Lease(Box::new(lease))),
            Ok(Ok(None)) => Ok(Answer::Missing),
            Ok(Err(error)) if crate::is_code(&error, 409) => {
                debug!(lease = self.lease, error = crate::describe(&error), "somebody else wrote the lease");
                Err(None)
            }
            Ok(Err(error)) => Err(Some(crate::describe(&error))),
            Err(_) => Err(Some("no answer in time".to_owned())),
        }
    }

    /// Gives the lease up if this candidate holds it, so that the next one need not wait for its end.
    async fn release(&self) {
        if !self.election.has_asked() {
            return;
        }
        match self.free().await {
            Ok(true) => info!(lease = self.lease, "lease handed over"),
            Ok(false) | Err(None) => {}
            Err(Some(error)) => warn!(lease = self.lease, error, "cannot hand the lease over, it has to run out"),
        }
    }

    /// Whether this candidate held it and no longer does.
    async fn free(&self) -> Result<bool, Option<String>> {
        let Answer::Lease(lease) = self.ask(&Request::Get).await? else { return Ok(false) };
        let Some(freed) = self.election.release(&lease, Timestamp::now()) else { return Ok(false) };
        self.ask(&Request::Update(freed)).await.map(|answer| matches!(answer, Answer::Lease(_)))
    }

    fn tell(&self, notify: &impl Fn(Notice, &Lease), notice: Notice) {
        if let Some(lease) = self.election.lease() {
            notify(notice, lease);
        }
    }

    fn deadline(&self) -> Instant {
        self.election.deadline().unwrap_or_else(Instant::now)
    }

    /// The last moment at which the lease is certainly still this candidate's, with a little to spare.
    fn over(&self) -> Instant {
        let spare = self.timing.lease.saturating_sub(self.timing.renew_deadline);
        self.deadline() + spare.mul_f64(0.8)
    }
}

#[cfg(test)]
mod tests;
