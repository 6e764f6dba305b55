//! What is measured.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use kube::Client;
use serde::Serialize;
use tokio::task::JoinSet;

use super::{
    contestant::Running,
    load::{self, Pod, SERVICES_PER_NAMESPACE, everything, name_of, rolling_pod},
    watch::{Slices, State},
};
use crate::{
    process::Usage,
    request::{self, Request, send},
};

/// From the start of the process until every Service has a complete slice.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct FirstSync {
    /// Seconds from the start of the process.
    pub seconds: f64,
    /// CPU seconds until then.
    pub cpu_seconds: f64,
    /// The most memory until then, MiB.
    pub peak_mib: f64,
    /// Resident memory once all has come to rest, MiB.
    pub rest_mib: f64,
    /// Slices written.
    pub writes: u64,
}

/// Waits for the first sync. The contestant has just been started.
pub async fn first_sync(running: &Running, slices: &Slices, services: usize, pods: usize) -> Result<FirstSync> {
    let complete = |state: &State| {
        state.endpoints.len() >= services * pods
            && state.slices.values().filter(|of| of.len() == pods).count() >= services
    };
    slices.until(Duration::from_secs(1200), "the first sync", complete).await?;
    let usage = running.usage()?;
    slices.calm(Duration::from_secs(2)).await;
    Ok(FirstSync {
        seconds: usage.age_seconds,
        cpu_seconds: usage.cpu_seconds,
        peak_mib: usage.peak_mib,
        rest_mib: running.usage()?.resident_mib,
        writes: slices.look(|state| state.writes),
    })
}

/// How soon a change of a pod's readiness is in its slice.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    /// Changes a second that were asked for.
    pub rate: u32,
    /// Changes that were made.
    pub changes: usize,
    /// Changes a second that were reached.
    pub reached: f64,
    /// Changes that did not show within a minute after the last.
    pub lost: usize,
    /// Milliseconds.
    pub p50_ms: f64,
    /// Milliseconds.
    pub p99_ms: f64,
    /// Milliseconds.
    pub worst_ms: f64,
    /// CPU seconds of the contestant.
    pub cpu_seconds: f64,
    /// The most memory so far, MiB.
    pub peak_mib: f64,
    /// Slices written.
    pub writes: u64,
}

/// Changes of readiness, each pod at most once.
pub struct Changes<'a> {
    /// Whose CPU and memory count.
    pub running: &'a Running,
    /// Changes the pods.
    pub client: &'a Client,
    /// Sees the slices.
    pub slices: &'a Slices,
    /// How many Services there are.
    pub services: usize,
    /// How many pods each has.
    pub pods: usize,
    used: HashSet<usize>,
    rng: Rng,
}

impl<'a> Changes<'a> {
    /// Changes in a cluster of that many Services and pods.
    pub fn new(running: &'a Running, client: &'a Client, slices: &'a Slices, services: usize, pods: usize) -> Self {
        Self { running, client, slices, services, pods, used: HashSet::new(), rng: Rng::with_seed(1) }
    }

    /// Makes ready pods unready at a steady rate, and looks when the slice shows it. The clock runs from the answer of the
    /// API server until the event of the slice's watch.
    pub async fn at(&mut self, rate: u32, duration: Duration) -> Result<Latency> {
        let count = (f64::from(rate) * duration.as_secs_f64()) as usize;
        let all = self.services * self.pods;
        ensure!(count + self.used.len() <= all / 2, "too few pods for {count} changes: use more Services or less time");
        let slices = self.slices;
        let before = self.running.usage()?;
        let writes = slices.look(|state| state.writes);
        let begun = Instant::now();
        let changed = self.change(count, rate).await?;
        let reached = count as f64 / begun.elapsed().as_secs_f64();
        let shown = |state: &State, pod: &String| state.endpoints.get(pod).is_some_and(|endpoint| !endpoint.ready);
        let complete = |state: &State| changed.iter().all(|(pod, _)| shown(state, pod));
        // What is missing after that is reported as lost.
        if let Err(error) = slices.until(Duration::from_secs(60), "the last changes", complete).await {
            tracing::warn!(%error, "changes are missing");
        }
        let mut times: Vec<f64> = slices.look(|state| {
            let seen = changed.iter().filter(|(pod, _)| shown(state, pod));
            seen.filter_map(|(pod, at)| Some(state.endpoints.get(pod)?.since.saturating_duration_since(*at)))
                .map(ms)
                .collect()
        });
        times.sort_by(f64::total_cmp);
        let after = self.running.usage()?;
        Ok(Latency {
            rate,
            changes: count,
            reached,
            lost: count - times.len(),
            p50_ms: percentile(&times, 50),
            p99_ms: percentile(&times, 99),
            worst_ms: percentile(&times, 100),
            cpu_seconds: after.cpu_seconds - before.cpu_seconds,
            peak_mib: after.peak_mib,
            writes: slices.look(|state| state.writes) - writes,
        })
    }

