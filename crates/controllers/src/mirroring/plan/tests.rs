#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const MAX: usize = 4;

/// An Endpoints called `db`: metadata that is merged in, and subsets.
fn endpoints(metadata: Value, subsets: Value) -> Arc<Endpoints> {
    let mut body = json!({"metadata": {"namespace": "shop", "name": "db", "uid": "uid-db"}, "subsets": subsets});
    for (key, value) in metadata.as_object().unwrap() {
        body["metadata"][key] = value.clone();
    }
    Arc::new(serde_json::from_value(body).unwrap())
}

/// A subset of ready addresses on one port.
fn subset(port: u16, addresses: &[&str]) -> Value {
    let addresses: Vec<_> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
    json!({"addresses": addresses, "ports": [{"name": "p", "port": port, "protocol": "TCP"}]})
}

/// The slices of the API under their names, as it would have them after the writes.
#[derive(Default)]
struct World {
    slices: BTreeMap<String, Arc<EndpointSlice>>,
    created: usize,
}

impl World {
    fn plan(&self, endpoints: &Arc<Endpoints>) -> Writes {
        plan(endpoints, self.slices.values().cloned().collect(), MAX).0
    }

    /// Plans and writes. Returns how many were created, updated and deleted.
    fn sync(&mut self, endpoints: &Arc<Endpoints>) -> [usize; 3] {
        let writes = self.plan(endpoints);
        let counts = [writes.creates.len(), writes.updates.len(), writes.deletes.len()];
        for mut slice in writes.creates {
            self.created += 1;
            let name = format!("{}{:03}", slice.metadata.generate_name.clone().unwrap(), self.created);
            slice.metadata.name = Some(name.clone());
            slice.metadata.uid = Some(format!("uid-{name}"));
            self.slices.insert(name, Arc::new(slice));
        }
        for slice in writes.updates {
            let name = slice.metadata.name.clone().unwrap();
            let before = self.slices.insert(name, Arc::new(slice.clone())).unwrap();
            assert_eq!(before.address_type, slice.address_type, "it is immutable");
            assert_eq!(before.metadata.uid, slice.metadata.uid);
        }
        for slice in writes.deletes {
            self.slices.remove(slice.metadata.name.as_ref().unwrap()).unwrap();
        }
        counts
    }

    fn only(&mut self) -> &mut EndpointSlice {
        assert_eq!(self.slices.len(), 1);
        Arc::make_mut(self.slices.values_mut().next().unwrap())
    }
}

#[test]
fn a_slice_is_made_from_the_endpoints_alone() {
    let labels = json!({"team": "a", "endpointslice.kubernetes.io/managed-by": "x", "kubernetes.io/service-name": "y"});
    let annotations = json!({
        "mine": "x", "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-02T03:04:05Z",
        "kubectl.kubernetes.io/last-applied-configuration": "{}", "endpoints.kubernetes.io/over-capacity": "truncated",
    });
    let db = endpoints(json!({"labels": labels, "annotations": annotations}), json!([subset(5432, &["10.0.0.1"])]));
    let writes = World::default().plan(&db);
    let expected = json!([{
        "metadata": {
            "namespace": "shop", "generateName": "db-",
            "labels": {
                "team": "a", "kubernetes.io/service-name": "db",
                "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
            },
            "annotations": {"mine": "x", "endpoints.kubernetes.io/over-capacity": "truncated"},
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Endpoints", "name": "db", "uid": "uid-db",
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}],
        "ports": [{"name": "p", "port": 5432, "protocol": "TCP"}],
    }]);
    let created: Vec<Value> = writes
        .creates
        .iter()
        .map(|slice| {
            let mut slice = serde_json::to_value(slice).unwrap();
            slice.as_object_mut().unwrap().retain(|key, _| key != "apiVersion" && key != "kind");
            slice
        })
        .collect();
    assert_eq!(json!(created), expected);
}

