//! Pod ranges for nodes, until there are none.
#![allow(clippy::unwrap_used)]

use k8s_openapi::api::core::v1::Node;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use portolan_controllers::nodeipam::{self, Pools};
use portolan_events::{Recorder, Vocabulary};
use portolan_runtime::Metrics;
use serde_json::json;

use super::cluster::{Cluster, eventually};

#[tokio::test]
async fn nodes_get_ranges_until_there_are_none_and_one_that_goes_makes_room() {
    let mut cluster = Cluster::start().await;
    let client = cluster.admin();
    let recorder = Recorder::new(client.clone(), nodeipam::NAME, None, Vocabulary::Full);
    let pools = Pools::new(&[("10.244.0.0/23".parse().unwrap(), 24)]).unwrap();
    cluster.spawn(nodeipam::run(client.clone(), recorder, pools, Metrics::default(), cluster.stop.clone()));
    let nodes = Api::<Node>::all(client);
    let ranges = async |name: &str| nodes.get(name).await.unwrap().spec.unwrap_or_default().pod_cidrs;
    for name in ["a", "b"] {
        let node: Node = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        nodes.create(&PostParams::default(), &node).await.unwrap();
        eventually("a range", async || ranges(name).await).await;
    }
    let node: Node = serde_json::from_value(json!({"metadata": {"name": "c"}})).unwrap();
    nodes.create(&PostParams::default(), &node).await.unwrap();
    let said =
        eventually("two Events", async || Some(cluster.events("default", "c").await).filter(|all| all.len() == 2))
            .await;
    let expected = [
        ("CIDRNotAvailable", "Node c status is now: CIDRNotAvailable"),
        ("IPNotAllocated", "no range of pod addresses is left in 10.244.0.0/23 for node c"),
    ];
    assert_eq!(said, expected.map(|(reason, message)| (reason.to_owned(), message.to_owned())));
    nodes.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(eventually("its range", async || ranges("c").await).await, ["10.244.0.0/24"]);
}
