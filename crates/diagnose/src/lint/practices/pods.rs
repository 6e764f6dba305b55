//! Of pods, and of pods as what stands behind a Service.

use k8s_openapi::{
    api::core::v1::{Container, PodSpec, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use portolan_objects::{pod, service};

use crate::{
    lint::{
        Sink,
        world::{Maker, Served},
    },
    words::words,
};

/// Seconds between SIGTERM and SIGKILL where a pod does not say.
const GRACE: i64 = 30;
/// A balancer or a proxy needs this long to stop sending, and often longer.
const SHORT_GRACE: i64 = 5;

/// What a Service asks of its pods.
pub(super) fn behind(served: &Served<'_>, makers: &[&Maker<'_>], sink: &mut Sink) {
    for maker in makers.iter().filter(|maker| maker.is_server()) {
        let Some(spec) = maker.spec() else { continue };
        readiness(served, maker, spec, sink);
        if service::wants_external(&served.service) || service::has_node_ports(&served.service) {
            draining(served, maker, spec, sink);
        }
        if service::external_local(&served.service) {
            spread(served, maker, spec, sink);
        }
    }
}

fn readiness(served: &Served<'_>, maker: &Maker<'_>, spec: &PodSpec, sink: &mut Sink) {
    let gates = spec.readiness_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    let probed = spec.containers.iter().chain(sidecars(spec)).any(|container| container.readiness_probe.is_some());
    if gates || probed || service::publishes_not_ready(&served.service) || spec.containers.is_empty() {
        return;
    }
    let service = served.object;
    let message = words!(
        "no readinessProbe: {service} sends traffic as soon as the process starts, and goes on when it hangs",
        "没有 readinessProbe：进程一启动 {service} 就会发来流量，进程卡住时也不会停止"
    );
    let remedy = words!(
        "Give the container that serves a readinessProbe on the port that the Service leads to.",
        "为提供服务的容器在 Service 指向的端口上配置 readinessProbe。"
    );
    sink.about(
        "practice-readiness-probe-missing",
        maker.object,
        &maker.field("spec.containers"),
        message,
        Some(remedy),
    );
}

fn sidecars(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().filter(|container| pod::is_sidecar(container))
}

/// From outside, traffic still comes while a pod ends.
fn draining(served: &Served<'_>, maker: &Maker<'_>, spec: &PodSpec, sink: &mut Sink) {
    let service = served.object;
    let grace = spec.termination_grace_period_seconds.unwrap_or(GRACE);
    if grace < SHORT_GRACE {
        let message = words!(
            "pods end within {grace} s, sooner than proxies and balancers stop sending to them through {service}",
            "Pod 在 {grace} 秒内结束，早于代理和负载均衡器停止经 {service} 发来流量"
        );
        let remedy = words!(
            "Give terminationGracePeriodSeconds 30 or more, and let the process finish its connections after SIGTERM.",
            "将 terminationGracePeriodSeconds 设为 30 或更大，并让进程在收到 SIGTERM 后处理完连接。"
        );
        let field = maker.field("spec.terminationGracePeriodSeconds");
        return sink.about("practice-grace-too-short", maker.object, &field, message, Some(remedy));
    }
    if !service::is_load_balancer(&served.service) {
        return;
    }
    let waits = spec
        .containers
        .iter()
        .any(|container| container.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.pre_stop.is_some()));
    if !waits {
        let message = words!(
            "no preStop: after SIGTERM the balancer of {service} still sends for some seconds, and a process that exits at once loses them",
            "没有 preStop：收到 SIGTERM 后 {service} 的负载均衡器仍会发来几秒流量，立即退出的进程会丢失这些连接"
        );
        let remedy = words!(
            "Add preStop: sleep for as long as the balancer's health check takes, unless the process drains by itself.",
            "添加 preStop: sleep，时长取负载均衡器健康检查所需的时间；进程自己会排空连接则不需要。"
        );
        sink.about("practice-no-pre-stop", maker.object, &maker.field("spec.containers"), message, Some(remedy));
    }
}

/// With the policy Local, a node without a pod takes no traffic, and a node with two gets no more than one with one.
fn spread(served: &Served<'_>, maker: &Maker<'_>, spec: &PodSpec, sink: &mut Sink) {
    let several = maker.object.kind != "DaemonSet" && maker.replicas.is_some_and(|replicas| replicas > 1);
    let apart = spec.topology_spread_constraints.as_ref().is_some_and(|constraints| !constraints.is_empty())
        || spec.affinity.as_ref().is_some_and(|affinity| affinity.pod_anti_affinity.is_some());
    if !several || apart {
        return;
    }
    let service = served.object;
    let message = words!(
        "{service} has externalTrafficPolicy Local, and nothing keeps these pods on different nodes: balancers share traffic by node, not by pod",
        "{service} 的 externalTrafficPolicy 为 Local，而没有设置把这些 Pod 分散到不同节点：负载均衡器按节点而非按 Pod 分配流量"
    );
    let remedy = words!(
        "Add topologySpreadConstraints over kubernetes.io/hostname, or podAntiAffinity.",
        "添加基于 kubernetes.io/hostname 的 topologySpreadConstraints，或 podAntiAffinity。"
    );
    sink.about("practice-local-policy-spread", maker.object, &maker.field("spec"), message, Some(remedy));
}

