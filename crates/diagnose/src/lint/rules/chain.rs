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
        "external-name-is-address",
        Error,
        ["externalName is an IP address.", "externalName 是 IP 地址。"],
        ["DNS cannot alias a name to an address.", "DNS 无法把名字别名到地址。"],
    ),
];