/// Story, the Endpoints afterwards, and how many slices are then created, updated and deleted.
type Row = (&'static str, Value, Value, [usize; 3]);

#[test]
fn slices_follow_the_endpoints_with_few_writes() {
    let one = || subset(80, &["10.0.0.1"]);
    let rows: [Row; 12] = [
        ("nothing", json!({}), json!([one()]), [0, 0, 0]),
        ("an address more", json!({}), json!([subset(80, &["10.0.0.1", "10.0.0.2"])]), [0, 1, 0]),
        ("a family more", json!({}), json!([subset(80, &["10.0.0.1", "fd00::1"])]), [1, 0, 0]),
        ("another family", json!({}), json!([subset(80, &["fd00::1"])]), [1, 0, 1]),
        ("another port", json!({}), json!([subset(81, &["10.0.0.1"])]), [0, 1, 0]),
        ("a port more", json!({}), json!([one(), subset(81, &["10.0.0.2"])]), [1, 0, 0]),
        ("no subset", json!({}), json!(null), [0, 0, 1]),
        ("a label", json!({"labels": {"team": "a"}}), json!([one()]), [0, 1, 0]),
        ("an annotation", json!({"annotations": {"a": "b"}}), json!([one()]), [0, 1, 0]),
        (
            "the trigger time",
            json!({"annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-02T03:04:05Z"}}),
            json!([one()]),
            [0, 0, 0],
        ),
        ("made anew", json!({"uid": "uid-new"}), json!([one()]), [0, 1, 0]),
        (
            "on its way out",
            json!({"deletionTimestamp": "2026-01-02T03:04:05Z"}),
            json!([subset(80, &["10.0.0.2", "fd00::1"])]),
            [0, 1, 0],
        ),
    ];
    for (story, metadata, subsets, expected) in rows {
        let mut world = World::default();
        assert_eq!(world.sync(&endpoints(json!({}), json!([one()]))), [1, 0, 0], "{story}");
        assert_eq!(world.sync(&endpoints(metadata.clone(), subsets.clone())), expected, "{story}");
        assert_eq!(world.sync(&endpoints(metadata, subsets)), [0, 0, 0], "{story}: nothing is left");
    }
}

/// Story, change of the slice, and whether it is put right.
type Drift = (&'static str, fn(&mut EndpointSlice), bool);

#[test]
fn what_somebody_did_to_a_slice() {
    fn first(slice: &mut EndpointSlice) -> &mut Endpoint {
        &mut slice.endpoints.as_mut().unwrap()[0]
    }
    let rows: [Drift; 10] = [
        ("order", |slice| slice.endpoints.as_mut().unwrap().reverse(), false),
        (
            "revision of the target",
            |slice| {
                first(slice).target_ref.as_mut().unwrap().resource_version = Some("9".into());
            },
            false,
        ),
        ("hints", |slice| first(slice).hints = Some(Default::default()), false),
        ("condition", |slice| first(slice).conditions.as_mut().unwrap().serving = Some(true), true),
        ("zone", |slice| first(slice).zone = Some("a".into()), true),
        ("target", |slice| first(slice).target_ref.as_mut().unwrap().uid = Some("other".into()), true),
        (
            "an endpoint twice",
            |slice| {
                let again = first(slice).clone();
                slice.endpoints.as_mut().unwrap().push(again);
            },
            true,
        ),
        ("label", |slice| drop(slice.metadata.labels.as_mut().unwrap().insert("a".into(), "b".into())), true),
        (
            "annotation",
            |slice| {
                slice.metadata.annotations.get_or_insert_default().insert("a".into(), "b".into());
            },
            true,
        ),
        (
            "a second owner",
            |slice| {
                let owner = OwnerReference { kind: "Foo".into(), ..OwnerReference::default() };
                slice.metadata.owner_references.as_mut().unwrap().push(owner);
            },
            false,
        ),
    ];
    let target = json!({"kind": "Pod", "namespace": "shop", "name": "db-0", "uid": "u"});
    let addresses = json!([{"ip": "10.0.0.1", "targetRef": target}, {"ip": "10.0.0.2"}]);
    let db = endpoints(json!({}), json!([{"addresses": addresses, "ports": [{"port": 80}]}]));
    for (story, change, repaired) in rows {
        let mut world = World::default();
        world.sync(&db);
        change(world.only());
        assert_eq!(world.sync(&db), [0, usize::from(repaired), 0], "{story}");
        assert!(world.plan(&db).is_empty(), "{story}");
    }
}

#[test]
fn one_slice_is_enough() {
    let db = endpoints(json!({}), json!([subset(80, &["10.0.0.1"])]));
    let mut world = World::default();
    world.sync(&db);
    let mut again = world.only().clone();
    again.metadata.name = Some("db-999".into());
    let mut by_name = again.clone();
    by_name.metadata.name = Some("db-998".into());
    by_name.address_type = "FQDN".into();
    world.slices.extend([("db-999".into(), Arc::new(again)), ("db-998".into(), Arc::new(by_name))]);
    assert_eq!(world.sync(&db), [0, 0, 2]);
}

#[test]
fn what_is_left_out_is_said_each_time() {
    let messages = |subsets: Value| {
        let mut world = World::default();
        let db = endpoints(json!({}), subsets);
        let complaints = world.plan(&db).complaints;
        world.sync(&db);
        assert_eq!(world.plan(&db).complaints, complaints);
        complaints.into_iter().map(|complaint| (complaint.reason, complaint.message)).collect::<Vec<_>>()
    };
    let invalid = |count| {
        (Reason::InvalidIPAddress, format!("Skipped {count} invalid IP addresses when mirroring to EndpointSlices"))
    };
    let too_many = |count| {
        let rest = format!("can be mirrored to EndpointSlices per Endpoints subset. {count} addresses were skipped");
        (Reason::TooManyAddressesToMirror, format!("A max of 4 addresses {rest}"))
    };
    let five = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"];
    let six = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "0x"];
    assert_eq!(messages(json!([subset(80, &five[..4])])), []);
    assert_eq!(messages(json!([subset(80, &["10.0.0.1", "a", "b"])])), [invalid(2)]);
    assert_eq!(messages(json!([subset(80, &five)])), [too_many(1)]);
    assert_eq!(messages(json!([subset(80, &six)])), [invalid(1), too_many(2)]);
    assert_eq!(messages(json!([subset(80, &five[..4]), subset(81, &five[1..])])), []);
}

