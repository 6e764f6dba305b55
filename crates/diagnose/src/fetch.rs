//! The only I/O: reads what a diagnosis needs, all at once, each with a time limit and a bound.

use std::{collections::HashSet, fmt::Debug, time::Duration};

use futures::future;
use jiff::Timestamp;
use k8s_openapi::{
    Metadata, NamespaceResourceScope,
    api::{
        apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
        core::v1::{Endpoints, Event, Namespace, Node, Pod, PodTemplateSpec, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{Api, Client, Resource, api::ListParams};
use portolan_objects::{ObjectKey, labels, service};
use serde::de::DeserializeOwned;

use crate::snapshot::{Snapshot, Unread, Workload};

/// One request may take this long.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Most objects of one kind.
const LIMIT: u32 = 2000;

/// The Service could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The API refused or could not be reached.
    #[error("cannot read Service {service}; check the address and the rights of the kubeconfig")]
    Service {
        /// Which one.
        service: ObjectKey,
        /// What the client said.
        #[source]
        source: kube::Error,
    },
    /// The API did not answer in time.
    #[error("the API did not answer within {} s when asked for Service {service}", TIMEOUT.as_secs())]
    TimedOut {
        /// Which one.
        service: ObjectKey,
    },
}

/// Reads everything around the Service `key`. Never writes.
///
/// # Errors
/// The Service itself could not be read. Anything else that could not be read is noted in [`Snapshot::unread`].
pub async fn snapshot(client: Client, key: &ObjectKey) -> Result<Snapshot, SnapshotError> {
    let services: Api<Service> = Api::namespaced(client.clone(), &key.namespace);
    let service = tokio::time::timeout(TIMEOUT, services.get_opt(&key.name))
        .await
        .map_err(|_| SnapshotError::TimedOut { service: key.clone() })?
        .map_err(|source| SnapshotError::Service { service: key.clone(), source })?;
    let mut snapshot = Snapshot {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        taken_at: Time(Timestamp::now()),
        namespace_exists: None,
        service,
        service_names: Vec::new(),
        same_name_in: Vec::new(),
        pods: Vec::new(),
        workloads: Vec::new(),
        selected_elsewhere: Vec::new(),
        slices: Vec::new(),
        endpoints_addresses: None,
        events: Vec::new(),
        nodes: Vec::new(),
        unread: Vec::new(),
    };
    let reader = Reader { client, namespace: &key.namespace };
    match &snapshot.service {
        Some(_) => reader.surroundings(&mut snapshot).await,
        None => reader.namesakes(&mut snapshot).await,
    }
    Ok(snapshot)
}

struct Reader<'a> {
    client: Client,
    namespace: &'a str,
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

impl Reader<'_> {
    /// Around a Service that exists.
    async fn surroundings(&self, snapshot: &mut Snapshot) {
        let of_service = ListParams::default().labels(&format!("{}={}", labels::SERVICE_NAME, snapshot.name));
        let (pods, slices, events, nodes, endpoints, workloads) = tokio::join!(
            self.pods(snapshot.service.as_ref()),
            self.list::<EndpointSlice>("endpointslices", true, self.local(), of_service),
            self.events(&snapshot.name),
            self.list::<Node>("nodes", false, Api::all(self.client.clone()), ListParams::default()),
            self.endpoints(&snapshot.name),
            self.workloads(),
        );
        let unread = &mut snapshot.unread;
        snapshot.pods = pods.into(unread);
        snapshot.slices = slices.into(unread);
        snapshot.events = events.into(unread);
        snapshot.nodes = nodes.into(unread);
        snapshot.endpoints_addresses = endpoints;
        snapshot.workloads = workloads.into(unread);
        snapshot.namespace_exists = Some(true);
        snapshot.selected_elsewhere = self.selected_elsewhere(snapshot).await;
    }

    /// Around a Service that does not exist: is it elsewhere, or spelled differently?
    async fn namesakes(&self, snapshot: &mut Snapshot) {
        let named = ListParams::default().fields(&format!("metadata.name={}", snapshot.name));
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let (here, everywhere, namespace) = future::join3(
            self.list::<Service>("services", false, self.local(), ListParams::default()),
            self.list::<Service>("services", false, Api::all(self.client.clone()), named),
            tokio::time::timeout(TIMEOUT, namespaces.get_opt(self.namespace)),
        )
        .await;
        // A user confined to one namespace cannot look elsewhere: that is no defect of the answer.
        snapshot.service_names = here.items.into_iter().filter_map(|service| service.metadata.name).collect();
        snapshot.same_name_in = everywhere
            .items
            .into_iter()
            .filter_map(|service| service.metadata.namespace)
            .filter(|namespace| namespace != self.namespace)
            .collect();
        snapshot.namespace_exists = namespace.ok().and_then(Result::ok).map(|found| found.is_some());
    }

    /// The pods that the selector selects; if there are none, those of the namespace, to find what was meant.
    async fn pods(&self, service: Option<&Service>) -> Listed<Pod> {
        let Some(selector) = service.and_then(selector_text) else {
            return Listed { items: Vec::new(), problem: None };
        };
        let selected = self.list("pods", true, self.local(), ListParams::default().labels(&selector)).await;
        if !selected.items.is_empty() || selected.problem.is_some() {
            return selected;
        }
        let mut all = self.list::<Pod>("pods", true, self.local(), ListParams::default()).await;
        // Some are enough to compare with, and that none is selected is already known.
        all.problem = all.problem.filter(|_| all.items.is_empty());
        all
    }

    /// The events of the namespace; if those are too many, at least the ones about the Service.
    async fn events(&self, service: &str) -> Listed<Event> {
        let mut all = self.list::<Event>("events", false, self.local(), ListParams::default()).await;
        if all.problem.is_some() {
            let about = ListParams::default().fields(&format!("involvedObject.name={service}"));
            let known: HashSet<_> = all.items.iter().filter_map(|event| event.metadata.name.clone()).collect();
            let more = self.list::<Event>("events", false, self.local(), about).await.items.into_iter();
            let new = |event: &Event| event.metadata.name.as_ref().is_none_or(|name| !known.contains(name));
            all.items.extend(more.filter(new));
        }
        all
    }

    /// Where pods fit the selector, if none here does. Best effort: it only serves a hint.
    async fn selected_elsewhere(&self, snapshot: &Snapshot) -> Vec<String> {
        let Some(service) = &snapshot.service else { return Vec::new() };
        let (Some(selector), Some(text)) = (service::selector(service), selector_text(service)) else {
            return Vec::new();
        };
        let fits = |pod: &Pod| selector.matches(&pod.metadata.labels.clone().unwrap_or_default());
        if !snapshot.has_read("pods") || snapshot.pods.iter().any(fits) {
            return Vec::new();
        }
        let parameters = ListParams::default().labels(&text);
        let found = self.list::<Pod>("pods", false, Api::all(self.client.clone()), parameters).await;
        let mut namespaces: Vec<String> = found.items.into_iter().filter_map(|pod| pod.metadata.namespace).collect();
        namespaces.sort();
        namespaces.dedup();
        namespaces
    }

    async fn endpoints(&self, name: &str) -> Option<usize> {
        let api: Api<Endpoints> = self.local();
        let found = tokio::time::timeout(TIMEOUT, api.get_opt(name)).await.ok()?.ok()??;
        let count = |addresses: &Option<Vec<_>>| addresses.as_ref().map_or(0, Vec::len);
        let subsets = found.subsets.iter().flatten();
        Some(subsets.map(|subset| count(&subset.addresses) + count(&subset.not_ready_addresses)).sum())
    }

    async fn workloads(&self) -> Listed<Workload> {
        let all = ListParams::default();
        let (deployments, sets, stateful, daemons) = future::join4(
            self.list::<Deployment>("deployments", false, self.local(), all.clone()),
            self.list::<ReplicaSet>("replicasets", false, self.local(), all.clone()),
            self.list::<StatefulSet>("statefulsets", false, self.local(), all.clone()),
            self.list::<DaemonSet>("daemonsets", false, self.local(), all),
        )
        .await;
        let problem = deployments.problem.or(sets.problem).or(stateful.problem).or(daemons.problem);
        let mut items = Vec::new();
        for item in deployments.items {
            let spec = item.spec.unwrap_or_default();
            items.push(workload("deployment", &item.metadata, &spec.template, Some(spec.replicas.unwrap_or(1))));
        }
        for item in sets.items {
            let spec = item.spec.unwrap_or_default();
            let template = spec.template.unwrap_or_default();
            items.push(workload("replicaset", &item.metadata, &template, Some(spec.replicas.unwrap_or(1))));
        }
        for item in stateful.items {
            let spec = item.spec.unwrap_or_default();
            items.push(workload("statefulset", &item.metadata, &spec.template, Some(spec.replicas.unwrap_or(1))));
        }
        for item in daemons.items {
            let spec = item.spec.unwrap_or_default();
            items.push(workload("daemonset", &item.metadata, &spec.template, None));
        }
        Listed { items, problem }
    }

    fn local<T>(&self) -> Api<T>
    where
        T: Resource<Scope = NamespaceResourceScope>,
        T::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    async fn list<T>(&self, what: &str, essential: bool, api: Api<T>, parameters: ListParams) -> Listed<T>
    where
        T: Clone + DeserializeOwned + Debug + Metadata<Ty = ObjectMeta>,
    {
        let problem = |why: String| Some(Unread { what: what.to_owned(), why, essential });
        match tokio::time::timeout(TIMEOUT, api.list(&parameters.limit(LIMIT))).await {
            Ok(Ok(list)) => {
                let more = list.metadata.continue_.is_some_and(|token| !token.is_empty());
                let problem = if more { problem(format!("only the first {LIMIT} were read")) } else { None };
                Listed { items: list.items, problem }
            }
            // A kind that this API does not serve has no objects.
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Listed { items: Vec::new(), problem: None },
            Ok(Err(error)) => Listed { items: Vec::new(), problem: problem(error.to_string()) },
            Err(_) => {
                Listed { items: Vec::new(), problem: problem(format!("no answer within {} s", TIMEOUT.as_secs())) }
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

fn workload(kind: &str, metadata: &ObjectMeta, template: &PodTemplateSpec, replicas: Option<i32>) -> Workload {
    let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.clone());
    let owned = metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty());
    Workload {
        kind: kind.to_owned(),
        name: metadata.name.clone().unwrap_or_default(),
        labels: labels.unwrap_or_default(),
        replicas,
        owned,
    }
}
