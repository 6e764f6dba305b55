//! What every part of one node agent shares: its configuration, the API, the addresses of its pods, and the words in
//! which it reports.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Pod, Secret};
use kube::{Api, Client};
use portolan_alloc::PodAddresses;
use portolan_catalogue::{Reason, Severity};
use portolan_events::{Recorder, Vocabulary};
use portolan_netns::Namespace;
use portolan_objects::{ObjectKey, pod as reading};
use portolan_runtime::describe;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Config, Program,
    environment::{self, References, Sources},
    hostports::{self, HostPorts, Rules},
    logs::Hub,
    process::{Isolation, Launcher},
    resolv,
    services::Services,
    status::State,
    worker::Reports,
};

/// One node agent.
pub struct Agent {
    /// As configured.
    pub config: Config,
    /// The API.
    pub client: Client,
    /// Starts processes.
    pub launcher: Launcher,
    /// The addresses of the pods.
    pub addresses: Addresses,
    /// The networks of the pods.
    pub networks: Networks,
    /// The ports of the node that pods have.
    pub host_ports: Arc<HostPorts>,
    /// What leads them to the pods.
    pub rules: Arc<Rules>,
    /// The logs of running containers.
    pub logs: Hub,
    /// The tasks of all pods.
    pub tasks: TaskTracker,
    /// Cancelled when all pods have to end.
    pub halt: CancellationToken,
    /// How many sandboxes are made or removed at a time: the kernel takes them one by one anyway.
    pub sandboxes: Semaphore,
    /// The Services that containers are told of.
    pub services: Services,
    /// Told when the API shows the node as not ready although it is.
    pub doubted: Notify,
    recorder: Recorder,
    /// What is known about the pods here, for those who ask by name.
    reports: Mutex<HashMap<ObjectKey, Weak<Reports>>>,
}

impl Agent {
    /// An agent with no pods.
    pub fn new(client: Client, recorder: Recorder, config: Config, launcher: Launcher) -> Self {
        // Kubernetes does not notice processes, see `hostports`.
        let binds = recorder.vocabulary() == Vocabulary::Full;
        Self {
            addresses: Addresses::new(config.pod_cidr),
            networks: Networks::default(),
            host_ports: Arc::new(HostPorts::new(config.namespace.clone(), binds)),
            rules: Arc::new(Rules::new(config.namespace.clone())),
            config,
            client,
            launcher,
            logs: Hub::default(),
            tasks: TaskTracker::new(),
            halt: CancellationToken::new(),
            sandboxes: Semaphore::new(2),
            services: Services::default(),
            doubted: Notify::new(),
            recorder,
            reports: Mutex::default(),
        }
    }

    /// Reports an event on an object.
    pub fn event(&self, regarding: &ObjectReference, reason: Reason, message: impl Into<String>) {
        self.recorder.event(regarding, reason, message);
    }

    /// The same with a type of its own: some reasons are bad news in one place and no news in another.
    pub fn event_as(&self, severity: Severity, regarding: &ObjectReference, reason: Reason, message: &str) {
        self.recorder.event_as(severity, regarding, reason, message);
    }

    /// Whose words the events use.
    pub fn vocabulary(&self) -> Vocabulary {
        self.recorder.vocabulary()
    }

