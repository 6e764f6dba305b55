//! Microsoft: cloud-provider-azure. It compares truth values in any case and trims numbers.

use super::{
    Annotation,
    Kind::{
        Addresses, Any, AnyCase, AzureId, AzureLabel, Bool, Int, List, Pairs, Path, PortOrName, Ranges, Some,
        SpacedAddresses, V4, V6,
    },
    Provider,
    Reader::AzureCloudProvider,
    Tables, Text, Unread, azure_rules,
};

macro_rules! azure {
    ($short:literal) => {
        concat!("service.beta.kubernetes.io/azure-", $short)
    };
}
pub(super) use azure;

/// `service.beta.kubernetes.io/port_PORT_...`: settings of one port.
macro_rules! port {
    ($short:literal) => {
        concat!("service.beta.kubernetes.io/port_{port}_", $short)
    };
}

const AZURE: &[super::Reader] = &[AzureCloudProvider];
const PROBES: super::Kind = AnyCase(&["tcp", "http", "https"]);

pub(super) static TABLES: Tables =
    Tables { provider: Provider::Azure, known: KNOWN, unread: UNREAD, owns, rules: azure_rules::check };

fn owns(name: &str) -> bool {
    ["azure-", "port_"]
        .iter()
        .any(|prefix| name.strip_prefix("service.beta.kubernetes.io/").is_some_and(|rest| rest.starts_with(prefix)))
}

const KNOWN: &[Annotation] = &[
    // Which balancer.
    Annotation::new(azure!("load-balancer-internal"), Bool, AZURE),
    Annotation::new(azure!("load-balancer-internal-subnet"), Some, AZURE),
    Annotation::new(azure!("load-balancer-mode"), Some, AZURE),
    Annotation::new(azure!("load-balancer-configurations"), List, AZURE),
    Annotation::new(azure!("load-balancer-resource-group"), Some, AZURE),
    Annotation::new(azure!("load-balancer-enable-high-availability-ports"), Bool, AZURE),
    Annotation::new(azure!("load-balancer-tcp-idle-timeout"), Int(4, 100), AZURE),
    Annotation::new(azure!("load-balancer-disable-tcp-reset"), Bool, AZURE),
    Annotation::new(azure!("disable-load-balancer-floating-ip"), Bool, AZURE),
    // Its addresses.
    Annotation::new(azure!("load-balancer-ipv4"), V4, AZURE),
    Annotation::new(azure!("load-balancer-ipv6"), V6, AZURE),
    Annotation::new(azure!("pip-name"), Some, AZURE),
    Annotation::new(azure!("pip-name-ipv6"), Some, AZURE),
    Annotation::new(azure!("pip-prefix-id"), AzureId, AZURE),
    Annotation::new(azure!("pip-prefix-id-ipv6"), AzureId, AZURE),
    Annotation::new(azure!("pip-tags"), Pairs, AZURE),
    Annotation::new(azure!("pip-ip-tags"), Pairs, AZURE),
    Annotation::new(azure!("dns-label-name"), AzureLabel, AZURE),
    Annotation::new(azure!("additional-public-ips"), Addresses, AZURE),
    // Who may come in.
    Annotation::new(azure!("allowed-service-tags"), List, AZURE),
    Annotation::new(azure!("allowed-ip-ranges"), Ranges, AZURE),
    Annotation::new(azure!("deny-all-except-load-balancer-source-ranges"), Bool, AZURE),
    Annotation::new(azure!("shared-securityrule"), Bool, AZURE),
    // Health probes, for all ports and for one.
    Annotation::new(azure!("load-balancer-health-probe-protocol"), PROBES, AZURE),
    Annotation::new(azure!("load-balancer-health-probe-interval"), Int(5, i64::MAX), AZURE),
    Annotation::new(azure!("load-balancer-health-probe-num-of-probe"), Int(1, i64::MAX), AZURE),
    Annotation::new(azure!("load-balancer-health-probe-request-path"), Path, AZURE),
    Annotation::new(port!("no_lb_rule"), Bool, AZURE),
    Annotation::new(port!("no_probe_rule"), Bool, AZURE),
    Annotation::new(port!("health-probe_protocol"), PROBES, AZURE),
    Annotation::new(port!("health-probe_port"), PortOrName, AZURE),
    Annotation::new(port!("health-probe_interval"), Int(5, i64::MAX), AZURE),
    Annotation::new(port!("health-probe_num-of-probe"), Int(1, i64::MAX), AZURE),
    Annotation::new(port!("health-probe_request-path"), Path, AZURE),
    // Private Link Service.
    Annotation::new(azure!("pls-create"), Bool, AZURE),
    Annotation::new(azure!("pls-name"), Some, AZURE),
    Annotation::new(azure!("pls-resource-group"), Some, AZURE),
    Annotation::new(azure!("pls-ip-configuration-subnet"), Some, AZURE),
    Annotation::new(azure!("pls-ip-configuration-ip-address-count"), Int(1, 8), AZURE),
    Annotation::new(azure!("pls-ip-configuration-ip-address"), SpacedAddresses, AZURE),
    Annotation::new(azure!("pls-fqdns"), Any, AZURE),
    Annotation::new(azure!("pls-proxy-protocol"), Bool, AZURE),
    Annotation::new(azure!("pls-visibility"), Some, AZURE),
    Annotation::new(azure!("pls-auto-approval"), Some, AZURE),
];

const UNREAD: &[Unread] = &[
    Unread {
        name: azure!("load-balancer-sku"),
        instead: Text {
            en: "The SKU belongs to the cluster: loadBalancerSku in the cloud provider's configuration.",
            zh: "SKU 属于集群：在云提供商配置中设置 loadBalancerSku。",
        },
    },
    Unread {
        name: azure!("load-balancer-health-probe-path"),
        instead: Text {
            en: "The name is azure-load-balancer-health-probe-request-path.",
            zh: "正确名称是 azure-load-balancer-health-probe-request-path。",
        },
    },
    Unread {
        name: azure!("pip-resource-group"),
        instead: Text {
            en: "The name is azure-load-balancer-resource-group.",
            zh: "正确名称是 azure-load-balancer-resource-group。",
        },
    },
];
