//! The objects of a bench, made on a control plane without controllers. The control plane is then stopped, and every
//! run starts from a copy of its directory: all contestants find the same bytes.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use kube::Client;
use serde_json::{Value, json};

use crate::{
    oracle::{ControlPlane, Options},
    request::{self, Request, send},
    side::{Places, connect},
};

/// Services of one namespace: a controller that looks through all Services of a namespace for each pod is not punished
/// for a namespace that nobody would have.
pub const SERVICES_PER_NAMESPACE: usize = 100;
/// Requests under way at once.
pub const WIDTH: usize = 48;
const NODES: usize = 50;

/// What is in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Many Services with a few pods each.
    Services { services: usize, pods: usize },
    /// One Service, `big` in the namespace `roll`, with many pods.
    Rolling { pods: usize },
}

/// A stopped control plane with everything in it.
#[derive(Debug)]
pub struct Template {
    dir: PathBuf,
}

impl Template {
    /// Makes the objects.
    pub async fn make(places: &Places, load: Load) -> Result<Self> {
        let dir = places.state.join("template");
        let mut plane = ControlPlane::up(&places.oracle, dir.clone(), &options()).await?;
        let client = connect(&plane.kubeconfig()).await?;
        let begun = Instant::now();
        let count = match load {
            Load::Services { services, pods } => many_services(&client, services, pods).await?,
            Load::Rolling { pods } => one_service(&client, pods).await?,
        };
        eprintln!("  {count} requests made the objects in {:.0} s", begun.elapsed().as_secs_f64());
        plane.stop();
        Ok(Self { dir })
    }

    /// A running control plane with these objects.
    pub async fn start(&self, places: &Places, name: &str) -> Result<ControlPlane> {
        let dir = places.state.join(name);
        copy(&self.dir, &dir).await?;
        ControlPlane::up(&places.oracle, dir, &options()).await
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot remove the template");
        }
    }
}

/// Pods need no service account here, and nothing may throttle the driver.
fn options() -> Options {
    let server_flags = vec![
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--max-requests-inflight=2000".to_owned(),
        "--max-mutating-requests-inflight=2000".to_owned(),
    ];
    Options { server_flags, ..Options::default() }
}

async fn copy(from: &Path, to: &Path) -> Result<()> {
    let status =
        tokio::process::Command::new("cp").arg("-a").arg(from).arg(to).status().await.context("cannot run cp")?;
    ensure!(status.success(), "cannot copy {} to {}", from.display(), to.display());
    for old in ["log", "pid"] {
        let dir = to.join(old);
        if dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
    }
    Ok(())
}

async fn many_services(client: &Client, services: usize, pods: usize) -> Result<usize> {
    let namespaces = services.div_ceil(SERVICES_PER_NAMESPACE);
    let mut count =
        everything(client, nodes().chain((0..namespaces).map(|number| namespace(&name_of(number))))).await?;
    let made = (0..services).map(|number| {
        let (namespace, name) = (name_of(number / SERVICES_PER_NAMESPACE), format!("s{number}"));
        service(&namespace, &name)
    });
    count += everything(client, made).await?;
    let all = || {
        (0..services).flat_map(move |number| {
            (0..pods).map(move |pod| Pod {
                namespace: name_of(number / SERVICES_PER_NAMESPACE),
                name: format!("s{number}-{pod}"),
                app: format!("s{number}"),
                number: number * pods + pod,
            })
        })
    };
    count += everything(client, all().map(|pod| pod.create())).await?;
    count += everything(client, all().map(|pod| pod.ready(true))).await?;
    Ok(count)
}

async fn one_service(client: &Client, pods: usize) -> Result<usize> {
    let all = || (0..pods).map(|number| rolling_pod("a", number));
    let mut count = everything(client, nodes().chain([namespace("roll")])).await?;
    count += everything(client, [service("roll", "big")].into_iter()).await?;
    count += everything(client, all().map(|pod| pod.create())).await?;
    count += everything(client, all().map(|pod| pod.ready(true))).await?;
    Ok(count)
}

/// Pod `number` of a generation of the one big Service.
pub fn rolling_pod(generation: &str, number: usize) -> Pod {
    let offset = if generation == "a" { 0 } else { 100_000 };
    Pod {
        namespace: "roll".into(),
        name: format!("big-{generation}-{number}"),
        app: "big".into(),
        number: number + offset,
    }
}

/// Sends all requests, many at once; a refusal is an error.
pub async fn everything(client: &Client, requests: impl Iterator<Item = Request>) -> Result<usize> {
    stream::iter(requests)
        .map(|request| async move {
            let answer = send(client, &request).await?;
            ensure!(answer.succeeded(), "{:?} {}: {}", request.verb, request.path, answer.message);
            Ok(1)
        })
        .buffer_unordered(WIDTH)
        .try_fold(0, async |sum, one| Ok(sum + one))
        .await
}

/// The namespace of a number.
pub fn name_of(number: usize) -> String {
    format!("load-{number}")
}

/// A pod of a bench.
#[derive(Debug, Clone)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The value of its label `app`.
    pub app: String,
    /// From which its address and its node follow.
    pub number: usize,
}

impl Pod {
    /// The request that creates it.
    pub fn create(&self) -> Request {
        let body = json!({
            "metadata": {"labels": {"app": self.app}},
            "spec": {
                "nodeName": format!("node{}", self.number % NODES),
                "automountServiceAccountToken": false,
                "containers": [{"name": "main", "image": "example.org/app:1", "ports": [{"name": "http", "containerPort": 8080}]}],
            },
        });
        Request::create(request::PODS, &self.namespace, &self.name, body)
    }

    /// The request that gives it an address and makes it ready or not.
    pub fn ready(&self, ready: bool) -> Request {
        let number = self.number;
        let ip = format!("10.{}.{}.{}", 128 + number / 62_500, number / 250 % 250, number % 250 + 1);
        let status = json!({
            "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
            "conditions": [{
                "type": "Ready", "status": if ready { "True" } else { "False" },
                "lastTransitionTime": jiff::Timestamp::now().to_string(),
            }],
        });
        Request::status(request::PODS, &self.namespace, &self.name, status)
    }
}

fn nodes() -> impl Iterator<Item = Request> {
    (0..NODES).map(|number| {
        let labels: Value = json!({"topology.kubernetes.io/zone": format!("zone{}", number % 3)});
        let status = json!({"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"cpu": "8"}});
        Request::create(
            request::NODES,
            "",
            &format!("node{number}"),
            json!({"metadata": {"labels": labels}, "status": status}),
        )
    })
}

fn namespace(name: &str) -> Request {
    Request {
        verb: request::Verb::Create,
        path: "/api/v1/namespaces".to_owned(),
        body: json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
    }
}

fn service(namespace: &str, name: &str) -> Request {
    let spec = json!({
        "selector": {"app": name},
        "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
    });
    Request::create(request::SERVICES, namespace, name, json!({"spec": spec}))
}
