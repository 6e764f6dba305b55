//! Every namespace has a ServiceAccount `default`.
//! Upstream: `pkg/controller/serviceaccount/serviceaccounts_controller.go`.

use std::{future::Future, time::Duration};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{Api, Client, api::PostParams, runtime::watcher};
use portolan_objects::ObjectKey;
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler};
use tokio_util::sync::CancellationToken;

use super::{
    already_exists,
    cache::{Cache, by_controller},
    is_gone,
};

/// The component that the API's log names.
pub const NAME: &str = "service-account-controller";
const DEFAULT: &str = "default";

/// Runs the controller until `stop`.
pub async fn run(client: Client, metrics: Metrics, stop: CancellationToken) {
    let defaults = watcher::Config::default().fields("metadata.name=default");
    let inputs = Inputs::new().all(&client, Input::Namespace).watch(
        Api::<ServiceAccount>::all(client.clone()),
        defaults,
        Input::Account,
    );
    let options = Options {
        name: NAME,
        workers: 4,
        backoff: Backoff { base: Duration::from_millis(200), max: Duration::from_secs(60), attempts: None },
        timeout: Duration::from_secs(30),
    };
    let part = Accounts { client, namespaces: Cache::new(by_controller), accounts: Cache::new(by_controller) };
    portolan_runtime::run(part, inputs, options, metrics, stop).await;
}

enum Input {
    Namespace(Change<Namespace>),
    Account(Change<ServiceAccount>),
}

struct Accounts {
    client: Client,
    namespaces: Cache<Namespace>,
    accounts: Cache<ServiceAccount>,
}

impl Reconciler for Accounts {
    type Input = Input;
    /// The namespace's name.
    type Key = String;
    type Plan = ();
    type Outcome = ();

    fn index(&mut self, input: Input, dirty: &mut Vec<String>) {
        match input {
            Input::Namespace(change) => {
                self.namespaces.take(change, |(_, new)| dirty.extend(new.map(|new| ObjectKey::of(&**new).name)));
            }
            Input::Account(change) => {
                self.accounts.take(change, |(old, new)| {
                    dirty.extend(old.or(new).map(|account| ObjectKey::of(&**account).namespace));
                });
            }
        }
    }

    fn plan(&mut self, name: &String) -> Option<()> {
        self.accounts.settle(|_| {});
        let namespace = self.namespaces.get(&ObjectKey::new("", name.as_str()))?;
        let alive = namespace.metadata.deletion_timestamp.is_none();
        (alive && self.accounts.get(&ObjectKey::new(name.as_str(), DEFAULT)).is_none()).then_some(())
    }

    fn apply(&self, name: String, (): ()) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), &name);
        let ledger = self.accounts.ledger();
        async move {
            let mut account = ServiceAccount::default();
            account.metadata.name = Some(DEFAULT.into());
            account.metadata.namespace = Some(name);
            match api.create(&PostParams::default(), &account).await {
                Ok(created) => ledger.put(created),
                Err(error) if already_exists(&error) || is_gone(&error) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(())
        }
    }

    fn applied(&mut self, _name: &String, (): ()) -> Option<Duration> {
        None
    }
}
