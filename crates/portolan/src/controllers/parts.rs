//! Starts each selected part with its client, its recorder and its counters, and waits for their end.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use futures::future;
use kube::Client;
use portolan_controllers::{
    endpoints, endpointslice, loadbalancer, mirroring, nodeipam, repair, servicecidr, workloads,
};
use portolan_events::{Recorder, SeriesRecorder, Vocabulary};
use portolan_runtime::Metrics;
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{http::Page, options::Options, select::Part, settled::Settled};

/// At the end, Events that were reported already get this long to be written.
const FLUSH: Duration = Duration::from_secs(2);

/// What every part is given.
pub struct Wiring<'a> {
    /// The way to the API.
    pub client: Client,
    /// How they run.
    pub options: &'a Options,
    /// What runs.
    pub settled: Settled,
    /// Where they count.
    pub page: Arc<Page>,
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

impl Wiring<'_> {
    /// Starts the parts; they end with `stop`.
    pub fn start(self, stop: &CancellationToken) -> Running {
        let mut running =
            Running { tasks: JoinSet::new(), recorders: Vec::new(), series: Vec::new(), stop: stop.clone() };
        for part in &self.settled.parts {
            self.start_one(*part, stop.clone(), &mut running);
        }
        running
    }

    fn start_one(&self, part: Part, stop: CancellationToken, running: &mut Running) {
        let Options { tuning, cloud, .. } = self.options;
        let client = self.client.clone();
        match part {
            Part::Endpoints => {
                let metrics = self.count(endpoints::Metrics::register);
                let recorder = self.recorder("endpoint-controller", running);
                running.spawn(part, endpoints::run(client, recorder, tuning.endpoints(), metrics, stop));
            }
            Part::EndpointSlice => {
                let metrics = self.count(endpointslice::Metrics::register);
                let recorder = self.recorder("endpoint-slice-controller", running);
                running.spawn(part, endpointslice::run(client, recorder, tuning.endpointslice(), metrics, stop));
            }
            Part::Mirroring => {
                let metrics = self.count(mirroring::Metrics::register);
                let recorder = self.recorder("endpoint-slice-mirroring-controller", running);
                running.spawn(part, mirroring::run(client, recorder, tuning.mirroring(), metrics, stop));
            }
            Part::ServiceLb => {
                // Without one, the part is not among the settled ones.
                let Some(provider) = self.settled.provider.clone() else { return };
                let metrics = self.count(loadbalancer::Metrics::register);
                let recorder = self.recorder(loadbalancer::NAME, running);
                running.spawn(part, loadbalancer::run(client, recorder, provider, cloud.config(tuning), metrics, stop));
            }
            _ => self.start_workload(part, stop, running),
        }
    }

    /// What `up` runs besides the Service network.
    fn start_workload(&self, part: Part, stop: CancellationToken, running: &mut Running) {
        let client = self.client.clone();
        match part {
            Part::Deployment => {
                let name = workloads::deployment::NAME;
                let (recorder, metrics) = (self.recorder(name, running), self.metrics(name));
                running.spawn(part, workloads::deployment::run(client, recorder, metrics, stop));
            }
            Part::ReplicaSet => {
                let name = workloads::replicaset::NAME;
                let (recorder, metrics) = (self.recorder(name, running), self.metrics(name));
                running.spawn(part, workloads::replicaset::run(client, recorder, metrics, stop));
            }
            Part::Scheduler => {
                let name = workloads::scheduler::NAME;
                let (recorder, metrics) = (self.recorder(name, running), self.metrics(name));
                running.spawn(part, workloads::scheduler::run(client, recorder, metrics, stop));
            }
            Part::Namespace => {
                let metrics = self.metrics(workloads::namespace::NAME);
                running.spawn(part, workloads::namespace::run(client, metrics, stop));
            }
            Part::ServiceAccount => {
                let metrics = self.metrics(workloads::serviceaccount::NAME);
                running.spawn(part, workloads::serviceaccount::run(client, metrics, stop));
            }
            Part::GarbageCollector => {
                let metrics = self.metrics(workloads::garbage::NAME);
                running.spawn(part, workloads::garbage::run(client, metrics, stop));
            }
            Part::Nodes => {
                let name = workloads::nodes::NAME;
                let (recorder, metrics) = (self.recorder(name, running), self.metrics(name));
                running.spawn(part, workloads::nodes::run(client, recorder, metrics, stop));
            }
            Part::NodeIpam => {
                let Some(pools) = self.settled.pools.clone() else { return };
                let name = nodeipam::NAME;
                let (recorder, metrics) = (self.recorder(name, running), self.metrics("node-ipam-controller"));
                running.spawn(part, nodeipam::run(client, recorder, pools, metrics, stop));
            }
            Part::ServiceCidr => {
                let name = servicecidr::NAME;
                let (recorder, metrics) = (self.recorder(name, running), self.metrics(name));
                running.spawn(part, servicecidr::run(client, recorder, metrics, stop));
            }
            Part::Repair => {
                let name = repair::addresses::NAME;
                let (recorder, metrics) = (self.series(name, running), self.metrics(name));
                running.spawn(part, repair::addresses::run(client.clone(), recorder, metrics, stop.clone()));
                let name = repair::ports::NAME;
                let (recorder, metrics) = (self.series(name, running), self.metrics(name));
                let range = self.options.tuning.node_ports();
                running.spawn(part, repair::ports::run(client, recorder, range, metrics, stop));
            }
            Part::Endpoints | Part::EndpointSlice | Part::Mirroring | Part::ServiceLb => {}
        }
    }

    fn recorder(&self, component: &'static str, running: &mut Running) -> Recorder {
        let vocabulary: Vocabulary = self.options.choice.vocabulary.into();
        let recorder = Recorder::new(self.client.clone(), component, None, vocabulary);
        recorder.register(&mut self.page.registry.lock(), &metric_name(component));
        running.recorders.push(recorder.clone());
        recorder
    }

    /// For the parts that speak in the newer Events.
    fn series(&self, component: &'static str, running: &mut Running) -> SeriesRecorder {
        let vocabulary: Vocabulary = self.options.choice.vocabulary.into();
        let recorder = SeriesRecorder::new(self.client.clone(), component, self.instance(component), vocabulary);
        recorder.register(&mut self.page.registry.lock(), &metric_name(component));
        running.series.push(recorder.clone());
        recorder
    }

    /// Which of several processes speaks.
    fn instance(&self, component: &str) -> String {
        let host = nix::unistd::gethostname().map(|host| host.to_string_lossy().into_owned());
        format!("{component}-{}", host.unwrap_or_default())
    }

    fn count<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.page.registry.lock())
    }

    fn metrics(&self, component: &str) -> Metrics {
        self.count(|page| Metrics::register(page, &metric_name(component)))
    }
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
