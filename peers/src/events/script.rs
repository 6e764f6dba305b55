//! The provocations, one namespace each.

use std::time::Duration;

use serde_json::{Value, json};

use crate::request::{self, Request, Verb};

/// One thing to do.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Send these one after the other.
    Do(Vec<Request>),
    /// Refuse an operation on `endpoints` or `endpointslices` in the namespace from now on.
    Deny { resource: &'static str, operation: &'static str },
    /// Let time pass in which something is tried again.
    Wait(Duration),
}

/// The scenario that makes the nodes of all the others.
pub(super) const NODES: &str = "nodes";

/// A provocation.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    /// Its name, and its namespace.
    pub name: &'static str,
    /// What to do, with rest after each.
    pub actions: Vec<Action>,
    /// What ends the retries.
    pub end: Vec<Request>,
}

/// All of them. They share the nodes, so the order counts.
pub(super) fn scenarios() -> Vec<Scenario> {
    let mut all = vec![three_zones()];
    all.extend(missing_nodes());
    all.extend(hints());
    all.extend(refused());
    all.extend(mirrored());
    all.push(terminating());
    all
}

fn scenario(name: &'static str, actions: Vec<Action>) -> Scenario {
    let end = vec![Request::delete(request::SERVICES, name, "s", None)];
    Scenario { name, actions, end }
}

fn one(request: Request) -> Action {
    Action::Do(vec![request])
}

fn node(name: &str, zone: Option<&str>, ready: bool, cpu: &str) -> Action {
    let status = json!({
        "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
        "allocatable": {"cpu": cpu},
    });
    let labels = zone.map_or(json!({}), |zone| json!({"topology.kubernetes.io/zone": zone}));
    Action::Do(vec![
        Request::create(request::NODES, "", name, json!({"metadata": {"labels": labels}})),
        Request::status(request::NODES, "", name, status),
    ])
}

fn no_node(name: &str) -> Action {
    one(Request::delete(request::NODES, "", name, None))
}

fn service(namespace: &str, annotations: Value, spec: Value) -> Action {
    let mut all = json!({"selector": {"app": "s"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]});
    if let (Some(all), Some(spec)) = (all.as_object_mut(), spec.as_object()) {
        all.extend(spec.clone());
    }
    let body = json!({"metadata": {"annotations": annotations}, "spec": all});
    one(Request::create(request::SERVICES, namespace, "s", body))
}

fn change(namespace: &str, body: Value) -> Action {
    one(Request::merge(request::SERVICES, namespace, "s", body))
}

/// Makes the controllers look at the Service again.
fn touch(namespace: &str, value: &str) -> Action {
    change(namespace, json!({"metadata": {"annotations": {"touched": value}}}))
}

fn pod(namespace: &str, number: u32, node: &str, port: u32) -> Action {
    let name = format!("p{number}");
    let body = json!({
        "metadata": {"labels": {"app": "s"}},
        "spec": {
            "nodeName": node, "automountServiceAccountToken": false,
            "containers": [{"name": "main", "image": "image", "ports": [{"name": "http", "containerPort": port}]}],
        },
    });
    let (four, six) = (format!("10.244.7.{number}"), format!("fd10:244::7:{number:x}"));
    let status = json!({
        "phase": "Running", "podIP": four, "podIPs": [{"ip": four}, {"ip": six}],
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    });
    Action::Do(vec![
        Request::create(request::PODS, namespace, &name, body),
        Request::status(request::PODS, namespace, &name, status),
    ])
}

fn pods(namespace: &str, nodes: &[&str]) -> Vec<Action> {
    (1..).zip(nodes).map(|(number, node)| pod(namespace, number, node, 8080)).collect()
}

