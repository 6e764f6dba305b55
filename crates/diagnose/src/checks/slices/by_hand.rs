//! A Service without selector: whoever it is must have written something that proxies can use.

use std::{collections::BTreeSet, net::IpAddr};

use k8s_openapi::api::{
    core::v1::Endpoints,
    discovery::v1::{Endpoint, EndpointSlice},
};
use portolan_objects::{endpoint, labels, service};

use super::{SETTLING, addresses, edited, manager, on_its_way, slice_evidence, slice_object};
use crate::{
    Evidence, Finding, LinkId, Words,
    checks::Outcome,
    history::{History, evidence},
    nearest::nearest_word,
    view::{View, join_some, name},
    words::words,
};

/// Who mirrors Endpoints into slices.
const MIRROR: &str = "endpointslicemirroring-controller.k8s.io";
/// On Endpoints: no mirroring, please.
const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Most addresses of an Endpoints that are mirrored.
const MIRRORED: usize = 1000;

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    let proof: Vec<Evidence> = view.slices.iter().take(3).map(|slice| slice_evidence(slice)).collect();
    let usable = usable(view);
    let written = view.index.endpoints(&view.key).filter(|endpoints| mirrored(endpoints));
    let young = view.age() < SETTLING
        || written.and_then(|endpoints| edited(view, &endpoints.metadata)).is_some_and(|seconds| seconds < SETTLING);
    if let Some(finding) = written.and_then(|endpoints| not_mirrored(view, endpoints)) {
        return if young { on_its_way() } else { Outcome::broken(finding) };
    }
    if usable.is_empty() {
        return if young { on_its_way() } else { Outcome::broken(nothing(view, proof)) };
    }
    if usable.iter().all(|address| !view.index.cluster_ip_owners(*address).is_empty()) {
        return Outcome::broken(virtual_only(view, &usable));
    }
    let virtual_ones = usable.iter().filter(|address| !view.index.cluster_ip_owners(**address).is_empty());
    let virtual_ones = join_some(&virtual_ones.map(ToString::to_string).collect::<Vec<_>>(), 3);
    if !virtual_ones.is_empty() {
        hints.push(words!(
            "endpoints {virtual_ones} are addresses of Services, which proxies do not follow",
            "端点 {virtual_ones} 是 Service 的地址，代理不会转发到它们"
        ));
    }
    let ready = usable.len();
    Outcome::Ok(
        words!(
            "ready endpoints: {ready}, written by hand or by another controller",
            "{ready} 个就绪端点，由人工或其他控制器写入"
        ),
        proof,
    )
}

/// Addresses that a proxy would use: ready, or serving until they end, and of a family that the Service has. DNS of a
/// headless Service takes both families.
fn usable(view: &View<'_>) -> BTreeSet<IpAddr> {
    let families = service::families(view.service);
    let fits = |slice: &&&EndpointSlice| {
        let family = endpoint::family(slice);
        family.is_some_and(|family| service::is_headless(view.service) || families.contains(&family))
    };
    let endpoints = || view.slices.iter().filter(fits).flat_map(|slice| slice.endpoints.iter().flatten());
    let ready: BTreeSet<IpAddr> =
        endpoints().filter(|endpoint| endpoint::is_ready(endpoint)).flat_map(addresses).collect();
    if !ready.is_empty() || service::is_headless(view.service) {
        return ready;
    }
    let ending = |endpoint: &&Endpoint| endpoint::is_serving(endpoint) && endpoint::is_terminating(endpoint);
    endpoints().filter(ending).flat_map(addresses).collect()
}

/// A lock, or one that asks not to be mirrored, is nobody's list of addresses.
fn mirrored(endpoints: &Endpoints) -> bool {
    let is_lock = endpoints.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(labels::LEADER));
    !is_lock
}

fn subset_addresses(endpoints: &Endpoints, ready: bool) -> BTreeSet<IpAddr> {
    let subsets = endpoints.subsets.iter().flatten();
    let lists = subsets.flat_map(|subset| if ready { &subset.addresses } else { &subset.not_ready_addresses });
    lists.flatten().filter_map(|address| address.ip.parse().ok()).collect()
}

