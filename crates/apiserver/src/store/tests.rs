#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn index() -> Index {
    Box::new(|_, object| vec![("data", object["data"].to_string())])
}

fn open(data: Option<&std::path::Path>, count: usize) -> Store {
    let retention = Retention { count, ..Retention::default() };
    Store::open(Options { data: data.map(PathBuf::from), retention }, &["a", "b"], index()).unwrap()
}

fn step(storage: &'static str, name: &str, expect: Expect, write: Write) -> Step {
    Step { storage, key: Key::new("n", name), expect, write }
}

fn object(name: &str, data: u32) -> Value {
    json!({"metadata": {"name": name, "labels": {"l": data.to_string()}}, "data": data})
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// One random write: which object, and the new content or none for a deletion.
#[derive(Debug, Clone)]
struct Random {
    storage: &'static str,
    name: String,
    data: Option<u32>,
}

fn writes() -> impl Strategy<Value = Vec<Random>> {
    let one = (prop_oneof![Just("a"), Just("b")], 0..6u8, proptest::option::weighted(0.7, any::<u32>()))
        .prop_map(|(storage, name, data)| Random { storage, name: format!("o{name}"), data });
    proptest::collection::vec(one, 1..60)
}

type Model = BTreeMap<(&'static str, String), u32>;

/// Does one write as a client would: reads, then commits against what it read. None if there was nothing to delete.
async fn write(store: &Store, random: &Random) -> Option<Revision> {
    let current = store.get(random.storage, &Key::new("n", random.name.as_str()));
    let expect = current.as_ref().map_or(Expect::Absent, |object| Expect::Revision(object.revision));
    let write = match random.data {
        Some(data) => Write::Put(object(&random.name, data)),
        None => Write::Delete(current?.value()),
    };
    let written = store.commit(vec![step(random.storage, &random.name, expect, write)]).await.unwrap();
    Some(written[0].revision)
}

fn contents(store: &Store, at: Option<Revision>) -> Option<Model> {
    let mut model = Model::new();
    for storage in ["a", "b"] {
        for object in store.list(storage, &Selection::ALL, at)?.objects {
            model.insert((storage, object.key.name.clone()), object.value()["data"].as_u64().unwrap() as u32);
        }
    }
    Some(model)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The store holds what a map holds, now, at every earlier revision, in every watch, and after being opened again.
    #[test]
    fn the_store_is_a_map_with_a_memory(writes in writes()) {
        let directory = tempfile::tempdir().unwrap();
        runtime().block_on(async {
            let store = open(Some(directory.path()), 1000);
            let begin = store.revision();
            let mut model = Model::new();
            let mut history = vec![(begin, model.clone())];
            for random in &writes {
                let Some(revision) = write(&store, random).await else { continue };
                assert!(revision > history.last().unwrap().0);
                let place = (random.storage, random.name.clone());
                match random.data {
                    Some(data) => model.insert(place, data),
                    None => model.remove(&place),
                };
                history.push((revision, model.clone()));
            }
            for (revision, then) in &history {
                assert_eq!(contents(&store, Some(*revision)).as_ref(), Some(then));
            }
            let before = replay(&store, begin).await;
            assert_eq!(before.1, model);
            store.close().await;
            let again = open(Some(directory.path()), 1000);
            assert_eq!(again.revision(), history.last().unwrap().0);
            assert_eq!(contents(&again, None).unwrap(), model);
            assert_eq!(replay(&again, begin).await, before, "watches resume from the log");
            for (revision, then) in &history {
                assert_eq!(contents(&again, Some(*revision)).as_ref(), Some(then));
            }
            again.close().await;
        });
    }
}

/// All events since a revision, and the map that a watcher makes of them.
async fn replay(store: &Store, from: Revision) -> (Vec<(Revision, Action, Option<Revision>)>, Model) {
    let mut events = Vec::new();
    let mut model = Model::new();
    for storage in ["a", "b"] {
        let newest = store.list(storage, &Selection::ALL, None).unwrap().revision;
        let mut cursor = store.watch(storage, from).unwrap();
        while cursor.progress().is_none_or(|progress| progress < newest) {
            for event in cursor.next().await.unwrap() {
                let place = (storage, event.object.key.name.clone());
                match event.action {
                    Action::Deleted => model.remove(&place),
                    _ => model.insert(place, event.object.value()["data"].as_u64().unwrap() as u32),
                };
                events.push((event.object.revision, event.action, event.old.as_ref().map(|old| old.revision)));
            }
        }
    }
    (events, model)
}

#[test]
fn a_transaction_is_all_or_nothing() {
    runtime().block_on(async {
        let store = open(None, 100);
        let put = |name, data| step("a", name, Expect::Absent, Write::Put(object(name, data)));
        store.commit(vec![put("x", 1)]).await.unwrap();
        let refused = store.commit(vec![put("y", 1), put("x", 2)]).await.unwrap_err();
        assert!(matches!(refused, CommitError::Unexpected { step: 1, current: Some(_), .. }), "{refused:?}");
        assert!(store.get("a", &Key::new("n", "y")).is_none());
        let stale = step("a", "x", Expect::Revision(1), Write::Put(object("x", 3)));
        assert!(store.commit(vec![stale]).await.is_err());
    });
}

#[test]
fn transactions_of_one_group_see_each_other() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = open(Some(directory.path()), 100);
        let create = || store.commit(vec![step("a", "x", Expect::Absent, Write::Put(object("x", 1)))]);
        let results = futures::future::join_all((0..50).map(|_| create())).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        assert!(store.counters().commits.load(Ordering::Relaxed) < 50, "they were grouped");
    });
}

