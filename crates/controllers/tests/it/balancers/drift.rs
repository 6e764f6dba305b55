//! What happens behind the controller's back: balancers that are deleted or left over, a provider that starts anew, pools
//! that change, two Services that claim one address.
#![allow(clippy::unwrap_used)]

use std::{path::Path, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use portolan_cloud::{
    BalancerId, CloudError, LoadBalancer, LoadBalancers, Observer, Status,
    remote::{Remote, serve},
    scripted::{Call, Script, Scripted},
};
use portolan_controllers::loadbalancer::{Config, Metrics};
use portolan_events::Vocabulary;
use portolan_objects::ObjectKey;
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::json;
use tokio::net::UnixListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::site::{Controller, Site, brisk, service};
use crate::cluster::eventually;

fn watchful() -> Config {
    Config { drift_period: Duration::from_millis(50), ..brisk() }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("default", name)
}

/// A provider that cannot list what it has.
struct Unlisted(Scripted);

impl LoadBalancers for Unlisted {
    fn get<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<Option<Status>, CloudError>> {
        self.0.get(id)
    }

    fn ensure<'a>(
        &'a self,
        wanted: &'a LoadBalancer,
        observer: Observer<'a>,
    ) -> BoxFuture<'a, Result<Status, CloudError>> {
        self.0.ensure(wanted, observer)
    }

    fn update_nodes<'a>(&'a self, wanted: &'a LoadBalancer) -> BoxFuture<'a, Result<(), CloudError>> {
        self.0.update_nodes(wanted)
    }

    fn delete<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<(), CloudError>> {
        self.0.delete(id)
    }
}

async fn lose_and_find(site: &Site) {
    site.add("web", json!({})).await;
    site.add("other", json!({})).await;
    let address = site.address("web").await;
    let other = site.address("other").await;
    assert!(site.provider.lose(&key("web")).unwrap());
    eventually("made again", async || (site.provider.records().len() == 2).then_some(())).await;
    eventually("said twice", async || {
        let calls = site.provider.calls();
        let ensures = calls.iter().filter(|seen| seen.call == Call::Ensure && seen.service == Some(key("web"))).count();
        (ensures == 2).then_some(())
    })
    .await;
    assert_eq!((site.address("web").await, site.address("other").await), (address.clone(), other));
    let held: Vec<String> = site
        .provider
        .records()
        .iter()
        .filter(|record| record.wanted.id.service == key("web"))
        .flat_map(|record| record.status.addresses.iter().map(ToString::to_string))
        .collect();
    assert_eq!(held, [address], "its clients know this address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_that_was_deleted_by_hand_is_made_again_with_its_address() {
    let site = Site::start().await;
    let mut page = Registry::default();
    let metrics = Metrics::register(&mut page);
    let provider = Arc::new(site.provider.clone());
    let _controller = Controller::start(site.client.clone(), provider, watchful(), Vocabulary::Full, metrics);
    lose_and_find(&site).await;
    site.add_node("node-2", "172.30.0.12").await;
    site.heard("web", "UpdatedLoadBalancer").await;
    site.heard("other", "UpdatedLoadBalancer").await;
    eventually("the metrics", async || {
        let mut text = String::new();
        encode(&mut text, &page).unwrap();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {name} in {text}")).parse::<f64>().unwrap()
        };
        let updates = value("service_controller_loadbalancer_sync_total");
        let expected = [
            ("service_controller_update_loadbalancer_host_latency_seconds_count", updates),
            ("service_controller_nodesync_error_total", 0.0),
            ("service_controller_drifted_total", 1.0),
            ("service_controller_provider_calls_total{call=\"update_nodes\"}", updates),
            ("service_controller_provider_calls_total{call=\"ensure\"}", 3.0),
            ("service_controller_provider_budget_calls_per_second", 1000.0),
            ("service_controller_provider_budget_burst", 1000.0),
            ("service_controller_waiting_services{lane=\"waiting\"}", 0.0),
        ];
        let synced = value("service_controller_nodesync_latency_seconds_count") >= 1.0 && updates >= 2.0;
        (synced && expected.iter().all(|(name, expected)| value(name) == *expected)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_cannot_list_is_asked_one_by_one() {
    let site = Site::start().await;
    let provider = Arc::new(Unlisted(site.provider.clone()));
    let _controller =
        Controller::start(site.client.clone(), provider, watchful(), Vocabulary::Full, Metrics::default());
    lose_and_find(&site).await;
}

/// The Service was forced away while no controller ran: nobody but the provider knows of its balancer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_without_a_service_is_removed() {
    let site = Site::start().await;
    let first = site.run(brisk(), Vocabulary::Full);
    for name in ["left", "again", "kept"] {
        site.add(name, json!({})).await;
        site.address(name).await;
    }
    drop(first);
    let before = site.provider.records();
    for name in ["left", "again"] {
        site.force_away(name).await;
    }
    site.add("again", json!({})).await;
    let _second = site.run(watchful(), Vocabulary::Full);
    let fresh = site.address("again").await;
    eventually("only balancers with a Service", async || {
        let records = site.provider.records();
        let old =
            |name: &str| before.iter().find(|record| record.wanted.id.service.name == name).unwrap().wanted.id.clone();
        let has = |id: &BalancerId| records.iter().any(|record| record.wanted.id == *id);
        (records.len() == 2 && !has(&old("left")) && !has(&old("again")) && has(&old("kept"))).then_some(())
    })
    .await;
    site.heard("left", "DeletedLoadBalancer").await;
    assert_eq!(site.address("again").await, fresh);
}

/// Connected to the wrong cluster, or to one that came back from an old backup, the controller would remove everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn balancers_are_not_removed_when_most_have_no_service() {
    let (old, wrong) = (Site::with_pool("203.0.113.0/27").await, Site::start().await);
    let first = old.run(brisk(), Vocabulary::Full);
    for number in 0..12 {
        old.add(&format!("web-{number}"), json!({})).await;
    }
    eventually("twelve balancers", async || (old.addresses().await.len() == 12).then_some(())).await;
    drop(first);
    let provider = Arc::new(old.provider.clone());
    let _second = Controller::start(wrong.client.clone(), provider, watchful(), Vocabulary::Full, Metrics::default());
    eventually("four looks", async || {
        let looks = old.provider.calls().iter().filter(|seen| seen.call == Call::List).count();
        // The first controller had one.
        (looks >= 5).then_some(())
    })
    .await;
    assert_eq!(old.provider.records().len(), 12);
}

/// The controller is gone when the Service is forced away, or dies in the middle of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_without_an_object_survives_the_controller() {
    let site = Site::start().await;
    let first = site.run(brisk(), Vocabulary::Full);
    site.add("web", json!({})).await;
    site.address("web").await;
    site.force_away("web").await;
    // Killed wherever it is just now.
    drop(first);
    let _second = site.run(watchful(), Vocabulary::Full);
    eventually("nothing left", async || site.provider.records().is_empty().then_some(())).await;
}

fn serve_at(path: &Path, provider: &Scripted) -> DropGuard {
    drop(std::fs::remove_file(path));
    let listener = UnixListener::bind(path).unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, Arc::new(provider.clone()), stop.clone()));
    stop.drop_guard()
}

