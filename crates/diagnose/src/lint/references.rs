//! References by name from one object to another. Without the other object in these files they are unknown, and only
//! counted; they are missing if its name is here with a slip of the pen, or if it is here and lacks what is asked.

use portolan_objects::{ObjectKey, service};
use serde_json::Value;

use super::{
    Sink, Unknown,
    chain::slip,
    objects::Object,
    world::{Served, World},
};
use crate::{nearest::nearest_word, words::words};

/// A port that a reference asks for.
enum Port<'a> {
    Name(&'a str),
    Number(i64),
}

pub(super) fn check(world: &World<'_>, sink: &mut Sink) {
    for object in world.objects {
        match (object.group(), object.kind.as_str()) {
            ("networking.k8s.io", "Ingress") => ingress(world, object, sink),
            ("gateway.networking.k8s.io", kind) if kind.ends_with("Route") => route(world, object, sink),
            ("apps", "StatefulSet") => governing(world, object, sink),
            _ => {}
        }
    }
}

fn ingress(world: &World<'_>, object: &Object, sink: &mut Sink) {
    let spec = &object.value["spec"];
    let mut backends = vec![("spec.defaultBackend".to_owned(), &spec["defaultBackend"])];
    for (rule, value) in spec["rules"].as_array().into_iter().flatten().enumerate() {
        for (path, value) in value["http"]["paths"].as_array().into_iter().flatten().enumerate() {
            backends.push((format!("spec.rules[{rule}].http.paths[{path}].backend"), &value["backend"]));
        }
    }
    for (field, backend) in backends {
        let service = &backend["service"];
        let Some(name) = service["name"].as_str() else { continue };
        let port = &service["port"];
        let port = port["name"].as_str().map(Port::Name).or(port["number"].as_i64().map(Port::Number));
        let key = ObjectKey::new(object.key.namespace.clone(), name);
        backend_of(world, object, &format!("{field}.service"), &key, port, sink);
    }
}

fn route(world: &World<'_>, object: &Object, sink: &mut Sink) {
    for (rule, value) in object.value["spec"]["rules"].as_array().into_iter().flatten().enumerate() {
        for (place, backend) in value["backendRefs"].as_array().into_iter().flatten().enumerate() {
            let service = |field: &str, expected: &str| backend[field].as_str().is_none_or(|text| text == expected);
            let Some(name) = backend["name"].as_str().filter(|_| service("kind", "Service") && service("group", ""))
            else {
                continue;
            };
            let field = format!("spec.rules[{rule}].backendRefs[{place}]");
            let namespace = backend["namespace"].as_str().unwrap_or(&object.key.namespace);
            let key = ObjectKey::new(namespace, name);
            if namespace != object.key.namespace && !granted(world, object, &key) {
                let message = words!(
                    "{key} is in another namespace, and no ReferenceGrant in these files lets {object} point there",
                    "{key} 在另一个命名空间，这些文件中没有 ReferenceGrant 允许 {object} 引用它"
                );
                sink.about("backend-reference-not-granted", object, &field, message, None);
            }
            let port = backend["port"].as_i64().map(Port::Number);
            backend_of(world, object, &field, &key, port, sink);
        }
    }
}

fn granted(world: &World<'_>, route: &Object, to: &ObjectKey) -> bool {
    let grants = world.objects.iter().filter(|object| object.kind == "ReferenceGrant");
    let mut grants = grants.filter(|grant| grant.key.namespace == to.namespace);
    grants.any(|grant| {
        let mut from = grant.value["spec"]["from"].as_array().into_iter().flatten();
        let mut services = grant.value["spec"]["to"].as_array().into_iter().flatten();
        from.any(|from| {
            from["kind"].as_str() == Some(&route.kind) && from["namespace"].as_str() == Some(&route.key.namespace)
        }) && services.any(|service| {
            let name = service["name"].as_str();
            service["kind"].as_str() == Some("Service") && name.is_none_or(|name| name == to.name)
        })
    })
}

fn backend_of(
    world: &World<'_>,
    object: &Object,
    field: &str,
    key: &ObjectKey,
    port: Option<Port<'_>>,
    sink: &mut Sink,
) {
    match world.service(key, object) {
        Some(served) => {
            if let Some(port) = port {
                port_of(served, object, field, port, sink);
            }
        }
        None => absent(world, object, &format!("{field}.name"), key, sink),
    }
}

/// The Service is not in these files.
fn absent(world: &World<'_>, object: &Object, field: &str, key: &ObjectKey, sink: &mut Sink) {
    let here = world.services.iter().filter(|served| served.object.key.namespace == key.namespace);
    let names = here.map(|served| served.object.key.name.as_str());
    let Some(near) = nearest_word(&key.name, names).filter(|near| slip(&key.name, near)) else {
        sink.unknown.insert(Unknown::Service(key.to_string()));
        return;
    };
    let name = &key.name;
    let message = words!("no Service {name} in these files", "这些文件中没有 Service {name}");
    let remedy = words!("There is a Service {near}: is that meant?", "有一个 Service {near}：是否指它？");
    sink.about("backend-service-missing", object, field, message, Some(remedy));
}

fn port_of(served: &Served<'_>, object: &Object, field: &str, port: Port<'_>, sink: &mut Sink) {
    if service::is_external_name(&served.service) {
        return;
    }
    let ports = service::ports(&served.service);
    let (asked, field, found) = match port {
        Port::Name(name) => {
            let found = ports.iter().any(|port| port.name.as_deref() == Some(name));
            (name.to_owned(), format!("{field}.port.name"), found)
        }
        Port::Number(number) => {
            let found = ports.iter().any(|port| i64::from(port.port) == number);
            let inner = if object.kind == "Ingress" { ".port.number" } else { ".port" };
            (number.to_string(), format!("{field}{inner}"), found)
        }
    };
    if found {
        return;
    }
    let other = served.object;
    let all: Vec<String> = ports
        .iter()
        .map(|port| match &port.name {
            Some(name) => format!("{} ({name})", port.port),
            None => port.port.to_string(),
        })
        .collect();
    let all = all.join(", ");
    let message = words!("{other} has no port {asked}", "{other} 没有端口 {asked}");
    let remedy = words!(
        "Its ports are {all}. A reference names the Service's port, not the container's.",
        "它的端口是 {all}。引用的是 Service 的端口，不是容器的端口。"
    );
    sink.about("backend-port-missing", object, &field, message, Some(remedy));
}

/// The Service that gives the pods of a StatefulSet their names.
fn governing(world: &World<'_>, object: &Object, sink: &mut Sink) {
    let Value::String(name) = &object.value["spec"]["serviceName"] else { return };
    if name.is_empty() {
        return;
    }
    let key = ObjectKey::new(object.key.namespace.clone(), name.clone());
    let Some(served) = world.service(&key, object) else {
        return absent(world, object, "spec.serviceName", &key, sink);
    };
    // A field that is not there is filled in by the API server, so only a written None makes a Service headless.
    let address = served.service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref());
    if address != Some("None") && !service::is_external_name(&served.service) {
        let message = words!(
            "Service {name} is not headless, so the pods of {object} get no names of their own in DNS",
            "Service {name} 不是 headless，{object} 的 Pod 不会有各自的 DNS 名字"
        );
        let remedy = words!(
            "Set clusterIP: None in the Service that serviceName names; clients that want one address use a second Service.",
            "将 serviceName 指向的 Service 设为 clusterIP: None；需要单一地址的客户端另用一个 Service。"
        );
        sink.about("stateful-service-not-headless", object, "spec.serviceName", message, Some(remedy));
    }
}