#[test]
fn a_deleted_object_carries_the_revision_of_its_deletion() {
    runtime().block_on(async {
        let store = open(None, 100);
        let created = store.commit(vec![step("a", "x", Expect::Absent, Write::Put(object("x", 1)))]).await.unwrap();
        let mut cursor = store.watch("a", created[0].revision).unwrap();
        let gone = step("a", "x", Expect::Revision(created[0].revision), Write::Delete(created[0].value()));
        store.commit(vec![gone]).await.unwrap();
        let event = cursor.next().await.unwrap().remove(0);
        assert_eq!(event.action, Action::Deleted);
        assert_eq!(event.object.value()["metadata"]["resourceVersion"], event.object.revision.to_string());
        assert!(event.object.revision > created[0].revision);
        assert_eq!(event.frame(1, || "x".into()), event.frame(1, || "encoded twice".into()));
    });
}

#[test]
fn history_is_bounded_and_slow_readers_are_told() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = open(Some(directory.path()), 10);
        let begin = store.revision();
        let mut slow = store.watch("a", begin).unwrap();
        write(&store, &Random { storage: "a", name: "x".into(), data: Some(0) }).await;
        slow.next().await.unwrap();
        assert!(slow.progress().is_some());
        for data in 0..100 {
            write(&store, &Random { storage: "a", name: "x".into(), data: Some(data) }).await;
        }
        assert_eq!(slow.next().await.unwrap_err(), Lost::Compacted);
        assert_eq!(store.watch("a", begin).unwrap().next().await.unwrap_err(), Lost::Compacted);
        assert!(store.list("a", &Selection::ALL, Some(begin)).is_none());
        let last = store.revision();
        store.close().await;
        let again = open(Some(directory.path()), 10);
        assert_eq!(again.watch("a", begin).unwrap().next().await.unwrap_err(), Lost::Compacted);
        assert!(again.watch("a", last).unwrap().progress().is_some(), "the end of the log is kept");
    });
}

/// What a crash leaves is a copy of the file at some moment: every acknowledged write must be in it, and it must open.
#[test]
fn a_file_torn_from_under_the_store_holds_all_that_was_acknowledged() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = open(Some(directory.path()), 100);
        for round in 0..10u32 {
            let names = (0..20).map(|index| format!("o{round}-{index}")).collect::<Vec<_>>();
            let puts = names
                .iter()
                .map(|name| store.commit(vec![step("a", name, Expect::Absent, Write::Put(object(name, round)))]));
            futures::future::join_all(puts).await.into_iter().for_each(|result| {
                result.unwrap();
            });
            let acknowledged = store.revision();
            let copy = tempfile::tempdir().unwrap();
            std::fs::copy(directory.path().join("store.redb"), copy.path().join("store.redb")).unwrap();
            let recovered = open(Some(copy.path()), 100);
            assert_eq!(recovered.revision(), acknowledged);
            assert_eq!(contents(&recovered, None), contents(&store, None));
            recovered.close().await;
        }
    });
}
