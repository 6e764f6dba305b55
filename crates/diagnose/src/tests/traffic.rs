//! Who may use the Service, and from where: traffic policies, topology hints, source ranges.

use portolan_objects::ObjectKey;
use serde_json::{Value, json};

use super::{fixture::Cluster, proven, silent};
use crate::{Ask, Diagnosis, From, Index, LinkId};

fn ask(cluster: &Cluster, from: From) -> Diagnosis {
    crate::diagnose(&Index::new(&cluster.snapshot()), &ObjectKey::new("default", "web"), &Ask { from })
}

fn outside(address: &str) -> From {
    From::Outside(Some(address.parse().unwrap()))
}

fn pod(name: &str) -> From {
    From::Pod(ObjectKey::new("default", name))
}

/// With a client pod on this node.
fn client(cluster: Cluster, node: &str) -> Cluster {
    cluster.another_pod(json!({
        "metadata": {"name": "client", "uid": "client", "labels": {"app": "client"}}, "spec": {"nodeName": node},
        "status": {"podIP": "10.244.7.7", "podIPs": [{"ip": "10.244.7.7"}]},
    }))
}

#[test]
fn an_internal_local_policy_drops_where_nothing_runs() {
    let local = || Cluster::healthy().spec(json!({"internalTrafficPolicy": "Local"})).all_on("node-0");
    let code = "internal-policy-without-local-endpoint";
    let diagnosis = ask(&client(local(), "node-1"), pod("client"));
    proven(&diagnosis, code, LinkId::Policy);
    assert!(diagnosis.cause().unwrap().title.en.contains("pods on node-1 is dropped"));
    silent(&ask(&client(local(), "node-0"), pod("client")));
    // Traffic from outside does not follow it.
    silent(&ask(&local(), From::Outside(None)));
    // Nobody can get through if the endpoints are on no node that is there.
    proven(&ask(&local().all_on("node-9"), From::Anywhere), code, LinkId::Policy);
}

#[test]
fn an_external_local_policy_hurts_whoever_comes_to_the_wrong_node() {
    let local = |kind: &str| {
        let spec = json!({"type": kind, "externalTrafficPolicy": "Local"});
        Cluster::healthy().balancer(Some("203.0.113.1")).spec(spec).all_on("node-0")
    };
    let code = "external-policy-without-local-endpoint";
    let diagnosis = ask(&local("NodePort"), From::Outside(None));
    proven(&diagnosis, code, LinkId::Policy);
    assert!(diagnosis.cause().unwrap().title.en.contains("the node ports of node-1 drop traffic"));
    // Health checks lead a balancer to the other node; pods do not come from outside; nobody has asked.
    silent(&ask(&local("LoadBalancer"), From::Outside(None)));
    silent(&ask(&client(local("NodePort"), "node-1"), pod("client")));
    silent(&ask(&local("NodePort"), From::Anywhere));
    proven(&ask(&local("NodePort").all_on("node-9"), From::Anywhere), code, LinkId::Policy);
}

#[test]
fn endpoints_that_end_count_for_local_policies() {
    let ending = json!({"ready": false, "serving": true, "terminating": true});
    let endpoints = json!([
        {"addresses": ["10.244.1.0"], "nodeName": "node-0", "conditions": {"ready": true}},
        {"addresses": ["10.244.1.1"], "nodeName": "node-1", "conditions": ending},
        {"addresses": ["10.244.1.2"], "nodeName": "node-0", "conditions": {"ready": true}},
    ]);
    let leaving = json!({"metadata": {"deletionTimestamp": "2026-07-01T12:00:10Z"}});
    let cluster = Cluster::healthy()
        .spec(json!({"internalTrafficPolicy": "Local"}))
        .pod_object(1, leaving)
        .slice(json!({"endpoints": endpoints}));
    silent(&ask(&client(cluster, "node-1"), pod("client")));
}

/// Two zones, `here` of six endpoints in that of node-0.
fn zones(here: usize) -> Cluster {
    let zone = |zone: &str| json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}});
    let mut cluster = Cluster::healthy().node_object(0, zone("a")).node_object(1, zone("b"));
    for n in 3..6 {
        let address = format!("10.244.1.{n}");
        cluster = cluster.another_pod(json!({"metadata": {"name": format!("web-{n}"), "uid": format!("pod-{n}")},
            "status": {"podIP": address, "podIPs": [{"ip": address}]}}));
    }
    let endpoints: Vec<Value> = (0..6)
        .map(|n| {
            let zone = if n < here { "a" } else { "b" };
            json!({"addresses": [format!("10.244.1.{n}")], "nodeName": "node-0", "zone": zone,
                "conditions": {"ready": true}, "hints": {"forZones": [{"name": zone}]}})
        })
        .collect();
    cluster.slice(json!({"endpoints": endpoints})).spec(json!({"trafficDistribution": "PreferClose"}))
}

