//! Starts each selected part with its client, its recorder and its counters.

use kube::Client;
use portolan_controllers::{endpoints, endpointslice, workloads};
use portolan_events::{Recorder, Vocabulary};
use portolan_runtime::Metrics;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::select::Part;

/// What every part is given.
pub struct Wiring {
    /// The way to the API.
    pub client: Client,
    /// Whose words Events use.
    pub vocabulary: Vocabulary,
}

/// The running parts.
pub struct Running {
    tasks: JoinSet<()>,
}

impl Running {
    /// Waits until all have ended.
    pub async fn ended(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Wiring {
    /// Starts the parts; they end with `stop`.
    pub fn start(self, parts: &[Part], stop: &CancellationToken) -> Running {
        let mut running = Running { tasks: JoinSet::new() };
        for part in parts {
            info!(%part, "starting");
            self.start_one(*part, stop.clone(), &mut running.tasks);
        }
        running
    }

    fn recorder(&self, component: &'static str) -> Recorder {
        Recorder::new(self.client.clone(), component, None, self.vocabulary)
    }

    fn start_one(&self, part: Part, stop: CancellationToken, tasks: &mut JoinSet<()>) {
        let client = self.client.clone();
        let metrics = Metrics::default();
        match part {
            Part::Endpoints => {
                let (config, metrics) = (endpoints::Config::default(), endpoints::Metrics::default());
                tasks.spawn(endpoints::run(client, self.recorder("endpoint-controller"), config, metrics, stop));
            }
            Part::EndpointSlice => {
                let (config, metrics) = (endpointslice::Config::default(), endpointslice::Metrics::default());
                let recorder = self.recorder("endpoint-slice-controller");
                tasks.spawn(endpointslice::run(client, recorder, config, metrics, stop));
            }
            Part::ServiceLb => warn!(%part, "does not run: no provider of load balancers is given"),
            Part::Deployment => {
                let recorder = self.recorder(workloads::deployment::NAME);
                tasks.spawn(workloads::deployment::run(client, recorder, metrics, stop));
            }
            Part::ReplicaSet => {
                let recorder = self.recorder(workloads::replicaset::NAME);
                tasks.spawn(workloads::replicaset::run(client, recorder, metrics, stop));
            }
            Part::Scheduler => {
                let recorder = self.recorder(workloads::scheduler::NAME);
                tasks.spawn(workloads::scheduler::run(client, recorder, metrics, stop));
            }
            Part::Namespace => drop(tasks.spawn(workloads::namespace::run(client, metrics, stop))),
            Part::ServiceAccount => drop(tasks.spawn(workloads::serviceaccount::run(client, metrics, stop))),
            Part::GarbageCollector => drop(tasks.spawn(workloads::garbage::run(client, metrics, stop))),
            Part::Nodes => {
                let recorder = self.recorder(workloads::nodes::NAME);
                tasks.spawn(workloads::nodes::run(client, recorder, metrics, stop));
            }
        }
    }
}
