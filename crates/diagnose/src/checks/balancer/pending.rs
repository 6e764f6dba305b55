//! Type LoadBalancer without an external address: who should give it one, and how far did they come?
//!
//! What stands on the Service itself (conditions, the finalizer) goes before events, and events before silence.

use k8s_openapi::api::core::v1::Event;
use portolan_catalogue::vendor::Trouble;
use portolan_objects::service;

use super::{
    cause::{self, balancers, classify, inner, log},
    deletion::FINALIZER,
    nodes, others,
};
use crate::{
    Evidence, Finding, Words,
    checks::{Outcome, existence::forgotten},
    history::{age, count, evidence, last_seen, message, seconds_between},
    view::{View, name, node_ready},
    words::words,
};

/// A Service younger than this many seconds is on its way, not forgotten.
const NEW: i64 = 30;
/// Seconds that a provider may take for one balancer before anybody wonders; some clouds need more than a minute.
const LONG_CALL: i64 = 120;
/// So many attempts without an outcome are no coincidence.
const MANY: i32 = 3;
/// The condition that Portolan's controller keeps on a Service that waits.
const WHY: &str = "Why";

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if let Some(finding) = said_on_the_service(view).or_else(|| others::unsatisfied(view)) {
        return Outcome::broken(finding);
    }
    if !service::wants_external(view.service) {
        return classed(view, hints);
    }
    let attempts = Attempts::of(view);
    match (attempts.failed, attempts.ensuring, attempts.ensured) {
        (Some(failed), ensuring, _) => {
            if view.history.suppressed() && ensuring.is_some_and(|ensuring| is_later(ensuring, failed)) {
                hints.extend(forgotten(view));
            }
            Outcome::broken(failed_with(view, failed))
        }
        (None, Some(ensuring), None) => in_progress(view, ensuring, hints),
        (None, ensuring, Some(ensured)) => match ensuring.filter(|ensuring| is_later(ensuring, ensured)) {
            Some(ensuring) => in_progress(view, ensuring, hints),
            None => Outcome::broken(ensured_without_address(view, ensured)),
        },
        (None, None, None) => silent(view, hints),
    }
}

/// How far the controller came, by its events.
struct Attempts<'a> {
    ensuring: Option<&'a Event>,
    /// Not followed by a success.
    failed: Option<&'a Event>,
    ensured: Option<&'a Event>,
}

impl<'a> Attempts<'a> {
    fn of(view: &View<'a>) -> Self {
        let history = &view.history;
        let ensured = history.newest(&["EnsuredLoadBalancer", "SuccessfullyReconciled"]);
        let failed = history
            .newest(&["SyncLoadBalancerFailed", "FailedBuildModel", "FailedDeployModel"])
            .or_else(|| history.newest(&["IPNotAllocated", "AllocationFailed"]));
        let given = history.newest(&["IPAllocated"]);
        let outlived = |failed: &&Event| {
            let healed = ensured.is_some_and(|ensured| is_later(ensured, failed));
            let given_since = given.is_some_and(|given| is_later(given, failed));
            !(healed || given_since && refused(failed))
        };
        Self { ensuring: history.newest(&["EnsuringLoadBalancer"]), failed: failed.filter(outlived), ensured }
    }
}

/// An address was asked for and refused.
fn refused(event: &Event) -> bool {
    matches!(event.reason.as_deref(), Some("IPNotAllocated" | "AllocationFailed"))
}

fn is_later(one: &Event, other: &Event) -> bool {
    last_seen(one) > last_seen(other)
}

/// Portolan's controller keeps the newest cause in a condition, where no event limit can hide it.
fn said_on_the_service(view: &View<'_>) -> Option<Finding> {
    let conditions = view.service.status.as_ref()?.conditions.as_ref()?;
    let why = conditions.iter().find(|condition| condition.type_ == WHY && condition.status == "True")?;
    let said = why.message.split(". What to do: ").next().unwrap_or(&why.message);
    let trouble = match why.reason.as_str() {
        "PoolExhausted" => Trouble::Pool,
        "QuotaExceeded" => Trouble::Quota,
        "AddressConflict" => Trouble::Conflict,
        "CredentialsRejected" => Trouble::Auth,
        "Throttled" => Trouble::Throttled,
        "Timeout" => Trouble::Timeout,
        "ProviderUnreachable" => Trouble::Unreachable,
        "InvalidParameter" => Trouble::Invalid,
        _ => classify(said),
    };
    let field = format!("status.conditions[{WHY}]");
    let proof = view.field(&field, format!("{}: {}", why.reason, why.message));
    let finding = match why.reason.as_str() {
        "NoNodes" => nodes::none_eligible(view).unwrap_or_else(|| cause::finding(view, trouble, said)),
        _ => cause::finding(view, trouble, said),
    };
    let event = view.history.newest(&["SyncLoadBalancerFailed"]);
    let since = age(view.now, why.last_transition_time.0);
    let finding = finding
        .proven_by([proof])
        .proven_by(event.map(|event| evidence(event, view.now)))
        .leads_to(words!("it has waited for {since}", "已等待 {since}"));
    Some(finding.explained_by("SyncLoadBalancerFailed"))
}

