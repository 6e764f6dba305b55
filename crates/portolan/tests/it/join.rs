//! `portolan controllers` as processes of their own, against an API server that is another one.

mod rbac;

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    apps::v1::Deployment,
    coordination::v1::Lease,
    core::v1::{Endpoints, Event, Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    process::{ApiServer, Process},
    until,
};

/// Short, so that the tests are; the proportions are the usual ones.
const LEASE: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(500);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(3);
const ELECTION: [&str; 3] =
    ["--leader-elect-lease-duration=3s", "--leader-elect-renew-deadline=2s", "--leader-elect-retry-period=500ms"];

/// An API server, and a client of it.
struct Cluster {
    kubeconfig: PathBuf,
    client: Client,
    runtime: Runtime,
    api: Option<ApiServer>,
}

impl Cluster {
    fn start() -> Self {
        let api = ApiServer::start();
        let mut cluster = Self::at(&api.kubeconfig);
        cluster.api = Some(api);
        cluster
    }

    /// An API server that runs already.
    fn at(kubeconfig: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let client = runtime.block_on(portolan_runtime::client::connect(Some(kubeconfig), None, "test")).unwrap();
        let node: Node = serde_json::from_value(json!({"metadata": {"name": "node"}})).unwrap();
        runtime.block_on(Api::all(client.clone()).create(&PostParams::default(), &node)).unwrap();
        Self { kubeconfig: kubeconfig.to_owned(), client, runtime, api: None }
    }

    fn api(&mut self) -> &mut Process {
        &mut self.api.as_mut().unwrap().process
    }

    fn create<T>(&self, object: Value)
    where
        T: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + serde::de::DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
    {
        let object: T = serde_json::from_value(object).unwrap();
        let api = Api::<T>::namespaced(self.client.clone(), "default");
        self.runtime.block_on(api.create(&PostParams::default(), &object)).unwrap();
    }

    fn list<T>(&self, namespace: &str, labels: &str) -> Vec<T>
    where
        T: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + serde::de::DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let api = Api::<T>::namespaced(self.client.clone(), namespace);
        self.runtime.block_on(api.list(&ListParams::default().labels(labels))).unwrap().items
    }

    /// A Service and a pod that is ready behind it.
    fn serve(&self, name: &str) {
        self.create::<Service>(json!({
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
        }));
        self.create::<Pod>(json!({
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"nodeName": "node", "containers": [{"name": "c", "image": "x"}]},
        }));
        let status = json!({"status": {
            "phase": "Running", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }});
        let pods = Api::<Pod>::namespaced(self.client.clone(), "default");
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(status));
        self.runtime.block_on(pods.patch_status(name, &parameters, &patch)).unwrap();
    }

    /// Waits for the slice of that Service, with its one endpoint.
    fn sliced(&self, name: &str) {
        until("the slice", 10, || {
            let slices: Vec<EndpointSlice> = self.list("default", &format!("kubernetes.io/service-name={name}"));
            let addresses: Vec<_> =
                slices.iter().flat_map(|slice| slice.endpoints.iter().flatten()).map(|one| &one.addresses).collect();
            if addresses == [&["10.1.2.3"]] { Ok(()) } else { Err(format!("{addresses:?}")) }
        });
    }

    fn lease(&self) -> Option<Lease> {
        let api = Api::<Lease>::namespaced(self.client.clone(), "kube-system");
        self.runtime.block_on(api.get_opt("portolan-controllers")).unwrap()
    }

    fn holder(&self) -> String {
        let spec = self.lease().and_then(|lease| lease.spec);
        spec.and_then(|spec| spec.holder_identity).unwrap_or_default()
    }

    /// Waits until somebody else than `before` holds the lease; how long that took and who it is.
    fn taken_from(&self, before: &str) -> (Duration, String) {
        let begun = Instant::now();
        let holder = until("the next leader", 30, || match self.holder() {
            holder if holder.is_empty() || holder == before => Err(format!("{holder:?}")),
            holder => Ok(holder),
        });
        (begun.elapsed(), holder)
    }
}

/// One process with controllers.
struct Joined {
    process: Process,
    page: String,
}

impl Joined {
    fn start(kubeconfig: &Path, more: &[&str]) -> Self {
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
        let usual = ["controllers", &kubeconfig, "--metrics-bind-address=127.0.0.1:0"];
        let mut process = Process::start(&[&usual, &ELECTION[..], more].concat());
        let url = process.line("metrics");
        let page = url.strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap().to_owned();
        Self { process, page }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.page).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn ready(&self) {
        until("readiness", 15, || match self.get("/readyz") {
            (200, _) => Ok(()),
            (_, why) => Err(why),
        });
    }

