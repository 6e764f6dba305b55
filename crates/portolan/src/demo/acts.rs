//! The acts. Each speaks to the world as a user would: the API, and connections from pods and from outside.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Event, Node, Pod, Service},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams},
};
use portolan_objects::{ObjectKey, pod};
use serde_json::{Value, json};

use super::stage::{Seen, say, until};
use crate::{
    output,
    probe::{Load, Report, Target},
    up::world::World,
};

const NAME: &str = "web";
const NAMESPACE: &str = "default";
/// One request of the demo may take this long.
const TIMEOUT: Duration = Duration::from_secs(2);
/// New connections a second while scaling.
const LOAD: u32 = 100;
/// The events without which the demo's Service did not live the life it should have.
const LIFE: &[&str] = &[
    "EnsuringLoadBalancer",
    "IPAllocated",
    "CreatingLoadBalancer",
    "CreatedLoadBalancer",
    "EnsuredLoadBalancer",
    "DeletingLoadBalancer",
    "DeletedLoadBalancer",
];

/// Every node ready.
pub async fn boot(world: &World) -> Result<()> {
    say(format!("API on https://{}, {} ms after the start", world.api, world.api_up.as_millis()));
    let nodes = Api::<Node>::all(world.admin());
    let wanted = world.fabric.nodes.len();
    until(&format!("{wanted} nodes ready"), || async {
        let ready = nodes.list(&ListParams::default()).await?.items.iter().filter(|node| node_ready(node)).count();
        Ok(if ready == wanted { Seen::Yes(()) } else { Seen::NotYet(format!("{ready} ready")) })
    })
    .await
}

fn node_ready(node: &Node) -> bool {
    let conditions = node.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The Deployment has its pods, the Service its address, and the address answers.
pub async fn apply(world: &World) -> Result<()> {
    let deployment: Deployment = serde_json::from_value(deployment())?;
    let service: Service = serde_json::from_value(service())?;
    deployments(world).create(&PostParams::default(), &deployment).await.context("cannot create the Deployment")?;
    services(world).create(&PostParams::default(), &service).await.context("cannot create the Service")?;
    until("3 pods ready", || ready_pods(world, 3)).await?;
    let address = until("external address", || external_address(world)).await?;
    until(&format!("first answer from {address}:80"), || answers(world)).await
}

/// A request from a pod by name and ClusterIP, and from outside by node port and external address.
pub async fn ways_in(world: &World) -> Result<()> {
    let service = services(world).get(NAME).await?;
    let cluster_ip = service.spec.as_ref().and_then(|spec| spec.cluster_ip.clone()).context("no ClusterIP")?;
    for (pod, way) in [("by-name", "http://web/".to_owned()), ("by-address", format!("http://{cluster_ip}/"))] {
        let report = from_pod(world, pod, &way).await?;
        everyone_answered(&format!("ClusterIP, from a pod: {way}"), &report)?;
    }
    let node_port = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()).find_map(|port| port.node_port);
    let node_port = u16::try_from(node_port.context("no node port")?)?;
    for node in &world.fabric.nodes {
        let way = format!("http://{}/", SocketAddr::from((node.address, node_port)));
        everyone_answered(&format!("node port, from outside: {way}"), &from_outside(&way).await?)?;
    }
    let way = format!("http://{}/", balancer(&service).context("no external address")?);
    everyone_answered(&format!("external address, from outside: {way}"), &from_outside(&way).await?)
}

/// Scales while connections keep coming, and accounts for every failure.
pub async fn scale(world: &World) -> Result<()> {
    let address = balancer(&services(world).get(NAME).await?).context("no external address")?;
    let load = Load::start(Target::parse(&format!("http://{address}/"))?, LOAD, TIMEOUT);
    say(format!("{LOAD} new connections a second to {address}:80 from outside"));
    let steady = stretch(&load, Duration::from_secs(1)).await;
    phase("at 3", &steady, Expect::Answers)?;

    scale_to(world, 5).await?;
    until("5 pods ready", || ready_pods(world, 5)).await?;
    phase("3 -> 5", &stretch(&load, Duration::from_secs(1)).await, Expect::Answers)?;

    scale_to(world, 0).await?;
    until("no pod left", || ready_pods(world, 0)).await?;
    let down = stretch(&load, Duration::from_millis(500)).await;
    phase("5 -> 0", &down, Expect::AnswersOrRefusals)?;
    let refused = Target::parse(&format!("http://{address}/"))?.ask(TIMEOUT).await;
    ensure!(
        refused == Err("refused".to_owned()),
        "with no pods a connection should be refused at once, got {refused:?}"
    );
    say("with no pod every connection is refused at once, none hangs");

    scale_to(world, 3).await?;
    until("3 pods ready", || ready_pods(world, 3)).await?;
    until("answers again", || answers(world)).await?;
    let up = load.take();
    phase("0 -> 3", &up, Expect::AnswersOrRefusals)?;
    phase("at 3 again", &stretch(&load, Duration::from_secs(1)).await, Expect::Answers)
}

