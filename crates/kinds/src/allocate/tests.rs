//! Services against a store of their own: what is committed is told to the allocators, as the API server does.
#![allow(clippy::unwrap_used)]

mod families;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{AllocateError, Allocators, Families, Reservation, addresses, ports};
use crate::{FieldError, Part};

const V4: &[&str] = &["10.96.0.0/24"];

/// Allocators for a cluster with these CIDRs, which are stored and ready.
fn cluster(cidrs: &[&str], ports: std::ops::RangeInclusive<u16>) -> Allocators {
    let nets: Vec<_> = cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect();
    let mut all = Allocators::new(Families::of(&nets).unwrap(), ports);
    all.range_stored(&json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": cidrs}}));
    all
}

fn allocators() -> Allocators {
    cluster(V4, 30000..=30063)
}

/// A new Service on the way to its allocation.
fn prepared(all: &Allocators, spec: Value) -> Result<Value, Vec<FieldError>> {
    let resource = crate::find("", "v1", "services").unwrap();
    let mut object = json!({"metadata": {"namespace": "default", "name": "web"}, "spec": spec});
    resource.default(&mut object);
    resource.prepare_create(&mut object);
    all.families().fill(&mut object, None)?;
    assert_eq!(resource.validate_create(&object), []);
    Ok(object)
}

/// A changed Service on the way to its allocation.
fn changed(all: &Allocators, old: &Value, change: &Value) -> Result<Value, Vec<FieldError>> {
    let resource = crate::find("", "v1", "services").unwrap();
    let mut new = old.clone();
    crate::patch::merge(&mut new, change).unwrap();
    resource.default(&mut new);
    resource.prepare_update(&mut new, old, Part::Main);
    all.families().fill(&mut new, Some(old))?;
    let errors = resource.validate_update(&new, old, Part::Main);
    if errors.is_empty() { Ok(new) } else { Err(errors) }
}

/// Allocates and stores.
fn create(all: &mut Allocators, spec: Value) -> Result<Value, AllocateError> {
    let mut new = prepared(all, spec).map_err(AllocateError::Invalid)?;
    let reservation = all.service(&mut new, None)?;
    store(all, None, Some(&new), reservation);
    Ok(new)
}

/// Allocates and stores.
fn update(all: &mut Allocators, old: &Value, change: Value) -> Result<Value, AllocateError> {
    let mut new = changed(all, old, &change).map_err(AllocateError::Invalid)?;
    let reservation = all.service(&mut new, Some(old))?;
    store(all, Some(old), Some(&new), reservation);
    Ok(new)
}

/// What the store tells of one transaction: a Service and its IPAddress objects.
fn store(all: &mut Allocators, old: Option<&Value>, new: Option<&Value>, reservation: Reservation) {
    let held = |service: Option<&Value>| service.map(addresses).unwrap_or_default();
    let (before, after) = (held(old), held(new));
    if let Some(new) = new {
        all.service_stored(new);
    }
    after.iter().filter(|ip| !before.contains(ip)).for_each(|ip| all.address_stored(&ip.to_string()));
    if let Some(old) = old {
        all.service_gone(old);
    }
    before.iter().filter(|ip| !after.contains(ip)).for_each(|ip| all.address_gone(&ip.to_string()));
    all.settle(reservation);
}

/// The one field error of a failure: (path, text).
fn refusal<T: std::fmt::Debug>(result: Result<T, AllocateError>) -> (String, String) {
    match result.unwrap_err() {
        AllocateError::Invalid(errors) => (errors[0].field.clone(), errors[0].detail.clone()),
        AllocateError::Internal(text) => (String::new(), text),
    }
}

#[test]
fn a_service_gets_its_address_and_ports() {
    let mut all = allocators();
    let web = create(&mut all, json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [
        {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}, {"name": "web", "port": 80, "nodePort": 30001},
    ]})).unwrap();
    assert_eq!(web["spec"]["clusterIP"], web["spec"]["clusterIPs"][0]);
    let numbers: Vec<i64> =
        web["spec"]["ports"].as_array().unwrap().iter().map(|p| p["nodePort"].as_i64().unwrap()).collect();
    assert_eq!(numbers[0], numbers[1], "protocols of one port share a node port");
    assert_eq!(numbers[2], 30001);
    assert_eq!(ports(&web).len(), 3, "two node ports and the health check");
    let mut again = web.clone();
    assert_eq!(all.service(&mut again, Some(&web)).unwrap(), Reservation::default());
    assert_eq!(again, web, "a second pass changes nothing");
}

