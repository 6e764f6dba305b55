//! A real Prometheus of the test's own: in its own directory, on its own port, killed at the end.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use portolan_testkit::Kubectl;
use serde_json::Value;

use super::Firing;
use crate::until;

const PATIENCE: Duration = Duration::from_secs(10);
/// Evaluations, half a second apart, in which nothing may change.
const STEADY: usize = 6;

/// Which alerts are meant: of the rules for a version of kube-state-metrics 2, over what is scraped under a name.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    pub version: u16,
    pub cluster: &'a str,
}

pub struct Prometheus {
    directory: PathBuf,
    address: SocketAddr,
    config: String,
    process: Option<Child>,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

impl Prometheus {
    pub fn is_installed() -> bool {
        let version = Command::new("prometheus").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    }

    /// With files of rules; nothing is scraped yet.
    pub fn new(home: &Path, rules: &[(String, String)]) -> Self {
        let directory = home.join("prometheus");
        std::fs::create_dir(&directory).unwrap();
        let mut config =
            "global: {scrape_interval: 500ms, evaluation_interval: 500ms, scrape_timeout: 500ms}\nrule_files:\n"
                .to_owned();
        for (name, text) in rules {
            std::fs::write(directory.join(name), text).unwrap();
            writeln!(config, "  - {name}").unwrap();
        }
        config += "scrape_configs:\n";
        // It cannot be given a listener: the port is free a moment before it is opened.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        Self { directory, address, config, process: None }
    }

    /// Scrapes state metrics over plain HTTP.
    pub fn scrape(&mut self, cluster: &str, address: &str) {
        let targets = format!("[{{targets: [\"{address}\"], labels: {{cluster: {cluster}}}}}]");
        writeln!(
            self.config,
            "  - {{job_name: kube-state-metrics-{cluster}, honor_labels: true, static_configs: {targets}}}"
        )
        .unwrap();
    }

    /// Scrapes the API server as the user of the kubeconfig.
    pub fn scrape_api(&mut self, cluster: &str, kubectl: &Kubectl) {
        let show = |template: &str| {
            let template = format!("go-template={template}");
            kubectl.ok(&["config", "view", "--raw", "-o", &template]).unwrap()
        };
        let server = show("{{(index .clusters 0).cluster.server}}");
        let address = server.trim().strip_prefix("https://").unwrap();
        for (file, field) in [
            ("ca.crt", "(index (index .clusters 0).cluster \"certificate-authority-data\")"),
            ("client.crt", "(index (index .users 0).user \"client-certificate-data\")"),
            ("client.key", "(index (index .users 0).user \"client-key-data\")"),
        ] {
            std::fs::write(self.directory.join(file), show(&format!("{{{{{field} | base64decode}}}}"))).unwrap();
        }
        let tls = "{ca_file: ca.crt, cert_file: client.crt, key_file: client.key}";
        let targets = format!("[{{targets: [\"{address}\"], labels: {{cluster: {cluster}}}}}]");
        writeln!(
            self.config,
            "  - {{job_name: kubernetes, scheme: https, tls_config: {tls}, static_configs: {targets}}}"
        )
        .unwrap();
    }

    /// Starts it and waits until it answers.
    pub fn start(&mut self) {
        std::fs::write(self.directory.join("prometheus.yml"), &self.config).unwrap();
        let log = std::fs::File::create(self.directory.join("log")).unwrap();
        let process = Command::new("prometheus")
            .current_dir(&self.directory)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={}", self.address))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        until("Prometheus", 60, || match self.get("/-/ready") {
            Some(body) if body.contains("Ready") => Ok(()),
            _ => Err(std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()),
        });
    }

    fn firing(&self, scope: Scope<'_>) -> Result<Firing, String> {
        let body = self.get("/api/v1/alerts").ok_or("Prometheus does not answer")?;
        let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        let alerts = answer["data"]["alerts"].as_array().ok_or_else(|| body.clone())?;
        let rules = format!("v{}", scope.version);
        // An alert on what is not there has no cluster.
        let cluster = |alert: &Value| alert["labels"].get("cluster").is_none_or(|cluster| cluster == scope.cluster);
        let ours = |alert: &&Value| alert["labels"]["rules"] == *rules && cluster(alert) && alert["state"] == "firing";
        let ours = alerts.iter().filter(ours);
        let text = |alert: &Value, label: &str| alert["labels"][label].as_str().unwrap_or_default().to_owned();
        Ok(ours.map(|alert| (text(alert, "alertname"), text(alert, "service"))).collect())
    }

    /// Waits for a state of what fires.
    pub fn becomes(&self, what: &str, scope: Scope<'_>, state: impl FnMut(&Firing) -> bool) {
        self.holds(what, scope, 1, state);
    }

    /// Waits for a state of what fires, and for several evaluations that leave it so.
    pub fn settles(&self, what: &str, scope: Scope<'_>, state: impl FnMut(&Firing) -> bool) {
        self.holds(what, scope, STEADY, state);
    }

    fn holds(&self, what: &str, scope: Scope<'_>, evaluations: usize, mut state: impl FnMut(&Firing) -> bool) {
        let mut steady = 0;
        let mut last = String::new();
        until(&format!("{what}, {scope:?}"), 90, || {
            let evaluated = self.evaluated()?;
            if evaluated == last {
                return Err(format!("no evaluation since {last}"));
            }
            last = evaluated;
            let firing = self.firing(scope)?;
            steady = if state(&firing) { steady + 1 } else { 0 };
            if steady >= evaluations { Ok(()) } else { Err(format!("{firing:?} fire")) }
        });
    }

    /// When the rules were last evaluated; a group that could not be evaluated ends the test.
    fn evaluated(&self) -> Result<String, String> {
        let body = self.get("/api/v1/rules").ok_or("Prometheus does not answer")?;
        let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        let groups = answer["data"]["groups"].as_array().ok_or_else(|| body.clone())?;
        for rule in groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten()) {
            assert_ne!(rule["health"], "err", "{rule}");
        }
        let times = groups.iter().map(|group| group["lastEvaluation"].as_str().unwrap_or_default());
        // A round is over when the group that is behind the others has been evaluated too.
        times.min().map(str::to_owned).ok_or_else(|| "there are no groups".to_owned())
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: prometheus\r\n\r\n").ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        Some(text.split_once("\r\n\r\n")?.1.to_owned())
    }
}
