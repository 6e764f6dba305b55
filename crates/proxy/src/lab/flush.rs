//! Somebody takes the rules away.

use std::{process::Command, time::Duration};

use portolan_nftables::{Batch, Element, Socket, Value};
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::{Feed, Lab, Outcome, PATIENCE, SILENCE, ask_within, in_world, pods, service, slice, table};
use crate::Config;

async fn start(lab: &mut Lab, config: &Config) -> Feed {
    lab.serve();
    let web = service("web", json!({"clusterIP": "10.96.0.10", "ports": [{"port": 80}]}));
    let feed = Feed::start(config, vec![web], vec![slice("web", &[], &pods("ac"), 8080)]);
    lab.settle(&feed).await;
    assert!(works(lab).await, "before anything happened");
    feed
}

async fn works(lab: &Lab) -> bool {
    matches!(ask_within(SILENCE, lab.namespace("b"), "tcp", "10.96.0.10:80").await, Outcome::Reached(..))
}

/// Waits until the table is whole again: every rule, and the Service reachable.
async fn restored(lab: &Lab, rules: usize) -> Duration {
    let mut socket = lab.stranger();
    let start = Instant::now();
    loop {
        let back = socket.rules(&table()).is_ok_and(|found| found.len() == rules);
        if back && works(lab).await {
            return start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_secs(1), "not restored within a second");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn an_owned_table_cannot_be_flushed_by_others() {
    const TEST: &str = "lab::flush::an_owned_table_cannot_be_flushed_by_others";
    in_world(TEST, |mut lab: Lab| async move {
        let config = lab.config();
        let feed = start(&mut lab, &config).await;
        if !lab.stranger().table(&table()).unwrap().unwrap().owned {
            portolan_netns::world::skip(TEST, "this kernel has no owned, persistent tables");
            return;
        }
        let mut batch = Batch::new();
        batch.table(&table()).delete_table();
        assert_eq!(lab.stranger().commit(&batch).unwrap_err().errno(), Some(1));
        match lab.node.run(|| Command::new("nft").args(["flush", "ruleset"]).status()).unwrap() {
            Ok(status) => assert!(status.success()),
            Err(error) => portolan_netns::world::skip(TEST, &format!("the part with nft: {error}")),
        }
        assert!(works(&lab).await, "the table is still there");
        feed.stop().await;
    });
}

#[test]
fn a_table_that_is_not_owned_is_back_within_a_second() {
    in_world("lab::flush::a_table_that_is_not_owned_is_back_within_a_second", |mut lab: Lab| async move {
        let config = Config { own_table: false, ..lab.config() };
        let feed = start(&mut lab, &config).await;
        let rules = lab.stranger().rules(&table()).unwrap().len();
        let element = || Element::new(Value::new().address([10, 96, 0, 10].into()).protocol(6).port(80));
        type Harm = (&'static str, fn(&mut Batch, Element));
        let harms: [Harm; 4] = [
            ("the table deleted", |batch, _| _ = batch.table(&table()).delete_table()),
            ("a chain flushed", |batch, _| _ = batch.table(&table()).flush_chain("services")),
            ("a set flushed", |batch, _| _ = batch.table(&table()).flush_set("ep")),
            ("an element deleted", |batch, element| _ = batch.table(&table()).delete_elements("svc", vec![element])),
        ];
        for (name, harm) in harms {
            let mut batch = Batch::new();
            harm(&mut batch, element());
            let mut stranger: Socket = lab.stranger();
            stranger.commit(&batch).unwrap();
            eprintln!("{name}: restored after {:?}", restored(&lab, rules).await);
        }
        feed.stop().await;
    });
}

#[test]
fn a_table_of_another_layout_is_replaced() {
    in_world("lab::flush::a_table_of_another_layout_is_replaced", |mut lab: Lab| async move {
        let old = Config { own_table: false, pod_cidrs: Vec::new(), ..lab.config() };
        let feed = start(&mut lab, &old).await;
        feed.stop().await;
        let config = lab.config();
        let feed = start_again(&mut lab, &config).await;
        // The kernel has a transaction before the proxy counts it.
        let counted = async {
            while config.metrics.rebuilds() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, counted).await.unwrap();
        assert_eq!(config.metrics.rebuilds(), 1);
        assert!(works(&lab).await);
        feed.stop().await;
    });
}

async fn start_again(lab: &mut Lab, config: &Config) -> Feed {
    let web = service("web", json!({"clusterIP": "10.96.0.10", "ports": [{"port": 80}]}));
    let feed = Feed::start(config, vec![web], vec![slice("web", &[], &pods("ac"), 8080)]);
    lab.settle(&feed).await;
    feed
}
