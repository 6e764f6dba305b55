//! The cluster IP: there, within a range, nobody else's, and recorded.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::IPAddress;
use portolan_objects::{Family, ObjectKey, service};

use super::{repair_event, repeats, rivals};
use crate::{
    Evidence, Finding, LinkId, Words,
    history::evidence,
    view::{View, name},
    words::words,
};

/// A Service younger than this many seconds may be older than what was read of its addresses.
const GRACE: i64 = 10;

pub(super) fn none(view: &View<'_>) -> Finding {
    let title = words!("the Service has no cluster IP", "Service 没有集群 IP");
    let finding = Finding::new("cluster-ip-missing", LinkId::Address, title)
        .proven_by([view.field("spec.clusterIP", "")])
        .leads_to(words!("no proxy can send traffic to it", "代理无法为它转发流量"));
    again(finding, view)
}

/// Another address for the Service: only a new Service gets one.
fn again(finding: Finding, view: &View<'_>) -> Finding {
    let name = view.name();
    finding.remedy(
        words!(
            "Make the Service again, so that it gets another address. Risk: callers that keep the old address fail until they ask DNS again.",
            "重新创建该 Service，以便分配新的地址。风险：仍使用旧地址的调用方会失败，直到重新解析域名。"
        ),
        [
            view.kubectl(&format!("get service {name} -o yaml > {name}.yaml")),
            view.kubectl(&format!("delete service {name}")),
            format!("sed -i -e '/clusterIP/d' -e '/^  - [0-9a-f.:]*$/d' {name}.yaml && kubectl create -f {name}.yaml"),
        ],
    )
}

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Option<Finding> {
    let addresses = service::cluster_ips(view.service);
    let of_each = |check: fn(&View<'_>, IpAddr) -> Option<Finding>| addresses.iter().find_map(|ip| check(view, *ip));
    of_each(duplicate)
        .or_else(|| of_each(out_of_range))
        .or_else(|| of_each(not_valid))
        .or_else(|| addresses.iter().find_map(|ip| not_recorded(view, *ip, hints)))
}

fn duplicate(view: &View<'_>, address: IpAddr) -> Option<Finding> {
    let owners = view.index.cluster_ip_owners(address);
    let ip = address.to_string();
    let event = repair_event(view, "ClusterIPAlreadyAllocated", &ip);
    let (others, called) = rivals(view, owners, event)?;
    let (en, zh) = (&called.en, &called.zh);
    let title = words!("cluster IP {ip} belongs to {en} as well", "集群 IP {ip} 同时属于 {zh}");
    let finding = Finding::new("cluster-ip-duplicate", LinkId::Address, title)
        .subject(format!("ipaddress/{ip}"))
        .proven_by([view.field("spec.clusterIP", ip.clone())])
        .proven_by(
            others
                .iter()
                .take(3)
                .map(|other| Evidence::new(format!("service/{}", other), "spec.clusterIP", ip.clone())),
        )
        .proven_by(event.map(|event| evidence(event, view.now)))
        .leads_to(words!(
            "proxies have one rule per address and port: traffic of one Service goes to the pods of the other",
            "代理对每个地址和端口只有一条规则：一个 Service 的流量会到另一个的 Pod"
        ))
        .explained_by("ClusterIPAlreadyAllocated");
    Some(again(finding, view))
}

fn out_of_range(view: &View<'_>, address: IpAddr) -> Option<Finding> {
    let ip = address.to_string();
    let event = repair_event(view, "ClusterIPOutOfRange", &ip);
    let ranges: Vec<&str> = ranges(view).collect();
    let known = view.snapshot.has_read("servicecidrs") && !ranges.is_empty();
    let parsed: Vec<IpNet> = ranges.iter().filter_map(|range| range.parse().ok()).collect();
    let outside = match known && parsed.len() == ranges.len() {
        true => !parsed.iter().any(|range| range.contains(&address)),
        false => event.is_some(),
    };
    if !outside {
        return None;
    }
    let list = if ranges.is_empty() { "?".to_owned() } else { ranges.join(", ") };
    let title = words!(
        "cluster IP {ip} is in no range of the cluster ({list})",
        "集群 IP {ip} 不在集群的任何地址段内（{list}）"
    );
    let prefix = if address.is_ipv4() { 24 } else { 112 };
    let range = IpNet::new(address, prefix).map(|range| range.trunc().to_string()).unwrap_or_default();
    let add = format!(
        "kubectl create -f - <<<'{{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"ServiceCIDR\",\"metadata\":{{\"name\":\"again\"}},\"spec\":{{\"cidrs\":[\"{range}\"]}}}}'"
    );
    let finding = Finding::new("cluster-ip-out-of-range", LinkId::Address, title)
        .proven_by([view.field("spec.clusterIP", ip)])
        .proven_by(known.then(|| Evidence::new("servicecidrs", "spec.cidrs", list)))
        .proven_by(event.map(|event| evidence(event, view.now)))
        .leads_to(words!(
            "its address cannot be recorded: somebody else may be given it, and routes or firewalls for the ranges miss it",
            "该地址无法登记：它可能被分给别人，按地址段设置的路由和防火墙也不包含它"
        ))
        .remedy(
            words!(
                "Put the range back as a ServiceCIDR. Risk: a range that overlaps with pods or machines takes their traffic.",
                "以 ServiceCIDR 补回该地址段。风险：与 Pod 或主机重叠的地址段会截走它们的流量。"
            ),
            ["kubectl get servicecidrs".to_owned(), add],
        )
        .explained_by("ClusterIPOutOfRange");
    Some(again(finding, view))
}

/// The ranges of cluster IPs, those on their way out too: addresses in them are recorded until the end.
pub(super) fn ranges<'a>(view: &View<'a>) -> impl Iterator<Item = &'a str> {
    let lists = view.snapshot.service_cidrs.iter().filter_map(|range| range.spec.as_ref()?.cidrs.as_ref());
    lists.flatten().map(String::as_str)
}

