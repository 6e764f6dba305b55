//! Invariants over the slice of entries.

use std::collections::BTreeSet;

use portolan_catalogue::{
    Bound, Category, Entry, Harm, Lang, Reason, Remedies, Severity, Status, Text, Upstream, codes, entries, find,
};

/// Tools that a command may begin with.
const TOOLS: &[&str] =
    &["kubectl", "portolan", "curl", "dig", "ss", "cat", "crictl", "systemctl", "journalctl", "aws", "az", "gcloud"];

/// The components that Portolan's parts report as.
const COMPONENTS: &[&str] = &[
    "service-controller",
    "endpoint-controller",
    "endpoint-slice-controller",
    "endpoint-slice-mirroring-controller",
    "ipallocator-repair-controller",
    "portallocator-repair-controller",
    "service-cidr-controller",
    "cidrAllocator",
    "node-controller",
    "deployment-controller",
    "replicaset-controller",
    "default-scheduler",
    "kubelet",
    "kube-proxy",
];

/// The reasons of the guide that this catalogue answers: its 21, and FailedSync from its example.
pub(crate) const GUIDE: &[Reason] = &[
    Reason::EnsuringLoadBalancer,
    Reason::EnsuredLoadBalancer,
    Reason::CreatingLoadBalancer,
    Reason::CreatedLoadBalancer,
    Reason::DeletingLoadBalancer,
    Reason::DeletedLoadBalancer,
    Reason::UpdatedLoadBalancer,
    Reason::UpdateLoadBalancerFailed,
    Reason::DeleteLoadBalancerFailed,
    Reason::UnAvailableLoadBalancer,
    Reason::SyncLoadBalancerFailed,
    Reason::FailedToCreateEndpoint,
    Reason::FailedToUpdateEndpoint,
    Reason::FailedToDeleteEndpoint,
    Reason::FailedToCreateEndpointSlice,
    Reason::FailedToUpdateEndpointSlice,
    Reason::FailedToDeleteEndpointSlice,
    Reason::HostPortConflict,
    Reason::DNSConfigForming,
    Reason::IPAllocated,
    Reason::IPNotAllocated,
    Reason::FailedSync,
];

/// Every text of an entry, with the name of its field.
fn texts(entry: &Entry) -> Vec<(&'static str, Text)> {
    let mut texts = vec![
        ("category", entry.category.name()),
        ("status", entry.status.word()),
        ("portolan", entry.portolan.when),
        ("summary", entry.summary),
        ("meaning", entry.meaning),
        ("impact", entry.impact.who),
        ("before", entry.chain.before),
        ("after", entry.chain.after),
    ];
    texts.push(("frequency", entry.frequency));
    texts.extend(entry.place.map(|place| ("place", place)));
    texts.extend(entry.patterns.iter().map(|pattern| ("cause", pattern.cause)));
    texts.extend(entry.messages.iter().filter_map(|message| Some(("message", message.note?))));
    texts.extend(entry.checks.iter().map(|check| ("check", check.shows)));
    match entry.remedies {
        Remedies::NoneNeeded(why) => texts.push(("remedies", why)),
        Remedies::Steps(steps) => {
            texts.extend(steps.iter().flat_map(|step| [("remedy", step.when), ("remedy", step.action)]));
            texts.extend(steps.iter().filter_map(|step| Some(("risk", step.risk?))));
        }
    }
    texts.extend(
        entry
            .misreadings
            .iter()
            .flat_map(|misreading| [("misreading", misreading.claim), ("misreading", misreading.fact)]),
    );
    texts.extend(entry.aliases.iter().map(|alias| ("alias", alias.note)));
    texts
}

/// Every command of an entry.
fn commands(entry: &Entry) -> Vec<&'static str> {
    let mut commands: Vec<_> = entry.checks.iter().map(|check| check.command).collect();
    if let Remedies::Steps(steps) = entry.remedies {
        commands.extend(steps.iter().flat_map(|step| step.commands.iter().copied()));
    }
    commands
}

