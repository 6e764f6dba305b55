#![allow(clippy::unwrap_used)]

use super::*;

/// `name` is a digit for the address and letters: r ready, s serving, t terminating, l local.
fn endpoint(text: &str) -> (SocketAddr, EndpointFacts) {
    let has = |letter| text.contains(letter);
    let address = IpAddr::from([10, 0, 0, text[..1].parse().unwrap()]);
    let hints = |prefix: &str| -> Vec<String> {
        text.split(' ').filter_map(|word| word.strip_prefix(prefix)).map(str::to_owned).collect()
    };
    let facts = EndpointFacts {
        address,
        ready: has('r'),
        serving: has('r') || has('s'),
        terminating: has('t'),
        node: Some(if has('l') { "here" } else { "there" }.to_owned()),
        hinted_nodes: hints("node:"),
        hinted_zones: hints("zone:"),
    };
    (SocketAddr::new(address, 80), facts)
}

fn digits(list: &BTreeSet<SocketAddr>) -> String {
    list.iter().map(|address| address.ip().to_string().pop().unwrap()).collect()
}

fn node() -> NodeFacts {
    NodeFacts { zone: Some("a".to_owned()), ..NodeFacts::unknown("here") }
}

#[test]
fn the_choice_follows_readiness_then_termination_each_policy_for_itself() {
    // name, endpoints, main, local, here
    let rows: [(&str, &[&str], &str, &str, &str); 10] = [
        ("ready ones only", &["1r", "2", "3rl"], "13", "3", "3"),
        ("serving while terminating does not count beside ready ones", &["1r", "2st"], "1", "", ""),
        ("nothing ready: those that still serve", &["1st", "2st", "3t", "4s"], "12", "", ""),
        ("local falls back although others are ready", &["1r", "2stl"], "1", "2", "2"),
        ("local ready beats local terminating", &["1rl", "2stl"], "1", "1", "1"),
        ("nothing at all", &["1", "2t"], "", "", ""),
        ("a duplicate that is not terminating wins", &["1st", "1r"], "1", "", ""),
        ("all zones hinted: own zone", &["1r zone:a", "2r zone:b", "3r zone:a"], "13", "", ""),
        ("a hint is missing: all", &["1r zone:a", "2r"], "12", "", ""),
        ("own zone is not hinted: all", &["1r zone:b", "2r zone:c"], "12", "", ""),
    ];
    for (name, endpoints, main, local, here) in rows {
        let endpoints: Vec<_> = endpoints.iter().map(|text| endpoint(text)).collect();
        let lists = choose(endpoints.iter().map(|(address, facts)| (*address, facts)), &node());
        assert_eq!(
            (&*digits(&lists.main), &*digits(&lists.local), &*digits(&lists.here)),
            (main, local, here),
            "{name}"
        );
    }
}

#[test]
fn node_hints_come_before_zone_hints_and_do_not_touch_local_lists() {
    let endpoints = ["1r node:here zone:b", "2r node:there zone:a", "3rl node:there zone:a"].map(endpoint);
    let lists = choose(endpoints.iter().map(|(address, facts)| (*address, facts)), &node());
    assert_eq!((&*digits(&lists.main), &*digits(&lists.local)), ("1", "3"));
}

#[test]
fn health_counts_distinct_ready_addresses_here() {
    let endpoints = ["1rl", "1rl", "2rl", "3r", "4stl"].map(endpoint);
    assert_eq!(ready_here(endpoints.iter().map(|(_, facts)| facts), &node()), 2);
}

#[test]
fn slots_are_kept_and_only_the_last_ones_move() {
    let list = |text: &str| -> Vec<SocketAddr> { text.chars().map(|digit| endpoint(&digit.to_string()).0).collect() };
    for (previous, wanted, most, expected) in [
        ("", "321", 9, "123"),
        ("123", "13", 9, "13"),
        ("1234", "124", 9, "124"),
        ("1234", "34", 9, "34"),
        ("1234", "234", 9, "423"),
        ("123", "1235", 9, "1235"),
        ("123", "153", 9, "153"),
        ("123", "", 9, ""),
        ("", "1234", 2, "12"),
        ("12", "1234", 3, "123"),
    ] {
        let wanted = list(wanted).into_iter().collect();
        let got = slots(&list(previous), &wanted, most);
        assert_eq!(got.len(), wanted.len().min(most));
        if previous == "1234" && wanted.len() == 3 && !wanted.contains(&list("1")[0]) {
            // Two keep their slots, one moves into the hole.
            assert_eq!(got[1..], list("1234")[1..3]);
            continue;
        }
        assert_eq!(got, list(expected), "{previous} -> {expected}");
    }
}
