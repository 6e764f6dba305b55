//! Which controllers run: the table of all, and the meaning of `--controllers`.
//!
//! Names, short names and the reading of the list are kube-controller-manager's (`cmd/kube-controller-manager/names`,
//! `controller-manager/app/helper.go`), so that a list that works there works here. One thing is added: a list that only
//! leaves something out means everything else. There it means that nothing runs, which nobody can want.

use std::fmt;

/// One controller that this program can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Endpoints of Services with a selector.
    Endpoints,
    /// EndpointSlices of Services with a selector.
    EndpointSlice,
    /// EndpointSlices of Endpoints that somebody else writes.
    Mirroring,
    /// Load balancers of Services.
    ServiceLb,
    /// ReplicaSets of Deployments.
    Deployment,
    /// Pods of ReplicaSets.
    ReplicaSet,
    /// Nodes for pods.
    Scheduler,
    /// The contents of deleted namespaces.
    Namespace,
    /// The `default` service account of each namespace.
    ServiceAccount,
    /// Objects whose owners are gone.
    GarbageCollector,
    /// Readiness of nodes whose lease has expired.
    Nodes,
    /// Pod ranges of nodes.
    NodeIpam,
    /// ServiceCIDRs: whether they are in use.
    ServiceCidr,
    /// Addresses and ports of Services that are allocated twice, or not at all.
    Repair,
}

/// What is known of a part before it runs.
struct Entry {
    part: Part,
    /// Upstream's name.
    name: &'static str,
    /// Other names that the list may use.
    aliases: &'static [&'static str],
    /// Whether `*` means it.
    default: bool,
}

const fn entry(part: Part, name: &'static str, aliases: &'static [&'static str], default: bool) -> Entry {
    Entry { part, name, aliases, default }
}

/// Every part. What is not of the Service network itself only runs if it is named: a real cluster has it already.
const PARTS: &[Entry] = &[
    entry(Part::Endpoints, "endpoints-controller", &["endpoint", "endpoints"], true),
    entry(Part::EndpointSlice, "endpointslice-controller", &["endpointslice"], true),
    entry(Part::Mirroring, "endpointslice-mirroring-controller", &["endpointslicemirroring", "mirroring"], true),
    entry(Part::ServiceLb, "service-lb-controller", &["service", "loadbalancer"], true),
    entry(Part::Deployment, "deployment-controller", &["deployment"], false),
    entry(Part::ReplicaSet, "replicaset-controller", &["replicaset"], false),
    entry(Part::Scheduler, "kube-scheduler", &["scheduler"], false),
    entry(Part::Namespace, "namespace-controller", &["namespace"], false),
    entry(Part::ServiceAccount, "serviceaccount-controller", &["serviceaccount"], false),
    entry(Part::GarbageCollector, "garbage-collector-controller", &["garbagecollector"], false),
    entry(Part::Nodes, "node-lifecycle-controller", &["nodelifecycle", "nodes"], false),
    entry(Part::NodeIpam, "node-ipam-controller", &["nodeipam"], false),
    entry(Part::ServiceCidr, "service-cidr-controller", &["servicecidr"], false),
    // Upstream's run within its API server and have no name in a list.
    entry(Part::Repair, "allocation-repair-controller", &["repair"], false),
];

impl Part {
    /// Upstream's name of it.
    pub fn name(self) -> &'static str {
        PARTS.iter().find(|entry| entry.part == self).map_or("", |entry| entry.name)
    }
}

/// The part of that name, or of one of its short names.
pub fn find_part(name: &str) -> Option<Part> {
    find(name).map(|entry| entry.part)
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A part that should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected {
    /// Which.
    pub part: Part,
    /// Whether the list has its name; otherwise it is one of those that run by default.
    pub named: bool,
}

/// The parts that the list asks for, in the order of the table.
///
/// # Errors
/// Names what the list contains that is no controller, and the names that are.
pub fn select(list: &[String]) -> Result<Vec<Selected>, String> {
    for item in list {
        let name = item.strip_prefix('-').unwrap_or(item);
        if item != "*" && find(name).is_none() {
            return Err(format!("`{name}` is no controller; known are `*`, {}", known()));
        }
    }
    let excludes = |item: &String| item.starts_with('-');
    let defaults = list.iter().any(|item| item == "*") || list.iter().all(excludes);
    let selected = PARTS.iter().filter_map(|entry| {
        let named = mention(entry, list);
        let runs = named.unwrap_or(entry.default && defaults);
        runs.then_some(Selected { part: entry.part, named: named.is_some() })
    });
    Ok(selected.collect())
}

/// What the list says on the part, if it names it: the first item that does so decides.
fn mention(entry: &Entry, list: &[String]) -> Option<bool> {
    list.iter().find_map(|item| {
        let (wanted, name) = item.strip_prefix('-').map_or((true, item.as_str()), |name| (false, name));
        find(name).is_some_and(|found| found.part == entry.part).then_some(wanted)
    })
}

fn find(name: &str) -> Option<&'static Entry> {
    PARTS.iter().find(|entry| entry.name == name || entry.aliases.contains(&name))
}

