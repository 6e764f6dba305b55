//! The repair loops against a store that was restored badly, and against a cluster where nothing is wrong.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, path::Path};

use k8s_openapi::api::{core::v1::Service, events::v1::Event, networking::v1::IPAddress};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use portolan_apiserver::{Config, Server};
use portolan_controllers::repair::{addresses, ports};
use portolan_events::{SeriesRecorder, Vocabulary};
use portolan_runtime::Metrics;
use redb::{Database, ReadableDatabase, TableDefinition};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cluster::eventually;

/// The API server with both loops.
struct Stage {
    server: Server,
    client: Client,
    recorders: [SeriesRecorder; 2],
    _stop_at_the_end: DropGuard,
}

impl Stage {
    async fn start(config: Config) -> Self {
        let range = config.node_port_range.clone();
        let server = Server::open(config).await.unwrap();
        let client = server.client("admin", &["system:masters"]);
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let recorder = |name| SeriesRecorder::new(client.clone(), name, format!("{name}-here"), Vocabulary::Full);
        let recorders = [recorder(addresses::NAME), recorder(ports::NAME)];
        let [of_addresses, of_ports] = recorders.clone();
        tokio::spawn(addresses::run(client.clone(), of_addresses, Metrics::default(), stop.clone()));
        tokio::spawn(ports::run(client.clone(), of_ports, range, Metrics::default(), stop));
        Self { server, client, recorders, _stop_at_the_end: guard }
    }

    fn addresses(&self) -> Api<IPAddress> {
        Api::all(self.client.clone())
    }

    /// What was said: object, reason, action, note.
    async fn said(&self) -> BTreeSet<[String; 4]> {
        for recorder in &self.recorders {
            recorder.flush().await;
        }
        let events = Api::<Event>::all(self.client.clone()).list(&ListParams::default()).await.unwrap();
        events.items.into_iter().map(row).collect()
    }
}

fn row(event: Event) -> [String; 4] {
    let controller = event.reporting_controller.unwrap();
    assert_eq!(event.reporting_instance, Some(format!("{controller}-here")));
    assert_eq!((event.type_.as_deref(), event.metadata.namespace.as_deref()), (Some("Warning"), Some("default")));
    let object = event.regarding.unwrap();
    let (expected, action) = match object.kind.as_deref() {
        Some("Service") => ("v1", event.action.clone().unwrap()),
        _ => ("networking.k8s.io/v1", event.action.clone().unwrap()),
    };
    assert_eq!(object.api_version.as_deref(), Some(expected));
    let of_ports = action == "PortAllocation";
    assert_eq!(controller, if of_ports { ports::NAME } else { addresses::NAME });
    let name = format!("{} {}", object.kind.unwrap(), object.name.unwrap());
    [name, event.reason.unwrap(), action, event.note.unwrap()]
}

async fn create(client: &Client, name: &str, spec: Value) -> Service {
    let service = serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap();
    Api::default_namespaced(client.clone()).create(&PostParams::default(), &service).await.unwrap()
}

/// From an object to what it is replaced with.
type Edit<'a> = &'a dyn Fn(Option<Value>) -> Option<Value>;

/// Changes objects in the file of a server that is closed: what a restored, merged or hand-edited store can hold.
fn tamper(directory: &Path, edits: &[(&str, Edit<'_>)]) {
    const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");
    let file = Database::open(directory.join("store.redb")).unwrap();
    for (place, edit) in edits {
        let place = place.replace(' ', "\0");
        let read = file.begin_read().unwrap().open_table(STATE).unwrap();
        let before = read.get(place.as_str()).unwrap().map(|json| serde_json::from_slice(json.value()).unwrap());
        let write = file.begin_write().unwrap();
        let mut table = write.open_table(STATE).unwrap();
        match edit(before) {
            Some(object) => drop(table.insert(place.as_str(), object.to_string().as_bytes()).unwrap()),
            None => drop(table.remove(place.as_str()).unwrap()),
        }
        drop(table);
        write.commit().unwrap();
    }
}

const IPS: &str = "ipaddresses.networking.k8s.io";

fn object(name: &str, parent: &Value) -> Option<Value> {
    let labels = json!({"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"});
    Some(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
        "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "1", "labels": labels},
        "spec": {"parentRef": parent},
    }))
}

/// Gives the Service this address.
fn readdress(address: &str) -> impl Fn(Option<Value>) -> Option<Value> {
    move |service| {
        let mut service = service?;
        service["spec"]["clusterIP"] = address.into();
        service["spec"]["clusterIPs"] = json!([address]);
        Some(service)
    }
}

