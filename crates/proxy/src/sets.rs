//! The fixed list of sets and maps. Everything that belongs to one Service is an element of one of them.

use portolan_nftables::{Family, Field, Set};

/// Most clients remembered for session affinity; beyond, a Service works without memory.
const MOST_CLIENTS: u32 = 1 << 20;
/// Most node addresses learnt from traffic.
const MOST_NODE_ADDRESSES: u32 = 65_535;

/// One of the sets and maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SetId {
    Svc,
    SvcIn,
    SvcOut,
    Ep,
    ClusterIps,
    MasqAlways,
    MasqHost,
    Hairpin,
    LbAllow,
    AffPick,
    AffEp,
    AffEpLocal,
    ServiceCidrs,
    PodCidrs,
    NodePortIps,
    Aff,
    Actions,
    ActionsNp,
    Leaf,
    LeafNp,
}

impl SetId {
    /// Those whose elements are planned one by one.
    pub(crate) const PLANNED: [SetId; 12] = [
        SetId::Svc,
        SetId::SvcIn,
        SetId::SvcOut,
        SetId::Ep,
        SetId::ClusterIps,
        SetId::MasqAlways,
        SetId::MasqHost,
        SetId::Hairpin,
        SetId::LbAllow,
        SetId::AffPick,
        SetId::AffEp,
        SetId::AffEpLocal,
    ];

    /// Those that hold networks and are replaced as a whole.
    pub(crate) const NETWORKS: [SetId; 3] = [SetId::ServiceCidrs, SetId::PodCidrs, SetId::NodePortIps];

    /// Its elements are deleted later than the endpoints that they belong to. Masquerading is decided some microseconds
    /// after the endpoint was chosen; a packet that finds the element gone in between would keep its source for good.
    pub(crate) fn lags(self) -> bool {
        matches!(self, SetId::Hairpin | SetId::ClusterIps | SetId::MasqAlways | SetId::MasqHost)
    }

    /// Its name in the kernel.
    pub(crate) fn name(self) -> &'static str {
        match self {
            SetId::Svc => "svc",
            SetId::SvcIn => "svc-in",
            SetId::SvcOut => "svc-out",
            SetId::Ep => "ep",
            SetId::ClusterIps => "cluster-ips",
            SetId::MasqAlways => "masq-always",
            SetId::MasqHost => "masq-host",
            SetId::Hairpin => "hairpin",
            SetId::LbAllow => "lb-allow",
            SetId::AffPick => "aff-pick",
            SetId::AffEp => "aff-ep",
            SetId::AffEpLocal => "aff-ep-local",
            SetId::ServiceCidrs => "service-cidrs",
            SetId::PodCidrs => "pod-cidrs",
            SetId::NodePortIps => "nodeport-ips",
            SetId::Aff => "aff",
            SetId::Actions => "actions",
            SetId::ActionsNp => "actions-np",
            SetId::Leaf => "leaf",
            SetId::LeafNp => "leaf-np",
        }
    }

    /// Its declaration.
    pub(crate) fn declaration(self, family: Family, listed_node_addresses: bool) -> Set {
        let address = if family == Family::Ip6 { Field::Ipv6 } else { Field::Ipv4 };
        let (protocol, port) = (Field::Protocol, Field::Port);
        let key = [address, protocol, port];
        let target = [address, port];
        let with = |field| [address, protocol, port, field];
        let set = |fields: &[Field]| Set::new(self.name(), fields);
        let map = |fields: &[Field], data: &[Field]| Set::map(self.name(), fields, data);
        match self {
            SetId::Svc => map(&key, &[Field::Class]).comment("every Service address and node port -> what to do"),
            SetId::SvcIn => map(&key, &[Field::Class]).comment("second look: all endpoints"),
            SetId::SvcOut => map(&key, &[Field::Class]).comment("second look for outside clients: local endpoints"),
            SetId::Ep => map(&with(Field::Number), &target)
                .comment("key . slot -> endpoint; slots from 0x8000 are the local list"),
            SetId::ClusterIps => set(&[address]).comment("cluster addresses in use"),
            SetId::MasqAlways => set(&key).comment("external keys, traffic policy Cluster"),
            SetId::MasqHost => set(&key).comment("external keys, traffic policy Local"),
            SetId::Hairpin => set(&[address, address, protocol, port]).comment("a local endpoint talking to itself"),
            SetId::LbAllow => set(&with(address)).interval().comment("loadBalancerSourceRanges"),
            SetId::AffPick => map(&with(Field::Number), &[Field::Class]).comment("key . slot -> endpoint id"),
            SetId::AffEp => map(&with(Field::Class), &target).comment("key . endpoint id -> endpoint"),
            SetId::AffEpLocal => map(&with(Field::Class), &target).comment("the same for the local list"),
            SetId::ServiceCidrs => set(&[address]).interval(),
            SetId::PodCidrs => set(&[address]).interval().comment("where this cluster's pods are"),
            SetId::NodePortIps if listed_node_addresses => set(&[address]).interval(),
            SetId::NodePortIps => set(&[address]).dynamic(MOST_NODE_ADDRESSES).comment("learnt by the node port rule"),
            SetId::Aff => map(&[address, address, protocol, port], &[Field::Class])
                .dynamic(MOST_CLIENTS)
                .expiring()
                .comment("client . key -> endpoint id"),
            SetId::Actions => Set::verdicts(self.name(), &[Field::Class]).comment("number -> chain, first look"),
            SetId::ActionsNp => Set::verdicts(self.name(), &[Field::Class]).comment("the same for node ports"),
            SetId::Leaf => Set::verdicts(self.name(), &[Field::Class]).comment("number -> chain, second look"),
            SetId::LeafNp => Set::verdicts(self.name(), &[Field::Class]).comment("the same for node ports"),
        }
    }
}

/// Every set, in the order of declaration.
pub(crate) fn all() -> impl Iterator<Item = SetId> {
    let rest = [SetId::Aff, SetId::Actions, SetId::ActionsNp, SetId::Leaf, SetId::LeafNp];
    SetId::PLANNED.into_iter().chain(SetId::NETWORKS).chain(rest)
}
