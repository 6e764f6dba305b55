//! `kill -9` of the controllers while they make, change and delete a balancer: nothing leaks and no address moves.
//!
//! Three real processes' worth of parts: `portolan apiserver`, `portolan controllers`, and in this test itself the
//! provider, behind the same `remote::serve` that a provider of one's own would use. The provider kills: before it does
//! what it was asked for, while it does it, and when it is done but has not answered.
#![allow(clippy::unwrap_used)]

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, PostParams},
};
use portolan_cloud::{
    BalancerId, Class, CloudError, Held, LoadBalancer, LoadBalancers, Observer, Status,
    remote::serve,
    scripted::{Call, Effect, Fault, Refusal, Script, Scripted},
};
use serde_json::json;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::process::{ApiServer, Process};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// When, relative to the provider's work, the controllers are killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// The call is lost.
    Before,
    /// The call is carried out afterwards.
    During,
    /// The call was carried out; its answer is lost.
    After,
}

/// The provider, which has a gun.
struct Killer {
    inner: Scripted,
    victim: Mutex<Option<Process>>,
    plan: Mutex<Option<(Call, When)>>,
}

impl Killer {
    fn strike(&self, call: Call, when: When) -> bool {
        let due = self.plan.lock().unwrap().take_if(|plan| *plan == (call, when)).is_some();
        if due && let Some(mut victim) = self.victim.lock().unwrap().take() {
            victim.kill();
        }
        due
    }

    async fn around<T>(&self, call: Call, work: impl Future<Output = Result<T, CloudError>>) -> Result<T, CloudError> {
        if self.strike(call, When::Before) {
            return Err(CloudError::new(Class::Unreachable, "Lost", "the call never arrived"));
        }
        self.strike(call, When::During);
        let result = work.await;
        self.strike(call, When::After);
        result
    }
}

/// The same killer, for the server.
struct Shared(Arc<Killer>);

impl LoadBalancers for Shared {
    fn list(&self) -> BoxFuture<'_, Result<Option<Vec<Held>>, CloudError>> {
        self.0.inner.list()
    }

    fn get<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<Option<Status>, CloudError>> {
        self.0.around(Call::Get, self.0.inner.get(id)).boxed()
    }

    fn ensure<'a>(
        &'a self,
        wanted: &'a LoadBalancer,
        observer: Observer<'a>,
    ) -> BoxFuture<'a, Result<Status, CloudError>> {
        self.0.around(Call::Ensure, self.0.inner.ensure(wanted, observer)).boxed()
    }

    fn update_nodes<'a>(&'a self, wanted: &'a LoadBalancer) -> BoxFuture<'a, Result<(), CloudError>> {
        self.0.around(Call::UpdateNodes, self.0.inner.update_nodes(wanted)).boxed()
    }

    fn delete<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<(), CloudError>> {
        self.0.around(Call::Delete, self.0.inner.delete(id)).boxed()
    }
}

struct World {
    killer: Arc<Killer>,
    client: Client,
    socket: PathBuf,
    api: ApiServer,
}

impl World {
    async fn start() -> Self {
        let api = ApiServer::start();
        let client = portolan_runtime::client::connect(Some(&api.kubeconfig), None, "balancer-crash").await.unwrap();
        let socket = api.home().join("provider");
        let inner = Scripted::new("203.0.113.0/28".parse().unwrap(), Script::default());
        let killer = Arc::new(Killer { inner, victim: Mutex::default(), plan: Mutex::default() });
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(serve(listener, Arc::new(Shared(killer.clone())), CancellationToken::new()));
        let world = Self { killer, client, socket, api };
        world.keep_controllers();
        world
    }