#[test]
fn node_ports_are_shared_as_upstream_shares_them() {
    let dns = json!([{"name": "a", "port": 53, "protocol": "UDP"}, {"name": "b", "port": 53}]);
    let mut all = allocators();
    let old = create(&mut all, json!({"ports": dns})).unwrap();
    let new = update(&mut all, &old, json!({"spec": {"type": "NodePort"}})).unwrap();
    assert_eq!(ports(&new).len(), 2, "not on update");
    let given = json!([{"name": "a", "port": 53, "protocol": "UDP"}, {"name": "b", "port": 53, "nodePort": 30010}]);
    let new = create(&mut all, json!({"type": "NodePort", "ports": given})).unwrap();
    assert_eq!(ports(&new), [30010], "the number that one asked for");
    let across = json!([{"name": "a", "port": 53, "protocol": "UDP", "nodePort": 30020}, {"name": "b", "port": 54, "nodePort": 30020}]);
    let refused = refusal(create(&mut all, json!({"type": "NodePort", "ports": across})));
    assert_eq!(refused.0, "spec.ports[1].nodePort", "another port number is another node port");
    let new = update(&mut all, &new, json!({"spec": {"ports": across}})).unwrap();
    assert_eq!(ports(&new), [30020], "on update it is not");
}

#[test]
fn a_balancer_without_node_ports_respects_requests() {
    let mut all = allocators();
    let spec = json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false,
        "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81, "nodePort": 30011}]});
    let old = create(&mut all, spec).unwrap();
    assert_eq!(ports(&old), [30011]);
    let new = update(&mut all, &old, json!({"spec": {"allocateLoadBalancerNodePorts": true}})).unwrap();
    assert_eq!(ports(&new).len(), 2);
    let kept = update(&mut all, &new, json!({"spec": {"allocateLoadBalancerNodePorts": false}})).unwrap();
    assert_eq!(ports(&kept), ports(&new), "turning it off releases nothing");
}

#[test]
fn who_asks_for_what_is_not_there_is_told() {
    let mut all = allocators();
    create(&mut all, json!({"type": "NodePort", "clusterIP": "10.96.0.1", "ports": [{"port": 80, "nodePort": 30000}]}))
        .unwrap();
    all.address_stored("10.96.0.9");
    let cases = [
        (
            json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}),
            "spec.clusterIPs",
            "Invalid value: [\"10.96.0.1\"]: failed to allocate IP 10.96.0.1: provided IP is already allocated",
        ),
        (
            json!({"clusterIP": "10.96.0.9", "ports": [{"port": 80}]}),
            "spec.clusterIPs",
            "Invalid value: [\"10.96.0.9\"]: failed to allocate IP 10.96.0.9: provided IP is already allocated",
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
        let (got_field, got_text) = refusal(create(&mut all, spec));
        assert_eq!((got_field.as_str(), got_text.as_str()), (field, text));
        assert_eq!(format!("{all:?}"), before, "a failure takes nothing");
    }
}

#[test]
fn full_ranges_say_so() {
    let mut all = cluster(&["10.96.0.0/30"], 30000..=30000);
    let one = json!({"ports": [{"port": 80}]});
    for _ in 0..2 {
        create(&mut all, one.clone()).unwrap();
    }
    let (_, text) = refusal(create(&mut all, one.clone()));
    assert_eq!(text, "failed to allocate a serviceIP for Service \"web\": range is full");
    all.range_stored(&json!({"metadata": {"name": "more"}, "spec": {"cidrs": ["10.97.0.0/30"]}}));
    let web = create(&mut all, one.clone()).unwrap();
    assert!(web["spec"]["clusterIP"].as_str().unwrap().starts_with("10.97.0."), "another range widens");
    all.range_gone("more");
    assert!(create(&mut all, one).is_err());
    let mut all = cluster(V4, 30000..=30000);
    let two = json!({"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]});
    let before = format!("{all:?}");
    assert_eq!(refusal(create(&mut all, two)).1, "failed to allocate a nodePort: range is full");
    assert_eq!(format!("{all:?}"), before, "the address and the first port are back");
    let balancer = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]});
    let text = "failed to allocate a HealthCheck NodePort 0: range is full";
    assert_eq!(refusal(create(&mut all, balancer)).1, text);
    assert_eq!(format!("{all:?}"), before);
}

