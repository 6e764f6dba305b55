//! Hints of Services that say how near their endpoints should be: `spec.trafficDistribution`.
//! Upstream: `endpointslice/trafficdist/trafficdist.go`.

use k8s_openapi::api::core::v1::Service;

use super::{
    pack::Packed,
    slice::{Endpoint, Hints},
};

/// The annotation of old, which wins even when it says nothing that means anything.
const DEPRECATED: &str = "service.kubernetes.io/topology-aware-hints";
/// The annotation that asks for hints by the zones' shares of the CPU.
const MODE: &str = "service.kubernetes.io/topology-mode";

/// Who decides on the hints of a Service's endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nobody: there are none.
    None,
    /// The annotation: by the zones' shares of the CPU.
    Auto,
    /// The field.
    Near(Near),
}

/// What the field says. The label value of metrics is its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Near {
    /// The older name of the next one.
    Close,
    /// The client's zone.
    SameZone,
    /// The client's node, or else its zone.
    SameNode,
}

impl Near {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Close, Self::SameZone, Self::SameNode];

    /// The API's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Close => "PreferClose",
            Self::SameZone => "PreferSameZone",
            Self::SameNode => "PreferSameNode",
        }
    }
}

/// The annotation beats the field.
pub(crate) fn mode(service: &Service) -> Mode {
    let annotations = service.metadata.annotations.as_ref();
    let value = annotations.and_then(|set| set.get(DEPRECATED).or_else(|| set.get(MODE)));
    if value.is_some_and(|value| value == "Auto" || value == "auto") {
        return Mode::Auto;
    }
    let field = service.spec.as_ref().and_then(|spec| spec.traffic_distribution.as_deref());
    let near = Near::ALL.into_iter().find(|near| Some(near.as_str()) == field);
    near.map_or(Mode::None, Mode::Near)
}

/// Gives the ready endpoints of all slices that are written the hints that they should have, and takes up those slices
/// whose ready endpoints have others. What an endpoint that is not ready says is left alone.
pub(crate) fn give_hints(near: Near, packed: &mut Packed) {
    let is_wrong = |endpoint: &Endpoint| {
        let has = |list: fn(&Hints) -> &Vec<Box<str>>| {
            endpoint.hints.as_deref().map(list).into_iter().flatten().map(AsRef::as_ref)
        };
        let (zone, node) = wanted(near, endpoint);
        endpoint.is_ready() && !(has(|hints| &hints.zones).eq(zone) && has(|hints| &hints.nodes).eq(node))
    };
    packed.take_up(|slice| slice.endpoints.iter().any(is_wrong));
    for endpoint in packed.drafts().flat_map(|draft| &mut draft.endpoints).filter(|endpoint| endpoint.is_ready()) {
        let (zone, node) = wanted(near, endpoint);
        let list = |name: Option<&str>| name.map(Into::into).into_iter().collect();
        let hints = Hints { zones: list(zone), nodes: list(node) };
        endpoint.hints = (hints != Hints::default()).then(|| Box::new(hints));
    }
}

/// Zone and node that an endpoint should be used from.
fn wanted(near: Near, endpoint: &Endpoint) -> (Option<&str>, Option<&str>) {
    (endpoint.zone.as_deref(), endpoint.node.as_deref().filter(|_| near == Near::SameNode))
}

/// Takes all hints away, and takes up those slices that have any.
pub(crate) fn take_hints(packed: &mut Packed) {
    packed.take_up(|slice| slice.endpoints.iter().any(|endpoint| endpoint.hints.is_some()));
    packed.drafts().flat_map(|draft| &mut draft.endpoints).for_each(|endpoint| endpoint.hints = None);
}

#[cfg(test)]
mod tests;
