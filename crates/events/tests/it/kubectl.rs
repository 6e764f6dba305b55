//! What people see: the Events of both recorders through unmodified kubectl of two minors. Fetched by
//! `cargo xtask clients` into `target/clients/kubectl-<minor>/kubectl`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use k8s_openapi::api::core::v1::{Endpoints, Service};
use kube::api::PostParams;
use portolan_apiserver::pki::Authority;
use portolan_events::SeriesRecorder;
use tokio_util::sync::CancellationToken;

use super::*;

/// One kubectl with its own server and home.
struct Kubectl {
    program: PathBuf,
    home: tempfile::TempDir,
    stop: CancellationToken,
    client: Client,
}

impl Drop for Kubectl {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Kubectl {
    async fn start(test: &str, minor: &str) -> Option<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
        let program = target.join(format!("clients/kubectl-{minor}/kubectl"));
        if !program.exists() {
            let why = format!("no kubectl {minor} in target/clients; `cargo xtask clients` fetches it");
            portolan_netns::world::skip(test, &why);
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(home.path()).unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let config = authority.kubeconfig(&url, "admin", "system:masters").unwrap();
        std::fs::write(home.path().join("config"), config).unwrap();
        let server = Arc::new(Server::open(Config::default()).await.unwrap());
        let client = server.client("recorder", &["system:masters"]);
        let tls = Arc::new(authority.server_config(&["127.0.0.1".to_owned()]).unwrap());
        let stop = CancellationToken::new();
        let token = stop.clone();
        tokio::spawn(async move { server.serve(listener, tls, token).await });
        Some(Self { program, home, stop, client })
    }

    /// Output of a command that must succeed, its words separated by one blank.
    async fn ok(&self, arguments: &str) -> String {
        let mut command = Command::new(&self.program);
        command
            .args(arguments.split(' '))
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("config"))
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = tokio::time::timeout(Duration::from_secs(60), output).await.expect(arguments).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "kubectl {arguments}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
    }

    async fn make_service(&self, name: &str) -> Service {
        let service = serde_json::json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
        let api: Api<Service> = Api::namespaced(self.client.clone(), "default");
        api.create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap()
    }

    fn recorder(&self, vocabulary: Vocabulary) -> Recorder {
        Recorder::new(self.client.clone(), "service-controller", None, vocabulary)
    }
}

/// The ages in seconds of the line with `reason`: last seen, and first seen if it was seen more often.
fn ages(text: &str, reason: &str, count: u32) -> (u64, Option<u64>) {
    let line = text.lines().find(|line| line.contains(reason)).unwrap_or_else(|| panic!("no {reason} in\n{text}"));
    let seconds = |word: &str| word.trim_end_matches(')').trim_end_matches('s').parse().ok();
    let mark = format!(" (x{count} over ");
    match line.split_once(&mark) {
        Some((before, after)) => {
            let last = before.rsplit(' ').next().and_then(seconds);
            (last.expect(line), Some(after.split(' ').next().and_then(seconds).expect(line)))
        }
        None => (line.split(' ').find_map(seconds).expect(line), None),
    }
}

async fn shows(test: &str, minor: &str) {
    let Some(kubectl) = Kubectl::start(test, minor).await else { return };
    counts_and_series(&kubectl).await;
    what_describe_misses(&kubectl).await;
}