/// The Endpoints hold addresses that no slice has.
fn not_mirrored(view: &View<'_>, endpoints: &Endpoints) -> Option<Finding> {
    let (ready, waiting) = (subset_addresses(endpoints, true), subset_addresses(endpoints, false));
    let total = ready.len() + waiting.len();
    let in_slices: BTreeSet<IpAddr> =
        view.slices.iter().flat_map(|slice| slice.endpoints.iter().flatten()).flat_map(addresses).collect();
    // Whoever writes slices as well as Endpoints is not bound to write the same.
    let others = view.slices.iter().any(|slice| manager(slice) != Some(MIRROR));
    let missing: Vec<String> = ready.difference(&in_slices).map(ToString::to_string).collect();
    if missing.is_empty() || (others && !in_slices.is_empty()) || (total > MIRRORED && !in_slices.is_empty()) {
        return None;
    }
    let list = join_some(&missing, 3);
    let title = match in_slices.is_empty() {
        true => words!(
            "the Endpoints object has addresses ({total}), but no slice mirrors them",
            "Endpoints 对象有 {total} 个地址，但没有 EndpointSlice 镜像它们"
        ),
        false => words!(
            "the Endpoints object has addresses that its mirrored slices lack: {list}",
            "Endpoints 对象中的地址在镜像的 EndpointSlice 中缺失：{list}"
        ),
    };
    let (object, service) = (format!("endpoints/{}", view.name()), view.name());
    let skip = endpoints.metadata.labels.as_ref().and_then(|labels| labels.get(SKIP_MIRROR));
    let history = History::of(view.index, "Endpoints", view.namespace(), view.name(), None);
    let event = history.newest(&["InvalidIPAddress", "TooManyAddressesToMirror"]);
    let finding = Finding::new("endpoints-not-mirrored", LinkId::Slices, title)
        .proven_by([Evidence::new(&object, "subsets", format!("{total} addresses, such as {list}"))])
        .proven_by(skip.map(|value| Evidence::new(&object, format!("metadata.labels[{SKIP_MIRROR}]"), value)))
        .proven_by(view.slices.iter().take(2).map(|slice| slice_evidence(slice)))
        .proven_by(event.map(|event| evidence(event, view.now)));
    let finding = match skip {
        Some(_) => finding.leads_to(words!("a label asks not to mirror it", "有标签要求不要镜像它")),
        None => finding.leads_to(words!(
            "the mirroring controller (in kube-controller-manager) has not done it: it does not run or cannot write",
            "镜像控制器（位于 kube-controller-manager）没有镜像它：未运行或无法写入"
        )),
    };
    let mut finding = finding
        .leads_to(words!("proxies read only slices and refuse connections", "代理只读取 EndpointSlice，因此拒绝连接"))
        .remedy(
            words!(
                "Write an EndpointSlice with the label kubernetes.io/service-name={service}; Endpoints are deprecated.",
                "改写带有标签 kubernetes.io/service-name={service} 的 EndpointSlice；Endpoints 已弃用。"
            ),
            [view.kubectl(&format!("get {object} -o yaml")), view.kubectl("apply -f endpointslice.yaml")],
        );
    if skip.is_some() {
        finding = finding.remedy(
            words!("Or take the label away.", "或去掉该标签。"),
            [view.kubectl(&format!("label {object} {SKIP_MIRROR}-"))],
        );
    }
    finding.reason = event.and_then(|event| event.reason.clone());
    Some(finding)
}

/// Nobody has written anything that can be used. A slice nearby may have been meant for this Service.
fn nothing(view: &View<'_>, proof: Vec<Evidence>) -> Finding {
    if let Some(stray) = meant(view) {
        return astray(view, stray);
    }
    let name = view.name();
    let families: BTreeSet<&str> = view
        .slices
        .iter()
        .filter(|slice| slice.endpoints.as_ref().is_some_and(|endpoints| !endpoints.is_empty()))
        .map(|slice| slice.address_type.as_str())
        .collect();
    let own: Vec<String> = service::families(view.service).iter().map(ToString::to_string).collect();
    let (held, own) = (families.iter().copied().collect::<Vec<_>>().join(", "), own.join(", "));
    let wrong_family =
        !held.is_empty() && !service::is_headless(view.service) && view.ready_endpoints().next().is_some();
    let title = match (held.is_empty(), wrong_family) {
        (_, true) => words!(
            "the Service has {own} addresses only, and the endpoints written for it are {held}",
            "Service 只有 {own} 地址，而为它写入的端点是 {held}"
        ),
        (false, false) => words!(
            "the Service has no selector, and all endpoints written for it say that they are not ready",
            "Service 没有 selector，而为它写入的端点都标为未就绪"
        ),
        (true, _) => words!(
            "the Service has no selector, and nobody has written a ready endpoint for it",
            "Service 没有 selector，也没有人为它写入就绪端点"
        ),
    };
    let code = if wrong_family { "ip-family-missing" } else { "no-endpoints-written" };
    Finding::new(code, LinkId::Slices, title)
        .proven_by([view.field("spec.selector", "(none)")])
        .proven_by(wrong_family.then(|| view.field("spec.ipFamilies", own)))
        .proven_by(wrong_family.then(|| Evidence::new("endpointslices", "addressType", held)))
        .proven_by(proof)
        .leads_to(words!("connections to the Service are refused", "访问该 Service 的连接被拒绝"))
        .remedy(
            words!(
                "Give it a selector, or write an EndpointSlice with the label kubernetes.io/service-name={name}.",
                "为它设置 selector，或写入带有标签 kubernetes.io/service-name={name} 的 EndpointSlice。"
            ),
            [view.kubectl(&format!("get endpointslices -l {}={name}", labels::SERVICE_NAME))],
        )
}

