//! The rights in deploy/controllers.yaml are those that the parts need, and no others.

use std::{
    collections::BTreeSet,
    env, fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use k8s_openapi::api::{
    core::v1::{Endpoints, Event, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use nix::sys::signal::Signal;
use portolan_cloud::scripted::{Script, Scripted};
use portolan_testkit::skip;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Cluster, Joined};
use crate::PORTOLAN;
use crate::until;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/controllers.yaml");
const ACCOUNT: &str = "system:serviceaccount:kube-system:portolan-controllers";

/// Why a right is there although a run against a current API server never uses it.
const UNUSED: &[(&str, &str)] = &[
    ("list", "servers that stream no lists are listed"),
    ("services/finalizers", "asked for by an admission plugin, not by a request"),
    ("endpoints/finalizers", "asked for by an admission plugin, not by a request"),
];

/// API group, resource, verb.
type Right = (String, String, String);

/// The rights that the parts need, as a table.
fn needed() -> BTreeSet<Right> {
    let table = [
        ("", "services", "list watch"),
        ("", "pods", "list watch"),
        ("", "nodes", "list watch"),
        ("", "endpoints", "get list watch create update delete"),
        ("discovery.k8s.io", "endpointslices", "list watch create update delete"),
        ("", "services/finalizers", "update"),
        ("", "endpoints/finalizers", "update"),
        ("", "events", "create patch"),
        ("", "services/status", "patch"),
        ("coordination.k8s.io", "leases", "get create update"),
    ];
    let rights = table.iter().flat_map(|(group, resource, verbs)| {
        verbs.split(' ').map(|verb| ((*group).to_owned(), (*resource).to_owned(), verb.to_owned()))
    });
    rights.collect()
}

fn documents() -> Vec<Value> {
    serde_saphyr::from_multiple(&fs::read_to_string(MANIFEST).unwrap()).unwrap()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Vec<&'a Value> {
    documents.iter().filter(|document| document["kind"] == kind).collect()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

fn granted() -> BTreeSet<Right> {
    let documents = documents();
    let mut rights = BTreeSet::new();
    for role in ["ClusterRole", "Role"].iter().flat_map(|kind| of_kind(&documents, kind)) {
        for rule in role["rules"].as_array().unwrap() {
            for group in strings(&rule["apiGroups"]) {
                for resource in strings(&rule["resources"]) {
                    rights.extend(strings(&rule["verbs"]).into_iter().map(|v| (group.clone(), resource.clone(), v)));
                }
            }
        }
    }
    rights
}

#[test]
fn the_rights_are_those_of_the_table() {
    assert_eq!(granted(), needed());
}

/// Every role is bound, to the account that the pods run as; a lease cannot be taken but the one.
#[test]
fn the_manifest_hangs_together() {
    let documents = documents();
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    let account = name(of_kind(&documents, "ServiceAccount")[0]);
    for (binding, role) in [("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")] {
        let role_of = |binding: &Value| binding["roleRef"]["name"].as_str().unwrap().to_owned();
        let bound: BTreeSet<_> = of_kind(&documents, binding).into_iter().map(role_of).collect();
        assert_eq!(bound, of_kind(&documents, role).into_iter().map(name).collect(), "{binding}");
        for binding in of_kind(&documents, binding) {
            assert_eq!(
                binding["subjects"],
                json!([{"kind": "ServiceAccount", "name": account, "namespace": "kube-system"}])
            );
        }
    }
    let rules = &of_kind(&documents, "Role")[0]["rules"];
    let taking = rules.as_array().unwrap().iter().find(|rule| strings(&rule["verbs"]).contains(&"update".to_owned()));
    assert_eq!(taking.unwrap()["resourceNames"], json!(["portolan-controllers"]));
    let deployment = of_kind(&documents, "Deployment")[0];
    assert_eq!(deployment["spec"]["replicas"], 2);
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], account);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/livez");
}

/// The program understands the arguments that the manifest gives it.
#[test]
fn the_arguments_of_the_manifest_are_understood() {
    let documents = documents();
    let container = &of_kind(&documents, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    let mut command = Command::new(PORTOLAN);
    command.args(strings(&container["args"])).args(["--kubeconfig", "/nowhere"]);
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains("cannot read the kubeconfig /nowhere"), "{complaint}");
}

/// With exactly these rights, on a real API server: everything works, nothing is forbidden, and no right is left over.
#[test]
fn the_rights_are_enough_and_needed() {
    const TEST: &str = "the_rights_are_enough_and_needed";
    let Some(oracle) = Oracle::start(TEST) else { return };
    let cluster = Cluster::at(&oracle.path("admin.kubeconfig"));
    oracle.kubectl(&["apply", "-f", MANIFEST]);
    let kubeconfig = oracle.account();
    let (endpoint, _provider) = provider(&cluster);
    let options = ["--cloud-provider=remote", &endpoint, "--max-endpoints-per-slice=1"];
    let mut joined = Joined::start(&kubeconfig, &options);
    joined.ready();
    exercise(&cluster);
    joined.process.signal(Signal::SIGTERM);
    assert!(joined.process.ended(10).success());
    let (used, forbidden) = oracle.requests();
    assert_eq!(forbidden, BTreeSet::new(), "forbidden");
    let mut unused: BTreeSet<Right> = granted().difference(&used).cloned().collect();
    unused.retain(|(_, resource, verb)| !UNUSED.iter().any(|(what, _)| what == verb || what == resource));
    assert_eq!(unused, BTreeSet::new(), "never used");
    assert_eq!(used.difference(&granted()).count(), 0, "{used:?}");
}

/// A provider of load balancers that listens, for as long as it is held.
fn provider(cluster: &Cluster) -> (String, tokio_util::sync::DropGuard) {
    let stop = CancellationToken::new();
    let pool = ipnet::Ipv4Net::new(Ipv4Addr::new(192, 0, 2, 0), 24).unwrap();
    let listener = cluster.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("--cloud-endpoint=http://{}", listener.local_addr().unwrap());
    let scripted = Arc::new(Scripted::new(pool, Script::default()));
    cluster.runtime.spawn(portolan_cloud::remote::serve(listener, scripted, stop.clone()));
    (endpoint, stop.drop_guard())
}

/// Makes the parts do everything that they ever ask the API for.
fn exercise(cluster: &Cluster) {
    let services = Api::<Service>::namespaced(cluster.client.clone(), "default");
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), "default");
    let parameters = PatchParams::default();
    let patch = |change: Value| {
        let change = Patch::Merge(change);
        cluster.runtime.block_on(services.patch("web", &parameters, &change)).unwrap();
    };
    cluster.serve("web");
    cluster.sliced("web");
    // Labels on the Service go to Endpoints and slices: updates.
    patch(json!({"metadata": {"labels": {"tier": "front"}}}));
    until("updated Endpoints", 10, || {
        let all: Vec<Endpoints> = cluster.list("default", "tier=front");
        all.first().map(drop).ok_or_else(|| "none".to_owned())
    });
    // A balancer, and an Event that is counted up: the same words twice.
    for port in [80, 81, 82] {
        patch(json!({"spec": {"type": "LoadBalancer", "ports": [{"port": port}]}}));
        std::thread::sleep(std::time::Duration::from_millis(700));
    }
    until("a counted Event", 20, || {
        let events: Vec<Event> = cluster.list("default", "");
        events.iter().find(|event| event.count > Some(1)).map(drop).ok_or_else(|| format!("{} Events", events.len()))
    });
    // Endpoints that somebody else writes are mirrored, and their mirror goes with them.
    cluster.create::<Service>(json!({"metadata": {"name": "own"}, "spec": {"ports": [{"port": 80}]}}));
    cluster.create::<Endpoints>(json!({
        "metadata": {"name": "own"},
        "subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}],
    }));
    cluster.sliced("own");
    let endpoints = Api::<Endpoints>::namespaced(cluster.client.clone(), "default");
    cluster.runtime.block_on(endpoints.delete("own", &DeleteParams::default())).unwrap();
    until("the mirror to go", 10, || {
        let left: Vec<EndpointSlice> = cluster.list("default", "kubernetes.io/service-name=own");
        if left.is_empty() { Ok(()) } else { Err(format!("{} slices", left.len())) }
    });
    // A Service that loses its selector leaves its Endpoints to be mirrored.
    cluster.serve("left");
    cluster.sliced("left");
    let change = Patch::Merge(json!({"spec": {"selector": null}}));
    cluster.runtime.block_on(services.patch("left", &parameters, &change)).unwrap();
    until("a mirror of what was left", 10, || {
        let managed = "endpointslice.kubernetes.io/managed-by=endpointslicemirroring-controller.k8s.io";
        let mirrors: Vec<EndpointSlice> = cluster.list("default", managed);
        mirrors.first().map(drop).ok_or_else(|| "none".to_owned())
    });
    // The Service goes: its balancer, its finalizer, its Endpoints.
    let now = DeleteParams::default().grace_period(0);
    cluster.runtime.block_on(pods.delete("web", &now)).unwrap();
    cluster.runtime.block_on(services.delete("web", &DeleteParams::default())).unwrap();
    until("everything to go", 20, || {
        let (services, endpoints): (Vec<Service>, Vec<Endpoints>) =
            (cluster.list("default", "tier"), cluster.list("default", "tier"));
        if services.is_empty() && endpoints.is_empty() { Ok(()) } else { Err("it is still there".to_owned()) }
    });
}