/// One wrong letter: no endpoints, refused connections, and `diagnose` names the nearest label.
pub async fn break_selector(world: &World) -> Result<()> {
    patch_selector(world, "wbe").await?;
    say("kubectl patch service web -p '{\"spec\":{\"selector\":{\"app\":\"wbe\"}}}'");
    until("connections are refused", || async {
        Ok(match ask_balancer(world).await? {
            Err(cause) if cause == "refused" => Seen::Yes(()),
            Err(cause) => Seen::NotYet(cause),
            Ok(answer) => Seen::NotYet(format!("{} still answers", answer.pod)),
        })
    })
    .await?;
    let key = ObjectKey { namespace: NAMESPACE.to_owned(), name: NAME.to_owned() };
    let diagnosis = portolan_diagnose::run(world.admin(), &key, &portolan_diagnose::Ask::default(), Vec::new())
        .await
        .context("diagnose could not look")?;
    say("portolan diagnose svc/web says:");
    let text = portolan_diagnose::render::text(&diagnosis, portolan_catalogue::Lang::En, output::colour());
    say(&text);
    ensure!(text.contains("app=web"), "diagnose should name the nearest label, app=web");
    Ok(())
}

/// The right selector again, and traffic.
pub async fn repair(world: &World) -> Result<()> {
    patch_selector(world, NAME).await?;
    until("answers again", || answers(world)).await
}

/// The Service goes, its balancer and its address with it.
pub async fn delete(world: &World) -> Result<()> {
    let address = balancer(&services(world).get(NAME).await?).context("no external address")?;
    services(world).delete(NAME, &DeleteParams::default()).await.context("cannot delete the Service")?;
    until("the Service is gone", || async {
        let found = services(world).get_opt(NAME).await?;
        Ok(if found.is_none() { Seen::Yes(()) } else { Seen::NotYet("its balancer is being removed".to_owned()) })
    })
    .await?;
    let target = Target::parse(&format!("http://{address}/"))?;
    match target.ask(Duration::from_millis(500)).await {
        Err(cause) => say(format!("{address}:80 no longer answers ({cause})")),
        Ok(answer) => bail!("{address}:80 still answers, from {}", answer.pod),
    }
    Ok(())
}

/// All events of the Service in the order in which they happened.
pub async fn timeline(world: &World) -> Result<()> {
    let selector = format!("involvedObject.kind=Service,involvedObject.name={NAME}");
    let events = Api::<Event>::namespaced(world.admin(), NAMESPACE);
    let missing = until("every event has arrived", || async {
        let listed = events.list(&ListParams::default().fields(&selector)).await?.items;
        let seen: BTreeSet<_> = listed.iter().filter_map(|event| event.reason.as_deref()).collect();
        let missing: Vec<_> = LIFE.iter().filter(|reason| !seen.contains(*reason)).collect();
        Ok(if missing.is_empty() { Seen::Yes(listed) } else { Seen::NotYet(format!("missing: {missing:?}")) })
    })
    .await;
    let mut listed = missing?;
    // Created one after the other by one recorder, so the name (object.nanoseconds) settles what seconds cannot.
    listed.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(["TYPE", "REASON", "COUNT", "FROM", "MESSAGE"]);
    for event in &listed {
        let count = event.count.unwrap_or(1).to_string();
        let from = event.source.as_ref().and_then(|source| source.component.clone()).unwrap_or_default();
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        table.add_row([text(&event.type_), text(&event.reason), count, from, text(&event.message)]);
    }
    say(table.to_string());
    Ok(())
}

async fn ready_pods(world: &World, wanted: usize) -> Result<Seen<()>> {
    let pods = Api::<Pod>::namespaced(world.admin(), NAMESPACE);
    let pods = pods.list(&ListParams::default().labels("app=web")).await?.items;
    let ready = pods.iter().filter(|pod| pod::is_ready(pod) && !pod::is_terminating(pod)).count();
    let done = ready == wanted && (wanted > 0 || pods.is_empty());
    Ok(if done { Seen::Yes(()) } else { Seen::NotYet(format!("{ready} of {} ready", pods.len())) })
}

async fn external_address(world: &World) -> Result<Seen<String>> {
    let found = balancer(&services(world).get(NAME).await?);
    Ok(found.map_or_else(|| Seen::NotYet("<pending>".to_owned()), Seen::Yes))
}

async fn answers(world: &World) -> Result<Seen<()>> {
    Ok(match ask_balancer(world).await? {
        Ok(_) => Seen::Yes(()),
        Err(cause) => Seen::NotYet(cause),
    })
}

