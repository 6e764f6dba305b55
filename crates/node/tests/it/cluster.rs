//! An API server and nodes in one world.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, PostParams},
    runtime::wait::await_condition,
};
use portolan_apiserver::{Server, pki::Authority};
use portolan_events::{Recorder, Vocabulary};
use portolan_netns::Namespace;
use portolan_node::{Config, Program, StartError};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Cluster {
    pub server: Server,
    pub client: Client,
    pub authority: Authority,
    pub edge: Namespace,
    pub home: tempfile::TempDir,
}

pub struct RunningNode {
    pub name: String,
    pub address: Ipv4Addr,
    pub namespace: Namespace,
    pub config: Config,
    stop: CancellationToken,
    task: JoinHandle<Result<(), StartError>>,
}

impl Cluster {
    pub async fn new() -> Self {
        let server = Server::open(portolan_apiserver::Config::default()).await.unwrap();
        let client = server.client("admin", &["system:masters"]);
        let edge = Namespace::create().unwrap();
        let mut links = edge.links().unwrap();
        links.bridge("lan0").unwrap();
        links.add_address("lan0", "172.30.0.1/24".parse().unwrap()).unwrap();
        links.up("lan0").unwrap();
        let home = tempfile::tempdir().unwrap();
        Self { server, client, authority: Authority::ephemeral().unwrap(), edge, home }
    }

    /// Starts node `index`, 172.30.0.(10 + index) with pods 10.244.index.0/24, and waits until it is ready.
    pub async fn node(&self, index: u8) -> RunningNode {
        self.start(self.config(index)).await
    }

    /// The network and the configuration of a node.
    pub fn config(&self, index: u8) -> Config {
        let (name, address) = (format!("node{index}"), Ipv4Addr::new(172, 30, 0, 10 + index));
        let namespace = Namespace::create().unwrap();
        for (setting, value) in [("ip_forward", "1"), ("conf/all/rp_filter", "0"), ("conf/default/rp_filter", "0")] {
            namespace.sysctl(&format!("net/ipv4/{setting}"), value).unwrap();
        }
        let mut switch = self.edge.links().unwrap();
        switch.veth(&name, "eth0", &namespace).unwrap();
        switch.set_master(&name, "lan0").unwrap();
        switch.up(&name).unwrap();
        let mut links = namespace.links().unwrap();
        links.add_address("eth0", format!("{address}/24").parse().unwrap()).unwrap();
        links.up("eth0").unwrap();
        links.add_route(IpNet::default(), Some("172.30.0.1".parse().unwrap()), Some("eth0"), false).unwrap();
        let tls = self.authority.kubelet_server_config(&[address.to_string()]).unwrap();
        let root = self.home.path().join(&name);
        std::fs::create_dir_all(&root).unwrap();
        let resolv_conf = root.join("resolv.conf");
        std::fs::write(&resolv_conf, "nameserver 192.0.2.53\nsearch node.example\n").unwrap();
        Config {
            name,
            address: IpAddr::V4(address),
            pod_cidr: Ipv4Net::new(Ipv4Addr::new(10, 244, index, 0), 24).unwrap(),
            namespace: namespace.clone(),
            dns: vec!["10.96.0.10".parse().unwrap()],
            domain: "cluster.local".into(),
            images: images(),
            resolv_conf,
            root,
            kubelet_tls: Some(Arc::new(tls)),
            stop_deadline: Duration::from_secs(5),
            lost: CancellationToken::new(),
            metrics: Default::default(),
        }
    }

    /// Starts the agent of a node and waits until it is ready.
    pub async fn start(&self, config: Config) -> RunningNode {
        self.start_in(config, Vocabulary::Full).await
    }

