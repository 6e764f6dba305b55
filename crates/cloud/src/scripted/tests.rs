#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn pool() -> Ipv4Net {
    "203.0.113.0/29".parse().unwrap()
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

async fn ensure(provider: &Scripted, name: &str) -> (Vec<Step>, Result<Status, CloudError>) {
    let steps = Mutex::new(Vec::new());
    let result = provider.ensure(&wanted(name), &|step| steps.lock().push(step)).await;
    (steps.into_inner(), result)
}

fn one(call: Call, effect: Effect) -> Script {
    Script { faults: vec![Fault::next(call, 1, effect)], ..Script::default() }
}

#[test]
fn a_script_is_data() {
    let text = json!({"quota": 3, "faults": [
        {"calls": ["ensure"], "services": ["shop/web"], "skip": 1, "times": 2, "effect": {"refuse": {"code": "RequestLimitExceeded"}}},
        {"effect": {"delay": 250}},
        {"calls": ["delete"], "effect": "hang"},
        {"effect": {"crash": "halfway"}},
        {"effect": {"halfway": {"code": "DependencyViolation", "retryAfterMilliseconds": 1500}}},
    ]});
    let script: Script = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(script.faults[1].effect, Effect::Delay(Duration::from_millis(250)));
    assert_eq!(serde_json::to_value(&script).unwrap(), text, "it survives the round trip");
    assert!(serde_json::from_value::<Script>(json!({"fault": []})).is_err(), "a misspelt word is refused");
}

#[test]
fn every_code_of_the_guide_has_its_class() {
    let rows = [
        ("RequestLimitExceeded", Class::Throttled),
        ("rateLimitExceeded", Class::Throttled),
        ("UnauthorizedOperation", Class::Auth),
        ("AuthorizationFailed", Class::Auth),
        ("AuthFailure", Class::Auth),
        ("QuotaExceeded", Class::Quota),
        ("TooManyLoadBalancers", Class::Quota),
        ("InvalidParameterValue", Class::Invalid),
        ("DependencyViolation", Class::Other),
        ("SomethingNew", Class::Other),
    ];
    for (code, class) in rows {
        let error = Refusal::new(code).error();
        assert_eq!((error.code.as_str(), error.class), (code, class));
    }
    let mut codes: Vec<_> = vendor::CODES.iter().map(|known| known.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), vendor::CODES.len(), "a code stands for one thing");
}

#[tokio::test]
async fn faults_strike_the_calls_and_services_that_they_name_and_count_down() {
    let provider = Scripted::new(pool(), Script::default());
    let throttled = Effect::Refuse(Refusal::new("RequestLimitExceeded"));
    let fault = Fault { services: vec!["shop/web".into()], skip: 1, ..Fault::next(Call::Ensure, 2, throttled) };
    provider.set(Script { faults: vec![fault], ..Script::default() });
    let mut answers = Vec::new();
    for name in ["web", "other", "web", "web", "web"] {
        answers.push(ensure(&provider, name).await.1.is_ok());
    }
    assert_eq!(answers, [true, true, false, false, true]);
    assert_eq!(provider.calls().len(), 5);
    assert_eq!(provider.script().faults[0].times, Some(0));
}

#[tokio::test]
async fn a_lost_answer_leaves_the_balancer_and_the_next_ensure_finds_it() {
    let provider = Scripted::new(pool(), one(Call::Ensure, Effect::LoseAnswer));
    let (steps, lost) = ensure(&provider, "web").await;
    assert_eq!(lost.unwrap_err().class, Class::Timeout);
    assert_eq!(steps.len(), 3, "it was made: {steps:?}");
    let (steps, found) = ensure(&provider, "web").await;
    assert_eq!((steps, found.unwrap().addresses), (Vec::new(), vec![IpAddr::from([203, 0, 113, 1])]));
    assert_eq!(provider.records().len(), 1);
}