async fn ask_balancer(world: &World) -> Result<Result<crate::probe::Answer, String>> {
    let address = balancer(&services(world).get(NAME).await?).context("the Service lost its external address")?;
    Ok(Target::parse(&format!("http://{address}/"))?.ask(TIMEOUT).await)
}

/// Runs the probe image as a pod and reads its log: the packets really start in a pod's namespace.
async fn from_pod(world: &World, name: &str, url: &str) -> Result<Report> {
    let pods = Api::<Pod>::namespaced(world.admin(), NAMESPACE);
    let probe: Pod = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "probe", "image": "portolan/probe", "args": [url, "--rate", "60", "--for", "1"]}],
        },
    }))?;
    pods.create(&PostParams::default(), &probe).await.context("cannot create the client pod")?;
    until(&format!("client pod {name} has finished"), || async {
        let phase = pods.get(name).await?.status.and_then(|status| status.phase).unwrap_or_default();
        let done = phase == "Succeeded" || phase == "Failed";
        Ok(if done { Seen::Yes(()) } else { Seen::NotYet(phase) })
    })
    .await?;
    let log = pods.logs(name, &LogParams::default()).await.context("cannot read the client pod's log")?;
    let last = log.lines().last().context("the client pod wrote nothing")?;
    let total: Value = serde_json::from_str(last).with_context(|| format!("the client pod wrote {last:?}"))?;
    Ok(serde_json::from_value(total["total"].clone())?)
}

async fn from_outside(url: &str) -> Result<Report> {
    let load = Load::start(Target::parse(url)?, 100, TIMEOUT);
    Ok(stretch(&load, Duration::from_millis(500)).await)
}

fn everyone_answered(way: &str, report: &Report) -> Result<()> {
    say(way);
    let pods: Vec<_> = report.pods.iter().map(|(pod, count)| format!("{pod} x{count}")).collect();
    say(format!("  answered: {}", pods.join(", ")));
    let clients: Vec<_> = report.clients.keys().map(String::as_str).collect();
    say(format!("  the pods saw the client as {}", clients.join(", ")));
    ensure!(report.failures() == 0, "{way}: {} requests failed: {:?}", report.failures(), report.failed);
    ensure!(report.pods.len() == 3, "{way}: {} pods answered, expected 3", report.pods.len());
    Ok(())
}

/// What the load saw from now on, for `time`.
async fn stretch(load: &Load, time: Duration) -> Report {
    let mut report = load.take();
    let end = Instant::now() + time;
    tokio::time::sleep_until(end.into()).await;
    report.add(&load.take());
    report
}

/// What a stretch of the load may have met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// Pods are there: every connection is answered.
    Answers,
    /// The last pods go or the first come: a connection is answered or told at once that nobody is there. None hangs.
    AnswersOrRefusals,
}

/// Prints one stretch of the load, and fails the demo if it met something else than expected.
fn phase(name: &str, report: &Report, expect: Expect) -> Result<()> {
    let causes: Vec<_> = report.failed.iter().map(|(cause, count)| format!("{count} {cause}")).collect();
    let failed = if causes.is_empty() { "none failed".to_owned() } else { causes.join(", ") };
    say(format!("{name:<11} {:>4} answered by {} pods, {failed}", report.answered, report.pods.len()));
    let at_once = ["refused", "reset", "closed"];
    let wrong = report.failed.keys().any(|cause| expect == Expect::Answers || !at_once.contains(&cause.as_str()));
    ensure!(!wrong, "{name}: connections failed: {failed}");
    Ok(())
}

async fn scale_to(world: &World, replicas: u32) -> Result<()> {
    say(format!("kubectl scale deployment web --replicas={replicas}"));
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments(world).patch_scale(NAME, &PatchParams::default(), &patch).await.context("cannot scale")?;
    Ok(())
}

async fn patch_selector(world: &World, app: &str) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": {"selector": {"app": app}}}));
    services(world).patch(NAME, &PatchParams::default(), &patch).await.context("cannot patch the selector")?;
    Ok(())
}

fn balancer(service: &Service) -> Option<String> {
    service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?.ip.clone()
}

fn services(world: &World) -> Api<Service> {
    Api::namespaced(world.admin(), NAMESPACE)
}

fn deployments(world: &World) -> Api<Deployment> {
    Api::namespaced(world.admin(), NAMESPACE)
}

fn deployment() -> Value {
    json!({
        "metadata": {"name": NAME},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {"containers": [{
                    "name": "echo",
                    "image": "portolan/echo",
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
                }]},
            },
        },
    })
}

fn service() -> Value {
    json!({
        "metadata": {"name": NAME},
        "spec": {
            "type": "LoadBalancer",
            "selector": {"app": NAME},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    })
}
