//! ServiceCIDRs, IPAddresses, and what of a Service only shows in comparison with the stored one. Texts as Kubernetes
//! 1.36 gave them.

use super::*;

const RANGES: &str = "servicecidrs.networking.k8s.io";
const ADDRESSES: &str = "ipaddresses.networking.k8s.io";

fn range(cidrs: Value) -> Value {
    json!({"metadata": {"name": "a"}, "spec": {"cidrs": cidrs}})
}

fn address(name: &str, parent: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": {"parentRef": parent}})
}

/// `field: text` of each error.
fn texts(errors: Vec<FieldError>) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn ranges_have_one_spelling_and_two_families() {
    let rows: [(Value, &[&str]); 10] = [
        (json!(["10.98.0.0/24", "fd98::/112"]), &[]),
        (json!([]), &["spec.cidrs: Required value: at least one CIDR required"]),
        (
            json!(["a", "b", "c"]),
            &["spec.cidrs: Invalid value: {\"CIDRs\":[\"a\",\"b\",\"c\"]}: may only hold up to 2 values"],
        ),
        (
            json!(["x"]),
            &["spec.cidrs[0]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"],
        ),
        (
            json!(["10.98.0.1/24"]),
            &["spec.cidrs[0]: Invalid value: \"10.98.0.1/24\": must not have bits set beyond the prefix length"],
        ),
        (
            json!(["10.098.0.0/24"]),
            &["spec.cidrs[0]: Invalid value: \"10.098.0.0/24\": must not have leading 0s in IP or prefix length"],
        ),
        (
            json!(["10.98.0.0/024"]),
            &["spec.cidrs[0]: Invalid value: \"10.98.0.0/024\": must not have leading 0s in IP or prefix length"],
        ),
        (
            json!(["FD99::/112"]),
            &["spec.cidrs[0]: Invalid value: \"FD99::/112\": must be in canonical form (\"fd99::/112\")"],
        ),
        (
            json!(["::ffff:10.0.0.0/112"]),
            &["spec.cidrs[0]: Invalid value: \"::ffff:10.0.0.0/112\": must not have an IPv4-mapped IPv6 address"],
        ),
        (
            json!(["10.98.0.0/24", "10.99.0.0/24"]),
            &[
                "spec.cidrs: Invalid value: [\"10.98.0.0/24\",\"10.99.0.0/24\"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            ],
        ),
    ];
    for (cidrs, expected) in rows {
        assert_eq!(texts(errors(RANGES, range(cidrs.clone()))), expected, "{cidrs}");
    }
}

#[test]
fn a_range_may_only_get_a_second_family() {
    let single = range(json!(["10.98.0.0/24"]));
    let dual = range(json!(["10.98.0.0/24", "fd98::/112"]));
    let rows: [(&Value, Value, &[&str]); 5] = [
        (&single, json!(["10.98.0.0/24", "fd98::/112"]), &[]),
        (&single, json!(["10.98.0.0/25"]), &["spec.cidrs[0]: Invalid value: \"10.98.0.0/25\": field is immutable"]),
        (
            &single,
            json!(["10.98.0.0/25", "fd98::/112"]),
            &["spec.cidrs[0]: Invalid value: \"10.98.0.0/25\": field is immutable"],
        ),
        (
            &single,
            json!(["10.98.0.0/24", "10.99.0.0/24"]),
            &[
                "spec.cidrs: Invalid value: [\"10.98.0.0/24\",\"10.99.0.0/24\"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            ],
        ),
        (&dual, json!(["10.98.0.0/24"]), &["spec.cidrs: Invalid value: [\"10.98.0.0/24\"]: field is immutable"]),
    ];
    for (old, cidrs, expected) in rows {
        assert_eq!(texts(update_errors(RANGES, old, json!({"spec": {"cidrs": cidrs}}))), expected, "{cidrs}");
    }
}

#[test]
fn addresses_are_named_canonically_and_keep_their_parent() {
    let parent = || json!({"resource": "services", "namespace": "shop", "name": "web"});
    let rows: [(&str, Value, &[&str]); 7] = [
        ("10.96.0.7", parent(), &[]),
        ("fd00::7", parent(), &[]),
        ("10.96.0.051", parent(), &["metadata.name: Invalid value: \"10.96.0.051\": must not have leading 0s"]),
        ("FD00::7", parent(), &["metadata.name: Invalid value: \"FD00::7\": must be in canonical form (\"fd00::7\")"]),
        (
            "::ffff:1.2.3.4",
            parent(),
            &["metadata.name: Invalid value: \"::ffff:1.2.3.4\": must not be an IPv4-mapped IPv6 address"],
        ),
        (
            "10.96.0.53",
            json!({"resource": "", "name": ""}),
            &["spec.parentRef.resource: Required value", "spec.parentRef.name: Required value"],
        ),
        (
            "10.96.0.54",
            json!({"resource": "a/b", "name": "..", "namespace": "%"}),
            &[
                "spec.parentRef.resource: Invalid value: \"a/b\": may not contain '/'",
                "spec.parentRef.name: Invalid value: \"..\": may not be '..'",
                "spec.parentRef.namespace: Invalid value: \"%\": may not contain '%'",
            ],
        ),
    ];
    for (name, parent, expected) in rows {
        assert_eq!(texts(errors(ADDRESSES, address(name, parent.clone()))), expected, "{name} {parent}");
    }
    let change = json!({"spec": {"parentRef": {"name": "h"}}});
    let text = "spec.parentRef: Invalid value: {\"Group\":\"\",\"Resource\":\"services\",\"Namespace\":\"shop\",\"Name\":\"h\"}: field is immutable";
    assert_eq!(texts(update_errors(ADDRESSES, &address("10.96.0.7", parent()), change)), [text]);
}

#[test]
fn annotations_of_a_service_are_checked_like_the_fields_they_were() {
    let annotated = |annotations: Value, spec: Value| json!({"metadata": {"name": "web", "annotations": annotations}, "spec": spec});
    let plain = || json!({"ports": [{"port": 80}]});
    let topology = json!({"service.kubernetes.io/topology-mode": "Auto", "service.kubernetes.io/topology-aware-hints": "Disabled"});
    let ranges = |text: &str| json!({"service.beta.kubernetes.io/load-balancer-source-ranges": text});
    let balancer = || json!({"type": "LoadBalancer", "ports": [{"port": 80}]});
    let path = "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]";
    let rows = [
        (
            annotated(topology, plain()),
            vec!["metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: \"Auto\": must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified".to_string()],
        ),
        (annotated(ranges("10.0.0.0/8"), plain()), vec![format!("{path}: Forbidden: may only be used when `type` is 'LoadBalancer'")]),
        (annotated(ranges(" 10.0.0.0/8, 10.1.0.0/16"), balancer()), vec![]),
        (
            annotated(ranges("10.0.0.1/8"), balancer()),
            vec![format!("{path}: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix length")],
        ),
    ];
    for (service, expected) in rows {
        assert_eq!(texts(errors("services", service.clone())), expected, "{service}");
    }
}

#[test]
fn the_status_of_a_balancer_says_how_its_address_is_used() {
    let services = resource("services");
    let status = |kind: &str, ingress: Value| {
        let spec = json!({"type": kind, "ports": [{"port": 80}]});
        let old = created(services, service(spec)).unwrap();
        let mut new = old.clone();
        new["status"] = json!({"loadBalancer": {"ingress": [ingress]}});
        texts(services.validate_update(&new, &old, Part::Status))
    };
    let path = "status.loadBalancer.ingress[0]";
    assert_eq!(status("LoadBalancer", json!({"ip": "1.2.3.4", "ipMode": "VIP"})), [""; 0]);
    assert_eq!(
        status("LoadBalancer", json!({"ip": "1.2.3.4"})),
        [format!("{path}.ipMode: Required value: must be specified when `ip` is set")]
    );
    assert_eq!(
        status("ClusterIP", json!({"ip": "x"})),
        ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"]
    );
}
