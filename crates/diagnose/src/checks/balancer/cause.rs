//! What kind of trouble a provider's text tells of, and what to do about each.

use portolan_catalogue::vendor::{self, Trouble};

use crate::{Finding, LinkId, Words, view::View, words::words};

/// What the service controller puts before the provider's words.
const PREFIXES: [&str; 5] = [
    "(combined from similar events): ",
    "Error syncing load balancer: ",
    "failed to ensure load balancer: ",
    "Failed build model due to ",
    "Failed deploy model due to ",
];

/// What the provider itself said.
pub(super) fn inner(text: &str) -> &str {
    PREFIXES.iter().fold(text, |text, prefix| text.strip_prefix(prefix).unwrap_or(text))
}

/// The kind of trouble; what is in nobody's list is [`Trouble::Other`].
pub(super) fn classify(text: &str) -> Trouble {
    vendor::classify(text).unwrap_or(Trouble::Other)
}

/// In a few words.
fn meaning(trouble: Trouble) -> Words {
    match trouble {
        Trouble::Throttled => words!("the provider throttles", "云接口限流"),
        Trouble::Auth => {
            words!("the provider refuses the controller's credentials or rights", "云接口拒绝了控制器的凭证或权限")
        }
        Trouble::Quota => words!("a quota of the account is used up", "账号的配额已用尽"),
        Trouble::Pool => words!("no external address is free", "没有空闲的外部地址"),
        Trouble::Conflict => words!("the address belongs to another load balancer", "该地址属于另一个负载均衡器"),
        Trouble::Timeout => words!("the provider did not answer in time", "云接口超时"),
        Trouble::Unreachable => words!("the provider cannot be reached", "无法连接云接口"),
        Trouble::Invalid => words!("the provider refuses a parameter", "云接口拒绝了某个参数"),
        Trouble::Other => words!("the provider says", "云接口返回"),
    }
}

/// What the fault lies with, if it is not the Service: it hurts every Service that waits for the same.
fn subject(trouble: Trouble) -> Option<&'static str> {
    match trouble {
        Trouble::Throttled | Trouble::Auth | Trouble::Quota | Trouble::Timeout | Trouble::Unreachable => {
            Some("provider/load-balancers")
        }
        Trouble::Pool => Some("pool/load-balancers"),
        Trouble::Conflict | Trouble::Invalid | Trouble::Other => None,
    }
}

/// The Service has no address because of this trouble.
pub(super) fn finding(view: &View<'_>, trouble: Trouble, said: &str) -> Finding {
    let Words { en, zh } = meaning(trouble);
    let title = words!("the load balancer could not be made: {en} ({said})", "负载均衡器创建失败：{zh}（{said}）");
    let mut finding = pending(trouble.code(), view, title);
    finding.subject = subject(trouble).map(str::to_owned);
    remedies(finding, view, trouble)
}

/// A finding about a Service without an external address.
pub(super) fn pending(code: &'static str, view: &View<'_>, title: Words) -> Finding {
    Finding::new(code, LinkId::LoadBalancer, title)
        .proven_by([view.field("status.loadBalancer.ingress", "(empty)")])
        .leads_to(words!(
            "EXTERNAL-IP stays <pending>; clients outside have no address to call",
            "EXTERNAL-IP 一直是 <pending>；外部客户端没有可访问的地址"
        ))
        .leads_to(words!("inside the cluster its cluster IP goes on working", "集群内部仍可通过集群 IP 访问"))
}

/// Where a service controller writes its log.
pub(super) fn log() -> String {
    "kubectl -n kube-system logs -l component=cloud-controller-manager --tail=50".to_owned()
}

/// All Services that have or want a balancer.
pub(super) fn balancers() -> String {
    "kubectl get services -A --field-selector spec.type=LoadBalancer".to_owned()
}

