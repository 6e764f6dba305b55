//! Amazon. Two controllers read the same prefix and different parts of it: the service controller of cloud-provider-aws
//! makes Classic ELBs, and NLBs for type `nlb`; AWS Load Balancer Controller makes NLBs for type `external` or for its
//! load-balancer classes.

use super::{
    Annotation,
    Kind::{
        Any, AnyCase, Arns, Codes, GoBool, Ids, Int, List, Name, Pairs, Path, PortOr, Ports, Some, V4List, V6List, Word,
    },
    Provider,
    Reader::{AwsCloudProvider, AwsController},
    Tables, Text, Unread, aws_rules,
};

macro_rules! aws {
    ($short:literal) => {
        concat!("service.beta.kubernetes.io/aws-load-balancer-", $short)
    };
}
pub(super) use aws;

const BOTH: &[super::Reader] = &[AwsCloudProvider, AwsController];
const CLOUD: &[super::Reader] = &[AwsCloudProvider];
const CONTROLLER: &[super::Reader] = &[AwsController];
const ON_OFF: super::Kind = Word(&["on", "off"]);

pub(super) static TABLES: Tables =
    Tables { provider: Provider::Aws, known: KNOWN, unread: UNREAD, owns, rules: aws_rules::check };

fn owns(name: &str) -> bool {
    name.starts_with("service.beta.kubernetes.io/aws-") || name.starts_with("service.kubernetes.io/aws-")
}

