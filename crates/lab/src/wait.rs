//! What a scenario waits for: its healthy start, and what its steps bring about.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use portolan_objects::{endpoint, labels, pod, service};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    cluster::{Cluster, ClusterError, Reference, reasons, until},
    kinds,
    scenario::{Field, PodCount, Until, key},
};

/// How long any one thing may take.
const PATIENCE: Duration = Duration::from_secs(100);

/// Waits until all nodes and all of the objects are as they should be.
pub(crate) async fn healthy(cluster: &Cluster, objects: &[Value]) -> Result<(), ClusterError> {
    until("ready nodes", PATIENCE, || async {
        let waiting = cluster.nodes().await?.iter().filter(|node| !node_is_ready(node)).count();
        Ok(if waiting == 0 { Ok(()) } else { Err(format!("{waiting} not ready")) })
    })
    .await?;
    for object in objects {
        until_well(cluster, &Reference::of(object)?).await?;
    }
    Ok(())
}

/// Waits until the object is as it should be.
pub(crate) async fn until_well(cluster: &Cluster, reference: &Reference) -> Result<(), ClusterError> {
    until(&format!("{reference} to be well"), PATIENCE, || async {
        match cluster.get(reference).await? {
            None => Ok(Err("not there".to_owned())),
            Some(now) => well(cluster, reference, &now).await,
        }
    })
    .await
}

