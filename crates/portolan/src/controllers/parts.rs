//! Starts each selected part with its client, its recorder and its counters, and waits for their end: the same for
//! `portolan controllers` and for the world of `up`, which differ only in their [`Site`].

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use anyhow::Result;
use futures::future;
use kube::Client;
use portolan_cloud::LoadBalancers;
use portolan_controllers::{
    endpoints, endpointslice, loadbalancer, mirroring, nodeipam, repair, servicecidr, workloads,
};
use portolan_events::{Recorder, SeriesRecorder, Vocabulary};
use portolan_runtime::Metrics;
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::select::Part;

/// At the end, Events that were reported already get this long to be written.
const FLUSH: Duration = Duration::from_secs(2);

/// Where parts run: who they are to the API, and the page on which they count.
pub trait Site {
    /// The client of a controller, by the name of its service account.
    fn client(&self, account: &str) -> Client;
    /// Lets a part register what it counts.
    fn count<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T;
}

/// What runs, and with what.
#[derive(Clone)]
pub struct Setup {
    /// Which parts.
    pub parts: Vec<Part>,
    /// Whose words their Events use.
    pub vocabulary: Vocabulary,
    /// How the controllers of the Service network run.
    pub endpoints: endpoints::Config,
    /// The same.
    pub endpointslice: endpointslice::Config,
    /// The same.
    pub mirroring: mirroring::Config,
    /// The same.
    pub loadbalancer: loadbalancer::Config,
    /// Who makes load balancers; [`Part::ServiceLb`] does not run without.
    pub provider: Option<Arc<dyn LoadBalancers>>,
    /// What nodes get their pod ranges from; [`Part::NodeIpam`] does not run without.
    pub pools: Option<nodeipam::Pools>,
    /// The ports that [`Part::Repair`] takes for allocated rightly.
    pub node_ports: RangeInclusive<u16>,
}

/// The running parts.
pub struct Running {
    tasks: JoinSet<Part>,
    recorders: Vec<Recorder>,
    series: Vec<SeriesRecorder>,
    stop: CancellationToken,
}

impl Running {
    /// Waits until all have ended and what they reported is written.
    ///
    /// # Errors
    /// If one ends although nobody told it to: the process is then no longer what it should be.
    pub async fn ended(mut self) -> Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            if self.stop.is_cancelled() || result.is_err() {
                continue;
            }
            self.stop.cancel();
            result = match ended {
                Ok(part) => Err(anyhow::anyhow!("{part} has ended by itself")),
                Err(error) => Err(anyhow::Error::new(error).context("a part has ended by itself")),
            };
        }
        let closed = future::join(
            future::join_all(self.recorders.iter().map(|recorder| recorder.close(FLUSH))),
            future::join_all(self.series.iter().map(|recorder| recorder.close(FLUSH))),
        );
        let (recorders, series) = closed.await;
        if recorders.into_iter().chain(series).any(|in_time| !in_time) {
            warn!("some Events could not be written in time");
        }
        result
    }
}

/// Starts the parts; they end with `stop`.
pub fn start(site: &impl Site, setup: &Setup, stop: &CancellationToken) -> Running {
    let mut running = Running { tasks: JoinSet::new(), recorders: Vec::new(), series: Vec::new(), stop: stop.clone() };
    for part in &setup.parts {
        Starting { site, setup, running: &mut running }.start(*part, stop.clone());
    }
    running
}

/// One part on its way.
struct Starting<'a, S> {
    site: &'a S,
    setup: &'a Setup,
    running: &'a mut Running,
}

