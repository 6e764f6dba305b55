//! The same provocations of upstream's controllers and of ours; both have to say the same events.
//!
//! The script runs on two real API servers in step. Not in it: the service controller, which in kube-controller-manager
//! needs a cloud (its events are held to the contract by its own tests), and what no API server stores: an invalid IP in
//! Endpoints.

mod script;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    generate::Step,
    request::{self, Request, Verb},
    side::{Places, Side},
};
use script::{Action, Scenario, scenarios};

/// How to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Run only the scenarios whose names contain this.
    #[arg(long)]
    pub only: Option<String>,
    /// Against upstream once more: shows that the script is sound.
    #[arg(long)]
    pub against_upstream: bool,
}

/// The components whose events are compared.
const COMPONENTS: [&str; 3] =
    ["endpoint-controller", "endpoint-slice-controller", "endpoint-slice-mirroring-controller"];
/// After each action: neither side has changed anything for so long.
const CALM: Duration = Duration::from_millis(1200);
/// After each scenario, what fails is tried again for so long.
const RETRIES: Duration = Duration::from_secs(5);
/// What a refusal says.
const REFUSED: &str = "refused for a test";
/// A policy is active by then.
const POLICY: Duration = Duration::from_secs(60);

/// An event without what two runs choose freely.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Row {
    component: String,
    #[serde(rename = "type")]
    level: String,
    reason: String,
    /// Kind, namespace and name of the object; `-` where it has none.
    object: String,
    /// The namespace that the event is in.
    namespace: String,
    reporting: String,
    message: String,
}

#[derive(Debug, Serialize)]
struct Outcome {
    scenarios: usize,
    /// Events that both said, with their counts.
    same: Vec<(Row, u64, u64)>,
    only_first: Vec<(Row, u64)>,
    only_second: Vec<(Row, u64)>,
    /// Said by both, but not about as often.
    counts: Vec<(Row, u64, u64)>,
}

/// Runs the script; false if the events differ.
pub async fn run(options: &Options, places: &Places) -> Result<bool> {
    let ours = ["endpoints", "endpointslice", "mirroring", "servicecidr"].map(str::to_owned);
    let first = Side::upstream(places, "first");
    let (first, second) = if options.against_upstream {
        tokio::try_join!(first, Side::upstream(places, "second"))?
    } else {
        tokio::try_join!(first, Side::joined(places, "joined", &ours))?
    };
    let mut done = 0;
    for scenario in scenarios() {
        let wanted = options.only.as_ref().is_none_or(|only| scenario.name.contains(only.as_str()));
        if !wanted && scenario.name != script::NODES {
            continue;
        }
        eprintln!("  {}", scenario.name);
        play(&first, &second, &scenario).await.with_context(|| format!("scenario {}", scenario.name))?;
        done += 1;
    }
    let (one, other) = tokio::try_join!(rows(&first), rows(&second))?;
    let outcome = compare(done, one, other);
    report(&outcome, places)
}

async fn play(first: &Side, second: &Side, scenario: &Scenario) -> Result<()> {
    let namespaces = [scenario.name];
    tokio::try_join!(first.prepare(&namespaces), second.prepare(&namespaces))?;
    for action in &scenario.actions {
        match action {
            Action::Do(requests) => {
                let step = Step {
                    title: scenario.name.to_owned(),
                    parallel: false,
                    after_rest: false,
                    loses: None,
                    requests: requests.clone(),
                };
                let (one, other) = tokio::try_join!(first.perform(&step), second.perform(&step))?;
                for (request, answer) in requests.iter().zip(one.iter().chain(&other)) {
                    ensure!(answer.succeeded(), "{:?} {}: {}", request.verb, request.path, answer.message);
                }
            }
            Action::Deny { resource, operation } => {
                tokio::try_join!(
                    deny(first, scenario.name, resource, operation),
                    deny(second, scenario.name, resource, operation)
                )?;
            }
            Action::Wait(time) => tokio::time::sleep(*time).await,
        }
        calm(first, second).await;
    }
    tokio::time::sleep(RETRIES).await;
    for request in &scenario.end {
        // It may be gone by itself.
        tokio::try_join!(request::send(&first.client, request), request::send(&second.client, request))?;
    }
    calm(first, second).await;
    Ok(())
}

