//! Google: cloud-provider-gcp and, on GKE, ingress-gce. Their prefixes are shared with kinds other than Service and with
//! features that change often, so only names that speak of load balancers can be unknown.

use super::{
    Annotation,
    Kind::{Any, Bool, Json, List, Some, Word},
    Provider,
    Reader::{GcpCloudProvider, Gke},
    Tables, Text, Unread, gcp_rules,
};

const BOTH: &[super::Reader] = &[GcpCloudProvider, Gke];
const GKE: &[super::Reader] = &[Gke];
const CLOUD: &[super::Reader] = &[GcpCloudProvider];

pub(super) const TYPE: &str = "networking.gke.io/load-balancer-type";
pub(super) const OLD_TYPE: &str = "cloud.google.com/load-balancer-type";
pub(super) const GLOBAL: &str = "networking.gke.io/internal-load-balancer-allow-global-access";
pub(super) const OLD_SUBNET: &str = "networking.gke.io/internal-load-balancer-subnet";
pub(super) const SUBNET: &str = "networking.gke.io/load-balancer-subnet";
pub(super) const ADDRESSES: &str = "networking.gke.io/load-balancer-ip-addresses";
pub(super) const TIER: &str = "cloud.google.com/network-tier";
pub(super) const RBS: &str = "cloud.google.com/l4-rbs";
pub(super) const WEIGHTED: &str = "networking.gke.io/weighted-load-balancing";
pub(super) const STRONG: &str = "networking.gke.io/l4-strong-session-affinity";

pub(super) static TABLES: Tables =
    Tables { provider: Provider::Gcp, known: KNOWN, unread: UNREAD, owns, rules: gcp_rules::check };

fn owns(name: &str) -> bool {
    const PREFIXES: [&str; 6] = [
        "networking.gke.io/load-balancer-",
        "networking.gke.io/internal-load-balancer-",
        "networking.gke.io/l4-",
        "cloud.google.com/load-balancer-",
        "cloud.google.com/l4-",
        "alpha.cloud.google.com/load-balancer-",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || KNOWN.iter().any(|annotation| annotation.name == name)
}

const EXTERNAL: Text =
    Text { en: "An external balancer needs no annotation.", zh: "外部负载均衡器不需要注解。" };

const KNOWN: &[Annotation] = &[
    Annotation::new(TYPE, Word(&["Internal"]), BOTH).note(EXTERNAL.en, EXTERNAL.zh),
    Annotation::new(OLD_TYPE, Word(&["Internal", "internal"]), BOTH).note(EXTERNAL.en, EXTERNAL.zh).deprecated(
        "Use networking.gke.io/load-balancer-type: Internal.",
        "改用 networking.gke.io/load-balancer-type: Internal。",
    ),
    Annotation::new(GLOBAL, Bool, BOTH),
    Annotation::new(OLD_SUBNET, Some, BOTH),
    Annotation::new(SUBNET, Some, GKE),
    Annotation::new(ADDRESSES, List, GKE),
    Annotation::new(TIER, Word(&["Premium", "Standard"]), BOTH),
    Annotation::new(RBS, Word(&["enabled"]), BOTH),
    Annotation::new(WEIGHTED, Word(&["pods-per-node"]), GKE),
    Annotation::new(STRONG, Word(&["enabled"]), GKE),
    Annotation::new("alpha.cloud.google.com/load-balancer-backend-share", Bool, CLOUD),
    Annotation::new("cloud.google.com/load-balancer-backend-share", Bool, CLOUD).deprecated(
        "Use alpha.cloud.google.com/load-balancer-backend-share.",
        "改用 alpha.cloud.google.com/load-balancer-backend-share。",
    ),
    // Container-native balancing and Ingress: of any type of Service.
    Annotation::new("cloud.google.com/neg", Json, GKE).any_type(),
    Annotation::new("cloud.google.com/neg-status", Any, GKE).any_type(),
    Annotation::new("cloud.google.com/app-protocols", Json, GKE).any_type(),
    Annotation::new("service.alpha.kubernetes.io/app-protocols", Json, GKE)
        .deprecated("Use cloud.google.com/app-protocols.", "改用 cloud.google.com/app-protocols。")
        .any_type(),
    Annotation::new("cloud.google.com/backend-config", Json, GKE).any_type(),
    Annotation::new("beta.cloud.google.com/backend-config", Json, GKE)
        .deprecated("Use cloud.google.com/backend-config.", "改用 cloud.google.com/backend-config。")
        .any_type(),
    Annotation::new("networking.gke.io/transparent-health-checker", Json, GKE).any_type(),
];

const UNREAD: &[Unread] = &[
    Unread {
        name: "cloud.google.com/load-balancer-session-affinity",
        instead: Text {
            en: "Set spec.sessionAffinity: ClientIP; for Ingress, a BackendConfig.",
            zh: "设置 spec.sessionAffinity: ClientIP；对 Ingress 使用 BackendConfig。",
        },
    },
    Unread {
        name: "cloud.google.com/load-balancer-health-check-path",
        instead: Text {
            en: "Network balancers check the nodes and have no path to set; for Ingress, set healthCheck in a BackendConfig.",
            zh: "网络负载均衡器检查的是节点，没有可设置的路径；对 Ingress 在 BackendConfig 中设置 healthCheck。",
        },
    },
    Unread {
        name: "cloud.google.com/load-balancer-health-check-interval",
        instead: Text {
            en: "It cannot be set for network balancers; for Ingress, set healthCheck in a BackendConfig.",
            zh: "网络负载均衡器不支持设置；对 Ingress 在 BackendConfig 中设置 healthCheck。",
        },
    },
];