fn unready(namespace: &str, number: u32) -> Action {
    let condition = json!([{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:01:00Z"}]);
    one(Request::status(request::PODS, namespace, &format!("p{number}"), json!({"conditions": condition})))
}

fn auto() -> Value {
    json!({"service.kubernetes.io/topology-mode": "Auto"})
}

fn three_zones() -> Scenario {
    let actions =
        vec![node("n1", Some("z1"), true, "4"), node("n2", Some("z2"), true, "4"), node("n3", Some("z3"), true, "4")];
    scenario(NODES, actions)
}

fn missing_nodes() -> Vec<Scenario> {
    let retried = Action::Wait(Duration::from_secs(4));
    // Eleven messages for one object, one pod after the other: from the tenth on they are combined.
    let name = "many-missing";
    let mut crowd = vec![service(name, json!({}), json!({}))];
    for number in 1..12 {
        let Action::Do(mut requests) = pod(name, number, &format!("nowhere{number}"), 8080) else { continue };
        if number > 1 {
            requests.insert(0, Request::delete(request::PODS, name, &format!("p{}", number - 1), Some(0)));
        }
        crowd.push(Action::Do(requests));
    }
    vec![
        scenario(
            "missing-node",
            vec![
                service("missing-node", json!({}), json!({})),
                pod("missing-node", 1, "nowhere", 8080),
                retried.clone(),
            ],
        ),
        scenario(
            "missing-node-dual",
            vec![
                service("missing-node-dual", json!({}), json!({"ipFamilyPolicy": "RequireDualStack"})),
                pod("missing-node-dual", 1, "nowhere", 8080),
                pod("missing-node-dual", 2, "nowhere", 8080),
                retried,
            ],
        ),
        scenario(name, crowd),
    ]
}

fn hints() -> Vec<Scenario> {
    let with = |name: &'static str, nodes: &[&str], rest: Vec<Action>| {
        let mut actions = pods(name, nodes);
        actions.push(service(name, auto(), json!({})));
        actions.extend(rest);
        scenario(name, actions)
    };
    let all = ["n1", "n2", "n3"];
    let six = ["n1", "n2", "n3", "n1", "n2", "n3"];
    let off =
        |name: &str| change(name, json!({"metadata": {"annotations": {"service.kubernetes.io/topology-mode": null}}}));
    let dual = {
        let name = "hints-dual";
        let mut actions = pods(name, &six);
        actions.push(service(name, auto(), json!({"ipFamilyPolicy": "RequireDualStack"})));
        actions.push(off(name));
        scenario(name, actions)
    };
    vec![
        with("hints-on-off", &six, vec![touch("hints-on-off", "1"), off("hints-on-off"), touch("hints-on-off", "2")]),
        dual,
        with("hints-few", &["n1", "n2"], vec![touch("hints-few", "1")]),
        with("hints-none", &[], Vec::new()),
        // Four endpoints in three equal zones: each needs at least two.
        with("hints-overload", &["n1", "n2", "n3", "n1"], Vec::new()),
        with(
            "hints-lost",
            &six,
            vec![
                node("n4", None, true, "4"),
                touch("hints-lost", "1"),
                touch("hints-lost", "2"),
                no_node("n4"),
                touch("hints-lost", "3"),
            ],
        ),
        with(
            "hints-no-zone",
            &six,
            vec![
                node("n5", None, false, "4"),
                pod("hints-no-zone", 7, "n5", 8080),
                touch("hints-no-zone", "1"),
                no_node("n5"),
            ],
        ),
        with("hints-one-zone", &all, vec![no_node("n2"), no_node("n3"), touch("hints-one-zone", "1")]),
        scenario("nodes-back", vec![node("n2", Some("z2"), true, "4"), node("n3", Some("z3"), true, "4")]),
        with(
            "hints-annotation-gone",
            &six,
            vec![
                change("hints-annotation-gone", json!({"spec": {"trafficDistribution": "PreferClose"}})),
                off("hints-annotation-gone"),
            ],
        ),
    ]
}

fn refused() -> Vec<Scenario> {
    let deny = |resource, operation| Action::Deny { resource, operation };
    let plain = |name| service(name, json!({}), json!({}));
    let dual = |name| service(name, json!({}), json!({"ipFamilyPolicy": "RequireDualStack"}));
    let retried = || Action::Wait(Duration::from_secs(4));
    vec![
        scenario(
            "slice-create",
            vec![
                deny("endpointslices", "CREATE"),
                pod("slice-create", 1, "n1", 8080),
                plain("slice-create"),
                retried(),
            ],
        ),
        scenario(
            "slice-create-dual",
            vec![
                deny("endpointslices", "CREATE"),
                pod("slice-create-dual", 1, "n1", 8080),
                dual("slice-create-dual"),
                retried(),
            ],
        ),
        scenario(
            "slice-update",
            vec![
                pod("slice-update", 1, "n1", 8080),
                plain("slice-update"),
                deny("endpointslices", "UPDATE"),
                unready("slice-update", 1),
                retried(),
            ],
        ),
        scenario(
            "slice-delete",
            vec![
                pod("slice-delete", 1, "n1", 8080),
                pod("slice-delete", 2, "n1", 8081),
                plain("slice-delete"),
                deny("endpointslices", "DELETE"),
                one(Request::delete(request::PODS, "slice-delete", "p2", Some(0))),
                retried(),
            ],
        ),
        scenario(
            "slice-family",
            vec![
                pod("slice-family", 1, "n1", 8080),
                dual("slice-family"),
                deny("endpointslices", "DELETE"),
                change("slice-family", json!({"spec": {"ipFamilyPolicy": "SingleStack"}})),
                retried(),
            ],
        ),
        scenario(
            "endpoints-create",
            vec![
                deny("endpoints", "CREATE"),
                pod("endpoints-create", 1, "n1", 8080),
                plain("endpoints-create"),
                retried(),
            ],
        ),
        scenario(
            "endpoints-update",
            vec![
                pod("endpoints-update", 1, "n1", 8080),
                plain("endpoints-update"),
                deny("endpoints", "UPDATE"),
                unready("endpoints-update", 1),
                retried(),
            ],
        ),
        // Says nothing: upstream only tries again.
        scenario(
            "endpoints-delete",
            vec![
                pod("endpoints-delete", 1, "n1", 8080),
                plain("endpoints-delete"),
                deny("endpoints", "DELETE"),
                one(Request::delete(request::SERVICES, "endpoints-delete", "s", None)),
                retried(),
            ],
        ),
        quota(),
    ]
}

/// A quota that nobody keeps in step, but that admission obeys.
fn quota() -> Scenario {
    let name = "slice-quota";
    let hard = json!({"count/endpointslices.discovery.k8s.io": "0", "count/endpoints": "0"});
    let path = format!("/api/v1/namespaces/{name}/resourcequotas");
    let body = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}});
    let status = json!({"status": {"hard": hard, "used": {"count/endpointslices.discovery.k8s.io": "0", "count/endpoints": "0"}}});
    let actions = vec![
        Action::Do(vec![
            Request { verb: Verb::Create, path: path.clone(), body },
            Request { verb: Verb::Merge, path: path + "/q/status", body: status },
        ]),
        pod(name, 1, "n1", 8080),
        service(name, json!({}), json!({})),
        Action::Wait(Duration::from_secs(4)),
    ];
    scenario(name, actions)
}