impl<S: Site> Starting<'_, S> {
    fn start(mut self, part: Part, stop: CancellationToken) {
        let setup = self.setup;
        match part {
            Part::Endpoints => {
                let client = self.site.client("endpoint-controller");
                let metrics = self.site.count(endpoints::Metrics::register);
                let recorder = self.recorder(&client, "endpoint-controller");
                self.running.spawn(part, endpoints::run(client, recorder, setup.endpoints, metrics, stop));
            }
            Part::EndpointSlice => {
                let client = self.site.client("endpointslice-controller");
                let metrics = self.site.count(endpointslice::Metrics::register);
                let recorder = self.recorder(&client, "endpoint-slice-controller");
                self.running.spawn(part, endpointslice::run(client, recorder, setup.endpointslice, metrics, stop));
            }
            Part::Mirroring => {
                let client = self.site.client("endpointslicemirroring-controller");
                let metrics = self.site.count(mirroring::Metrics::register);
                let recorder = self.recorder(&client, "endpoint-slice-mirroring-controller");
                self.running.spawn(part, mirroring::run(client, recorder, setup.mirroring, metrics, stop));
            }
            Part::ServiceLb => {
                let Some(provider) = setup.provider.clone() else { return };
                let client = self.site.client(loadbalancer::NAME);
                let metrics = self.site.count(loadbalancer::Metrics::register);
                let recorder = self.recorder(&client, loadbalancer::NAME);
                let run = loadbalancer::run(client, recorder, provider, setup.loadbalancer, metrics, stop);
                self.running.spawn(part, run);
            }
            _ => self.start_workload(part, stop),
        }
    }

    /// What is not of the Service network itself.
    fn start_workload(mut self, part: Part, stop: CancellationToken) {
        match part {
            Part::Deployment => {
                let (client, recorder, metrics) = self.equip(workloads::deployment::NAME);
                self.running.spawn(part, workloads::deployment::run(client, recorder, metrics, stop));
            }
            Part::ReplicaSet => {
                let (client, recorder, metrics) = self.equip(workloads::replicaset::NAME);
                self.running.spawn(part, workloads::replicaset::run(client, recorder, metrics, stop));
            }
            Part::Scheduler => {
                let (client, recorder, metrics) = self.equip(workloads::scheduler::NAME);
                self.running.spawn(part, workloads::scheduler::run(client, recorder, metrics, stop));
            }
            Part::Namespace => {
                let name = workloads::namespace::NAME;
                let (client, metrics) = (self.site.client(name), self.metrics(name));
                self.running.spawn(part, workloads::namespace::run(client, metrics, stop));
            }
            Part::ServiceAccount => {
                let name = workloads::serviceaccount::NAME;
                let (client, metrics) = (self.site.client(name), self.metrics(name));
                self.running.spawn(part, workloads::serviceaccount::run(client, metrics, stop));
            }
            Part::GarbageCollector => {
                let name = workloads::garbage::NAME;
                let (client, metrics) = (self.site.client(name), self.metrics(name));
                self.running.spawn(part, workloads::garbage::run(client, metrics, stop));
            }
            Part::Nodes => {
                let (client, recorder, metrics) = self.equip(workloads::nodes::NAME);
                self.running.spawn(part, workloads::nodes::run(client, recorder, metrics, stop));
            }
            Part::NodeIpam => {
                let Some(pools) = self.setup.pools.clone() else { return };
                let client = self.site.client("node-controller");
                let recorder = self.recorder(&client, nodeipam::NAME);
                let metrics = self.metrics("node-ipam-controller");
                self.running.spawn(part, nodeipam::run(client, recorder, pools, metrics, stop));
            }
            Part::ServiceCidr => {
                let (client, recorder, metrics) = self.equip(servicecidr::NAME);
                self.running.spawn(part, servicecidr::run(client, recorder, metrics, stop));
            }
            Part::Repair => {
                let (client, recorder, metrics) = self.equip_series(repair::addresses::NAME);
                self.running.spawn(part, repair::addresses::run(client, recorder, metrics, stop.clone()));
                let (client, recorder, metrics) = self.equip_series(repair::ports::NAME);
                let range = self.setup.node_ports.clone();
                self.running.spawn(part, repair::ports::run(client, recorder, range, metrics, stop));
            }
            Part::Endpoints | Part::EndpointSlice | Part::Mirroring | Part::ServiceLb => {}
        }
    }

    /// For the many whose account, Events and counters have one name.
    fn equip(&mut self, name: &'static str) -> (Client, Recorder, Metrics) {
        let client = self.site.client(name);
        let recorder = self.recorder(&client, name);
        (client, recorder, self.metrics(name))
    }

    /// The same for those that speak in the newer Events.
    fn equip_series(&mut self, name: &'static str) -> (Client, SeriesRecorder, Metrics) {
        let client = self.site.client(name);
        let recorder = SeriesRecorder::new(client.clone(), name, instance(name), self.setup.vocabulary);
        self.site.count(|page| recorder.register(page, &metric_name(name)));
        self.running.series.push(recorder.clone());
        (client, recorder, self.metrics(name))
    }

    fn recorder(&mut self, client: &Client, component: &'static str) -> Recorder {
        let recorder = Recorder::new(client.clone(), component, None, self.setup.vocabulary);
        self.site.count(|page| recorder.register(page, &metric_name(component)));
        self.running.recorders.push(recorder.clone());
        recorder
    }

    fn metrics(&self, component: &str) -> Metrics {
        self.site.count(|page| Metrics::register(page, &metric_name(component)))
    }
}

/// Which of several processes speaks.
fn instance(component: &str) -> String {
    let host = nix::unistd::gethostname().map(|host| host.to_string_lossy().into_owned());
    format!("{component}-{}", host.unwrap_or_default())
}

impl Running {
    fn spawn(&mut self, part: Part, run: impl Future<Output = ()> + Send + 'static) {
        info!(%part, "starting");
        self.tasks.spawn(async move {
            run.await;
            part
        });
    }
}

/// `endpoint-slice-controller` as the prefix of a metric.
fn metric_name(component: &str) -> String {
    component.replace('-', "_")
}
