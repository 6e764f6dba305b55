//! Every fault of the provider, and the controller killed at every step: no balancer leaks, no address is lost or moves,
//! and in the end there is exactly one balancer per Service, or none where the Service is gone.
//!
//! The controller touches the outside only through its provider and its client. Both are wrapped to count steps, two for
//! each call of the provider and each write to the API: before it, and when it is done but not answered. At the chosen
//! step everything stops for ever, as in a process that was killed; then a new controller starts on the same provider
//! and API server.
#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{
    StreamExt,
    future::{self, BoxFuture, FutureExt},
    stream,
};
use http::Request;
use kube::{Client, ResourceExt, client::Body};
use portolan_cloud::{
    BalancerId, CloudError, Held, LoadBalancer, LoadBalancers, Observer, Status,
    scripted::{Call, Effect, Fault, Point, Refusal, Script, Scripted},
};
use portolan_controllers::loadbalancer::Metrics;
use portolan_events::Vocabulary;
use serde_json::json;
use tokio::sync::watch;
use tower::service_fn;

use super::site::{Controller, Site, brisk, ingress};

/// Counts steps and stops at one of them.
#[derive(Clone)]
struct Steps {
    count: Arc<AtomicUsize>,
    fatal: usize,
    reached: watch::Sender<bool>,
}

impl Steps {
    fn until(fatal: usize) -> Self {
        Self { count: Arc::default(), fatal, reached: watch::Sender::new(false) }
    }

    async fn step(&self) {
        if self.count.fetch_add(1, Ordering::SeqCst) >= self.fatal {
            self.reached.send_replace(true);
            future::pending::<()>().await;
        }
    }

    fn client(&self, inner: Client) -> Client {
        let steps = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let (steps, inner) = (steps.clone(), inner.clone());
            async move {
                let counts = request.method() == http::Method::PATCH && request.uri().path().contains("/services/");
                if counts {
                    steps.step().await;
                }
                let answer = inner.send(request).await;
                if counts {
                    steps.step().await;
                }
                answer
            }
        });
        Client::new(service, "default")
    }
}

struct Mortal {
    inner: Scripted,
    steps: Steps,
}

impl Mortal {
    async fn around<T>(&self, call: impl Future<Output = T>) -> T {
        self.steps.step().await;
        let answer = call.await;
        self.steps.step().await;
        answer
    }
}

impl LoadBalancers for Mortal {
    fn adopt<'a>(&'a self, held: &'a [Held]) -> BoxFuture<'a, Result<(), CloudError>> {
        self.inner.adopt(held)
    }

    fn list(&self) -> BoxFuture<'_, Result<Option<Vec<Held>>, CloudError>> {
        self.inner.list()
    }

    fn get<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<Option<Status>, CloudError>> {
        self.around(self.inner.get(id)).boxed()
    }

    fn ensure<'a>(
        &'a self,
        wanted: &'a LoadBalancer,
        observer: Observer<'a>,
    ) -> BoxFuture<'a, Result<Status, CloudError>> {
        self.around(self.inner.ensure(wanted, observer)).boxed()
    }

    fn update_nodes<'a>(&'a self, wanted: &'a LoadBalancer) -> BoxFuture<'a, Result<(), CloudError>> {
        self.around(self.inner.update_nodes(wanted)).boxed()
    }

    fn delete<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<(), CloudError>> {
        self.around(self.inner.delete(id)).boxed()
    }
}

/// What happens while no controller runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// The Service is deleted.
    Deleted,
    /// Another Service is made that would like an address.
    Newcomer,
}

/// Something that went wrong, in words.
type Complaint = String;

struct Run {
    site: Site,
    steps: Steps,
    controller: Option<Controller>,
    /// The first controller was killed and has a successor.
    killed: bool,
    meanwhile: Meanwhile,
    /// The address of `web`, from the moment on that anybody could know it.
    address: Option<String>,
}

