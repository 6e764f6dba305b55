//! Endpoints against slices. Proxies do not read Endpoints any more, but some ingress controllers, operators and scripts
//! still do. Upstream: `pkg/controller/endpoint` (what belongs in; at most 1000 addresses).

use std::{collections::BTreeSet, net::IpAddr};

use k8s_openapi::api::core::v1::{Endpoints, Event};
use portolan_objects::{Family, ObjectKey, endpoint, labels, service};

use super::{addresses, is_controlled};
use crate::{
    Evidence, Finding, LinkId,
    history::{History, evidence, message},
    view::{View, join_some},
    words::words,
};

/// Most addresses of an Endpoints object.
const CAPACITY: usize = 1000;

/// Called when the slices say what the pods say.
pub(super) fn finding(view: &View<'_>) -> Option<Finding> {
    if !view.snapshot.has_read("endpoints") {
        return None;
    }
    let wanted = in_slices(view);
    if wanted.len() >= CAPACITY {
        return None;
    }
    let failure = failure(view);
    let Some(endpoints) = view.index.endpoints(&view.key) else {
        // Without the controller, which may be off on purpose, there are none at all.
        let kept = failure.is_some() || controller_writes(view);
        return (kept && !wanted.is_empty()).then(|| absent(view, wanted.len(), failure));
    };
    let truncated = endpoints.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(labels::OVER_CAPACITY));
    if truncated || is_lock(endpoints) {
        return None;
    }
    let has = ready(endpoints);
    (has != wanted).then(|| differ(view, &wanted, &has, failure))
}

/// Ready addresses of the Service's first family, as the Endpoints controller would list them: pods without any of the
/// ports are left out there.
fn in_slices(view: &View<'_>) -> BTreeSet<IpAddr> {
    let Some(family) = service::families(view.service).first().copied() else { return BTreeSet::new() };
    let portless = service::ports(view.service).is_empty();
    if portless && !service::is_headless(view.service) {
        return BTreeSet::new();
    }
    let slices = view.slices.iter().filter(|slice| is_controlled(slice));
    let slices = slices.filter(|slice| portless || slice.ports.as_ref().is_some_and(|ports| !ports.is_empty()));
    let endpoints = slices.flat_map(|slice| slice.endpoints.iter().flatten());
    let ready = endpoints.filter(|endpoint| endpoint::is_ready(endpoint)).flat_map(addresses);
    ready.filter(|address| Family::of(*address) == family).collect()
}

fn ready(endpoints: &Endpoints) -> BTreeSet<IpAddr> {
    let subsets = endpoints.subsets.iter().flatten();
    let listed = subsets.flat_map(|subset| subset.addresses.iter().flatten());
    listed.filter_map(|address| address.ip.parse().ok()).collect()
}

fn is_lock(endpoints: &Endpoints) -> bool {
    endpoints.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(labels::LEADER))
}

/// Whether the controller keeps Endpoints here: some other Service with a selector has them.
fn controller_writes(view: &View<'_>) -> bool {
    let of_selector = |endpoints: &Endpoints| {
        let service = view.index.service(&ObjectKey::of(endpoints));
        !is_lock(endpoints) && service.is_some_and(|service| service::selector(service).is_some())
    };
    view.snapshot.endpoints.iter().any(of_selector)
}

/// What the controller complained of: on the Endpoints, on the Service (in Portolan's own words), or, for a creation in
/// Kubernetes, on Endpoints without a namespace.
fn failure<'a>(view: &View<'a>) -> Option<&'a Event> {
    const REASONS: &[&str] = &["FailedToCreateEndpoint", "FailedToUpdateEndpoint"];
    let on = |namespace: &str| History::of(view.index, "Endpoints", namespace, view.name(), None).newest(REASONS);
    let named = format!("{}/{}", view.namespace(), view.name());
    view.history
        .newest(REASONS)
        .or_else(|| on(view.namespace()))
        .or_else(|| on("").filter(|event| message(event).contains(&named)))
}

fn absent(view: &View<'_>, wanted: usize, failure: Option<&Event>) -> Finding {
    let title = words!(
        "the slices have {wanted} ready addresses, and there is no Endpoints object",
        "EndpointSlice 有 {wanted} 个就绪地址，但没有 Endpoints 对象"
    );
    let object = format!("endpoints/{}", view.name());
    let finding = Finding::new("endpoints-disagree", LinkId::Slices, title).proven_by([
        Evidence::new(object, "-", "NotFound"),
        Evidence::new("endpointslices", "ready addresses", wanted.to_string()),
    ]);
    complete(view, finding, failure)
}

fn differ(view: &View<'_>, wanted: &BTreeSet<IpAddr>, has: &BTreeSet<IpAddr>, failure: Option<&Event>) -> Finding {
    let texts = |set: Vec<&IpAddr>| join_some(&set.into_iter().map(ToString::to_string).collect::<Vec<_>>(), 3);
    let extra = texts(has.difference(wanted).collect());
    let missing = texts(wanted.difference(has).collect());
    let title = match (extra.is_empty(), missing.is_empty()) {
        (false, true) => words!(
            "the Endpoints object has {extra}, which the slices do not have",
            "Endpoints 对象中有 {extra}，而 EndpointSlice 中没有"
        ),
        (true, _) => words!(
            "the Endpoints object lacks {missing}, which the slices have",
            "Endpoints 对象缺少 EndpointSlice 中的 {missing}"
        ),
        (false, false) => words!(
            "the Endpoints object has {extra} where the slices have {missing}",
            "Endpoints 对象中是 {extra}，而 EndpointSlice 中是 {missing}"
        ),
    };
    let object = format!("endpoints/{}", view.name());
    let finding = Finding::new("endpoints-disagree", LinkId::Slices, title).proven_by([
        Evidence::new(object, "subsets[*].addresses", texts(has.iter().collect())),
        Evidence::new("endpointslices", "ready addresses", texts(wanted.iter().collect())),
    ]);
    complete(view, finding, failure)
}

fn complete(view: &View<'_>, finding: Finding, failure: Option<&Event>) -> Finding {
    let finding = finding
        .proven_by(failure.map(|event| evidence(event, view.now)))
        .leads_to(words!(
            "the slices are what the pods say, so traffic through proxies is right",
            "EndpointSlice 与 Pod 一致，因此经由代理的流量是正确的"
        ))
        .leads_to(words!(
            "whoever still reads Endpoints (some ingress controllers, operators, scripts) is misled",
            "仍读取 Endpoints 的组件（部分 ingress 控制器、operator、脚本）会被误导"
        ));
    let object = format!("endpoints {}", view.name());
    let Some(event) = failure else {
        return finding
            .leads_to(words!(
                "the Endpoints controller has not caught up and says nothing",
                "Endpoints 控制器没有跟上，也没有事件"
            ))
            .remedy(
                words!(
                    "See that the controller runs; deleting the object makes a running one write it again.",
                    "确认控制器在运行；若在运行，删除该对象会促使它重新写入。"
                ),
                ["kubectl -n kube-system get leases".to_owned(), view.kubectl(&format!("delete {object}"))],
            );
    };
    let text = message(event).to_owned();
    finding
        .leads_to(words!("the Endpoints controller failed: {text}", "Endpoints 控制器失败：{text}"))
        .remedy(
            words!(
                "Clear what the error names; the controller tries again by itself.",
                "解决错误中指出的问题，控制器会自动重试。"
            ),
            [view.kubectl(&format!("describe {object}")), view.kubectl(&format!("describe service {}", view.name()))],
        )
        .explained_by(event.reason.clone().unwrap_or_default())
}
