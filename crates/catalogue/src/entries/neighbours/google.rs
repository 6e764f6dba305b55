//! The Google Cloud provider, beside what the service controller says.
//!
//! Source: `gce_loadbalancer.go` and `gce_util.go` of `k8s.io/cloud-provider-gcp/providers`.

use super::super::{BLANK, DESCRIBE_SERVICE, DIAGNOSE, frequency, message, remedy};
use crate::lang::text;
use crate::{Category, Chain, Entry, Harm, Impact, Pattern, Portolan, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[LOAD_BALANCER_MANUAL_CHANGE, LOAD_BALANCER_MIXED_PROTOCOL_NOT_SUPPORTED];

/// What they have in common; each fills in the rest.
const COMMON: Entry = Entry {
    category: Category::LoadBalancer,
    status: Status::ThirdParty { by: "the Google Cloud provider" },
    portolan: Portolan {
        emits: false, when: text("Its provider has no such limit.", "它的提供方没有这种限制。")
    },
    emitter: "g-cloudprovider",
    object: "Service",
    versions: Versions::NEVER,
    checks: &[DESCRIBE_SERVICE, DIAGNOSE],
    ..BLANK
};

const LOAD_BALANCER_MANUAL_CHANGE: Entry = Entry {
    name: "LoadBalancerManualChange",
    severity: Severity::Normal,
    summary: text("A firewall rule must be made by hand", "防火墙规则需要手工创建"),
    messages: &[message("Google Cloud provider", "Firewall change required by security admin: `{command}`")],
    meaning: text(
        "The cluster uses a network of another project and may not change its firewall; the text is \
         the command that someone with the right must run.",
        "集群使用其他项目的网络，无权修改其防火墙；文字就是有权限的人需要执行的命令。",
    ),
    frequency: frequency::ATTEMPT,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Users outside, until the rule is there; the event is of type Normal all the same.",
            "规则建立之前的外部使用者；事件类型却是 Normal。",
        ),
    },
    chain: Chain {
        before: text("EnsuringLoadBalancer.", "EnsuringLoadBalancer。"),
        after: text(
            "EnsuredLoadBalancer, whether or not anybody has run it.",
            "EnsuredLoadBalancer，无论是否有人执行过。",
        ),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Have the command run by the owner of the network.", "请网络所有者执行该命令。"),
        &["gcloud compute firewall-rules list"],
    )]),
    see_also: &["EnsuringLoadBalancer"],
    ..COMMON
};

const LOAD_BALANCER_MIXED_PROTOCOL_NOT_SUPPORTED: Entry = Entry {
    name: "LoadBalancerMixedProtocolNotSupported",
    severity: Severity::Warning,
    summary: text("The provider has no balancer for several protocols", "提供方不支持多协议的负载均衡器"),
    messages: &[
        message("Google Cloud provider", "LoadBalancers with multiple protocols are not supported."),
        message("Google Cloud provider", "LoadBalancer with multiple protocols are not supported."),
    ],
    patterns: &[Pattern {
        template: "with multiple protocols are not supported",
        trouble: None,
        cause: text("TCP and UDP ports are mixed in one Service.", "同一个 Service 混用了 TCP 和 UDP 端口。"),
        code: Some("load-balancer-invalid-parameter"),
        samples: &["LoadBalancers with multiple protocols are not supported."],
    }],
    meaning: text(
        "The Service has TCP and UDP ports, which this provider cannot put behind one balancer.",
        "Service 同时有 TCP 和 UDP 端口，而该提供方无法放在同一个负载均衡器上。",
    ),
    frequency: frequency::BALANCER_RETRY,
    impact: Impact {
        harm: Harm::High,
        who: text("Users outside the cluster: the Service has no address.", "集群外的使用者：Service 没有地址。"),
    },
    chain: Chain {
        before: text("EnsuringLoadBalancer.", "EnsuringLoadBalancer。"),
        after: text("SyncLoadBalancerFailed.", "SyncLoadBalancerFailed。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Make two Services, one for each protocol, on one reserved address if need be.",
            "拆成两个 Service，每个协议一个；需要时共用一个预留地址。",
        ),
        &["kubectl edit service NAME -n NAMESPACE"],
    )]),
    see_also: &["SyncLoadBalancerFailed"],
    ..COMMON
};
