#![allow(clippy::unwrap_used)]

use portolan_events::Vocabulary;
use serde_json::{Value, json};

use super::*;

const GRACE: Duration = Duration::from_secs(50);
const STARTUP_GRACE: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(5);

fn node(name: &str, ready: &str) -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": name, "uid": name},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }))
    .unwrap()
}

fn lease(name: &str) -> Lease {
    serde_json::from_value(json!({"metadata": {"namespace": LEASES, "name": name}})).unwrap()
}

fn pod(name: &str, node: &str, tolerations: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": name, "uid": name},
        "spec": {"nodeName": node, "containers": [], "tolerations": tolerations},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }))
    .unwrap()
}

fn part() -> Nodes {
    let client = Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let recorder = Recorder::new(client.clone(), NAME, None, Vocabulary::Full);
    Nodes::new(client, recorder, Config::default())
}

fn key(name: &str) -> Key {
    Key::Node(name.into())
}

/// Plans until nothing but waiting is left, as if every write were made and seen at once. Tells what was written.
fn settle(part: &mut Nodes, name: &str) -> Vec<String> {
    let mut written = Vec::new();
    for _ in 0..10 {
        match part.plan(&key(name)) {
            None | Some(Plan::Wait(_)) => return written,
            Some(Plan::Silence(node, pods)) => {
                written.push(format!("silence {}", pods.len()));
                let mut node = (*node).clone();
                node.status.as_mut().unwrap().conditions = Some(health::silenced(&node, jiff::Timestamp::UNIX_EPOCH));
                part.index(Input::Node(Change::Apply(node)), &mut Vec::new());
            }
            Some(Plan::Tell(..)) => {
                written.push("tell".into());
                part.applied(&key(name), Outcome::Told);
            }
            Some(Plan::Taint(node, taints)) => {
                let mut node = (*node).clone();
                let texts: Vec<_> = taints.iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect();
                written.push(texts.join(" ").replace("node.kubernetes.io/", ""));
                node.spec.get_or_insert_default().taints = Some(taints);
                part.index(Input::Node(Change::Apply(node)), &mut Vec::new());
            }
            Some(plan) => panic!("{plan:?}"),
        }
    }
    panic!("no end: {written:?}")
}

#[tokio::test(start_paused = true)]
async fn a_node_is_silent_when_its_lease_stands_still_for_the_grace_period() {
    let mut part = part();
    let mut dirty = Vec::new();
    part.index(Input::Node(Change::Reset(vec![node("node-1", "True")])), &mut dirty);
    assert_eq!(dirty, [key("node-1")]);
    let Some(Plan::Wait(wait)) = part.plan(&key("node-1")) else { panic!("it is well") };
    assert_eq!(wait, GRACE);
    assert_eq!(part.applied(&key("node-1"), Outcome::Waited(wait)), Some(GRACE));
    assert!(part.plan(&key("node-1")).is_none(), "one look is pending, whatever happens to the object");

    tokio::time::advance(Duration::from_secs(30)).await;
    part.index(Input::Lease(Change::Apply(lease("node-1"))), &mut dirty);
    tokio::time::advance(Duration::from_secs(20)).await;
    let Some(Plan::Wait(wait)) = part.plan(&key("node-1")) else { panic!("it was heard of 20 seconds ago") };
    assert_eq!(wait, Duration::from_secs(30));

    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(settle(&mut part, "node-1"), ["silence 0", "tell", "unreachable:NoSchedule"]);
    // It is the only one: pods have nowhere else to go.
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(settle(&mut part, "node-1"), [""; 0]);
    part.index(Input::Node(Change::Apply(node("node-1", "True"))), &mut dirty);
    assert_eq!(settle(&mut part, "node-1"), [""; 0], "the taint went with the object that was applied");
}

#[tokio::test(start_paused = true)]
async fn a_lost_node_drives_its_pods_out_when_they_are_tolerated_no_longer() {
    let mut part = part();
    part.index(Input::Node(Change::Reset(vec![node("node-1", "True"), node("node-2", "True")])), &mut Vec::new());
    let hasty = json!([{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}]);
    let pods = vec![
        pod("usual", "node-1", json!([])),
        pod("hasty", "node-1", hasty),
        pod("loyal", "node-1", json!([{"operator": "Exists"}])),
        pod("other", "node-2", json!([])),
    ];
    part.index(Input::Pod(Change::Reset(pods)), &mut Vec::new());
    let said = |part: &mut Nodes, status: &str, taints: Option<Vec<Taint>>| {
        let mut node = node("node-1", status);
        node.spec.get_or_insert_default().taints = taints;
        part.index(Input::Node(Change::Apply(node)), &mut Vec::new());
    };
    said(&mut part, "False", None);
    assert_eq!(settle(&mut part, "node-1"), ["tell", "not-ready:NoSchedule"]);
    tokio::time::advance(SETTLE).await;
    assert_eq!(settle(&mut part, "node-1"), ["not-ready:NoSchedule not-ready:NoExecute"]);
    let fate = |part: &mut Nodes, name: &str| match part.plan(&Key::Pod(ObjectKey::new("shop", name))) {
        None => None,
        Some(Plan::Wait(wait)) => Some(wait.as_secs()),
        Some(Plan::Evict(_)) => Some(0),
        Some(Plan::Mark(_)) => Some(9999),
        Some(plan) => panic!("{plan:?}"),
    };
    // Each is looked at first as a pod that has come to a node that is not ready.
    let fates = |part: &mut Nodes| ["usual", "hasty", "loyal", "other"].map(|name| fate(part, name));
    assert_eq!(fates(&mut part), [Some(9999), Some(9999), Some(9999), None]);
    assert_eq!(fates(&mut part), [Some(300), Some(10), None, None]);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(fates(&mut part), [Some(290), Some(0), None, None]);
    // Unreachable after having been not ready: the time goes on.
    let taints = part.nodes.get(&ObjectKey::new("", "node-1")).unwrap().spec.clone().unwrap().taints;
    said(&mut part, "Unknown", taints);
    assert_eq!(settle(&mut part, "node-1"), ["unreachable:NoSchedule unreachable:NoExecute"]);
    assert_eq!(fates(&mut part), [Some(290), Some(0), None, None]);
    tokio::time::advance(Duration::from_secs(290)).await;
    assert_eq!(fates(&mut part), [Some(0), Some(0), None, None]);

    let taints = part.nodes.get(&ObjectKey::new("", "node-1")).unwrap().spec.clone().unwrap().taints;
    said(&mut part, "True", taints);
    assert_eq!(settle(&mut part, "node-1"), [""], "the taints go");
    assert_eq!(fates(&mut part), [None; 4]);
}

