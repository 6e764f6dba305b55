//! Objects as text: pure, one text for each family. Upstream: kube-state-metrics `internal/store`, the file of each kind.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{Endpoints, Service},
        discovery::v1::{Endpoint, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use portolan_objects::ObjectKey;

use crate::{
    families::{ENDPOINTS, Family, SERVICE_LABELS, SERVICES, SLICE_LABELS, SLICES},
    line,
};

/// All series of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub key: ObjectKey,
    /// One text for each family of the kind, in its order; empty where the object has no such series.
    pub texts: Box<[Box<str>]>,
}

/// Writes series of one object, all of which begin with the labels that name it.
struct Writer<'a> {
    families: &'static [Family],
    texts: Vec<String>,
    identity: Vec<(&'static str, &'a str)>,
}

impl<'a> Writer<'a> {
    fn new(families: &'static [Family], identity: Vec<(&'static str, &'a str)>) -> Self {
        Self { families, texts: vec![String::new(); families.len()], identity }
    }

    fn series(&mut self, name: &str, labels: &[(&str, &str)], value: i64) {
        let Some(index) = self.families.iter().position(|family| family.name == name) else {
            debug_assert!(false, "{name} is not in the table of families");
            return;
        };
        let labels = [&self.identity, labels].concat();
        line::push(&mut self.texts[index], name, &labels, value);
    }

    fn time(&mut self, name: &str, time: Option<&Time>) {
        if let Some(time) = time {
            self.series(name, &[], time.0.as_second());
        }
    }

    fn allowed(&mut self, name: &str, metadata: &ObjectMeta, allowed: &'static [(&str, &str)]) {
        let none = BTreeMap::new();
        let labels = metadata.labels.as_ref().unwrap_or(&none);
        let found: Vec<_> =
            allowed.iter().filter_map(|(label, name)| Some((*name, labels.get(*label)?.as_str()))).collect();
        self.series(name, &found, 1);
    }

