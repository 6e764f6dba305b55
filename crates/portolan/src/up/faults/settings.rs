//! From a list of faults to what everything should be. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use portolan_cloud::scripted::Script;
use portolan_lab::fault::{ApiFault, DnsAnswer, DnsFault, Fault, HeldPort, NetworkFault, NodeFault, ProxyFault};
use portolan_proxy::Condition;

use crate::{
    controllers::select::{Part, find_part},
    up::switch::Power,
};

/// How a list of faults names the router between the nodes and the outside.
pub const EDGE: &str = "edge";

/// One thing that can be switched, and how it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// What the API does wrong.
    Api(Vec<ApiFault>),
    /// What the provider of load balancers does wrong.
    Cloud(Script),
    /// The controllers whose watches say nothing.
    Silent(BTreeSet<Part>),
    /// A controller.
    Controller(Part, Power),
    /// The cluster DNS.
    Dns(Power),
    /// The one answer that it has.
    DnsAnswer(Option<DnsAnswer>),
    /// The node's link to the others.
    Link(String, Power),
    /// The node's agent, with all pods.
    Agent(String, Power),
    /// The node's Service proxy.
    Proxy(String, Power),
    /// What is wrong with it while it runs.
    Condition(String, Condition),
    /// The ports of the node that a program of its own has.
    Ports(String, Vec<HeldPort>),
    /// What the node's resolv.conf says instead of its own text.
    ResolvConf(String, Option<String>),
    /// The packets that do not get through: at a node, or at the edge.
    Packets(String, Vec<NetworkFault>),
}

impl fmt::Display for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(faults) => write!(formatter, "api: {} faults", faults.len()),
            Self::Cloud(script) => write!(formatter, "cloud: {} faults", script.faults.len()),
            Self::Silent(parts) => write!(formatter, "controllers: {} stale", parts.len()),
            Self::Controller(part, power) => write!(formatter, "controllers: {part} {}", on_or_off(*power)),
            Self::Dns(power) => write!(formatter, "dns: {}", on_or_off(*power)),
            Self::DnsAnswer(answer) => write!(formatter, "dns: answer {answer:?}"),
            Self::Link(node, power) => write!(formatter, "node: link of {node} {}", on_or_off(*power)),
            Self::Agent(node, power) => write!(formatter, "node: agent of {node} {}", on_or_off(*power)),
            Self::Proxy(node, power) => write!(formatter, "proxy: of {node} {}", on_or_off(*power)),
            Self::Condition(node, condition) => write!(formatter, "proxy: of {node} {condition:?}"),
            Self::Ports(node, ports) => write!(formatter, "node: {} ports of {node} held", ports.len()),
            Self::ResolvConf(node, Some(_)) => write!(formatter, "node: resolv.conf of {node} replaced"),
            Self::ResolvConf(node, None) => write!(formatter, "node: resolv.conf of {node} its own"),
            Self::Packets(place, faults) => write!(formatter, "network: {} faults at {place}", faults.len()),
        }
    }
}

const fn on_or_off(power: Power) -> &'static str {
    match power {
        Power::On => "on",
        Power::Off => "off",
    }
}

/// What there is to break.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// The nodes.
    pub nodes: Vec<String>,
    /// The controllers.
    pub controllers: Vec<Part>,
}

/// What everything should be under these faults: always as many settings and in the same order.
///
/// # Errors
/// If a fault names a node or a controller that is not there; the message names the entry.
pub fn settings(faults: &[Fault], names: &Names) -> Result<Vec<Setting>, String> {
    let mut wanted = Wanted::well(names);
    for (index, fault) in faults.iter().enumerate() {
        wanted.add(fault).map_err(|words| format!("[{index}]: {words}"))?;
    }
    Ok(wanted.settings())
}

/// The faults sorted by what they concern.
#[derive(Default)]
struct Wanted {
    api: Vec<ApiFault>,
    cloud: Script,
    stale: BTreeSet<Part>,
    controllers: BTreeMap<Part, Power>,
    dns: DnsFault,
    nodes: BTreeMap<String, Node>,
    edge: Vec<NetworkFault>,
}