const KNOWN: &[Annotation] = &[
    // Which balancer, and who makes it.
    Annotation::new(aws!("type"), Word(&["nlb", "external", "nlb-ip"]), BOTH).note(
        "A Classic ELB needs no annotation; an ALB is made from an Ingress.",
        "Classic ELB 不需要注解；ALB 由 Ingress 创建。",
    ),
    Annotation::new(aws!("nlb-target-type"), Word(&["instance", "ip"]), CONTROLLER),
    Annotation::new(aws!("name"), Name(32), CONTROLLER),
    Annotation::new(aws!("internal"), Some, BOTH),
    Annotation::new(aws!("scheme"), Word(&["internal", "internet-facing"]), CONTROLLER),
    Annotation::new(aws!("ip-address-type"), Word(&["ipv4", "dualstack"]), CONTROLLER),
    Annotation::new(aws!("attributes"), Pairs, CONTROLLER),
    Annotation::new(aws!("listener-attributes.{listener}"), Pairs, CONTROLLER),
    Annotation::new(aws!("minimum-load-balancer-capacity"), Pairs, CONTROLLER),
    Annotation::new(aws!("additional-resource-tags"), Pairs, BOTH),
    // Where it stands.
    Annotation::new(aws!("subnets"), List, BOTH),
    Annotation::new(aws!("eip-allocations"), Ids("eipalloc-"), BOTH),
    Annotation::new(aws!("eip-allocations-discovery-tags"), Pairs, CONTROLLER),
    Annotation::new(aws!("private-ipv4-addresses"), V4List, BOTH),
    Annotation::new(aws!("ipv6-addresses"), V6List, CONTROLLER),
    Annotation::new(aws!("enable-prefix-for-ipv6-source-nat"), ON_OFF, CONTROLLER),
    Annotation::new(aws!("source-nat-ipv6-prefixes"), List, CONTROLLER),
    // Who may come in.
    Annotation::new(aws!("security-groups"), List, BOTH),
    Annotation::new(aws!("extra-security-groups"), List, CLOUD),
    Annotation::new(aws!("security-group-prefix-lists"), Ids("pl-"), CONTROLLER),
    Annotation::new(aws!("manage-backend-security-group-rules"), GoBool, CONTROLLER),
    Annotation::new(aws!("inbound-sg-rules-on-private-link-traffic"), ON_OFF, CONTROLLER),
    Annotation::new(aws!("disable-nlb-sg"), GoBool, CONTROLLER),
    Annotation::new(aws!("enable-icmp-for-path-mtu-discovery"), ON_OFF, CONTROLLER),
    // Listeners.
    Annotation::new(aws!("ssl-cert"), Arns, BOTH),
    Annotation::new(aws!("ssl-ports"), List, BOTH),
    Annotation::new(aws!("ssl-negotiation-policy"), Some, BOTH),
    Annotation::new(aws!("backend-protocol"), Word(&["http", "https", "ssl", "tcp"]), BOTH),
    Annotation::new(
        aws!("alpn-policy"),
        Word(&["HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None"]),
        CONTROLLER,
    ),
    Annotation::new(aws!("enable-tcp-udp-listener"), GoBool, CONTROLLER),
    Annotation::new(aws!("quic-enabled-ports"), Ports, CONTROLLER),
    // Targets.
    Annotation::new(aws!("target-node-labels"), Pairs, BOTH),
    Annotation::new(aws!("target-group-attributes"), Pairs, BOTH),
    Annotation::new(aws!("multi-cluster-target-group"), GoBool, CONTROLLER),
    Annotation::new(aws!("proxy-protocol"), Word(&["*"]), BOTH),
    Annotation::new(aws!("proxy-protocol-per-target-group"), Some, CONTROLLER),
    // Health checks. The limits are those of the load balancers' API, the widest of both kinds.
    Annotation::new(aws!("healthcheck-protocol"), AnyCase(&["tcp", "http", "https", "ssl"]), BOTH),
    Annotation::new(aws!("healthcheck-port"), PortOr("traffic-port"), BOTH),
    Annotation::new(aws!("healthcheck-path"), Path, BOTH),
    Annotation::new(aws!("healthcheck-interval"), Int(5, 300), BOTH),
    Annotation::new(aws!("healthcheck-timeout"), Int(2, 120), BOTH),
    Annotation::new(aws!("healthcheck-healthy-threshold"), Int(2, 10), BOTH),
    Annotation::new(aws!("healthcheck-unhealthy-threshold"), Int(2, 10), BOTH),
    Annotation::new(aws!("healthcheck-success-codes"), Codes, CONTROLLER),
    // Classic ELB only, but for those that became attributes.
    Annotation::new(aws!("cross-zone-load-balancing-enabled"), GoBool, BOTH),
    Annotation::new(aws!("access-log-enabled"), GoBool, BOTH),
    Annotation::new(aws!("access-log-s3-bucket-name"), Some, BOTH),
    Annotation::new(aws!("access-log-s3-bucket-prefix"), Any, BOTH),
    Annotation::new(aws!("access-log-emit-interval"), Word(&["5", "60"]), CLOUD),
    Annotation::new(aws!("connection-draining-enabled"), GoBool, CLOUD),
    Annotation::new(aws!("connection-draining-timeout"), Int(1, 3600), CLOUD),
    Annotation::new(aws!("connection-idle-timeout"), Int(1, 4000), CLOUD),
];

const UNREAD: &[Unread] = &[
    Unread {
        name: aws!("health-check-path"),
        instead: Text {
            en: "The name is aws-load-balancer-healthcheck-path.",
            zh: "正确名称是 aws-load-balancer-healthcheck-path。",
        },
    },
    Unread {
        name: aws!("target-type"),
        instead: Text {
            en: "The name is aws-load-balancer-nlb-target-type.",
            zh: "正确名称是 aws-load-balancer-nlb-target-type。",
        },
    },
    Unread {
        name: aws!("idle-timeout"),
        instead: Text {
            en: "Classic ELB reads aws-load-balancer-connection-idle-timeout; AWS Load Balancer Controller takes tcp.idle_timeout.seconds in aws-load-balancer-listener-attributes.TCP-PORT.",
            zh: "Classic ELB 读取 aws-load-balancer-connection-idle-timeout；AWS Load Balancer Controller 使用 aws-load-balancer-listener-attributes.TCP-PORT 中的 tcp.idle_timeout.seconds。",
        },
    },
    Unread {
        name: aws!("cross-zone"),
        instead: Text {
            en: "Set load_balancing.cross_zone.enabled=true in aws-load-balancer-attributes.",
            zh: "在 aws-load-balancer-attributes 中设置 load_balancing.cross_zone.enabled=true。",
        },
    },
];