async fn calm(first: &Side, second: &Side) {
    let begun = Instant::now();
    while begun.elapsed() < CALM * 8 {
        let still = first.mirror.changed().elapsed().min(second.mirror.changed().elapsed());
        if still > CALM {
            return;
        }
        tokio::time::sleep(CALM.saturating_sub(still)).await;
    }
}

/// Makes the API server refuse an operation in a namespace, and waits until it does.
async fn deny(side: &Side, namespace: &str, resource: &str, operation: &str) -> Result<()> {
    let name = format!("{namespace}-{}", operation.to_lowercase());
    let group = if resource == "endpoints" { "" } else { "discovery.k8s.io" };
    let rule = |group: &str, resource: &str| json!({"apiGroups": [group], "apiVersions": ["v1"], "operations": [operation], "resources": [resource]});
    let group_path = "/apis/admissionregistration.k8s.io/v1";
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                // ConfigMaps show when the policy has become active.
                "resourceRules": [rule(group, resource), rule("", "configmaps")],
            },
            "validations": [{"expression": "false", "message": REFUSED}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    });
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sentinel"}});
    let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
    let create = |path: String, body: &Value| Request { verb: Verb::Create, path, body: body.clone() };
    for request in [
        create(maps.clone(), &map),
        create(format!("{group_path}/validatingadmissionpolicies"), &policy),
        create(format!("{group_path}/validatingadmissionpolicybindings"), &binding),
    ] {
        let answer = request::send(&side.client, &request).await?;
        ensure!(answer.succeeded() || answer.code == 409, "{}: {}", request.path, answer.message);
    }
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}});
    let (verb, path, body) = match operation {
        "CREATE" => (Verb::Create, format!("{maps}?dryRun=All"), other),
        "UPDATE" => (Verb::Replace, format!("{maps}/sentinel?dryRun=All"), map),
        _ => (
            Verb::Delete,
            format!("{maps}/sentinel"),
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"]}),
        ),
    };
    let probe = Request { verb, path, body };
    let begun = Instant::now();
    loop {
        let answer = request::send(&side.client, &probe).await?;
        if answer.message.contains(REFUSED) {
            return Ok(());
        }
        ensure!(answer.succeeded(), "{}: {}", probe.path, answer.message);
        if begun.elapsed() > POLICY {
            bail!("the policy {name} does not become active");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The events of the compared controllers, with their counts.
async fn rows(side: &Side) -> Result<BTreeMap<Row, u64>> {
    let list = request::get(&side.client, &request::EVENTS.path("")).await?;
    let mut rows = BTreeMap::new();
    for event in list["items"].as_array().into_iter().flatten() {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned();
        let component = text("/source/component");
        if !COMPONENTS.contains(&component.as_str()) {
            continue;
        }
        let name = text("/involvedObject/name");
        let mut message = shape(&text("/message"), &name);
        if text("/metadata/namespace").ends_with("-dual") {
            // Which family comes first, and has the word for both, is chance.
            message = message.replace("addressType: IPv6", "addressType: IPv4");
        }
        let row = Row {
            component,
            level: text("/type"),
            reason: text("/reason"),
            object: format!("{} {}/{}", text("/involvedObject/kind"), text("/involvedObject/namespace"), name),
            namespace: text("/metadata/namespace"),
            reporting: text("/reportingComponent"),
            message,
        };
        *rows.entry(row).or_default() += event["count"].as_u64().unwrap_or(1);
    }
    Ok(rows)
}

/// The message with generated names of slices replaced, and with joined errors in one order.
fn shape(message: &str, service: &str) -> String {
    let generated = |word: &str| {
        let rest = word.strip_prefix(service).and_then(|rest| rest.strip_prefix('-'));
        rest.is_some_and(|rest| rest.len() == 5 && rest.chars().all(|c| c.is_ascii_alphanumeric()))
    };
    let mut shaped = String::new();
    let mut word = String::new();
    for c in message.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || c == '-' || c == '.' {
            word.push(c);
            continue;
        }
        shaped.push_str(if generated(&word) { "(slice)" } else { &word });
        word.clear();
        shaped.push(c);
    }
    shaped.pop();
    // Which message is the latest is chance.
    if let Some(combined) = shaped.split_once("(combined from similar events)").map(|(before, _)| before.to_owned()) {
        return combined + "(combined from similar events)";
    }
    if let Some((before, list)) =
        shaped.split_once(": [").and_then(|(before, rest)| Some((before, rest.strip_suffix(']')?)))
    {
        let parts: BTreeSet<&str> = list.split(", ").collect();
        return format!("{before}: [{}]", parts.into_iter().collect::<Vec<_>>().join(", "));
    }
    shaped
}

/// Retries do not come at the same instants: twice as many and two more are still as many.
fn about_as_often(one: u64, other: u64) -> bool {
    let (less, more) = (one.min(other), one.max(other));
    (less == 1) == (more == 1) && more <= 2 * less + 2 || (less == 1 && more == 2)
}

fn compare(scenarios: usize, first: BTreeMap<Row, u64>, second: BTreeMap<Row, u64>) -> Outcome {
    let mut outcome =
        Outcome { scenarios, same: Vec::new(), only_first: Vec::new(), only_second: Vec::new(), counts: Vec::new() };
    for (row, count) in &first {
        match second.get(row) {
            None => outcome.only_first.push((row.clone(), *count)),
            Some(other) if about_as_often(*count, *other) => outcome.same.push((row.clone(), *count, *other)),
            Some(other) => outcome.counts.push((row.clone(), *count, *other)),
        }
    }
    let only = second.into_iter().filter(|(row, _)| !first.contains_key(row));
    outcome.only_second = only.collect();
    outcome
}

fn report(outcome: &Outcome, places: &Places) -> Result<bool> {
    let file = places.out.join("events.json");
    let text = serde_json::to_string_pretty(outcome).context("a summary that is no JSON")?;
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let line = |row: &Row| {
        format!(
            "{} {} {}, {} (in {}): {}",
            row.component, row.level, row.reason, row.object, row.namespace, row.message
        )
    };
    for (row, first, second) in &outcome.same {
        println!("same       {first:>3} {second:>3}  {}", line(row));
    }
    for (row, first, second) in &outcome.counts {
        println!("COUNT      {first:>3} {second:>3}  {}", line(row));
    }
    for (row, count) in &outcome.only_first {
        println!("UPSTREAM   {count:>3}      {}", line(row));
    }
    for (row, count) in &outcome.only_second {
        println!("OURS           {count:>3}  {}", line(row));
    }
    let different = outcome.counts.len() + outcome.only_first.len() + outcome.only_second.len();
    println!("{} scenarios: {} events the same, {different} different", outcome.scenarios, outcome.same.len());
    println!(
        "not compared: the service controller (kube-controller-manager has none without a cloud), and InvalidIPAddress"
    );
    println!("(no API server stores such Endpoints)");
    Ok(different == 0 && !outcome.same.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_replaced_and_joined_errors_sorted() {
        assert_eq!(
            shape("failed to update s-x7f2k EndpointSlice for Service a/s: s-other", "s"),
            "failed to update (slice) EndpointSlice for Service a/s: (slice)",
        );
        assert_eq!(shape("Error: [b, a]", "s"), shape("Error: [a, b]", "s"));
    }

    #[test]
    fn what_is_chance_in_a_long_message_does_not_count() {
        assert_eq!(shape("(combined from similar events): a", "s"), shape("(combined from similar events): b", "s"));
        let many = |order: [u8; 3]| {
            shape(&format!("E: [{}]", order.map(|n| format!("skipping Pod p{n} for")).join(", ")), "s")
        };
        assert_eq!(many([1, 2, 3]), many([3, 1, 2]));
        assert_ne!(many([1, 2, 3]), shape("E: [skipping Pod p1 for, skipping Pod p2 for]", "s"));
    }

    #[test]
    fn a_count_may_be_a_retry_off_but_once_is_not_often() {
        assert!(about_as_often(5, 6) && about_as_often(1, 2) && about_as_often(1, 1));
        assert!(!about_as_often(1, 5) && !about_as_often(3, 20));
    }
}