fn failed_with(view: &View<'_>, event: &Event) -> Finding {
    let said = inner(message(event));
    let trouble = match classify(said) {
        // Who only says that no address could be had means the pool.
        Trouble::Other if refused(event) => Trouble::Pool,
        trouble => trouble,
    };
    // A balancer without a single node is refused by many providers in words of their own.
    let no_nodes =
        (trouble == Trouble::Other || trouble == Trouble::Invalid).then(|| nodes::none_eligible(view)).flatten();
    let finding = no_nodes.unwrap_or_else(|| cause::finding(view, trouble, said));
    let finding = finding.proven_by([evidence(event, view.now)]);
    let finding = match event.reason.as_deref() {
        Some("SyncLoadBalancerFailed") => finding.leads_to(words!(
            "the controller tries again after 5, 10, 20 ... 300 s",
            "控制器会在 5、10、20 …… 300 秒后重试"
        )),
        _ => finding,
    };
    finding.explained_by(event.reason.clone().unwrap_or_default())
}

/// The controller began, and nothing is known of the outcome.
fn in_progress(view: &View<'_>, ensuring: &Event, hints: &mut Vec<Words>) -> Outcome {
    let attempts = count(ensuring);
    let began = last_seen(ensuring).map_or(0, |seen| seconds_between(seen, view.now));
    if attempts >= MANY && view.history.hides("Warning") {
        hints.extend(forgotten(view));
        return Outcome::broken(hidden(view, ensuring));
    }
    if began < LONG_CALL {
        return Outcome::Skipped(words!(
            "the balancer controller began {began} s ago; give it a moment",
            "负载均衡控制器在 {began} 秒前开始处理，请稍候"
        ));
    }
    if let Some(finding) = nodes::none_eligible(view) {
        return Outcome::broken(finding.proven_by([evidence(ensuring, view.now)]));
    }
    hints.extend(forgotten(view));
    let since = age(view.now, last_seen(ensuring).unwrap_or(view.now));
    let title = words!(
        "the balancer controller began {since} ago and has said nothing since",
        "负载均衡控制器在 {since} 前开始处理，此后再无消息"
    );
    Outcome::broken(stuck(view, title).proven_by([evidence(ensuring, view.now)]).explained_by("EnsuringLoadBalancer"))
}

/// Attempts go on, and no outcome of any is to be seen, because the recorder drops it.
fn hidden(view: &View<'_>, ensuring: &Event) -> Finding {
    let attempts = count(ensuring);
    let title = words!(
        "{attempts} attempts to make the load balancer were begun, none succeeded, and the event limit hides why",
        "已尝试创建负载均衡器 {attempts} 次，均未成功，而失败原因被事件限流隐藏"
    );
    let limits = view.history.exhausted();
    let proof = limits.iter().map(|limit| {
        let next = limit.next();
        view.field(
            "events",
            format!("{} sent {} within {} s; the next passes after {next}", limit.source, limit.seen, limit.within),
        )
    });
    cause::pending("load-balancer-failures-hidden", view, title)
        .proven_by([evidence(ensuring, view.now)])
        .proven_by(proof)
        .leads_to(words!("the newest failure is only in the controller's log", "最新的失败只能在控制器日志中看到"))
        .remedy(
            words!("Read the controller's log: it has no such limit.", "查看控制器日志：日志没有这种限制。"),
            [format!("{} | grep {}", log(), view.name()), view.kubectl(&format!("describe service {}", view.name()))],
        )
        .explained_by("SyncLoadBalancerFailed")
}

fn stuck(view: &View<'_>, title: Words) -> Finding {
    cause::pending("load-balancer-stuck", view, title).remedy(
        words!(
            "Either a provider call takes very long, or the provider leaves this Service to another component that does not run: read the controller's log.",
            "要么云接口调用耗时过长，要么云厂商把该 Service 交给了另一个未运行的组件：请查看控制器日志。"
        ),
        [log(), view.kubectl(&format!("describe service {}", view.name()))],
    )
}

fn ensured_without_address(view: &View<'_>, ensured: &Event) -> Finding {
    let since = age(view.now, last_seen(ensured).unwrap_or(view.now));
    let title = words!(
        "the controller says since {since} that the balancer is made, but the Service has no address",
        "控制器在 {since} 前称负载均衡器已就绪，但 Service 没有地址"
    );
    let name = view.name();
    stuck(view, title)
        .proven_by([evidence(ensured, view.now)])
        .remedy(
            words!(
                "The status may have been written over: touching an annotation makes the controller write it again.",
                "状态可能被覆盖：修改一个注解会让控制器重新写入。"
            ),
            [view.kubectl(&format!("annotate service {name} portolan.dev/touched=1 --overwrite"))],
        )
        .explained_by("EnsuredLoadBalancer")
}