    fn finish(self, key: ObjectKey) -> Rendered {
        Rendered { key, texts: self.texts.into_iter().map(String::into_boxed_str).collect() }
    }
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

/// The series of a Service.
pub(crate) fn service(service: Service) -> Rendered {
    let key = ObjectKey::of(&service);
    let identity = vec![
        ("namespace", key.namespace.as_str()),
        ("service", key.name.as_str()),
        ("uid", text(&service.metadata.uid)),
    ];
    let mut writer = Writer::new(SERVICES, identity);
    let spec = service.spec.clone().unwrap_or_default();
    let info = [
        ("cluster_ip", text(&spec.cluster_ip)),
        ("external_name", text(&spec.external_name)),
        ("load_balancer_ip", text(&spec.load_balancer_ip)),
        ("external_traffic_policy", text(&spec.external_traffic_policy)),
    ];
    writer.series("kube_service_info", &info, 1);
    writer.time("kube_service_created", service.metadata.creation_timestamp.as_ref());
    writer.series("kube_service_spec_type", &[("type", text(&spec.type_))], 1);
    writer.allowed("kube_service_labels", &service.metadata, &SERVICE_LABELS);
    for ip in spec.external_ips.iter().flatten() {
        writer.series("kube_service_spec_external_ip", &[("external_ip", ip)], 1);
    }
    let ingress = service.status.iter().flat_map(|status| &status.load_balancer);
    for ingress in ingress.flat_map(|balancer| balancer.ingress.iter().flatten()) {
        let labels = [("ip", text(&ingress.ip)), ("hostname", text(&ingress.hostname))];
        writer.series("kube_service_status_load_balancer_ingress", &labels, 1);
    }
    writer.time("kube_service_deletion_timestamp", service.metadata.deletion_timestamp.as_ref());
    writer.finish(key.clone())
}

/// The series of a slice.
pub(crate) fn slice(slice: EndpointSlice) -> Rendered {
    let key = ObjectKey::of(&slice);
    let identity = vec![("endpointslice", key.name.as_str()), ("namespace", key.namespace.as_str())];
    let mut writer = Writer::new(SLICES, identity);
    writer.series("kube_endpointslice_info", &[("addresstype", &slice.address_type)], 1);
    writer.time("kube_endpointslice_created", slice.metadata.creation_timestamp.as_ref());
    for endpoint in slice.endpoints.iter().flatten() {
        hints(&mut writer, endpoint);
        addresses(&mut writer, endpoint);
    }
    for port in slice.ports.iter().flatten() {
        let number = port.port.map(|port| port.to_string());
        // Upstream falls over a port without a name or a number; the API's defaults leave neither protocol nor name out.
        let labels =
            [("port_name", text(&port.name)), ("port_protocol", text(&port.protocol)), ("port_number", text(&number))];
        writer.series("kube_endpointslice_ports", &labels, 1);
    }
    writer.allowed("kube_endpointslice_labels", &slice.metadata, &SLICE_LABELS);
    writer.finish(key.clone())
}

/// Of the addresses only the first.
fn hints(writer: &mut Writer<'_>, endpoint: &Endpoint) {
    let zones = endpoint.hints.iter().flat_map(|hints| hints.for_zones.iter().flatten());
    let Some(address) = endpoint.addresses.first() else { return };
    for zone in zones {
        writer.series("kube_endpointslice_endpoints_hints", &[("address", address), ("for_zone", &zone.name)], 1);
    }
}

/// What an unknown condition means is left to the reader of the series: its label is empty.
fn addresses(writer: &mut Writer<'_>, endpoint: &Endpoint) {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    let written = |condition: Option<bool>| condition.map(|value| value.to_string()).unwrap_or_default();
    let ready = written(conditions.ready);
    // Since 2.15 at the latest, `serving` has the value of `terminating` where that is known, and `terminating` is always
    // empty. It is a slip, but what a rule meets in the field, so it is kept: only `ready` can be relied upon.
    let serving = written(conditions.terminating.or(conditions.serving));
    let target = endpoint.target_ref.clone().unwrap_or_default();
    for address in &endpoint.addresses {
        let labels = [
            ("ready", ready.as_str()),
            ("serving", &serving),
            // Upstream lists the names of these two the other way round than their values: the host name is in
            // `terminating`, and what should be there in `hostname`.
            ("hostname", ""),
            ("terminating", text(&endpoint.hostname)),
            ("targetref_kind", text(&target.kind)),
            ("targetref_name", text(&target.name)),
            ("targetref_namespace", text(&target.namespace)),
            ("endpoint_nodename", text(&endpoint.node_name)),
            ("endpoint_zone", text(&endpoint.zone)),
            ("address", address),
        ];
        writer.series("kube_endpointslice_endpoints", &labels, 1);
    }
}

/// The series of an Endpoints object.
pub(crate) fn endpoints(endpoints: Endpoints) -> Rendered {
    let key = ObjectKey::of(&endpoints);
    let identity = vec![("namespace", key.namespace.as_str()), ("endpoint", key.name.as_str())];
    let mut writer = Writer::new(ENDPOINTS, identity);
    writer.series("kube_endpoint_info", &[], 1);
    writer.time("kube_endpoint_created", endpoints.metadata.creation_timestamp.as_ref());
    for subset in endpoints.subsets.iter().flatten() {
        for port in subset.ports.iter().flatten() {
            let number = port.port.to_string();
            let (name, protocol) = (text(&port.name), text(&port.protocol));
            let ready = subset.addresses.iter().flatten().map(|address| (address, "true"));
            let not_ready = subset.not_ready_addresses.iter().flatten().map(|address| (address, "false"));
            for (address, ready) in ready.chain(not_ready) {
                let labels = [
                    ("port_protocol", protocol),
                    ("port_number", &number),
                    ("port_name", name),
                    ("ip", &address.ip),
                    ("ready", ready),
                ];
                writer.series("kube_endpoint_address", &labels, 1);
            }
            let labels = [("port_name", name), ("port_protocol", protocol), ("port_number", &number)];
            writer.series("kube_endpoint_ports", &labels, 1);
        }
    }
    writer.finish(key.clone())
}

#[cfg(test)]
mod tests;