#[derive(Default)]
struct Node {
    down: bool,
    proxy: ProxyFault,
    ports: Vec<HeldPort>,
    resolv_conf: Option<String>,
    network: Vec<NetworkFault>,
}

impl Wanted {
    fn well(names: &Names) -> Self {
        Self {
            controllers: names.controllers.iter().map(|part| (*part, Power::On)).collect(),
            nodes: names.nodes.iter().map(|name| (name.clone(), Node::default())).collect(),
            ..Self::default()
        }
    }

    fn add(&mut self, fault: &Fault) -> Result<(), String> {
        match fault {
            Fault::Api(api) => self.api.push(api.clone()),
            Fault::Cloud(cloud) => {
                let script = &mut self.cloud;
                script.quota = [script.quota, cloud.quota].into_iter().flatten().min();
                script.pool = cloud.pool.or(script.pool);
                script.faults.extend(cloud.faults.iter().cloned());
            }
            Fault::Node(NodeFault { name, down, hold_port, resolv_conf }) => {
                let node = self.node("node.name", name)?;
                node.down |= down;
                node.ports.extend(hold_port.iter().cloned());
                if resolv_conf.is_some() {
                    node.resolv_conf.clone_from(resolv_conf);
                }
            }
            Fault::Proxy(ProxyFault { nodes, stopped, delete_rules, frozen }) => {
                let all: Vec<String> = self.nodes.keys().cloned().collect();
                for name in if nodes.is_empty() { &all } else { nodes } {
                    let proxy = &mut self.node("proxy.nodes", name)?.proxy;
                    proxy.stopped |= stopped;
                    proxy.delete_rules |= delete_rules;
                    proxy.frozen |= frozen;
                }
            }
            Fault::Controllers(controllers) => {
                for name in &controllers.stopped {
                    *self.controller("controllers.stopped", name)?.1 = Power::Off;
                }
                for name in &controllers.stale {
                    let part = self.controller("controllers.stale", name)?.0;
                    self.stale.insert(part);
                }
            }
            Fault::Dns(dns) => {
                self.dns.stopped |= dns.stopped;
                self.dns.answer = dns.answer.or(self.dns.answer);
            }
            Fault::Network(NetworkFault { to_address: Some(address), .. }) if address.is_ipv6() => {
                return Err(format!("network.toAddress: {address} is IPv6, and this network has only IPv4"));
            }
            Fault::Network(network) if network.node == EDGE => self.edge.push(network.clone()),
            Fault::Network(network) => self.node("network.node", &network.node)?.network.push(network.clone()),
        }
        Ok(())
    }

    fn node(&mut self, field: &str, name: &str) -> Result<&mut Node, String> {
        let names: Vec<&str> = self.nodes.keys().map(String::as_str).collect();
        let unknown = format!("{field}: there is no node `{name}`; there are {}", names.join(", "));
        self.nodes.get_mut(name).ok_or(unknown)
    }

    fn controller(&mut self, field: &str, name: &str) -> Result<(Part, &mut Power), String> {
        let names: Vec<&str> = self.controllers.keys().map(|part| part.name()).collect();
        let unknown = format!("{field}: there is no controller `{name}`; there are {}", names.join(", "));
        let part = find_part(name).filter(|part| self.controllers.contains_key(part));
        part.and_then(|part| Some((part, self.controllers.get_mut(&part)?))).ok_or(unknown)
    }

    fn settings(self) -> Vec<Setting> {
        let mut settings = vec![Setting::Api(self.api), Setting::Cloud(self.cloud), Setting::Silent(self.stale)];
        settings.extend(self.controllers.into_iter().map(|(part, power)| Setting::Controller(part, power)));
        settings.push(Setting::Dns(unless(self.dns.stopped)));
        settings.push(Setting::DnsAnswer(self.dns.answer));
        settings.push(Setting::Packets(EDGE.to_owned(), self.edge));
        for (name, node) in self.nodes {
            let Node { down, proxy, ports, resolv_conf, network } = node;
            let condition = match &proxy {
                ProxyFault { delete_rules: true, .. } => Condition::Stripped,
                ProxyFault { frozen: true, .. } => Condition::Frozen,
                _ => Condition::Well,
            };
            settings.extend([
                Setting::Packets(name.clone(), network),
                Setting::Ports(name.clone(), ports),
                Setting::ResolvConf(name.clone(), resolv_conf),
                Setting::Link(name.clone(), unless(down)),
                Setting::Agent(name.clone(), unless(down)),
                Setting::Condition(name.clone(), condition),
                Setting::Proxy(name, unless(down || proxy.stopped)),
            ]);
        }
        settings
    }
}