/// A class has its own controller, and that one only.
fn classed(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if let Some(event) = others::failure(view) {
        return Outcome::broken(failed_with(view, event));
    }
    if let Some(young) = young(view) {
        return young;
    }
    let class = view.service.spec.as_ref().and_then(|spec| spec.load_balancer_class.clone()).unwrap_or_default();
    hints.extend(forgotten(view));
    let name = view.name();
    let controller = others::of_class(view, &class);
    let proof = [view.field("spec.loadBalancerClass", class.clone())];
    if let Some(running) = controller.as_ref().and_then(|state| state.running()) {
        let title = words!(
            "{running} serves loadBalancerClass {class} and has given no address",
            "{running} 负责 loadBalancerClass {class}，但一直没有给出地址"
        );
        return Outcome::broken(
            stuck(view, title).proven_by(proof).proven_by(controller.map(|state| state.evidence())),
        );
    }
    let title = words!(
        "loadBalancerClass {class} is set, and no controller for it has answered",
        "设置了 loadBalancerClass {class}，但没有对应的控制器响应"
    );
    let finding = cause::pending("load-balancer-class-unserved", view, title)
        .subject(format!("loadbalancerclass/{class}"))
        .proven_by(proof)
        .proven_by([events_silent(view)])
        .proven_by(controller.map(|state| state.evidence()))
        .remedy(
            words!("Install or start the controller of this class.", "安装或启动该 class 的控制器。"),
            ["kubectl get pods -A | grep -i -e load -e controller".to_owned()],
        )
        .remedy(
            words!(
                "Or make the Service again without a class; the field cannot be changed. Risk: its cluster IP and node ports change.",
                "或去掉该字段后重新创建 Service（该字段不可修改）。风险：集群 IP 和 NodePort 会改变。"
            ),
            [view.kubectl(&format!("get service {name} -o yaml")), view.kubectl(&format!("delete service {name}"))],
        );
    Outcome::broken(finding)
}

fn events_silent(view: &View<'_>) -> Evidence {
    let known = view.snapshot.has_read("events");
    view.field("events", if known { "none about a load balancer" } else { "could not be read" })
}

fn young(view: &View<'_>) -> Option<Outcome> {
    let age = view.age().min(view.written());
    (age < NEW).then(|| {
        Outcome::Skipped(words!(
            "the external address was asked for {age} s ago; give it a moment",
            "外部地址在 {age} 秒前才请求，请稍候"
        ))
    })
}

/// No event says that anybody took it up.
fn silent(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if let Some(finding) = others::carriers_pending(view) {
        return Outcome::broken(finding);
    }
    if let Some(young) = young(view) {
        return young;
    }
    hints.extend(forgotten(view));
    let finalizers = view.service.metadata.finalizers.clone().unwrap_or_default();
    if finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        let title = words!(
            "a service controller took it up (its finalizer is there), and no event says what became of it",
            "service controller 已接手（finalizer 已存在），但没有事件说明结果"
        );
        let proof = [view.field("metadata.finalizers", finalizers.join(", ")), events_silent(view)];
        return Outcome::broken(stuck(view, title).proven_by(proof));
    }
    if !view.snapshot.has_read("events") {
        let title = words!(
            "there is no external address, and the events that would say why could not be read",
            "没有外部地址，而能说明原因的事件无法读取"
        );
        return Outcome::broken(stuck(view, title).proven_by([events_silent(view)]));
    }
    let controller = others::default_controller(view);
    if let Some(running) = controller.as_ref().and_then(|state| state.running()) {
        let title = words!(
            "{running} runs and has said nothing about this Service",
            "{running} 在运行，但没有处理过该 Service"
        );
        return Outcome::broken(stuck(view, title).proven_by(controller.map(|state| state.evidence())));
    }
    Outcome::broken(no_controller(view, &finalizers.join(", ")).proven_by(controller.map(|state| state.evidence())))
}

fn no_controller(view: &View<'_>, finalizers: &str) -> Finding {
    let title =
        words!("no controller has taken up this load balancer Service", "没有任何控制器处理这个 LoadBalancer Service");
    let ports: Vec<String> =
        service::ports(view.service).iter().filter_map(|port| port.node_port).map(|port| port.to_string()).collect();
    let finding = cause::pending("load-balancer-no-controller", view, title)
        .subject("controller/load-balancers")
        .proven_by([view.field("metadata.finalizers", finalizers), events_silent(view)])
        .remedy(
            words!(
                "Run a balancer controller: the cloud's controller manager, MetalLB, or `portolan controllers`.",
                "运行负载均衡控制器：云厂商的 controller manager、MetalLB 或 `portolan controllers`。"
            ),
            ["kubectl get pods -A | grep -i -e cloud-controller -e metallb".to_owned(), balancers()],
        );
    if ports.is_empty() {
        return finding;
    }
    let (ports, node) =
        (ports.join(", "), view.snapshot.nodes.iter().find(|node| node_ready(node)).map_or("NODE", name));
    finding.remedy(
        words!("Until then its node ports work: {ports}.", "在此之前可使用 NodePort：{ports}。"),
        [format!("kubectl get node {node} -o jsonpath='{{.status.addresses}}'")],
    )
}