/// A real API server with RBAC, which writes down every request.
struct Oracle {
    scripts: PathBuf,
    directory: TempDir,
}

impl Oracle {
    fn start(test: &str) -> Option<Self> {
        let Some(scripts) = env::var_os("PORTOLAN_ORACLE").map(PathBuf::from) else {
            skip(test, "PORTOLAN_ORACLE does not name the scripts that run real Kubernetes");
            return None;
        };
        let oracle = Self { scripts, directory: TempDir::new().unwrap() };
        // Pods need the service account of their namespace.
        oracle.control_plane(&["up", "--audit", "--with", "kcm", "--kcm-controllers", "serviceaccount-controller"]);
        until("the service account", 20, || oracle.try_kubectl(&["get", "serviceaccount", "default"]));
        Some(oracle)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("oracle").join(name)
    }

    fn control_plane(&self, arguments: &[&str]) {
        let mut command = Command::new(self.scripts.join("control-plane"));
        let output = command.args(arguments).arg("--dir").arg(self.path("")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).unwrap()
    }

    fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let home = env::var_os("ORACLE_HOME").map(PathBuf::from);
        let home = home.unwrap_or_else(|| Path::new(&env::var_os("HOME").unwrap()).join(".cache/k8s-oracle"));
        let mut command = Command::new(home.join("bin/kubectl"));
        let output = command.args(arguments).env("KUBECONFIG", self.path("admin.kubeconfig")).output().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// A kubeconfig of the manifest's service account.
    fn account(&self) -> PathBuf {
        let token = self.kubectl(&["create", "token", "portolan-controllers", "--namespace=kube-system"]);
        let text = self.kubectl(&["config", "view", "--raw", "--output=json"]);
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config["users"][0]["user"] = json!({"token": token.trim()});
        let path = self.path("account.kubeconfig");
        fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// What the account was allowed to do, and what not.
    fn requests(&self) -> (BTreeSet<Right>, BTreeSet<Right>) {
        let log = fs::read_to_string(self.path("log/audit.log")).unwrap();
        let (mut used, mut forbidden) = (BTreeSet::new(), BTreeSet::new());
        for event in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            if event["user"]["username"] != ACCOUNT {
                continue;
            }
            let text = |field: &str| event["objectRef"][field].as_str().unwrap_or_default().to_owned();
            let resource = match text("subresource") {
                none if none.is_empty() => text("resource"),
                subresource => format!("{}/{subresource}", text("resource")),
            };
            let right = (text("apiGroup"), resource, event["verb"].as_str().unwrap_or_default().to_owned());
            match event["responseStatus"]["code"].as_u64() {
                Some(401 | 403) => forbidden.insert(right),
                _ => used.insert(right),
            };
        }
        (used, forbidden)
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let mut command = Command::new(self.scripts.join("control-plane"));
        let _ = command.args(["down", "--purge", "--dir"]).arg(self.path("")).output();
    }
}
