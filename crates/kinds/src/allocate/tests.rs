#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{AllocateError, Allocators, Reservation, addresses, ports};

fn allocators() -> Allocators {
    Allocators::new("10.96.0.0/24".parse().unwrap(), 30000..=30063)
}

fn service(spec: Value) -> Value {
    let resource = crate::find("", "v1", "services").unwrap();
    let mut object = json!({"metadata": {"namespace": "default", "name": "web"}, "spec": spec});
    resource.default(&mut object);
    resource.prepare_create(&mut object);
    object
}

/// The one field error of a failure: (path, text).
fn refusal(result: Result<Reservation, AllocateError>) -> (String, String) {
    match result.unwrap_err() {
        AllocateError::Invalid(errors) => (errors[0].field.clone(), errors[0].detail.clone()),
        AllocateError::Internal(text) => (String::new(), text),
    }
}

#[test]
fn a_service_gets_its_address_and_ports() {
    let mut all = allocators();
    let mut web = service(json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local",
        "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}, {"name": "web", "port": 80, "nodePort": 30001}]}));
    let reservation = all.service(&mut web, None).unwrap();
    assert_eq!(reservation.addresses_added, addresses(&web));
    assert_eq!(web["spec"]["clusterIP"], web["spec"]["clusterIPs"][0]);
    let numbers: Vec<i64> =
        web["spec"]["ports"].as_array().unwrap().iter().map(|p| p["nodePort"].as_i64().unwrap()).collect();
    assert_eq!(numbers[0], numbers[1], "protocols of one port share a node port");
    assert_eq!(numbers[2], 30001);
    assert_eq!(ports(&web).len(), 3, "two node ports and the health check");
    all.commit(reservation);
    let before = web.clone();
    let again = all.service(&mut web, Some(&before)).unwrap();
    assert_eq!((again, &web), (Reservation::default(), &before), "a second pass changes nothing");
}

#[test]
fn who_asks_for_what_is_not_there_is_told() {
    let mut all = allocators();
    let mut first =
        service(json!({"type": "NodePort", "clusterIP": "10.96.0.1", "ports": [{"port": 80, "nodePort": 30000}]}));
    let reservation = all.service(&mut first, None).unwrap();
    all.commit(reservation);
    let cases = [
        (
            json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}),
            "spec.clusterIPs",
            "Invalid value: [\"10.96.0.1\"]: failed to allocate IP 10.96.0.1: provided IP is already allocated",
        ),
        (
            json!({"clusterIP": "10.97.0.1", "ports": [{"port": 80}]}),
            "spec.clusterIPs",
            "Invalid value: [\"10.97.0.1\"]: failed to allocate IP 10.97.0.1: the provided IP (10.97.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/24",
        ),
        (
            json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30000}]}),
            "spec.ports[0].nodePort",
            "Invalid value: 30000: provided port is already allocated",
        ),
        (
            json!({"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81, "nodePort": 22}]}),
            "spec.ports[1].nodePort",
            "Invalid value: 22: provided port is not in the valid range. The range of valid ports is 30000-30063",
        ),
        (
            json!({"ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]}),
            "spec.ipFamilyPolicy",
            "Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services",
        ),
        (
            json!({"ipFamilies": ["IPv6"], "ports": [{"port": 80}]}),
            "spec.ipFamilies[0]",
            "Invalid value: \"IPv6\": not configured on this cluster",
        ),
        (
            json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30000, "ports": [{"port": 80}]}),
            "",
            "failed to allocate requested HealthCheck NodePort 30000: provided port is already allocated",
        ),
    ];
    for (spec, field, text) in cases {
        let before = format!("{all:?}");
        let (got_field, got_text) = refusal(all.service(&mut service(spec), None));
        assert_eq!((got_field.as_str(), got_text.as_str()), (field, text));
        assert_eq!(format!("{all:?}"), before, "a failure takes nothing");
    }
}

