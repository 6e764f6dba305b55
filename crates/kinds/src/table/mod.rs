//! Printer columns: what `kubectl get` shows. The server computes the cells; kubectl only lays them out.
//!
//! Upstream: `pkg/printers/internalversion/printers.go`.

mod core;
mod network;
mod pod;
mod workload;

use jiff::Timestamp;
use serde_json::Value;

use crate::json::text;
use crate::resource::{Column, Model};

const fn column(name: &'static str, priority: i32, description: &'static str) -> Column {
    Column { name, kind: "string", format: "", description, priority }
}

const fn number(name: &'static str, priority: i32, description: &'static str) -> Column {
    Column { name, kind: "integer", format: "", description, priority }
}

const NAME: Column =
    Column { name: "Name", kind: "string", format: "name", description: "Name of the object", priority: 0 };
const AGE: Column = column("Age", 0, "Time since the object was created");
const CONTAINERS: Column = column("Containers", 1, "Names of the containers of each pod");
const IMAGES: Column = column("Images", 1, "Images of the containers of each pod");
const SELECTOR: Column = column("Selector", 1, "Labels that select the pods");

const SERVICE: &[Column] = &[
    NAME,
    column("Type", 0, "How the Service is exposed"),
    column("Cluster-IP", 0, "Address inside the cluster"),
    column("External-IP", 0, "Addresses outside the cluster"),
    column("Port(s)", 0, "Ports, with node ports"),
    AGE,
    SELECTOR,
];

const POD: &[Column] = &[
    NAME,
    column("Ready", 0, "Ready containers of all containers"),
    column("Status", 0, "What the pod is doing, or why it is not"),
    column("Restarts", 0, "Restarts of its containers, and when the last was"),
    AGE,
    column("IP", 1, "Address of the pod"),
    column("Node", 1, "Node the pod runs on"),
    column("Nominated Node", 1, "Node the pod will run on when others have left"),
    column("Readiness Gates", 1, "Conditions that count towards readiness, and how many hold"),
];

const NODE: &[Column] = &[
    NAME,
    column("Status", 0, "Whether the node is ready"),
    column("Roles", 0, "Roles, from its labels"),
    AGE,
    column("Version", 0, "Version of the node agent"),
    column("Internal-IP", 1, "Address inside the cluster"),
    column("External-IP", 1, "Address outside the cluster"),
    column("OS-Image", 1, "Operating system"),
    column("Kernel-Version", 1, "Kernel"),
    column("Container-Runtime", 1, "What runs the pods"),
];

const EVENT: &[Column] = &[
    column("Last Seen", 0, "Time since it last happened"),
    column("Type", 0, "Normal or Warning"),
    column("Reason", 0, "Short reason"),
    column("Object", 0, "Object it is about"),
    column("Subobject", 1, "Part of the object"),
    column("Source", 1, "Component that reported it"),
    column("Message", 0, "What happened"),
    column("First Seen", 1, "Time since it first happened"),
    number("Count", 1, "How often it happened"),
    Column { name: "Name", kind: "string", format: "name", description: "Name of the event", priority: 1 },
];

