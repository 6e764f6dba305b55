//! Times: back-offs as specified, and a budget of calls that a new Service does not have to wait for. On tokio's virtual
//! clock, which moves on whenever everybody waits: hours pass in seconds.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use portolan_cloud::scripted::{Call, Effect, Fault, Refusal, Script};
use portolan_controllers::loadbalancer::Config;
use portolan_events::Vocabulary;
use serde_json::json;
use tokio::time::Instant;

use super::site::{Site, ingress};
use crate::cluster::eventually;

/// What the controller may take for other things than waiting.
const SLACK: Duration = Duration::from_millis(100);

/// When each `ensure` of a Service came in.
fn ensures(site: &Site, name: &str) -> Vec<Instant> {
    let calls = site.provider.calls().into_iter();
    let about =
        calls.filter(|seen| seen.call == Call::Ensure && seen.service.as_ref().is_some_and(|key| key.name == name));
    about.map(|seen| seen.at).collect()
}

async fn until_ensures(site: &Site, name: &str, count: usize) -> Vec<Instant> {
    let deadline = Instant::now() + Duration::from_secs(7200);
    loop {
        let at = ensures(site, name);
        if at.len() >= count {
            return at;
        }
        assert!(Instant::now() < deadline, "only {} attempts within two hours", at.len());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn pauses(at: &[Instant]) -> Vec<Duration> {
    at.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn failures_wait_five_seconds_doubled_up_to_five_minutes() {
    let site = Site::on_virtual_time("203.0.113.0/29").await;
    let refused = Effect::Refuse(Refusal::new("QuotaExceeded"));
    site.provider.set(Script { faults: vec![Fault::always(refused)], ..Script::default() });
    let _controller = site.run(Config::default(), Vocabulary::Full);
    site.add("web", json!({})).await;
    let at = until_ensures(&site, "web", 10).await;
    for (pause, expected) in pauses(&at).iter().zip([5, 10, 20, 40, 80, 160, 300, 300, 300].map(Duration::from_secs)) {
        let most = expected.mul_f64(1.1) + SLACK;
        assert!((expected..=most).contains(pause), "{pause:?} instead of {expected:?} and a tenth at most");
    }
    // A change of what matters does not wait; a label does.
    let count = ensures(&site, "web").len();
    site.merge("web", json!({"metadata": {"labels": {"a": "b"}}})).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(ensures(&site, "web").len(), count);
    let changed = Instant::now();
    site.merge("web", json!({"metadata": {"annotations": {"a": "b"}}})).await;
    let at = until_ensures(&site, "web", count + 1).await;
    assert!(at[count] - changed < Duration::from_secs(2));
}

/// The provider's own time is kept exactly, and does not make the next back-off longer.
#[tokio::test(start_paused = true)]
async fn a_time_that_the_provider_gives_is_kept_and_not_counted() {
    let site = Site::on_virtual_time("203.0.113.0/29").await;
    let told = Refusal { retry_after: Some(Duration::from_secs(17)), ..Refusal::new("RequestLimitExceeded") };
    let faults = vec![
        Fault::next(Call::Ensure, 1, Effect::Refuse(Refusal::new("InternalError"))),
        Fault::next(Call::Ensure, 3, Effect::Refuse(told)),
        Fault::next(Call::Ensure, 1, Effect::Refuse(Refusal::new("InternalError"))),
    ];
    site.provider.set(Script { faults, ..Script::default() });
    let _controller = site.run(Config::default(), Vocabulary::Full);
    site.add("web", json!({})).await;
    let at = until_ensures(&site, "web", 6).await;
    let expected = [5, 17, 17, 17, 10].map(Duration::from_secs);
    for (number, (pause, expected)) in pauses(&at).into_iter().zip(expected).enumerate() {
        let jitter = if expected.as_secs() == 17 { Duration::ZERO } else { expected.mul_f64(0.1) };
        assert!((expected..=expected + jitter + SLACK).contains(&pause), "pause {number}: {pause:?}, not {expected:?}");
    }
    site.address("web").await;
}

/// 500 Services, 100 changes of nodes, 20 calls a second: in the end every balancer has the last nodes, the budget was
/// kept in every second, and Services that were made meanwhile had their address within five seconds.
#[tokio::test(start_paused = true)]
async fn a_new_service_does_not_wait_for_five_hundred_old_ones() {
    const OLD: usize = 500;
    const CHANGES: usize = 100;
    const RATE: f64 = 20.0;
    const BURST: u32 = 20;
    let site = Site::on_virtual_time("203.0.112.0/22").await;
    let fast = Config { calls_per_second: 10_000.0, burst: 10_000, ..Config::default() };
    let controller = site.run(fast, Vocabulary::Full);
    for number in 0..OLD {
        site.add(&format!("old-{number}"), json!({})).await;
    }
    eventually("five hundred addresses", async || (site.addresses().await.len() == OLD).then_some(())).await;
    drop(controller);

    let slow = Fault::always(Effect::Delay(Duration::from_millis(100)));
    site.provider.set(Script { faults: vec![slow], ..Script::default() });
    let before = site.provider.calls().len();
    let config =
        Config { calls_per_second: RATE, burst: BURST, drift_period: Duration::from_secs(3600), ..Config::default() };
    let _controller = site.run(config, Vocabulary::Full);
    let mut waits = Vec::new();
    for change in 0..CHANGES {
        site.add_node(&format!("new-{change}"), "172.30.1.1").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        if change % 20 == 10 {
            let (name, start) = (format!("late-{change}"), Instant::now());
            site.add(&name, json!({})).await;
            loop {
                if ingress(&site.services().get(&name).await.unwrap()).is_some() {
                    break waits.push(start.elapsed());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(5)), "{waits:?}");
    let all_nodes = CHANGES + 1;
    let settled = async || {
        let records = site.provider.records();
        records.iter().all(|record| record.wanted.nodes.len() == all_nodes).then_some(())
    };
    let (last_change, patience) = (Instant::now(), Duration::from_secs(600));
    let wait = async {
        while settled().await.is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(patience, wait).await.expect("every balancer has the last nodes");

    let calls: Vec<Instant> = site.provider.calls()[before..].iter().map(|seen| seen.at).collect();
    for (first, at) in calls.iter().enumerate() {
        let second = calls[first..].iter().take_while(|later| **later - *at < Duration::from_secs(1)).count();
        assert!(second <= RATE as usize + BURST as usize, "{second} calls within a second");
    }
    // Each change would have cost 500 calls; only as many as the budget has were made, the last ones with the last nodes.
    let needed = Duration::from_secs_f64(OLD as f64 / RATE);
    assert!(
        last_change.elapsed() < needed + Duration::from_secs(10),
        "settled {:?} after the last",
        last_change.elapsed()
    );
    let seconds = (*calls.last().unwrap() - calls[0]).as_secs_f64();
    assert!(calls.len() as f64 <= seconds * RATE + f64::from(BURST) + 1.0, "{} calls in {seconds} s", calls.len());
}
