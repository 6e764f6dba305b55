#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// `ip`, or `ip#uid` for one that stands for a pod.
fn address(text: &str) -> EndpointAddress {
    let (ip, uid) = text.split_once('#').map_or((text, None), |(ip, uid)| (ip, Some(uid)));
    EndpointAddress {
        ip: ip.to_owned(),
        node_name: uid.map(|_| "node-1".to_owned()),
        target_ref: uid.map(|uid| ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: Some("shop".to_owned()),
            name: Some(format!("pod-{uid}")),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        }),
        ..EndpointAddress::default()
    }
}

/// `name:number` or `name:number/protocol`; the one called `web` has an application protocol.
fn port(text: &str) -> EndpointPort {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "TCP"));
    let (name, number) = port.split_once(':').unwrap();
    EndpointPort {
        name: Some(name.to_owned()),
        port: number.parse().unwrap(),
        protocol: Some(protocol.to_owned()),
        app_protocol: (name == "web").then(|| "http".to_owned()),
    }
}

/// A line `ports | ready | not ready`.
fn subset(line: &str) -> EndpointSubset {
    let parts: Vec<Vec<&str>> = line.split('|').map(|part| part.split_whitespace().collect()).collect();
    let addresses = |part: usize| some(parts[part].iter().map(|text| address(text)).collect());
    EndpointSubset {
        ports: some(parts[0].iter().map(|text| port(text)).collect()),
        addresses: addresses(1),
        not_ready_addresses: addresses(2),
    }
}

fn line(subset: &EndpointSubset) -> String {
    let ports = subset.ports.iter().flatten().map(|port| {
        let protocol = port.protocol.clone().filter(|protocol| protocol != "TCP");
        let number = format!("{}:{}", port.name.as_deref().unwrap_or_default(), port.port);
        protocol.map_or(number.clone(), |protocol| format!("{number}/{protocol}"))
    });
    let list = |list: &Option<Vec<EndpointAddress>>| {
        let text =
            |address: &EndpointAddress| uid(address).map_or(address.ip.clone(), |uid| format!("{}#{uid}", address.ip));
        list.iter().flatten().map(text).collect::<Vec<_>>().join(" ")
    };
    let (ready, rest) = (list(&subset.addresses), list(&subset.not_ready_addresses));
    format!("{} | {ready} | {rest}", ports.collect::<Vec<_>>().join(" "))
}

fn repacked(lines: &[&str]) -> Vec<String> {
    let subsets: Vec<EndpointSubset> = lines.iter().map(|line| subset(line)).collect();
    repack(&subsets).iter().map(line).collect()
}

/// Story, what is written, what upstream's `RepackSubsets` makes of it, order included.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

#[test]
fn the_canonical_form_is_upstreams() {
    let rows: [Row; 8] = [
        (
            "a port belongs to all who have it, not an address to all its ports",
            &["a:80 | 10.0.0.1#one | ", "b:9090 | 10.0.0.1#one | ", "a:80 | 10.0.0.2#two | "],
            &["b:9090 | 10.0.0.1#one | ", "a:80 | 10.0.0.1#one 10.0.0.2#two | "],
        ),
        (
            "subsets are in the order of their hashes",
            &[
                "a:80 | 10.0.0.1#one | ",
                "a:81 | 10.0.0.2#two | ",
                "a:82 | 10.0.0.3#three | ",
                "a:83 | 10.0.0.4#four | ",
                "a:84 | | 10.0.0.5#five",
            ],
            &[
                "a:83 | 10.0.0.4#four | ",
                "a:82 | 10.0.0.3#three | ",
                "a:84 |  | 10.0.0.5#five",
                "a:80 | 10.0.0.1#one | ",
                "a:81 | 10.0.0.2#two | ",
            ],
        ),
        (
            "so are ports, and addresses are in the order of their text",
            &["c:3 a:1 e:5/UDP b:2 d:4/SCTP web:80 | 10.0.0.9 10.0.0.10 | "],
            &["c:3 d:4/SCTP e:5/UDP b:2 a:1 web:80 | 10.0.0.10 10.0.0.9 | "],
        ),
        (
            "pods that share an address are two",
            &["a:80 | 10.0.0.7#x 10.0.0.7#b | 10.0.0.7#a", "a:80 | 10.0.0.7 | "],
            &["a:80 | 10.0.0.7 10.0.0.7#b 10.0.0.7#x | 10.0.0.7#a"],
        ),
        (
            "not ready wins, on that port",
            &["a:80 | 10.0.0.1 | 10.0.0.1", "b:81 | 10.0.0.1 | "],
            &["a:80 |  | 10.0.0.1", "b:81 | 10.0.0.1 | "],
        ),
        (
            "without a port and with one",
            &[" | 10.0.0.1#one | 10.0.0.2#two", "a:80 | 10.0.0.1#one | 10.0.0.2#two"],
            &["a:80 | 10.0.0.1#one | 10.0.0.2#two"],
        ),
        (
            "readiness keeps ports apart",
            &["a:80 | 10.0.0.1#one | ", "b:81 | | 10.0.0.1#one"],
            &["b:81 |  | 10.0.0.1#one", "a:80 | 10.0.0.1#one | "],
        ),
        ("nobody", &["a:80 | | "], &[]),
    ];
    for (story, written, expected) in rows {
        assert_eq!(repacked(written), expected, "{story}");
    }
}

