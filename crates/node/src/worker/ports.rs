//! A pod's host ports: it has all of them before anything else of it is made.

use std::time::Duration;

use portolan_catalogue::Reason;
use portolan_events::Vocabulary;
use portolan_objects::ObjectKey;

use super::{Holdings, Life, pace::Pace};
use crate::{
    hostports::{self, Claim, Claimant, Conflict, HostPort},
    status::Rejection,
};

/// How often it is looked whether a process has given a port up: nobody tells.
const POLL: Duration = Duration::from_millis(500);
/// What the scheduler and kubelets say.
const PREDICATE: &str = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";

impl Life {
    /// In the words of Kubernetes, a pod that another one keeps from its port never starts: what the pod has from the
    /// beginning, or `None` if it is rejected. In our own words it waits, see [`Life::claim_ports`].
    pub(super) fn admit(&self) -> Option<Holdings> {
        let mut holdings = Holdings::default();
        if self.agent.vocabulary() == Vocabulary::Full {
            return Some(holdings);
        }
        match self.agent.host_ports.claim(&self.claimant(), &hostports::of_spec(&self.spec)) {
            Ok(claim) => holdings.ports = Some(claim),
            Err(_) => {
                self.event(Reason::NodePorts, PREDICATE.into());
                let rejection = Rejection { reason: "NodePorts", message: PREDICATE.into() };
                self.reports.update(|report| {
                    report.rejected = Some(rejection);
                    report.finished = true;
                });
                return None;
            }
        }
        Some(holdings)
    }

    /// Waits for the pod's host ports and gives them to it; `None` if the pod is to end before.
    pub(super) async fn claim_ports(&self) -> Option<Claim> {
        let ports = hostports::of_spec(&self.spec);
        let mut pace = Pace::new();
        let mut stop = self.stop.subscribe();
        loop {
            if stop.borrow().is_some() {
                return None;
            }
            // Before the look, so that nothing is missed.
            let mut freed = self.agent.host_ports.freed();
            let conflict = match self.try_claim(ports.clone()).await {
                Ok(claim) => return Some(claim),
                Err(conflict) => conflict,
            };
            if pace.is_due(&conflict) {
                let conflict = conflict.clone();
                self.event(Reason::HostPortConflict, blocking(move || conflict.describe()).await);
            }
            let wait = if conflict.is_pod() { pace.left() } else { pace.left().min(POLL) };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = freed.changed() => {}
                _ = stop.wait_for(Option::is_some) => return None,
            }
        }
    }

    fn claimant(&self) -> Claimant {
        let on_host = self.spec.host_network == Some(true);
        Claimant { uid: self.uid().to_owned(), pod: ObjectKey::of(&*self.pod), on_host }
    }

    async fn try_claim(&self, ports: Vec<HostPort>) -> Result<Claim, Conflict> {
        let (host_ports, claimant) = (self.agent.host_ports.clone(), self.claimant());
        if ports.is_empty() {
            return host_ports.claim(&claimant, &ports);
        }
        blocking(move || host_ports.claim(&claimant, &ports)).await
    }
}

/// Runs what blocks for some milliseconds.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(f).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is at its end, and so is this task.
            Err(_) => std::future::pending().await,
        },
    }
}