#[test]
fn every_reason_has_exactly_one_entry_in_the_order_of_the_reasons() {
    let reasons: Vec<Reason> = entries().iter().filter_map(|entry| entry.reason).collect();
    assert_eq!(reasons, Reason::ALL);
    for (index, entry) in entries().iter().enumerate() {
        assert_eq!(entry.reason.is_some(), index < Reason::ALL.len(), "{}: those of others come last", entry.name);
        assert!(entry.reason.is_none_or(|reason| reason.as_str() == entry.name), "{}", entry.name);
    }
}

#[test]
fn severity_is_that_of_the_reason_and_matches_the_harm() {
    for entry in entries() {
        assert!(entry.reason.is_none_or(|reason| reason.severity() == entry.severity), "{}", entry.name);
        if entry.severity == Severity::Warning {
            assert_ne!(entry.impact.harm, Harm::None, "{}", entry.name);
        }
    }
}

/// Every text of the catalogue, with its owner and the name of its field.
fn all_texts() -> Vec<(&'static str, &'static str, Text)> {
    let of_entries =
        entries().iter().flat_map(|entry| texts(entry).into_iter().map(|(field, text)| (entry.name, field, text)));
    let of_codes = codes::all().flat_map(|code| {
        [
            (code.code, "summary", code.title),
            (code.code, "meaning", code.meaning),
            (code.code, "proof", code.proof),
            (code.code, "impact", code.impact),
            (code.code, "remedy", code.remedy),
        ]
    });
    of_entries.chain(of_codes).collect()
}

#[test]
fn every_text_is_there_in_both_languages() {
    for (name, field, text) in all_texts() {
        let place = format!("{name} {field}: {text:?}");
        assert!(!text.en.is_empty() && text.en.is_ascii(), "{place}");
        // Names of reasons alone need no translation.
        let names_only = text.en.trim_end_matches('.').split(", ").all(|name| find(name).is_some());
        let han = text.zh.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        assert!(han || names_only, "{place}");
        for text in [text.en, text.zh] {
            assert_eq!(text.trim(), text, "{place}");
            assert!(!text.contains("  ") && !text.contains('\n'), "{place}");
            assert_eq!(text.matches('`').count() % 2, 0, "{place}");
        }
    }
}

#[test]
fn prose_is_neutral_to_markdown() {
    for (name, field, text) in all_texts() {
        for text in [text.en, text.zh] {
            let outside_code: String = text.split('`').step_by(2).collect();
            let special = outside_code.contains(['<', '*', '_', '|', '#']);
            assert!(!special, "{name} {field}: {text}");
        }
    }
}

#[test]
fn chinese_uses_its_own_punctuation_and_spaces_around_words() {
    let is_ideograph = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    for (name, field, text) in all_texts() {
        let place = format!("{name} {field}: {}", text.zh);
        // Code between backquotes counts as one word.
        let prose: String =
            text.zh.split('`').enumerate().map(|(i, part)| if i % 2 == 0 { part } else { "W" }).collect();
        for pair in prose.chars().collect::<Vec<_>>().windows(2) {
            let (first, second) = (pair[0], pair[1]);
            let word = |c: char| c.is_ascii_alphanumeric();
            assert!(!(is_ideograph(first) && ",;:?!.()".contains(second)), "{place}");
            assert!(!(is_ideograph(first) && word(second)), "space before a word: {place}");
            assert!(!(word(first) && is_ideograph(second)), "space after a word: {place}");
        }
    }
}

#[test]
fn paragraphs_end_with_a_full_stop_and_summaries_do_not() {
    for (name, field, text) in all_texts() {
        let place = format!("{name} {field}: {text:?}");
        match field {
            "category" | "status" => {}
            "summary" => assert!(!text.en.ends_with('.') && !text.zh.ends_with('。'), "{place}"),
            _ => {
                assert!(text.en.ends_with(['.', '?']), "{place}");
                assert!(text.zh.ends_with(['。', '？']), "{place}");
            }
        }
    }
}