    fn services(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Starts the controllers if there are none.
    fn keep_controllers(&self) {
        let mut victim = self.killer.victim.lock().unwrap();
        if victim.is_none() {
            let options = [
                "--controllers=service-lb-controller",
                "--cloud-provider=remote",
                "--cloud-endpoint",
                self.socket.to_str().unwrap(),
                "--cloud-calls-per-second=1000",
            ];
            *victim = Some(self.api.controllers(&options));
        }
    }

    async fn until(&self, what: &str, done: impl AsyncFn() -> bool) {
        let wait = async {
            while !done().await {
                self.keep_controllers();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("not within {} s: {what}; the provider has {:?}", PATIENCE.as_secs(), self.killer.inner.records());
        }
    }

    async fn add(&self, name: &str) {
        let service = json!({
            "metadata": {"name": name},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": name}},
        });
        self.services().create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    }

    async fn add_node(&self, name: &str) {
        let node = json!({
            "metadata": {"name": name},
            "status": {"addresses": [{"type": "InternalIP", "address": "172.30.0.11"}]},
        });
        let nodes = Api::<Node>::all(self.client.clone());
        nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
    }

    async fn address(&self, name: &str) -> Option<String> {
        let balancer = self.services().get(name).await.unwrap().status?.load_balancer?;
        balancer.ingress?.first()?.ip.clone()
    }

    /// Address and number of nodes of the one balancer of a Service.
    fn held(&self, name: &str) -> Option<(String, usize)> {
        let records = self.killer.inner.records();
        let mut mine = records.iter().filter(|record| record.wanted.id.service.name == name);
        let first = mine.next()?;
        assert!(mine.next().is_none(), "{name} has two balancers");
        Some((first.status.addresses[0].to_string(), first.wanted.nodes.len()))
    }

    /// One life of a Service in which the controllers are killed once. `nodes` are there before it begins.
    async fn live(&self, name: &str, nodes: usize, kill: (Call, When), fault: Option<Fault>) {
        self.killer.inner.set(Script { faults: fault.into_iter().collect(), ..Script::default() });
        *self.killer.plan.lock().unwrap() = Some(kill);
        self.add(name).await;
        self.until(&format!("an address of {name}"), async || self.address(name).await.is_some()).await;
        let address = self.address(name).await.unwrap();
        assert_eq!(self.held(name).map(|(held, _)| held).as_ref(), Some(&address));
        self.add_node(&format!("{name}-node")).await;
        self.until("the new node at every balancer", async || {
            [name, "other"].iter().all(|name| self.held(name).is_some_and(|(_, count)| count == nodes + 1))
        })
        .await;
        assert_eq!(self.address(name).await, Some(address.clone()), "the address has moved");
        assert_eq!(self.held(name).map(|(held, _)| held), Some(address));
        self.services().delete(name, &DeleteParams::default()).await.unwrap();
        self.until(&format!("{name} gone"), async || self.services().get_opt(name).await.unwrap().is_none()).await;
        assert_eq!(self.held(name), None, "its balancer is left");
        assert_eq!(*self.killer.plan.lock().unwrap(), None, "nobody was killed");
        self.keep_controllers();
    }
}

#[test]
fn killed_controllers_leak_no_balancer_and_move_no_address() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::start().await;
        world.add_node("first").await;
        world.add("other").await;
        world.until("an address of other", async || world.address("other").await.is_some()).await;
        let other = world.address("other").await;

        let soon = || Refusal { retry_after: Some(Duration::from_millis(50)), ..Refusal::new("InternalError") };
        let halfway = |call| Some(Fault { services: vec![], ..Fault::next(call, 1, Effect::Halfway(soon())) });
        let calls = [Call::Ensure, Call::UpdateNodes, Call::Get, Call::Delete];
        let mut lives = Vec::new();
        for call in calls {
            lives.extend([When::Before, When::During, When::After].map(|when| (call, when, None)));
        }
        lives.push((Call::Ensure, When::After, halfway(Call::Ensure)));
        lives.push((Call::Delete, When::After, halfway(Call::Delete)));
        for (number, (call, when, fault)) in lives.into_iter().enumerate() {
            println!("killed {when:?} {call:?}, fault {fault:?}");
            world.live(&format!("web-{number}"), number + 1, (call, when), fault).await;
            assert_eq!(world.address("other").await, other, "the bystander's address has moved");
            assert_eq!(world.held("other").map(|(held, _)| held), other);
            assert_eq!(world.killer.inner.records().len(), 1);
        }
        let finalizers = world.services().get("other").await.unwrap().finalizers().to_vec();
        assert_eq!(finalizers, ["service.kubernetes.io/load-balancer-cleanup"]);
    });
}
