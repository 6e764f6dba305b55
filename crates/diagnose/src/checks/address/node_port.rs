//! Node ports: nobody else's, within the range, recorded.

use k8s_openapi::api::core::v1::Event;
use portolan_objects::{Protocol, service};

use super::{repair_event, repeats, rivals};
use crate::{
    Evidence, Finding, LinkId, Words,
    history::{evidence, message},
    view::View,
    words::words,
};

/// A node port of the Service, and where it is written.
struct Port {
    number: u16,
    protocol: Protocol,
    field: String,
}

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Option<Finding> {
    let ports = ports(view);
    ports
        .iter()
        .find_map(|port| duplicate(view, port))
        .or_else(|| ports.iter().find_map(|port| out_of_range(view, port)))
        .or_else(|| ports.iter().find_map(|port| not_recorded(view, port, hints)))
}

/// Those that its proxies answer on, with that for health checks.
fn ports(view: &View<'_>) -> Vec<Port> {
    let listed = service::ports(view.service).iter().enumerate();
    let number = |port: Option<i32>| port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let mut ports: Vec<Port> = listed
        .filter_map(|(n, port)| {
            let protocol = Protocol::of(port.protocol.as_deref());
            Some(Port { number: number(port.node_port)?, protocol, field: format!("spec.ports[{n}].nodePort") })
        })
        .collect();
    let health = service::health_check_node_port(view.service);
    ports.extend(health.map(|number| Port {
        number,
        protocol: Protocol::Tcp,
        field: "spec.healthCheckNodePort".to_owned(),
    }));
    ports
}

fn duplicate(view: &View<'_>, port: &Port) -> Option<Finding> {
    let Port { number, protocol, field } = port;
    let owners = view.index.node_port_owners(*number, *protocol);
    let event = repair_event(view, "PortAlreadyAllocated", &number.to_string());
    let (others, called) = rivals(view, owners, event)?;
    let (en, zh) = (&called.en, &called.zh);
    let title =
        words!("node port {number}/{protocol} belongs to {en} as well", "节点端口 {number}/{protocol} 同时属于 {zh}");
    let finding = Finding::new("node-port-duplicate", LinkId::Address, title)
        .subject(format!("nodeport/{number}"))
        .proven_by([view.field(field, number.to_string())])
        .proven_by(others.iter().take(3).map(|other| {
            Evidence::new(format!("service/{}", other), "spec.ports[*].nodePort", number.to_string())
        }))
        .proven_by(event.map(|event| evidence(event, view.now)))
        .leads_to(words!(
            "a node sends all traffic of the port to one of them; the other's users, and its load balancer, reach the wrong pods",
            "节点会把该端口的流量全部发给其中一个；另一个的使用者及其负载均衡器会到达错误的 Pod"
        ))
        .explained_by("PortAlreadyAllocated");
    Some(another(finding, view, port))
}

/// The API gives another port to a port that asks for none.
fn another(finding: Finding, view: &View<'_>, port: &Port) -> Finding {
    let path = format!("/{}", port.field.replace(['[', '.'], "/").replace(']', ""));
    finding.remedy(
        words!(
            "Give this one another port. Risk: whoever calls the old one (firewalls, balancers outside) has to be told.",
            "为它换一个端口。风险：使用旧端口的一方（防火墙、外部负载均衡器）需要同步修改。"
        ),
        [view.kubectl(&format!(
            "patch service {} --type json -p '[{{\"op\":\"remove\",\"path\":\"{path}\"}}]'",
            view.name()
        ))],
    )
}

/// Only the API server knows its range: it says so in an event every few minutes.
fn out_of_range(view: &View<'_>, port: &Port) -> Option<Finding> {
    let Port { number, field, .. } = port;
    let event = repair_event(view, "PortOutOfRange", &number.to_string())?;
    let range = message(event).split("port range ").nth(1).and_then(|rest| rest.split(';').next()).unwrap_or("?");
    let title = words!(
        "node port {number} is not within the range {range} of the API server",
        "节点端口 {number} 不在 API server 的端口范围 {range} 内"
    );
    let finding = Finding::new("node-port-out-of-range", LinkId::Address, title)
        .proven_by([view.field(field, number.to_string()), evidence(event, view.now)])
        .leads_to(words!(
            "the port is not recorded as taken, and firewalls that follow the range block it",
            "该端口没有登记为已占用，按范围设置的防火墙会拦截它"
        ))
        .explained_by("PortOutOfRange");
    Some(another(finding, view, port).remedy(
        words!(
            "Or widen the range again (`--service-node-port-range`).",
            "或重新扩大范围（`--service-node-port-range`）。"
        ),
        ["kubectl -n kube-system get pods -l component=kube-apiserver -o yaml | grep node-port-range".to_owned()],
    ))
}

/// No object records node ports. A repair that was needed once is done; one that is needed again does not hold.
fn not_recorded(view: &View<'_>, port: &Port, hints: &mut Vec<Words>) -> Option<Finding> {
    let Port { number, field, .. } = port;
    let event: &Event = repair_event(view, "PortNotAllocated", &number.to_string())?;
    if !repeats(event) {
        hints.push(words!(
            "node port {number} was not recorded, and was repaired",
            "节点端口 {number} 曾未登记，已修复"
        ));
        return None;
    }
    let title =
        words!("node port {number} is found unrecorded again and again", "节点端口 {number} 反复被发现没有登记");
    let finding = Finding::new("node-port-not-recorded", LinkId::Address, title)
        .proven_by([view.field(field, number.to_string()), evidence(event, view.now)])
        .leads_to(words!(
            "it works, and the same port may be given to another Service",
            "目前可用，但同一端口可能再分给另一个 Service"
        ))
        .remedy(
            words!(
                "Something writes over the API server's records: two API servers with different ranges, or a restored store.",
                "有东西在覆盖 API server 的登记：例如范围不同的两个 API server，或恢复过的存储。"
            ),
            ["kubectl -n kube-system logs -l component=kube-apiserver --tail=50".to_owned()],
        )
        .explained_by("PortNotAllocated");
    Some(finding)
}
