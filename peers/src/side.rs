//! One of the peers: an API server with somebody's controllers, a client, and a live copy of its objects.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    generate::Step,
    mirror::Mirror,
    oracle::{self, ControlPlane},
    process::Process,
    request::{self, Answer, Collection, Request, Verb},
};

/// The controllers that are compared: our name and upstream's.
const COMPARED: [(&str, &str); 4] = [
    ("endpoints", oracle::controller::ENDPOINTS),
    ("endpointslice", oracle::controller::SLICES),
    ("mirroring", oracle::controller::MIRRORING),
    ("servicecidr", oracle::controller::SERVICE_CIDR),
];

/// What a comparison looks at.
pub const WATCHED: [Collection; 7] = [
    request::SERVICES,
    request::PODS,
    request::NODES,
    request::ENDPOINTS,
    request::SLICES,
    request::ADDRESSES,
    request::CIDRS,
];

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The program under test.
    pub portolan: PathBuf,
    /// The oracle's directory.
    pub oracle: PathBuf,
    /// Where results and logs go.
    pub out: PathBuf,
    /// Where control planes keep their state while they run.
    pub state: PathBuf,
}

/// A peer, ready for work.
pub struct Side {
    /// What it is made of, for people.
    pub label: String,
    /// The administrator's client.
    pub client: Client,
    /// Its objects.
    pub mirror: Mirror,
    /// Which object the driver created under which uid: `Pod one/p1 #2`.
    identities: Mutex<HashMap<String, String>>,
    incarnations: Mutex<HashMap<String, u32>>,
    processes: Vec<(String, Process, PathBuf)>,
    /// Held for its end.
    _plane: Option<ControlPlane>,
}

impl Side {
    /// A real control plane with upstream's controllers.
    pub async fn upstream(places: &Places, label: &str) -> Result<Self> {
        let controllers =
            COMPARED.map(|(_, upstream)| upstream).into_iter().chain([oracle::controller::GARBAGE]).collect();
        let plane = ControlPlane::up(&places.oracle, places.state.join(label), &fast(controllers)).await?;
        Self::new(label, &plane.kubeconfig(), Vec::new(), Some(plane)).await
    }

    /// A real API server on which the named controllers are ours; the rest, and the garbage collector, are upstream's.
    pub async fn joined(places: &Places, label: &str, ours: &[String]) -> Result<Self> {
        let theirs =
            COMPARED.iter().filter(|(name, _)| !ours.iter().any(|our| our == name)).map(|(_, upstream)| *upstream);
        let controllers = theirs.chain([oracle::controller::GARBAGE]).collect();
        let plane = ControlPlane::up(&places.oracle, places.state.join(label), &fast(controllers)).await?;
        let ours = start_controllers(places, label, &plane.kubeconfig(), &ours.join(","))?;
        Self::new(label, &plane.kubeconfig(), vec![ours], Some(plane)).await
    }