const DEPLOYMENT: &[Column] = &[
    NAME,
    column("Ready", 0, "Ready pods of wanted pods"),
    number("Up-to-date", 0, "Pods of the newest template"),
    number("Available", 0, "Pods ready for long enough"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const REPLICA_SET: &[Column] = &[
    NAME,
    number("Desired", 0, "Wanted pods"),
    number("Current", 0, "Pods there are"),
    number("Ready", 0, "Ready pods"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const ENDPOINT_SLICE: &[Column] = &[
    NAME,
    column("AddressType", 0, "Family of the addresses"),
    column("Ports", 0, "Ports of every endpoint"),
    column("Endpoints", 0, "Addresses"),
    AGE,
];

/// See [`crate::Resource::columns`].
pub(crate) fn columns(model: Model) -> &'static [Column] {
    match model {
        Model::Service => SERVICE,
        Model::Pod => POD,
        Model::Node => NODE,
        Model::CoreEvent | Model::NewEvent => EVENT,
        Model::Deployment => DEPLOYMENT,
        Model::ReplicaSet => REPLICA_SET,
        Model::Endpoints => const { &[NAME, column("Endpoints", 0, "Addresses and ports"), AGE] },
        Model::EndpointSlice => ENDPOINT_SLICE,
        Model::Namespace => const { &[NAME, column("Status", 0, "Active or Terminating"), AGE] },
        Model::Lease => const { &[NAME, column("Holder", 0, "Who holds the lease"), AGE] },
        Model::NetworkPolicy => const { &[NAME, column("Pod-Selector", 0, "Pods that it is about"), AGE] },
        Model::ServiceCidr => const { &[NAME, column("CIDRs", 0, "Ranges that ClusterIPs come from"), AGE] },
        Model::IpAddress => const { &[NAME, column("ParentRef", 0, "Object that holds the address"), AGE] },
        Model::ConfigMap => const { &[NAME, number("Data", 0, "Number of keys"), AGE] },
        Model::Secret => {
            const { &[NAME, column("Type", 0, "Kind of secret"), number("Data", 0, "Number of keys"), AGE] }
        }
        Model::ServiceAccount => const { &[NAME, number("Secrets", 0, "Number of secrets"), AGE] },
        Model::Review => const { &[NAME, AGE] },
    }
}

/// See [`crate::Resource::cells`].
pub(crate) fn cells(model: Model, object: &Value, now: Timestamp) -> Vec<Value> {
    match model {
        Model::Service => network::service(object, now),
        Model::Endpoints => network::endpoints(object, now),
        Model::EndpointSlice => network::endpoint_slice(object, now),
        Model::ServiceCidr => network::service_cidr(object, now),
        Model::IpAddress => network::ip_address(object, now),
        Model::NetworkPolicy => network::network_policy(object, now),
        Model::Pod => pod::cells(object, now),
        Model::Node => core::node(object, now),
        Model::CoreEvent => core::event(object, now),
        Model::NewEvent => {
            let mut stored = object.clone();
            crate::events::to_core(&mut stored);
            core::event(&stored, now)
        }
        Model::Namespace => {
            vec![name(object), or_none(text(object, "status.phase"), "<unknown>").into(), age(object, now)]
        }
        Model::Lease => vec![name(object), text(object, "spec.holderIdentity").into(), age(object, now)],
        Model::ConfigMap => vec![name(object), core::data_keys(object).into(), age(object, now)],
        Model::Secret => {
            vec![name(object), text(object, "type").into(), core::data_keys(object).into(), age(object, now)]
        }
        Model::ServiceAccount => {
            vec![name(object), crate::json::list(object, "secrets").len().into(), age(object, now)]
        }
        Model::Review => vec![name(object), age(object, now)],
        Model::Deployment => workload::deployment(object, now),
        Model::ReplicaSet => workload::replica_set(object, now),
    }
}

fn name(object: &Value) -> Value {
    text(object, "metadata.name").into()
}

fn age(object: &Value, now: Timestamp) -> Value {
    since(text(object, "metadata.creationTimestamp"), now).into()
}

/// Time since a timestamp, `<unknown>` without one.
fn since(timestamp: &str, now: Timestamp) -> String {
    match timestamp.parse::<Timestamp>() {
        Ok(then) => human_duration(now.as_second() - then.as_second()),
        Err(_) => "<unknown>".to_string(),
    }
}

fn or_none<'a>(text: &'a str, none: &'a str) -> &'a str {
    if text.is_empty() { none } else { text }
}

/// The first `most` items and how many more there are, or `none`.
fn first_few(items: Vec<String>, most: usize, none: &str) -> String {
    if items.is_empty() {
        return none.to_string();
    }
    let more = items.len().saturating_sub(most);
    let shown = items.into_iter().take(most).collect::<Vec<_>>().join(",");
    if more > 0 { format!("{shown} + {more} more...") } else { shown }
}

/// A duration as upstream's tables print it: two units while they tell something, then one (`90s`, `5m12s`, `47m`,
/// `3h20m`, `2d4h`, `10d`, `2y30d`).
pub fn human_duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |big: i64, big_name: &str, small: i64, small_name: &str| {
        let (count, rest) = (seconds / big, seconds % big / small);
        if rest == 0 { format!("{count}{big_name}") } else { format!("{count}{big_name}{rest}{small_name}") }
    };
    match seconds {
        ..-1 => "<invalid>".to_string(),
        -1..=0 => "0s".to_string(),
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if seconds < 10 * MINUTE => two(MINUTE, "m", 1, "s"),
        _ if seconds < 3 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 8 * HOUR => two(HOUR, "h", MINUTE, "m"),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ if seconds < 8 * DAY => two(DAY, "d", HOUR, "h"),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => two(YEAR, "y", DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests;