#[tokio::test]
async fn a_badly_restored_store_is_named_and_repaired() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { data: Some(directory.path().to_owned()), ..Config::default() };
    let server = Server::open(config.clone()).await.unwrap();
    let client = server.client("admin", &[]);
    let names = ["first", "gateway", "invalid", "missing", "orphan", "outside", "relabelled", "second"];
    for (index, name) in names.into_iter().enumerate() {
        let spec = json!({"type": "NodePort", "clusterIP": format!("10.96.5.{}", index + 1),
            "ports": [{"port": 80, "nodePort": 30001 + index}]});
        create(&client, name, spec).await;
    }
    create(&client, "below", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30900}]})).await;
    server.close().await;

    let web = json!({"resource": "services", "namespace": "default", "name": "nobody"});
    let gateway =
        json!({"group": "gateway.networking.k8s.io", "resource": "gateways", "namespace": "default", "name": "g"});
    let twin = |service: Option<Value>| {
        let mut service = readdress("10.96.5.1")(service)?;
        service["spec"]["ports"][0]["nodePort"] = 30001.into();
        Some(service)
    };
    let unlabelled = |address: Option<Value>| {
        let mut address = address?;
        address["metadata"]["labels"] = json!({});
        Some(address)
    };
    tamper(
        directory.path(),
        &[
            ("services default second", &twin),
            (&format!("{IPS}  10.96.5.2"), &|_| object("10.96.5.2", &gateway)),
            ("services default invalid", &readdress("seven")),
            (&format!("{IPS}  10.96.5.4"), &|_| None),
            (&format!("{IPS}  10.96.5.5"), &|_| object("10.96.5.5", &web)),
            ("services default outside", &readdress("10.97.0.6")),
            (&format!("{IPS}  10.96.5.7"), &unlabelled),
            (&format!("{IPS}  10.96.6.1"), &|_| object("10.96.6.1", &web)),
            (&format!("{IPS}  10.96.6.2"), &|_| object("10.96.6.2", &gateway)),
        ],
    );

    let stage = Stage::start(Config { node_port_range: 30_000..=30_099, ..config }).await;
    let expected: BTreeSet<[String; 4]> = [
        ["Service below", "PortOutOfRange", "PortAllocation", "Port 30900 is not within the port range 30000-30099; please recreate service"],
        ["Service second", "PortAlreadyAllocated", "PortAllocation", "Port 30001 was assigned to multiple services; please recreate service"],
        ["Service second", "ClusterIPAlreadyAllocated", "ClusterIPAllocation", "Cluster IP [IPv4]:10.96.5.1 was assigned to multiple services; please recreate service"],
        ["IPAddress 10.96.5.8", "IPAddressWrongReference", "IPAddressAllocation", "IPAddress: 10.96.5.8 for Service default/second has a wrong reference; cleaning up"],
        ["Service gateway", "ClusterIPNotAllocated", "ClusterIPAllocation", "the ClusterIP [IPv4]: 10.96.5.2 for Service default/gateway has a wrong reference; repairing"],
        ["Service invalid", "ClusterIPNotValid", "ClusterIPValidation", "Cluster IP seven is not a valid IP; please recreate service"],
        ["IPAddress 10.96.5.3", "IPAddressWrongReference", "IPAddressAllocation", "IPAddress: 10.96.5.3 for Service default/invalid has a wrong reference; cleaning up"],
        ["Service missing", "ClusterIPNotAllocated", "ClusterIPAllocation", "Cluster IP [IPv4]: 10.96.5.4 is not allocated; repairing"],
        ["Service orphan", "ClusterIPNotAllocated", "ClusterIPAllocation", "the ClusterIP [IPv4]: 10.96.5.5 for Service default/orphan has a wrong reference; repairing"],
        ["Service outside", "ClusterIPOutOfRange", "ClusterIPAllocation", "Cluster IP [IPv4]: 10.97.0.6 is not within any configured Service CIDR; please recreate service"],
        ["IPAddress 10.96.5.6", "IPAddressWrongReference", "IPAddressAllocation", "IPAddress: 10.96.5.6 for Service default/outside has a wrong reference; cleaning up"],
        ["IPAddress 10.96.6.1", "IPAddressNotAllocated", "IPAddressAllocation", "IPAddress: 10.96.6.1 for Service default/nobody appears to have leaked: cleaning up"],
        ["IPAddress 10.96.6.2", "IPAddressNotAllocated", "IPAddressAllocation", "IPAddress 10.96.6.2 appears to have been modified, not referencing a Service &ParentReference{Group:gateway.networking.k8s.io,Resource:gateways,Namespace:default,Name:g,}: cleaning up"],
    ]
    .map(|row| row.map(str::to_owned))
    .into();
    eventually("all is said", async || stage.said().await.is_superset(&expected).then_some(())).await;
    let held = [
        ("10.96.5.1", "first"),
        ("10.96.5.2", "gateway"),
        ("10.96.5.4", "missing"),
        ("10.96.5.5", "orphan"),
        ("10.96.5.7", "relabelled"),
    ];
    let held: BTreeSet<(String, String)> = held.map(|(ip, name)| (ip.to_owned(), name.to_owned())).into();
    let own = ["kubernetes", "below"];
    eventually("all is repaired", async || {
        let objects = stage.addresses().list(&ListParams::default()).await.unwrap();
        let pairs = objects.iter().map(|object| (object.name_any(), object.spec.parent_ref.name.clone()));
        let pairs: BTreeSet<_> = pairs.filter(|(_, parent)| !own.contains(&parent.as_str())).collect();
        let labelled = objects.iter().all(|object| object.labels().len() == 2);
        (pairs == held && labelled).then_some(())
    })
    .await;
    let said = stage.said().await;
    assert_eq!(said, expected);
    drop(stage.server);
}