/// A provider in another process that forgets everything when it restarts: addresses stay, nothing is stolen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_starts_anew_gives_everybody_their_address_again() {
    let site = Site::start().await;
    let path = std::env::temp_dir().join(format!("portolan-balancers-{}", std::process::id()));
    let first = serve_at(&path, &site.provider);
    let remote = Arc::new(Remote::new(path.to_str().unwrap()).unwrap());
    let _controller = Controller::start(site.client.clone(), remote, watchful(), Vocabulary::Full, Metrics::default());
    for name in ["zebra", "web", "ape"] {
        site.add(name, json!({})).await;
        site.address(name).await;
    }
    let before = site.addresses().await;
    drop(first);
    let anew = Scripted::new("203.0.113.0/29".parse().unwrap(), Script::default());
    let _second = serve_at(&path, &anew);
    site.add("ant", json!({})).await;
    site.address("ant").await;
    eventually("all four made again", async || (anew.records().len() == 4).then_some(())).await;
    let after = site.addresses().await;
    assert!(before.iter().all(|kept| after.contains(kept)), "{before:?} became {after:?}");
    let mut held: Vec<String> =
        anew.records().iter().flat_map(|record| record.status.addresses.iter().map(ToString::to_string)).collect();
    held.sort();
    assert_eq!(held, ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"]);
    drop(std::fs::remove_file(&path));
}

/// A restart with another pool: what fits into the new one stays, and nobody takes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_stay_when_the_pool_changes_if_they_can() {
    let before = [("a", "203.0.113.1"), ("b", "203.0.113.9")];
    // (the pool after the restart, who keeps the address)
    let rows =
        [("203.0.113.0/24", [true, true]), ("203.0.113.8/29", [false, true]), ("198.51.100.0/24", [false, false])];
    for (pool, keeps) in rows {
        let site = Site::with_pool(pool).await;
        for (name, address) in before {
            site.add(name, json!({})).await;
            publish(&site, name, address).await;
        }
        site.add("c", json!({})).await;
        let _controller = site.run(brisk(), Vocabulary::Full);
        let after = eventually(&format!("three addresses of {pool}"), async || {
            let mut held: Vec<(String, String)> = site
                .provider
                .records()
                .iter()
                .map(|record| (record.wanted.id.service.name.clone(), record.status.addresses[0].to_string()))
                .collect();
            let mut published = site.addresses().await;
            held.sort();
            published.sort();
            (held.len() == 3 && held == published).then_some(published)
        })
        .await;
        for ((name, address), keeps) in before.into_iter().zip(keeps) {
            assert_eq!(after.contains(&(name.into(), address.into())), keeps, "{pool}: {before:?} became {after:?}");
        }
    }
}

/// Writes an address into a status, as a controller of former times has.
async fn publish(site: &Site, name: &str, address: &str) {
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}});
    site.services().patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

/// Both publish one address, by hand or from a backup. The older one keeps it, the other one gets its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_services_with_one_address_the_older_keeps_it() {
    let site = Site::start().await;
    for name in ["older", "newer"] {
        site.add(name, json!({})).await;
        publish(&site, name, "203.0.113.5").await;
        // Creation times have seconds; the newer one must be newer.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    let classed: Service = serde_json::from_value(service("classed", json!({"loadBalancerClass": "x/y"}))).unwrap();
    site.services().create(&Default::default(), &classed).await.unwrap();
    let _controller = site.run(brisk(), Vocabulary::Full);
    eventually("an address each", async || {
        let mut all = site.addresses().await;
        all.sort();
        (all == [("newer".to_owned(), "203.0.113.1".to_owned()), ("older".to_owned(), "203.0.113.5".to_owned())])
            .then_some(())
    })
    .await;
}