fn not_valid(view: &View<'_>, address: IpAddr) -> Option<Finding> {
    let event = repair_event(view, "ClusterIPNotValid", &address.to_string())?;
    let title = words!(
        "cluster IP {address} is of a family that the cluster has no range for",
        "集群 IP {address} 的地址族在集群中没有地址段"
    );
    let finding = Finding::new("cluster-ip-out-of-range", LinkId::Address, title)
        .proven_by([view.field("spec.clusterIP", address.to_string()), evidence(event, view.now)])
        .leads_to(words!("nobody routes or records it", "没有人为它路由或登记"))
        .explained_by("ClusterIPNotValid");
    Some(again(finding, view))
}

fn not_recorded(view: &View<'_>, address: IpAddr, hints: &mut Vec<Words>) -> Option<Finding> {
    let ip = address.to_string();
    let event = repair_event(view, "ClusterIPNotAllocated", &ip);
    let Some(records) = &view.snapshot.ip_addresses else {
        // Without the records, only a repair that does not hold proves anything.
        let event = event?;
        if repeats(event) {
            let title =
                words!("cluster IP {ip} is found unrecorded again and again", "集群 IP {ip} 反复被发现没有登记");
            return Some(unrecorded(view, title, &ip).proven_by([evidence(event, view.now)]));
        }
        hints.push(words!("cluster IP {ip} was not recorded, and was repaired", "集群 IP {ip} 曾未登记，已修复"));
        return None;
    };
    if view.age() < GRACE {
        return None;
    }
    let record = records.iter().find(|record| name(*record).parse() == Ok(address));
    let holder = record.and_then(holder);
    let (title, proof) = match (record, holder) {
        (None, _) => (
            words!("cluster IP {ip} is not recorded as taken", "集群 IP {ip} 没有登记为已占用"),
            Evidence::new(format!("ipaddress/{ip}"), "-", "NotFound"),
        ),
        (Some(_), Some(holder)) if holder == view.key => return None,
        (Some(_), holder) => {
            let holder = holder.map_or_else(|| "-".to_owned(), |holder| holder.to_string());
            (
                words!("cluster IP {ip} is recorded for {holder}", "集群 IP {ip} 登记在 {holder} 名下"),
                Evidence::new(format!("ipaddress/{ip}"), "spec.parentRef", holder),
            )
        }
    };
    Some(unrecorded(view, title, &ip).proven_by([proof]).proven_by(event.map(|event| evidence(event, view.now))))
}

/// Whose address a record says it is.
fn holder(record: &IPAddress) -> Option<ObjectKey> {
    let parent = &record.spec.parent_ref;
    (parent.resource == "services")
        .then(|| ObjectKey::new(parent.namespace.clone().unwrap_or_default(), parent.name.clone()))
}

fn unrecorded(view: &View<'_>, title: Words, ip: &str) -> Finding {
    Finding::new("cluster-ip-not-recorded", LinkId::Address, title)
        .proven_by([view.field("spec.clusterIP", ip)])
        .leads_to(words!(
            "it works, and the same address may be given to another Service",
            "目前可用，但同一地址可能再分给另一个 Service"
        ))
        .remedy(
            words!(
                "The API server's repair loop records it within three minutes; if it does not, look at the API server.",
                "API server 的修复循环会在三分钟内补上登记；否则请检查 API server。"
            ),
            [
                format!("kubectl get ipaddress {ip} -o yaml"),
                "kubectl -n kube-system logs -l component=kube-apiserver --tail=50".to_owned(),
            ],
        )
        .explained_by("ClusterIPNotAllocated")
}

/// The families of the cluster's ranges; empty if they are not known.
pub(super) fn range_families(view: &View<'_>) -> Vec<Family> {
    let mut families: Vec<Family> =
        ranges(view).filter_map(|range| range.parse::<IpNet>().ok()).map(|range| Family::of(range.addr())).collect();
    families.sort_unstable();
    families.dedup();
    families
}
