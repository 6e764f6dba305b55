//! Events, finalizers, statuses and conditions, word for word, with a provider that fails by a script.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use kube::ResourceExt;
use portolan_cloud::{
    Class,
    scripted::{Call, Effect, Fault, Refusal, Script},
};
use portolan_events::Vocabulary;
use serde_json::json;

use super::site::{Site, brisk, ingress};
use crate::cluster::eventually;

const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

fn refuse(code: &str) -> Effect {
    Effect::Refuse(Refusal::new(code))
}

fn script(faults: Vec<Fault>) -> Script {
    Script { faults, ..Script::default() }
}

/// What Kubernetes says on the same steps, and nothing else; nor does it write a condition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstreams_words_are_upstreams_only() {
    let site = Site::start().await;
    let _controller = site.run(brisk(), Vocabulary::Upstream);
    site.provider.set(script(vec![Fault::next(Call::Ensure, 1, refuse("QuotaExceeded"))]));
    site.add("web", json!({})).await;
    let address = site.address("web").await;
    assert_eq!(address, "203.0.113.1");
    site.said("web", &["EnsuringLoadBalancer", "SyncLoadBalancerFailed", "EnsuredLoadBalancer"]).await;
    assert_eq!(
        site.heard("web", "SyncLoadBalancerFailed").await,
        "Error syncing load balancer: failed to ensure load balancer: QuotaExceeded: Quota 'FORWARDING_RULES' exceeded"
    );
    assert_eq!(site.why("web").await, None);
    site.add_node("node-2", "172.30.0.12").await;
    assert_eq!(site.heard("web", "UpdatedLoadBalancer").await, "Updated load balancer with new hosts");
    site.delete("web").await;
    site.gone("web").await;
    let whole = [
        "EnsuringLoadBalancer",
        "SyncLoadBalancerFailed",
        "EnsuredLoadBalancer",
        "UpdatedLoadBalancer",
        "DeletingLoadBalancer",
        "DeletedLoadBalancer",
    ];
    site.said("web", &whole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_type_empties_the_status_and_takes_the_finalizer() {
    let site = Site::start().await;
    let _controller = site.run(brisk(), Vocabulary::Full);
    site.add("web", json!({})).await;
    site.address("web").await;
    assert_eq!(site.services().get("web").await.unwrap().finalizers(), [FINALIZER]);
    site.merge("web", json!({"spec": {"type": "NodePort"}})).await;
    eventually("nothing left", async || {
        let found = site.services().get("web").await.unwrap();
        (found.finalizers().is_empty() && ingress(&found).is_none() && site.provider.records().is_empty()).then_some(())
    })
    .await;
    site.merge("web", json!({"spec": {"type": "LoadBalancer"}})).await;
    assert_eq!(site.address("web").await, "203.0.113.1");
    site.heard("web", "DeletedLoadBalancer").await;
}

/// Nothing existed, so nothing is being deleted; that it is gone is said all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_existed_is_deleted_without_deleting() {
    let site = Site::start().await;
    site.provider.set(script(vec![Fault { calls: vec![Call::Ensure], ..Fault::always(refuse("AuthFailure")) }]));
    let _controller = site.run(brisk(), Vocabulary::Full);
    site.add("web", json!({})).await;
    site.heard("web", "SyncLoadBalancerFailed").await;
    site.delete("web").await;
    site.gone("web").await;
    site.heard("web", "DeletedLoadBalancer").await;
    assert!(!site.cluster.reasons("default", "web").await.contains(&"DeletingLoadBalancer".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_of_a_deletion_has_its_error() {
    let site = Site::start().await;
    let _controller = site.run(brisk(), Vocabulary::Full);
    site.add("web", json!({})).await;
    site.address("web").await;
    let faults = vec![
        Fault::next(Call::Get, 1, refuse("RequestLimitExceeded")),
        Fault::next(Call::Delete, 1, refuse("DependencyViolation")),
    ];
    site.provider.set(script(faults));
    site.delete("web").await;
    site.gone("web").await;
    let texts = [
        "Error syncing load balancer: failed to check if load balancer exists before cleanup: \
         RequestLimitExceeded: Request limit exceeded",
        "Error syncing load balancer: failed to delete load balancer: \
         DependencyViolation: The resource has a dependent object",
        // The same in the guide's word, where `kubectl describe` shows it.
        "Error deleting load balancer: DependencyViolation: The resource has a dependent object",
    ];
    for text in texts {
        eventually(text, async || {
            site.cluster.events("default", "web").await.iter().any(|(_, message)| message == text).then_some(())
        })
        .await;
    }
    assert!(site.provider.records().is_empty());
}

/// Another controller makes the balancer: one Ensuring, then silence, and no address is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn implemented_elsewhere_ends_quietly() {
    let site = Site::start().await;
    let elsewhere = Refusal { class: Some(Class::Elsewhere), ..Refusal::new("ImplementedElsewhere") };
    site.provider.set(script(vec![Fault::always(Effect::Refuse(elsewhere))]));
    let _controller = site.run(brisk(), Vocabulary::Full);
    site.add("web", json!({})).await;
    site.said("web", &["EnsuringLoadBalancer"]).await;
    site.add_node("node-2", "172.30.0.12").await;
    eventually("the provider was told of the node", async || {
        site.provider.calls().iter().any(|seen| seen.call == Call::UpdateNodes).then_some(())
    })
    .await;
    // Long enough for a retry, if there were one.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(site.cluster.reasons("default", "web").await, ["EnsuringLoadBalancer"]);
    let ensures = site.provider.calls().iter().filter(|seen| seen.call == Call::Ensure).count();
    assert_eq!((ensures, site.addresses().await.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_come_go_and_fail() {
    let site = Site::start().await;
    let _controller = site.run(brisk(), Vocabulary::Full);
    site.add("web", json!({})).await;
    site.address("web").await;
    let until_nodes = async |expected: &[&str]| {
        eventually(&format!("nodes {expected:?}"), async || (site.nodes_of("web") == expected).then_some(())).await;
    };
    site.add_node("node-2", "172.30.0.12").await;
    until_nodes(&["node-1", "node-2"]).await;
    let label = "node.kubernetes.io/exclude-from-external-load-balancers";
    site.merge_node("node-2", json!({"metadata": {"labels": {label: ""}}})).await;
    until_nodes(&["node-1"]).await;
    site.merge_node("node-2", json!({"metadata": {"labels": {label: "false"}}})).await;
    until_nodes(&["node-1", "node-2"]).await;

    // A failure is told, and everything is ensured anew.
    site.provider.set(script(vec![Fault::next(Call::UpdateNodes, 1, refuse("RequestLimitExceeded"))]));
    site.add_node("node-3", "172.30.0.13").await;
    until_nodes(&["node-1", "node-2", "node-3"]).await;
    assert_eq!(
        site.heard("web", "UpdateLoadBalancerFailed").await,
        "Error updating load balancer with new hosts [node-1 node-2 node-3] \
         [node names limited, total number of nodes: 3], error: RequestLimitExceeded: Request limit exceeded"
    );
    let ensures = || site.provider.calls().iter().filter(|seen| seen.call == Call::Ensure).count();
    assert_eq!(ensures(), 2);

    // A taint alone is no news, but takes the node out with the next change.
    let taint = json!({"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}});
    site.merge_node("node-1", taint).await;
    site.remove_node("node-3").await;
    until_nodes(&["node-2"]).await;

    // No balancer to update: nothing is wrong and nothing is said.
    site.provider.lose(&portolan_objects::ObjectKey::new("default", "web")).unwrap();
    let updates = || site.provider.calls().iter().filter(|seen| seen.call == Call::UpdateNodes).count();
    let before = updates();
    site.remove_node("node-2").await;
    eventually("the update of nothing", async || (updates() == before + 1).then_some(())).await;
    let failed = async || {
        let reasons = site.cluster.reasons("default", "web").await;
        reasons.iter().filter(|reason| *reason == "UpdateLoadBalancerFailed").count()
    };
    assert_eq!((failed().await, ensures()), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_nodes_the_balancer_is_made_and_said_to_be_unavailable() {
    let site = Site::start().await;
    site.remove_node("node-1").await;
    let _controller = site.run(brisk(), Vocabulary::Upstream);
    site.add("web", json!({})).await;
    site.said("web", &["EnsuringLoadBalancer", "UnAvailableLoadBalancer", "EnsuredLoadBalancer"]).await;
    assert_eq!(site.heard("web", "UnAvailableLoadBalancer").await, "There are no available nodes for LoadBalancer");
    site.address("web").await;
}

/// The key's old object is gone although it had a balancer: the way without an object, which has words of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_name_with_a_new_uid_first_removes_the_old_balancer() {
    let site = Site::start().await;
    let _controller = site.run(brisk(), Vocabulary::Full);
    site.add("web", json!({})).await;
    site.address("web").await;
    let old = site.provider.records()[0].wanted.id.clone();
    site.provider.set(script(vec![Fault::next(Call::Delete, 1, refuse("AuthorizationFailed"))]));
    site.force_away("web").await;
    site.add("web", json!({})).await;
    assert_eq!(site.address("web").await, "203.0.113.1", "the old one's address was free again");
    let records = site.provider.records();
    assert!(records.len() == 1 && records[0].wanted.id != old);
    let failed = site.heard("web", "DeleteLoadBalancerFailed").await;
    assert!(failed.starts_with("Error deleting load balancer: AuthorizationFailed: "), "{failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_waits_says_why() {
    let site = Site::with_pool("203.0.113.0/30").await;
    let _controller = site.run(brisk(), Vocabulary::Full);
    site.add("first", json!({})).await;
    assert_eq!(site.address("first").await, "203.0.113.1");
    site.add("rival", json!({"loadBalancerIP": "203.0.113.1"})).await;
    let message = site.until_why("rival", "AddressConflict").await;
    assert!(message.contains("in use by default/first") && message.contains("What to do"), "{message}");
    let refused = site.heard("rival", "IPNotAllocated").await;
    assert!(refused.starts_with("Failed to allocate IP for \"default/rival\": 203.0.113.1 is in use by"), "{refused}");

    site.add("second", json!({})).await;
    assert_eq!(site.address("second").await, "203.0.113.2");
    site.add("third", json!({})).await;
    site.until_why("third", "PoolExhausted").await;

    let rows = [
        ("TooManyLoadBalancers", "QuotaExceeded"),
        ("UnauthorizedOperation", "CredentialsRejected"),
        ("RequestLimitExceeded", "Throttled"),
        ("InvalidParameterValue", "InvalidParameter"),
    ];
    for (code, reason) in rows {
        site.provider.set(script(vec![Fault { calls: vec![Call::Ensure], ..Fault::always(refuse(code)) }]));
        let message = site.until_why("third", reason).await;
        assert!(message.starts_with(&format!("{code}: ")), "{message}");
    }
    for (effect, reason) in [(Effect::Unreachable, "ProviderUnreachable"), (Effect::Hang, "Timeout")] {
        site.provider.set(script(vec![Fault { calls: vec![Call::Ensure], ..Fault::always(effect) }]));
        site.until_why("third", reason).await;
    }
    site.provider.set(Script::default());
    site.delete("first").await;
    // Either of the two that wait gets it, and neither of them says any more why it waits.
    let lucky = eventually("the freed address", async || {
        let all = site.addresses().await;
        all.into_iter()
            .find(|(_, address)| address == "203.0.113.1")
            .map(|(name, _)| name)
            .filter(|name| name != "first")
    })
    .await;
    eventually("no reason left", async || site.why(&lucky).await.is_none().then_some(())).await;
    assert_eq!(site.address("second").await, "203.0.113.2");
}
