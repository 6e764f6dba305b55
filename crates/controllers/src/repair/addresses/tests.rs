#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::judge::OfService;
use super::*;

fn service(name: &str, addresses: &[&str]) -> Service {
    let spec = json!({"type": "ClusterIP", "clusterIP": addresses.first(), "clusterIPs": addresses});
    of_spec(name, &spec)
}

fn of_spec(name: &str, spec: &Value) -> Service {
    let metadata = json!({"namespace": "shop", "name": name, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

/// Of the allocator, for the Service `owner`.
fn address(name: &str, owner: &str) -> IPAddress {
    changed(name, owner, &json!({}))
}

fn changed(name: &str, owner: &str, change: &Value) -> IPAddress {
    let family = if name.contains(':') { "IPv6" } else { "IPv4" };
    let mut object = json!({
        "metadata": {
            "name": name, "uid": format!("{name} {owner}"), "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"ipaddress.kubernetes.io/ip-family": family, "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"},
        },
        "spec": {"parentRef": {"resource": "services", "namespace": "shop", "name": owner}},
    });
    merge(&mut object, change);
    serde_json::from_value(object).unwrap()
}

fn merge(object: &mut Value, change: &Value) {
    match change.as_object() {
        Some(fields) => fields.iter().for_each(|(key, value)| merge(&mut object[key], value)),
        None => *object = change.clone(),
    }
}

fn range(name: &str, cidrs: &[&str]) -> ServiceCIDR {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"cidrs": cidrs}})).unwrap()
}

fn index(services: Vec<Service>, addresses: Vec<IPAddress>) -> Index {
    let mut index = Index::default();
    let mut dirty = Vec::new();
    let ranges = vec![range("kubernetes", &["10.96.0.0/24", "fd00::/112"])];
    index.take(Input::Range(Box::new(Change::Reset(ranges))), &mut dirty);
    index.take(Input::Service(Box::new(Change::Reset(services))), &mut dirty);
    index.take(Input::Address(Box::new(Change::Reset(addresses))), &mut dirty);
    index
}

