//! The entries themselves: data, one file per group of reasons.

mod addresses;
mod cluster_ips;
mod control_plane;
mod endpoint_slices;
mod endpoints;
mod frequency;
mod kubelet_dns;
mod lists;
mod load_balancer_delete;
mod load_balancer_ensure;
mod load_balancer_sync;
mod load_balancer_update;
mod mirroring;
mod neighbours;
mod network;
mod node;
mod node_ports;
mod patterns;
mod place;
mod pod_failures;
mod pods;
mod ranges;
mod risk;
mod topology;
mod upstream;
mod workloads;

use std::sync::LazyLock;

use crate::lang::{Text, text};
use crate::{
    Alias, Api, Bound, Category, Chain, Check, Entry, Harm, Impact, Message, Misreading, Portolan, Remedies, Remedy,
    Severity, Status, Versions,
};

/// Every entry: those that have a [`crate::Reason`] in the order of [`crate::Reason::ALL`], then those of others.
pub fn entries() -> &'static [Entry] {
    static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        let groups = [
            load_balancer_ensure::ENTRIES,
            load_balancer_delete::ENTRIES,
            load_balancer_update::ENTRIES,
            load_balancer_sync::ENTRIES,
            endpoints::ENTRIES,
            endpoint_slices::ENTRIES,
            network::ENTRIES,
            addresses::ENTRIES,
            pods::ENTRIES,
            pod_failures::ENTRIES,
            workloads::ENTRIES,
            node::ENTRIES,
            lists::ENTRIES,
            topology::ENTRIES,
            mirroring::ENTRIES,
            cluster_ips::ENTRIES,
            ranges::ENTRIES,
            node_ports::ENTRIES,
            kubelet_dns::ENTRIES,
            control_plane::ENTRIES,
        ];
        let groups = [&groups[..], upstream::GROUPS, neighbours::GROUPS].concat();
        let mut entries = groups.concat();
        // The order of the variants; the sort is stable, and what others say keeps its order.
        entries.sort_by_key(|entry| (entry.reason.is_none(), entry.reason));
        entries
    });
    &ENTRIES
}

// Short forms, so that the files beside this one read as prose.

/// Where an entry fills in its own text later.
const NOTHING: Text = text("", "");

/// An entry that says nothing yet: each group names in it what its entries have in common.
const BLANK: Entry = Entry {
    name: "",
    reason: None,
    severity: Severity::Warning,
    category: Category::LoadBalancer,
    status: Status::Current,
    portolan: Portolan { emits: false, when: NOTHING },
    emitter: "",
    object: "",
    api: Api::Core,
    versions: Versions::NEVER,
    summary: NOTHING,
    messages: &[],
    patterns: &[],
    meaning: NOTHING,
    frequency: NOTHING,
    place: None,
    impact: Impact { harm: Harm::None, who: NOTHING },
    chain: Chain { before: NOTHING, after: NOTHING },
    checks: &[],
    remedies: Remedies::Steps(&[]),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &[],
};

/// The look at a Service's Events that most entries begin with.
const DESCRIBE_SERVICE: Check = check(
    "The Events of the Service, in order, and its addresses, ports and node ports.",
    "Service 的事件（按时间先后），以及它的地址、端口和节点端口。",
    "kubectl describe service NAME -n NAMESPACE",
);

/// The look at a pod that its entries begin with.
const DESCRIBE_POD: Check = check(
    "The Events of the pod, its phase and its conditions.",
    "Pod 的事件、阶段和各项状态。",
    "kubectl describe pod POD -n NAMESPACE",
);

/// The walk along the chain that Portolan's doctor does.
const DIAGNOSE: Check = check(
    "Portolan's own walk from the address to the pods: the first broken link, with evidence.",
    "由 Portolan 从地址一路查到 Pod：指出第一处断点，并给出证据。",
    "portolan diagnose svc/NAME -n NAMESPACE",
);

/// Reasons that are as old as Kubernetes; their first release was not looked up.
const OLD: Versions = Versions { since: Bound::Unverified("1.0"), until: Bound::Present };

const fn check(en: &'static str, zh: &'static str, command: &'static str) -> Check {
    Check { shows: text(en, zh), command }
}

const fn remedy(when: Text, action: Text, commands: &'static [&'static str]) -> Remedy {
    Remedy { when, action, commands, risk: None }
}

/// A remedy that may break something.
const fn risky(when: Text, action: Text, commands: &'static [&'static str], risk: Text) -> Remedy {
    Remedy { when, action, commands, risk: Some(risk) }
}

const fn message(by: &'static str, template: &'static str) -> Message {
    Message { by, template, note: None }
}

const fn noted(by: &'static str, template: &'static str, note: Text) -> Message {
    Message { by, template, note: Some(note) }
}

const fn misreading(claim: Text, fact: Text) -> Misreading {
    Misreading { claim, fact }
}

const fn alias(name: &'static str, en: &'static str, zh: &'static str) -> Alias {
    Alias { name, note: text(en, zh) }
}
