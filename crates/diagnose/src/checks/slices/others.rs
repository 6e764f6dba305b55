//! Slices that the slice controller did not write, or wrote for an earlier Service of this name. Proxies go by the label
//! alone, so all of them count.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use portolan_objects::{endpoint, labels, pod, ports::PortSet};

use super::{addresses, is_controlled, manager, slice_evidence, slice_object, wanted};
use crate::{
    Evidence, Finding, LinkId,
    view::{View, join_some, name},
    words::words,
};

pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    [orphaned(view), foreign(view), duplicate(view)].into_iter().flatten().collect()
}

/// Slices that belong to an earlier Service of this name: their owner is gone.
fn orphaned(view: &View<'_>) -> Option<Finding> {
    let uid = view.service.metadata.uid.as_deref().filter(|uid| !uid.is_empty())?;
    let other_owner = |slice: &EndpointSlice| {
        let owners = slice.metadata.owner_references.iter().flatten();
        owners.filter(|owner| owner.kind == "Service").map(|owner| owner.uid.clone()).find(|owner| owner != uid)
    };
    let held = |slice: &&&EndpointSlice| slice.endpoints.as_ref().is_some_and(|endpoints| !endpoints.is_empty());
    let orphans: Vec<(&EndpointSlice, String)> =
        view.slices.iter().filter(held).filter_map(|slice| Some((*slice, other_owner(slice)?))).collect();
    let (first, _) = orphans.first()?;
    let slice = name(*first).to_owned();
    let title = words!(
        "slice {slice} belongs to an earlier Service of this name, and its endpoints are still used",
        "EndpointSlice {slice} 属于已删除的同名 Service，其端点仍在被使用"
    );
    let finding = Finding::new("slices-orphaned", LinkId::Slices, title)
        .proven_by([view.field("metadata.uid", uid)])
        .proven_by(orphans.iter().take(3).flat_map(|(slice, owner)| {
            [Evidence::new(slice_object(slice), "metadata.ownerReferences[0].uid", owner), slice_evidence(slice)]
        }))
        .leads_to(words!(
            "proxies go by the slice's label, so connections go to endpoints of the past",
            "代理只看 EndpointSlice 的标签，因此连接会发往过去的端点"
        ))
        .leads_to(words!(
            "neither the garbage collector nor the slice controller has removed it: one of them does not run",
            "垃圾回收器和 slice 控制器都没有清理它：其中之一未运行"
        ))
        .remedy(
            words!("Delete the slices of the past.", "删除过去的 EndpointSlice。"),
            orphans.iter().take(3).map(|(slice, _)| view.kubectl(&format!("delete endpointslice {}", name(*slice)))),
        );
    Some(finding)
}

/// Ready addresses that are no selected pod, in slices of somebody else.
fn foreign(view: &View<'_>) -> Option<Finding> {
    if view.slices.iter().all(|slice| is_controlled(slice)) {
        return None;
    }
    let known = wanted::pods_by_address(view);
    let mut strangers: BTreeMap<IpAddr, &EndpointSlice> = BTreeMap::new();
    for slice in view.slices.iter().filter(|slice| !is_controlled(slice)) {
        let ready = slice.endpoints.iter().flatten().filter(|endpoint| endpoint::is_ready(endpoint));
        let unknown = ready.flat_map(addresses).filter(|address| !known.contains_key(address));
        strangers.extend(unknown.map(|address| (address, *slice)));
    }
    let (_, slice) = strangers.first_key_value()?;
    let list = join_some(&strangers.keys().map(ToString::to_string).collect::<Vec<_>>(), 3);
    let (object, slice_name) = (slice_object(slice), name(*slice));
    let writer = manager(slice).unwrap_or("(none)").to_owned();
    let title = words!(
        "slice {slice_name} of {writer} adds {list}, which no selected pod has",
        "{writer} 的 EndpointSlice {slice_name} 加入了 {list}，它们不属于任何选中的 Pod"
    );
    let finding = Finding::new("slices-foreign", LinkId::Slices, title)
        .proven_by([
            Evidence::new(&object, format!("metadata.labels[{}]", labels::SLICE_MANAGED_BY), writer),
            Evidence::new(&object, format!("metadata.labels[{}]", labels::SERVICE_NAME), view.name()),
            slice_evidence(slice),
        ])
        .proven_by(strangers.keys().take(3).map(|address| wanted::owner_now(view, *address)))
        .leads_to(words!(
            "proxies use every slice with the Service's label, so a share of the connections goes there",
            "代理使用所有带该 Service 标签的 EndpointSlice，因此一部分连接会发往那里"
        ))
        .leads_to(words!(
            "the slice controller leaves slices of others alone",
            "slice 控制器不会处理他人的 EndpointSlice"
        ))
        .remedy(
            words!(
                "Delete it if nobody wants it, and stop what writes it. Risk: connections that use these addresses end.",
                "如果不需要，删除它并停止写入它的程序。风险：使用这些地址的连接会中断。"
            ),
            [view.kubectl(&format!("get {object} -o yaml")), view.kubectl(&format!("delete {object}"))],
        )
        .remedy(
            words!(
                "If these addresses are wanted, write them for a Service without selector.",
                "如果确实需要这些地址，请改用没有 selector 的 Service。"
            ),
            [view.kubectl(&format!("get service {} -o yaml", view.name()))],
        );
    Some(finding)
}