impl Run {
    async fn start(fault: Option<Fault>, fatal: usize, meanwhile: Meanwhile) -> Self {
        let site = Site::start().await;
        // A bystander that has had its balancer since long ago.
        let healthy = site.run(brisk(), Vocabulary::Full);
        site.add("other", json!({})).await;
        site.address("other").await;
        drop(healthy);
        site.provider.set(Script { faults: fault.into_iter().collect(), ..Script::default() });
        let steps = Steps::until(fatal);
        let provider = Arc::new(Mortal { inner: site.provider.clone(), steps: steps.clone() });
        let client = steps.client(site.client.clone());
        let controller = Controller::start(client, provider, brisk(), Vocabulary::Full, Metrics::default());
        Self { site, steps, controller: Some(controller), killed: false, meanwhile, address: None }
    }

    fn held(&self, name: &str) -> Vec<String> {
        let records = self.site.provider.records();
        let mine = records.iter().filter(|record| record.wanted.id.service.name == name);
        mine.flat_map(|record| record.status.addresses.iter().map(ToString::to_string)).collect()
    }

    /// Waits for `done`; starts the next controller if the first one dies meanwhile, and recovers a provider
    /// that is down.
    async fn until(&mut self, what: &str, done: impl AsyncFn(&Site) -> bool) -> Result<(), Complaint> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        let died = self.steps.reached.subscribe();
        while !done(&self.site).await {
            if tokio::time::Instant::now() > deadline {
                let events = self.site.cluster.events("default", "web").await;
                let records = self.site.provider.records();
                return Err(format!("not within thirty seconds: {what}; {records:?}; {events:?}"));
            }
            if *died.borrow() && !self.killed {
                self.killed = true;
                self.succeed().await;
            }
            if self.site.provider.is_down() {
                self.site.provider.recover();
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// The first controller is dead: its successor starts.
    async fn succeed(&mut self) {
        self.controller = None;
        let web = self.site.services().get_opt("web").await.unwrap();
        let held = self.held("web");
        self.address = self.address.take().or(web.as_ref().and_then(ingress)).or(held.first().cloned());
        match self.meanwhile {
            Meanwhile::Nothing => {}
            Meanwhile::Deleted if web.is_some_and(|web| web.metadata.deletion_timestamp.is_none()) => {
                self.site.delete("web").await;
            }
            Meanwhile::Deleted => {}
            Meanwhile::Newcomer => self.site.add("newcomer", json!({})).await,
        }
        self.controller = Some(self.site.run(brisk(), Vocabulary::Full));
    }

    /// The whole life of `web`. Returns whether the controller was killed on the way.
    async fn live(mut self) -> Result<bool, Complaint> {
        let other = self.held("other");
        self.site.add("web", json!({})).await;
        let deleted = async |site: &Site| {
            site.services().get_opt("web").await.unwrap().is_none_or(|web| web.metadata.deletion_timestamp.is_some())
        };
        self.until("an address", async |site| match site.services().get_opt("web").await.unwrap() {
            Some(web) => ingress(&web).is_some() || web.metadata.deletion_timestamp.is_some(),
            None => true,
        })
        .await?;
        if !deleted(&self.site).await {
            let published = self.site.address("web").await;
            if self.address.get_or_insert_with(|| published.clone()) != &published {
                return Err(format!("the address was {:?} and is {published}", self.address));
            }
            self.until("no reason to wait any more", async |site| site.why("web").await.is_none()).await?;
        }
        self.site.add_node("node-2", "172.30.0.12").await;
        let both = ["node-1", "node-2"];
        self.until("the new node", async |site| {
            site.nodes_of("other") == both && (site.nodes_of("web") == both || deleted(site).await)
        })
        .await?;
        if !deleted(&self.site).await {
            let published = self.site.address("web").await;
            if Some(&published) != self.address.as_ref() || self.held("web") != [published.clone()] {
                return Err(format!(
                    "the address was {:?} and is {published}, held {:?}",
                    self.address,
                    self.held("web")
                ));
            }
            self.site.delete("web").await;
        }
        self.until("web gone", async |site| site.services().get_opt("web").await.unwrap().is_none()).await?;
        if self.meanwhile == Meanwhile::Newcomer && self.site.services().get_opt("newcomer").await.unwrap().is_some() {
            self.until("the newcomer's address", async |site| {
                ingress(&site.services().get("newcomer").await.unwrap()).is_some()
            })
            .await?;
            self.site.delete("newcomer").await;
            self.until("the newcomer gone", async |site| site.services().get_opt("newcomer").await.unwrap().is_none())
                .await?;
        }
        let names: Vec<String> =
            self.site.provider.records().iter().map(|record| record.wanted.id.service.name.clone()).collect();
        let published = self.site.addresses().await;
        if names != ["other"] || self.held("other") != other || published != [("other".to_owned(), other[0].clone())] {
            return Err(format!("left at the end: {names:?}, {published:?}; other had {other:?}"));
        }
        let finalizers = self.site.services().get("other").await.unwrap();
        if finalizers.finalizers().len() != 1 {
            return Err(format!("finalizers of other: {:?}", finalizers.finalizers()));
        }
        Ok(self.killed)
    }
}

/// The faults, each on the first call of its kind that concerns `web`.
fn faults() -> Vec<(String, Option<Fault>)> {
    let later = Refusal { retry_after: Some(Duration::from_millis(15)), ..Refusal::new("RequestLimitExceeded") };
    let effects = [
        ("throttling", Effect::Refuse(later)),
        ("quota", Effect::Refuse(Refusal::new("TooManyLoadBalancers"))),
        ("credentials", Effect::Refuse(Refusal::new("UnauthorizedOperation"))),
        ("slow", Effect::Delay(Duration::from_millis(30))),
        ("unreachable", Effect::Unreachable),
        ("no answer", Effect::Hang),
        ("lost answer", Effect::LoseAnswer),
        ("halfway", Effect::Halfway(Refusal::new("InternalError"))),
        ("provider dies before", Effect::Crash(Point::Before)),
        ("provider dies halfway", Effect::Crash(Point::Halfway)),
        ("provider dies after", Effect::Crash(Point::After)),
    ];
    let calls = [Call::Ensure, Call::UpdateNodes, Call::Delete];
    let mut all = vec![("well".to_owned(), None)];
    for call in calls {
        for (name, effect) in &effects {
            let fault = Fault { services: vec!["default/web".into()], ..Fault::next(call, 1, effect.clone()) };
            all.push((format!("{name} in {call:?}"), Some(fault)));
        }
    }
    let check = Fault::next(Call::Get, 1, Effect::Refuse(Refusal::new("AuthFailure")));
    all.push(("credentials in Get".to_owned(), Some(check)));
    all
}

/// Kills at every step until a run gets through alive.
async fn kill_at_every_step(name: &str, fault: Option<Fault>, meanwhile: Meanwhile) -> (usize, Vec<Complaint>) {
    let mut complaints = Vec::new();
    for fatal in 0.. {
        assert!(fatal < 200, "{name}: a life has no two hundred steps");
        let run = Run::start(fault.clone(), fatal, meanwhile).await;
        match run.live().await {
            Ok(true) => {}
            Ok(false) => return (fatal, complaints),
            Err(complaint) => complaints.push(format!("{name}, killed at step {fatal}, {meanwhile:?}: {complaint}")),
        }
    }
    unreachable!("the loop has no other end")
}

async fn matrix(rows: Vec<(String, Option<Fault>)>, meanwhile: Meanwhile) {
    let lives =
        stream::iter(rows).map(|(name, fault)| async move { kill_at_every_step(&name, fault, meanwhile).await });
    let results: Vec<(usize, Vec<Complaint>)> = lives.buffer_unordered(8).collect().await;
    let complaints: Vec<&Complaint> = results.iter().flat_map(|(_, complaints)| complaints).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(results.iter().all(|(steps, _)| *steps >= 12), "a whole life has more steps than {results:?}");
    println!("{} lives", results.iter().map(|(steps, _)| steps + 1).sum::<usize>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_and_no_kill_leaks_a_balancer_or_moves_an_address() {
    matrix(faults(), Meanwhile::Nothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_while_nobody_looks_is_cleaned_up_afterwards() {
    let rows =
        faults().into_iter().filter(|(name, _)| name == "well" || name.contains("halfway in") || name.contains("lost"));
    matrix(rows.collect(), Meanwhile::Deleted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_gets_nobodys_address() {
    let rows = faults()
        .into_iter()
        .filter(|(name, _)| name == "well" || name.contains("in Ensure") && name.contains("halfway"));
    matrix(rows.collect(), Meanwhile::Newcomer).await;
}
