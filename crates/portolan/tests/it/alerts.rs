//! `portolan alerts` against a real Prometheus that scrapes a real network: each alert on objects fires in its scenario, and
//! none in what only looks like it. Only `for` and the windows are made shorter; what they are good for is in the unit tests.

mod prometheus;

use std::{
    collections::BTreeSet,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use portolan_testkit::{Kubectl, Network, kubectls_or_skip, network_or_skip, skip};

use crate::{PORTOLAN, alerts::prometheus::Prometheus};

/// An alert and the Service that it is on, empty where it is on none.
type Firing = BTreeSet<(String, String)>;

/// What is wrong, what looks like it, and how it is mended.
const WRONG: &str = include_str!("alerts/wrong.yaml");
const ALIKE: &str = include_str!("alerts/alike.yaml");

/// Of [`WRONG`]; `since` is the version of kube-state-metrics that the alert needs.
const EXPECTED: &[(&str, &str, u16)] = &[
    ("LoadBalancerStuckPending", "pending", 0),
    ("ServiceHasNoEndpoints", "matches-nothing", 0),
    ("ServiceHasNoEndpoints", "never-ready", 0),
    ("ServiceEndpointsMostlyNotReady", "mostly-not-ready", 6),
    ("ServiceEndpointsOnOneNode", "one-node", 11),
    ("ServicePortsUnresolved", "no-such-port", 11),
    ("ServiceDeletionStuck", "kept", 17),
    // Its pod is left out of Endpoints, where slices have it without ports.
    ("ServiceHasNoEndpoints", "no-such-port", BEFORE_SLICES),
];

/// Marks what only rules that read Endpoints say.
const BEFORE_SLICES: u16 = u16::MAX;

fn expected(version: u16) -> Firing {
    let said = |since: u16| if since == BEFORE_SLICES { version < 18 } else { since <= version };
    let expected = EXPECTED.iter().filter(|(_, _, since)| said(*since));
    expected.map(|(alert, service, _)| ((*alert).to_owned(), (*service).to_owned())).collect()
}

/// The rules of a version with its name in a label, and without the patience of rules.
fn rules(version: u16) -> String {
    let argument = format!("--kube-state-metrics=2.{version}");
    let output = Command::new(PORTOLAN).args(["alerts", "--lang=en", &argument]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let shorter = |line: &str| {
        let (head, rest) = line.split_at(line.len() - line.trim_start().len());
        match rest.split_once(": ") {
            Some(("for", _)) => format!("{head}for: 0s"),
            Some(("severity", value)) => format!("{head}severity: {value}\n{head}rules: v{version}"),
            _ => {
                let windows = line.replace("[5m]", "[15s]").replace("[10m] offset 10m", "[8s] offset 8s");
                windows.replace("[10m]", "[8s]").replace("> 120", "> 3")
            }
        }
    };
    text.lines().map(|line| shorter(line) + "\n").collect()
}

struct Site {
    network: Network,
    kubectl: Kubectl,
}

impl Site {
    fn start(test: &str) -> Option<Self> {
        if !Prometheus::is_installed() {
            skip(test, "prometheus is not installed");
            return None;
        }
        let kubectl = kubectls_or_skip(test).pop()?;
        let arguments = ["--state-metrics", "127.0.0.1:0", "--image", "shell=/bin/sh"];
        let network = network_or_skip(test, PORTOLAN, &arguments)?;
        let kubectl = network.connect(&kubectl);
        Some(Self { network, kubectl })
    }

    /// Where the state metrics are, as `up` prints it.
    fn state_metrics(&self) -> String {
        let lines = self.network.lines();
        let line = lines.iter().find_map(|line| line.strip_prefix("metrics ")).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|rest| rest.split_once("/metrics"));
        address.unwrap().0.to_owned()
    }

    fn apply(&self, manifest: &str) {
        let output = self.kubectl.run(&["apply", "-f", "-"], manifest).unwrap();
        assert_eq!(output.code, 0, "{}", output.stderr);
    }
}

#[test]
fn alerts_on_objects_fire_in_their_scenario_and_not_in_what_looks_alike() {
    const TEST: &str = "alerts_on_objects_fire_in_their_scenario_and_not_in_what_looks_alike";
    let Some(site) = Site::start(TEST) else { return };
    // Both ways to know of endpoints, and an exporter that is older than slices with namespaces.
    let versions = [19, 17, 10];
    let files = versions.map(|version| (format!("v{version}.yaml"), rules(version)));
    let mut prometheus = Prometheus::new(site.network.home(), &files);
    prometheus.scrape("portolan", &site.state_metrics());
    let real = Upstream::start(&site);
    real.iter().for_each(|real| prometheus.scrape("upstream", &real.address));
    prometheus.start();
    let clusters = ["portolan"].into_iter().chain(real.is_some().then_some("upstream"));
    let scopes: Vec<_> =
        clusters.flat_map(|cluster| versions.map(|version| prometheus::Scope { version, cluster })).collect();
    let quiet = |what: &str| {
        for scope in &scopes {
            prometheus.settles(what, *scope, Firing::is_empty);
        }
    };

    site.apply(ALIKE);
    for deployment in ["alike", "alone"] {
        let name = format!("deployment/{deployment}");
        site.kubectl.ok(&["rollout", "status", "--timeout=60s", &name]).unwrap();
    }
    quiet("nothing to fire where all only looks wrong");

    site.apply(WRONG);
    site.kubectl.ok(&["delete", "service", "kept", "--wait=false"]).unwrap();
    for scope in &scopes {
        let expected = expected(scope.version);
        prometheus.settles("every scenario to be told", *scope, |firing| *firing == expected);
    }

    let finalizers = r#"{"metadata":{"finalizers":null}}"#;
    site.kubectl.ok(&["patch", "service", "kept", "--type=merge", "-p", finalizers]).unwrap();
    let output = site.kubectl.run(&["delete", "--ignore-not-found", "--wait=false", "-f", "-"], WRONG).unwrap();
    assert_eq!(output.code, 0, "{}", output.stderr);
    quiet("everything to be quiet again");
    drop((prometheus, real));
    site.network.stop().unwrap();
}

/// The real kube-state-metrics beside ours, if PORTOLAN_KSM names it: rules that are proven here are right there too.
struct Upstream {
    process: Child,
    address: String,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Upstream {
    fn start(site: &Site) -> Option<Self> {
        let program = std::env::var_os("PORTOLAN_KSM")?;
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (address, telemetry) = (free(), free());
        let process = Command::new(program)
            .args(["--resources=services,endpointslices,endpoints", "--host=127.0.0.1", "--telemetry-host=127.0.0.1"])
            .arg(format!("--kubeconfig={}", site.network.kubeconfig.display()))
            .arg(format!("--metric-labels-allowlist={}", portolan_diagnose::alerts::ALLOWED_LABELS))
            .arg(format!("--port={}", address.port()))
            .arg(format!("--telemetry-port={}", telemetry.port()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { process, address: address.to_string() })
    }
}

/// A network whose API server is scraped too, with everything well in it.
fn with_counters(test: &str) -> Option<(Site, Prometheus)> {
    let site = Site::start(test)?;
    let mut prometheus = Prometheus::new(site.network.home(), &[("v19.yaml".to_owned(), rules(19))]);
    prometheus.scrape("portolan", &site.state_metrics());
    prometheus.scrape_api("portolan", &site.kubectl);
    prometheus.start();
    site.apply(ALIKE);
    site.kubectl.ok(&["rollout", "status", "--timeout=60s", "deployment/alike"]).unwrap();
    prometheus.settles("nothing to fire while all is well", NEWEST, Firing::is_empty);
    Some((site, prometheus))
}

const NEWEST: prometheus::Scope<'static> = prometheus::Scope { version: 19, cluster: "portolan" };

/// Whether all of these fire, on whatever they are.
fn all_fire(firing: &Firing, alerts: &[&str]) -> bool {
    alerts.iter().all(|alert| firing.iter().any(|(name, _)| name == alert))
}

impl Site {
    fn breaks(&self, faults: &str) {
        let argument = format!("--from-literal=faults.yaml={faults}");
        self.kubectl.ok(&["-n", "kube-system", "create", "configmap", "portolan-faults", &argument]).unwrap();
    }

    fn mends(&self) {
        self.kubectl.ok(&["-n", "kube-system", "delete", "configmap", "portolan-faults"]).unwrap();
    }
}

#[test]
fn alerts_on_failing_writes_fire_while_the_api_refuses_slices() {
    const TEST: &str = "alerts_on_failing_writes_fire_while_the_api_refuses_slices";
    let Some((site, prometheus)) = with_counters(TEST) else { return };
    site.breaks(
        "- api: {verbs: [create, update], resources: [endpointslices], \
         error: {code: 403, reason: Forbidden, message: \"exceeded quota: tiny\"}}",
    );
    site.kubectl.ok(&["scale", "deployment/alike", "--replicas=3"]).unwrap();
    let failing = ["HighEndpointUpdateFailureRate", "EndpointSliceSyncFailing"];
    prometheus.becomes("the failing writes to be told", NEWEST, |firing| all_fire(firing, &failing));
    site.mends();
    prometheus.settles("everything to be quiet again", NEWEST, Firing::is_empty);
    drop(prometheus);
    site.network.stop().unwrap();
}

#[test]
fn alerts_on_what_serves_fire_while_proxies_names_and_balancers_are_broken() {
    const TEST: &str = "alerts_on_what_serves_fire_while_proxies_names_and_balancers_are_broken";
    let Some((site, prometheus)) = with_counters(TEST) else { return };
    let asking = "while true; do getent hosts served; sleep 0.2; done";
    let pod = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asking"},
        "spec": {"containers": [{"name": "shell", "image": "shell", "args": ["-c", asking]}]},
    });
    site.apply(&pod.to_string());
    site.breaks(
        "- proxy: {frozen: true}\n- dns: {answer: serverFailure}\n\
         - cloud: {faults: [{calls: [updateNodes], effect: {refuse: {code: RequestLimitExceeded}}}]}\n",
    );
    let broken = ["KubeProxyNotSyncing", "ClusterDNSFailing", "LoadBalancerNodesNotUpdated"];
    // Nodes come and go for the balancers, endpoints for the proxies.
    let label = "node.kubernetes.io/exclude-from-external-load-balancers";
    let mut round = 0;
    prometheus.becomes("what is broken to be told", NEWEST, |firing| {
        round += 1;
        let label = if round % 2 == 0 { format!("{label}-") } else { format!("{label}=true") };
        site.kubectl.ok(&["label", "--overwrite", "node", "node2", &label]).unwrap();
        let replicas = format!("--replicas={}", 2 + round % 2);
        site.kubectl.ok(&["scale", "deployment/alike", &replicas]).unwrap();
        all_fire(firing, &broken)
    });
    site.mends();
    site.kubectl.ok(&["delete", "pod", "asking", "--wait=false"]).unwrap();
    prometheus.settles("everything to be quiet again", NEWEST, Firing::is_empty);
    drop(prometheus);
    site.network.stop().unwrap();
}

/// Standard output, standard error and the exit code of `portolan alerts`.
fn alerts(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(PORTOLAN).arg("alerts").args(arguments).output().unwrap();
    let [out, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (out, error, output.status.code())
}

#[test]
fn the_command_prints_each_form_and_says_what_it_leaves_out() {
    let (rules, _, code) = alerts(&["--lang=en", "--kube-state-metrics=v2.16.0"]);
    assert!(code == Some(0) && rules.starts_with("# Alerts on Services for kube-state-metrics 2.16"), "{rules}");
    assert!(rules.contains("#   ServiceDeletionStuck: kube_service_deletion_timestamp exists since 2.17"), "{rules}");
    assert!(!rules.contains("alert: ServiceDeletionStuck"));

    let (json, error, code) = alerts(&["--kube-state-metrics=2.16", "-o", "json", "--format=prometheusrule"]);
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &object["kind"]), (Some(0), &"PrometheusRule".into()));
    assert!(error.contains("left out ServiceDeletionStuck"), "{error}");

    let (tests, _, code) = alerts(&["--lang=zh", "--tests", "--rules-file=a.yaml"]);
    assert!(code == Some(0) && tests.contains("- \"a.yaml\"") && tests.contains("没有就绪的后端"), "{tests}");

    let (_, error, code) = alerts(&["--kube-state-metrics=1.9"]);
    assert!(code == Some(2) && error.contains("write it as 2.19 or v2.19.1"), "{error}");
}
