//! The controllers against kube-controller-manager's: same API server, same objects, one after the other.

mod contestant;
mod load;
mod machine;
mod phases;
mod report;
mod watch;

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    oracle::ControlPlane,
    request,
    side::{Places, connect},
};
use contestant::{Contestant, Running, Set};
use load::{Load, Template};
use phases::{FirstSync, Latency, Rolling};
use watch::Slices;

/// How to run.
#[derive(Debug, Clone, clap::Args, Serialize)]
pub struct Options {
    /// Services in the first sync.
    #[arg(long, default_value_t = 5000)]
    pub services: usize,
    /// Pods of each Service.
    #[arg(long, default_value_t = 10)]
    pub pods: usize,
    /// Pods of the Service that is updated.
    #[arg(long, default_value_t = 5000)]
    pub rolling: usize,
    /// Pods replaced at a time.
    #[arg(long, default_value_t = 100)]
    pub wave: usize,
    /// Batch periods of the rolling update, in milliseconds: what `--endpointslice-updates-batch-period` is for all.
    #[arg(long, value_delimiter = ',', default_value = "0,500")]
    pub batches: Vec<u32>,
    /// Changes of readiness a second.
    #[arg(long, value_delimiter = ',', default_value = "20,200")]
    pub rates: Vec<u32>,
    /// Seconds at each rate.
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// How often everything is repeated; the order of the contestants alternates. Default rates run once: they take minutes.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Who takes part.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "portolan,kcm-raised,kcm-default")]
    pub contestants: Vec<Contestant>,
    /// Which controllers run.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "slices,slices-and-endpoints")]
    pub sets: Vec<Set>,
    /// The date that the results carry [default: today].
    #[arg(long, default_value_t = jiff::Zoned::now().date().to_string(), hide_default_value = true)]
    pub date: String,
}

/// Who runs what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Case {
    /// Who.
    pub contestant: Contestant,
    /// Which controllers.
    pub set: Set,
    /// The batch period, in milliseconds.
    pub batch: u32,
}

/// One run of one contestant.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// Counted from one.
    pub round: usize,
    /// Who, and what.
    #[serde(flatten)]
    pub case: Case,
    /// What it did, as far as this run measured it.
    #[serde(flatten)]
    pub measured: Measured,
}

/// The results of one run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// Many Services: the first sync, then changes of readiness.
    Services {
        /// The first sync.
        first_sync: FirstSync,
        /// One for each rate.
        latencies: Vec<Latency>,
    },
    /// One big Service.
    Rolling(Rolling),
}

/// Runs everything and writes the report.
pub async fn run(options: &Options, places: &Places) -> Result<bool> {
    let mut records = Vec::new();
    for load in
        [Load::Services { services: options.services, pods: options.pods }, Load::Rolling { pods: options.rolling }]
    {
        eprintln!("{load:?}");
        let template = Template::make(places, load).await?;
        for round in 1..=options.rounds {
            let mut contestants = options.contestants.clone();
            if round % 2 == 0 {
                contestants.reverse();
            }
            contestants.retain(|contestant| round == 1 || *contestant != Contestant::KcmDefault);
            for case in cases(load, &contestants, options) {
                let measured = one(&template, load, case, options, places).await;
                let measured =
                    measured.with_context(|| format!("{} with {}", case.contestant.name(), case.set.name()))?;
                let record = Record { round, case, measured };
                eprintln!("  {}", serde_json::to_string(&record).context("a record that is no JSON")?);
                records.push(record);
                // After every run: what took long is not lost with the last one.
                report::write(options, &records, places)?;
            }
        }
    }
    println!("{}", report::write(options, &records, places)?);
    Ok(true)
}

/// Contestants follow directly on one another: what the machine does meanwhile meets them alike.
fn cases(load: Load, contestants: &[Contestant], options: &Options) -> Vec<Case> {
    let batches = if matches!(load, Load::Rolling { .. }) { options.batches.clone() } else { vec![0] };
    let mut cases = Vec::new();
    for set in &options.sets {
        for batch in &batches {
            cases.extend(contestants.iter().map(|contestant| Case {
                contestant: *contestant,
                set: *set,
                batch: *batch,
            }));
        }
    }
    cases
}

async fn one(template: &Template, load: Load, case: Case, options: &Options, places: &Places) -> Result<Measured> {
    let mut plane = template.start(places, "bench").await?;
    let client = connect(&plane.kubeconfig()).await?;
    warm(&client).await?;
    let slices = Slices::watch(&client).await?;
    let running = Running::start(case, &mut plane, places).await?;
    let measured = match load {
        Load::Services { services, pods } => {
            let first_sync = phases::first_sync(&running, &slices, services, pods).await?;
            let mut changes = phases::Changes::new(&running, &client, &slices, services, pods);
            let mut latencies = Vec::new();
            for rate in &options.rates {
                latencies.push(changes.at(*rate, Duration::from_secs(options.seconds)).await?);
                slices.calm(Duration::from_secs(2)).await;
            }
            Measured::Services { first_sync, latencies }
        }
        Load::Rolling { pods } => {
            Measured::Rolling(phases::rolling(&running, &client, &slices, pods, options.wave).await?)
        }
    };
    running.stop().await?;
    down(plane).await?;
    Ok(measured)
}

/// Reads what a controller reads, so that the API server's caches are full for every contestant.
async fn warm(client: &kube::Client) -> Result<()> {
    for collection in [request::SERVICES, request::NODES, request::SLICES, request::ENDPOINTS, request::PODS] {
        request::get(client, &format!("{}?resourceVersion=0", collection.path(""))).await?;
    }
    Ok(())
}

async fn down(mut plane: ControlPlane) -> Result<()> {
    tokio::task::spawn_blocking(move || plane.down()).await.context("the control plane did not go down")
}