/// The API's answer to a write comes before the watch shows it; what follows from it must not be lost on the way.
#[tokio::test(start_paused = true)]
async fn what_follows_from_an_own_write_is_done_when_the_watch_shows_it() {
    let mut part = part();
    part.index(Input::Node(Change::Reset(vec![node("node-1", "True"), node("node-2", "True")])), &mut Vec::new());
    part.index(Input::Pod(Change::Reset(vec![pod("web", "node-1", json!([]))])), &mut Vec::new());
    let mut lost = node("node-1", "Unknown");
    lost.metadata.resource_version = Some("7".into());
    lost.spec.get_or_insert_default().taints = health::taints(&lost, Some(health::UNREACHABLE));
    part.nodes.ledger().put(lost.clone());
    assert!(!matches!(part.plan(&key("node-1")), Some(Plan::Taint(..) | Plan::Tell(..))), "not before it is seen");
    let mut dirty = Vec::new();
    part.index(Input::Node(Change::Apply(lost)), &mut dirty);
    let web = Key::Pod(ObjectKey::new("shop", "web"));
    assert!(dirty.contains(&key("node-1")) && dirty.contains(&web), "{dirty:?}");
    assert!(matches!(part.plan(&key("node-1")), Some(Plan::Tell(..))));
    assert!(matches!(part.plan(&web), Some(Plan::Mark(_))));
    let Some(Plan::Wait(wait)) = part.plan(&web) else { panic!("it is tolerated for a while") };
    assert_eq!(wait, Duration::from_secs(300));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_given_up_while_all_are_lost_and_then_one_after_the_other() {
    let mut part = part();
    let names = ["node-1", "node-2", "node-3"];
    let all = |status: &str| names.map(|name| node(name, status)).to_vec();
    part.index(Input::Node(Change::Reset(all("True"))), &mut Vec::new());
    tokio::time::advance(GRACE).await;
    for name in names {
        settle(&mut part, name);
    }
    tokio::time::advance(Duration::from_secs(600)).await;
    for name in names {
        assert_eq!(settle(&mut part, name), [""; 0], "{name}");
    }
    // One is back. The two others have been silent for long, but are given up one after the other.
    part.index(Input::Node(Change::Apply(node("node-1", "True"))), &mut Vec::new());
    assert_eq!(settle(&mut part, "node-2"), ["unreachable:NoSchedule unreachable:NoExecute"]);
    assert_eq!(settle(&mut part, "node-3"), [""; 0]);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(settle(&mut part, "node-3"), ["unreachable:NoSchedule unreachable:NoExecute"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_spoke_gets_longer() {
    let mut part = part();
    let new: Node = serde_json::from_value(json!({"metadata": {"name": "node-1", "uid": "1"}, "status": {}})).unwrap();
    part.index(Input::Node(Change::Reset(vec![new])), &mut Vec::new());
    tokio::time::advance(GRACE).await;
    let Some(Plan::Wait(wait)) = part.plan(&key("node-1")) else { panic!("not yet") };
    assert_eq!(wait, STARTUP_GRACE - GRACE);
    tokio::time::advance(wait).await;
    assert_eq!(settle(&mut part, "node-1"), ["silence 0", "unreachable:NoSchedule"], "it was never ready");
}

#[test]
fn taints_follow_conditions_and_others_are_left_alone() {
    let tainted = |taints: Value, unschedulable: bool, conditions: Value| -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": "node-1"},
            "spec": {"taints": taints, "unschedulable": unschedulable},
            "status": {"conditions": conditions},
        }))
        .unwrap()
    };
    let ready = json!([{"type": "Ready", "status": "True"}]);
    let gpu = json!({"key": "gpu", "effect": "NoSchedule", "value": "a"});
    let keys = |node: &Node| {
        let taints = health::taints(node, None)?;
        Some(taints.into_iter().map(|taint| taint.key.replace("node.kubernetes.io/", "")).collect::<Vec<_>>())
    };
    assert_eq!(keys(&tainted(json!([gpu]), false, ready.clone())), None);
    let wanted = ["gpu", "unschedulable"].map(str::to_owned);
    assert_eq!(keys(&tainted(json!([gpu]), true, ready.clone())), Some(wanted.into()));
    let full = json!([{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "True"}]);
    assert_eq!(keys(&tainted(json!([]), false, full)), Some(vec!["disk-pressure".into()]));
    let stale = json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}, gpu]);
    assert_eq!(keys(&tainted(stale, false, ready)), Some(vec!["gpu".into()]));
}