#[test]
fn ranges_that_are_not_ready_give_nothing() {
    let mut all = allocators();
    let one = json!({"ports": [{"port": 80}]});
    let not_ready = [
        json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}),
        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
    ];
    for why in not_ready {
        let mut range = json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": V4}});
        crate::patch::merge(&mut range, &why).unwrap();
        all.range_stored(&range);
        let (field, text) = refusal(create(&mut all, one.clone()));
        assert_eq!(field, "spec.clusterIPs");
        assert_eq!(text, "Invalid value: [\"\"]: failed to allocate IP: allocator not ready");
    }
    all.range_stored(&json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": V4},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}}));
    create(&mut all, one).unwrap();
}

#[test]
fn headless_and_external_services_take_nothing() {
    let mut all = allocators();
    for spec in [
        json!({"clusterIP": "None", "selector": {"a": "b"}}),
        json!({"clusterIP": "None"}),
        json!({"type": "ExternalName", "externalName": "a.b"}),
    ] {
        let mut object = prepared(&all, spec).unwrap();
        assert_eq!(all.service(&mut object, None).unwrap(), Reservation::default());
        assert!(object["spec"].get("clusterIP").is_none_or(|ip| ip == "None"));
    }
}

#[test]
fn what_an_update_gives_up_is_free_when_it_is_stored() {
    let mut all = allocators();
    let old = create(&mut all, json!({"type": "NodePort", "ports": [{"port": 80}]})).unwrap();
    let mut new = changed(&all, &old, &json!({"spec": {"type": "ExternalName", "externalName": "a.b"}})).unwrap();
    let reservation = all.service(&mut new, Some(&old)).unwrap();
    assert_eq!(reservation.addresses_released, addresses(&old));
    let same_again = json!({"type": "NodePort", "clusterIP": old["spec"]["clusterIP"], "ports": [{"port": 80}]});
    assert!(create(&mut all, same_again.clone()).is_err(), "held until then");
    store(&mut all, Some(&old), Some(&new), reservation);
    create(&mut all, same_again).unwrap();
    let back = update(&mut all, &new, json!({"spec": {"type": "NodePort", "externalName": null}})).unwrap();
    assert_eq!((addresses(&back).len(), ports(&back).len()), (1, 1), "an ExternalName that comes back gets all anew");
}

#[test]
fn two_services_of_one_address_hold_it_both() {
    let mut all = allocators();
    let twin =
        json!({"metadata": {"name": "twin"}, "spec": {"clusterIPs": ["10.96.0.7"], "ports": [{"nodePort": 30007}]}});
    all.service_stored(&twin);
    all.service_stored(&twin);
    all.service_gone(&twin);
    let same = json!({"type": "NodePort", "clusterIP": "10.96.0.7", "ports": [{"port": 80, "nodePort": 30007}]});
    assert!(create(&mut all, same.clone()).is_err());
    all.service_gone(&twin);
    create(&mut all, same).unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Create { name: u8, kind: u8, policy: u8, stored: bool },
    Change { name: u8, kind: u8, policy: u8, stored: bool },
    Delete { name: u8 },
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let write = || (0u8..12, 0u8..4, 0u8..3, any::<bool>());
    prop_oneof![
        4 => write().prop_map(|(name, kind, policy, stored)| Step::Create { name, kind, policy, stored }),
        4 => write().prop_map(|(name, kind, policy, stored)| Step::Change { name, kind, policy, stored }),
        2 => (0u8..12).prop_map(|name| Step::Delete { name }),
        1 => Just(Step::Forget),
    ]
}

