//! Where Portolan means to differ from upstream, and what a comparison cannot ask to be equal. The table is data: the
//! comparison uses it, `docs/differences.md` is rendered from it, and a test holds the two equal.

use std::collections::BTreeSet;

use crate::compare::Difference;

/// A difference that is meant.
#[derive(Debug)]
pub struct Deliberate {
    /// What a user sees.
    pub what: &'static str,
    /// What upstream does.
    pub upstream: &'static str,
    /// Why ours is otherwise.
    pub reason: &'static str,
    matches: fn(&Difference, &BTreeSet<String>) -> bool,
}

/// Something that is compared in a weaker form than equality.
#[derive(Debug)]
pub struct Loose {
    /// What.
    pub what: &'static str,
    /// How it is compared instead.
    pub how: &'static str,
    /// Why it cannot be equal.
    pub reason: &'static str,
}

/// Something that the sequence of changes avoids.
#[derive(Debug)]
pub struct LeftOut {
    /// What.
    pub what: &'static str,
    /// What upstream does with it.
    pub upstream: &'static str,
    /// What ours does.
    pub ours: &'static str,
}

/// What the sequence of changes avoids, since upstream's answer would only get in the way.
pub const LEFT_OUT: &[LeftOut] = &[
    LeftOut {
        what: "Custom Endpoints with the same ports in several subsets, one of which has an appProtocol",
        upstream: "takes the ports for different ones (it compares pointers), and mirrors each port into slices of its own",
        ours: "takes equal ports as equal: one slice with all ports",
    },
    LeftOut {
        what: "A pod with an address but without a node",
        upstream: "its Endpoints are refused by the API server for an empty nodeName, so that the Service has none at all",
        ours: "leaves nodeName out; the other pods of the Service are not affected",
    },
];

/// What a comparison of states does not show, or what upstream has nothing to compare with.
pub const BEYOND: &[LeftOut] = &[
    LeftOut {
        what: "When a Service is looked at",
        upstream: "not for the terminal phase of a pod alone, nor for an Endpoints object that somebody has edited",
        ours: "for both, at once",
    },
    LeftOut {
        what: "Writes that change nothing",
        upstream: "a truncated Endpoints object with every sync, slices in some cases of topology mode `Auto`",
        ours: "left out",
    },
    LeftOut {
        what: "The placeholder slice of an earlier Service of the same name",
        upstream: "is taken for the Service's own; garbage collection then takes it away",
        ours: "is replaced",
    },
    LeftOut {
        what: "Large Services with a batch period of 0",
        upstream: "are written with every change",
        ours: "wait until their pods are quiet for 40 us for each pod (5,000 pods: 0.2 s), at most four times that",
    },
    LeftOut {
        what: "Calls to a provider of load balancers",
        upstream: "one worker, no budget; pauses of 5 s to 300 s without jitter; nodes are compared by name and provider id",
        ours: "four workers, a budget of calls, jitter; a changed address of a node counts, and a Service in back-off hears of nodes \
               with its next ensure",
    },
    LeftOut {
        what: "A balancer that was deleted behind the controller's back, or that no Service owns any more",
        upstream: "stays away, stays",
        ours: "is made again with its address; is deleted when two lists running show it without a Service",
    },
    LeftOut {
        what: "Words of the full vocabulary: the guide's reasons, the condition `Why`, DeleteLoadBalancerFailed for a Service that is there",
        upstream: "has none of them",
        ours: "`--vocabulary upstream` leaves them out",
    },
    LeftOut {
        what: "A ClusterIP that no range contains (API server)",
        upstream: "`the provided network does not match the current range` since IPAddress objects",
        ours: "`the provided IP (...) is not in the valid range. The range of valid IPs is ...`, upstream's older text, which helps",
    },
    LeftOut {
        what: "Repair of addresses and ports (API server)",
        upstream: "every 3 minutes; PortNotAllocated, PortRangeFull, ServiceCIDRFull exist",
        ours: "an IPAddress deleted under its Service is back at once; the three cannot be true, ports are allocated in what is stored",
    },
];

/// The differences that are meant.
pub const DELIBERATE: &[Deliberate] = &[Deliberate {
    what: "Somebody takes the label `kubernetes.io/service-name` or `endpointslice.kubernetes.io/managed-by` off a managed slice: \
           the Service gets a new one",
    upstream: "its tracker of stale caches waits for the lost slice, so the Service (or the Endpoints that are mirrored) is not \
               written again until it is deleted or the controller is started anew",
    reason: "the Service loses its endpoints for good; no client can want that",
    matches: |difference, lost| {
        lost.iter().any(|service| difference.subject.starts_with(&format!("slices of {service} by ")))
    },
}];