/// What one slice says of an endpoint: whether it is ready.
type Claim<'a> = (&'a EndpointSlice, bool);

/// One address and port, ready in one slice and not in another: which of the two a proxy believes is chance.
fn duplicate(view: &View<'_>) -> Option<Finding> {
    if view.slices.len() < 2 {
        return None;
    }
    let known = wanted::pods_by_address(view);
    let mut seen: BTreeMap<(IpAddr, String, String), Vec<Claim<'_>>> = BTreeMap::new();
    for slice in view.slices {
        let ports = PortSet::of_slice(slice);
        for endpoint in slice.endpoints.iter().flatten() {
            for address in addresses(endpoint) {
                // Pods in their node's network share its address and are several.
                if known.get(&address).is_some_and(|pods| pods.len() > 1) {
                    continue;
                }
                for port in ports.iter() {
                    let number = port.number.map(|number| number.to_string()).unwrap_or_default();
                    let key = (address, port.name.clone(), format!("{number}/{}", port.protocol));
                    seen.entry(key).or_default().push((slice, endpoint::is_ready(endpoint)));
                }
            }
        }
    }
    let differs = |list: &Vec<Claim<'_>>| {
        let slices: BTreeSet<&str> = list.iter().map(|(slice, _)| name(*slice)).collect();
        slices.len() > 1 && list.iter().any(|(_, ready)| *ready) && list.iter().any(|(_, ready)| !ready)
    };
    let ((address, _, port), list) = seen.into_iter().find(|(_, list)| differs(list))?;
    let pod = known.get(&address).and_then(|pods| pods.first());
    let wrong = list.iter().find(|(_, ready)| Some(*ready) != pod.map(|pod| pod::is_ready(pod)))?.0;
    let title = words!(
        "{address}:{port} is in two slices, ready in one and not ready in the other",
        "{address}:{port} 出现在两个 EndpointSlice 中，一个标为就绪，另一个标为未就绪"
    );
    let truth = pod.map(|pod| {
        let ready = if pod::is_ready(pod) { "True" } else { "not True" };
        Evidence::new(crate::view::pod_object(pod), "status.conditions[Ready]", ready)
    });
    let finding = Finding::new("slices-duplicate", LinkId::Slices, title)
        .proven_by(list.iter().take(4).map(|(slice, ready)| {
            let writer = manager(slice).unwrap_or("(none)");
            Evidence::new(
                slice_object(slice),
                format!("endpoints[{address}].conditions.ready"),
                format!("{ready} (managed by {writer})"),
            )
        }))
        .proven_by(truth)
        .leads_to(words!(
            "a proxy keeps one of the two, so it may send to a pod that is not ready, or leave out one that is",
            "代理只保留其中一个，因此可能发往未就绪的 Pod，或漏掉就绪的 Pod"
        ))
        .remedy(
            words!(
                "Delete the slice that is wrong, and stop what writes it.",
                "删除错误的 EndpointSlice，并停止写入它的程序。"
            ),
            [
                view.kubectl(&format!("get endpointslices -l {}={} -o wide", labels::SERVICE_NAME, view.name())),
                view.kubectl(&format!("delete {}", slice_object(wrong))),
            ],
        );
    Some(finding)
}
