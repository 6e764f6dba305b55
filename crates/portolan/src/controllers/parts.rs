//! Equips each selected part with its client, its recorder and its counters: the same for `portolan controllers`, which
//! starts all of them and waits for their end, and for the world of `up`, which also stops and starts single ones.
//! The two differ in their [`Site`].

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use anyhow::Result;
use futures::future::{self, BoxFuture};
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

/// A part that is ready to run, as often as it is started. What it counts goes on from run to run.
pub struct Runnable {
    /// Which part it is, or belongs to: [`Part::Repair`] has two.
    pub part: Part,
    /// The service account whose client it has.
    pub account: &'static str,
    run: Box<dyn Fn(CancellationToken) -> BoxFuture<'static, ()> + Send + Sync>,
}

impl Runnable {
    /// Runs it until `stop`.
    pub fn run(&self, stop: CancellationToken) -> BoxFuture<'static, ()> {
        info!(part = %self.part, "starting");
        (self.run)(stop)
    }
}

/// All that the parts report with.
#[derive(Default)]
pub struct Recorders {
    plain: Vec<Recorder>,
    series: Vec<SeriesRecorder>,
}

impl Recorders {
    /// Waits until what was reported is written, but not long.
    pub async fn close(&self) {
        let closed = future::join(
            future::join_all(self.plain.iter().map(|recorder| recorder.close(FLUSH))),
            future::join_all(self.series.iter().map(|recorder| recorder.close(FLUSH))),
        );
        let (plain, series) = closed.await;
        if plain.into_iter().chain(series).any(|in_time| !in_time) {
            warn!("some Events could not be written in time");
        }
    }
}

/// The running parts.
pub struct Running {
    tasks: JoinSet<Part>,
    recorders: Recorders,
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
        self.recorders.close().await;
        result
    }
}

/// Starts the parts; they end with `stop`.
pub fn start(site: &impl Site, setup: &Setup, stop: &CancellationToken) -> Running {
    let (runnables, recorders) = equip(site, setup);
    let mut tasks = JoinSet::new();
    for runnable in runnables {
        let (part, run) = (runnable.part, runnable.run(stop.clone()));
        tasks.spawn(async move {
            run.await;
            part
        });
    }
    Running { tasks, recorders, stop: stop.clone() }
}

/// Gives each part its client, its recorder and its counters. Nothing runs yet.
pub fn equip(site: &impl Site, setup: &Setup) -> (Vec<Runnable>, Recorders) {
    let mut equipping = Equipping { site, setup, runnables: Vec::new(), recorders: Recorders::default() };
    for part in &setup.parts {
        equipping.equip_part(*part);
    }
    (equipping.runnables, equipping.recorders)
}

/// Parts on their way.
struct Equipping<'a, S> {
    site: &'a S,
    setup: &'a Setup,
    runnables: Vec<Runnable>,
    recorders: Recorders,
}

/// Adds a runnable: `add!(self, part, account, run(arguments...))`. The arguments are cloned for each run, and the token
/// that stops it comes behind them.
macro_rules! add {
    ($equipping:expr, $part:expr, $account:expr, $run:path, $($argument:ident),+) => {
        $equipping.runnables.push(Runnable {
            part: $part,
            account: $account,
            run: Box::new(move |stop| Box::pin($run($($argument.clone()),+, stop))),
        })
    };
}