#[test]
fn every_entry_has_messages_checks_and_a_remedy() {
    for entry in entries() {
        assert!(!entry.messages.is_empty(), "{}", entry.name);
        assert!(!entry.checks.is_empty(), "{}", entry.name);
        assert!(entry.messages.iter().all(|message| !message.by.is_empty()), "{}", entry.name);
        match entry.remedies {
            Remedies::Steps(steps) => assert!(!steps.is_empty(), "{}", entry.name),
            Remedies::NoneNeeded(_) => {
                assert_eq!(entry.severity, Severity::Normal, "a warning needs a remedy: {}", entry.name);
            }
        }
    }
}

#[test]
fn reasons_of_the_guide_are_told_in_full() {
    assert_eq!(GUIDE.len(), 22);
    for reason in GUIDE {
        let entry = find(reason.as_str()).unwrap();
        assert!(entry.checks.len() >= 2, "{reason}");
        assert!(!entry.misreadings.is_empty(), "{reason}");
        assert!(entry.meaning.en.len() > 100, "{reason}");
        assert!(!entry.see_also.is_empty(), "{reason}");
    }
}

#[test]
fn commands_begin_with_a_known_tool_and_are_whole() {
    for entry in entries() {
        for command in commands(entry) {
            let place = format!("{}: {command}", entry.name);
            let tool = command.split(' ').next().unwrap();
            assert!(TOOLS.contains(&tool), "{place}");
            assert!(command.is_ascii() && !command.contains('\n'), "{place}");
            assert_eq!(command.matches('\'').count() % 2, 0, "{place}");
            // Placeholders are upper-case words; angle brackets would be redirections when pasted.
            assert!(!command.contains(['<', '>']), "{place}");
        }
    }
}

#[test]
fn no_command_forces_or_leaks() {
    for entry in entries() {
        for command in commands(entry) {
            let place = format!("{}: {command}", entry.name);
            for bad in ["--force", "cluster-admin", "\"finalizers\":", "--short", "feature-gates", "annotate"] {
                assert!(!command.contains(bad), "{place}");
            }
        }
    }
}

#[test]
fn names_are_unique_and_references_lead_to_entries() {
    let mut names: BTreeSet<String> = entries().iter().map(|entry| entry.name.to_lowercase()).collect();
    assert_eq!(names.len(), entries().len());
    for entry in entries() {
        for alias in entry.aliases {
            assert!(names.insert(alias.name.to_lowercase()), "{} is used twice", alias.name);
            assert_eq!(find(alias.name).unwrap().name, entry.name, "{}", alias.name);
        }
        assert!(!entry.see_also.contains(&entry.name), "{} refers to itself", entry.name);
        let unique: BTreeSet<_> = entry.see_also.iter().collect();
        assert_eq!(unique.len(), entry.see_also.len(), "{}", entry.name);
        for name in entry.see_also {
            assert!(entries().iter().any(|other| other.name == *name), "{} refers to {name}", entry.name);
        }
        for name in entry.status.instead() {
            assert!(find(name).is_some(), "{} names {name}, which nobody can look up", entry.name);
        }
    }
}

