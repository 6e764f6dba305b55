//! Something is wrong with the proxy itself, see [`crate::Condition`].

use std::net::SocketAddr;

use portolan_netns::Namespace;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::{Duration, Instant, sleep},
};

use super::{Feed, Lab, NODE, Outcome, PATIENCE, SILENCE, ask_within, in_world, pods, service, slice, table};
use crate::{Condition, Config};

const HEALTH: u16 = 10256;

async fn start(lab: &mut Lab) -> (Feed, watch::Sender<Condition>) {
    lab.serve();
    let condition = watch::Sender::new(Condition::Well);
    let health = Some(SocketAddr::new(NODE.parse().unwrap(), HEALTH));
    let config = Config { health, condition: condition.subscribe(), ..lab.config() };
    let web = service("web", json!({"clusterIP": "10.96.0.10", "ports": [{"port": 80}]}));
    let feed = Feed::start(&config, vec![web], vec![slice("web", &[], &pods("a"), 8080)]);
    lab.settle(&feed).await;
    assert_eq!(answers(lab).await, Some("a".to_owned()), "before anything happened");
    assert_eq!(health_code(&lab.node).await, "200");
    (feed, condition)
}

/// Which pod answers for the Service.
async fn answers(lab: &Lab) -> Option<String> {
    match ask_within(SILENCE, lab.namespace("b"), "tcp", "10.96.0.10:80").await {
        Outcome::Reached(pod, _) => Some(pod),
        _ => None,
    }
}

async fn health_code(node: &Namespace) -> String {
    let mut stream = node.tcp_connect(SocketAddr::new(NODE.parse().unwrap(), HEALTH)).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.split(' ').nth(1).unwrap().to_owned()
}

async fn eventually(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !look().await {
        assert!(start.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn deleted_rules_stay_away_until_the_proxy_is_well_again() {
    in_world("lab::trouble::deleted_rules_stay_away_until_the_proxy_is_well_again", |mut lab: Lab| async move {
        let (feed, condition) = start(&mut lab).await;
        condition.send_replace(Condition::Stripped);
        let mut stranger = lab.stranger();
        eventually("the table is deleted", async || stranger.table(&table()).unwrap().is_none()).await;
        assert_eq!(answers(&lab).await, None);
        assert_eq!(health_code(&lab.node).await, "200", "it does not know");
        // A change of the Service does not bring it back.
        feed.put_slice(slice("web", &[], &pods("c"), 8080));
        feed.put(service("other", json!({"clusterIP": "10.96.0.11", "ports": [{"port": 80}]})));
        sleep(SILENCE).await;
        assert!(stranger.table(&table()).unwrap().is_none());
        condition.send_replace(Condition::Well);
        eventually("what it missed is there", async || answers(&lab).await.as_deref() == Some("c")).await;
        feed.stop().await;
    });
}

#[test]
fn a_frozen_proxy_keeps_its_rules_and_says_that_it_is_ill() {
    in_world("lab::trouble::a_frozen_proxy_keeps_its_rules_and_says_that_it_is_ill", |mut lab: Lab| async move {
        let (feed, condition) = start(&mut lab).await;
        condition.send_replace(Condition::Frozen);
        eventually("the health check says so", async || health_code(&lab.node).await == "503").await;
        feed.put_slice(slice("web", &[], &pods("c"), 8080));
        sleep(SILENCE).await;
        assert_eq!(answers(&lab).await.as_deref(), Some("a"), "the rules are old");
        condition.send_replace(Condition::Well);
        eventually("what it missed is there", async || answers(&lab).await.as_deref() == Some("c")).await;
        assert_eq!(health_code(&lab.node).await, "200");
        feed.stop().await;
    });
}