/// A slice of no Service whose label or name is like this Service's.
fn meant<'a>(view: &View<'a>) -> Option<&'a EndpointSlice> {
    let strays = view.index.stray_slices(view.namespace());
    let filled =
        || strays.iter().filter(|slice| slice.endpoints.as_ref().is_some_and(|list| !list.is_empty())).copied();
    let wanted = view.name();
    let labelled = filled().filter_map(|slice| Some((label(slice)?, slice)));
    if let Some(near) = nearest_word(wanted, labelled.clone().map(|(label, _)| label)) {
        return labelled.clone().find(|(label, _)| *label == near).map(|(_, slice)| slice);
    }
    let by_name = |slice: &&EndpointSlice| {
        let rest = name(*slice).strip_prefix(wanted);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    filled().find(by_name)
}

fn label(slice: &EndpointSlice) -> Option<&str> {
    slice.metadata.labels.as_ref()?.get(labels::SERVICE_NAME).map(String::as_str)
}

fn astray(view: &View<'_>, slice: &EndpointSlice) -> Finding {
    let (object, slice_name, service) = (slice_object(slice), name(slice), view.name());
    let title = match label(slice) {
        Some(other) => words!(
            "slice {slice_name} is labelled for Service {other}, which does not exist; this one has no endpoints",
            "EndpointSlice {slice_name} 的标签指向不存在的 Service {other}，而本 Service 没有端点"
        ),
        None => words!(
            "slice {slice_name} has no label that says to which Service it belongs; this one has no endpoints",
            "EndpointSlice {slice_name} 没有标签说明所属的 Service，而本 Service 没有端点"
        ),
    };
    Finding::new("slices-orphaned", LinkId::Slices, title)
        .proven_by([
            Evidence::new(
                &object,
                format!("metadata.labels[{}]", labels::SERVICE_NAME),
                label(slice).unwrap_or("(absent)"),
            ),
            slice_evidence(slice),
            view.field("spec.selector", "(none)"),
        ])
        .leads_to(words!(
            "a slice counts for the Service in its label only",
            "EndpointSlice 只对其标签所指的 Service 有效"
        ))
        .leads_to(words!("connections to the Service are refused", "访问该 Service 的连接被拒绝"))
        .remedy(
            words!("Label it for this Service.", "把标签改为本 Service。"),
            [view.kubectl(&format!("label {object} {}={service} --overwrite", labels::SERVICE_NAME))],
        )
}

/// Every endpoint is the address of a Service: nothing translates twice.
fn virtual_only(view: &View<'_>, usable: &BTreeSet<IpAddr>) -> Finding {
    let list = join_some(&usable.iter().map(ToString::to_string).collect::<Vec<_>>(), 3);
    let title = words!(
        "the endpoints are addresses of Services ({list}), and proxies do not translate twice",
        "端点是 Service 的地址（{list}），而代理不会转换两次"
    );
    let owners = usable.iter().take(3).filter_map(|address| {
        let owner = view.index.cluster_ip_owners(*address).first()?;
        Some(Evidence::new(format!("service/{}", name(*owner)), "spec.clusterIP", address.to_string()))
    });
    Finding::new("no-endpoints-written", LinkId::Slices, title)
        .proven_by(view.slices.iter().take(2).map(|slice| slice_evidence(slice)))
        .proven_by(owners)
        .leads_to(words!(
            "packets to such an endpoint go nowhere: clients time out",
            "发往这样的端点的数据包无处可去：客户端超时"
        ))
        .remedy(
            words!(
                "Use the pods' addresses, a selector, or an ExternalName to that Service.",
                "改用 Pod 的地址、selector，或指向该 Service 的 ExternalName。"
            ),
            [view.kubectl(&format!("edit service {}", view.name()))],
        )
}
