#![allow(clippy::unwrap_used)]

use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::scripted::{Addresses, Fault, Refusal, Scripted};

use super::*;

fn faulty() -> Arc<Faulty<Scripted>> {
    Arc::new(Faulty::new(Scripted::new("203.0.113.0/28".parse().unwrap(), Script::default())))
}

fn wanted(name: &str) -> LoadBalancer {
    LoadBalancer {
        id: BalancerId { service: ObjectKey::new("shop", name), uid: name.into() },
        ports: Vec::new(),
        requested: None,
        published: Vec::new(),
        source_ranges: Vec::new(),
        health_check_port: None,
        nodes: Vec::new(),
    }
}

async fn ensure(provider: &Faulty<Scripted>, name: &str) -> Result<Status, CloudError> {
    LoadBalancers::ensure(provider, &wanted(name), &|_| {}).await
}

fn script(effect: Effect) -> Script {
    Script { faults: vec![Fault::always(effect)], ..Script::default() }
}

#[tokio::test]
async fn without_a_fault_the_provider_behind_does_everything() {
    let provider = faulty();
    let status = ensure(&provider, "web").await.unwrap();
    assert_eq!(status.addresses, [IpAddr::from([203, 0, 113, 1])]);
    let id = wanted("web").id;
    assert_eq!(provider.get(&id).await.unwrap(), Some(status));
    assert_eq!(provider.list().await.unwrap().unwrap().len(), 1);
    provider.update_nodes(&wanted("web")).await.unwrap();
    provider.delete(&id).await.unwrap();
    assert_eq!(provider.get(&id).await.unwrap(), None);
}

#[tokio::test]
async fn a_refused_call_never_gets_through_and_a_lost_answer_is_of_one_that_did() {
    let provider = faulty();
    provider.set(script(Effect::Refuse(Refusal::new("RequestLimitExceeded"))));
    assert_eq!(ensure(&provider, "web").await.unwrap_err().class, Class::Throttled);
    provider.set(script(Effect::Unreachable));
    assert_eq!(ensure(&provider, "web").await.unwrap_err().class, Class::Unreachable);
    assert!(provider.behind.records().is_empty());
    provider.set(script(Effect::LoseAnswer));
    assert_eq!(ensure(&provider, "web").await.unwrap_err().class, Class::Timeout);
    assert_eq!(provider.behind.records().len(), 1);
    provider.set(script(Effect::Halfway(Refusal::new("DependencyViolation"))));
    assert_eq!(provider.delete(&wanted("web").id).await.unwrap_err().code, "DependencyViolation");
    assert_eq!(provider.behind.records().len(), 1, "half a deletion leaves it");
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_or_are_slow_hear_of_the_next_script() {
    let provider = faulty();
    provider.set(script(Effect::Hang));
    let hung = tokio::spawn({
        let provider = provider.clone();
        async move { ensure(&provider, "web").await }
    });
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!hung.is_finished());
    provider.set(script(Effect::Delay(Duration::from_secs(3600))));
    assert_eq!(hung.await.unwrap().unwrap_err().class, Class::Timeout);
    let slow = tokio::spawn({
        let provider = provider.clone();
        async move { ensure(&provider, "web").await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!slow.is_finished());
    provider.set(Script::default());
    slow.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_provider_that_crashed_is_up_again_with_the_next_script() {
    let provider = faulty();
    provider.set(script(Effect::Crash(Point::After)));
    assert_eq!(ensure(&provider, "web").await.unwrap_err().class, Class::Unreachable);
    assert_eq!(provider.get(&wanted("web").id).await.unwrap_err().class, Class::Unreachable);
    provider.set(Script::default());
    assert!(provider.get(&wanted("web").id).await.unwrap().is_some());
}

#[tokio::test]
async fn quota_and_pool_are_short_for_new_balancers_only() {
    let provider = faulty();
    ensure(&provider, "old").await.unwrap();
    provider.set(Script { quota: Some(1), ..Script::default() });
    ensure(&provider, "old").await.unwrap();
    assert_eq!(ensure(&provider, "new").await.unwrap_err().class, Class::Quota);
    provider.set(Script { pool: Some(Addresses::Exhausted), ..Script::default() });
    ensure(&provider, "old").await.unwrap();
    assert_eq!(ensure(&provider, "new").await.unwrap_err().class, Class::Pool);
    let network = "203.0.113.8/30".parse().unwrap();
    provider.set(Script { pool: Some(Addresses::Within(network)), ..Script::default() });
    let addresses = async |name| ensure(&provider, name).await.map(|status| status.addresses);
    assert_eq!(addresses("new").await.unwrap(), [IpAddr::from([203, 0, 113, 9])]);
    assert_eq!(addresses("newer").await.unwrap(), [IpAddr::from([203, 0, 113, 10])]);
    let error = addresses("newest").await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Pool, "AddressPoolExhausted"));
    assert!(error.message.contains("203.0.113.8/30"), "{error}");
}