#[tokio::test]
async fn half_a_balancer_holds_its_address_until_it_is_finished_or_deleted() {
    let stop = || Effect::Halfway(Refusal::new("InternalError"));
    let provider = Scripted::new(pool(), one(Call::Ensure, stop()));
    assert!(ensure(&provider, "web").await.1.is_err());
    assert!(!provider.records()[0].complete);
    assert_ne!(ensure(&provider, "other").await.1.unwrap().addresses, [IpAddr::from([203, 0, 113, 1])]);
    let (steps, status) = ensure(&provider, "web").await;
    assert_eq!(steps, [Step::Created(status.unwrap())]);

    provider.set(one(Call::Delete, stop()));
    let id = wanted("web").id;
    assert!(provider.delete(&id).await.is_err());
    assert!(provider.get(&id).await.unwrap().is_some());
    provider.delete(&id).await.unwrap();
    assert_eq!(provider.get(&id).await.unwrap(), None);
}

#[tokio::test]
async fn a_provider_that_is_down_answers_nothing_and_keeps_its_records() {
    for (point, left) in [(Point::Before, 0), (Point::Halfway, 1), (Point::After, 1)] {
        let provider = Scripted::new(pool(), one(Call::Ensure, Effect::Crash(point)));
        assert_eq!(ensure(&provider, "web").await.1.unwrap_err().class, Class::Unreachable);
        assert!(provider.is_down());
        assert_eq!(provider.get(&wanted("web").id).await.unwrap_err().class, Class::Unreachable);
        assert_eq!(provider.records().len(), left, "{point:?}");
        provider.recover();
        assert!(ensure(&provider, "web").await.1.is_ok());
        assert_eq!(provider.records().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn delays_add_up_and_a_hung_call_is_never_answered() {
    let delay = |milliseconds| Fault::always(Effect::Delay(Duration::from_millis(milliseconds)));
    let provider = Scripted::new(pool(), Script { faults: vec![delay(200), delay(300)], ..Script::default() });
    let start = Instant::now();
    ensure(&provider, "web").await.1.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(500));
    provider.set(one(Call::Get, Effect::Hang));
    let hour = Duration::from_secs(3600);
    assert!(tokio::time::timeout(hour, provider.get(&wanted("web").id)).await.is_err());
}

#[tokio::test]
async fn quota_pool_and_conflicts_are_real() {
    let provider = Scripted::new("203.0.113.0/30".parse().unwrap(), Script { quota: Some(1), ..Script::default() });
    ensure(&provider, "web").await.1.unwrap();
    assert_eq!(ensure(&provider, "two").await.1.unwrap_err().class, Class::Quota);
    provider.set(Script::default());
    ensure(&provider, "two").await.1.unwrap();
    let (steps, refused) = ensure(&provider, "three").await;
    assert_eq!(refused.unwrap_err().class, Class::Pool);
    assert!(matches!(steps[..], [Step::AddressRefused(_)]));
    let mut asking = wanted("four");
    asking.requested = Some([203, 0, 113, 1].into());
    let conflict = provider.ensure(&asking, &|_| {}).await.unwrap_err();
    assert_eq!(conflict.class, Class::Conflict);
    assert!(conflict.message.contains("shop/web"), "{conflict}");
}

#[tokio::test]
async fn records_in_a_file_outlive_the_provider() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("balancers.json");
    let first = Scripted::open(&path, pool(), Script::default()).unwrap();
    ensure(&first, "web").await.1.unwrap();
    ensure(&first, "other").await.1.unwrap();
    first.delete(&wanted("web").id).await.unwrap();
    drop(first);
    let second = Scripted::open(&path, pool(), Script::default()).unwrap();
    assert_eq!(second.records().len(), 1);
    let (steps, status) = ensure(&second, "other").await;
    assert_eq!((steps, status.unwrap().addresses), (Vec::new(), vec![IpAddr::from([203, 0, 113, 2])]));
    assert!(second.lose(&ObjectKey::new("shop", "other")).unwrap());
    assert!(Scripted::open(&path, pool(), Script::default()).unwrap().records().is_empty());
    std::fs::write(&path, "not json").unwrap();
    assert!(Scripted::open(&path, pool(), Script::default()).is_err());
}
