//! EndpointSlices written by hand: they lead traffic only if they name their Service and its ports exactly.

use std::collections::HashMap;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use portolan_objects::{ObjectKey, labels, ports::PortSet, service};

use super::{
    Sink, Unknown,
    chain::slip,
    objects::Object,
    world::{Served, World},
};
use crate::words::words;

const LABEL: &str = "metadata.labels[kubernetes.io/service-name]";

pub(super) fn check(world: &World<'_>, sink: &mut Sink) {
    let mut by_service: HashMap<ObjectKey, Vec<(&Object, PortSet)>> = HashMap::new();
    let slices = world.objects.iter().filter(|object| (object.group(), object.kind.as_str()) == KIND);
    for object in slices {
        let Ok(slice) = serde_json::from_value::<EndpointSlice>(object.value.clone()) else { continue };
        let name = slice.metadata.labels.as_ref().and_then(|labels| labels.get(labels::SERVICE_NAME));
        let Some(name) = name else {
            unlabelled(object, sink);
            continue;
        };
        let key = ObjectKey::new(object.key.namespace.clone(), name.clone());
        by_service.entry(key).or_default().push((object, PortSet::of_slice(&slice)));
    }
    let mut all: Vec<(ObjectKey, Vec<(&Object, PortSet)>)> = by_service.into_iter().collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    for (key, slices) in all {
        let Some((first, _)) = slices.first() else { continue };
        match world.service(&key, first) {
            None => no_service(world, &key, first, sink),
            Some(served) if service::selector(&served.service).is_some() => beside_selector(served, first, sink),
            Some(served) => ports(served, &slices, sink),
        }
    }
}

const KIND: (&str, &str) = ("discovery.k8s.io", "EndpointSlice");

fn unlabelled(object: &Object, sink: &mut Sink) {
    let message = words!(
        "no label kubernetes.io/service-name: proxies do not know whose endpoints these are",
        "没有标签 kubernetes.io/service-name：代理不知道这些端点属于哪个 Service"
    );
    let remedy = words!("Label it with the name of its Service.", "用所属 Service 的名称打上该标签。");
    sink.about("slice-without-service", object, "metadata.labels", message, Some(remedy));
}

fn no_service(world: &World<'_>, key: &ObjectKey, object: &Object, sink: &mut Sink) {
    let here = world.services.iter().map(|served| &served.object.key);
    let near = here.filter(|other| other.namespace == key.namespace).find(|other| slip(&key.name, &other.name));
    let (name, Some(near)) = (&key.name, near) else {
        sink.unknown.insert(Unknown::Service(key.to_string()));
        return;
    };
    let near = &near.name;
    let message = words!("no Service {name} in these files", "这些文件中没有 Service {name}");
    let remedy = words!("There is a Service {near}: is that meant?", "有一个 Service {near}：是否指它？");
    sink.about("slice-without-service", object, LABEL, message, Some(remedy));
}

fn beside_selector(served: &Served<'_>, object: &Object, sink: &mut Sink) {
    let service = served.object;
    let message = words!(
        "{service} has a selector: a controller writes its slices, and these endpoints get traffic beside them",
        "{service} 有 selector：控制器会写入它的 EndpointSlice，这里的端点会与之一起接收流量"
    );
    let remedy =
        words!("Leave out the selector if all endpoints are written by hand.", "如果端点全部手写，请去掉 selector。");
    sink.about("slice-beside-selector", object, LABEL, message, Some(remedy));
}

/// Proxies find a Service's port in its slices by name and protocol.
fn ports(served: &Served<'_>, slices: &[(&Object, PortSet)], sink: &mut Sink) {
    let headless = served.service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None");
    if headless || service::is_external_name(&served.service) {
        return;
    }
    for port in service::ports(&served.service) {
        let key = service::port_key(&served.service, port);
        let name = port.name.clone().unwrap_or_default();
        let protocol = portolan_objects::Protocol::of(port.protocol.as_deref());
        let mut all = slices.iter().flat_map(|(_, ports)| ports.iter());
        if all.any(|other| other.name == name && other.protocol == protocol) {
            continue;
        }
        let Some((object, there)) = slices.first() else { return };
        let there: Vec<String> = there.iter().map(|port| format!("{:?}/{}", port.name, port.protocol)).collect();
        let there = there.join(", ");
        let message = words!(
            "port {key} of the Service is looked up by its name, {name:?}/{protocol}, and the slices have {there}",
            "Service 的端口 {key} 按名称 {name:?}/{protocol} 查找，而 EndpointSlice 中是 {there}"
        );
        let remedy = words!(
            "Give the slice's port the name of the Service's port; its number is that of the endpoints.",
            "让 EndpointSlice 的端口名与 Service 的端口名一致；端口号是端点的端口。"
        );
        sink.about("slice-port-mismatch", object, "ports", message, Some(remedy));
    }
}