    fn leads(&self) -> bool {
        let wanted = "leader_election_master_status{name=\"portolan-controllers\"} 1";
        self.get("/metrics").1.lines().any(|line| line == wanted)
    }
}

/// Services get their endpoints; one that stands by is ready too, takes over when the leader dies, and at once when it
/// leaves in order.
#[test]
fn one_of_several_works_and_the_next_takes_over() {
    let cluster = Cluster::start();
    let mut first = Joined::start(&cluster.kubeconfig, &[]);
    first.ready();
    cluster.serve("one");
    cluster.sliced("one");
    let one = cluster.holder();
    let mut second = Joined::start(&cluster.kubeconfig, &[]);
    second.ready();
    assert!(first.leads() && !second.leads());

    first.process.signal(Signal::SIGKILL);
    let (took, two) = cluster.taken_from(&one);
    assert!(took <= LEASE + RETRY + SLACK, "after kill -9 it took {took:?}");
    assert!(took >= LEASE - 2 * RETRY, "before the lease had run out: {took:?}");
    until("the second to lead", 5, || if second.leads() { Ok(()) } else { Err("it does not".to_owned()) });
    cluster.serve("two");
    cluster.sliced("two");
    first.process.ended(5);

    let third = Joined::start(&cluster.kubeconfig, &[]);
    third.ready();
    second.process.signal(Signal::SIGTERM);
    let (took, three) = cluster.taken_from(&two);
    assert!(took <= RETRY + SLACK / 2, "after SIGTERM it took {took:?}");
    assert!(second.process.ended(5).success());
    cluster.serve("three");
    cluster.sliced("three");

    let spec = cluster.lease().unwrap().spec.unwrap();
    assert_eq!((spec.lease_transitions, spec.lease_duration_seconds), (Some(2), Some(3)));
    until("the Events", 5, || {
        let events: Vec<Event> = cluster.list("kube-system", "");
        let mut messages: Vec<_> = events
            .iter()
            .filter(|event| event.reason.as_deref() == Some("LeaderElection"))
            .filter_map(|event| event.message.clone())
            .collect();
        messages.sort();
        let mut wanted = [one.as_str(), &two, &three].map(|who| format!("{who} became leader")).to_vec();
        wanted.push(format!("{two} stopped leading"));
        wanted.sort();
        if messages == wanted { Ok(()) } else { Err(format!("{messages:?}")) }
    });
}

/// Somebody takes the lease away: the process ends, with an error, and does not give back what is not its own.
#[test]
fn a_leader_that_loses_its_lease_ends() {
    let cluster = Cluster::start();
    let mut leader = Joined::start(&cluster.kubeconfig, &[]);
    leader.ready();
    let leases = Api::<Lease>::namespaced(cluster.client.clone(), "kube-system");
    let patch = Patch::Merge(json!({"spec": {"holderIdentity": "somebody"}}));
    let parameters = PatchParams::default();
    cluster.runtime.block_on(leases.patch("portolan-controllers", &parameters, &patch)).unwrap();
    let status = leader.process.ended(10);
    assert!(status.code().is_some_and(|code| code != 0), "{status:?}");
    let complaint = leader.process.complaint();
    assert!(complaint.contains("leadership is lost") && complaint.contains("somebody"), "{complaint}");
    assert_eq!(cluster.holder(), "somebody");
}

/// The API server goes away: the leader stops before its lease can be another's.
#[test]
fn a_leader_that_cannot_renew_ends_in_time() {
    let mut cluster = Cluster::start();
    let mut leader = Joined::start(&cluster.kubeconfig, &[]);
    leader.ready();
    cluster.api().signal(Signal::SIGSTOP);
    let begun = Instant::now();
    let status = leader.process.ended(20);
    let took = begun.elapsed();
    cluster.api().signal(Signal::SIGCONT);
    assert!(!status.success());
    assert!(took < LEASE + SLACK, "{took:?}");
    let complaint = leader.process.complaint();
    assert!(complaint.contains("could not be renewed"), "{complaint}");
    cluster.api().signal(Signal::SIGTERM);
    cluster.api().ended(10);
}

