//! What a file may say, what is wrong with others, and that no text makes the reader panic.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const OBJECTS: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";
const EXPECT: &str = "title: {en: A, zh: B}\nfamily: selector\nservice: default/web\ncode: selector-matches-no-pod\n";

fn parse(fault: &str, expect: &str) -> Result<Scenario, LoadError> {
    Scenario::parse("typo", Texts { objects: OBJECTS, fault, expect })
}

#[test]
fn every_step_can_be_written() {
    let steps = r#"
- patch: {kind: Service, name: web, type: merge, patch: {spec: {selector: {app: wbe}}}}
- apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
- delete: {kind: Pod, labels: {app: web}, graceSeconds: 0}
- scale: {name: web, replicas: 0}
- fault: {dns: {stopped: true}}
- faults: [{controllers: {stopped: [endpointslice]}}, {network: {node: node1, action: drop, toPort: 8080}}]
- wait: {event: Unhealthy}
- wait: {field: {kind: Pod, name: web, pointer: /status/phase, is: Running}}
- wait: {gone: {kind: Pod, name: web}}
- wait: {rollout: {name: web}}
- wait: {endpoints: {service: default/web, ready: 2}}
- wait: {pods: {labels: {app: web}, ready: 1, waiting: CrashLoopBackOff}}
- restart: {store: [{resource: services, namespace: default, name: web, patch: {spec: {clusterIP: 10.96.0.9}}}]}
- logs: {pod: web, container: echo}
"#;
    let scenario = parse(steps, EXPECT).unwrap();
    assert_eq!(scenario.steps.len(), 14);
    assert!(!scenario.is_look_alike() && scenario.needs_own_network() && scenario.restarts());
    assert_eq!(scenario.expect.causes(), ["selector-matches-no-pod"]);
    assert_eq!(scenario.expect.key(), ObjectKey::new("default", "web"));
}

#[test]
fn callers_are_pods_or_outside() {
    let from = |text: &str| parse("", &format!("{EXPECT}from: {text}\n")).unwrap().expect.from;
    assert_eq!(from("outside"), Some(Caller::Outside));
    assert_eq!(from("{address: 198.51.100.1}"), Some(Caller::Address([198, 51, 100, 1].into())));
    assert_eq!(from("{pod: shop/client}"), Some(Caller::Pod("shop/client".to_owned())));
}

#[test]
fn errors_name_file_and_line() {
    let line = |fault: &str, expect: &str| {
        let error = parse(fault, expect).unwrap_err();
        (error.file, error.line, error.to_string())
    };
    let (file, at, text) = line("- scale: {name: web, replicas: 1}\n- scale: {name: web, replica: 0}\n", EXPECT);
    assert_eq!((file, at), ("fault.yaml", Some(2)), "{text}");
    assert!(text.starts_with("typo/fault.yaml:2: ") && text.contains("replica"), "{text}");
    let (file, at, text) = line("", &format!("{EXPECT}colour: red\n"));
    assert_eq!((file, at), ("expect.yaml", Some(5)), "{text}");
    let (file, _, text) = line("- fault: {dns: {}}\n", EXPECT);
    assert!(file == "fault.yaml" && text.contains("stopped or answer"), "{text}");
    let (_, _, text) = line("- patch: {kind: Gateway, name: a, patch: {}}\n", EXPECT);
    assert!(text.contains("Gateway is no kind"), "{text}");
    let (_, _, text) = line("- delete: {kind: Pod}\n", EXPECT);
    assert!(text.contains("either its name or labels"), "{text}");
}

#[test]
fn an_expectation_is_a_code_or_a_likeness() {
    let neither = "title: {en: A, zh: B}\nfamily: selector\nservice: default/web\n";
    assert!(parse("", neither).unwrap_err().to_string().contains("neither a code"));
    assert!(parse("", &format!("{EXPECT}like: other\n")).unwrap_err().to_string().contains("look-alike has no code"));
    assert!(parse("", &format!("{neither}like: other\n")).unwrap().is_look_alike());
    assert!(parse("", &EXPECT.replace("default/web", "web")).unwrap_err().to_string().contains("NAMESPACE/NAME"));
    assert!(parse("", &EXPECT.replace("zh: B", "zh: ''")).unwrap_err().to_string().contains("both titles"));
}

#[test]
fn an_object_says_what_it_is() {
    let of = |objects: &str| {
        let texts = Texts { objects, fault: "", expect: EXPECT };
        Scenario::parse("typo", texts).unwrap_err().to_string()
    };
    assert!(of("").contains("has no object"));
    assert!(of("kind: Service\nmetadata: {name: a}\n").contains("use v1"));
    assert!(of("apiVersion: v1\nkind: Service\n").contains("metadata.name"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(objects in "\\PC*", fault in "(?s).{0,80}", expect in "(?s).{0,80}") {
        let _ = Scenario::parse("any", Texts { objects: &objects, fault: &fault, expect: &expect });
    }

    /// Texts that are nearly right come further than random ones.
    #[test]
    fn no_change_of_a_good_text_makes_the_reader_panic(at in 0usize..200, with in "[-{}:\\[\\]#'\"\\n a-z0-9&*|>]{0,6}") {
        let good = format!("{EXPECT}---\n- patch: {{kind: Service, name: web, patch: {{spec: {{a: [1, 2]}}}}}}\n");
        let at = at.min(good.len());
        let text = format!("{}{with}{}", &good[..at], &good[at..]);
        let _ = Scenario::parse("any", Texts { objects: &text, fault: &text, expect: &text });
    }
}
