//! What a part sees while the way to the API breaks in every manner.

use std::{future::Future, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    front::{Arrival, Fault, Front},
    within,
};

/// A part that tells what it is given, and plans nothing.
struct Listener(mpsc::UnboundedSender<Change<ConfigMap>>);

impl Reconciler for Listener {
    type Input = Change<ConfigMap>;
    type Key = ();
    type Plan = ();
    type Outcome = ();

    fn index(&mut self, input: Self::Input, _: &mut Vec<()>) {
        // The test may have seen enough.
        let _ = self.0.send(input);
    }

    fn plan(&mut self, (): &()) -> Option<()> {
        None
    }

    fn apply(&self, (): (), (): ()) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        std::future::ready(Ok(()))
    }

    fn applied(&mut self, (): &(), (): ()) -> Option<Duration> {
        None
    }
}

/// The changes of ConfigMaps labelled `seen`, in words.
struct Ear {
    changes: mpsc::UnboundedReceiver<Change<ConfigMap>>,
    _task: JoinSet<()>,
}

impl Ear {
    fn listen(client: &Client) -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        let config = kube::runtime::watcher::Config::default().labels("seen");
        let inputs = Inputs::new().watch(Api::all(client.clone()), config, |change| change);
        let backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(1), attempts: None };
        let options = Options { name: "listener", workers: 1, backoff, timeout: Duration::from_secs(1) };
        let mut task = JoinSet::new();
        let stop = CancellationToken::new();
        task.spawn(portolan_runtime::run(Listener(sender), inputs, options, Metrics::default(), stop));
        Self { changes, _task: task }
    }

    async fn next(&mut self) -> String {
        let words = |map: &ConfigMap| {
            assert!(map.metadata.managed_fields.is_none(), "nobody needs them");
            map.name_any()
        };
        match within("a change", self.changes.recv()).await.unwrap() {
            Change::Reset(all) => {
                let mut names: Vec<_> = all.iter().map(words).collect();
                names.sort();
                format!("reset {}", names.join(" "))
            }
            Change::Apply(map) => format!("apply {}", words(&map)),
            Change::Delete(map) => format!("delete {}", words(&map)),
        }
    }
}

async fn create(client: &Client, name: &str) {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.to_owned());
    map.metadata.labels = Some([("seen".to_owned(), "yes".to_owned())].into());
    Api::namespaced(client.clone(), "default").create(&PostParams::default(), &map).await.unwrap();
}

async fn delete(client: &Client, name: &str) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    maps.delete(name, &DeleteParams::default()).await.unwrap();
}

