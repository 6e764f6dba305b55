#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::plan::decide;
use super::usage::Share;
use super::*;

fn node(name: &str) -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "disk": "ssd"}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"pods": "110"}},
    }))
    .unwrap()
}

fn pod(name: &str, spec: Value) -> Pod {
    let mut pod: Pod = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": name, "uid": name},
        "spec": {"containers": [{"name": "main"}]},
    }))
    .unwrap();
    let mut whole = serde_json::to_value(&pod.spec).unwrap();
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    pod.spec = serde_json::from_value(whole).unwrap();
    pod
}

fn with_port(name: &str, port: Value) -> Pod {
    pod(name, json!({"containers": [{"name": "main", "ports": [port]}]}))
}

fn owned(name: &str, owner: &str) -> Pod {
    let mut pod = pod(name, json!({}));
    pod.metadata.owner_references = serde_json::from_value(json!([
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "controller": true},
    ]))
    .unwrap();
    pod
}

fn decided(pod: &Pod, nodes: &[(&Node, &[Arc<Pod>])]) -> Decision {
    let used = |pods: &[Arc<Pod>]| {
        let mut used = Used::default();
        pods.iter().for_each(|pod| used.add(&Share::of(pod)));
        used
    };
    let nodes: Vec<(&Node, Used)> = nodes.iter().map(|(node, pods)| (*node, used(pods))).collect();
    let places: Vec<Place<'_>> = nodes.iter().map(|(node, used)| Place { node, used }).collect();
    decide(pod, &places)
}

fn bound(node: &str) -> Decision {
    Decision::Bind(node.into())
}

#[test]
fn siblings_spread_first_and_then_the_emptier_node_wins() {
    let (one, two) = (node("node-1"), node("node-2"));
    let sibling: &[Arc<Pod>] = &[Arc::new(owned("a", "web"))];
    let others: &[Arc<Pod>] = &[Arc::new(owned("x", "other")), Arc::new(owned("y", "other"))];
    assert_eq!(decided(&owned("b", "web"), &[(&one, sibling), (&two, others)]), bound("node-2"));
    assert_eq!(decided(&pod("plain", json!({})), &[(&one, sibling), (&two, others)]), bound("node-1"));
    assert_eq!(decided(&pod("plain", json!({})), &[(&two, &[]), (&one, &[])]), bound("node-1"), "equal: by name");
}

#[test]
fn unfit_nodes_are_counted_by_their_reason() {
    let good = node("node-1");
    let mut cordoned = node("node-2");
    cordoned.spec.get_or_insert_default().unschedulable = Some(true);
    let mut silent = node("node-3");
    silent.status.as_mut().unwrap().conditions.as_mut().unwrap()[0].status = "Unknown".into();
    let mut tainted = node("node-4");
    tainted.spec =
        serde_json::from_value(json!({"taints": [{"key": "gpu", "value": "a", "effect": "NoSchedule"}]})).unwrap();
    let picky = pod("picky", json!({"nodeSelector": {"disk": "tape"}}));
    let nodes: [(&Node, &[Arc<Pod>]); 4] = [(&good, &[]), (&cordoned, &[]), (&silent, &[]), (&tainted, &[])];
    let message = "0/4 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, \
                   1 node(s) were unschedulable, 2 node(s) had untolerated taint(s). \
                   no new claims to deallocate, preemption: 0/4 nodes are available: \
                   4 Preemption is not helpful for scheduling.";
    assert_eq!(decided(&picky, &nodes), Decision::Unschedulable(message.into()));
    assert_eq!(decided(&pod("any", json!({})), &nodes), bound("node-1"));
    let tolerant = pod("t", json!({"tolerations": [{"key": "gpu", "operator": "Exists"}]}));
    assert_eq!(decided(&tolerant, &[(&tainted, &[])]), bound("node-4"));
    let daemon = pod("daemon", json!({"tolerations": [{"operator": "Exists"}]}));
    for node in [&cordoned, &silent, &tainted] {
        let name = node.metadata.name.as_deref().unwrap();
        assert_eq!(decided(&daemon, &[(node, &[])]), bound(name), "it tolerates everything");
    }
    assert_eq!(decided(&picky, &[]), Decision::Unschedulable("no nodes available to schedule pods".into()));
}

