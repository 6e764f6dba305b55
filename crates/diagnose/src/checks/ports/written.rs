//! Ports of a Service without selector: the slices bring them, and a proxy matches them by name and protocol.
//! Upstream: `pkg/proxy/endpointslicecache.go` (a port without a number is ignored).

use portolan_objects::{
    Protocol, endpoint,
    ports::{Port, PortSet},
    service,
};

use crate::{
    Evidence, Finding, LinkId,
    checks::Outcome,
    view::{View, join_some, name},
    words::words,
};

pub(super) fn check(view: &View<'_>) -> Outcome {
    if service::is_headless(view.service) {
        return Outcome::Skipped(words!(
            "no selector and no virtual address: DNS only",
            "没有 selector 也没有虚拟地址：仅用于 DNS"
        ));
    }
    let used = view.slices.iter().filter(|slice| slice.endpoints.iter().flatten().any(endpoint::is_ready));
    let used: Vec<_> = used.collect();
    if used.is_empty() {
        return Outcome::Skipped(words!(
            "no selector: the slices say which ports",
            "没有 selector：端口由 EndpointSlice 决定"
        ));
    }
    let has: Vec<Port> =
        used.iter().flat_map(|slice| PortSet::of_slice(slice).iter().cloned().collect::<Vec<_>>()).collect();
    let mut findings = Vec::new();
    let mut list = Vec::new();
    for (index, port) in service::ports(view.service).iter().enumerate() {
        let (wanted, protocol) = (port.name.clone().unwrap_or_default(), Protocol::of(port.protocol.as_deref()));
        let found = has.iter().find(|have| have.name == wanted && have.protocol == protocol && have.number.is_some());
        if let Some(number) = found.and_then(|found| found.number) {
            list.push(format!("{} -> {number}/{protocol}", port.port));
            continue;
        }
        let shown = |name: &str| if name.is_empty() { "(no name)".to_owned() } else { name.to_owned() };
        let theirs: Vec<String> = has
            .iter()
            .map(|have| {
                let number = have.number.map_or_else(|| "no number".to_owned(), |number| number.to_string());
                format!("{} {number}/{}", shown(&have.name), have.protocol)
            })
            .collect();
        let (theirs, number, ours) = (join_some(&theirs, 4), port.port, shown(&wanted));
        let theirs = if theirs.is_empty() { "(none)".to_owned() } else { theirs };
        let title = words!(
            "port {number} is named {ours}/{protocol}, and the slices have only {theirs}",
            "端口 {number} 的名称是 {ours}/{protocol}，而 EndpointSlice 中只有 {theirs}"
        );
        let slices = used
            .iter()
            .take(2)
            .map(|slice| Evidence::new(format!("endpointslice/{}", name(**slice)), "ports", theirs.clone()));
        let finding = Finding::new("slice-ports-mismatch", LinkId::Ports, title)
            .proven_by([view.field(&format!("spec.ports[{index}].name"), ours)])
            .proven_by(slices)
            .leads_to(words!(
                "proxies match the two by name and protocol, never by number",
                "代理按名称和协议匹配两者，而不按端口号"
            ))
            .leads_to(words!("connections to port {number} are refused", "访问端口 {number} 的连接被拒绝"))
            .remedy(
                words!(
                    "Give the slice's port the name of the Service's port (none if that has none), and a number.",
                    "让 EndpointSlice 的端口与 Service 的端口同名（Service 端口无名则留空），并写上端口号。"
                ),
                used.iter().take(1).map(|slice| view.kubectl(&format!("edit endpointslice {}", name(**slice)))),
            );
        findings.push(finding);
    }
    if !findings.is_empty() {
        return Outcome::Broken(findings);
    }
    let ports = join_some(&list, 4);
    Outcome::Ok(words!("{ports}", "{ports}"), vec![view.field("spec.ports", list.join(", "))])
}