const KINDS: [&str; 4] = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];
const POLICIES: [&str; 3] = ["SingleStack", "PreferDualStack", "RequireDualStack"];
const DUAL: &[&str] = &["10.96.0.0/29", "fd00::/125"];

fn spec(kind: u8, policy: u8) -> Value {
    let mut spec =
        json!({"type": KINDS[usize::from(kind)], "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]});
    match kind {
        3 => spec["externalName"] = "a.b".into(),
        _ => spec["ipFamilyPolicy"] = POLICIES[usize::from(policy)].into(),
    }
    if kind == 2 {
        spec["externalTrafficPolicy"] = "Local".into();
    }
    spec
}

/// Told all anew, as after a start.
fn tell(all: &mut Allocators, stored: &BTreeMap<u8, Value>) {
    all.range_stored(&json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": DUAL}}));
    for service in stored.values() {
        all.service_stored(service);
        addresses(service).iter().for_each(|ip| all.address_stored(&ip.to_string()));
    }
}

/// Which addresses and ports the allocators hold, by asking.
fn taken(all: &Allocators) -> (Vec<std::net::IpAddr>, Vec<u16>) {
    let addresses = (1..7u16).flat_map(|n| {
        let v6 = std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n);
        [std::net::IpAddr::from([10, 96, 0, n as u8]), v6.into()]
    });
    let ports = (30000..=30007).filter(|port| all.ports.is_taken(*port));
    (addresses.filter(|address| all.addresses.is_taken(*address)).collect(), ports.collect())
}

proptest! {
    /// Whatever happens, the allocators hold exactly what the stored Services hold, nothing is held twice, and a
    /// Service has what its type and policy ask for.
    #[test]
    fn allocators_equal_a_rebuild_from_the_stored_services(steps in proptest::collection::vec(step(), 0..60)) {
        let mut all = cluster(DUAL, 30000..=30007);
        let mut stored: BTreeMap<u8, Value> = BTreeMap::new();
        for step in steps {
            let (name, new, keep) = match step {
                Step::Forget => {
                    all.forget_stored();
                    tell(&mut all, &stored);
                    continue;
                }
                Step::Delete { name } => {
                    if let Some(old) = stored.remove(&name) {
                        store(&mut all, Some(&old), None, Reservation::default());
                    }
                    continue;
                }
                Step::Create { name, kind, policy, stored: keep } => {
                    if stored.contains_key(&name) { continue; }
                    let mut new = prepared(&all, spec(kind, policy)).unwrap();
                    new["metadata"]["name"] = format!("s{name}").into();
                    (name, new, keep)
                }
                Step::Change { name, kind, policy, stored: keep } => {
                    let Some(old) = stored.get(&name) else { continue; };
                    let change = json!({"spec": spec(kind, policy)});
                    let Ok(new) = changed(&all, old, &change) else { continue; };
                    (name, new, keep)
                }
            };
            let mut new = new;
            let old = stored.get(&name).cloned();
            if let Ok(reservation) = all.service(&mut new, old.as_ref()) {
                if keep {
                    store(&mut all, old.as_ref(), Some(&new), reservation);
                    let (want, has) = (new["spec"]["ipFamilies"].as_array().map_or(0, Vec::len), addresses(&new).len());
                    prop_assert_eq!(want, has);
                    prop_assert!(new["spec"]["ipFamilyPolicy"] != "RequireDualStack" || has == 2);
                    prop_assert!(new["spec"]["ipFamilyPolicy"] != "SingleStack" || has == 1);
                    stored.insert(name, new);
                } else {
                    all.settle(reservation);
                }
            }
            let mut rebuilt = cluster(DUAL, 30000..=30007);
            tell(&mut rebuilt, &stored);
            prop_assert_eq!(taken(&all), taken(&rebuilt));
            let mut seen = std::collections::BTreeSet::new();
            prop_assert!(stored.values().flat_map(addresses).all(|address| seen.insert(address)));
        }
        for old in std::mem::take(&mut stored).into_values() {
            store(&mut all, Some(&old), None, Reservation::default());
        }
        prop_assert_eq!(taken(&all), (Vec::new(), Vec::new()));
    }
}