#[test]
fn the_first_details_of_an_address_stay() {
    let mut second = subset("b:81 | 10.0.0.1#one | ");
    second.addresses.as_mut().unwrap()[0].hostname = Some("db-0".into());
    let mut first = subset("a:80 | 10.0.0.1#one | ");
    assert_eq!(repack(&[first.clone(), second.clone()])[0].addresses.as_ref().unwrap()[0].hostname, None);
    first.addresses.as_mut().unwrap()[0].hostname = Some("db-1".into());
    let packed = repack(&[first, second]);
    assert_eq!(packed.len(), 1);
    assert_eq!(packed[0].addresses.as_ref().unwrap()[0].hostname.as_deref(), Some("db-1"));
}

#[test]
fn a_fingerprint_counts_everything_but_the_revision_of_the_pod() {
    let print = |change: fn(&mut EndpointSubset)| {
        let mut subset = subset("web:80 | 10.0.0.1#one | 10.0.0.2#two");
        change(&mut subset);
        fingerprint(&[subset])
    };
    fn first(subset: &mut EndpointSubset) -> &mut EndpointAddress {
        &mut subset.addresses.as_mut().unwrap()[0]
    }
    fn target(subset: &mut EndpointSubset) -> &mut ObjectReference {
        first(subset).target_ref.as_mut().unwrap()
    }
    let same = print(|_| {});
    assert_eq!(print(|subset| target(subset).resource_version = Some("7".into())), same);
    let changes: [fn(&mut EndpointSubset); 9] = [
        |subset| first(subset).ip = "10.0.0.3".into(),
        |subset| first(subset).hostname = Some("a".into()),
        |subset| first(subset).node_name = None,
        |subset| first(subset).target_ref = None,
        |subset| target(subset).uid = Some("another".into()),
        |subset| target(subset).name = None,
        |subset| std::mem::swap(&mut subset.addresses, &mut subset.not_ready_addresses),
        |subset| subset.ports.as_mut().unwrap()[0].app_protocol = None,
        |subset| subset.ports = None,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert_ne!(print(change), same, "change {at}");
    }
}

proptest! {
    #[test]
    fn packing_again_changes_nothing_and_order_does_not_count(
        lines in prop::collection::vec(("([a-c]:[1-3] ){0,3}", "(10[.]0[.]0[.][1-9](#[x-z])? ){0,4}", "(10[.]0[.]0[.][1-9](#[x-z])? ){0,4}"), 0..5),
    ) {
        let mut subsets: Vec<_> = lines.iter().map(|(a, b, c)| subset(&format!("{a}|{b}|{c}"))).collect();
        let packed = repack(&subsets);
        prop_assert_eq!(repack(&packed), packed.clone());
        subsets.reverse();
        prop_assert_eq!(fingerprint(&repack(&subsets)), fingerprint(&packed));
    }
}