    /// The names of the changed pods, and when each change was answered.
    async fn change(&mut self, count: usize, rate: u32) -> Result<Vec<(String, Instant)>> {
        let mut tasks = JoinSet::new();
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        for _ in 0..count {
            ticks.tick().await;
            let pod = self.fresh();
            let client = self.client.clone();
            tasks.spawn(async move {
                let answer = send(&client, &pod.ready(false)).await?;
                ensure!(answer.succeeded(), "cannot change {}: {}", pod.name, answer.message);
                anyhow::Ok((pod.name, Instant::now()))
            });
        }
        let mut changed = Vec::with_capacity(count);
        while let Some(done) = tasks.join_next().await {
            changed.push(done.context("a task failed")??);
        }
        Ok(changed)
    }

    fn fresh(&mut self) -> Pod {
        loop {
            let number = self.rng.usize(0..self.services * self.pods);
            if self.used.insert(number) {
                return pod_of(number, self.pods);
            }
        }
    }
}

fn pod_of(number: usize, pods: usize) -> Pod {
    let (service, pod) = (number / pods, number % pods);
    Pod {
        namespace: name_of(service / SERVICES_PER_NAMESPACE),
        name: format!("s{service}-{pod}"),
        app: format!("s{service}"),
        number,
    }
}

/// A rolling update.
#[derive(Debug, Clone, Serialize)]
pub struct Rolling {
    /// Pods replaced.
    pub pods: usize,
    /// Seconds from the first change until the last one is in the slices.
    pub seconds: f64,
    /// Slices written.
    pub writes: u64,
    /// The least with which the same stages could have been shown.
    pub least: u64,
    /// `writes / least`.
    pub ratio: f64,
    /// CPU seconds of the contestant, first sync included.
    pub cpu_seconds: f64,
    /// The most memory, MiB.
    pub peak_mib: f64,
    /// Slices at the end; 100 endpoints fit into one.
    pub slices: usize,
}

/// Replaces all pods of the one big Service, wave by wave: new pods become ready, then the same number of old ones terminate,
/// then they are gone. The next stage begins when the slices show the last one.
///
/// The least number of writes is counted stage by stage from the slices as they are: every slice with an endpoint that
/// changes has to be written once; new endpoints need a slice for every hundred.
pub async fn rolling(running: &Running, client: &Client, slices: &Slices, pods: usize, wave: usize) -> Result<Rolling> {
    let limit = Duration::from_secs(300);
    slices.until(limit, "the slices of the big Service", |state| state.endpoints.len() >= pods).await?;
    slices.calm(Duration::from_secs(2)).await;
    let begun = Instant::now();
    let writes = slices.look(|state| state.writes);
    let mut least = 0;
    for first in (0..pods).step_by(wave) {
        let numbers = || first..(first + wave).min(pods);
        let fresh = || numbers().map(|number| rolling_pod("b", number));
        let old = || numbers().map(|number| rolling_pod("a", number));
        everything(client, fresh().map(|pod| pod.create())).await?;
        least += numbers().len().div_ceil(100) as u64;
        everything(client, fresh().map(|pod| pod.ready(true))).await?;
        let ready =
            |state: &State| fresh().all(|pod| state.endpoints.get(&pod.name).is_some_and(|endpoint| endpoint.ready));
        slices.until(limit, "new pods in the slices", ready).await?;

        least += holding(slices, old());
        everything(client, old().map(|pod| delete(&pod, 3600))).await?;
        let ending = |state: &State| {
            old().all(|pod| state.endpoints.get(&pod.name).is_some_and(|endpoint| endpoint.terminating))
        };
        slices.until(limit, "terminating pods in the slices", ending).await?;

        least += holding(slices, old());
        everything(client, old().map(|pod| delete(&pod, 0))).await?;
        let gone = |state: &State| old().all(|pod| !state.endpoints.contains_key(&pod.name));
        slices.until(limit, "old pods to leave the slices", gone).await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    slices.calm(Duration::from_secs(2)).await;
    let writes = slices.look(|state| state.writes) - writes;
    let usage: Usage = running.usage()?;
    Ok(Rolling {
        pods,
        seconds,
        writes,
        least,
        ratio: writes as f64 / least.max(1) as f64,
        cpu_seconds: usage.cpu_seconds,
        peak_mib: usage.peak_mib,
        slices: slices.look(|state| state.slices.len()),
    })
}

fn delete(pod: &load::Pod, grace: u32) -> Request {
    Request::delete(request::PODS, &pod.namespace, &pod.name, Some(grace))
}

/// How many slices hold at least one of these pods.
fn holding(slices: &Slices, pods: impl Iterator<Item = Pod>) -> u64 {
    let names: HashSet<String> = pods.map(|pod| pod.name).collect();
    slices.look(|state| state.slices.values().filter(|of| of.iter().any(|pod| names.contains(pod))).count() as u64)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The value below which so many percent lie; the nearest rank.
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&values, 50), 100.0);
        assert_eq!(percentile(&values, 99), 198.0);
        assert_eq!(percentile(&values, 100), 200.0);
        assert_eq!(percentile(&[7.0], 99), 7.0);
        assert!(percentile(&[], 50).is_nan());
    }
}
