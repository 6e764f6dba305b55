//! What becomes of a Service's families, by cluster, policy and update.

use super::*;

const DUAL: &[&str] = &["10.96.0.0/24", "fd00::/112"];
const DUAL_6: &[&str] = &["fd00::/112", "10.96.0.0/24"];
const V6: &[&str] = &["fd00::/112"];

/// (policy, families) of the outcome, or `field: text` of the first error.
fn outcome(result: Result<Value, Vec<FieldError>>) -> Result<(String, Vec<String>), String> {
    match result {
        Ok(service) => {
            let spec = &service["spec"];
            let policy = spec["ipFamilyPolicy"].as_str().unwrap_or_default().to_string();
            let families: Vec<String> = serde_json::from_value(spec["ipFamilies"].clone()).unwrap_or_default();
            Ok((policy, families))
        }
        Err(errors) => Err(errors[0].to_string()),
    }
}

fn spec(fields: Value) -> Value {
    let mut spec = json!({"selector": {"a": "b"}, "ports": [{"port": 80}]});
    crate::patch::merge(&mut spec, &fields).unwrap();
    spec
}

#[test]
fn new_services_get_families_by_policy_and_cluster() {
    let headless = json!({"clusterIP": "None"});
    let for_others = json!({"clusterIP": "None", "selector": null});
    let single = "SingleStack";
    let (prefer, require) = ("PreferDualStack", "RequireDualStack");
    // (cluster, spec, policy, families)
    let rows: Vec<(&[&str], Value, &str, &[&str])> = vec![
        (V4, json!({}), single, &["IPv4"]),
        (V6, json!({}), single, &["IPv6"]),
        (DUAL, json!({}), single, &["IPv4"]),
        (DUAL_6, json!({}), single, &["IPv6"]),
        (V4, json!({"ipFamilyPolicy": prefer}), prefer, &["IPv4"]),
        (DUAL, json!({"ipFamilyPolicy": prefer}), prefer, &["IPv4", "IPv6"]),
        (DUAL_6, json!({"ipFamilyPolicy": prefer}), prefer, &["IPv6", "IPv4"]),
        (DUAL, json!({"ipFamilyPolicy": require, "ipFamilies": ["IPv6"]}), require, &["IPv6", "IPv4"]),
        (DUAL, json!({"ipFamilies": ["IPv6"]}), single, &["IPv6"]),
        (DUAL, json!({"clusterIP": "fd00::7"}), single, &["IPv6"]),
        (DUAL, json!({"clusterIP": "fd00::7", "ipFamilyPolicy": prefer}), prefer, &["IPv6", "IPv4"]),
        (
            DUAL,
            json!({"clusterIP": "fd00::7", "clusterIPs": ["fd00::7", "10.96.0.7"], "ipFamilyPolicy": require}),
            require,
            &["IPv6", "IPv4"],
        ),
        (V4, headless.clone(), single, &["IPv4"]),
        (DUAL, headless, single, &["IPv4"]),
        (V4, for_others.clone(), require, &["IPv4", "IPv6"]),
        (DUAL_6, for_others.clone(), require, &["IPv6", "IPv4"]),
        (V4, json!({"type": "ExternalName", "externalName": "a.b"}), "", &[]),
    ];
    for (cidrs, fields, policy, families) in rows {
        let all = cluster(cidrs, 30000..=30001);
        let got = outcome(prepared(&all, spec(fields.clone())));
        let families: Vec<String> = families.iter().map(ToString::to_string).collect();
        assert_eq!(got, Ok((policy.to_string(), families)), "{cidrs:?} {fields}");
    }
    let all = cluster(V4, 30000..=30001);
    let others = |fields: Value| {
        let mut whole = for_others.clone();
        crate::patch::merge(&mut whole, &fields).unwrap();
        outcome(prepared(&all, whole)).unwrap()
    };
    assert_eq!(others(json!({"ipFamilyPolicy": single})).1, ["IPv4"]);
    assert_eq!(others(json!({"ipFamilies": ["IPv6"]})).1, ["IPv6", "IPv4"], "a family that the cluster does not have");
}

