//! The control plane about itself.
//!
//! Upstream: `tools/leaderelection` of client-go.

use super::{check, frequency, message, misreading, noted, place};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[LEADER];

const LEADER: Entry = Entry {
    name: "LeaderElection",
    reason: Some(Reason::LeaderElection),
    severity: Severity::Normal,
    category: Category::ControlPlane,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When `portolan controllers` begins or ends to lead.",
            "`portolan controllers` 开始或停止担任 leader 时。",
        ),
    },
    emitter: "kube-controller-manager",
    object: "Lease",
    api: Api::Core,
    versions: Versions::since("1.36"),
    summary: text("Which copy of a controller works has changed", "实际工作的控制器副本发生更替"),
    messages: &[
        noted(
            "Kubernetes, Portolan",
            "{identity} became leader",
            text(
                "From is the program that leads: `portolan-controllers`, or for instance \
                 `kube-scheduler`.",
                "From 是担任 leader 的程序：`portolan-controllers`，或者例如 `kube-scheduler`。",
            ),
        ),
        message("Kubernetes, Portolan", "{identity} stopped leading"),
    ],
    patterns: &[],
    meaning: text(
        "Several copies of a program run, and the one that holds the Lease works; the others \
         wait. Another one has taken over, or the one that worked has stopped. Between the two \
         nobody writes endpoints or load balancers.",
        "程序有多个副本，持有 Lease 的那个工作，其余等待。现在另一个接手，或工作的那个停下了。在两者之间，\
         没有人写端点和负载均衡器。",
    ),
    frequency: frequency::LEADER,
    place: Some(place::LEASE),
    impact: Impact {
        harm: Harm::None,
        who: text(
            "Nobody. Changes of pods and Services wait for some seconds. If it repeats, they \
             wait every time.",
            "无人受影响。Pod 与 Service 的变化要等几秒。如果反复出现，则每次都要等。",
        ),
    },
    chain: Chain {
        before: text(
            "A program was started, stopped, or could not renew its Lease in time.",
            "程序启动、停止，或没能及时续约。",
        ),
        after: text(
            "The new leader goes through all Services once; where nothing differs it writes \
             nothing.",
            "新的 leader 会把所有 Service 过一遍，没有差异就不写。",
        ),
    },
    checks: &[
        check(
            "Who leads, since when, and how often that changed (leaseTransitions).",
            "当前是谁、从何时开始，以及更替次数（leaseTransitions）。",
            "kubectl get leases -n kube-system",
        ),
        check(
            "The Events of the Lease.",
            "Lease 的事件。",
            "kubectl get events -n kube-system --field-selector reason=LeaderElection",
        ),
    ],
    remedies: Remedies::NoneNeeded(text(
        "Nothing to do. If it repeats, the API answers too slowly for the renewals: look at its \
         latency and at the CPU of the leader.",
        "无需处理。如果反复出现，说明 API 应答太慢，来不及续约：查看 API 的延迟和 leader 的 CPU。",
    )),
    misreadings: &[misreading(
        text("Two leaders worked at the same time.", "同时有过两个 leader。"),
        text(
            "The word is written after the Lease is lost or given back, when the old one has \
             stopped. The dates in the Lease decide, not the order of the Events.",
            "这条消息是失去或交还 Lease 之后才写的，那时旧的已经停下。以 Lease 中的时间为准，而不是事件的先\
             后。",
        ),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["FailedToUpdateEndpointSlices", "EnsuringLoadBalancer"],
};