    /// The node as events name it. `kubectl describe node` looks for its uid and for its name in place of one; kubelets of
    /// today leave both out, and so their events are missing there.
    pub fn node_reference(&self) -> ObjectReference {
        let name = self.config.name.clone();
        let uid = (self.vocabulary() == Vocabulary::Full).then(|| name.clone());
        ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Node".into()),
            name: Some(name),
            uid,
            ..ObjectReference::default()
        }
    }

    /// Says once, at the start, what pods will not get of the node's own resolv.conf.
    pub fn check_resolv_conf(&self) {
        let path = &self.config.resolv_conf;
        if let Some(text) = resolv::check(path, &self.config.domain) {
            self.event(&self.node_reference(), Reason::CheckLimitsForResolvConf, text);
        }
    }

    /// What a pod had in an earlier life of the agent stays its own, if it is still free: address and host ports.
    pub fn keep(&self, pod: &Pod) {
        let (Some(uid), Some(spec)) = (&pod.metadata.uid, &pod.spec) else { return };
        let addresses = reading::ips(pod);
        let Some(first) = addresses.first() else { return };
        self.host_ports.keep(uid, &ObjectKey::of(pod), &hostports::of_spec(spec));
        if let (false, IpAddr::V4(address)) = (spec.host_network == Some(true), first) {
            self.addresses.keep(uid, *address);
        }
    }

    /// The pod is gone and never had a worker: what was kept for it is free.
    pub fn forget(&self, pod: &Pod) {
        if let Some(uid) = &pod.metadata.uid {
            self.host_ports.release(uid);
            self.addresses.release(uid);
        }
    }

    /// Remembers where the state of a pod is told.
    pub fn know(&self, key: &ObjectKey, reports: &Arc<Reports>) {
        let mut known = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, reports| reports.strong_count() > 0);
        known.insert(key.clone(), Arc::downgrade(reports));
    }

    /// Why a container waits, in one word; `None` if there is no such container or it does not wait.
    pub fn waiting_reason(&self, namespace: &str, pod: &str, container: &str) -> Option<String> {
        let key = ObjectKey { namespace: namespace.into(), name: pod.into() };
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner).get(&key)?.upgrade()?;
        match &reports.snapshot().container(container)?.state {
            State::Waiting { reason, .. } => Some(reason.clone()),
            _ => None,
        }
    }

    /// Where the files and logs of a pod are.
    pub fn directory(&self, pod: &Pod) -> PathBuf {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let metadata = &pod.metadata;
        let name = format!("{}_{}_{}", text(&metadata.namespace), text(&metadata.name), text(&metadata.uid));
        self.pods_directory().join(name)
    }

    /// Where the files and logs of all pods are.
    pub fn pods_directory(&self) -> PathBuf {
        self.config.root.join("pods")
    }

    /// The program that an image stands for. A tag, and the registry that is the usual default, do not matter.
    pub fn image(&self, name: &str) -> Option<&Program> {
        find_image(&self.config.images, name)
    }

    /// Looks up what a container's environment refers to.
    ///
    /// # Errors
    /// If the API does not answer; what does not exist is recorded as such.
    pub async fn sources(&self, namespace: &str, names: &References) -> Result<Sources, String> {
        let mut sources = Sources::default();
        let config_maps = Api::<ConfigMap>::namespaced(self.client.clone(), namespace);
        for name in &names.config_maps {
            let found = config_maps.get_opt(name).await.map_err(|error| describe(&error))?;
            sources.config_maps.insert(name.clone(), found.map(environment::config_map_values));
        }
        let secrets = Api::<Secret>::namespaced(self.client.clone(), namespace);
        for name in &names.secrets {
            let found = secrets.get_opt(name).await.map_err(|error| describe(&error))?;
            sources.secrets.insert(name.clone(), found.map(environment::secret_values));
        }
        Ok(sources)
    }
}

fn find_image<'a>(images: &'a BTreeMap<String, Program>, name: &str) -> Option<&'a Program> {
    let untagged = match name.rsplit_once(':') {
        Some((untagged, tag)) if !tag.contains('/') => untagged,
        _ => name,
    };
    let candidates = [name, untagged].into_iter().flat_map(|name| {
        let local = name.strip_prefix("docker.io/").unwrap_or(name);
        [name, local, local.strip_prefix("library/").unwrap_or(local)]
    });
    candidates.into_iter().find_map(|candidate| images.get(candidate))
}

/// The addresses of a node's pods, by the pods' uids.
#[derive(Debug)]
pub struct Addresses {
    book: Mutex<Book>,
    range: Ipv4Net,
    freed: watch::Sender<()>,
}

#[derive(Debug)]
struct Book {
    pool: PodAddresses,
    held: HashMap<String, Ipv4Addr>,
}

impl Addresses {
    fn new(range: Ipv4Net) -> Self {
        let book = Book { pool: PodAddresses::new(range), held: HashMap::new() };
        Self { book: Mutex::new(book), range, freed: watch::Sender::new(()) }
    }

