#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;

fn lines(rendered: &Rendered) -> Vec<&str> {
    rendered.texts.iter().flat_map(|text| text.lines()).collect()
}

fn of_service(value: Value) -> Rendered {
    service(serde_json::from_value(value).unwrap())
}

#[test]
fn a_balancer_has_one_series_for_each_of_its_addresses() {
    let rendered = of_service(json!({
        "metadata": {
            "namespace": "shop", "name": "web", "uid": "u1", "creationTimestamp": "2026-01-02T03:04:05Z",
            "deletionTimestamp": "2026-01-02T03:05:05Z",
            "labels": {"app": "web", "portolan.dev/may-be-empty": "true"},
        },
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.96.0.7", "externalTrafficPolicy": "Local",
            "externalIPs": ["192.0.2.1"],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}, {"hostname": "lb.example"}]}},
    }));
    let id = r#"namespace="shop",service="web",uid="u1""#;
    let expected = [
        format!(
            r#"kube_service_info{{{id},cluster_ip="10.96.0.7",external_name="",load_balancer_ip="",external_traffic_policy="Local"}} 1"#
        ),
        format!("kube_service_created{{{id}}} 1.767323045e+09"),
        format!(r#"kube_service_spec_type{{{id},type="LoadBalancer"}} 1"#),
        format!(r#"kube_service_labels{{{id},label_portolan_dev_may_be_empty="true"}} 1"#),
        format!(r#"kube_service_spec_external_ip{{{id},external_ip="192.0.2.1"}} 1"#),
        format!(r#"kube_service_status_load_balancer_ingress{{{id},ip="203.0.113.1",hostname=""}} 1"#),
        format!(r#"kube_service_status_load_balancer_ingress{{{id},ip="",hostname="lb.example"}} 1"#),
        format!("kube_service_deletion_timestamp{{{id}}} 1.767323105e+09"),
    ];
    assert_eq!(lines(&rendered), expected);
}

#[test]
fn a_pending_balancer_has_no_series_of_ingress() {
    let rendered = of_service(json!({"metadata": {"name": "web"}, "spec": {"type": "LoadBalancer"}}));
    assert!(lines(&rendered).iter().all(|line| !line.starts_with("kube_service_status_load_balancer_ingress")));
}

#[test]
fn a_slice_has_a_series_for_each_address_and_the_label_of_its_service() {
    let rendered = slice(
        serde_json::from_value(json!({
            "metadata": {
                "namespace": "shop", "name": "web-x",
                "labels": {
                    "kubernetes.io/service-name": "web", "other": "x",
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                },
            },
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": ["10.244.1.2"], "conditions": {"ready": true, "serving": true, "terminating": false},
                    "nodeName": "node1", "zone": "a", "targetRef": {"kind": "Pod", "name": "p", "namespace": "shop"},
                    "hints": {"forZones": [{"name": "a"}, {"name": "b"}]}, "hostname": "p-0",
                },
                {"addresses": ["10.244.1.3", "10.244.1.4"]},
            ],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {"port": null, "name": ""}],
        }))
        .unwrap(),
    );
    let id = r#"endpointslice="web-x",namespace="shop""#;
    let unknown = r#"ready="",serving="",hostname="",terminating="",targetref_kind="",targetref_name="",targetref_namespace="",endpoint_nodename="",endpoint_zone="""#;
    let expected = [
        format!(r#"kube_endpointslice_info{{{id},addresstype="IPv4"}} 1"#),
        format!(r#"kube_endpointslice_endpoints_hints{{{id},address="10.244.1.2",for_zone="a"}} 1"#),
        format!(r#"kube_endpointslice_endpoints_hints{{{id},address="10.244.1.2",for_zone="b"}} 1"#),
        format!(
            r#"kube_endpointslice_endpoints{{{id},ready="true",serving="false",hostname="",terminating="p-0",targetref_kind="Pod",targetref_name="p",targetref_namespace="shop",endpoint_nodename="node1",endpoint_zone="a",address="10.244.1.2"}} 1"#
        ),
        format!(r#"kube_endpointslice_endpoints{{{id},{unknown},address="10.244.1.3"}} 1"#),
        format!(r#"kube_endpointslice_endpoints{{{id},{unknown},address="10.244.1.4"}} 1"#),
        format!(r#"kube_endpointslice_ports{{{id},port_name="http",port_protocol="TCP",port_number="80"}} 1"#),
        format!(r#"kube_endpointslice_ports{{{id},port_name="",port_protocol="",port_number=""}} 1"#),
        format!(
            r#"kube_endpointslice_labels{{{id},label_endpointslice_kubernetes_io_managed_by="endpointslice-controller.k8s.io",label_kubernetes_io_service_name="web"}} 1"#
        ),
    ];
    assert_eq!(lines(&rendered), expected);
}

#[test]
fn endpoints_have_a_series_for_each_address_and_port() {
    let rendered = endpoints(
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "web"},
            "subsets": [{
                "addresses": [{"ip": "10.0.0.1"}], "notReadyAddresses": [{"ip": "10.0.0.2"}],
                "ports": [{"name": "a", "port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
            }],
        }))
        .unwrap(),
    );
    let id = r#"namespace="shop",endpoint="web""#;
    let address = |port: &str, ip: &str, ready: &str| {
        format!(r#"kube_endpoint_address{{{id},{port},ip="{ip}",ready="{ready}"}} 1"#)
    };
    let (tcp, udp) = (
        r#"port_protocol="TCP",port_number="80",port_name="a""#,
        r#"port_protocol="UDP",port_number="53",port_name="""#,
    );
    let expected = [
        format!("kube_endpoint_info{{{id}}} 1"),
        address(tcp, "10.0.0.1", "true"),
        address(tcp, "10.0.0.2", "false"),
        address(udp, "10.0.0.1", "true"),
        address(udp, "10.0.0.2", "false"),
        format!(r#"kube_endpoint_ports{{{id},port_name="a",port_protocol="TCP",port_number="80"}} 1"#),
        format!(r#"kube_endpoint_ports{{{id},port_name="",port_protocol="UDP",port_number="53"}} 1"#),
    ];
    assert_eq!(lines(&rendered), expected);
}

#[test]
fn empty_objects_are_rendered() {
    assert_eq!(service(Service::default()).texts.len(), SERVICES.len());
    assert_eq!(slice(EndpointSlice::default()).texts.len(), SLICES.len());
    assert_eq!(endpoints(Endpoints::default()).texts.len(), ENDPOINTS.len());
}
