//! Addresses that were written by hand into an Endpoints object and did not reach the slices.
//!
//! Upstream: `reconciler.go` in `pkg/controller/endpointslicemirroring`.

use super::{check, frequency, message, misreading, patterns, place, remedy};
use crate::lang::text;
use crate::{Api, Category, Chain, Check, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[INVALID_ADDRESS, TOO_MANY];

const ENDPOINTS: Check = check(
    "The Endpoints object and its Events; describe of the Service does not show them.",
    "Endpoints 对象及其事件；describe Service 看不到这些事件。",
    "kubectl describe endpoints NAME -n NAMESPACE",
);

const MIRRORED: Check = check(
    "The slices that were made from it.",
    "由它镜像出来的 EndpointSlice。",
    "kubectl get endpointslices -n NAMESPACE -l \
     kubernetes.io/service-name=NAME,endpointslice.kubernetes.io/managed-by=endpointslicemirroring-controller.k8s.io",
);

const INVALID_ADDRESS: Entry = Entry {
    name: "InvalidIPAddress",
    reason: Some(Reason::InvalidIPAddress),
    severity: Severity::Warning,
    category: Category::Endpoint,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text("For each sync that had to leave such addresses out.", "每次同步不得不略去这类地址时。"),
    },
    emitter: "endpoint-slice-mirroring-controller",
    object: "Endpoints",
    api: Api::Core,
    versions: Versions::since("1.36"),
    summary: text("Hand-written addresses are no IP addresses", "手工填写的地址不是合法 IP"),
    messages: &[message(
        "Kubernetes, Portolan",
        "Skipped {count} invalid IP addresses when mirroring to EndpointSlices",
    )],
    patterns: patterns::INVALID_IP_ADDRESS,
    meaning: text(
        "A Service without a selector has Endpoints that somebody writes. They are mirrored into \
         slices, which proxies follow. Some of the addresses cannot be read as IPv4 or IPv6 \
         addresses; the others were mirrored.",
        "没有选择算符的 Service，其 Endpoints 由人或程序填写，再镜像到代理所依据的 EndpointSlice。\
         其中有些地址既不是 IPv4 也不是 IPv6；其余的已经镜像。",
    ),
    frequency: frequency::MIRROR_SYNC,
    place: Some(place::ON_ENDPOINTS),
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "Users of the Service: the skipped addresses get no traffic. If all were skipped, \
             connections are refused.",
            "Service 的使用者：被跳过的地址没有流量。如果全部被跳过，连接会被拒绝。",
        ),
    },
    chain: Chain {
        before: text("The Endpoints object was written.", "Endpoints 对象被写入。"),
        after: text("The same again at each sync, until the object is corrected.", "每次同步都会再发，直到改正为止。"),
    },
    checks: &[ENDPOINTS, MIRRORED],
    remedies: Remedies::Steps(&[
        remedy(
            text(
                "The object was written long ago, before the API validated it.",
                "对象是早期写入的，当时 API 未作校验。",
            ),
            text("Write plain addresses: no host names, no leading zeros.", "只填写普通地址：不要主机名，不要前导零。"),
            &["kubectl edit endpoints NAME -n NAMESPACE"],
        ),
        remedy(
            text("Something outside the cluster has a name only.", "集群外的目标只有域名。"),
            text(
                "Use a Service of type ExternalName, which is an alias in DNS and needs no \
                 endpoints.",
                "改用 ExternalName 类型的 Service，它是 DNS 别名，不需要端点。",
            ),
            &["kubectl explain service.spec.externalName"],
        ),
    ]),
    misreadings: &[misreading(
        text("The event is on the Service that does not work.", "事件挂在不通的那个 Service 上。"),
        text("It is on the Endpoints object of the same name.", "它挂在同名的 Endpoints 对象上。"),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["TooManyAddressesToMirror", "FailedToUpdateEndpoint"],
};

const TOO_MANY: Entry = Entry {
    name: "TooManyAddressesToMirror",
    reason: Some(Reason::TooManyAddressesToMirror),
    severity: Severity::Warning,
    category: Category::Endpoint,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "For each sync that had to leave addresses out. The count takes in invalid ones, as \
             upstream's does.",
            "每次同步不得不略去地址时。与上游一样，数目包含不合法的地址。",
        ),
    },
    emitter: "endpoint-slice-mirroring-controller",
    object: "Endpoints",
    api: Api::Core,
    versions: Versions::since("1.36"),
    summary: text("A hand-written Endpoints object has too many addresses", "手工填写的 Endpoints 地址过多"),
    messages: &[message(
        "Kubernetes, Portolan",
        "A max of {limit} addresses can be mirrored to EndpointSlices per Endpoints subset. \
         {count} addresses were skipped",
    )],
    patterns: patterns::TOO_MANY_ADDRESSES_TO_MIRROR,
    meaning: text(
        "One subset of an Endpoints object that somebody writes has more addresses than are \
         mirrored, 1000 unless configured otherwise. The first ones are in the slices, the rest \
         is left out.",
        "由人或程序填写的 Endpoints，其中一个 subset 的地址数超过镜像上限（默认 1000）。前面的已写\
         入 EndpointSlice，其余被略去。",
    ),
    frequency: frequency::MIRROR_SYNC,
    place: Some(place::ON_ENDPOINTS),
    impact: Impact {
        harm: Harm::Low,
        who: text(
            "The addresses that were left out get no traffic; the others carry it.",
            "被略去的地址没有流量，由其余地址承担。",
        ),
    },
    chain: Chain {
        before: text("The Endpoints object grew.", "Endpoints 对象变大。"),
        after: text("The same again at each sync.", "每次同步都会再发。"),
    },
    checks: &[ENDPOINTS, MIRRORED],
    remedies: Remedies::Steps(&[
        remedy(
            text("The program that writes them can be changed.", "写入这些地址的程序可以修改。"),
            text(
                "Let it write EndpointSlices itself, any number of them, with its own name in \
                 the label `endpointslice.kubernetes.io/managed-by`; Endpoints have been \
                 deprecated since 1.33.",
                "让它直接写 EndpointSlice，数量不限，并在标签 \
                 `endpointslice.kubernetes.io/managed-by` 中写自己的名字；Endpoints 自 1.33 起已弃用。",
            ),
            &["kubectl explain endpointslice"],
        ),
        remedy(
            text("It cannot.", "程序不能改。"),
            text(
                "Look whether `--mirroring-max-endpoints-per-subset` of the controller was \
                 lowered: 1000 is its default and the most it takes. Split the addresses over \
                 two Services otherwise.",
                "看控制器的 `--mirroring-max-endpoints-per-subset` 是否被调低：默认值 1000 也是上限。\
                 否则把地址拆到两个 Service。",
            ),
            &["kubectl get endpoints NAME -n NAMESPACE -o yaml"],
        ),
    ]),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["InvalidIPAddress", "FailedToUpdateEndpoint"],
};
