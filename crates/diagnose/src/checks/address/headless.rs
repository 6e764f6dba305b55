//! A headless Service is a name for the pods: it has no address, so nothing translates its ports.

use k8s_openapi::api::core::v1::Pod;
use portolan_objects::{Protocol, pod, service};

use crate::{
    Evidence, Finding, From, LinkId, Words,
    evidence::Owner,
    view::{View, name, pod_object},
    words::words,
};

/// The API refuses `clusterIP: None` with a type that needs an address.
pub(super) fn refused(view: &View<'_>) -> Option<Finding> {
    let spec = view.service.spec.as_ref()?;
    if spec.cluster_ip.as_deref() != Some("None") || !service::has_node_ports(view.service) {
        return None;
    }
    let kind = spec.type_.as_deref().unwrap_or_default();
    let title = words!(
        "a Service of type {kind} cannot be headless: clusterIP None is refused",
        "{kind} 类型的 Service 不能是 headless：clusterIP None 会被拒绝"
    );
    let finding = Finding::new("headless-load-balancer", LinkId::Address, title)
        .proven_by([view.field("spec.type", kind), view.field("spec.clusterIP", "None")])
        .leads_to(words!("there is neither a node port nor an external address", "既没有 NodePort，也没有外部地址"))
        .remedy(
            words!(
                "Leave clusterIP out for traffic from outside; make a second, headless Service for the pods' names.",
                "需要外部流量时不要设置 clusterIP；另建一个 headless Service 用于 Pod 域名。"
            ),
            [view.kubectl(&format!("get service {} -o yaml", view.name()))],
        );
    Some(finding)
}

/// Clients of a headless Service connect to the pods on the port that they choose, and `targetPort` means nothing to them.
pub(super) fn port_ignored(view: &View<'_>, hints: &mut Vec<Words>) -> Option<Finding> {
    if !service::is_headless(view.service) || view.selector.is_empty() {
        return None;
    }
    let pods: Vec<&Pod> = view.ready().collect();
    let mut differing = service::ports(view.service).iter().enumerate().filter_map(|(n, port)| {
        let number = u16::try_from(port.port).ok()?;
        let protocol = Protocol::of(port.protocol.as_deref());
        let target = service::target_port(port);
        let resolved =
            pods.iter().filter_map(|one| pod::resolve_port(one, &target, protocol)).find(|to| *to != number)?;
        let served = pods.iter().any(|one| declares(one, number, protocol) || listens(view, one, number));
        (!served).then_some((n, number, resolved, protocol))
    });
    let (n, number, resolved, protocol) = differing.next()?;
    let first = *pods.first()?;
    let service = view.name();
    // A manifest is read before anybody has got used to the pods' own port.
    if view.snapshot.is_live() && !matches!(view.ask.from, From::Pod(_)) {
        hints.push(words!(
            "headless: clients connect to the pods directly, so they have to use port {resolved}; {number} is not translated",
            "headless：客户端直接连接 Pod，必须使用端口 {resolved}；{number} 不会被转换"
        ));
        return None;
    }
    let title = words!(
        "headless: nothing translates port {number} to {resolved}, and the pods do not serve {number}",
        "headless：端口 {number} 不会转换为 {resolved}，而 Pod 并不提供 {number}"
    );
    let finding = Finding::new("headless-port-ignored", LinkId::Address, title)
        .proven_by([
            view.field("spec.clusterIP", "None"),
            view.field(&format!("spec.ports[{n}]"), format!("port {number}, targetPort {resolved}, {protocol}")),
            Evidence::new(pod_object(first), "spec.containers[*].ports", declared(first)),
        ])
        .leads_to(words!(
            "DNS answers with the pods' addresses, and clients connect to {number} there",
            "DNS 返回 Pod 地址，客户端连接其端口 {number}"
        ))
        .leads_to(words!("connections are refused", "连接被拒绝"))
        .remedy(
            words!("Let clients use port {resolved}.", "让客户端使用端口 {resolved}。"),
            [view.kubectl(&format!("get endpointslices -l kubernetes.io/service-name={service}"))],
        )
        .remedy(
            words!(
                "Or make a Service with a cluster IP beside it, whose port is translated.",
                "或另建一个带集群 IP 的 Service，由它转换端口。"
            ),
            [view.kubectl(&format!(
                "expose service {service} --name {service}-vip --port {number} --target-port {resolved}"
            ))],
        );
    Some(finding)
}

/// Whether a container of the pod declares the port.
fn declares(pod: &Pod, number: u16, protocol: Protocol) -> bool {
    let containers = pod.spec.as_ref().map(|spec| &spec.containers);
    let mut ports = containers.into_iter().flatten().flat_map(|container| container.ports.iter().flatten());
    ports.any(|port| port.container_port == i32::from(number) && Protocol::of(port.protocol.as_deref()) == protocol)
}

fn declared(pod: &Pod) -> String {
    let containers = pod.spec.as_ref().map(|spec| &spec.containers);
    let ports = containers.into_iter().flatten().flat_map(|container| container.ports.iter().flatten());
    let ports: Vec<String> = ports.map(|port| port.container_port.to_string()).collect();
    if ports.is_empty() { "(none)".to_owned() } else { ports.join(", ") }
}

/// Whether a socket of the pod is known to listen there.
fn listens(view: &View<'_>, pod: &Pod, number: u16) -> bool {
    let own = Owner::Pod { namespace: view.namespace().to_owned(), name: name(pod).to_owned() };
    let evidence = pod::node(pod).and_then(|node| view.index.evidence(node));
    let sockets = evidence.into_iter().flat_map(|evidence| &evidence.sockets).filter(|sockets| sockets.owner == own);
    sockets.flat_map(|sockets| &sockets.listening).any(|socket| socket.port == number)
}