/// While nobody answers, the log stays short: one line for each attempt at the Lease, few of each watch.
#[test]
fn an_api_that_is_away_does_not_fill_the_log() {
    let mut cluster = Cluster::start();
    let mut leader = Joined::start(&cluster.kubeconfig, &[]);
    leader.ready();
    cluster.api().signal(Signal::SIGTERM);
    cluster.api().ended(10);
    assert!(!leader.process.ended(20).success());
    let complaint = leader.process.complaint();
    let about = |word: &str| complaint.lines().filter(|line| line.contains(word)).count();
    // 500 ms apart, for less than the 2 s of the deadline.
    assert!((1..=4).contains(&about("cannot use the lease")), "{complaint}");
    // 200 ms, 400 ms and 800 ms apart at least; the third of them is no news.
    assert!((1..=3).contains(&about("kind=\"EndpointSlice\"").div_ceil(2)), "{complaint}");
    assert_eq!(about("--cloud-provider"), 0, "nobody asked for load balancers: {complaint}");
}

/// Each controller can be left out, and a wrong name is answered with the right ones.
#[test]
fn the_list_decides_what_runs() {
    let cluster = Cluster::start();
    let joined = Joined::start(&cluster.kubeconfig, &["--leader-elect=false", "--controllers=-endpoints"]);
    joined.ready();
    cluster.serve("web");
    cluster.sliced("web");
    assert!(cluster.list::<Endpoints>("default", "").iter().all(|one| one.metadata.name.as_deref() != Some("web")));
    let (_, page) = joined.get("/metrics");
    assert!(page.contains("workqueue_adds_total{name=\"endpoint-slice-controller\"}"), "{page}");
    assert!(!page.contains("name=\"endpoint-controller\""), "{page}");
    assert!(cluster.lease().is_none(), "nobody asked for it");

    let mut wrong = Process::start(&["controllers", "--controllers=*,endpointslices"]);
    assert!(!wrong.ended(10).success());
    let complaint = wrong.complaint();
    assert!(complaint.contains("endpointslices") && complaint.contains("endpointslice-controller"), "{complaint}");
}

/// Wrong options are refused before anything is printed, and causes are said once.
#[test]
fn what_cannot_run_says_so_and_nothing_else() {
    let cases: [(&[&str], &str); 3] = [
        (&["--controllers=service"], "service-lb-controller needs --cloud-provider"),
        (&["--leader-elect-renew-deadline=20s"], "longer than the renew deadline"),
        (&["--kubeconfig=/nowhere"], "No such file or directory"),
    ];
    for (arguments, words) in cases {
        let mut process = Process::start(&[&["controllers", "--metrics-bind-address=127.0.0.1:0"], arguments].concat());
        assert_eq!(process.ended(10).code(), Some(2));
        assert_eq!(process.rest(), "", "{arguments:?}");
        let complaint = process.complaint();
        let complaint = complaint.lines().find(|line| line.starts_with("portolan: ")).unwrap();
        assert_eq!(complaint.matches(words).count(), 1, "{complaint}");
    }
}

/// `portolan apiserver` and `portolan controllers` with everything named are a whole control plane.
#[test]
fn with_everything_named_it_is_a_whole_control_plane() {
    const ALL: &str = "--controllers=*,deployment,replicaset,scheduler,namespace,serviceaccount,garbagecollector,nodes";
    let cluster = Cluster::start();
    let joined = Joined::start(&cluster.kubeconfig, &["--leader-elect=false", ALL]);
    joined.ready();
    cluster.create::<Deployment>(json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "x"}]},
            },
        },
    }));
    until("the pods", 20, || match cluster.list::<Pod>("default", "app=web").len() {
        3 => Ok(()),
        other => Err(format!("{other} pods")),
    });
}

/// The page is what a scraper expects: every metric once, upstream's names.
#[test]
fn the_page_has_upstreams_names() {
    let cluster = Cluster::start();
    let joined = Joined::start(&cluster.kubeconfig, &[]);
    joined.ready();
    let (status, page) = joined.get("/metrics");
    assert_eq!(status, 200);
    let mut types: Vec<_> = page.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let all = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), all, "a metric is there twice");
    for name in [
        "workqueue_depth",
        "workqueue_unfinished_work_seconds",
        "workqueue_queue_duration_seconds",
        "leader_election_master_status",
        "rest_client_requests",
        "endpoint_slice_controller_num_endpoint_slices",
        "endpoint_slice_controller_syncs",
    ] {
        assert!(types.iter().any(|line| line.split(' ').nth(2) == Some(name)), "{name} is not in {types:#?}");
    }
    assert_eq!(joined.get("/livez").0, 200);
    assert_eq!(joined.get("/nothing").0, 404);
}