#[test]
fn required_affinity_is_any_term_and_all_of_its_rules() {
    let affine = |rules: Value| {
        pod(
            "p",
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": rules,
            }}}}),
        )
    };
    let one = node("node-1");
    let fits = |rules| decided(&affine(rules), &[(&one, &[])]) == bound("node-1");
    assert!(fits(json!([{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}])));
    assert!(!fits(json!([{"matchExpressions": [
        {"key": "disk", "operator": "Exists"}, {"key": "disk", "operator": "NotIn", "values": ["ssd"]},
    ]}])));
    assert!(fits(json!([{}, {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}])));
    assert!(!fits(json!([{}])));
}

const NO_PORTS: &str = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. \
                        no new claims to deallocate, preemption: 0/1 nodes are available: \
                        1 No preemption victims found for incoming pod.";

#[test]
fn what_is_said_of_preemption_depends_on_the_pod() {
    let one = node("node-1");
    let port = json!({"containerPort": 80, "hostPort": 80});
    let there: &[Arc<Pod>] = &[Arc::new(with_port("taken", port.clone()))];
    let (begin, _) = NO_PORTS.split_once(" no new claims").unwrap();
    let rows = [
        (json!({}), NO_PORTS.to_owned()),
        (
            json!({"preemptionPolicy": "Never"}),
            format!("{begin} no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never."),
        ),
        (json!({"priority": 10}), begin.to_owned()),
    ];
    for (spec, expected) in rows {
        let mut spec = spec;
        spec["containers"] = json!([{"name": "main", "ports": [port]}]);
        assert_eq!(decided(&pod("new", spec), &[(&one, there)]), Decision::Unschedulable(expected));
    }
}

#[test]
fn host_ports_conflict_by_protocol_port_and_address() {
    let one = node("node-1");
    let taken = |port: Value| vec![Arc::new(with_port("taken", port))];
    let rows = [
        (json!({"containerPort": 80, "hostPort": 80}), json!({"containerPort": 81, "hostPort": 80}), false),
        (json!({"containerPort": 80, "hostPort": 80}), json!({"containerPort": 80, "hostPort": 81}), true),
        (
            json!({"containerPort": 80, "hostPort": 80}),
            json!({"containerPort": 80, "hostPort": 80, "protocol": "UDP"}),
            true,
        ),
        (
            json!({"containerPort": 80, "hostPort": 80, "hostIP": "10.0.0.1"}),
            json!({"containerPort": 80, "hostPort": 80, "hostIP": "10.0.0.2"}),
            true,
        ),
        (
            json!({"containerPort": 80, "hostPort": 80, "hostIP": "10.0.0.1"}),
            json!({"containerPort": 80, "hostPort": 80, "hostIP": "0.0.0.0"}),
            false,
        ),
    ];
    for (theirs, ours, fits) in rows {
        let decision = decided(&with_port("new", ours.clone()), &[(&one, &taken(theirs.clone()))]);
        assert_eq!(decision == bound("node-1"), fits, "{theirs} {ours}");
        if !fits {
            assert_eq!(decision, Decision::Unschedulable(NO_PORTS.into()));
        }
    }
}

/// A pod that requests this much.
fn hungry(name: &str, cpu: &str, memory: &str) -> Pod {
    let requests = json!({"cpu": cpu, "memory": memory, "ephemeral-storage": "1Ti"});
    pod(name, json!({"containers": [{"name": "main", "resources": {"requests": requests}}]}))
}

fn sized(name: &str, cpu: &str, memory: &str, pods: &str) -> Node {
    let mut node = node(name);
    node.status.as_mut().unwrap().allocatable =
        serde_json::from_value(json!({"cpu": cpu, "memory": memory, "pods": pods})).unwrap();
    node
}

