//! Unmodified kubectl of two minors over TLS. Fetched by `cargo xtask test` into `target/clients/kubectl-<minor>/kubectl`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use portolan_apiserver::pki::Authority;
use tokio_util::sync::CancellationToken;

use super::*;

mod from_flags;
mod manifests;

const MANIFEST: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: echo, image: portolan/echo}]}
"#;

/// One kubectl with its own server and home.
struct Kubectl {
    program: PathBuf,
    home: tempfile::TempDir,
    stop: CancellationToken,
    server: Arc<Server>,
}

impl Kubectl {
    async fn start(test: &str, minor: &str) -> Option<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
        let program = target.join(format!("clients/kubectl-{minor}/kubectl"));
        if !program.exists() {
            portolan_netns::world::skip(
                test,
                &format!("no kubectl {minor} in target/clients; `cargo xtask clients` fetches it"),
            );
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(home.path()).unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        std::fs::write(home.path().join("config"), authority.kubeconfig(&url, "admin", "system:masters").unwrap())
            .unwrap();
        std::fs::write(home.path().join("web.yaml"), MANIFEST).unwrap();
        std::fs::write(home.path().join("changed.yaml"), MANIFEST.replace("port: 80,", "port: 81,")).unwrap();
        let server = Arc::new(Server::open(Config::default()).await.unwrap());
        let tls = Arc::new(authority.server_config(&["127.0.0.1".to_owned()]).unwrap());
        let stop = CancellationToken::new();
        let serving = (server.clone(), stop.clone());
        tokio::spawn(async move { serving.0.serve(listener, tls, serving.1).await });
        Some(Self { program, home, stop, server })
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(shell_words(arguments))
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("config"))
            .stdin(Stdio::null());
        command
    }

    async fn run(&self, arguments: &str) -> Output {
        let mut command = self.command(arguments);
        if arguments.starts_with("edit") {
            command.env("KUBE_EDITOR", "sed -i s/hello/goodbye/");
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        tokio::time::timeout(Duration::from_secs(60), output).await.expect(arguments).unwrap()
    }

    /// Output of a command that must succeed.
    async fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "kubectl {arguments}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// Error text of a command that must fail.
    async fn fails(&self, arguments: &str) -> String {
        let output = self.run(arguments).await;
        assert!(!output.status.success(), "kubectl {arguments} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn says(&self, arguments: &str, expected: &[&str]) {
        let text = self.ok(arguments).await;
        for part in expected {
            assert!(text.contains(part), "kubectl {arguments}: no {part:?} in\n{text}");
        }
    }
}

/// Splits at blanks outside of single quotes.
fn shell_words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (index, part) in text.split('\'').enumerate() {
        if index % 2 == 1 {
            words.last_mut().unwrap().push_str(part);
            continue;
        }
        let mut pieces = part.split(' ');
        words.last_mut().unwrap().push_str(pieces.next().unwrap());
        words.extend(pieces.map(str::to_owned));
    }
    words.retain(|word| !word.is_empty());
    words
}

async fn everyday_work(test: &str, minor: &str) {
    let Some(kubectl) = Kubectl::start(test, minor).await else { return };
    reads(&kubectl).await;
    writes(&kubectl).await;
    refusals(&kubectl).await;
    watches(&kubectl).await;
    kubectl.stop.cancel();
    drop(kubectl.server);
}

async fn reads(kubectl: &Kubectl) {
    kubectl.says("version", &["Server Version: v1.36"]).await;
    kubectl.says("api-resources", &["deployments", "apps/v1", "svc"]).await;
    kubectl.says("get svc", &["CLUSTER-IP", "kubernetes", "10.96.0.1", "443/TCP"]).await;
    kubectl.says("get svc -A -o wide", &["NAMESPACE", "SELECTOR", "default"]).await;
    kubectl.says("explain svc.spec.ports", &["ServicePort", "nodePort"]).await;
    kubectl.says("auth whoami", &["Username", "admin", "system:masters"]).await;
    kubectl.says("auth can-i delete nodes", &["yes"]).await;
    kubectl.says("auth can-i --list", &["*.*"]).await;
    kubectl.says("get servicecidr,ipaddress", &["10.96.0.0/16", "services/default/kubernetes"]).await;
}