#[tokio::test]
async fn an_address_object_that_is_deleted_under_its_service_comes_back() {
    let stage = Stage::start(Config::default()).await;
    let spec = json!({"clusterIP": "10.96.5.1", "ports": [{"port": 80}]});
    create(&stage.client, "web", spec.clone()).await;
    stage.addresses().delete("10.96.5.1", &DeleteParams::default()).await.unwrap();
    let thief = serde_json::from_value(json!({"metadata": {"name": "thief"}, "spec": spec})).unwrap();
    let services = Api::<Service>::default_namespaced(stage.client.clone());
    assert!(services.create(&PostParams::default(), &thief).await.is_err(), "the Service holds it all the same");
    let back = eventually("it is back", async || stage.addresses().get_opt("10.96.5.1").await.unwrap()).await;
    assert_eq!(back.spec.parent_ref.name, "web");
    let note = "Cluster IP [IPv4]: 10.96.5.1 is not allocated; repairing";
    let expected = ["Service web", "ClusterIPNotAllocated", "ClusterIPAllocation", note].map(str::to_owned);
    assert_eq!(stage.said().await, BTreeSet::from([expected]));
}

/// Whatever order the watches come in, nothing is said of what is right.
#[tokio::test]
async fn a_cluster_in_which_nothing_is_wrong_is_left_alone() {
    let cidrs = ["10.96.0.0/16", "fd00:96::/112"].map(|cidr| cidr.parse().unwrap());
    let stage = Stage::start(Config { service_cidrs: cidrs.into(), ..Config::default() }).await;
    let api = Api::<Service>::default_namespaced(stage.client.clone());
    let life = |index: usize| {
        let (api, client) = (api.clone(), stage.client.clone());
        async move {
            let name = format!("web-{index}");
            create(&client, &name, json!({"type": "NodePort", "ports": [{"port": 80}]})).await;
            let external = json!({"type": "ExternalName", "externalName": "a.b"});
            for spec in [
                json!({"ipFamilyPolicy": "RequireDualStack"}),
                json!({"ipFamilyPolicy": "SingleStack"}),
                external,
                json!({"type": "ClusterIP", "externalName": null}),
            ] {
                let patch = Patch::Merge(json!({"spec": spec}));
                api.patch(&name, &PatchParams::default(), &patch).await.unwrap();
            }
            if index.is_multiple_of(2) {
                api.delete(&name, &DeleteParams::default()).await.unwrap();
            }
        }
    };
    futures::future::join_all((0..60).map(life)).await;
    let before = stage.addresses().list(&ListParams::default()).await.unwrap().items;
    assert_eq!(before.len(), 31, "one of each Service that is left");
    // What was suspected has been looked at when a Service that really is wrong has been named.
    stage.addresses().delete("10.96.0.1", &DeleteParams::default()).await.unwrap();
    eventually("the loop has come so far", async || (!stage.said().await.is_empty()).then_some(())).await;
    let said = stage.said().await;
    assert!(said.iter().all(|row| row[0] == "Service kubernetes"), "{said:#?}");
}
