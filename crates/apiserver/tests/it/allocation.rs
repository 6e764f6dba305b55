//! Addresses and ports of Services as users see them: families, ranges that come and go, what is refused and how, and
//! that nothing refused or only tried holds anything.

use std::net::IpAddr;

use k8s_openapi::api::{
    core::v1::{Endpoints, Service},
    networking::v1::{IPAddress, ServiceCIDR},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use portolan_apiserver::{Config, Server};
use serde_json::{Value, json};

use super::{refusal, service};

async fn cluster(cidrs: &[&str], ports: std::ops::RangeInclusive<u16>) -> (Server, Client) {
    let service_cidrs = cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect();
    let server = Server::open(Config { service_cidrs, node_port_range: ports, ..Config::default() }).await.unwrap();
    let client = server.client("admin", &[]);
    (server, client)
}

async fn create(client: &Client, name: &str, spec: Value) -> kube::Result<Service> {
    Api::default_namespaced(client.clone()).create(&PostParams::default(), &service(name, spec)).await
}

async fn change(client: &Client, name: &str, spec: Value) -> kube::Result<Service> {
    let patch = Patch::Merge(json!({"spec": spec}));
    Api::default_namespaced(client.clone()).patch(name, &PatchParams::default(), &patch).await
}

fn addresses(service: &Service) -> Vec<IpAddr> {
    let addresses = service.spec.clone().unwrap().cluster_ips.unwrap_or_default();
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

/// (name, family label, Service) of every IPAddress but that of `kubernetes`.
async fn objects(client: &Client) -> Vec<(String, String, String)> {
    let list = Api::<IPAddress>::all(client.clone()).list(&ListParams::default()).await.unwrap();
    let row = |object: IPAddress| {
        let labels = object.metadata.labels.unwrap_or_default();
        let family = labels.get("ipaddress.kubernetes.io/ip-family").cloned().unwrap_or_default();
        (object.metadata.name.unwrap(), family, object.spec.parent_ref.name)
    };
    list.items.into_iter().map(row).filter(|(_, _, name)| name != "kubernetes").collect()
}

async fn add_range(client: &Client, name: &str, cidrs: &[&str]) {
    let range = serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"cidrs": cidrs}})).unwrap();
    Api::<ServiceCIDR>::all(client.clone()).create(&PostParams::default(), &range).await.unwrap();
}