#[test]
fn what_the_cluster_does_not_have_is_refused() {
    let both = json!(["10.96.0.7", "fd00::7"]);
    let rows: Vec<(&[&str], Value, &str)> = vec![
        (
            V4,
            json!({"ipFamilyPolicy": "RequireDualStack"}),
            "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services",
        ),
        (
            V4,
            json!({"ipFamilies": ["IPv6"]}),
            "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster",
        ),
        (
            V4,
            json!({"clusterIP": "fd00::7"}),
            "spec.clusterIPs[0]: Invalid value: [\"fd00::7\"]: IPv6 is not configured on this cluster",
        ),
        (
            DUAL,
            json!({"clusterIP": "10.96.0.7", "clusterIPs": both}),
            "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified",
        ),
        (
            DUAL,
            json!({"ipFamilies": ["IPv4", "IPv6"]}),
            "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
        ),
        (DUAL, json!({"ipFamilies": ["IPv4", "IPv4"]}), "spec.ipFamilies[1]: Duplicate value: \"IPv4\""),
        (
            DUAL,
            json!({"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "10.96.0.8"]}),
            "spec.clusterIPs: Invalid value: [\"10.96.0.7\",\"10.96.0.8\"]: may specify no more than one IP for each IP family",
        ),
        (
            DUAL,
            json!({"clusterIP": "10.96.0.7", "ipFamilies": ["IPv6"]}),
            "spec.clusterIPs[0]: Invalid value: \"10.96.0.7\": expected an IPv6 value as indicated by `ipFamilies[0]`",
        ),
        (
            DUAL,
            json!({"clusterIP": "::ffff:10.96.0.7"}),
            "spec.clusterIPs[0]: Invalid value: \"::ffff:10.96.0.7\": must not be an IPv4-mapped IPv6 address",
        ),
        (
            DUAL,
            json!({"clusterIP": "10.096.0.7"}),
            "spec.clusterIPs[0]: Invalid value: \"10.096.0.7\": must not have leading 0s",
        ),
    ];
    for (cidrs, fields, error) in rows {
        let all = cluster(cidrs, 30000..=30001);
        assert_eq!(outcome(prepared(&all, spec(fields.clone()))), Err(error.to_string()), "{fields}");
    }
}

#[test]
fn a_service_goes_dual_stack_and_back() {
    let mut all = cluster(DUAL, 30000..=30001);
    let single = create(&mut all, spec(json!({}))).unwrap();
    for policy in ["PreferDualStack", "RequireDualStack"] {
        let dual = update(&mut all, &single, json!({"spec": {"ipFamilyPolicy": policy}})).unwrap();
        assert_eq!(dual["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
        assert_eq!(dual["spec"]["clusterIPs"][0], single["spec"]["clusterIP"]);
        let second = addresses(&dual)[1];
        let back = update(&mut all, &dual, json!({"spec": {"ipFamilyPolicy": "SingleStack"}})).unwrap();
        assert_eq!(back["spec"], single["spec"], "all but the policy is as it was");
        let again = json!({"ipFamilyPolicy": "SingleStack", "clusterIP": second.to_string()});
        let taken = create(&mut all, spec(again)).unwrap();
        store(&mut all, Some(&taken), None, Reservation::default());
    }
    let named =
        json!({"spec": {"ipFamilyPolicy": "RequireDualStack", "clusterIPs": [single["spec"]["clusterIP"], "fd00::7"]}});
    let dual = update(&mut all, &single, named).unwrap();
    assert_eq!(addresses(&dual)[1].to_string(), "fd00::7");
    let rows = [
        (
            json!({"clusterIPs": [single["spec"]["clusterIP"]]}),
            "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' to release the secondary cluster IP",
        ),
        (
            json!({"ipFamilies": ["IPv4"]}),
            "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' to release the secondary IP family",
        ),
        (
            json!({"clusterIPs": [single["spec"]["clusterIP"], "fd00::8"]}),
            "spec.clusterIPs[1]: Invalid value: [\"IP\",\"fd00::8\"]: may not change once set",
        ),
    ];
    for (change, error) in rows {
        let error = error.replace("\"IP\"", &single["spec"]["clusterIP"].to_string());
        assert_eq!(outcome(changed(&all, &dual, &json!({"spec": change}))), Err(error), "{change}");
    }
    let reordered = json!({"spec": {"ipFamilies": ["IPv6", "IPv4"]}});
    assert!(changed(&all, &dual, &reordered).is_err());
}

#[test]
fn preferring_two_families_is_not_an_upgrade_by_itself() {
    let mut before = cluster(V4, 30000..=30001);
    let old = create(&mut before, spec(json!({"ipFamilyPolicy": "PreferDualStack"}))).unwrap();
    assert_eq!(addresses(&old).len(), 1);
    let mut all = cluster(DUAL, 30000..=30001);
    store(&mut all, None, Some(&old), Reservation::default());
    let touched = update(&mut all, &old, json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
    assert_eq!(addresses(&touched), addresses(&old), "the cluster became dual-stack, the Service did not");
    let asked = update(&mut all, &old, json!({"spec": {"ipFamilies": ["IPv4", "IPv6"]}})).unwrap();
    assert_eq!(addresses(&asked).len(), 2);
}

#[test]
fn clusters_have_one_range_of_a_family() {
    let nets = |cidrs: &[&str]| cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect::<Vec<ipnet::IpNet>>();
    for bad in [&[][..], &["10.0.0.0/24", "10.1.0.0/24"], &["fd00::/48"], &["10.0.0.0/24", "fd00::/64", "fd01::/64"]] {
        assert!(Families::of(&nets(bad)).is_err(), "{bad:?}");
    }
}