#[test]
fn the_upstream_story_is_consistent() {
    for entry in entries() {
        let place = entry.name;
        match entry.upstream() {
            // What others say: only its status tells whether Kubernetes does.
            None => {}
            Some(Upstream::Same) => assert_eq!(entry.status, Status::Current, "{place}"),
            Some(Upstream::Renamed(name)) => assert!(entry.status.instead().contains(&name), "{place}"),
            Some(Upstream::Never) => assert_ne!(entry.status, Status::Current, "{place}"),
        }
        let kubernetes = entry.messages.iter().any(|message| message.by.starts_with("Kubernetes"));
        match entry.status {
            Status::Current => {
                assert_eq!(entry.versions.until, Bound::Present, "{place}");
                assert_ne!(entry.versions.since, Bound::Never, "{place}");
                assert!(kubernetes, "{place}");
            }
            Status::Legacy { instead } => {
                assert!(!matches!(entry.versions.until, Bound::Present | Bound::Never), "{place}");
                assert!(kubernetes, "{place}");
                assert!(instead.iter().all(|name| find(name).is_some()), "{place}");
            }
            Status::ThirdParty { .. } | Status::NeverUpstream { .. } => {
                assert_eq!((entry.versions.since, entry.versions.until), (Bound::Never, Bound::Never), "{place}");
                assert!(!kubernetes, "{place}");
            }
        }
    }
}

#[test]
fn what_portolan_emits_it_emits_as_one_of_its_parts() {
    for entry in entries() {
        if entry.portolan.emits {
            // Every program says of itself that it leads.
            let any = entry.reason == Some(Reason::LeaderElection);
            assert!(any || COMPONENTS.contains(&entry.emitter), "{}: {}", entry.name, entry.emitter);
            let own = entry.messages.iter().any(|message| message.by.contains("Portolan"));
            assert!(own, "{}: which of the texts is Portolan's?", entry.name);
        }
    }
}

#[test]
fn categories_are_all_used() {
    for category in Category::ALL {
        assert!(entries().iter().any(|entry| entry.category == category), "{category:?}");
    }
}

#[test]
fn entries_become_json_with_both_languages() {
    let json = serde_json::to_value(find("IPNotAllocated").unwrap()).unwrap();
    assert_eq!(json["reason"], "IPNotAllocated");
    assert_eq!(json["severity"], "Warning");
    assert_eq!(json["category"], "network");
    assert_eq!(json["status"]["is"], "never-upstream");
    assert_eq!(json["status"]["instead"][0], "SyncLoadBalancerFailed");
    assert_eq!(json["versions"]["since"]["kind"], "never");
    assert!(json["meaning"]["en"].as_str().unwrap().is_ascii());
    assert!(!json["meaning"]["zh"].as_str().unwrap().is_ascii());
    let steps = json["remedies"]["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["when"]["en"].is_string()));
    let json = serde_json::to_value(find("Scheduled").unwrap()).unwrap();
    assert_eq!(json["api"], "events.k8s.io/v1");
    assert!(json["remedies"]["none-needed"]["zh"].is_string());
    let json = serde_json::to_value(find("SyncLoadBalancerFailed").unwrap()).unwrap();
    let throttled = json["patterns"].as_array().unwrap().iter().find(|one| one["trouble"] == "throttled").unwrap();
    assert_eq!(throttled["code"], "load-balancer-throttled");
    assert!(throttled["cause"]["zh"].is_string() && throttled["samples"][0].is_string());
    assert!(json["frequency"]["en"].as_str().unwrap().contains("300 s"));
    assert!(json["remedies"]["steps"].as_array().unwrap().iter().any(|step| step["risk"]["en"].is_string()));
    let json = serde_json::to_value(find("FailedToCreateEndpoint").unwrap()).unwrap();
    assert!(json["place"]["en"].as_str().unwrap().contains("namespace `default`"));
    assert_eq!(json["scenario"], "endpoints-create-refused");
    let json = serde_json::to_value(find("out_of_ips").unwrap()).unwrap();
    assert_eq!((&json["reason"], &json["api"]), (&"out_of_ips".into(), &"status.conditions".into()));
    let json = serde_json::to_value(codes::find("slices-stale").unwrap()).unwrap();
    assert_eq!((&json["code"], &json["link"]), (&"slices-stale".into(), &"slices".into()));
    assert_eq!(Lang::default(), Lang::En);
}