#[tokio::test]
async fn a_dual_stack_cluster_gives_addresses_of_both_families() {
    for (cidrs, first) in [(["10.96.0.0/24", "fd00::/112"], "10.96.0.1"), (["fd00::/112", "10.96.0.0/24"], "fd00::1")] {
        let (_server, client) = cluster(&cidrs, 30000..=30010).await;
        let range = Api::<ServiceCIDR>::all(client.clone()).get("kubernetes").await.unwrap();
        assert_eq!(range.spec.unwrap().cidrs.unwrap(), cidrs);
        let own = Api::<Service>::default_namespaced(client.clone()).get("kubernetes").await.unwrap();
        assert_eq!(addresses(&own), [first.parse::<IpAddr>().unwrap()], "the first range is everybody's default");
        let spec = json!({"ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]});
        let dual = create(&client, "dual", spec).await.unwrap();
        let [one, two] = addresses(&dual)[..] else { panic!("two addresses") };
        assert_eq!((one.is_ipv6(), two.is_ipv6()), (first.contains(':'), !first.contains(':')));
        let mut expected =
            [one, two].map(|ip| (ip.to_string(), if ip.is_ipv4() { "IPv4" } else { "IPv6" }.into(), "dual".into()));
        expected.sort();
        assert_eq!(objects(&client).await, expected);
        let single = change(&client, "dual", json!({"ipFamilyPolicy": "SingleStack"})).await.unwrap();
        assert_eq!(addresses(&single), [one]);
        assert_eq!(objects(&client).await.len(), 1);
        let taken = json!({"clusterIP": two.to_string(), "ports": [{"port": 80}]});
        create(&client, "other", taken).await.unwrap();
        let again = change(&client, "dual", json!({"ipFamilyPolicy": "PreferDualStack"})).await.unwrap();
        assert_eq!(addresses(&again).len(), 2);
        assert_ne!(addresses(&again)[1], two);
    }
    for wrong in [vec!["10.0.0.0/24", "10.1.0.0/24"], vec!["fd00::/48"], vec![]] {
        let service_cidrs = wrong.iter().map(|cidr| cidr.parse().unwrap()).collect();
        assert!(Server::open(Config { service_cidrs, ..Config::default() }).await.is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn another_range_widens_and_a_range_that_goes_narrows() {
    let (_server, client) = cluster(&["10.96.0.0/30"], 30000..=30010).await;
    let plain = || json!({"ports": [{"port": 80}]});
    create(&client, "one", plain()).await.unwrap();
    assert_eq!(refusal(create(&client, "two", plain()).await), (500, "InternalError".into()));
    add_range(&client, "more", &["10.97.0.0/29"]).await;
    let two = create(&client, "two", plain()).await.unwrap();
    assert!(addresses(&two)[0].to_string().starts_with("10.97.0."), "at once, without a restart");
    let mut others = (1..7).map(|n| format!("10.97.0.{n}")).filter(|ip| *ip != addresses(&two)[0].to_string());
    let [third, fourth] = [others.next().unwrap(), others.next().unwrap()];
    let given = |address: &str| json!({"clusterIP": address, "ports": [{"port": 80}]});
    create(&client, "three", given(&third)).await.unwrap();
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Mine", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let ranges = Api::<ServiceCIDR>::all(client.clone());
    ranges.patch_status("more", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    assert_eq!(refusal(create(&client, "four", plain()).await), (500, "InternalError".into()), "one that is not ready");
    ranges.delete("more", &DeleteParams::default()).await.unwrap();
    assert_eq!(refusal(create(&client, "four", given(&fourth)).await), (422, "Invalid".into()));
    add_range(&client, "again", &["10.97.0.0/29"]).await;
    create(&client, "four", given(&fourth)).await.unwrap();
    assert_eq!(refusal(create(&client, "five", given(&third)).await).0, 422, "what was taken there is taken still");
}

#[tokio::test]
async fn an_address_object_of_a_user_reserves_the_address() {
    let (_server, client) = cluster(&["10.96.0.0/30"], 30000..=30010).await;
    let api = Api::<IPAddress>::all(client.clone());
    let parent = json!({"group": "example.com", "resource": "gateways", "namespace": "shop", "name": "door"});
    let object = serde_json::from_value(json!({"metadata": {"name": "10.96.0.2"}, "spec": {"parentRef": parent}}));
    api.create(&PostParams::default(), &object.unwrap()).await.unwrap();
    let given = json!({"clusterIP": "10.96.0.2", "ports": [{"port": 80}]});
    assert_eq!(refusal(create(&client, "web", given.clone()).await), (422, "Invalid".into()));
    assert_eq!(refusal(create(&client, "web", json!({"ports": [{"port": 80}]})).await).0, 500, "nor is it picked");
    api.delete("10.96.0.2", &DeleteParams::default()).await.unwrap();
    create(&client, "web", given).await.unwrap();
    let change = Patch::Merge(json!({"spec": {"parentRef": {"name": "other"}}}));
    assert_eq!(refusal(api.patch("10.96.0.2", &PatchParams::default(), &change).await).0, 422, "the parent stays");
}

/// (code, reason, message behind `is invalid:` or the whole message).
fn said<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String, String) {
    match result.unwrap_err() {
        kube::Error::Api(status) => {
            let message = status.message.split_once(" is invalid: ").map_or(&*status.message, |(_, rest)| rest);
            (status.code, status.reason.clone(), message.to_owned())
        }
        other => panic!("not an API error: {other:?}"),
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_word_for_word_and_holds_nothing() {
    let (_server, client) = cluster(&["10.96.0.0/29"], 30000..=30002).await;
    let held = json!({"type": "NodePort", "clusterIP": "10.96.0.2", "ports": [{"port": 80, "nodePort": 30000}]});
    create(&client, "held", held).await.unwrap();
    let port = |port: Value| json!({"type": "NodePort", "ports": [port]});
    let local = |health: Value| {
        json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": health,
        "allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}]})
    };
    let three = json!([{"name": "a", "port": 80}, {"name": "b", "port": 81}, {"name": "c", "port": 82}]);
    let rows = [
        (
            json!({"clusterIP": "10.96.0.2", "ports": [{"port": 80}]}),
            422,
            "spec.clusterIPs: Invalid value: [\"10.96.0.2\"]: failed to allocate IP 10.96.0.2: provided IP is already allocated",
        ),
        (
            json!({"clusterIP": "10.97.0.2", "ports": [{"port": 80}]}),
            422,
            "spec.clusterIPs: Invalid value: [\"10.97.0.2\"]: failed to allocate IP 10.97.0.2: the provided IP (10.97.0.2) is not in the valid range. The range of valid IPs is 10.96.0.0/29",
        ),
        (
            json!({"ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]}),
            422,
            "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services",
        ),
        (
            json!({"ipFamilies": ["IPv6"], "ports": [{"port": 80}]}),
            422,
            "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster",
        ),
        (
            port(json!({"port": 80, "nodePort": 30000})),
            422,
            "spec.ports[0].nodePort: Invalid value: 30000: provided port is already allocated",
        ),
        (
            port(json!({"port": 80, "nodePort": 30003})),
            422,
            "spec.ports[0].nodePort: Invalid value: 30003: provided port is not in the valid range. The range of valid ports is 30000-30002",
        ),
        (
            json!({"type": "NodePort", "ports": three}),
            500,
            "Internal error occurred: failed to allocate a nodePort: range is full",
        ),
        (
            local(30000.into()),
            500,
            "Internal error occurred: failed to allocate requested HealthCheck NodePort 30000: provided port is already allocated",
        ),
        (
            local(99.into()),
            500,
            "Internal error occurred: failed to allocate requested HealthCheck NodePort 99: provided port is not in the valid range. The range of valid ports is 30000-30002",
        ),
    ];
    for (spec, code, message) in rows {
        let reason = if code == 422 { "Invalid" } else { "InternalError" };
        assert_eq!(said(create(&client, "web", spec).await), (code, reason.into(), message.into()));
    }
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let api = Api::<Service>::default_namespaced(client.clone());
    for _ in 0..20 {
        api.create(&dry, &service("web", json!({"type": "NodePort", "ports": [{"port": 80}]}))).await.unwrap();
    }
    let rest = json!({"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]});
    create(&client, "rest", rest).await.expect("the two ports that are left");
    for name in ["c", "d", "e"] {
        create(&client, name, json!({"ports": [{"port": 80}]})).await.expect("the addresses that are left");
    }
    let full = "Internal error occurred: failed to allocate a serviceIP for Service \"web\": range is full";
    let web = create(&client, "web", json!({"ports": [{"port": 80}]})).await;
    assert_eq!(said(web), (500, "InternalError".into(), full.into()));
    let health = "Internal error occurred: failed to allocate a HealthCheck NodePort 0: range is full";
    api.delete("c", &DeleteParams::default()).await.unwrap();
    assert_eq!(said(create(&client, "web", local(0.into())).await), (500, "InternalError".into(), health.into()));
    create(&client, "web", json!({"ports": [{"port": 80}]})).await.expect("the address went back");
}

#[tokio::test]
async fn without_a_ready_range_nothing_is_picked() {
    let (_server, client) = cluster(&["10.96.0.0/29"], 30000..=30002).await;
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Mine", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let ranges = Api::<ServiceCIDR>::all(client.clone());
    ranges.patch_status("kubernetes", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let message = "spec.clusterIPs: Invalid value: [\"\"]: failed to allocate IP: allocator not ready";
    let web = create(&client, "web", json!({"ports": [{"port": 80}]})).await;
    assert_eq!(said(web), (422, "Invalid".into(), message.into()));
}

#[tokio::test]
async fn many_at_once_never_share() {
    let (_server, client) = cluster(&["10.96.0.0/26", "fd00::/122"], 30000..=30100).await;
    let spec = json!({"type": "NodePort", "ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]});
    let creates = (0..70).map(|index| {
        let (client, spec) = (client.clone(), spec.clone());
        async move { create(&client, &format!("web-{index}"), spec).await }
    });
    let made: Vec<Service> = futures::future::join_all(creates).await.into_iter().flatten().collect();
    assert_eq!(made.len(), 61, "62 usable IPv4 addresses, one of them that of kubernetes");
    let mut held: Vec<IpAddr> = made.iter().flat_map(addresses).collect();
    held.sort_unstable();
    held.dedup();
    assert_eq!(held.len(), 2 * made.len());
    assert_eq!(objects(&client).await.len(), held.len());
}

#[tokio::test]
async fn the_endpoints_of_a_service_go_with_it() {
    let (_server, client) = cluster(&["10.96.0.0/24"], 30000..=30002).await;
    create(&client, "web", json!({"ports": [{"port": 80}]})).await.unwrap();
    let endpoints = Api::<Endpoints>::default_namespaced(client.clone());
    let by_hand =
        json!({"metadata": {"name": "web"}, "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]});
    endpoints.create(&PostParams::default(), &serde_json::from_value(by_hand).unwrap()).await.unwrap();
    let api = Api::<Service>::default_namespaced(client);
    let gone = api.delete("web", &DeleteParams::default()).await.unwrap();
    assert_eq!(gone.left().expect("the Service as it was").metadata.name.as_deref(), Some("web"));
    assert!(endpoints.get_opt("web").await.unwrap().is_none());
    let put =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "new"}, "spec": {"ports": [{"port": 80}]}});
    let made = api.replace("new", &PostParams::default(), &serde_json::from_value(put).unwrap()).await.unwrap();
    assert_eq!(addresses(&made).len(), 1, "a PUT of a Service that is not there makes it");
}
