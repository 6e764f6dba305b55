//! Annotations of the clouds.

use super::{AWS, BALANCER, PLAIN, Row, annotated, rule, under};

const AZURE: &str = "service.beta.kubernetes.io/azure-";

/// The same annotations twice: bad and good.
fn annotations(code: &'static str, bad: &str, good: &str) -> Row {
    rule(code, annotated(bad, BALANCER), annotated(good, BALANCER))
}

pub(super) fn rows() -> Vec<Row> {
    let aws = |code, bad: &str, good: &str| annotations(code, &under(AWS, bad), &under(AWS, good));
    let azure = |code, bad: &str, good: &str| annotations(code, &under(AZURE, bad), &under(AZURE, good));
    let gcp = |code, bad: &str, good: &str| annotations(code, &under("", bad), &under("", good));
    let mut rows = vec![
        aws("annotation-unknown", "frobnicate=1", "type=nlb"),
        aws("annotation-misspelt", "shceme=internal", "scheme=internal"),
        gcp(
            "annotation-misspelt",
            "service.kubernetes.io/azure-load-balancer-internal=true",
            "service.beta.kubernetes.io/azure-load-balancer-internal=true",
        ),
        gcp(
            "annotation-misspelt",
            "service.beta.kubernetes.io/asw-load-balancer-scheme=internal",
            "service.beta.kubernetes.io/do-loadbalancer-protocol=http",
        ),
        aws("annotation-deprecated", "type=nlb-ip", "type=external;nlb-target-type=ip"),
        aws(
            "annotation-deprecated",
            "type=external;cross-zone-load-balancing-enabled=true",
            "type=nlb;cross-zone-load-balancing-enabled=true",
        ),
        gcp(
            "annotation-deprecated",
            "cloud.google.com/load-balancer-type=Internal",
            "networking.gke.io/load-balancer-type=Internal",
        ),
        gcp(
            "annotation-deprecated",
            "service.beta.kubernetes.io/load-balancer-source-ranges=10.0.0.0/8",
            "example.com/a=b",
        ),
        rule(
            "annotation-without-balancer",
            annotated(&under(AWS, "type=nlb"), PLAIN),
            annotated(&under("", "cloud.google.com/neg={\\\"ingress\\\": true}"), PLAIN),
        ),
        rule(
            "annotation-contradiction",
            annotated(
                &under(AWS, "scheme=internal"),
                "{type: LoadBalancer, loadBalancerClass: example.com/lb, selector: {app: web}, ports: [{port: 80}]}",
            ),
            annotated(
                &under(AWS, "scheme=internal"),
                "{type: LoadBalancer, loadBalancerClass: service.k8s.aws/nlb, selector: {app: web}, ports: [{port: 80}]}",
            ),
        ),
        rule(
            "annotation-contradiction",
            annotated(
                "networking.gke.io/load-balancer-type: Internal",
                "{type: LoadBalancer, loadBalancerClass: networking.gke.io/l4-regional-external, selector: {app: web}, ports: [{port: 80}]}",
            ),
            annotated(
                "networking.gke.io/load-balancer-type: Internal",
                "{type: LoadBalancer, loadBalancerClass: networking.gke.io/l4-regional-internal, selector: {app: web}, ports: [{port: 80}]}",
            ),
        ),
        rule(
            "annotation-contradiction",
            annotated(
                &under(AWS, "type=nlb"),
                "{type: LoadBalancer, sessionAffinity: ClientIP, selector: {app: web}, ports: [{port: 80}]}",
            ),
            annotated(
                &under(AWS, "type=external"),
                "{type: LoadBalancer, sessionAffinity: ClientIP, selector: {app: web}, ports: [{port: 80}]}",
            ),
        ),
        rule(
            "annotation-contradiction",
            annotated(
                &under(AWS, "healthcheck-protocol=TCP"),
                "{type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80}]}",
            ),
            annotated(&under(AWS, "healthcheck-protocol=TCP"), BALANCER),
        ),
    ];
    for (bad, good) in [
        ("type=nbl", "type=nlb"),
        ("scheme=public", "scheme=internet-facing"),
        ("healthcheck-interval=2", "healthcheck-interval=30"),
        ("healthcheck-interval=ten", "healthcheck-interval=300"),
        ("ssl-cert=my-cert", "ssl-cert=arn:aws:acm:eu-west-1:123456789012:certificate/abc"),
        ("proxy-protocol=true", "proxy-protocol=*"),
        ("eip-allocations=eip-1", "eip-allocations=eipalloc-1,eipalloc-2"),
        ("healthcheck-port=http", "healthcheck-port=traffic-port"),
        ("name=a_b", "name=a-b"),
        ("healthcheck-success-codes=ok", "healthcheck-success-codes=200-399"),
        ("cross-zone-load-balancing-enabled=yes", "cross-zone-load-balancing-enabled=true"),
        ("private-ipv4-addresses=10.0.0", "private-ipv4-addresses=10.0.0.1, 10.0.0.2"),
    ] {
        rows.push(aws("annotation-value", bad, good));
    }
    for (bad, good) in [
        ("load-balancer-tcp-idle-timeout=2", "load-balancer-tcp-idle-timeout=30"),
        ("load-balancer-internal=yes", "load-balancer-internal=True"),
        ("dns-label-name=My_Label", "dns-label-name=my-label"),
        ("pip-prefix-id=prefix", "pip-prefix-id=/subscriptions/a/resourceGroups/b/providers/c"),
        ("allowed-ip-ranges=10.0.0.0/33", "allowed-ip-ranges=10.0.0.0/8,2001:db8::/32"),
        ("load-balancer-health-probe-request-path=healthz", "load-balancer-health-probe-request-path=/healthz"),
    ] {
        rows.push(azure("annotation-value", bad, good));
    }
    for (bad, good) in [
        ("cloud.google.com/network-tier=standard", "cloud.google.com/network-tier=Standard"),
        ("cloud.google.com/neg=true", "cloud.google.com/neg={\\\"ingress\\\": true}"),
        ("cloud.google.com/load-balancer-type=External", "cloud.google.com/load-balancer-type=Internal"),
    ] {
        rows.push(gcp("annotation-value", bad, good));
    }
    for (bad, good) in [
        ("internal=true;scheme=internet-facing", "internal=true;scheme=internal"),
        ("scheme=internal;eip-allocations=eipalloc-1", "scheme=internet-facing;eip-allocations=eipalloc-1"),
        ("type=external;eip-allocations=eipalloc-1", "type=external;scheme=internet-facing;eip-allocations=eipalloc-1"),
        ("scheme=internet-facing;private-ipv4-addresses=10.0.0.1", "scheme=internal;private-ipv4-addresses=10.0.0.1"),
        ("ipv6-addresses=2001:db8::1", "ipv6-addresses=2001:db8::1;ip-address-type=dualstack"),
        ("subnets=a,b;eip-allocations=eipalloc-1", "subnets=a,b;eip-allocations=eipalloc-1,eipalloc-2"),
        (
            "ssl-cert=arn:aws:acm:a:1:certificate/b;ssl-ports=https",
            "ssl-cert=arn:aws:acm:a:1:certificate/b;ssl-ports=http",
        ),
        ("healthcheck-interval=5;healthcheck-timeout=10", "healthcheck-interval=10;healthcheck-timeout=5"),
        ("proxy-protocol=*;target-group-attributes=proxy_protocol_v2.enabled=false", "proxy-protocol=*"),
        ("type=nlb;extra-security-groups=sg-1", "extra-security-groups=sg-1"),
        ("type=external;backend-protocol=http", "type=external;backend-protocol=ssl"),
    ] {
        rows.push(aws("annotation-contradiction", bad, good));
    }
    for (bad, good) in [
        ("load-balancer-internal=true;pip-name=a", "load-balancer-internal=false;pip-name=a"),
        (
            "load-balancer-health-probe-interval=60;load-balancer-health-probe-num-of-probe=3",
            "load-balancer-health-probe-interval=60",
        ),
        ("deny-all-except-load-balancer-source-ranges=true", "deny-all-except-load-balancer-source-ranges=false"),
        ("pls-create=true;pls-auto-approval=a", "pls-create=true;pls-auto-approval=a;pls-visibility=*"),
    ] {
        rows.push(azure("annotation-contradiction", bad, good));
    }
    rows.push(gcp(
        "annotation-contradiction",
        "networking.gke.io/load-balancer-type=Internal;cloud.google.com/network-tier=Standard",
        "cloud.google.com/network-tier=Standard",
    ));
    for (bad, good) in [
        ("type=nlb;scheme=internal", "type=nlb;internal=true"),
        ("type=external;connection-idle-timeout=60", "connection-idle-timeout=60"),
        ("type=nlb;proxy-protocol=*", "proxy-protocol=*"),
        ("ssl-ports=http", "ssl-ports=http;ssl-cert=arn:aws:acm:a:1:certificate/b"),
        ("healthcheck-protocol=tcp;healthcheck-path=/", "healthcheck-protocol=http;healthcheck-path=/"),
        (
            "type=external;nlb-target-type=ip;target-node-labels=a=b",
            "type=external;nlb-target-type=instance;target-node-labels=a=b",
        ),
    ] {
        rows.push(aws("annotation-ignored", bad, good));
    }
    for (bad, good) in [
        ("load-balancer-internal-subnet=a", "load-balancer-internal=true;load-balancer-internal-subnet=a"),
        ("pls-name=a", "pls-create=true;pls-name=a"),
        ("pip-name=a;pip-prefix-id=/subscriptions/b", "pip-name=a"),
    ] {
        rows.push(azure("annotation-ignored", bad, good));
    }
    rows.push(gcp(
        "annotation-ignored",
        "service.beta.kubernetes.io/port_443_no_lb_rule=true",
        "service.beta.kubernetes.io/port_80_no_lb_rule=true",
    ));
    rows.push(gcp(
        "annotation-ignored",
        "networking.gke.io/internal-load-balancer-allow-global-access=true",
        "networking.gke.io/load-balancer-type=Internal;networking.gke.io/internal-load-balancer-allow-global-access=true",
    ));
    rows
}