fn problems(index: &Index, name: &str) -> Vec<OfService> {
    judge::service(index.services.get(&ObjectKey::new("shop", name)).unwrap(), index)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn each_address_of_a_service_is_judged() {
    let gateway = json!({"spec": {"parentRef": {"group": "gateway.networking.k8s.io", "resource": "gateways"}}});
    let unlabelled = json!({"metadata": {"labels": {"ipaddress.kubernetes.io/managed-by": "me"}}});
    let one = || service("web", &["10.96.0.7"]);
    // (what, Services, IPAddresses, problems of web)
    let rows = [
        ("fine", vec![one()], vec![address("10.96.0.7", "web")], vec![]),
        (
            "fine in both families, however it is written",
            vec![service("web", &["10.96.0.7", "fd00:0:0::7"])],
            vec![address("10.96.0.7", "web"), address("fd00::7", "web")],
            vec![],
        ),
        ("missing", vec![one()], vec![], vec![OfService::NotAllocated(ip("10.96.0.7"))]),
        (
            "one of two missing",
            vec![service("web", &["10.96.0.7", "fd00::7"])],
            vec![address("10.96.0.7", "web")],
            vec![OfService::NotAllocated(ip("fd00::7"))],
        ),
        ("not an address", vec![service("web", &["seven"])], vec![], vec![OfService::NotValid("seven".into())]),
        (
            "in no range",
            vec![service("web", &["10.97.0.7"])],
            vec![address("10.97.0.7", "web")],
            vec![OfService::OutOfRange(ip("10.97.0.7"))],
        ),
        (
            "a range's edge is not in it",
            vec![service("web", &["10.96.0.255"])],
            vec![],
            vec![OfService::OutOfRange(ip("10.96.0.255"))],
        ),
        (
            "of a gateway",
            vec![one()],
            vec![changed("10.96.0.7", "web", &gateway)],
            vec![OfService::WrongReference(ip("10.96.0.7"))],
        ),
        (
            "of a Service that is not there",
            vec![one()],
            vec![address("10.96.0.7", "old")],
            vec![OfService::WrongReference(ip("10.96.0.7"))],
        ),
        (
            "of another Service that holds it",
            vec![one(), service("twin", &["10.96.0.7"])],
            vec![address("10.96.0.7", "twin")],
            vec![OfService::Shared(ip("10.96.0.7"))],
        ),
        (
            "of another Service that does not hold it: the address is judged for that",
            vec![one(), service("other", &["10.96.0.8"])],
            vec![address("10.96.0.7", "other"), address("10.96.0.8", "other")],
            vec![],
        ),
        (
            "made by hand",
            vec![one()],
            vec![changed("10.96.0.7", "web", &unlabelled)],
            vec![OfService::WrongLabels(ip("10.96.0.7"))],
        ),
        ("headless", vec![of_spec("web", &json!({"clusterIP": "None", "clusterIPs": ["None"]}))], vec![], vec![]),
        ("external", vec![of_spec("web", &json!({"type": "ExternalName"}))], vec![], vec![]),
    ];
    for (what, services, addresses, expected) in rows {
        let index = index(services, addresses);
        assert_eq!(problems(&index, "web"), expected, "{what}");
        let plan = index.plan(&Key::Service(ObjectKey::new("shop", "web")), Timestamp::UNIX_EPOCH);
        assert_eq!(plan.is_some(), !expected.is_empty(), "{what}");
    }
}

#[test]
fn each_address_object_is_judged() {
    let named = || ObjectKey::new("shop", "web");
    let gateway = json!({"spec": {"parentRef": {"group": "gateway.networking.k8s.io", "resource": "gateways"}}});
    let foreign = json!({"metadata": {"labels": {"ipaddress.kubernetes.io/managed-by": "me"}}});
    let later = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:10Z"}});
    let external = of_spec("web", &json!({"type": "ExternalName", "externalName": "a.b"}));
    let wait = |millis| OfAddress::Wait(Duration::from_millis(millis));
    let plain = || address("10.96.0.7", "web");
    let other = || service("web", &["10.96.0.8"]);
    // (what, Services, the IPAddress, seconds after 2026-01-01, judgement)
    let rows = [
        ("held", vec![service("web", &["10.96.0.7"])], plain(), 0, OfAddress::Fine),
        ("somebody else's", vec![], changed("10.96.0.7", "web", &foreign), 999, OfAddress::Fine),
        ("of no Service", vec![], changed("10.96.0.7", "web", &gateway), 0, OfAddress::Leftover(Why::NamesNoService)),
        ("its Service may come", vec![], plain(), 20, wait(40_010)),
        ("its Service did not come", vec![], plain(), 61, OfAddress::Leftover(Why::Leaked(named()))),
        ("its Service may be changing its type", vec![external.clone()], plain(), 20, wait(40_010)),
        ("its Service did not change", vec![external], plain(), 61, OfAddress::Leftover(Why::NotHeld(named()))),
        ("its Service may get it", vec![other()], changed("10.96.0.7", "web", &later), 12, wait(5_000)),
        (
            "its Service did not get it",
            vec![other()],
            changed("10.96.0.7", "web", &later),
            16,
            OfAddress::Leftover(Why::NotHeld(named())),
        ),
        ("as old as its Service", vec![other()], plain(), 2, OfAddress::Leftover(Why::NotHeld(named()))),
    ];
    for (what, services, object, seconds, expected) in rows {
        let index = index(services, vec![object.clone()]);
        let now = "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(seconds);
        assert_eq!(judge::address(&object, &index, now), expected, "{what}");
        let plan = index.plan(&Key::Address("10.96.0.7".into()), now);
        let wanted = match expected {
            OfAddress::Fine => None,
            OfAddress::Wait(delay) => Some(Plan::Wait(delay)),
            OfAddress::Leftover(_) => Some(Plan::Judge),
        };
        assert_eq!(plan, wanted, "{what}");
    }
}

#[test]
fn what_a_service_holds_is_judged_from_there() {
    let gateway = json!({"spec": {"parentRef": {"group": "gateway.networking.k8s.io", "resource": "gateways"}}});
    let now = "2026-01-02T00:00:00Z".parse::<Timestamp>().unwrap();
    let service_key = Key::Service(ObjectKey::new("shop", "web"));
    for object in [changed("10.96.0.7", "web", &gateway), address("10.96.0.7", "gone")] {
        let index = index(vec![service("web", &["10.96.0.7"])], vec![object]);
        assert_eq!(index.plan(&Key::Address("10.96.0.7".into()), now), None);
        assert_eq!(index.plan(&service_key, now), Some(Plan::Judge));
    }
}

#[test]
fn changes_touch_what_they_can_break() {
    let web = || Key::Service(ObjectKey::new("shop", "web"));
    let seven = || Key::Address("10.96.0.7".into());
    let mut index = index(vec![service("web", &["10.96.0.7"])], vec![address("10.96.0.7", "web")]);
    let mut touched = |input: Input| {
        let mut dirty = Vec::new();
        index.take(input, &mut dirty);
        dirty
    };
    assert_eq!(touched(Input::Address(Box::new(Change::Delete(address("10.96.0.7", "web"))))), [seven(), web()]);
    assert_eq!(
        touched(Input::Address(Box::new(Change::Apply(changed(
            "10.96.0.7",
            "web",
            &json!({"metadata": {"uid": "new"}})
        ))))),
        [seven(), web()]
    );
    let mut relabelled = service("web", &["10.96.0.7"]);
    relabelled.metadata.resource_version = Some("9".into());
    assert_eq!(touched(Input::Service(Box::new(Change::Apply(relabelled)))), [], "nothing of it matters here");
    assert_eq!(touched(Input::Service(Box::new(Change::Delete(service("web", &["10.96.0.7"]))))), [seven()]);
    assert_eq!(touched(Input::Again), [seven()]);
}

#[test]
fn nothing_is_judged_before_the_default_range_is_there() {
    let mut index = index(vec![service("web", &["10.96.0.7"])], vec![]);
    let key = Key::Service(ObjectKey::new("shop", "web"));
    assert_eq!(index.plan(&key, Timestamp::UNIX_EPOCH), Some(Plan::Judge));
    let gone = Change::Delete(range("kubernetes", &["10.96.0.0/24"]));
    index.take(Input::Range(Box::new(gone)), &mut Vec::new());
    assert_eq!(index.plan(&key, Timestamp::UNIX_EPOCH), None);
}
