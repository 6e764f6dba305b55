//! The rules of whichever Service proxy works here, in one form.
//!
//! Nothing is run or asked that could load a kernel module: legacy tables are read only where the kernel already has
//! them. Upstream: `pkg/proxy/{nftables,iptables,ipvs}`.

mod iptables;
mod ipvs;
mod kube;
mod portolan;

use std::{
    collections::BTreeMap,
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use portolan_diagnose::evidence::{Rule, Verdict};
use portolan_nftables::{Family, Socket, TableId};

/// Mode and rules of the calling thread's namespace. The mode is `None` where no known proxy has left anything; rules
/// are `None` if they could not be read.
pub(crate) fn read(problems: &mut Vec<String>) -> (Option<&'static str>, Option<Vec<Rule>>) {
    let tables = match tables() {
        Ok(tables) => tables,
        Err(why) => {
            problems.push(why);
            return (None, None);
        }
    };
    let (socket, tables) = tables;
    let named = |name: &str| -> Vec<TableId> { tables.iter().filter(|id| id.name == name).cloned().collect() };
    let read: [(&str, Vec<TableId>, ReadTable); 2] =
        [("portolan", named("portolan"), portolan::read), ("nftables", named("kube-proxy"), kube::read)];
    let mut socket = socket;
    for (mode, tables, read) in read {
        if tables.is_empty() {
            continue;
        }
        let mut rules = Vec::new();
        for table in &tables {
            match read(&mut socket, table, problems) {
                Ok(found) => rules.extend(found),
                Err(error) => {
                    problems.push(chain(&error));
                    return (Some(mode), None);
                }
            }
        }
        rules.sort();
        return (Some(mode), Some(rules));
    }
    if ipvs::is_here() {
        return ("ipvs".into(), ipvs::read(problems));
    }
    match iptables::read(&named("nat"), problems) {
        iptables::Read::Rules(rules) => (Some("iptables"), Some(rules)),
        iptables::Read::Unreadable => (None, None),
        iptables::Read::Nothing => (None, Some(Vec::new())),
    }
}

type ReadTable = fn(&mut Socket, &TableId, &mut Vec<String>) -> Result<Vec<Rule>, portolan_nftables::DumpError>;

fn tables() -> Result<(Socket, Vec<TableId>), String> {
    let failed = |error: &dyn Error| format!("{}; it takes CAP_NET_ADMIN and nftables in the kernel", chain(error));
    let mut socket = Socket::open().map_err(|error| failed(&error))?;
    let tables = socket.tables().map_err(|error| failed(&error))?;
    Ok((socket, tables.into_iter().map(|table| table.id).collect()))
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// What a rule is for: address, if it is not a node port, protocol and port.
type Key = (Option<IpAddr>, String, u16);

/// Rules in the making, one for each key.
#[derive(Debug, Default)]
struct Rules(BTreeMap<Key, Rule>);

impl Rules {
    /// The rule of a key, made with `verdict` if it is new.
    fn at(&mut self, key: Key, verdict: Verdict) -> &mut Rule {
        let (address, protocol, port) = key.clone();
        let new = || Rule { address, port, protocol, service: None, endpoints: Vec::new(), verdict };
        self.0.entry(key).or_insert_with(new)
    }

    fn into_vec(self) -> Vec<Rule> {
        let tidy = |mut rule: Rule| {
            rule.endpoints.sort();
            rule.endpoints.dedup();
            rule
        };
        self.0.into_values().map(tidy).collect()
    }
}

fn protocol_name(number: u8) -> Option<String> {
    match number {
        6 => Some("TCP".into()),
        17 => Some("UDP".into()),
        132 => Some("SCTP".into()),
        _ => None,
    }
}

/// Takes fields off the bytes of a key or datum, each padded to four bytes.
#[derive(Debug, Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let field = self.0.get(..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(field)
    }

    fn address(&mut self, family: Family) -> Option<IpAddr> {
        match family {
            Family::Ip6 => self.take(16)?.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets).into()),
            _ => self.take(4)?.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).into()),
        }
    }

    fn protocol(&mut self) -> Option<String> {
        protocol_name(*self.take(1)?.first()?)
    }

    fn port(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }
}