    /// The same, with these words for its events.
    pub async fn start_in(&self, config: Config, vocabulary: Vocabulary) -> RunningNode {
        let IpAddr::V4(address) = config.address else { panic!("{:?}", config.address) };
        let client = self.server.client(&format!("system:node:{}", config.name), &["system:nodes"]);
        let recorder = Recorder::new(client.clone(), "kubelet", Some(config.name.clone()), vocabulary);
        let stop = CancellationToken::new();
        let task = tokio::spawn(portolan_node::run(client, recorder, config.clone(), stop.clone()));
        self.node_until(&config.name, |node| {
            let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
            conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        })
        .await;
        let namespace = config.namespace.clone();
        RunningNode { name: config.name.clone(), address, namespace, config, stop, task }
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Creates a pod on a node; `spec` may leave out what is usual.
    pub async fn pod(&self, node: &RunningNode, name: &str, spec: Value) -> Pod {
        self.pod_on(&node.name, name, spec).await
    }

    /// Creates a pod on a node that need not run.
    pub async fn pod_on(&self, node: &str, name: &str, spec: Value) -> Pod {
        let mut spec = spec;
        spec["nodeName"] = json!(node);
        let pod = json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": spec});
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap()
    }

    /// Deletes a pod with its grace period, or the given one.
    pub async fn delete(&self, name: &str, grace: Option<u32>) {
        let options = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
        self.pods().delete(name, &options).await.unwrap();
    }

    /// Waits until the object is as wished and returns it.
    async fn until<K>(&self, api: Api<K>, name: &str, wish: impl Fn(&K) -> bool) -> K
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
        K::DynamicType: Default,
    {
        let condition = await_condition(api.clone(), name, |object: Option<&K>| object.is_some_and(&wish));
        match tokio::time::timeout(PATIENCE, condition).await {
            Ok(object) => object.unwrap().unwrap(),
            Err(_) => panic!("{name} is not as wished: {:#?}", api.get_opt(name).await),
        }
    }

    pub async fn node_until(&self, name: &str, wish: impl Fn(&Node) -> bool) -> Node {
        self.until(Api::all(self.client.clone()), name, wish).await
    }

    pub async fn pod_until(&self, name: &str, wish: impl Fn(&Pod) -> bool) -> Pod {
        self.until(self.pods(), name, wish).await
    }

    pub async fn gone(&self, name: &str) {
        let condition = await_condition(self.pods(), name, |pod: Option<&Pod>| pod.is_none());
        let waited = tokio::time::timeout(PATIENCE, condition).await;
        waited.unwrap_or_else(|_| panic!("{name} is still there")).unwrap();
    }

    /// The events about an object, once `wish` holds for their list of "reason: message".
    pub async fn events_until(&self, name: &str, wish: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let events = Api::<Event>::all(self.client.clone());
            let events = events.list(&ListParams::default()).await.unwrap().items;
            let mut events: Vec<_> =
                events.into_iter().filter(|event| event.involved_object.name.as_deref() == Some(name)).collect();
            events.sort_by_key(|event| event.first_timestamp.clone());
            let texts = events
                .into_iter()
                .map(|event| format!("{}: {}", event.reason.unwrap_or_default(), event.message.unwrap_or_default()));
            let texts: Vec<_> = texts.collect();
            if wish(&texts) {
                return texts;
            }
            assert!(tokio::time::Instant::now() < deadline, "{name}: {texts:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl RunningNode {
    /// Stops the agent and waits for it.
    pub async fn stop(self) -> Config {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
        self.config
    }
}

/// Programs that are on every machine, and this test binary as the echo server.
fn images() -> BTreeMap<String, Program> {
    let echo = Program {
        path: std::env::current_exe().unwrap(),
        arguments: ["echo_image", "--exact", "--nocapture", "--include-ignored"].map(str::to_owned).to_vec(),
    };
    let shell = Program { path: PathBuf::from("/bin/sh"), arguments: vec!["-c".into()] };
    BTreeMap::from([("portolan/echo".into(), echo), ("shell".into(), shell)])
}

/// A shell that serves until it is told to stop.
pub fn forever() -> Value {
    json!({"name": "main", "image": "shell", "args": ["trap 'exit 0' TERM; sleep 1000 & wait"]})
}

pub fn is_ready(pod: &Pod) -> bool {
    portolan_objects::pod::is_ready(pod)
}

/// The first container's status.
pub fn container(pod: &Pod) -> Value {
    let status = serde_json::to_value(pod.status.as_ref().unwrap()).unwrap();
    status["containerStatuses"][0].clone()
}

pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

pub fn ip(pod: &Pod) -> IpAddr {
    portolan_objects::pod::ips(pod)[0]
}

/// Whether the test is inside a world; `test` is its path.
pub fn inside(test: &str) -> bool {
    portolan_netns::world::enter_for_test(test)
}