/// What needs no Service to be wrong.
pub(super) fn alone(maker: &Maker<'_>, sink: &mut Sink) {
    let Some(spec) = maker.spec() else { return };
    for (index, container) in spec.containers.iter().enumerate() {
        let field = maker.field(&format!("spec.containers[{index}]"));
        host_ports(maker, spec, container, &field, sink);
        let probes = [
            ("readinessProbe", &container.readiness_probe),
            ("livenessProbe", &container.liveness_probe),
            ("startupProbe", &container.startup_probe),
        ];
        for (name, probe) in probes {
            if let Some(probe) = probe {
                probe_port(maker, container, probe, &format!("{field}.{name}"), sink);
            }
        }
        pre_stop(maker, spec, container, &field, sink);
    }
}

fn host_ports(maker: &Maker<'_>, spec: &PodSpec, container: &Container, field: &str, sink: &mut Sink) {
    if spec.host_network == Some(true) || matches!(maker.object.kind.as_str(), "DaemonSet" | "Pod") {
        return;
    }
    let ports = container.ports.iter().flatten().enumerate();
    for (index, port) in ports {
        let Some(number) = port.host_port.filter(|port| *port > 0) else { continue };
        let kind = &maker.object.kind;
        let message = words!(
            "hostPort {number} in a {kind}: one pod per node at most, and a rolling update waits for a free node",
            "{kind} 使用 hostPort {number}：每个节点最多一个 Pod，滚动更新需要等待空闲节点"
        );
        let remedy = words!(
            "Use a Service of type NodePort or LoadBalancer; keep hostPort for DaemonSets.",
            "改用 NodePort 或 LoadBalancer 类型的 Service；hostPort 只用于 DaemonSet。"
        );
        let field = format!("{field}.ports[{index}].hostPort");
        sink.about("practice-host-port", maker.object, &field, message, Some(remedy));
    }
}

/// A probe that names a port which the container does not declare never runs.
fn probe_port(maker: &Maker<'_>, container: &Container, probe: &Probe, field: &str, sink: &mut Sink) {
    let http = probe.http_get.as_ref().map(|get| ("httpGet", &get.port));
    let tcp = probe.tcp_socket.as_ref().map(|socket| ("tcpSocket", &socket.port));
    let Some((how, IntOrString::String(name))) = http.or(tcp) else { return };
    let declared = container.ports.iter().flatten().any(|port| port.name.as_ref() == Some(name));
    if declared || name.parse::<u16>().is_ok() {
        return;
    }
    let names: Vec<&str> = container.ports.iter().flatten().filter_map(|port| port.name.as_deref()).collect();
    let container = &container.name;
    let message = words!(
        "the probe asks port {name}, which container {container} does not declare: it always fails",
        "探针使用端口 {name}，但容器 {container} 没有声明它：探测总是失败"
    );
    let list = names.join(", ");
    let remedy = match names.is_empty() {
        true => words!(
            "Give the probe a number, or name the port in the container.",
            "在探针中写端口号，或在容器中为端口命名。"
        ),
        false => words!("Its ports are named {list}.", "它的端口名是 {list}。"),
    };
    sink.about("probe-port-not-declared", maker.object, &format!("{field}.{how}.port"), message, Some(remedy));
}

/// A preStop that outlasts the grace period is cut off, and the process is killed without a SIGTERM of its own.
fn pre_stop(maker: &Maker<'_>, spec: &PodSpec, container: &Container, field: &str, sink: &mut Sink) {
    let lifecycle = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    let Some(hook) = lifecycle else { return };
    let command = hook.exec.as_ref().and_then(|exec| exec.command.as_ref());
    let seconds = hook.sleep.as_ref().map(|sleep| sleep.seconds).or_else(|| slept(command?));
    let grace = spec.termination_grace_period_seconds.unwrap_or(GRACE);
    let Some(seconds) = seconds.filter(|seconds| *seconds >= grace) else { return };
    let message = words!(
        "preStop sleeps {seconds} s of a grace period of {grace} s: the process is killed before it can end by itself",
        "preStop 休眠 {seconds} 秒，而宽限期只有 {grace} 秒：进程还没来得及结束就会被杀死"
    );
    let remedy = words!(
        "Make terminationGracePeriodSeconds longer than preStop and the process's own end together.",
        "让 terminationGracePeriodSeconds 大于 preStop 与进程自身结束时间之和。"
    );
    sink.about(
        "practice-pre-stop-too-long",
        maker.object,
        &format!("{field}.lifecycle.preStop"),
        message,
        Some(remedy),
    );
}

/// `sleep 20`, `["sh", "-c", "sleep 20"]`.
fn slept(command: &[String]) -> Option<i64> {
    let joined = command.join(" ");
    let words: Vec<&str> = joined.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "sleep" || word.ends_with("/sleep"))?;
    let seconds = words.get(place + 1)?;
    seconds.trim_end_matches(['s', ';', '"', '\'']).parse().ok()
}
