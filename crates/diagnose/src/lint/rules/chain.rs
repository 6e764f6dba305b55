//! Codes that the linter shares with `diagnose`: breaks of the chain from the Service to its pods that manifests prove.

use super::{Rule, new};
use crate::lint::Level::Error;

pub(super) const RULES: &[Rule] = &[
    new(
        "selector-matches-no-pod",
        Error,
        ["The selector selects none of these pods, and nearly does.", "selector 没有选中任何 Pod，但只差一点。"],
        ["The Service gets no endpoints; connections are refused.", "Service 没有端点，连接会被拒绝。"],
    ),
    new(
        "selector-in-other-namespace",
        Error,
        ["The pods that the selector fits are in another namespace.", "selector 匹配的 Pod 在另一个命名空间。"],
        ["A Service selects in its own namespace only.", "Service 只能选择本命名空间的 Pod。"],
    ),
    new(
        "target-port-not-declared",
        Error,
        ["No container declares the port that targetPort names.", "没有容器声明 targetPort 所用的端口名。"],
        ["The slices carry no such port; connections are refused.", "EndpointSlice 中没有该端口，连接会被拒绝。"],
    ),
    new(
        "target-port-partly-declared",
        Error,
        [
            "Only some of the pods declare the port that targetPort names.",
            "只有部分 Pod 声明了 targetPort 所用的端口名。",
        ],
        ["The others get no traffic.", "其余 Pod 收不到流量。"],
    ),
    new(
        "target-port-protocol-mismatch",
        Error,
        ["The port exists in the pods, with another protocol.", "Pod 中有该端口，但协议不同。"],
        [
            "A UDP port does not answer TCP; the named port does not even resolve.",
            "UDP 端口不会响应 TCP；命名端口甚至无法解析。",
        ],
    ),
    new(
        "external-name-is-address",
        Error,
        ["externalName is an IP address.", "externalName 是 IP 地址。"],
        ["DNS cannot alias a name to an address.", "DNS 无法把名字别名到地址。"],
    ),
    new(
        "external-name-malformed",
        Error,
        ["externalName is no DNS name.", "externalName 不是 DNS 名字。"],
        ["The name resolves to nothing.", "该名字解析不出任何地址。"],
    ),
    new(
        "external-name-loop",
        Error,
        ["externalName leads back to itself.", "externalName 指回自身。"],
        ["Resolvers give up.", "解析器会放弃。"],
    ),
    new(
        "node-port-duplicate",
        Error,
        ["Two Services ask for the same node port.", "两个 Service 要求同一个 NodePort。"],
        ["The API server refuses the second.", "API server 会拒绝第二个。"],
    ),
    new(
        "cluster-ip-duplicate",
        Error,
        ["Two Services ask for the same cluster IP.", "两个 Service 要求同一个集群 IP。"],
        ["The API server refuses the second.", "API server 会拒绝第二个。"],
    ),
];
