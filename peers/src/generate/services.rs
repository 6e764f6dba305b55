//! Services and everything about them that a controller reads.

use serde_json::{Value, json};

use super::{APPS, Generator, Key, LOST_FOR, Step};
use crate::request::{self, Request};

/// A Service of the model.
#[derive(Debug, Clone)]
pub(super) struct Service {
    kind: Kind,
    pub(super) selector: bool,
    families: Vec<&'static str>,
    addresses: Vec<String>,
    local: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cluster,
    Headless,
    Node,
    Balancer,
    External,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Cluster | Self::Headless => "ClusterIP",
            Self::Node => "NodePort",
            Self::Balancer => "LoadBalancer",
            Self::External => "ExternalName",
        }
    }

    fn outside(self) -> bool {
        matches!(self, Self::Node | Self::Balancer)
    }
}

/// Numbers, names that resolve differently from pod to pod, protocols, several ports.
const PORTS: [&str; 9] = [
    r#"[{"name":"http","port":80,"targetPort":8080,"protocol":"TCP"}]"#,
    r#"[{"name":"http","port":80,"targetPort":"http","protocol":"TCP"}]"#,
    r#"[{"port":80,"targetPort":"http","protocol":"TCP"}]"#,
    r#"[{"name":"dns","port":53,"targetPort":"dns","protocol":"UDP"},{"name":"dns-tcp","port":53,"targetPort":53,"protocol":"TCP"}]"#,
    r#"[{"name":"http","port":80,"targetPort":"http","protocol":"TCP"},{"name":"dns","port":53,"targetPort":"dns","protocol":"UDP"}]"#,
    r#"[{"name":"admin","port":9000,"targetPort":"admin","protocol":"TCP"}]"#,
    r#"[{"name":"s","port":99,"targetPort":99,"protocol":"SCTP"}]"#,
    r#"[{"name":"h2","port":443,"targetPort":8443,"protocol":"TCP","appProtocol":"kubernetes.io/h2c"}]"#,
    r#"[{"name":"x","port":1,"targetPort":"nowhere","protocol":"TCP"}]"#,
];
const FIRST_NODE_PORT: u32 = 30000;
const NODE_PORTS: u32 = 2700;

impl Generator {
    pub(super) fn create_service(&mut self) -> Option<Step> {
        let namespace = self.namespace();
        let name = format!("s{}", self.rng.u32(1..16));
        self.create_named((namespace, name))
    }