#[test]
fn hints_can_keep_a_zone_on_few_endpoints() {
    let diagnosis = ask(&client(zones(1), "node-0"), pod("client"));
    proven(&diagnosis, "hints-starve-zone", LinkId::Topology);
    assert!(diagnosis.cause().unwrap().title.en.contains("1 of 6 endpoints only: 3.0 times an even share"));
    // The other zone has room; with an even spread nobody lacks any; nobody has asked.
    silent(&ask(&client(zones(1), "node-1"), pod("client")));
    silent(&ask(&client(zones(3), "node-0"), pod("client")));
    let anywhere = ask(&zones(1), From::Anywhere);
    silent(&anywhere);
    assert!(anywhere.hints.iter().any(|hint| hint.en.contains("zone a only 1 of 6")), "{:?}", anywhere.hints);
}

#[test]
fn hints_that_proxies_ignore_starve_nobody() {
    // One endpoint without a hint: none counts. A zone without hints: all endpoints count.
    let mut partial = zones(1).snapshot();
    partial.slices[0].endpoints.as_mut().unwrap()[5].hints = None;
    silent(&crate::diagnose(&Index::new(&partial), &ObjectKey::new("default", "web"), &Ask::default()));
    silent(&ask(&client(zones(0), "node-0"), pod("client")));
    let event = "Insufficient number of endpoints (1 endpoints, 2 zones), addressType: IPv4";
    silent(&ask(&Cluster::healthy().event("Service", "web", "TopologyAwareHintsDisabled", event, 9), From::Anywhere));
}

fn ranges(list: Value) -> Cluster {
    Cluster::healthy().balancer(Some("203.0.113.1")).spec(json!({"loadBalancerSourceRanges": list}))
}

#[test]
fn source_ranges_keep_out_whom_they_do_not_name() {
    let code = "source-ranges-exclude-caller";
    let diagnosis = ask(&ranges(json!(["10.0.0.0/8"])), outside("198.51.100.1"));
    proven(&diagnosis, code, LinkId::SourceRanges);
    let command = &diagnosis.cause().unwrap().remedies[0].commands[0];
    assert!(command.contains(r#""loadBalancerSourceRanges":["10.0.0.0/8","198.51.100.1/32"]"#), "{command}");
    let legacy =
        json!({"annotations": {"service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8, 192.0.2.0/24"}});
    let annotated = Cluster::healthy().balancer(Some("203.0.113.1")).metadata(legacy);
    proven(&ask(&annotated, outside("198.51.100.1")), code, LinkId::SourceRanges);
    silent(&ask(&annotated, outside("192.0.2.7")));
}

#[test]
fn source_ranges_are_no_fault_for_the_others() {
    let cases = [
        ("named", ranges(json!(["198.51.100.0/24"])), outside("198.51.100.1")),
        ("everybody", ranges(json!(["10.0.0.0/8", "0.0.0.0/0"])), outside("198.51.100.1")),
        ("a pod, by cluster IP", client(ranges(json!(["10.0.0.0/8"])), "node-0"), pod("client")),
        ("nobody in particular", ranges(json!(["10.0.0.0/8"])), From::Anywhere),
    ];
    for (name, cluster, from) in cases {
        println!("{name}");
        silent(&ask(&cluster, from));
    }
    // A proxy restricts only families that a range is of.
    let other_family = ask(&ranges(json!(["10.0.0.0/8"])), outside("2001:db8::1"));
    assert!(other_family.findings.iter().all(|finding| finding.link != LinkId::SourceRanges), "{other_family:#?}");
}

#[test]
fn source_ranges_without_any_client_or_meaning_are_a_fault_for_all() {
    for list in [json!(["127.0.0.0/8"]), json!(["169.254.0.0/24", "240.0.0.0/8"]), json!(["203.0.113.7"])] {
        proven(&ask(&ranges(list), From::Anywhere), "source-ranges-exclude-caller", LinkId::SourceRanges);
    }
}
