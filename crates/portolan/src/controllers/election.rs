//! Works only while holding the Lease, and says so: in an Event on the Lease, in the metrics, in readiness.

use std::{cell::RefCell, time::Duration};

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use portolan_catalogue::Reason;
use portolan_events::{Recorder, reference};
use portolan_runtime::leader::{Config, Notice, run_as_leader};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};
use tokio_util::sync::CancellationToken;

use super::{
    http::{Page, Role},
    options::Options,
};

/// The component of the Event.
const COMPONENT: &str = "portolan-controllers";
/// The last Event gets this long to be written.
const FLUSH: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    name: String,
}

/// Runs `work` while this process leads. `client` should be its own: what the parts send must not hold up a renewal.
pub async fn lead<F>(
    client: Client,
    options: &Options,
    page: &Page,
    work: impl FnOnce(CancellationToken) -> F,
    stop: &CancellationToken,
) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let election = &options.election;
    let config = Config {
        namespace: election.leader_elect_resource_namespace.clone(),
        name: election.leader_elect_resource_name.clone(),
        identity: identity()?,
        timing: election.timing(),
    };
    let master = Family::<Name, Gauge>::default();
    let help =
        "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master";
    page.registry.lock().register("leader_election_master_status", help, master.clone());
    let status = master.get_or_create(&Name { name: config.name.clone() }).clone();
    let recorder = Recorder::new(client.clone(), COMPONENT, None, options.choice.vocabulary.into());
    let who = config.identity.clone();
    let notify = |notice: Notice, lease: &Lease| match notice {
        Notice::Became => {
            status.set(1);
            recorder.event(&reference(lease), Reason::LeaderElection, format!("{who} became leader"));
        }
        Notice::Stopped => {
            status.set(0);
            recorder.event(&reference(lease), Reason::LeaderElection, format!("{who} stopped leading"));
        }
        Notice::Follows(holder) => *page.role.lock() = Role::StandingBy(holder),
    };
    let result = RefCell::new(Ok(()));
    let part = |told| {
        let working = work(told);
        let result = &result;
        async move { *result.borrow_mut() = working.await }
    };
    let ended = run_as_leader(client, config, notify, part, stop.clone()).await;
    // Bounded, because the API may be what is lost.
    recorder.close(FLUSH).await;
    ended?;
    result.into_inner()
}

/// No two processes may share it: the host's name is for people, the rest is chance.
fn identity() -> Result<String> {
    let host = nix::unistd::gethostname().context("cannot read the host's name")?;
    Ok(format!("{}_{:032x}", host.to_string_lossy(), fastrand::u128(..)))
}
