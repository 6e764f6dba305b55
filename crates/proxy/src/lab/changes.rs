//! Changes while clients connect, UDP flows that must move, restarts that must not be noticed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::time::timeout;

use super::{ANSWER, Feed, Lab, Outcome, PATIENCE, ask, ask_udp, ask_within, in_world, pods, service, slice, table};

fn web() -> k8s_openapi::api::core::v1::Service {
    let ports = json!([{"port": 80, "nodePort": 30080}]);
    service(
        "web",
        json!({"type": "LoadBalancer", "clusterIP": "10.96.0.10", "ports": ports, "ingress": [{"ip": "203.0.113.10"}]}),
    )
}

#[test]
fn no_connection_fails_while_endpoints_change() {
    in_world("lab::changes::no_connection_fails_while_endpoints_change", |mut lab: Lab| async move {
        lab.serve();
        let feed = Feed::start(&lab.config(), vec![web()], vec![slice("web", &[], &pods("abc"), 8080)]);
        lab.settle(&feed).await;
        let stop = Arc::new(AtomicBool::new(false));
        let total = Arc::new(AtomicUsize::new(0));
        // A first packet that was dropped and sent again: late, not failed.
        let slow = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = [
            ("a", "10.96.0.10:80"),
            ("node", "10.96.0.10:80"),
            ("outside", "198.51.100.2:30080"),
            ("outside", "203.0.113.10:80"),
        ]
        .into_iter()
        .map(|(from, destination)| {
            let (from, stop) = (lab.namespace(from).clone(), Arc::clone(&stop));
            let (total, slow) = (Arc::clone(&total), Arc::clone(&slow));
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    total.fetch_add(1, Ordering::Relaxed);
                    let start = tokio::time::Instant::now();
                    let outcome = ask_within(PATIENCE, &from, "tcp", destination).await;
                    if !matches!(outcome, Outcome::Reached(..)) {
                        failed.push((destination, outcome));
                    } else if start.elapsed() > ANSWER {
                        slow.fetch_add(1, Ordering::Relaxed);
                    }
                }
                failed
            })
        })
        .collect();
        let mut changes = 0;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(3);
        let other = service("other", json!({"clusterIP": "10.96.0.99", "ports": [{"port": 80}]}));
        while tokio::time::Instant::now() < deadline {
            for who in ["ab", "c", "abc", "b", "bc", "a", "ac"] {
                feed.put_slice(slice("web", &[], &pods(who), 8080));
                if changes % 2 == 0 {
                    feed.put(other.clone())
                } else {
                    feed.delete(other.clone())
                }
                lab.settle(&feed).await;
                changes += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let mut failed = Vec::new();
        for client in clients {
            failed.extend(client.await.unwrap());
        }
        let total = total.load(Ordering::Relaxed);
        let slow = slow.load(Ordering::Relaxed);
        eprintln!("{changes} changes, {total} connections, {slow} late, {} failed", failed.len());
        assert!(slow <= 2 + total / 5_000, "{slow} of {total} connections had to try again");
        assert!(failed.is_empty(), "{failed:?}");
        feed.stop().await;
    });
}

#[test]
fn a_udp_client_moves_when_its_endpoint_is_gone() {
    in_world("lab::changes::a_udp_client_moves_when_its_endpoint_is_gone", |mut lab: Lab| async move {
        lab.serve();
        let spec = json!({"type": "NodePort", "clusterIP": "10.96.0.53",
                          "ports": [{"name": "u", "port": 53, "protocol": "UDP", "nodePort": 30053}]});
        let of = |who: &str| slice("dns", &[("u", "UDP")], &pods(who), 8080);
        let feed = Feed::start(&lab.config(), vec![service("dns", spec)], vec![of("a")]);
        lab.settle(&feed).await;
        for (from, destination) in [("b", "10.96.0.53:53"), ("outside", "198.51.100.2:30053")] {
            feed.put_slice(of("a"));
            lab.settle(&feed).await;
            let socket = lab.namespace(from).udp_connect(destination.parse().unwrap()).await.unwrap();
            let first = timeout(PATIENCE, ask_udp(&socket)).await.unwrap().unwrap();
            assert!(first.starts_with('a'), "{first}");
            feed.put_slice(of("c"));
            // The same socket all the time: only a deleted flow lets it reach another endpoint.
            let moved = async {
                loop {
                    let answer = timeout(Duration::from_millis(100), ask_udp(&socket)).await;
                    if matches!(answer, Ok(Ok(text)) if text.starts_with('c')) {
                        return;
                    }
                }
            };
            timeout(PATIENCE, moved).await.unwrap();
        }
        feed.stop().await;
    });
}