async fn writes(kubectl: &Kubectl) {
    kubectl.says("apply -f web.yaml", &["service/web created", "deployment.apps/web created"]).await;
    kubectl.says("apply -f web.yaml", &["service/web unchanged"]).await;
    kubectl.says("apply -f changed.yaml", &["service/web configured", "deployment.apps/web unchanged"]).await;
    kubectl.says("get all", &["service/web", "deployment.apps/web", "0/3", "<pending>", "81:"]).await;
    kubectl.ok("label svc web tier=front").await;
    kubectl.ok("annotate svc web note=hello").await;
    kubectl.says("edit svc web", &["service/web edited"]).await;
    kubectl.says("get svc web -o jsonpath={.metadata.annotations.note}", &["goodbye"]).await;
    kubectl.ok(r#"patch svc web -p '{"spec":{"ports":[{"port":81,"nodePort":31234}]}}'"#).await;
    kubectl
        .ok(r#"patch svc web --type=json -p '[{"op":"replace","path":"/spec/sessionAffinity","value":"ClientIP"}]'"#)
        .await;
    kubectl
        .ok(r#"patch svc web --subresource=status --type=merge -p '{"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.7"}]}}}'"#)
        .await;
    kubectl.says("get svc web", &["203.0.113.7", "81:31234/TCP"]).await;
    kubectl.says("describe svc web", &["LoadBalancer Ingress:", "203.0.113.7", "Session Affinity:", "ClientIP"]).await;
    kubectl.ok("scale deploy web --replicas=5").await;
    kubectl.says("get deploy web -o jsonpath={.spec.replicas}", &["5"]).await;
    kubectl.says("wait --for=jsonpath={.spec.replicas}=5 deploy/web --timeout=20s", &["condition met"]).await;
    kubectl.ok("apply -f web.yaml --dry-run=server").await;
    kubectl.says("get svc -l tier=front --field-selector metadata.name=web -o name", &["service/web"]).await;
    kubectl.says("delete -f web.yaml", &["\"web\" deleted"]).await;
    kubectl.says("create -f web.yaml", &["service/web created"]).await;
    kubectl.ok("delete svc web --dry-run=server").await;
    kubectl.ok("delete deploy web --cascade=background").await;
}

async fn refusals(kubectl: &Kubectl) {
    assert!(kubectl.fails("get svc nothing").await.contains("(NotFound): services \"nothing\" not found"));
    assert!(kubectl.fails("create -f web.yaml").await.contains("AlreadyExists"));
    assert!(kubectl.fails("get wheels").await.contains("doesn't have a resource type"));
    assert!(kubectl.fails("-n nowhere create -f web.yaml").await.contains("namespaces \"nowhere\" not found"));
    let invalid = r#"patch svc web -p '{"spec":{"type":"Magic"}}'"#;
    assert!(kubectl.fails(invalid).await.contains("spec.type"));
}

/// `get -w`: the state, then a change made while it runs.
async fn watches(kubectl: &Kubectl) {
    let mut command = kubectl.command("get svc -w --output-watch-events");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    let (send, mut lines) = tokio::sync::mpsc::channel(64);
    std::thread::spawn(move || {
        for line in std::io::BufRead::lines(output).map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut changed = false;
    let seen = async {
        loop {
            let line = lines.recv().await.expect("kubectl goes on");
            if line.starts_with("ADDED") && line.contains("web") {
                kubectl.ok("label svc web seen=yes").await;
                changed = true;
            }
            if line.starts_with("MODIFIED") && line.contains("web") {
                return;
            }
        }
    };
    let result = tokio::time::timeout(Duration::from_secs(30), seen).await;
    child.kill().unwrap();
    child.wait().unwrap();
    result.expect("the change is seen");
    assert!(changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_1_32_does_everyday_work() {
    everyday_work("kubectl_1_32_does_everyday_work", "1.32").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_1_36_does_everyday_work() {
    everyday_work("kubectl_1_36_does_everyday_work", "1.36").await;
}