fn mirrored() -> Vec<Scenario> {
    let lonely = |name| service(name, json!({}), json!({"selector": null}));
    let endpoints = |count: usize| {
        let addresses: Vec<Value> =
            (0..count).map(|n| json!({"ip": format!("10.9.{}.{}", n / 250, n % 250 + 1)})).collect();
        json!({"subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]})
    };
    let make = |name: &str, body: Value| one(Request::create(request::ENDPOINTS, name, "s", body));
    let label =
        |name: &str| one(Request::merge(request::ENDPOINTS, name, "s", json!({"metadata": {"labels": {"x": "1"}}})));
    vec![
        scenario(
            "mirror-many",
            vec![lonely("mirror-many"), make("mirror-many", endpoints(1100)), label("mirror-many")],
        ),
        scenario("mirror-thousand", vec![lonely("mirror-thousand"), make("mirror-thousand", endpoints(1000))]),
        // Says nothing: the mirroring controller only tries again.
        scenario(
            "mirror-refused",
            vec![
                lonely("mirror-refused"),
                Action::Deny { resource: "endpointslices", operation: "CREATE" },
                make("mirror-refused", endpoints(3)),
                Action::Wait(Duration::from_secs(4)),
            ],
        ),
    ]
}

/// Says nothing: what cannot be created because the namespace ends is dropped.
fn terminating() -> Scenario {
    let name = "terminating";
    let external = json!({"type": "ExternalName", "externalName": "example.org"});
    let space = Request { verb: Verb::Delete, path: format!("/api/v1/namespaces/{name}"), body: json!({}) };
    let back = json!({"spec": {"type": "ClusterIP", "externalName": null}});
    scenario(name, vec![pod(name, 1, "n1", 8080), service(name, json!({}), external), one(space), change(name, back)])
}
