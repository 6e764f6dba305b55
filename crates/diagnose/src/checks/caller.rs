//! The caller that was asked for, as an object.

use k8s_openapi::api::core::v1::{Node, Pod};
use portolan_objects::{labels, pod};

use crate::view::{From, View};

/// The pod that calls, if one was named and it is there.
pub(super) fn pod<'a>(view: &View<'a>) -> Option<&'a Pod> {
    match &view.ask.from {
        From::Pod(key) => view.index.pod(key),
        From::Anywhere | From::Outside(_) => None,
    }
}

/// Its node.
pub(super) fn node<'a>(view: &View<'a>) -> Option<&'a Node> {
    view.index.node(pod::node(pod(view)?)?)
}

/// The zone of a node.
pub(super) fn zone(node: &Node) -> Option<&str> {
    node.metadata.labels.as_ref()?.get(labels::ZONE).map(String::as_str).filter(|zone| !zone.is_empty())
}
