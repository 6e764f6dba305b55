#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const EVERY_KIND: &str = r#"
- api: {verbs: [create], resources: [endpointslices], users: ["system:serviceaccount:kube-system:endpointslice-controller"], times: 3, error: {code: 403, reason: Forbidden, message: not today}}
- api: {namespaces: [default], delayMilliseconds: 500}
- cloud: {quota: 1, pool: 203.0.113.8/30, faults: [{calls: [ensure], effect: {refuse: {code: RequestLimitExceeded}}}, {effect: hang}]}
- cloud: {pool: exhausted}
- node: {name: node2, down: true}
- node: {name: node1, holdPort: {port: 30080, protocol: UDP}}
- node: {name: node1, holdPort: {port: 30080}}
- node: {name: node1, resolvConf: "nameserver 192.0.2.1\n"}
- proxy: {nodes: [node1], stopped: true}
- proxy: {deleteRules: true}
- proxy: {nodes: [node1], frozen: true}
- controllers: {stopped: [endpointslice], stale: [endpoints]}
- dns: {stopped: true}
- dns: {answer: serverFailure}
- dns: {answer: noSuchName}
- dns: {answer: silent}
- network: {node: node1, action: drop, protocol: TCP, toAddress: 10.244.1.2, toPort: 8080}
- network: {node: edge, action: reject}
"#;

#[test]
fn every_kind_is_read_and_survives_the_round_trip() {
    let faults = parse(EVERY_KIND).unwrap();
    assert_eq!(faults.len(), 18);
    assert_eq!(parse(&render(&faults)).unwrap(), faults);
    assert_eq!(
        faults[4],
        Fault::Node(NodeFault { name: "node2".into(), down: true, hold_port: None, resolv_conf: None })
    );
}

#[test]
fn nothing_is_an_empty_list() {
    for text in ["", "\n", "[]", "# nothing\n", "null", &render(&[])] {
        assert_eq!(parse(text).unwrap(), [], "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_entry() {
    let cases = [
        ("dns: {stopped: true}", "must be a list"),
        ("- dns: {stopped: true}\n- dsn: {stopped: true}", "[1]: unknown variant `dsn`"),
        ("- dns: {stoped: true}", "[0]: unknown field `stoped`"),
        ("- dns: {}", "[0]: dns: says nothing; give stopped or answer"),
        ("- dns: {answer: maybe}", "unknown variant `maybe`"),
        ("- node: {down: true}", "missing field `name`"),
        ("- node: {name: node1}", "give down, holdPort or resolvConf"),
        ("- node: {name: node1, holdPort: {port: 0}}", "0 is no port"),
        ("- node: {name: node1, holdPort: {port: 70000}}", "[0]: invalid value"),
        ("- api: {error: {code: 200, reason: OK, message: fine}}", "200 is no error"),
        ("- api: {verbs: [get]}", "give error or delayMilliseconds"),
        ("- cloud: {}", "give quota, pool or faults"),
        ("- cloud: {pool: none}", "write it as"),
        ("- proxy: {nodes: [node1]}", "give stopped, deleteRules or frozen"),
        ("- controllers: {}", "give stopped or stale"),
        ("- network: {node: node1, action: lose}", "unknown variant `lose`"),
        ("- network: {action: drop}", "missing field `node`"),
        ("- [", "as YAML"),
    ];
    for (text, words) in cases {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn texts_are_told_apart() {
    assert_eq!(digest("[]"), "4f53cda18c2baa0c");
    assert_ne!(digest("[]"), digest("[]\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        drop(parse(&text));
    }

    /// Near misses: the true words in any order and nesting.
    #[test]
    fn no_mixture_of_its_own_words_makes_it_panic(words in proptest::collection::vec(prop_oneof![
        Just("- "), Just("api: "), Just("cloud: "), Just("node: "), Just("dns: "), Just("faults: "), Just("effect: "),
        Just("{"), Just("}"), Just("["), Just("]"), Just(", "), Just("\n"), Just("  "), Just("pool: "), Just("times: "),
        Just("&a "), Just("*a"), Just("<<: "), Just("!!int "), Just("99999999999999999999"), Just("-1"), Just("\""),
    ], 0..40)) {
        if let Ok(faults) = parse(&words.concat()) {
            prop_assert_eq!(parse(&render(&faults)).unwrap(), faults);
        }
    }
}
