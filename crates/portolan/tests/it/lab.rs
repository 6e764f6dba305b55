//! The laboratory: every scenario is complete, and a handful is really run.

use std::{
    collections::BTreeSet,
    process::{Command, Output},
};

use portolan_lab::{library::Library, scenario::Scenario};

use crate::PORTOLAN;

/// The guide's reasons, each of which some scenario makes appear.
const GUIDE: [&str; 22] = [
    "EnsuringLoadBalancer",
    "EnsuredLoadBalancer",
    "CreatingLoadBalancer",
    "CreatedLoadBalancer",
    "DeletingLoadBalancer",
    "DeletedLoadBalancer",
    "UpdatedLoadBalancer",
    "UpdateLoadBalancerFailed",
    "DeleteLoadBalancerFailed",
    "UnAvailableLoadBalancer",
    "SyncLoadBalancerFailed",
    "FailedToCreateEndpoint",
    "FailedToUpdateEndpoint",
    "FailedToDeleteEndpoint",
    "FailedToCreateEndpointSlice",
    "FailedToUpdateEndpointSlice",
    "FailedToDeleteEndpointSlice",
    "HostPortConflict",
    "DNSConfigForming",
    "IPAllocated",
    "IPNotAllocated",
    "FailedSync",
];

/// Fast ones, of different kinds: objects, the API's faults, the provider's, DNS, a look-alike, a restored store.
const REALLY_RUN: [&str; 7] = [
    "selector-typo",
    "dns-stopped",
    "lb-throttled",
    "scaled-to-zero-healthy",
    "external-name-loop",
    "host-port-pod",
    "cluster-ip-duplicate",
];

fn library() -> Library {
    Library::embedded().unwrap()
}

fn lab(arguments: &[&str]) -> Output {
    Command::new(PORTOLAN).arg("lab").args(arguments).env_remove("KUBECONFIG").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn there_are_sixty_faults_and_each_has_a_look_alike() {
    let library = library();
    let (look_alikes, faults): (Vec<&Scenario>, Vec<&Scenario>) =
        library.scenarios().iter().partition(|scenario| scenario.is_look_alike());
    assert!(faults.len() >= 60, "only {} faults", faults.len());
    let alike: BTreeSet<&str> = look_alikes.iter().filter_map(|scenario| scenario.expect.like.as_deref()).collect();
    let names: BTreeSet<&str> = faults.iter().map(|scenario| scenario.name.as_str()).collect();
    assert_eq!(alike, names);
    for scenario in look_alikes {
        let like = scenario.expect.like.as_deref().unwrap();
        assert_eq!(scenario.name, format!("{like}-healthy"));
        assert_eq!(scenario.expect.family, library.get(like).unwrap().expect.family, "{}", scenario.name);
    }
}

#[test]
fn every_reason_of_the_guide_has_a_scenario() {
    let library = library();
    let expected: BTreeSet<&str> =
        library.scenarios().iter().flat_map(|scenario| scenario.expect.reasons.iter().map(String::as_str)).collect();
    let missing: Vec<&&str> = GUIDE.iter().filter(|reason| !expected.contains(**reason)).collect();
    assert!(missing.is_empty(), "no scenario makes these appear: {missing:?}");
}

#[test]
fn every_code_is_one_that_the_catalogue_explains() {
    let library = library();
    let known: BTreeSet<&str> = portolan_catalogue::codes::all().map(|code| code.code).collect();
    for scenario in library.scenarios() {
        let also = scenario.expect.also.iter().map(String::as_str);
        let unknown: Vec<&str> =
            scenario.expect.causes().into_iter().chain(also).filter(|code| !known.contains(code)).collect();
        assert!(unknown.is_empty(), "{} names codes that nobody knows: {unknown:?}", scenario.name);
    }
}

#[test]
fn the_list_shows_names_families_and_causes() {
    let output = lab(&["list", "--family", "selector", "--lang", "zh"]);
    let shown = text(&output.stdout);
    assert!(shown.contains("selector-matches-no-pod") && shown.contains("没有 Pod 带有该标签"), "{shown}");
    assert!(!shown.contains("lb-throttled"), "{shown}");
    let list: serde_json::Value = serde_json::from_slice(&lab(&["list", "-o", "json"]).stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), library().scenarios().len());
}

#[test]
fn what_is_mistyped_is_named() {
    for (arguments, words) in [
        (&["run", "selector"][..], "did you mean selector-"),
        (&["run", "xyzzy"], "portolan lab list"),
        (&["list", "--family", "xyzzy"], "there are "),
        (&["list", "--scenarios", "/nonexistent"], "cannot read scenarios from /nonexistent"),
    ] {
        let output = lab(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}

#[test]
fn a_scenario_of_ones_own_is_read_with_errors_that_name_the_line() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("mine");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("objects.yaml"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: mine}\n").unwrap();
    std::fs::write(folder.join("expect.yaml"), "title: {en: A, zh: B}\nfamily: own\ncolour: red\n").unwrap();
    let output = lab(&["list", "--scenarios", home.path().to_str().unwrap()]);
    assert!(text(&output.stderr).contains("mine/expect.yaml:3: "), "{}", text(&output.stderr));
}

/// What is kept can be judged again without any network, with the same result.
#[test]
fn a_handful_is_really_run_and_scored() {
    if let Err(why) = portolan_netns::world::available() {
        println!("skipped: a_handful_is_really_run_and_scored: cannot make private namespaces: {why}");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let keep = home.path().to_str().unwrap();
    let output = lab(&[&["score", "--jobs", "3", "--keep", keep, "-o", "json"][..], &REALLY_RUN].concat());
    let (shown, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{told}\n{shown}");
    let score: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(score["total"]["doctors"]["portolan"]["recall"], 1.0, "{shown}");
    for record in score["records"].as_array().unwrap() {
        assert!(record["missingReasons"].is_null(), "{record}");
        let recovered = record["secondsToRecovery"].is_number();
        assert_eq!(recovered, record["like"].is_null(), "{record}");
    }
    let again = lab(&[&["score", "--from", keep, "-o", "json"][..], &REALLY_RUN].concat());
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["total"], score["total"]);
}

/// People watch it: the fault, the events, the diagnosis, the repair.
#[test]
fn a_run_shows_what_happens() {
    if let Err(why) = portolan_netns::world::available() {
        println!("skipped: a_run_shows_what_happens: cannot make private namespaces: {why}");
        return;
    }
    let output = lab(&["run", "lb-forbidden", "--lang", "en"]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}{}", text(&output.stderr));
    let parts = ["Healthy start", "Fault", "event Warning SyncLoadBalancerFailed", "Diagnosis", "Repair", "Result"];
    let mut rest = shown.as_str();
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part} is missing or comes too early in\n{shown}"));
        rest = &rest[at..];
    }
    assert!(shown.contains("[load-balancer-forbidden]") && shown.contains("as expected"), "{shown}");
}