    /// The range they are from.
    pub fn range(&self) -> Ipv4Net {
        self.range
    }

    /// Tells when any address comes back. Subscribe before taking.
    pub fn freed(&self) -> watch::Receiver<()> {
        self.freed.subscribe()
    }

    /// Keeps an address that the pod had in an earlier life of the agent, if it is still free.
    pub fn keep(&self, uid: &str, address: Ipv4Addr) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if !book.held.contains_key(uid) && book.pool.reserve(address) {
            book.held.insert(uid.to_owned(), address);
        }
    }

    /// The pod's address, a new one if it has none; `None` if all are in use.
    pub fn take(&self, uid: &str) -> Option<Ipv4Addr> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = book.held.get(uid) {
            return Some(*address);
        }
        let address = book.pool.allocate()?;
        book.held.insert(uid.to_owned(), address);
        Some(address)
    }

    /// Frees the pod's address.
    pub fn release(&self, uid: &str) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = book.held.remove(uid) {
            book.pool.release(address);
            self.freed.send_replace(());
        }
    }
}

/// The networks of the pods, for those who want to look into them. Nothing is kept alive by being here.
#[derive(Debug, Default)]
pub struct Networks(Mutex<HashMap<ObjectKey, Weak<Isolation>>>);

impl Networks {
    /// The pod has been given its network.
    pub fn add(&self, key: ObjectKey, isolation: &Arc<Isolation>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, isolation| isolation.strong_count() > 0);
        known.insert(key, Arc::downgrade(isolation));
    }

    /// Those that are there, in the order of their pods.
    pub fn all(&self) -> Vec<(ObjectKey, Namespace)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there =
            known.iter().filter_map(|(key, isolation)| Some((key.clone(), isolation.upgrade()?.network.clone())));
        let mut all: Vec<_> = there.collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

/// The log directory of a container, found by names alone: the API asks for logs by namespace and pod. Of several pods
/// of that name the latest.
pub fn log_directory(pods: &Path, namespace: &str, pod: &str, container: &str) -> Option<PathBuf> {
    let prefix = format!("{namespace}_{pod}_");
    let entries = std::fs::read_dir(pods).ok()?.flatten();
    let of_pod = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    let dated = of_pod.filter_map(|entry| Some((entry.metadata().ok()?.created().ok(), entry.path())));
    let (_, latest) = dated.max()?;
    Some(latest.join(container))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn images_are_found_without_tag_and_default_registry() {
        let image = || Program { path: "/bin/sh".into(), arguments: vec![] };
        let names = ["portolan/echo", "busybox", "tagged:1", "reg:5000/x"];
        let images = names.into_iter().map(|name| (name.to_owned(), image())).collect();
        let rows = [
            ("portolan/echo", true),
            ("portolan/echo:latest", true),
            ("docker.io/portolan/echo:1.0", true),
            ("docker.io/library/busybox:1", true),
            ("busybox", true),
            ("tagged:1", true),
            ("tagged", false),
            ("reg:5000/x", true),
            ("reg:5000/x:2", true),
            ("nginx", false),
        ];
        for (name, found) in rows {
            assert_eq!(find_image(&images, name).is_some(), found, "{name}");
        }
    }

    #[test]
    fn a_pod_keeps_its_address_until_it_is_released() {
        let addresses = Addresses::new("10.244.1.0/29".parse().unwrap());
        addresses.keep("a", Ipv4Addr::new(10, 244, 1, 4));
        addresses.keep("b", Ipv4Addr::new(10, 244, 1, 4));
        assert_eq!(addresses.take("a"), Some(Ipv4Addr::new(10, 244, 1, 4)));
        let others: Vec<_> = ["b", "c", "d", "e"].iter().map(|uid| addresses.take(uid)).collect();
        assert_eq!(others.iter().flatten().count(), 4);
        assert_eq!(addresses.take("f"), None);
        addresses.release("a");
        assert_eq!(addresses.take("f"), Some(Ipv4Addr::new(10, 244, 1, 4)));
    }
}
