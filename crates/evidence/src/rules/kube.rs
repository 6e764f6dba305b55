//! kube-proxy's nftables mode: maps lead to chains, chains to translations.
//!
//! Chains are followed wherever they lead rather than recognised by name, so the layouts of several releases read the
//! same way: endpoints in a map of their own, in a chain for each, or in the rule itself.
//! Upstream: `pkg/proxy/nftables`.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::SocketAddr,
};

use portolan_diagnose::evidence::{Rule, Verdict as Told};
use portolan_nftables::{Data, DumpError, Element, Family, Socket, Step, TableId, Verdict};

use super::{Fields, Key, Rules};

/// Chains that every packet for a Service passes.
const WAY_IN: [&str; 3] = ["nat-prerouting", "nat-output", "services"];

pub(super) fn read(socket: &mut Socket, table: &TableId, problems: &mut Vec<String>) -> Result<Vec<Rule>, DumpError> {
    let steps = socket.steps(table)?;
    let flushed: Vec<&str> =
        WAY_IN.into_iter().filter(|chain| !steps.iter().any(|step| step.chain == *chain)).collect();
    if !flushed.is_empty() {
        problems.push(format!(
            "table {table} is there, but chain {} has no rules: somebody flushed it",
            flushed.join(", ")
        ));
        return Ok(Vec::new());
    }
    let present: HashSet<String> = socket.sets(table)?.into_iter().collect();
    let mut maps = HashMap::new();
    let entries = ["service-ips", "service-nodeports", "no-endpoint-services", "no-endpoint-nodeports"];
    let used = steps.iter().flat_map(|step| step.sets.iter().map(String::as_str));
    for name in entries.into_iter().chain(used) {
        if present.contains(name) && !maps.contains_key(name) {
            maps.insert(name.to_owned(), socket.elements(table, name)?);
        }
    }
    Ok(Ruleset::new(table.family, &steps, &maps).rules())
}

struct Ruleset<'a> {
    family: Family,
    chains: HashMap<&'a str, Vec<&'a Step>>,
    maps: &'a HashMap<String, Vec<Element>>,
}

impl<'a> Ruleset<'a> {
    fn new(family: Family, steps: &'a [Step], maps: &'a HashMap<String, Vec<Element>>) -> Self {
        let mut chains: HashMap<&str, Vec<&Step>> = HashMap::new();
        for step in steps {
            chains.entry(&step.chain).or_default().push(step);
        }
        Self { family, chains, maps }
    }

    fn rules(&self) -> Vec<Rule> {
        let mut rules = Rules::default();
        for (map, node_port) in [("service-ips", false), ("service-nodeports", true)] {
            for element in self.maps.get(map).into_iter().flatten() {
                let Some(key) = self.key(element, node_port) else { continue };
                let Some(chain) = target(element) else { continue };
                let rule = rules.at(key, Told::Balance);
                rule.service = service(chain);
                rule.endpoints.extend(self.endpoints(chain));
            }
        }
        for (map, node_port) in [("no-endpoint-services", false), ("no-endpoint-nodeports", true)] {
            for element in self.maps.get(map).into_iter().flatten() {
                let Some(key) = self.key(element, node_port) else { continue };
                let dropped = matches!(element.data, Some(Data::Verdict(Verdict::Drop)));
                rules.at(key, if dropped { Told::Drop } else { Told::Refuse });
            }
        }
        rules.into_vec()
    }

    fn key(&self, element: &Element, node_port: bool) -> Option<Key> {
        let mut fields = Fields(element.key.as_bytes());
        let address = if node_port { None } else { Some(fields.address(self.family)?) };
        Some((address, fields.protocol()?, fields.port()?))
    }

    /// Every address that a packet in `chain` may be translated to.
    fn endpoints(&self, chain: &str) -> BTreeSet<SocketAddr> {
        let mut found = BTreeSet::new();
        let mut seen: HashSet<&str> = HashSet::new();
        let mut open: Vec<&str> = self.chains.get_key_value(chain).map(|(name, _)| *name).into_iter().collect();
        while let Some(chain) = open.pop() {
            if !seen.insert(chain) {
                continue;
            }
            for step in self.chains.get(chain).into_iter().flatten() {
                if step.translates {
                    found.extend(self.constant(step));
                }
                open.extend(step.verdicts.iter().filter_map(chain_of));
                for element in step.sets.iter().filter_map(|set| self.maps.get(set)).flatten() {
                    match &element.data {
                        Some(Data::Verdict(verdict)) => open.extend(chain_of(verdict)),
                        Some(Data::Value(value)) if step.translates => found.extend(self.endpoint(value.as_bytes())),
                        _ => {}
                    }
                }
            }
        }
        found
    }

    /// `dnat to ADDRESS:PORT`.
    fn constant(&self, step: &Step) -> Option<SocketAddr> {
        let [address, port, ..] = step.constants.as_slice() else { return None };
        let address = Fields(address.as_bytes()).address(self.family)?;
        Some(SocketAddr::new(address, Fields(port.as_bytes()).port()?))
    }

    fn endpoint(&self, bytes: &[u8]) -> Option<SocketAddr> {
        let mut fields = Fields(bytes);
        Some(SocketAddr::new(fields.address(self.family)?, fields.port()?))
    }
}

fn target(element: &Element) -> Option<&str> {
    match &element.data {
        Some(Data::Verdict(verdict)) => chain_of(verdict),
        _ => None,
    }
}

fn chain_of(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Jump(chain) | Verdict::Goto(chain) => Some(chain),
        _ => None,
    }
}

/// `KIND-HASH-NAMESPACE/NAME/PROTOCOL/PORT`, where long names are cut with dots: those name nothing.
fn service(chain: &str) -> Option<String> {
    let name = chain.splitn(3, '-').nth(2).filter(|name| !name.contains("..."))?;
    let mut parts = name.split('/');
    let (namespace, name, _protocol, port) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(if port.is_empty() { format!("{namespace}/{name}") } else { format!("{namespace}/{name}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_name_their_service_unless_the_name_was_cut() {
        let rows = [
            ("service-5OJB2KTY-default/web/tcp/http", Some("default/web:http")),
            ("external-5OJB2KTY-default/web-2/udp/", Some("default/web-2")),
            ("service-5OJB2KTY-default/a-very-lo.../tcp/http", None),
            ("services", None),
            ("service-5OJB2KTY-x", None),
        ];
        for (chain, expected) in rows {
            assert_eq!(service(chain).as_deref(), expected, "{chain}");
        }
    }
}
