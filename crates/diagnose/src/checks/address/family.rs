//! Address families: the Service and its pods have those that are asked for, and that the caller has.
//! Upstream: a slice of a family holds the pods' addresses of that family; a pod without one is left out quietly.

use k8s_openapi::api::core::v1::Pod;
use portolan_objects::{Family, pod, service};

use super::cluster_ip::range_families;
use crate::{
    Evidence, Finding, From, LinkId, Words,
    view::{View, pod_object},
    words::words,
};

pub(super) fn missing(view: &View<'_>, hints: &mut Vec<Words>) -> Option<Finding> {
    second_family(view).or_else(|| of_pods(view, hints)).or_else(|| of_caller(view))
}

fn policy<'a>(view: &View<'a>) -> &'a str {
    let spec = view.service.spec.as_ref();
    spec.and_then(|spec| spec.ip_family_policy.as_deref()).unwrap_or("SingleStack")
}

/// The families that the Service itself lists.
fn listed(view: &View<'_>) -> Vec<Family> {
    let listed = view.service.spec.as_ref().and_then(|spec| spec.ip_families.as_ref());
    listed.into_iter().flatten().filter_map(|text| text.parse().ok()).collect()
}

fn texts(families: &[Family]) -> String {
    families.iter().map(|family| family.as_str()).collect::<Vec<_>>().join(", ")
}

fn base(view: &View<'_>, title: Words) -> Finding {
    Finding::new("ip-family-missing", LinkId::Address, title).proven_by([
        view.field("spec.ipFamilyPolicy", policy(view)),
        view.field("spec.ipFamilies", texts(&listed(view))),
    ])
}

/// Two families are required, and there are not two addresses.
fn second_family(view: &View<'_>) -> Option<Finding> {
    let addresses = service::cluster_ips(view.service);
    // A headless Service without selector asks for both families by default, wherever it is.
    if !view.snapshot.is_live() || service::is_headless(view.service) {
        return None;
    }
    let has = |family: &Family| addresses.iter().any(|address| Family::of(*address) == *family);
    let wanted = match policy(view) {
        "RequireDualStack" => vec![Family::V4, Family::V6],
        _ => listed(view),
    };
    let missing = wanted.iter().find(|family| !has(family))?;
    let (family, ranges) = (missing.as_str(), range_families(view));
    let title =
        words!("the Service asks for {family} and has no such address", "Service 要求 {family}，但没有该地址族的地址");
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let finding = base(view, title)
        .proven_by([view.field("spec.clusterIPs", list.join(", "))])
        .leads_to(words!("clients that use {family} have nothing to call", "使用 {family} 的客户端没有可访问的地址"));
    if ranges.is_empty() || ranges.contains(missing) {
        let name = view.name();
        return Some(finding.remedy(
            words!("Ask for it again; the API then allocates it.", "重新请求该地址族，API 会分配地址。"),
            [view.kubectl(&format!(
                "patch service {name} --type merge -p '{{\"spec\":{{\"ipFamilyPolicy\":\"PreferDualStack\"}}}}'"
            ))],
        ));
    }
    let finding = finding.proven_by([Evidence::new("servicecidrs", "spec.cidrs", texts(&ranges))]);
    Some(finding.remedy(
        words!(
            "Give the cluster a range of that family, or ask for one family only.",
            "为集群增加该地址族的地址段，或只请求一个地址族。"
        ),
        ["kubectl get servicecidrs".to_owned(), view.kubectl(&format!("edit service {}", view.name()))],
    ))
}

/// No pod has an address of a family that the Service is published in.
fn of_pods(view: &View<'_>, hints: &mut Vec<Words>) -> Option<Finding> {
    let pods: Vec<&Pod> = view.live().filter(|pod| !pod::ips(pod).is_empty()).collect();
    let first = *pods.first()?;
    let families = listed(view);
    let missing = families.iter().find(|family| pods.iter().all(|one| pod::ip(one, **family).is_none()))?;
    let (family, count) = (missing.as_str(), pods.len());
    let all = families.iter().all(|family| pods.iter().all(|one| pod::ip(one, *family).is_none()));
    if !all && policy(view) != "RequireDualStack" {
        hints.push(words!(
            "none of the pods has an {family} address: by {family} the Service has no endpoint",
            "所有 Pod 都没有 {family} 地址：该地址族下 Service 没有端点"
        ));
        return None;
    }
    let own: Vec<String> = pod::ips(first).iter().map(ToString::to_string).collect();
    let title = words!(
        "the Service is published in {family}, and none of its {count} pods has such an address",
        "Service 发布在 {family} 上，但它的 {count} 个 Pod 都没有该地址族的地址"
    );
    let finding = base(view, title)
        .proven_by([Evidence::new(pod_object(first), "status.podIPs", own.join(", "))])
        .leads_to(words!("its {family} slices stay empty", "它的 {family} EndpointSlice 一直为空"))
        .leads_to(words!("connections by {family} are refused", "{family} 连接会被拒绝"))
        .remedy(
            words!(
                "Give nodes and network plugin a range of {family}; pods get the address when they are made anew.",
                "为节点和网络插件配置 {family} 地址段；Pod 重建后才会获得地址。"
            ),
            [
                "kubectl get nodes -o custom-columns=NAME:.metadata.name,CIDRS:.spec.podCIDRs".to_owned(),
                view.kubectl(&format!("get pods -l {} -o wide", view.selector_text())),
            ],
        )
        .remedy(
            words!(
                "Or publish the Service in the family that the pods have. Risk: the first family cannot be changed; the Service has to be made again and its address changes.",
                "或让 Service 使用 Pod 所在的地址族。风险：主地址族不可修改，必须重新创建 Service，地址会改变。"
            ),
            [view.kubectl(&format!("get service {} -o yaml", view.name()))],
        );
    Some(finding)
}

/// The caller has no address of a family that the Service is reached by.
fn of_caller(view: &View<'_>) -> Option<Finding> {
    let (caller, has, offered) = match &view.ask.from {
        From::Pod(key) => {
            let caller = view.index.pod(key)?;
            (format!("pod/{}", key.name), pod::ips(caller), service::families(view.service))
        }
        From::Outside(Some(address)) => {
            let offered =
                service::load_balancer_ips(view.service).into_iter().chain(service::external_ips(view.service));
            (address.to_string(), vec![*address], offered.map(Family::of).collect())
        }
        From::Anywhere | From::Outside(None) => return None,
    };
    let has: Vec<Family> = has.into_iter().map(Family::of).collect();
    if has.is_empty() || offered.is_empty() || has.iter().any(|family| offered.contains(family)) {
        return None;
    }
    let (theirs, ours) = (texts(&has), texts(&offered));
    let title = words!(
        "the caller {caller} has {theirs} only, and the Service is reached by {ours}",
        "调用方 {caller} 只有 {theirs}，而 Service 只能通过 {ours} 访问"
    );
    let finding = base(view, title)
        .proven_by([Evidence::new(caller, "addresses", theirs)])
        .leads_to(words!("no packet of the caller can reach it", "调用方的数据包无法到达"))
        .remedy(
            words!("Publish the Service in both families.", "让 Service 使用双栈。"),
            [view.kubectl(&format!(
                "patch service {} --type merge -p '{{\"spec\":{{\"ipFamilyPolicy\":\"RequireDualStack\"}}}}'",
                view.name()
            ))],
        );
    Some(finding)
}