/// All names with their aliases, for messages.
fn known() -> String {
    let names = PARTS.iter().map(|entry| format!("{} ({})", entry.name, entry.aliases.join(", ")));
    names.collect::<Vec<_>>().join(", ")
}

/// All names, one a line, for the help.
pub fn table() -> String {
    let lines = |default: bool| {
        let entries = PARTS.iter().filter(move |entry| entry.default == default);
        entries.map(|entry| format!("  {:<35} {}\n", entry.name, entry.aliases.join(", "))).collect::<String>()
    };
    format!("Controllers that `*` means:\n{}\nOnly if they are named:\n{}", lines(true), lines(false))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    fn selected(list: &str) -> Result<Vec<Selected>, String> {
        select(&list.split(',').map(str::to_owned).collect::<Vec<_>>())
    }

    fn parts(list: &str) -> Vec<Part> {
        selected(list).unwrap().into_iter().map(|selected| selected.part).collect()
    }

    #[test]
    fn the_list_is_read_as_kube_controller_manager_reads_it() {
        let all: Vec<Part> = PARTS.iter().filter(|entry| entry.default).map(|entry| entry.part).collect();
        let without = |part| all.iter().copied().filter(|found| *found != part).collect::<Vec<_>>();
        let with = |part| PARTS.iter().filter(|e| e.default || e.part == part).map(|e| e.part).collect::<Vec<_>>();
        let cases = [
            ("*", all.clone()),
            ("endpointslice-controller", vec![Part::EndpointSlice]),
            ("endpoint,service", vec![Part::Endpoints, Part::ServiceLb]),
            ("*,-endpoints", without(Part::Endpoints)),
            ("-endpoints-controller,*", without(Part::Endpoints)),
            ("*,deployment", with(Part::Deployment)),
            // The first word on a controller counts.
            ("-endpoints,endpoint,*", without(Part::Endpoints)),
            ("endpoint,-endpoints-controller", vec![Part::Endpoints]),
        ];
        for (list, expected) in cases {
            assert_eq!(parts(list), expected, "{list}");
        }
    }

    /// kube-controller-manager runs nothing then.
    #[test]
    fn a_list_that_only_leaves_something_out_means_the_rest() {
        for list in ["-endpoints", "-endpoints-controller,-endpoint", "-deployment,-endpoints"] {
            assert_eq!(parts(list), parts("*,-endpoints"), "{list}");
        }
        assert_eq!(parts("-endpoints,deployment"), [Part::Deployment], "it names what it wants");
        assert_eq!(parts("-endpoints,-endpointslice,-mirroring,-service"), []);
    }

    #[test]
    fn what_is_named_is_known_from_what_runs_by_default() {
        let named = |list| selected(list).unwrap().into_iter().map(|selected| selected.named).collect::<Vec<_>>();
        assert_eq!(named("*"), [false; 4]);
        assert_eq!(named("*,service"), [false, false, false, true]);
        assert_eq!(named("-endpoints"), [false; 3]);
    }

    #[test]
    fn the_help_has_every_name() {
        let table = table();
        for entry in PARTS {
            assert!(table.contains(&format!("  {} ", entry.name)) && table.contains(entry.aliases[0]), "{table}");
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        for list in ["endpointslices", "*,-tpyo", "", "--endpoints"] {
            let words = selected(list).unwrap_err();
            assert!(words.contains("endpointslice-controller (endpointslice"), "{words}");
        }
    }

    #[test]
    fn no_two_parts_share_a_name() {
        let names: Vec<&str> =
            PARTS.iter().flat_map(|entry| entry.aliases.iter().copied().chain([entry.name])).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
    }
}