#[test]
fn changes_are_counted_by_endpoint() {
    let mut world = World::default();
    let before = endpoints(json!({}), json!([subset(80, &["10.0.0.1", "10.0.0.2"]), subset(81, &["10.0.0.9"])]));
    let count = |world: &World, endpoints: &Arc<Endpoints>| {
        let totals = plan(endpoints, world.slices.values().cloned().collect(), MAX).1;
        [totals.added, totals.updated, totals.removed, totals.skipped, totals.endpoints, totals.slices]
    };
    assert_eq!(count(&world, &before), [3, 0, 0, 0, 3, 2]);
    world.sync(&before);
    assert_eq!(count(&world, &before), [0, 0, 0, 0, 3, 2]);
    let mut changed = subset(80, &["10.0.0.1", "10.0.0.3"]);
    changed["addresses"][0]["nodeName"] = json!("node-1");
    let after = endpoints(json!({}), json!([changed]));
    assert_eq!(count(&world, &after), [1, 1, 2, 0, 2, 1]);
}

/// Subsets of a few addresses on a few ports.
fn some_subsets() -> impl Strategy<Value = Value> {
    let address = prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2", "bad"]);
    let addresses = || prop::collection::vec(address.clone(), 0..4);
    let subset = (addresses(), addresses(), 80_u16..83).prop_map(|(ready, rest, port)| {
        let list = |list: Vec<&str>| list.into_iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
        json!({"addresses": list(ready), "notReadyAddresses": list(rest), "ports": [{"name": "p", "port": port}]})
    });
    prop::collection::vec(subset, 0..4).prop_map(Value::from)
}

proptest! {
    #[test]
    fn planning_after_writing_gives_nothing_and_leaves_what_a_new_world_would_have(
        history in prop::collection::vec((some_subsets(), prop::sample::select(vec!["a", "b"])), 1..6),
    ) {
        let mut world = World::default();
        for (subsets, team) in history {
            let db = endpoints(json!({"labels": {"team": team}}), subsets);
            world.sync(&db);
            let rest = world.plan(&db);
            prop_assert!(rest.creates.is_empty() && rest.updates.is_empty() && rest.deletes.is_empty());
            let mut fresh = World::default();
            fresh.sync(&db);
            let content = |world: &World| {
                let slices = world.slices.values().map(|slice| EndpointSlice {
                    metadata: ObjectMeta {
                        name: None, generate_name: None, uid: None, ..slice.metadata.clone()
                    },
                    ..EndpointSlice::clone(slice)
                });
                let mut texts: Vec<String> = slices.map(|slice| serde_json::to_string(&slice).unwrap()).collect();
                texts.sort();
                texts
            };
            prop_assert_eq!(content(&world), content(&fresh));
        }
    }
}