#[test]
fn full_ranges_say_so() {
    let mut all = Allocators::new("10.96.0.0/30".parse().unwrap(), 30000..=30000);
    for _ in 0..2 {
        let reservation = all.service(&mut service(json!({"ports": [{"port": 80}]})), None).unwrap();
        all.commit(reservation);
    }
    let (_, text) = refusal(all.service(&mut service(json!({"ports": [{"port": 80}]})), None));
    assert_eq!(text, "failed to allocate a serviceIP for Service \"web\": range is full");
    let mut all = Allocators::new("10.96.0.0/24".parse().unwrap(), 30000..=30000);
    let two = json!({"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]});
    let before = format!("{all:?}");
    assert_eq!(refusal(all.service(&mut service(two), None)).1, "failed to allocate a nodePort: range is full");
    assert_eq!(format!("{all:?}"), before, "the address and the first port are back");
}

#[test]
fn headless_and_external_services_take_nothing() {
    let mut all = allocators();
    for spec in [
        json!({"clusterIP": "None", "selector": {"a": "b"}}),
        json!({"clusterIP": "None"}),
        json!({"type": "ExternalName", "externalName": "a.b"}),
    ] {
        let mut object = service(spec);
        assert_eq!(all.service(&mut object, None).unwrap(), Reservation::default());
        assert!(object["spec"].get("clusterIP").is_none_or(|ip| ip == "None"));
    }
}

#[test]
fn what_an_update_gives_up_is_free_after_its_commit() {
    let mut all = allocators();
    let mut old = service(json!({"type": "NodePort", "ports": [{"port": 80}]}));
    let taken = all.service(&mut old, None).unwrap();
    all.commit(taken);
    let resource = crate::find("", "v1", "services").unwrap();
    let mut new = old.clone();
    new["spec"]["type"] = "ExternalName".into();
    resource.prepare_update(&mut new, &old, crate::Part::Main);
    let reservation = all.service(&mut new, Some(&old)).unwrap();
    assert_eq!(reservation.addresses_released, addresses(&old));
    assert_eq!(reservation.ports_released, ports(&old));
    let same_again = json!({"type": "NodePort", "clusterIP": old["spec"]["clusterIP"], "ports": [{"port": 80}]});
    assert!(all.service(&mut service(same_again.clone()), None).is_err(), "held until the commit");
    all.commit(reservation);
    let taken = all.service(&mut service(same_again), None).unwrap();
    all.roll_back(taken);
}

#[derive(Clone, Debug)]
enum Step {
    Create { name: u8, kind: u8, stored: bool },
    Change { name: u8, kind: u8, stored: bool },
    Delete { name: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..12, 0u8..4, any::<bool>()).prop_map(|(name, kind, stored)| Step::Create { name, kind, stored }),
        (0u8..12, 0u8..4, any::<bool>()).prop_map(|(name, kind, stored)| Step::Change { name, kind, stored }),
        (0u8..12).prop_map(|name| Step::Delete { name }),
    ]
}

const KINDS: [&str; 4] = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];

proptest! {
    /// Whatever happens, the allocators hold exactly what the stored Services hold: a rebuild from those is equal.
    #[test]
    fn allocators_equal_a_rebuild_from_the_stored_services(steps in proptest::collection::vec(step(), 0..60)) {
        let resource = crate::find("", "v1", "services").unwrap();
        let small = || Allocators::new("10.96.0.0/29".parse().unwrap(), 30000..=30007);
        let mut all = small();
        let mut stored: BTreeMap<u8, Value> = BTreeMap::new();
        for step in steps {
            let (name, new, store) = match step {
                Step::Delete { name } => {
                    if let Some(old) = stored.remove(&name) {
                        all.release(&old);
                    }
                    continue;
                }
                Step::Create { name, kind, stored: store } => {
                    if stored.contains_key(&name) { continue; }
                    let mut new = service(json!({"type": KINDS[usize::from(kind)], "externalTrafficPolicy": if kind == 2 { "Local" } else { "" },
                        "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}));
                    new["metadata"]["name"] = format!("s{name}").into();
                    (name, new, store)
                }
                Step::Change { name, kind, stored: store } => {
                    let Some(old) = stored.get(&name) else { continue; };
                    let mut new = old.clone();
                    new["spec"]["type"] = KINDS[usize::from(kind)].into();
                    resource.default(&mut new);
                    resource.prepare_update(&mut new, old, crate::Part::Main);
                    (name, new, store)
                }
            };
            let mut new = new;
            if let Ok(reservation) = all.service(&mut new, stored.get(&name)) {
                if store {
                    all.commit(reservation);
                    stored.insert(name, new);
                } else {
                    all.roll_back(reservation);
                }
            }
            let mut rebuilt = small();
            stored.values().for_each(|service| rebuilt.observe(service));
            prop_assert_eq!(format!("{:?}", all), format!("{:?}", rebuilt));
        }
    }
}