/// Both APIs with one report and with three, the first of them two seconds ago.
async fn counts_and_series(kubectl: &Kubectl) {
    let web = reference(&kubectl.make_service("web").await);
    let core = kubectl.recorder(Vocabulary::Full);
    let series =
        SeriesRecorder::new(kubectl.client.clone(), "ipallocator-repair-controller", "n1".into(), Vocabulary::Full);
    let repair = |note: &str| {
        series.event(&web, None, Reason::ClusterIPOutOfRange, "ClusterIPAllocation", note);
    };
    core.event(&web, Reason::SyncLoadBalancerFailed, "Error syncing load balancer: no");
    core.event(&web, Reason::EnsuringLoadBalancer, "Ensuring load balancer");
    repair("first note");
    series.event(&web, None, Reason::ClusterIPNotValid, "ClusterIPValidation", "only once");
    // Not to wait for anything: ages are to differ.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for _ in 0..2 {
        core.event(&web, Reason::SyncLoadBalancerFailed, "Error syncing load balancer: no");
        repair("a later note, which nobody sees");
    }
    core.flush().await;
    assert!(series.close(Duration::from_secs(20)).await);

    for command in ["describe service web", "events --for service/web"] {
        let text = kubectl.ok(command).await;
        for reason in ["SyncLoadBalancerFailed", "ClusterIPOutOfRange"] {
            let (last, first) = ages(&text, reason, 3);
            let first = first.unwrap_or_else(|| panic!("{command}: no count of {reason} in\n{text}"));
            assert!(first >= last + 2, "{command}: {last} {first}\n{text}");
        }
        for reason in ["EnsuringLoadBalancer", "ClusterIPNotValid"] {
            let (age, count) = ages(&text, reason, 3);
            assert!(age >= 2 && count.is_none(), "{command}: {age} {count:?}\n{text}");
        }
        assert!(text.contains("first note") && !text.contains("a later note"), "{text}");
    }
    let described = kubectl.ok("describe service web").await;
    for row in [
        "service-controller Error syncing load balancer: no\n",
        "service-controller Ensuring load balancer\n",
        "ipallocator-repair-controller first note\n",
        "ipallocator-repair-controller only once\n",
    ] {
        assert!(described.contains(row), "no {row:?} in\n{described}");
    }

    // LAST SEEN is the last time of a count or a series, and otherwise the one time that there is.
    let listed = kubectl.ok("get events").await;
    assert!(listed.starts_with("LAST SEEN TYPE REASON OBJECT MESSAGE\n"), "{listed}");
    assert!(listed.contains(" Warning ClusterIPOutOfRange service/web first note\n"), "{listed}");
    let seen = |reason| ages(&listed, reason, 3).0;
    assert!(seen("EnsuringLoadBalancer") >= seen("SyncLoadBalancerFailed") + 2, "{listed}");
    assert!(seen("ClusterIPNotValid") >= seen("ClusterIPOutOfRange") + 2, "{listed}");
    let wide = kubectl.ok("get events -o wide").await;
    let row = |reason: &str| wide.lines().find(|line| line.contains(reason)).unwrap().to_owned();
    assert!(row("SyncLoadBalancerFailed").contains(" service-controller Error syncing load balancer: no "), "{wide}");
    assert!(row("SyncLoadBalancerFailed").contains("s 3 web."), "first seen and count: {wide}");
    assert!(row("ClusterIPOutOfRange").contains("s 3 web."), "first seen and count: {wide}");
}

/// Events in another place than their object, as Kubernetes writes some of them.
async fn what_describe_misses(kubectl: &Kubectl) {
    let full = reference(&kubectl.make_service("api").await);
    let proxy = kubectl.recorder(Vocabulary::Upstream);
    let nameless = ObjectReference { uid: None, resource_version: None, ..full.clone() };
    proxy.event(&nameless, Reason::FailedToStartServiceHealthcheck, "written without UID");
    proxy.event(&full, Reason::EnsuringLoadBalancer, "written with UID");
    let endpoints: Endpoints = serde_json::from_value(serde_json::json!({"metadata": {"name": "api"}})).unwrap();
    let unplaced = reference(&endpoints);
    assert_eq!((&unplaced.namespace, &unplaced.uid), (&None, &None));
    proxy.event(&unplaced, Reason::FailedToCreateEndpoint, "Failed to create endpoint for service shop/api: no");
    proxy.flush().await;

    let described = kubectl.ok("describe service api").await;
    assert!(described.contains("written with UID") && !described.contains("written without UID"), "{described}");
    let fields = "involvedObject.kind=Service,involvedObject.name=api";
    let listed = kubectl.ok(&format!("get events --field-selector {fields}")).await;
    assert!(listed.contains("written with UID") && listed.contains("written without UID"), "{listed}");
    let listed = kubectl.ok("get events -n default --field-selector reason=FailedToCreateEndpoint").await;
    assert!(listed.contains(" endpoints/api Failed to create endpoint for service shop/api: no\n"), "{listed}");

    // A new object of the same name begins with no Events.
    kubectl.ok("delete service api").await;
    kubectl.make_service("api").await;
    let described = kubectl.ok("describe service api").await;
    assert!(described.contains("Events: <none>"), "{described}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_1_36_shows_counts_series_and_ages() {
    shows("kubectl::kubectl_1_36_shows_counts_series_and_ages", "1.36").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_1_32_shows_counts_series_and_ages() {
    shows("kubectl::kubectl_1_32_shows_counts_series_and_ages", "1.32").await;
}