#[test]
fn requests_must_fit_beside_those_that_are_there() {
    let (two, four) = (sized("node-1", "2", "1Gi", "2"), sized("node-2", "4", "1Gi", "110"));
    let there: &[Arc<Pod>] = &[Arc::new(hungry("a", "1500m", "512Mi"))];
    let full: &[Arc<Pod>] = &[Arc::new(hungry("a", "0", "0")), Arc::new(hungry("b", "2", "0"))];
    let refused = |reasons: &str, preemption: &str| {
        let preemption = format!("no new claims to deallocate, preemption: 0/2 nodes are available: {preemption}.");
        Decision::Unschedulable(format!("0/2 nodes are available: {reasons}. {preemption}"))
    };
    const NONE: &str = "2 Preemption is not helpful for scheduling";
    const ONE: &str = "1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling";
    let rows = [
        (hungry("p", "50", "0"), there, refused("2 Insufficient cpu", NONE)),
        (hungry("p", "500m", "512Mi"), there, bound("node-2")),
        (hungry("p", "4", "1Gi"), there, bound("node-2")),
        (hungry("p", "4001m", "1Mi"), there, refused("2 Insufficient cpu", NONE)),
        (hungry("p", "3", "768Mi"), there, bound("node-2")),
        (hungry("p", "3", "2Gi"), there, refused("1 Insufficient cpu, 2 Insufficient memory", NONE)),
        (hungry("p", "5", "0"), full, refused("1 Too many pods, 2 Insufficient cpu", NONE)),
        (hungry("p", "0", "0"), full, bound("node-2")),
        (hungry("p", "2", "2Gi"), there, refused("1 Insufficient cpu, 2 Insufficient memory", NONE)),
    ];
    for (pod, pods, expected) in rows {
        assert_eq!(decided(&pod, &[(&two, pods), (&four, &[])]), expected, "{pod:?}");
    }
    let crowd: &[Arc<Pod>] = &[Arc::new(hungry("a", "2", "0"))];
    let decision = decided(&hungry("p", "3", "0"), &[(&two, &[]), (&four, crowd)]);
    assert_eq!(decision, refused("2 Insufficient cpu", ONE));
    let exactly = decided(&hungry("p", "500m", "512Mi"), &[(&two, there)]);
    assert_eq!(exactly, bound("node-1"), "the last of the room can be taken");
    let gpu =
        pod("gpu", json!({"containers": [{"name": "main", "resources": {"requests": {"example.com/gpu": "1"}}}]}));
    assert_eq!(decided(&gpu, &[(&two, &[]), (&four, &[])]), refused("2 Insufficient example.com/gpu", NONE));
}

#[test]
fn usage_follows_every_pod_from_the_decision_to_its_end() {
    let mut usage = Usage::default();
    let taken = |usage: &Usage, node: &str| usage.of(node).map_or((0, 0), |used| (used.pods, used.requests.get("cpu")));
    let waiting = Arc::new(hungry("a", "1", "0"));
    let key = ObjectKey::of(&*waiting);
    let on = |node: &str, phase: &str| {
        let mut pod = (*waiting).clone();
        pod.spec.as_mut().unwrap().node_name = Some(node.into());
        pod.status.get_or_insert_default().phase = Some(phase.into());
        Arc::new(pod)
    };
    assert!(!usage.track((None, Some(&waiting))));
    assert_eq!(taken(&usage, "node-1"), (0, 0));

    usage.assume(&key, &waiting, "node-1");
    assert_eq!(taken(&usage, "node-1"), (1, 1000), "a decision counts at once");
    assert!(!usage.is_bound(&key, "a"));
    usage.bound(&key);
    assert!(!usage.track((Some(&waiting), Some(&waiting))), "the watch is behind");
    assert!(usage.is_bound(&key, "a") && !usage.is_bound(&key, "another"));
    assert_eq!(taken(&usage, "node-1"), (1, 1000));

    let (running, done) = (on("node-1", "Running"), on("node-1", "Succeeded"));
    assert!(!usage.track((Some(&waiting), Some(&running))));
    assert!(!usage.track((Some(&running), Some(&running))), "twice is once");
    assert_eq!(taken(&usage, "node-1"), (1, 1000));
    assert!(usage.track((Some(&running), Some(&done))), "its end makes room");
    assert!(!usage.track((Some(&done), None)), "once");
    assert_eq!(taken(&usage, "node-1"), (0, 0));

    usage.assume(&key, &waiting, "node-2");
    let mut successor = (*waiting).clone();
    successor.metadata.uid = Some("b".into());
    assert!(usage.track((Some(&waiting), Some(&Arc::new(successor)))), "another pod of that name waits");
    assert_eq!(taken(&usage, "node-2"), (0, 0));
}
