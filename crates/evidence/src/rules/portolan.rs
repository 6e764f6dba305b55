//! Portolan's own table: map `svc` says what each address does, map `ep` holds the endpoints in their slots.
//! The other side of this contract is the ruleset of `portolan-proxy`; a test of the whole program reads one's writing
//! with the other.

use std::{collections::HashMap, net::SocketAddr};

use portolan_diagnose::evidence::{Rule, Verdict};
use portolan_nftables::{Data, DumpError, Element, Socket, TableId};

use super::{Fields, Key, Rules};

/// Chains that every packet for a Service passes; without rules in them the maps are never asked.
const WAY_IN: [&str; 3] = ["prerouting", "output", "services"];
/// Values of `svc` that lead to no endpoint.
const REFUSE: u32 = 1;
const DROP: u32 = 2;

pub(super) fn read(socket: &mut Socket, table: &TableId, problems: &mut Vec<String>) -> Result<Vec<Rule>, DumpError> {
    let chains = socket.rules(table)?;
    let flushed: Vec<&str> = WAY_IN.into_iter().filter(|chain| !chains.iter().any(|rule| rule == chain)).collect();
    if !flushed.is_empty() {
        problems.push(format!(
            "table {table} is there, but chain {} has no rules: somebody flushed it",
            flushed.join(", ")
        ));
        return Ok(Vec::new());
    }
    let present = socket.sets(table)?;
    let mut elements = |set: &str| match present.iter().any(|known| known == set) {
        true => socket.elements(table, set),
        false => Ok(Vec::new()),
    };
    let mut endpoints: HashMap<Key, Vec<SocketAddr>> = HashMap::new();
    for element in elements("ep")? {
        if let Some((key, endpoint)) = endpoint(table, &element) {
            endpoints.entry(key).or_default().push(endpoint);
        }
    }
    let mut rules = Rules::default();
    for element in elements("svc")? {
        let Some((key, number)) = service(table, &element) else { continue };
        let verdict = match number {
            REFUSE => Verdict::Refuse,
            DROP => Verdict::Drop,
            _ => Verdict::Balance,
        };
        rules.at(key.clone(), verdict).endpoints = endpoints.remove(&key).unwrap_or_default();
    }
    Ok(rules.into_vec())
}

/// The zero address stands for this node.
fn key(table: &TableId, fields: &mut Fields<'_>) -> Option<Key> {
    let address = fields.address(table.family)?;
    Some(((!address.is_unspecified()).then_some(address), fields.protocol()?, fields.port()?))
}

fn service(table: &TableId, element: &Element) -> Option<(Key, u32)> {
    let Some(Data::Value(value)) = &element.data else { return None };
    let key = key(table, &mut Fields(element.key.as_bytes()))?;
    Some((key, value.word(0).map(u32::from_ne_bytes)?))
}

fn endpoint(table: &TableId, element: &Element) -> Option<(Key, SocketAddr)> {
    let Some(Data::Value(value)) = &element.data else { return None };
    let key = key(table, &mut Fields(element.key.as_bytes()))?;
    let mut target = Fields(value.as_bytes());
    Some((key, SocketAddr::new(target.address(table.family)?, target.port()?)))
}