const fn unless(broken: bool) -> Power {
    if broken { Power::Off } else { Power::On }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use portolan_lab::fault::parse;

    use super::*;

    fn names() -> Names {
        Names {
            nodes: vec!["node1".into(), "node2".into()],
            controllers: vec![Part::Endpoints, Part::EndpointSlice, Part::ServiceLb],
        }
    }

    /// What the list changes.
    fn changes(list: &str) -> Vec<String> {
        let well = settings(&[], &names()).unwrap();
        let wanted = settings(&parse(list).unwrap(), &names()).unwrap();
        assert_eq!(wanted.len(), well.len(), "always the same settings");
        let differing = wanted.iter().zip(&well).filter(|(wanted, well)| wanted != well);
        differing.map(|(wanted, _)| wanted.to_string()).collect()
    }

    #[test]
    fn a_list_switches_what_it_names_and_nothing_else() {
        let cases: &[(&str, &[&str])] = &[
            ("[]", &[]),
            ("- api: {delayMilliseconds: 5}\n- api: {delayMilliseconds: 6}", &["api: 2 faults"]),
            (
                "- cloud: {faults: [{effect: hang}]}\n- cloud: {quota: 1, faults: [{effect: hang}]}",
                &["cloud: 2 faults"],
            ),
            ("- controllers: {stopped: [endpointslice]}", &["controllers: endpointslice-controller off"]),
            ("- controllers: {stale: [endpoints, service]}", &["controllers: 2 stale"]),
            ("- dns: {stopped: true}\n- dns: {answer: silent}", &["dns: off", "dns: answer Some(Silent)"]),
            (
                "- node: {name: node2, down: true}",
                &["node: link of node2 off", "node: agent of node2 off", "proxy: of node2 off"],
            ),
            ("- node: {name: node1, resolvConf: x}", &["node: resolv.conf of node1 replaced"]),
            ("- node: {name: node1, holdPort: {port: 80}}", &["node: 1 ports of node1 held"]),
            ("- proxy: {stopped: true}", &["proxy: of node1 off", "proxy: of node2 off"]),
            ("- proxy: {nodes: [node2], deleteRules: true}", &["proxy: of node2 Stripped"]),
            ("- proxy: {nodes: [node2], frozen: true}", &["proxy: of node2 Frozen"]),
            ("- network: {node: edge, action: drop}", &["network: 1 faults at edge"]),
            ("- network: {node: node1, action: drop}", &["network: 1 faults at node1"]),
        ];
        for (list, expected) in cases {
            assert_eq!(changes(list), *expected, "{list}");
        }
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let cases = [
            (
                "- dns: {stopped: true}\n- node: {name: node9, down: true}",
                "[1]: node.name: there is no node `node9`; there are node1, node2",
            ),
            ("- proxy: {nodes: [edge], stopped: true}", "[0]: proxy.nodes: there is no node `edge`"),
            ("- controllers: {stopped: [dns]}", "[0]: controllers.stopped: there is no controller `dns`"),
            ("- controllers: {stale: [nodeipam]}", "there are endpoints-controller, endpointslice-controller"),
            ("- network: {node: edge, action: drop, toAddress: 2001:db8::1}", "only IPv4"),
            ("- network: {node: nowhere, action: drop}", "[0]: network.node: there is no node `nowhere`"),
        ];
        for (list, words) in cases {
            let error = settings(&parse(list).unwrap(), &names()).unwrap_err();
            assert!(error.contains(words), "{list}: {error}");
        }
    }
}
