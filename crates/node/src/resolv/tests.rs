#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

const HOST: &str = "# by hand\nnameserver 192.0.2.53\nsearch example.org. corp.example\noptions timeout:2 rotate\n";

fn formed_on(node: Node<'_>, spec: Value) -> Formed {
    let mut spec = spec;
    spec["containers"] = json!([]);
    let spec: PodSpec = serde_json::from_value(spec).unwrap();
    let servers: Vec<IpAddr> = node.servers.iter().map(|server| server.parse().unwrap()).collect();
    let cluster = Cluster { servers: &servers, domain: node.domain, node: "172.30.0.11".parse().unwrap() };
    form(&spec, "shop", cluster, node.host.map(|text| ResolvConf::parse(text).unwrap()).as_ref())
}

#[derive(Clone, Copy)]
struct Node<'a> {
    servers: &'a [&'a str],
    domain: &'a str,
    host: Option<&'a str>,
}

const USUAL: Node<'static> = Node { servers: &["10.96.0.10"], domain: "cluster.local", host: Some(HOST) };

fn formed(spec: Value) -> (String, Vec<String>) {
    let formed = formed_on(USUAL, spec);
    assert!(!formed.missing_cluster);
    (formed.conf.render(), formed.exceeded)
}

#[test]
fn without_a_cluster_dns_a_pod_gets_what_the_node_has() {
    let bare = Node { servers: &[], ..USUAL };
    let host = ResolvConf::parse(HOST).unwrap();
    let rows = [
        (json!({}), host.clone(), true),
        (json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}), host.clone(), true),
        (json!({"dnsPolicy": "Default"}), host.clone(), false),
        (json!({"hostNetwork": true}), host, false),
        (json!({"dnsPolicy": "None"}), ResolvConf::default(), false),
    ];
    for (spec, conf, missing_cluster) in rows {
        let expected = Formed { conf, exceeded: vec![], missing_cluster };
        assert_eq!(formed_on(bare, spec.clone()), expected, "{spec}");
    }
}

#[test]
fn two_cluster_servers_are_both_asked_and_a_nameless_cluster_adds_no_domains() {
    let conf = formed_on(Node { servers: &["10.96.0.10", "fd00::a"], domain: "", ..USUAL }, json!({})).conf;
    assert_eq!(conf.servers, ["10.96.0.10", "fd00::a"]);
    assert_eq!(conf.searches, ["example.org", "corp.example"]);
}

#[test]
fn a_node_without_a_file_of_its_own_is_its_pods_only_server() {
    let nameless = Node { host: None, ..USUAL };
    let conf = formed_on(nameless, json!({"dnsPolicy": "Default"})).conf;
    assert_eq!(conf.render(), "search .\nnameserver 127.0.0.1\n");
    let conf = formed_on(nameless, json!({})).conf;
    assert_eq!(conf.searches, ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"]);
}

#[test]
fn a_file_that_cannot_be_used_is_named_as_kubelets_name_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("resolv.conf");
    let error = || read(&path).unwrap_err().to_string();
    assert_eq!(error(), format!("open {}: no such file or directory", path.display()));
    std::fs::create_dir(&path).unwrap();
    let directory = format!("read {}: is a directory", path.display());
    assert_eq!(error(), format!("Encountered error while parsing resolv conf file. Error: {directory}"));
    assert_eq!(check(&path, "cluster.local"), Some(directory));
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, "nameserver\n").unwrap();
    assert_eq!(error(), "Encountered error while parsing resolv conf file. Error: nameserver list is empty ");
    std::fs::write(&path, HOST).unwrap();
    assert_eq!(read(&path).unwrap(), Some(ResolvConf::parse(HOST).unwrap()));
    assert_eq!(read(Path::new("")).unwrap(), None);
}

#[test]
fn the_nodes_file_is_checked_against_the_limits_and_the_first_finding_counts() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("resolv.conf");
    let file = path.display().to_string();
    let domains = |count: usize| (0..count).map(|n| format!("d{n}.example")).collect::<Vec<_>>().join(" ");
    let long = format!("{}.example", "a".repeat(250));
    let wide = (0..10).map(|n| format!("{n}{}.example", "b".repeat(240))).collect::<Vec<_>>().join(" ");
    let rows = [
        (domains(29), "cluster.local", None),
        (
            domains(30),
            "cluster.local",
            Some(format!("Resolv.conf file '{file}' contains search line consisting of more than 29 domains!")),
        ),
        (domains(32), "", None),
        (
            long,
            "cluster.local",
            Some(format!(
                "Resolv.conf file \"{file}\" contains a search path which length is more than allowed 253 chars!"
            )),
        ),
        (
            wide,
            "cluster.local",
            Some(format!(
                "Resolv.conf file '{file}' contains search line which length is more than allowed 2048 chars!"
            )),
        ),
    ];
    for (searches, domain, expected) in rows {
        std::fs::write(&path, format!("search {searches}\n")).unwrap();
        assert_eq!(check(&path, domain), expected, "{searches}");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(check(&path, ""), Some(format!("open {file}: no such file or directory")));
    assert_eq!(check(Path::new(""), ""), None);
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
        ResolvConf::parse("search a\nnameserver 1.1.1.1\n;x\n # nameserver\nsearch b. .\noptions a:1 b\noptions a:2\n")
            .unwrap();
    let expected = ResolvConf {
        servers: vec!["1.1.1.1".into()],
        searches: vec!["b".into()],
        options: vec!["a:2".into(), "b".into()],
    };
    assert_eq!(read, expected);
    assert_eq!(ResolvConf::parse(&expected.render()).unwrap(), expected);
    assert!(ResolvConf::parse("nameserver\n").is_err());
}