impl<S: Site> Equipping<'_, S> {
    fn equip_part(&mut self, part: Part) {
        let setup = self.setup;
        match part {
            Part::Endpoints => {
                let account = "endpoint-controller";
                let (client, config) = (self.site.client(account), setup.endpoints);
                let metrics = self.site.count(endpoints::Metrics::register);
                let recorder = self.recorder(&client, "endpoint-controller");
                add!(self, part, account, endpoints::run, client, recorder, config, metrics);
            }
            Part::EndpointSlice => {
                let account = "endpointslice-controller";
                let (client, config) = (self.site.client(account), setup.endpointslice);
                let metrics = self.site.count(endpointslice::Metrics::register);
                let recorder = self.recorder(&client, "endpoint-slice-controller");
                add!(self, part, account, endpointslice::run, client, recorder, config, metrics);
            }
            Part::Mirroring => {
                let account = "endpointslicemirroring-controller";
                let (client, config) = (self.site.client(account), setup.mirroring);
                let metrics = self.site.count(mirroring::Metrics::register);
                let recorder = self.recorder(&client, "endpoint-slice-mirroring-controller");
                add!(self, part, account, mirroring::run, client, recorder, config, metrics);
            }
            Part::ServiceLb => {
                let Some(provider) = setup.provider.clone() else { return };
                let (client, config) = (self.site.client(loadbalancer::NAME), setup.loadbalancer);
                let metrics = self.site.count(loadbalancer::Metrics::register);
                let recorder = self.recorder(&client, loadbalancer::NAME);
                let account = loadbalancer::NAME;
                add!(self, part, account, loadbalancer::run, client, recorder, provider, config, metrics);
            }
            _ => self.equip_workload(part),
        }
    }

    /// What is not of the Service network itself.
    fn equip_workload(&mut self, part: Part) {
        match part {
            Part::Deployment => {
                let (client, recorder, metrics) = self.equip(workloads::deployment::NAME);
                add!(self, part, workloads::deployment::NAME, workloads::deployment::run, client, recorder, metrics);
            }
            Part::ReplicaSet => {
                let (client, recorder, metrics) = self.equip(workloads::replicaset::NAME);
                add!(self, part, workloads::replicaset::NAME, workloads::replicaset::run, client, recorder, metrics);
            }
            Part::Scheduler => {
                let (client, recorder, metrics) = self.equip(workloads::scheduler::NAME);
                add!(self, part, workloads::scheduler::NAME, workloads::scheduler::run, client, recorder, metrics);
            }
            Part::Namespace => {
                let name = workloads::namespace::NAME;
                let (client, metrics) = (self.site.client(name), self.metrics(name));
                add!(self, part, name, workloads::namespace::run, client, metrics);
            }
            Part::ServiceAccount => {
                let name = workloads::serviceaccount::NAME;
                let (client, metrics) = (self.site.client(name), self.metrics(name));
                add!(self, part, name, workloads::serviceaccount::run, client, metrics);
            }
            Part::GarbageCollector => {
                let name = workloads::garbage::NAME;
                let (client, metrics) = (self.site.client(name), self.metrics(name));
                add!(self, part, name, workloads::garbage::run, client, metrics);
            }
            Part::Nodes => {
                let (client, recorder, metrics) = self.equip(workloads::nodes::NAME);
                add!(self, part, workloads::nodes::NAME, workloads::nodes::run, client, recorder, metrics);
            }
            Part::NodeIpam => {
                let Some(pools) = self.setup.pools.clone() else { return };
                let account = "node-controller";
                let client = self.site.client(account);
                let recorder = self.recorder(&client, nodeipam::NAME);
                let metrics = self.metrics("node-ipam-controller");
                add!(self, part, account, nodeipam::run, client, recorder, pools, metrics);
            }
            Part::ServiceCidr => {
                let (client, recorder, metrics) = self.equip(servicecidr::NAME);
                add!(self, part, servicecidr::NAME, servicecidr::run, client, recorder, metrics);
            }
            Part::Repair => {
                let name = repair::addresses::NAME;
                let (client, recorder, metrics) = self.equip_series(name);
                add!(self, part, name, repair::addresses::run, client, recorder, metrics);
                let name = repair::ports::NAME;
                let (client, recorder, metrics) = self.equip_series(name);
                let range = self.setup.node_ports.clone();
                add!(self, part, name, repair::ports::run, client, recorder, range, metrics);
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
        self.recorders.series.push(recorder.clone());
        (client, recorder, self.metrics(name))
    }

    fn recorder(&mut self, client: &Client, component: &'static str) -> Recorder {
        let recorder = Recorder::new(client.clone(), component, None, self.setup.vocabulary);
        self.site.count(|page| recorder.register(page, &metric_name(component)));
        self.recorders.plain.push(recorder.clone());
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

/// `endpoint-slice-controller` as the prefix of a metric.
fn metric_name(component: &str) -> String {
    component.replace('-', "_")
}