fn node_is_ready(node: &k8s_openapi::api::core::v1::Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

async fn well(cluster: &Cluster, reference: &Reference, now: &Value) -> Result<Result<(), String>, ClusterError> {
    match reference.kind.kind {
        "Deployment" => Ok(deployment_is_well(now)),
        "Pod" => {
            let phase = now["status"]["phase"].as_str().unwrap_or("no phase");
            let done = phase == "Succeeded" || typed::<Pod>(now).is_some_and(|pod| pod::is_ready(&pod));
            Ok(if done { Ok(()) } else { Err(phase.to_owned()) })
        }
        "Service" => service_is_well(cluster, reference, now).await,
        _ => Ok(Ok(())),
    }
}

fn deployment_is_well(now: &Value) -> Result<(), String> {
    let wanted = now["spec"]["replicas"].as_i64().unwrap_or(1);
    let status = &now["status"];
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    let seen = status["observedGeneration"].as_i64() >= now["metadata"]["generation"].as_i64();
    let all = ["replicas", "updatedReplicas", "readyReplicas"].iter().all(|field| count(field) == wanted);
    if seen && all { Ok(()) } else { Err(format!("{} of {wanted} ready", count("readyReplicas"))) }
}

/// All of its pods are of the newest template, ready or not.
fn rolled_out(now: &Value) -> Result<(), String> {
    let (wanted, status) = (now["spec"]["replicas"].as_i64().unwrap_or(1), &now["status"]);
    let seen = status["observedGeneration"].as_i64() >= now["metadata"]["generation"].as_i64();
    let counts = ["replicas", "updatedReplicas"].map(|field| status[field].as_i64().unwrap_or(0));
    if seen && counts == [wanted; 2] { Ok(()) } else { Err(format!("{} of {wanted} new", counts[1])) }
}

/// It has the address that it asks the laboratory's balancer for, and its slices have what its pods have.
async fn service_is_well(
    cluster: &Cluster,
    reference: &Reference,
    now: &Value,
) -> Result<Result<(), String>, ClusterError> {
    let Some(found) = typed::<Service>(now) else { return Ok(Err("not readable as a Service".to_owned())) };
    if service::wants_external(&found) && now["status"]["loadBalancer"]["ingress"].as_array().is_none_or(Vec::is_empty)
    {
        return Ok(Err("no external address".to_owned()));
    }
    let labels = found.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
    if labels.is_empty() || service::is_external_name(&found) {
        return Ok(Ok(()));
    }
    let wanted = ready_pods(&pods(cluster, &reference.namespace, &labels).await?);
    let ready = ready_endpoints(cluster, &reference.namespace, &reference.name).await?;
    let enough = if service::publishes_not_ready(&found) { ready >= wanted } else { ready == wanted };
    Ok(if enough { Ok(()) } else { Err(format!("{ready} ready endpoints, {wanted} ready pods")) })
}

/// Waits for what a step names.
pub(crate) async fn step(cluster: &Cluster, wanted: &Until) -> Result<(), ClusterError> {
    let what = describe(wanted);
    if let Until::Seconds(seconds) = wanted {
        tokio::time::sleep(Duration::from_secs(*seconds)).await;
        return Ok(());
    }
    until(&what, PATIENCE, || look(cluster, wanted)).await
}

async fn look(cluster: &Cluster, wanted: &Until) -> Result<Result<(), String>, ClusterError> {
    match wanted {
        Until::Event(reason) => {
            let seen = reasons(&cluster.events().await?);
            Ok(if seen.contains(reason) { Ok(()) } else { Err(seen.into_iter().collect::<Vec<_>>().join(" ")) })
        }
        Until::Field(field) => look_at(cluster, field).await,
        Until::Rollout(named) => {
            let reference = Reference::new("Deployment", named.namespace.as_deref(), &named.name)?;
            Ok(cluster.get(&reference).await?.map_or_else(|| Err("not there".to_owned()), |now| rolled_out(&now)))
        }
        Until::Gone(named) => {
            let reference = Reference::new(&named.kind, named.namespace.as_deref(), &named.name)?;
            Ok(if cluster.get(&reference).await?.is_none() { Ok(()) } else { Err("still there".to_owned()) })
        }
        Until::Endpoints(wanted) => {
            let service = key(&wanted.service);
            let ready = ready_endpoints(cluster, &service.namespace, &service.name).await?;
            Ok(if ready == wanted.ready { Ok(()) } else { Err(format!("{ready} ready")) })
        }
        Until::Pods(wanted) => {
            let pods = pods(cluster, wanted.namespace.as_deref().unwrap_or("default"), &wanted.labels).await?;
            Ok(count(&pods, wanted))
        }
        Until::Seconds(_) => Ok(Ok(())),
    }
}

async fn look_at(cluster: &Cluster, field: &Field) -> Result<Result<(), String>, ClusterError> {
    let reference = Reference::new(&field.kind, field.namespace.as_deref(), &field.name)?;
    let Some(now) = cluster.get(&reference).await? else { return Ok(Err("not there".to_owned())) };
    let value = now.pointer(&field.pointer);
    let fits = match &field.is {
        Some(wanted) => value == Some(wanted),
        None => value.is_some_and(|value| !value.is_null()),
    };
    Ok(if fits { Ok(()) } else { Err(value.map_or_else(|| "absent".to_owned(), Value::to_string)) })
}

fn count(pods: &[Pod], wanted: &PodCount) -> Result<(), String> {
    let ready = ready_pods(pods);
    let fits = wanted.count.is_none_or(|count| count == pods.len())
        && wanted.ready.is_none_or(|count| count == ready)
        && wanted.waiting.as_ref().is_none_or(|reason| pods.iter().any(|pod| waits_for(pod, reason)));
    if fits { Ok(()) } else { Err(format!("{ready} of {} ready", pods.len())) }
}

fn waits_for(pod: &Pod, reason: &str) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let waiting = statuses.filter_map(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
    waiting.into_iter().any(|found| found == reason)
}

/// What is waited for, in words.
pub(crate) fn describe(wanted: &Until) -> String {
    match wanted {
        Until::Event(reason) => format!("event {reason}"),
        Until::Field(field) => {
            let value = field.is.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
            format!("{} {}{value}", object(&field.kind, &field.name), field.pointer)
        }
        Until::Gone(named) => format!("the end of {}", object(&named.kind, &named.name)),
        Until::Rollout(named) => format!("the rollout of {}", named.name),
        Until::Endpoints(wanted) => format!("{} ready endpoints of {}", wanted.ready, wanted.service),
        Until::Pods(wanted) => {
            let labels: Vec<_> = wanted.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let count = wanted.count.map(|count| format!("{count} pods"));
            let ready = wanted.ready.map(|ready| format!("{ready} ready"));
            let waiting = wanted.waiting.as_ref().map(|reason| format!("one in {reason}"));
            let parts: Vec<_> = [count, ready, waiting].into_iter().flatten().collect();
            format!("{}: {}", labels.join(","), parts.join(", "))
        }
        Until::Seconds(seconds) => format!("{seconds} s"),
    }
}

fn object(kind: &str, name: &str) -> String {
    kinds::find(kind).map_or_else(|| name.to_owned(), |kind| kind.object(name))
}

async fn pods(cluster: &Cluster, namespace: &str, labels: &BTreeMap<String, String>) -> Result<Vec<Pod>, ClusterError> {
    let selector: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    listed(cluster, "Pod", namespace, &selector.join(",")).await
}

fn ready_pods(pods: &[Pod]) -> usize {
    pods.iter().filter(|found| pod::is_ready(found) && !pod::is_terminating(found) && !pod::is_terminal(found)).count()
}

async fn ready_endpoints(cluster: &Cluster, namespace: &str, name: &str) -> Result<usize, ClusterError> {
    let selector = format!("{}={name}", labels::SERVICE_NAME);
    let slices: Vec<EndpointSlice> = listed(cluster, "EndpointSlice", namespace, &selector).await?;
    let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    Ok(endpoints.filter(|found| endpoint::is_ready(found)).count())
}

async fn listed<T: DeserializeOwned>(
    cluster: &Cluster,
    kind: &str,
    namespace: &str,
    selector: &str,
) -> Result<Vec<T>, ClusterError> {
    let known = kinds::find(kind).ok_or_else(|| ClusterError::Kind(kind.to_owned()))?;
    Ok(cluster.list(known, namespace, selector).await?.iter().filter_map(typed).collect())
}

fn typed<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}
