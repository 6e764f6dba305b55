//! The load balancer's source ranges let the caller in.
//!
//! Upstream: `spec.loadBalancerSourceRanges`, else the annotation of old; clouds make firewall rules of them, proxies
//! drop what comes to the balancer's address from elsewhere. Cluster IPs and node ports are not restricted. A proxy looks at the
//! ranges of the packet's own family only: without one of that family, nothing is restricted.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use portolan_objects::service;

use super::Outcome;
use crate::{
    Evidence, Finding, LinkId, Words,
    view::{From, View, join_some},
    words::words,
};

/// Where ranges were written before there was a field.
const ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// What is written, and where.
struct Ranges {
    field: String,
    written: Vec<String>,
    read: Vec<IpNet>,
}

impl Ranges {
    fn of(view: &View<'_>) -> Option<Self> {
        let spec = view.service.spec.as_ref();
        let listed = spec.and_then(|spec| spec.load_balancer_source_ranges.clone()).unwrap_or_default();
        let (field, written) = match listed.is_empty() {
            false => ("spec.loadBalancerSourceRanges".to_owned(), listed),
            true => {
                let text = view.service.metadata.annotations.as_ref()?.get(ANNOTATION)?;
                let parts = text.split(',').filter(|part| !part.trim().is_empty());
                (format!("metadata.annotations[{ANNOTATION}]"), parts.map(str::to_owned).collect())
            }
        };
        let written: Vec<String> = written.iter().map(|range| range.trim().to_owned()).collect();
        let read = written.iter().filter_map(|range| range.parse().ok()).collect();
        (!written.is_empty()).then_some(Self { field, written, read })
    }

    fn text(&self) -> String {
        join_some(&self.written, 4)
    }

    /// A range that holds every address takes the restriction away.
    fn everybody(&self) -> bool {
        self.read.iter().any(|range| range.prefix_len() == 0)
    }

    fn lets_in(&self, address: IpAddr) -> bool {
        let same_family = |range: &&IpNet| range.addr().is_ipv4() == address.is_ipv4();
        !self.read.iter().any(|range| same_family(&range)) || self.read.iter().any(|range| range.contains(&address))
    }

    /// No range has an address that a client can have.
    fn nobody(&self) -> bool {
        !self.read.is_empty() && self.read.iter().all(is_nobodys)
    }
}

/// Ranges from which no packet comes over a network.
fn is_nobodys(range: &IpNet) -> bool {
    const V4: [(u8, u8, u8); 5] = [(0, 0, 8), (127, 0, 8), (169, 254, 16), (224, 0, 4), (240, 0, 4)];
    match range {
        IpNet::V4(range) => V4.iter().any(|(first, second, length)| {
            let block = Ipv4Net::new([*first, *second, 0, 0].into(), *length);
            block.is_ok_and(|block| block.contains(range))
        }),
        IpNet::V6(range) => {
            let loopback: Result<Ipv6Net, _> = "::/127".parse();
            let multicast: Result<Ipv6Net, _> = "ff00::/8".parse();
            [loopback, multicast].into_iter().flatten().any(|block| block.contains(range))
        }
    }
}

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if !service::is_load_balancer(view.service) {
        return Outcome::Skipped(words!("not a load balancer Service", "不是 LoadBalancer 类型"));
    }
    let Some(ranges) = Ranges::of(view) else {
        return Outcome::ok(words!("no restriction", "没有限制"));
    };
    let (text, proof) = (ranges.text(), view.field(&ranges.field, ranges.written.join(", ")));
    if let Some(wrong) = ranges.written.iter().find(|range| range.parse::<IpNet>().is_err()) {
        return Outcome::broken(malformed(view, &ranges, wrong));
    }
    if ranges.everybody() {
        return Outcome::Ok(words!("every address is let in", "允许所有地址"), vec![proof]);
    }
    if matches!(view.ask.from, From::Pod(_)) {
        let summary = words!("the cluster IP, which pods use, is not restricted", "Pod 使用的 cluster IP 不受限制");
        return Outcome::Ok(summary, vec![proof]);
    }
    if ranges.nobody() {
        let title = words!(
            "the source ranges ({text}) hold no address that a client can have",
            "来源地址段（{text}）中没有任何客户端可能拥有的地址"
        );
        return Outcome::broken(excluded(view, &ranges, title, None));
    }
    match view.ask.from {
        From::Outside(Some(address)) if !ranges.lets_in(address) => {
            let title = words!(
                "the source ranges ({text}) do not let {address} in",
                "来源地址段（{text}）不允许 {address} 访问"
            );
            Outcome::broken(excluded(view, &ranges, title, Some(address)))
        }
        From::Outside(Some(address)) => {
            Outcome::Ok(words!("{text} lets {address} in", "{text} 允许 {address} 访问"), vec![proof])
        }
        From::Anywhere | From::Outside(None) | From::Pod(_) => {
            hints.push(words!(
                "loadBalancerSourceRanges lets in only {text}; other clients time out",
                "loadBalancerSourceRanges 只允许 {text}；其他客户端会超时"
            ));
            Outcome::Ok(words!("only {text}", "只允许 {text}"), vec![proof])
        }
    }
}

fn excluded(view: &View<'_>, ranges: &Ranges, title: Words, address: Option<IpAddr>) -> Finding {
    let name = view.name();
    let mut wanted = ranges.written.clone();
    let own = address.map_or_else(|| "CLIENT/32".to_owned(), |address| IpNet::from(address).to_string());
    wanted.push(own.clone());
    let list: Vec<String> = wanted.iter().map(|range| format!("\"{range}\"")).collect();
    let list = list.join(",");
    let command = match ranges.field.starts_with("spec") {
        true => {
            format!("patch service {name} --type merge -p '{{\"spec\":{{\"loadBalancerSourceRanges\":[{list}]}}}}'")
        }
        false => format!("annotate service {name} {ANNOTATION}={} --overwrite", wanted.join(",")),
    };
    Finding::new("source-ranges-exclude-caller", LinkId::SourceRanges, title)
        .proven_by([view.field(&ranges.field, ranges.written.join(", "))])
        .proven_by(address.map(|address| Evidence::new("caller", "address", address.to_string())))
        .leads_to(words!(
            "packets from elsewhere to the balancer are dropped, so the client times out",
            "来自其他地址、发往负载均衡器的数据包被丢弃，客户端超时"
        ))
        .remedy(
            words!(
                "Let {own} in. Use the address that the client has when it leaves its network. Risk: whoever shares that address \
                 gets in as well.",
                "允许 {own}。请使用客户端离开其网络时的地址。风险：共用该地址的其他人也能访问。"
            ),
            [view.kubectl(&command)],
        )
}

fn malformed(view: &View<'_>, ranges: &Ranges, wrong: &str) -> Finding {
    let title = words!(
        "source range {wrong} is not an address range such as 203.0.113.0/24",
        "来源地址段 {wrong} 不是 203.0.113.0/24 这样的地址段"
    );
    Finding::new("source-ranges-exclude-caller", LinkId::SourceRanges, title)
        .proven_by([view.field(&ranges.field, ranges.written.join(", "))])
        .leads_to(words!(
            "the balancer's controller refuses the whole list, and a proxy skips what it cannot read",
            "负载均衡控制器会拒绝整个列表，代理则跳过无法解析的部分"
        ))
        .leads_to(words!(
            "clients of that range are kept out as soon as another range counts",
            "只要还有其他地址段生效，该地址段的客户端就会被拒之门外"
        ))
        .remedy(
            words!("Correct the range.", "修正该地址段。"),
            [view.kubectl(&format!("edit service {}", view.name()))],
        )
}