fn lists(arrivals: &[Arrival]) -> usize {
    arrivals.iter().filter(|arrival| arrival.lists()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_in_order_after_the_complete_set() {
    let front = Front::start().await;
    create(&front.direct, "a").await;
    let client = front.client().await;
    let mut ear = Ear::listen(&client);
    assert_eq!(ear.next().await, "reset a");
    create(&front.direct, "b").await;
    let maps: Api<ConfigMap> = Api::namespaced(front.direct.clone(), "default");
    let patch = Patch::Merge(serde_json::json!({"metadata": {"labels": {"seen": null}}}));
    maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(ear.next().await, "apply b");
    assert_eq!(ear.next().await, "delete a", "it no longer matches the selector");
    let arrivals = front.arrivals();
    assert_eq!(arrivals.len(), 1, "list and watch are one request: {arrivals:?}");
    assert!(arrivals[0].query.contains("resourceVersion=0"), "what the cache has is enough");
}

/// Connections break every day: a watch goes on where it was. Nothing is missed, and nothing is listed again.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_watch_goes_on_where_it_was() {
    let front = Front::start().await;
    create(&front.direct, "a").await;
    let client = front.client().await;
    let mut ear = Ear::listen(&client);
    assert_eq!(ear.next().await, "reset a");
    front.arrivals();
    front.cut(true).await;
    create(&front.direct, "b").await;
    delete(&front.direct, "a").await;
    front.up();
    assert_eq!(ear.next().await, "apply b");
    assert_eq!(ear.next().await, "delete a");
    assert_eq!(lists(&front.arrivals()), 0);
}

/// A server that was down for a while sees its clients come back over time, and none lists everything again.
#[tokio::test(flavor = "multi_thread")]
async fn many_watches_do_not_come_back_as_one() {
    const WATCHES: usize = 20;
    let front = Front::start().await;
    create(&front.direct, "a").await;
    let client = front.client().await;
    let mut ears: Vec<_> = (0..WATCHES).map(|_| Ear::listen(&client)).collect();
    for ear in &mut ears {
        assert_eq!(ear.next().await, "reset a");
    }
    front.arrivals();
    front.cut(false).await;
    create(&front.direct, "b").await;
    for ear in &mut ears {
        assert_eq!(ear.next().await, "apply b");
    }
    let arrivals = front.arrivals();
    assert_eq!(lists(&arrivals), 0, "{arrivals:?}");
    let times: Vec<_> = arrivals.iter().map(|arrival| arrival.at).collect();
    let spread = *times.iter().max().unwrap() - *times.iter().min().unwrap();
    assert!(spread > Duration::from_millis(60), "all came back within {spread:?}");
}

/// The history has been thrown away: one list, not older than what was seen, and the watch again.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_whose_place_is_gone_lists_anew() {
    for fault in [Fault::Refuse(410, None), Fault::EndWatch(410)] {
        let front = Front::start().await;
        create(&front.direct, "a").await;
        let client = front.client().await;
        let mut ear = Ear::listen(&client);
        assert_eq!(ear.next().await, "reset a");
        front.arrivals();
        front.fault(|arrival| arrival.is_watch() && !arrival.lists(), fault, 1);
        front.cut(true).await;
        create(&front.direct, "b").await;
        delete(&front.direct, "a").await;
        front.up();
        assert_eq!(ear.next().await, "reset b");
        create(&front.direct, "c").await;
        assert_eq!(ear.next().await, "apply c");
        let arrivals = front.arrivals();
        assert_eq!(lists(&arrivals), 1, "{arrivals:?}");
        let list = arrivals.iter().find(|arrival| arrival.lists()).unwrap();
        assert!(list.query.contains("resourceVersionMatch=NotOlderThan"), "{list:?}");
        assert!(!list.query.contains("resourceVersion=0&"), "it must not go back in time: {list:?}");
    }
}

/// A store that was restored from a backup does not know the version that the watch has seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_the_server_does_not_know_is_forgotten() {
    let front = Front::start().await;
    create(&front.direct, "a").await;
    let client = front.client().await;
    let mut ear = Ear::listen(&client);
    assert_eq!(ear.next().await, "reset a");
    front.arrivals();
    // The watch, then the list that may not be older.
    front.fault(|arrival| arrival.is_watch(), Fault::Refuse(410, None), 2);
    front.cut(false).await;
    assert_eq!(ear.next().await, "reset a");
    let arrivals = front.arrivals();
    let list = arrivals.iter().rfind(|arrival| arrival.lists()).unwrap();
    assert!(list.query.contains("resourceVersion=&"), "whatever is there now: {list:?}");
}

/// A server without streamed lists, of which there are many: an ordinary list, from its cache, in one piece.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_streams_no_lists_is_listed() {
    let front = Front::start().await;
    create(&front.direct, "a").await;
    front.fault(|arrival| arrival.query.contains("sendInitialEvents"), Fault::Refuse(422, None), usize::MAX);
    let client = front.client().await;
    let mut ear = Ear::listen(&client);
    assert_eq!(ear.next().await, "reset a");
    create(&front.direct, "b").await;
    assert_eq!(ear.next().await, "apply b");
    let arrivals = front.arrivals();
    assert_eq!(arrivals.len(), 3, "{arrivals:?}");
    let list = &arrivals[1].query;
    assert!(list.contains("resourceVersion=0") && !list.contains("limit"), "{list}");
}

/// Errors of every kind at the start: the part has its set as soon as the server is well.
#[tokio::test(flavor = "multi_thread")]
async fn errors_delay_the_first_set_and_nothing_else() {
    let front = Front::start().await;
    create(&front.direct, "a").await;
    for code in [500, 503, 403, 401, 502] {
        front.fault(Arrival::lists, Fault::Refuse(code, None), 1);
    }
    let client = front.client().await;
    let mut ear = Ear::listen(&client);
    assert_eq!(ear.next().await, "reset a");
    let arrivals = front.arrivals();
    assert_eq!(arrivals.len(), 6, "{arrivals:?}");
    let waits: Vec<_> = arrivals.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(waits[0] >= Duration::from_millis(200), "{waits:?}");
    assert!(
        waits[4] >= Duration::from_millis(3200),
        "each wait is at least twice the first of the one before: {waits:?}"
    );
}