    fn create_named(&mut self, key: Key) -> Option<Step> {
        if self.model.services.contains_key(&key) {
            return None;
        }
        let kind = match self.rng.u32(0..20) {
            0..10 => Kind::Cluster,
            10..14 => Kind::Headless,
            14..16 => Kind::Node,
            16..18 => Kind::Balancer,
            _ => Kind::External,
        };
        let selector = self.chance(75);
        let families: Vec<&'static str> = match self.rng.u32(0..10) {
            0..5 => vec!["IPv4"],
            5..7 => vec!["IPv6"],
            7..9 => vec!["IPv4", "IPv6"],
            _ => vec!["IPv6", "IPv4"],
        };
        let mut service = Service { kind, selector, families, addresses: Vec::new(), local: false };
        let mut spec = json!({"type": kind.word()});
        if kind == Kind::External {
            spec["externalName"] = "example.org".into();
        } else {
            service.addresses = self.addresses_of(kind, &service.families);
            spec.as_object_mut()?.extend(family_fields(&service).as_object()?.clone());
        }
        if kind != Kind::External || self.chance(50) {
            spec["ports"] = self.ports(kind);
        }
        if kind == Kind::Headless && self.chance(20) {
            spec.as_object_mut()?.remove("ports");
        }
        if selector {
            spec["selector"] = self.selector();
        }
        if self.chance(15) {
            spec["publishNotReadyAddresses"] = true.into();
        }
        if kind != Kind::External && self.chance(20) {
            spec["trafficDistribution"] = self.one_of(&["PreferClose", "PreferSameZone", "PreferSameNode"]).into();
        }
        let mut metadata = json!({"labels": {"of": key.1.clone()}});
        if self.chance(20) {
            metadata["annotations"] = json!({"service.kubernetes.io/topology-mode": "Auto"});
        }
        self.model.services.insert(key.clone(), service);
        let title = format!("create Service {}/{} {} selector: {selector}", key.0, key.1, kind.word());
        let body = json!({"metadata": metadata, "spec": spec});
        Some(Step::new(title, vec![Request::create(request::SERVICES, &key.0, &key.1, body)]))
    }

    pub(super) fn delete_service(&mut self) -> Option<Step> {
        let services = self.model.services.clone();
        let key = self.some_key(&services, |_| true)?;
        self.delete_named(&key)
    }

    /// Deletes a Service of which upstream has lost track, so that it is compared again.
    pub(super) fn find_lost(&mut self) -> Option<Step> {
        let (made, lost) = (self.made, self.model.lost.clone());
        let key = lost.iter().find(|(_, since)| made > *since + LOST_FOR).map(|(key, _)| key.clone())?;
        self.model.lost.remove(&key);
        if self.model.services.contains_key(&key) { self.delete_named(&key) } else { None }
    }

    fn delete_named(&mut self, key: &Key) -> Option<Step> {
        self.model.services.remove(key);
        let title = format!("delete Service {}/{}", key.0, key.1);
        Some(Step::new(title, vec![Request::delete(request::SERVICES, &key.0, &key.1, None)]))
    }

    /// The same name with another uid: at once where nothing depends on whether a controller saw the time between, else once
    /// all has come to rest. (Endpoints have no owner; whether they are deleted or taken over is chance.)
    pub(super) fn recreate_service(&mut self) -> Option<Step> {
        let services = self.model.services.clone();
        let key = self.some_key(&services, |_| true)?;
        let plain = |service: &Service| service.selector && !matches!(service.kind, Kind::Headless | Kind::External);
        let old = services.get(&key)?;
        let deleted = self.delete_named(&key)?;
        let kept = self.model.clone();
        let created = self.create_named(key.clone())?;
        let new = self.model.services.get(&key)?;
        if !(plain(old) && plain(new)) {
            self.model = kept;
            self.model.awaited = Some(key);
            return Some(deleted);
        }
        let requests = deleted.requests.into_iter().chain(created.requests).collect();
        Some(Step::new(format!("{}, then {}", deleted.title, created.title), requests))
    }

    /// Creates the Service of a name that was deleted one step before.
    pub(super) fn create_awaited(&mut self) -> Option<Step> {
        let key = self.model.awaited.take()?;
        let step = self.create_named(key)?;
        Some(Step { after_rest: true, ..step })
    }

    pub(super) fn change_service(&mut self) -> Option<Step> {
        let services = self.model.services.clone();
        let key = self.some_key(&services, |_| true)?;
        let mut service = services.get(&key)?.clone();
        let body = self.change(&mut service)?;
        // What the controllers wrote last stays as it is from then on: it must not be chance what that was.
        let frozen = !service.selector || service.kind == Kind::External;
        self.model.services.insert(key.clone(), service);
        let title = format!("change Service {}/{}: {body}", key.0, key.1);
        let step = Step::new(title, vec![Request::merge(request::SERVICES, &key.0, &key.1, body)]);
        Some(Step { after_rest: frozen, ..step })
    }

    fn change(&mut self, service: &mut Service) -> Option<Value> {
        let kind = service.kind;
        let body = match self.rng.u32(0..30) {
            0..4 => {
                service.selector = self.chance(80);
                // A merge patch keeps the keys that it does not name.
                let mut selector = json!({"app": null, "tier": null});
                selector.as_object_mut()?.extend(self.selector().as_object()?.clone());
                json!({"spec": {"selector": if service.selector { selector } else { Value::Null }}})
            }
            4..9 if kind != Kind::External => json!({"spec": {"ports": self.ports(kind)}}),
            9..11 => json!({"spec": {"publishNotReadyAddresses": self.rng.bool()}}),
            11..14 => {
                let label = if self.chance(70) { json!(self.rng.u32(0..5).to_string()) } else { Value::Null };
                json!({"metadata": {"labels": {"extra": label}}})
            }
            14..17 => {
                let mode = if self.chance(60) { json!("Auto") } else { Value::Null };
                json!({"metadata": {"annotations": {"service.kubernetes.io/topology-mode": mode}}})
            }
            17..20 if kind != Kind::External => {
                let words = [json!("PreferClose"), json!("PreferSameZone"), json!("PreferSameNode"), Value::Null];
                json!({"spec": {"trafficDistribution": self.one_of(&words)}})
            }
            20..23 if kind != Kind::External => self.change_families(service)?,
            23..27 => self.change_type(service)?,
            27 if kind != Kind::External => {
                json!({"spec": {"internalTrafficPolicy": self.one_of(&["Cluster", "Local"])}})
            }
            28 if kind.outside() => {
                service.local = !service.local;
                let policy = if service.local { "Local" } else { "Cluster" };
                let mut spec = json!({"externalTrafficPolicy": policy});
                if kind == Kind::Balancer {
                    spec["healthCheckNodePort"] = if service.local { self.node_port().into() } else { 0.into() };
                }
                json!({"spec": spec})
            }
            29 => json!({"spec": {"sessionAffinity": self.one_of(&["None", "ClientIP"])}}),
            _ => return None,
        };
        Some(body)
    }

    fn change_families(&mut self, service: &mut Service) -> Option<Value> {
        if service.families.len() == 2 {
            service.families.truncate(1);
            service.addresses.truncate(1);
            // The server trims the second family by itself if only the policy changes.
            return if self.chance(50) {
                Some(json!({"spec": {"ipFamilyPolicy": "SingleStack"}}))
            } else {
                Some(json!({"spec": family_fields(service)}))
            };
        }
        let second = if service.families.first() == Some(&"IPv4") { "IPv6" } else { "IPv4" };
        service.families.push(second);
        if service.kind == Kind::Headless {
            service.addresses = vec!["None".to_owned()];
        } else {
            let more = self.addresses_of(service.kind, &[second]);
            service.addresses.extend(more);
        }
        Some(json!({"spec": family_fields(service)}))
    }

    fn change_type(&mut self, service: &mut Service) -> Option<Value> {
        let to = self.one_of(&[Kind::Cluster, Kind::Node, Kind::Balancer, Kind::External]);
        if to == service.kind || (service.kind == Kind::Headless && to != Kind::External) {
            return None;
        }
        let from = std::mem::replace(&mut service.kind, to);
        service.local = false;
        let mut spec = json!({"type": to.word(), "ports": self.ports(to)});
        if to == Kind::External {
            service.addresses.clear();
            spec["externalName"] = "example.org".into();
            if from == Kind::Headless || self.chance(50) {
                // What does not fit an ExternalName any more is named as gone, or left to the server.
                let gone = json!({"clusterIP": null, "clusterIPs": null, "ipFamilies": null, "ipFamilyPolicy": null,
                    "internalTrafficPolicy": null, "trafficDistribution": null});
                spec.as_object_mut()?.extend(gone.as_object()?.clone());
            }
        } else if from == Kind::External {
            service.addresses = self.addresses_of(to, &service.families);
            spec["externalName"] = Value::Null;
            spec.as_object_mut()?.extend(family_fields(service).as_object()?.clone());
        }
        Some(json!({"spec": spec}))
    }

    fn selector(&mut self) -> Value {
        let app = self.one_of(&APPS);
        match self.rng.u32(0..10) {
            0..7 => json!({"app": app}),
            7..9 => json!({"app": app, "tier": self.one_of(&["x", "y"])}),
            _ => json!({"tier": self.one_of(&["x", "y"])}),
        }
    }

    fn ports(&mut self, kind: Kind) -> Value {
        let mut ports: Value = serde_json::from_str(self.one_of(&PORTS)).unwrap_or_default();
        if kind.outside() {
            for port in ports.as_array_mut().into_iter().flatten() {
                port["nodePort"] = self.node_port().into();
            }
        }
        ports
    }

    fn node_port(&mut self) -> u32 {
        self.next.port += 1;
        FIRST_NODE_PORT + self.next.port % NODE_PORTS
    }

    fn addresses_of(&mut self, kind: Kind, families: &[&str]) -> Vec<String> {
        if kind == Kind::Headless {
            return vec!["None".to_owned()];
        }
        self.next.cluster += 1;
        let number = self.next.cluster;
        let range = self.other_range().unwrap_or_else(|| format!("10.96.{}", 1 + number / 250));
        families
            .iter()
            .map(|family| match *family {
                "IPv4" => format!("{range}.{}", number % 250 + 1),
                _ => format!("fd10:96::1{number:03x}"),
            })
            .collect()
    }
}

fn family_fields(service: &Service) -> Value {
    let policy = if service.families.len() == 2 { "RequireDualStack" } else { "SingleStack" };
    // PreferDualStack means the same on a cluster with both families, and is the other word for it.
    let policy = if policy == "RequireDualStack" && service.kind == Kind::Cluster { "PreferDualStack" } else { policy };
    json!({
        "ipFamilyPolicy": policy,
        "ipFamilies": service.families,
        "clusterIP": service.addresses.first(),
        "clusterIPs": service.addresses,
    })
}