/// What is compared in a weaker form.
pub const LOOSE: &[Loose] = &[
    Loose {
        what: "Names of EndpointSlices; order of slices, of endpoints in a slice, of subsets and addresses in an Endpoints object",
        how: "not compared, but the name of a slice has to begin with the Service's",
        reason: "upstream's names are random and its order is that of a hash map",
    },
    Loose {
        what: "Division of the endpoints of one Service, address family and port list into slices",
        how: "the union has to be equal; the number of slices may be at most twice what upstream or the endpoints need, plus one; \
              how often the division is the same is reported",
        reason: "it depends on how many changes one sync saw at once, and two runs of upstream differ in it as well",
    },
    Loose {
        what: "The trigger-time annotations of Endpoints and slices",
        how: "not compared; how often both or neither have one is reported",
        reason: "same cause: the annotation belongs to the changes that one sync saw at once",
    },
    Loose {
        what: "The zone in a hint of topology mode `Auto`",
        how: "every endpoint has a hint on both sides or on neither",
        reason: "which endpoint is lent to which zone depends on the order in which endpoints arrived, and in upstream on the \
                 order of a hash map; the other modes are compared value by value",
    },
    Loose {
        what: "When a change of a node (zone, deletion) shows in slices",
        how: "after a time without any change the Services are touched on both sides, and either may then follow; everything \
              else ours has to have right without that",
        reason: "upstream does not look at a Service again when the zone of a node changes or a node goes away, but at its next \
                 change or retry, and so do we: which of the two comes first is chance. A node that appears is the exception: \
                 ours takes up the pods that wait for it at once, upstream at its next retry",
    },
    Loose {
        what: "When mirrored slices follow after the ports of custom Endpoints have changed",
        how: "upstream gets up to a minute",
        reason: "when it reuses slices it can take the name of one that exists (`already exists`) and fails until the order of a \
                 hash map is kinder; ours follows at once",
    },
    Loose {
        what: "`internalTrafficPolicy` of a Service of type ExternalName",
        how: "not compared",
        reason: "upstream shows it in watches and in no answer; ours never",
    },
    Loose {
        what: "Fields that say no more than their absence (`publishNotReadyAddresses: false`, empty conditions and lists)",
        how: "as absent",
        reason: "Go leaves some of them out and writes others as null",
    },
    Loose {
        what: "uid, resourceVersion, generation, creationTimestamp, managedFields",
        how: "a uid is compared as the object that it belongs to; the rest is not compared",
        reason: "every API server gives its own",
    },
];

/// The entry that explains a difference. `lost` are the Services of which upstream has lost track.
pub fn explain(difference: &Difference, lost: &BTreeSet<String>) -> Option<&'static Deliberate> {
    DELIBERATE.iter().find(|deliberate| (deliberate.matches)(difference, lost))
}

/// `docs/differences.md`.
pub fn document() -> String {
    let mut text = String::from(
        "# Differences from upstream\n\n\
         The endpoints, EndpointSlice, mirroring and ServiceCIDR controllers are compared with those of kube-controller-manager\n\
         1.36 by `cargo xtask peers controllers`: one seeded sequence of changes goes into two API servers, and at every quiet\n\
         point what came out has to be equal. This page lists the exceptions. It is rendered from `peers/src/deliberate.rs`\n\
         (`portolan-peers differences`), and a test holds both equal.\n\n\
         ## Meant\n\n",
    );
    if DELIBERATE.is_empty() {
        text.push_str("None.\n");
    } else {
        text.push_str("| what | upstream | why |\n|---|---|---|\n");
        for entry in DELIBERATE {
            text.push_str(&format!("| {} | {} | {} |\n", entry.what, entry.upstream, entry.reason));
        }
    }
    text.push_str("\n## Compared in a weaker form\n\n| what | how it is compared | why |\n|---|---|---|\n");
    for entry in LOOSE {
        text.push_str(&format!("| {} | {} | {} |\n", entry.what, entry.how, entry.reason));
    }
    text.push_str("\n## Left out of the sequence\n\n| what | upstream | ours |\n|---|---|---|\n");
    for entry in LEFT_OUT {
        text.push_str(&format!("| {} | {} | {} |\n", entry.what, entry.upstream, entry.ours));
    }
    text.push_str("\n## Beyond the comparison\n\n| what | upstream | ours |\n|---|---|---|\n");
    for entry in BEYOND {
        text.push_str(&format!("| {} | {} | {} |\n", entry.what, entry.upstream, entry.ours));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/differences.md");
        let written = std::fs::read_to_string(path).expect("docs/differences.md");
        assert_eq!(written, document(), "run `cargo run -p portolan-peers -- differences > docs/differences.md`");
    }

    #[test]
    fn the_list_is_short() {
        assert!(DELIBERATE.len() <= 10);
    }
}