fn remedies(finding: Finding, view: &View<'_>, trouble: Trouble) -> Finding {
    let name = view.name();
    let describe = view.kubectl(&format!("describe service {name}"));
    let annotations = view.kubectl(&format!("get service {name} -o jsonpath='{{.metadata.annotations}}'"));
    match trouble {
        Trouble::Throttled => finding.remedy(
            words!(
                "It heals by itself once fewer calls are made: change fewer Services at a time, and see who else uses the account.",
                "调用频率下降后会自动恢复：减少同时变更的 Service，并检查还有谁在使用该账号。"
            ),
            [describe, balancers()],
        ),
        Trouble::Auth => finding.remedy(
            words!(
                "Give the controller's account the right that the message names, or renew its credentials.",
                "为控制器的账号授予消息中指出的权限，或更新其凭证。"
            ),
            [describe, log()],
        ),
        Trouble::Quota => finding
            .remedy(
                words!("Have the limit raised at the provider.", "向云厂商申请提升配额。"),
                [describe, balancers()],
            )
            .remedy(
                words!(
                    "Or give up a balancer that nobody uses. Risk: its address is lost, and clients of it fail.",
                    "或释放没人使用的负载均衡器。风险：其地址会丢失，仍在使用它的客户端会失败。"
                ),
                ["kubectl -n NAMESPACE patch service UNUSED --type merge -p '{\"spec\":{\"type\":\"ClusterIP\"}}'".to_owned()],
            ),
        Trouble::Pool => finding
            .remedy(
                words!(
                    "Give the pool more addresses: a larger subnet, another pool, or `portolan up --lb-pool`.",
                    "扩大地址池：更大的子网、新增地址池，或 `portolan up --lb-pool`。"
                ),
                [describe, balancers()],
            )
            .remedy(
                words!(
                    "Or free an address that nobody uses. Risk: it is given to somebody else, and its clients fail.",
                    "或释放没人使用的地址。风险：该地址会分给别人，原来的客户端会失败。"
                ),
                ["kubectl -n NAMESPACE patch service UNUSED --type merge -p '{\"spec\":{\"type\":\"ClusterIP\"}}'".to_owned()],
            ),
        Trouble::Conflict => finding.remedy(
            words!(
                "Ask for another address, or for none (`spec.loadBalancerIP` and the provider's annotation), or free it where it is held.",
                "改用其他地址或不指定地址（`spec.loadBalancerIP` 及云厂商注解），或在占用者处释放它。"
            ),
            [
                view.kubectl(&format!("patch service {name} --type merge -p '{{\"spec\":{{\"loadBalancerIP\":null}}}}'")),
                balancers(),
            ],
        ),
        Trouble::Timeout => finding.remedy(
            words!(
                "It is tried again by itself. If it lasts, check the provider's health and the controller's way to it.",
                "控制器会自动重试。若持续出现，检查云接口是否健康以及控制器到它的网络。"
            ),
            [describe, log()],
        ),
        Trouble::Unreachable => finding.remedy(
            words!(
                "Check the controller's way to the provider: DNS of its node, proxy settings, firewall.",
                "检查控制器到云接口的网络：所在节点的 DNS、代理设置、防火墙。"
            ),
            [log(), "nslookup PROVIDER-HOST".to_owned()],
        ),
        Trouble::Invalid => finding.remedy(
            words!("Correct the annotation or field that the message names.", "修正消息中指出的注解或字段。"),
            [annotations, view.kubectl(&format!("edit service {name}"))],
        ),
        Trouble::Other => finding.remedy(
            words!(
                "Clear what the message names; the controller then succeeds by itself.",
                "解决消息中指出的问题，控制器随后会自动成功。"
            ),
            [describe, log()],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_providers_own_words_come_last() {
        for (text, expected) in [
            (
                "Error syncing load balancer: failed to ensure load balancer: Throttling: Rate exceeded",
                "Throttling: Rate exceeded",
            ),
            (
                "(combined from similar events): Error syncing load balancer: failed to ensure load balancer: x: y",
                "x: y",
            ),
            ("Failed build model due to no subnets", "no subnets"),
            ("anything else: as it is", "anything else: as it is"),
        ] {
            assert_eq!(inner(text), expected);
        }
    }
}