    /// Our API server with the named controllers of ours, and our garbage collector.
    pub async fn portolan(places: &Places, label: &str, ours: &[String]) -> Result<Self> {
        let kubeconfig = places.state.join(format!("{label}.kubeconfig"));
        let log = places.out.join(format!("{label}-apiserver.log"));
        let arguments = [
            "apiserver",
            "--ephemeral",
            "--listen=127.0.0.1:0",
            "--service-cidr=10.96.0.0/16,fd10:96::/112",
            &format!("--kubeconfig-out={}", kubeconfig.display()),
        ]
        .map(str::to_owned);
        let mut server = Process::start(&places.portolan, &arguments, &log)?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while !kubeconfig.exists() {
            server.check("portolan apiserver", &log)?;
            if Instant::now() > deadline {
                bail!("portolan apiserver wrote no kubeconfig: see {}", log.display());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let ours = start_controllers(places, label, &kubeconfig, &(ours.join(",") + ",garbagecollector"))?;
        Self::new(label, &kubeconfig, vec![("portolan apiserver".to_owned(), server, log), ours], None).await
    }

    async fn new(
        label: &str,
        kubeconfig: &Path,
        processes: Vec<(String, Process, PathBuf)>,
        plane: Option<ControlPlane>,
    ) -> Result<Self> {
        let client = connect(kubeconfig).await?;
        let mirror = Mirror::start(&client, &WATCHED).await?;
        Ok(Self {
            label: label.to_owned(),
            client,
            mirror,
            identities: Mutex::default(),
            incarnations: Mutex::default(),
            processes,
            _plane: plane,
        })
    }

    /// Carries out a step and waits until the live copy shows it.
    pub async fn perform(&self, step: &Step) -> Result<Vec<Answer>> {
        let width = if step.parallel { 16 } else { 1 };
        let mut answers = Vec::with_capacity(step.requests.len());
        for part in step.requests.split(|request| request.verb == Verb::Barrier) {
            let part: Vec<Answer> = stream::iter(part)
                .map(|request| self.send(request))
                .buffered(width)
                .try_collect()
                .await
                .with_context(|| format!("{}: {}", self.label, step.title))?;
            answers.extend(part);
        }
        Ok(answers)
    }

    async fn send(&self, request: &Request) -> Result<Answer> {
        let answer = request::send(&self.client, request).await?;
        if answer.succeeded() {
            if request.verb == Verb::Create {
                self.identify(&answer.object);
            }
            self.await_copy(request, &answer).await?;
        }
        Ok(answer)
    }

    /// Waits until the live copy has what a request wrote.
    async fn await_copy(&self, request: &Request, answer: &Answer) -> Result<()> {
        let object = &answer.object;
        let Some(collection) = WATCHED.into_iter().find(|watched| object["kind"] == watched.kind) else {
            return Ok(());
        };
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        let key = (text("namespace"), text("name"));
        let revision = text("resourceVersion").parse().unwrap_or(0);
        let deadline = Instant::now() + Duration::from_secs(30);
        let gone = request.verb == Verb::Delete && object["metadata"]["deletionTimestamp"].is_null();
        loop {
            let shown =
                if gone { !self.mirror.contains(collection, &key) } else { self.mirror.has(collection, revision) };
            if shown {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{}: the watch does not show {} {}", self.label, collection.kind, key.1);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn identify(&self, object: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let name = format!("{} {}/{}", text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"]));
        let mut incarnations = self.incarnations.lock();
        let number = incarnations.entry(name.clone()).or_default();
        *number += 1;
        self.identities.lock().insert(text(&metadata["uid"]), format!("{name} #{number}"));
    }

    /// Says which object a uid belongs to, in words that are the same on both sides.
    pub fn identity(&self, uid: &str) -> Option<String> {
        self.identities.lock().get(uid).cloned()
    }

    /// Fails if a process of this side has ended.
    pub fn check(&mut self) -> Result<()> {
        for (name, process, log) in &mut self.processes {
            process.check(&format!("{} ({})", name, self.label), log)?;
        }
        Ok(())
    }

    /// Makes the namespaces of the run, with the service account that pods need.
    pub async fn prepare(&self, namespaces: &[&str]) -> Result<()> {
        for namespace in namespaces {
            let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
            let requests = [
                Request {
                    verb: Verb::Create,
                    path: "/api/v1/namespaces".to_owned(),
                    body: json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
                },
                Request {
                    verb: Verb::Create,
                    path: format!("/api/v1/namespaces/{namespace}/serviceaccounts"),
                    body: account,
                },
            ];
            for request in requests {
                let answer = request::send(&self.client, &request).await?;
                if !answer.succeeded() && answer.code != 409 {
                    bail!("{}: cannot prepare {namespace}: {}", self.label, answer.message);
                }
            }
        }
        Ok(())
    }
}

/// Client rates that leave the clients' own throttles out of the comparison.
fn fast(controllers: Vec<&'static str>) -> oracle::Options {
    oracle::Options {
        controllers,
        controller_flags: vec!["--kube-api-qps=1000".to_owned(), "--kube-api-burst=2000".to_owned()],
        server_flags: Vec::new(),
    }
}

fn start_controllers(
    places: &Places,
    label: &str,
    kubeconfig: &Path,
    controllers: &str,
) -> Result<(String, Process, PathBuf)> {
    let log = places.out.join(format!("{label}-controllers.log"));
    let arguments = controllers_arguments(kubeconfig, controllers);
    Ok(("portolan controllers".to_owned(), Process::start(&places.portolan, &arguments, &log)?, log))
}

/// The command line of `portolan controllers`, without leader election and with upstream's words.
pub fn controllers_arguments(kubeconfig: &Path, controllers: &str) -> Vec<String> {
    vec![
        "controllers".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--vocabulary=upstream".to_owned(),
        "--metrics-bind-address=127.0.0.1:0".to_owned(),
        format!("--controllers={controllers}"),
    ]
}

/// A client of the cluster that a kubeconfig names.
pub async fn connect(kubeconfig: &Path) -> Result<Client> {
    let read = Kubeconfig::read_from(kubeconfig).with_context(|| format!("cannot read {}", kubeconfig.display()))?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    let config = config.with_context(|| format!("cannot use {}", kubeconfig.display()))?;
    Client::try_from(config).context("cannot make a client")
}