#[test]
fn a_restarted_proxy_adopts_the_table_and_keeps_the_slots() {
    in_world("lab::changes::a_restarted_proxy_adopts_the_table_and_keeps_the_slots", |mut lab: Lab| async move {
        lab.serve();
        let feed = Feed::start(&lab.config(), vec![web()], vec![slice("web", &[], &pods("ac"), 8080)]);
        lab.settle(&feed).await;
        // `b` takes a free slot behind the others, out of the order of addresses.
        feed.put_slice(slice("web", &[], &pods("c"), 8080));
        feed.put_slice(slice("web", &[], &pods("bc"), 8080));
        lab.settle(&feed).await;
        let mut socket = lab.stranger();
        let slots = |elements: Vec<portolan_nftables::Element>| -> Vec<_> {
            elements.into_iter().filter(|element| element.key.word(0) == Some([10, 96, 0, 10])).collect()
        };
        let before = slots(socket.elements(&table(), "ep").unwrap());
        feed.stop().await;
        let held = ask(&lab.outside, "tcp", "203.0.113.10:80").await;
        assert!(matches!(held, Outcome::Reached(..)), "traffic goes on without the proxy: {held:?}");

        let config = lab.config();
        let feed = Feed::start(&config, vec![web()], vec![slice("web", &[], &pods("bc"), 8080)]);
        lab.settle(&feed).await;
        assert_eq!(slots(socket.elements(&table(), "ep").unwrap()), before);
        assert_eq!(config.metrics.rebuilds(), 0, "the table was adopted, not built again");
        feed.stop().await;
    });
}

#[test]
fn a_count_never_seen_before_gets_its_chain_with_the_change() {
    in_world("lab::changes::a_count_never_seen_before_gets_its_chain_with_the_change", |mut lab: Lab| async move {
        lab.serve();
        let feed = Feed::start(&lab.config(), vec![web()], vec![slice("web", &[], &pods("a"), 8080)]);
        lab.settle(&feed).await;
        let addresses: Vec<String> = (1..=100).map(|n| format!("10.244.3.{n}")).collect();
        let many: Vec<(&str, &str)> = addresses.iter().map(|address| (address.as_str(), "node-2")).collect();
        feed.put_slice(slice("web", &[], &many, 8080));
        lab.settle(&feed).await;
        let chains = lab.stranger().chains(&table()).unwrap();
        for chain in ["pick-100", "np-pick-100"] {
            assert!(chains.iter().any(|name| name == chain), "{chain}");
        }
        feed.put_slice(slice("web", &[], &pods("b"), 8080));
        lab.settle(&feed).await;
        let outcome = ask(&lab.outside, "tcp", "198.51.100.2:30080").await;
        assert!(matches!(&outcome, Outcome::Reached(pod, _) if pod == "b"), "{outcome:?}");
        feed.stop().await;
    });
}

#[test]
fn thousands_of_services_are_there_after_a_start_and_one_change_is_still_one_change() {
    const SERVICES: u16 = 4000;
    in_world(
        "lab::changes::thousands_of_services_are_there_after_a_start_and_one_change_is_still_one_change",
        |mut lab: Lab| async move {
            lab.serve();
            let of = |n: u16| {
                let ip = format!("10.96.{}.{}", 1 + n / 200, 1 + n % 200);
                service(&format!("s{n}"), json!({"clusterIP": ip, "ports": [{"port": 80}]}))
            };
            let services = (0..SERVICES).map(of).collect();
            let slices = (0..SERVICES).map(|n| slice(&format!("s{n}"), &[], &pods("ac"), 8080)).collect();
            let start = tokio::time::Instant::now();
            let config = lab.config();
            let feed = Feed::start(&config, services, slices);
            lab.settle(&feed).await;
            let built = start.elapsed();
            let reached = ask(&lab.outside, "tcp", "10.96.20.200:80").await;
            assert!(matches!(reached, Outcome::Reached(..)), "{reached:?}");
            // The kernel has a transaction before the proxy counts it.
            let counted = |least: u64| {
                let metrics = config.metrics.clone();
                async move {
                    while metrics.changed_elements() < least {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            };
            timeout(PATIENCE, counted(u64::from(SERVICES) * 4)).await.unwrap();
            let before = config.metrics.changed_elements();
            feed.put_slice(slice("s77", &[], &pods("bc"), 8080));
            let start = tokio::time::Instant::now();
            lab.settle(&feed).await;
            timeout(PATIENCE, counted(before + 3)).await.unwrap();
            let elements = config.metrics.changed_elements() - before;
            eprintln!(
                "{SERVICES} Services built in {built:?}, one change and a marker seen after {:?}",
                start.elapsed()
            );
            // An endpoint replaced (2), a hairpin added (1); the marker is the rest: its port moves.
            assert!(elements <= 16, "{elements} elements for one endpoint");
            feed.stop().await;
        },
    );
}
