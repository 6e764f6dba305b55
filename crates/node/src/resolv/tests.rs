#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

const HOST: &str = "# by hand\nnameserver 192.0.2.53\nsearch example.org. corp.example\noptions timeout:2 rotate\n";

fn formed(spec: Value) -> (String, Vec<String>) {
    let mut spec = spec;
    spec["containers"] = json!([]);
    let spec: PodSpec = serde_json::from_value(spec).unwrap();
    let cluster = Cluster { server: "10.96.0.10".parse().unwrap(), domain: "cluster.local" };
    let (conf, exceeded) = form(&spec, "shop", cluster, &ResolvConf::parse(HOST));
    (conf.render(), exceeded)
}

#[test]
fn the_policy_chooses_the_base() {
    let cluster = "search shop.svc.cluster.local svc.cluster.local cluster.local example.org corp.example\n\
                   nameserver 10.96.0.10\noptions ndots:5\n";
    let host = "search example.org corp.example\nnameserver 192.0.2.53\noptions timeout:2 rotate\n";
    let rows = [
        (json!({}), cluster),
        (json!({"dnsPolicy": "ClusterFirst"}), cluster),
        (json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true}), host),
        (json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}), cluster),
        (json!({"dnsPolicy": "Default"}), host),
        (json!({"dnsPolicy": "None"}), ""),
        (json!({"dnsPolicy": "Nonsense"}), cluster),
    ];
    for (spec, expected) in rows {
        assert_eq!(formed(spec.clone()), (expected.to_owned(), vec![]), "{spec}");
    }
}

#[test]
fn the_pods_own_config_is_appended_and_its_options_win() {
    let spec = json!({"dnsPolicy": "ClusterFirst", "dnsConfig": {
        "nameservers": ["10.96.0.10", "192.0.2.1"],
        "searches": ["svc.cluster.local", "extra.example"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    }});
    let expected = "search shop.svc.cluster.local svc.cluster.local cluster.local example.org corp.example extra.example\n\
                    nameserver 10.96.0.10\nnameserver 192.0.2.1\noptions ndots:2 edns0\n";
    assert_eq!(formed(spec), (expected.to_owned(), vec![]));
}

#[test]
fn what_exceeds_the_limits_is_cut_and_told() {
    let servers = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    let (text, told) = formed(json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": servers}}));
    assert_eq!(text.matches("nameserver").count(), 3);
    assert_eq!(
        told,
        ["Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: \
             192.0.2.1 192.0.2.2 192.0.2.3"]
    );

    let many: Vec<_> = (0..40).map(|n| format!("d{n}.example")).collect();
    let (text, told) = formed(json!({"dnsPolicy": "None", "dnsConfig": {"searches": many}}));
    assert!(text.contains("d31.example") && !text.contains("d32.example"));
    assert!(told[0].starts_with("Search Line limits were exceeded, some search paths have been omitted, "));

    let long = format!("{}.example", "a".repeat(250));
    let (text, told) = formed(json!({"dnsPolicy": "None", "dnsConfig": {"searches": [long, "short.example"]}}));
    assert_eq!(text, "search short.example\n");
    assert_eq!(told.len(), 1);

    let wide: Vec<_> = (0..10).map(|n| format!("{n}{}.example", "b".repeat(240))).collect();
    let (text, told) = formed(json!({"dnsPolicy": "None", "dnsConfig": {"searches": wide}}));
    assert!(text.len() <= MAX_SEARCH_LINE + "search \n".len());
    assert_eq!(text.matches(".example").count(), 8);
    assert_eq!(told.len(), 1);
}

#[test]
fn a_file_is_read_as_resolvers_do() {
    let read =
        ResolvConf::parse("search a\nnameserver 1.1.1.1\n;x\nsearch b. .\nnameserver\noptions a:1 b\noptions a:2\n");
    let expected = ResolvConf {
        servers: vec!["1.1.1.1".into()],
        searches: vec!["b".into()],
        options: vec!["a:2".into(), "b".into()],
    };
    assert_eq!(read, expected);
    assert_eq!(ResolvConf::parse(&expected.render()), expected);
}
