#![allow(clippy::unwrap_used)]

use super::*;

fn resource(plural: &str) -> &'static Resource {
    portolan_kinds::find("", "v1", plural).unwrap()
}

fn pod(node: &str, phase: &str) -> Value {
    json!({"metadata": {"name": "a"}, "spec": {"nodeName": node, "terminationGracePeriodSeconds": 20}, "status": {"phase": phase}})
}

#[test]
fn only_running_pods_on_a_node_get_grace() {
    let pods = resource("pods");
    for (name, object, asked, expected) in [
        ("bound", pod("n", "Running"), None, 20),
        ("asked", pod("n", "Running"), Some(5), 5),
        ("negative", pod("n", "Running"), Some(-1), 1),
        ("now", pod("n", "Running"), Some(0), 0),
        ("unbound", pod("", "Pending"), None, 0),
        ("over", pod("n", "Succeeded"), Some(9), 0),
    ] {
        assert_eq!(grace(pods, &object, asked), expected, "{name}");
    }
    assert_eq!(grace(resource("services"), &pod("n", "Running"), Some(9)), 0, "not a pod");
}

#[test]
fn a_second_delete_can_only_shorten_the_grace() {
    let pods = resource("pods");
    let now = Timestamp::from_second(1_000_000).unwrap();
    let Plan::Mark(marked) = plan(pods, pod("n", "Running"), &DeleteOptions::default(), now) else { panic!() };
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 20);
    assert_eq!(marked["metadata"]["deletionTimestamp"], "1970-01-12T13:47:00Z");
    let with = |grace| DeleteOptions { grace: Some(grace), ..DeleteOptions::default() };
    assert_eq!(plan(pods, marked.clone(), &with(60), now), Plan::Nothing);
    let Plan::Mark(shorter) = plan(pods, marked.clone(), &with(5), now) else { panic!() };
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    assert!(matches!(plan(pods, marked, &with(0), now), Plan::Remove(_)));
}

#[test]
fn finalizers_and_propagation_decide_whether_an_object_stays() {
    let services = resource("services");
    let now = Timestamp::now();
    let plain = json!({"metadata": {"name": "a"}});
    let held = json!({"metadata": {"name": "a", "finalizers": ["x/y"]}});
    let with = |propagation| DeleteOptions { propagation, ..DeleteOptions::default() };
    assert!(matches!(plan(services, plain.clone(), &with(None), now), Plan::Remove(_)));
    assert!(matches!(plan(services, held, &with(Some(Propagation::Background)), now), Plan::Mark(_)));
    for (propagation, finalizer) in [(Propagation::Orphan, ORPHAN), (Propagation::Foreground, FOREGROUND)] {
        let Plan::Mark(marked) = plan(services, plain.clone(), &with(Some(propagation)), now) else { panic!() };
        assert_eq!(marked["metadata"]["finalizers"], json!([finalizer]));
        let repeated = plan(services, marked.clone(), &with(Some(propagation)), now);
        assert_eq!(repeated, Plan::Nothing);
        assert!(matches!(plan(services, marked, &with(Some(Propagation::Background)), now), Plan::Remove(_)));
    }
}

#[test]
fn a_namespace_stays_until_it_is_finalized() {
    let object =
        json!({"metadata": {"name": "a"}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
    let namespaces = resource("namespaces");
    let Plan::Mark(marked) = plan(namespaces, object, &DeleteOptions::default(), Timestamp::now()) else { panic!() };
    assert_eq!(marked["status"]["phase"], "Terminating");
}

#[test]
fn options_of_the_body_win() {
    let query = DeleteOptions { grace: Some(1), propagation: Some(Propagation::Orphan), ..DeleteOptions::default() };
    let body = json!({"dryRun": ["All"], "propagationPolicy": "Background", "preconditions": {"uid": "u"}});
    let merged = merge_options(&query, &body).unwrap();
    assert_eq!(
        merged,
        DeleteOptions {
            dry_run: true,
            grace: Some(1),
            propagation: Some(Propagation::Background),
            uid: Some("u".to_owned()),
            revision: None
        }
    );
    assert_eq!(merge_options(&query, &json!({"propagationPolicy": "No"})).unwrap_err().code, 422);
}
