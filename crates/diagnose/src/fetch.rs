//! The only I/O: reads what a diagnosis needs, all at once, each with a time limit. Never writes.
//!
//! A whole cluster costs twelve LISTs, answered from the API server's watch cache (resourceVersion 0), so that it does not
//! bother etcd. One namespace costs the same kinds in that namespace, and the system's namespace for DNS and proxies.

use std::{fmt::Debug, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    Metadata, NamespaceResourceScope,
    api::{
        apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
        core::v1::{Endpoints, Event, Namespace, Node, Pod, PodTemplateSpec, Service},
        discovery::v1::EndpointSlice,
        networking::v1::{IPAddress, NetworkPolicy, ServiceCIDR},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{Api, Client, Resource, api::ListParams};
use portolan_objects::{ObjectKey, service};
use serde::de::DeserializeOwned;

use crate::{
    Index,
    checks::alias::named_service,
    slim::Slim,
    snapshot::{SYSTEM_NAMESPACE, Scope, Snapshot, Unread, Workload},
};

/// One request may take this long.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A list of a whole cluster may be hundreds of megabytes.
const LONG: Duration = Duration::from_secs(60);
/// So many aliases are followed from one Service.
const HOPS: usize = 8;
/// Most objects of a list that only serves to find what was meant.
const SOME: u32 = 500;

/// The cluster could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The API refused or could not be reached.
    #[error("cannot read Services ({scope}); check the address and the rights of the kubeconfig")]
    Services {
        /// Where.
        scope: String,
        /// What the client said.
        #[source]
        source: kube::Error,
    },
    /// The API did not answer in time.
    #[error("the API did not answer within {} s when asked for Services ({scope})", limit.as_secs())]
    TimedOut {
        /// Where.
        scope: String,
        /// The limit.
        limit: Duration,
    },
}

/// Reads the whole cluster.
///
/// # Errors
/// Services could not be listed. Anything else that could not be read is noted in [`Snapshot::unread`].
pub async fn cluster(client: Client) -> Result<Snapshot, SnapshotError> {
    let reader = Reader { client, from_cache: true, limit: LONG };
    let mut snapshot = Snapshot::empty(Time(Timestamp::now()), Scope::Cluster);
    snapshot.services = reader.services(None).await?;
    reader.namespaced(&mut snapshot, None).await;
    reader.cluster_wide(&mut snapshot).await;
    Ok(snapshot)
}

/// Reads one namespace, the system's, and what belongs to none.
///
/// # Errors
/// Services of the namespace could not be listed. Anything else that could not be read is noted in
/// [`Snapshot::unread`].
pub async fn namespace(client: Client, namespace: &str) -> Result<Snapshot, SnapshotError> {
    Reader { client, from_cache: false, limit: TIMEOUT }.namespace(namespace).await
}

/// As [`namespace`] for that of the Service `key`; if the Service or its pods are not there, what was probably meant
/// elsewhere is read as well.
///
/// # Errors
/// As [`namespace`].
pub async fn around(client: Client, key: &ObjectKey) -> Result<Snapshot, SnapshotError> {
    let reader = Reader { client, from_cache: false, limit: TIMEOUT };
    let mut snapshot = reader.namespace(&key.namespace).await?;
    reader.records(&mut snapshot, key).await;
    reader.aliases(&mut snapshot, key).await;
    reader.elsewhere(&mut snapshot, key).await;
    Ok(snapshot)
}

/// The caller's pod, if it lives elsewhere. Best effort: without it the answer is that of a caller anywhere.
pub(crate) async fn caller(client: &Client, snapshot: &mut Snapshot, key: &ObjectKey) {
    if snapshot.covers(&key.namespace) {
        return;
    }
    let api = Api::<Pod>::namespaced(client.clone(), &key.namespace);
    if let Ok(Ok(Some(mut pod))) = tokio::time::timeout(TIMEOUT, api.get_opt(&key.name)).await {
        pod.slim();
        snapshot.pods.push(pod);
    }
}

struct Reader {
    client: Client,
    from_cache: bool,
    limit: Duration,
}

/// A list, and what was wrong with it.
struct Listed<T> {
    items: Vec<T>,
    problem: Option<Unread>,
}

impl<T> Listed<T> {
    fn into(self, unread: &mut Vec<Unread>) -> Vec<T> {
        unread.extend(self.problem);
        self.items
    }
}

impl Reader {
    async fn namespace(&self, namespace: &str) -> Result<Snapshot, SnapshotError> {
        let mut snapshot = Snapshot::empty(Time(Timestamp::now()), Scope::Namespace(namespace.to_owned()));
        snapshot.services = self.services(Some(namespace)).await?;
        self.namespaced(&mut snapshot, Some(namespace)).await;
        self.cluster_wide(&mut snapshot).await;
        if namespace != SYSTEM_NAMESPACE {
            self.system(&mut snapshot).await;
        }
        Ok(snapshot)
    }

    async fn services(&self, namespace: Option<&str>) -> Result<Vec<Service>, SnapshotError> {
        let scope = || namespace.map_or_else(|| "all namespaces".to_owned(), |name| format!("namespace {name}"));
        let api = self.api::<Service>(namespace);
        match tokio::time::timeout(self.limit, api.list(&self.parameters())).await {
            Ok(Ok(mut list)) => {
                list.items.iter_mut().for_each(Slim::slim);
                Ok(list.items)
            }
            Ok(Err(source)) => Err(SnapshotError::Services { scope: scope(), source }),
            Err(_) => Err(SnapshotError::TimedOut { scope: scope(), limit: self.limit }),
        }
    }

    /// What lives in namespaces, but for the Services.
    async fn namespaced(&self, snapshot: &mut Snapshot, namespace: Option<&str>) {
        let (slices, endpoints, pods, events, policies, workloads) = tokio::join!(
            self.list("endpointslices", true, self.api::<EndpointSlice>(namespace)),
            self.list("endpoints", false, self.api::<Endpoints>(namespace)),
            self.list("pods", true, self.api::<Pod>(namespace)),
            self.list("events", false, self.api::<Event>(namespace)),
            self.list("networkpolicies", false, self.api::<NetworkPolicy>(namespace)),
            self.workloads(namespace),
        );
        let unread = &mut snapshot.unread;
        snapshot.slices = slices.into(unread);
        snapshot.endpoints = endpoints.into(unread);
        snapshot.pods = pods.into(unread);
        snapshot.events = events.into(unread);
        snapshot.network_policies = policies.into(unread);
        snapshot.workloads = workloads.into(unread);
    }

    async fn cluster_wide(&self, snapshot: &mut Snapshot) {
        let (nodes, namespaces, ranges, version) = tokio::join!(
            self.list("nodes", false, Api::<Node>::all(self.client.clone())),
            self.list("namespaces", false, Api::<Namespace>::all(self.client.clone())),
            self.list("servicecidrs", false, Api::<ServiceCIDR>::all(self.client.clone())),
            tokio::time::timeout(TIMEOUT, self.client.apiserver_version()),
        );
        let unread = &mut snapshot.unread;
        snapshot.nodes = nodes.into(unread);
        snapshot.namespaces = namespaces.into(unread);
        snapshot.service_cidrs = ranges.into(unread);
        snapshot.version = version.ok().and_then(Result::ok).map(|version| version.git_version);
    }

    /// DNS and proxies. Best effort: a user confined to a namespace cannot look there.
    async fn system(&self, snapshot: &mut Snapshot) {
        let namespace = Some(SYSTEM_NAMESPACE);
        let (services, slices, pods, events) = tokio::join!(
            self.list("services of kube-system", false, self.api::<Service>(namespace)),
            self.list("endpointslices of kube-system", false, self.api::<EndpointSlice>(namespace)),
            self.list("pods of kube-system", false, self.api::<Pod>(namespace)),
            self.list("events of kube-system", false, self.api::<Event>(namespace)),
        );
        let unread = &mut snapshot.unread;
        snapshot.services.extend(services.into(unread));
        snapshot.slices.extend(slices.into(unread));
        snapshot.pods.extend(pods.into(unread));
        snapshot.events.extend(events.into(unread));
    }

    /// What was meant, if there is nothing here: Services of this name and pods that fit the selector elsewhere. Best
    /// effort: it only serves a suggestion, and a user confined to one namespace cannot look.
    async fn elsewhere(&self, snapshot: &mut Snapshot, key: &ObjectKey) {
        let other = |namespace: &Option<String>| {
            namespace.as_deref().is_some_and(|name| name != key.namespace && name != SYSTEM_NAMESPACE)
        };
        let index = Index::new(snapshot);
        let Some(service) = index.service(key) else {
            let named = ListParams::default().fields(&format!("metadata.name={}", key.name)).limit(SOME);
            let found = self.fetch::<Service>("services", false, self.api(None), named).await.items;
            snapshot.services.extend(found.into_iter().filter(|service| other(&service.metadata.namespace)));
            return;
        };
        let Some(selector) = selector_text(service) else { return };
        let labels = service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
        if !snapshot.has_read("pods") || !index.selected(&key.namespace, &labels).is_empty() {
            return;
        }
        let fitting = ListParams::default().labels(&selector).limit(SOME);
        let found = self.fetch::<Pod>("pods", false, self.api(None), fitting).await.items;
        snapshot.pods.extend(found.into_iter().filter(|pod| other(&pod.metadata.namespace)));
    }

    /// The records of the Service's cluster IPs. An API without that kind keeps them out of sight.
    async fn records(&self, snapshot: &mut Snapshot, key: &ObjectKey) {
        let addresses = Index::new(snapshot).service(key).map(service::cluster_ips).unwrap_or_default();
        let api = Api::<IPAddress>::all(self.client.clone());
        let mut records = Vec::new();
        for address in addresses {
            let named = ListParams::default().fields(&format!("metadata.name={address}"));
            let problem = match tokio::time::timeout(self.limit, api.list(&named)).await {
                Ok(Ok(list)) => {
                    records.extend(list.items);
                    continue;
                }
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", self.limit.as_secs()),
            };
            snapshot.unread.push(Unread { what: "ipaddresses".to_owned(), why: problem, essential: false });
            return;
        }
        records.iter_mut().for_each(Slim::slim);
        snapshot.ip_addresses = Some(records);
    }

    /// What an alias leads to in other namespaces, from alias to alias. Best effort, as for [`Reader::elsewhere`].
    async fn aliases(&self, snapshot: &mut Snapshot, key: &ObjectKey) {
        let mut next = key.clone();
        for _ in 0..HOPS {
            let index = Index::new(snapshot);
            let alias = index.service(&next).filter(|service| service::is_external_name(service));
            let Some(target) = alias.and_then(|alias| named_service(&index, &next, alias)) else { return };
            if index.service(&target).is_none() && !snapshot.covers(&target.namespace) {
                let api = self.api::<Service>(Some(&target.namespace));
                match tokio::time::timeout(self.limit, api.get_opt(&target.name)).await {
                    Ok(Ok(Some(mut found))) => {
                        found.slim();
                        snapshot.services.push(found);
                    }
                    Ok(Ok(None)) => snapshot.absent.push(target.to_string()),
                    _ => return,
                }
            }
            next = target;
        }
    }

    async fn workloads(&self, namespace: Option<&str>) -> Listed<Workload> {
        let (deployments, stateful, daemons, sets) = tokio::join!(
            self.templates::<Deployment>("deployments", namespace),
            self.templates::<StatefulSet>("statefulsets", namespace),
            self.templates::<DaemonSet>("daemonsets", namespace),
            // In a whole cluster they are as many as all revisions of all Deployments, and say little more.
            async {
                match namespace {
                    Some(_) => self.templates::<ReplicaSet>("replicasets", namespace).await,
                    None => Listed { items: Vec::new(), problem: None },
                }
            },
        );
        let (mut items, mut problem) = (Vec::new(), None);
        for list in [deployments, stateful, daemons, sets] {
            items.extend(list.items);
            problem = problem.or(list.problem);
        }
        Listed { items, problem }
    }

    async fn templates<T>(&self, what: &str, namespace: Option<&str>) -> Listed<Workload>
    where
        T: Template + Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        T: Metadata<Ty = ObjectMeta>,
        T::DynamicType: Default,
    {
        let list = self.fetch_raw::<T>(what, false, self.api(namespace), self.parameters()).await;
        Listed { items: list.items.iter().map(Template::workload).collect(), problem: list.problem }
    }

    fn api<T>(&self, namespace: Option<&str>) -> Api<T>
    where
        T: Resource<Scope = NamespaceResourceScope>,
        T::DynamicType: Default,
    {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    fn parameters(&self) -> ListParams {
        match self.from_cache {
            true => ListParams::default().match_any(),
            false => ListParams::default(),
        }
    }

    async fn list<T>(&self, what: &str, essential: bool, api: Api<T>) -> Listed<T>
    where
        T: Clone + DeserializeOwned + Debug + Metadata<Ty = ObjectMeta> + Slim,
    {
        self.fetch(what, essential, api, self.parameters()).await
    }

    async fn fetch<T>(&self, what: &str, essential: bool, api: Api<T>, parameters: ListParams) -> Listed<T>
    where
        T: Clone + DeserializeOwned + Debug + Metadata<Ty = ObjectMeta> + Slim,
    {
        let mut listed = self.fetch_raw(what, essential, api, parameters).await;
        listed.items.iter_mut().for_each(Slim::slim);
        listed
    }

    async fn fetch_raw<T>(&self, what: &str, essential: bool, api: Api<T>, parameters: ListParams) -> Listed<T>
    where
        T: Clone + DeserializeOwned + Debug,
    {
        let problem = |why: String| Some(Unread { what: what.to_owned(), why, essential });
        match tokio::time::timeout(self.limit, api.list(&parameters)).await {
            Ok(Ok(list)) => Listed { items: list.items, problem: None },
            // A kind that this API does not serve has no objects.
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Listed { items: Vec::new(), problem: None },
            Ok(Err(error)) => Listed { items: Vec::new(), problem: problem(error.to_string()) },
            Err(_) => {
                let limit = self.limit.as_secs();
                Listed { items: Vec::new(), problem: problem(format!("no answer within {limit} s")) }
            }
        }
    }
}

/// The selector as a query; `None` if the Service has none.
fn selector_text(service: &Service) -> Option<String> {
    let selector = service.spec.as_ref()?.selector.as_ref()?;
    let pairs: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    service::selector(service).map(|_| pairs.join(","))
}

/// What makes pods from a template.
trait Template {
    fn workload(&self) -> Workload;
}

impl Template for Deployment {
    fn workload(&self) -> Workload {
        let spec = self.spec.as_ref();
        let replicas = spec.and_then(|spec| spec.replicas).or(Some(1));
        workload("deployment", &self.metadata, spec.map(|spec| &spec.template), replicas)
    }
}

impl Template for StatefulSet {
    fn workload(&self) -> Workload {
        let spec = self.spec.as_ref();
        let replicas = spec.and_then(|spec| spec.replicas).or(Some(1));
        workload("statefulset", &self.metadata, spec.map(|spec| &spec.template), replicas)
    }
}

impl Template for DaemonSet {
    fn workload(&self) -> Workload {
        workload("daemonset", &self.metadata, self.spec.as_ref().map(|spec| &spec.template), None)
    }
}

impl Template for ReplicaSet {
    fn workload(&self) -> Workload {
        let spec = self.spec.as_ref();
        let replicas = spec.and_then(|spec| spec.replicas).or(Some(1));
        workload("replicaset", &self.metadata, spec.and_then(|spec| spec.template.as_ref()), replicas)
    }
}

fn workload(kind: &str, metadata: &ObjectMeta, template: Option<&PodTemplateSpec>, replicas: Option<i32>) -> Workload {
    let labels = template.and_then(|template| template.metadata.as_ref()?.labels.clone());
    let owned = metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty());
    Workload {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        kind: kind.to_owned(),
        name: metadata.name.clone().unwrap_or_default(),
        labels: labels.unwrap_or_default(),
        replicas,
        owned,
    }
}
