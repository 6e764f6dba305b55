//! One question to one answer, from a zone alone: no I/O, no clock.
//!
//! NXDOMAIN means that nothing exists at or below a name; a name that exists without records of the asked type, or
//! only because something exists below it, is NODATA (RFC 8020). Both carry the zone's SOA, whose minimum bounds how
//! long a resolver may remember them (RFC 2308).

use std::{
    collections::{BTreeSet, HashSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use hickory_proto::{
    op::ResponseCode,
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT},
    },
};
use ipnet::IpNet;
use portolan_objects::ObjectKey;

use crate::{
    PodRecords,
    zone::{Endpoint, Owner, Records, Target, Zone},
};

/// How long clients may remember any of our records, in seconds; also the negative TTL.
const TTL: u32 = 5;
/// The version of the specification that the names follow.
const SCHEMA: &str = "1.1.0";
/// Aliases followed inside the zone before giving up.
const MAX_ALIASES: usize = 8;

/// What to do with a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The zone knows.
    Answer(Answer),
    /// Not ours: ask an upstream.
    Forward,
}

/// The sections of an authoritative answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// NOERROR, NXDOMAIN or SERVFAIL.
    pub code: ResponseCode,
    /// Records that answer.
    pub answers: Vec<Record>,
    /// The SOA of a negative answer.
    pub authorities: Vec<Record>,
    /// Addresses of the names in `answers`.
    pub additionals: Vec<Record>,
    /// The answers end in an alias to this name outside the zone, and the client wants what is there.
    pub chase: Option<Name>,
}

/// What exists at one name.
enum Node {
    /// Nothing, also not below.
    Missing,
    /// The name exists with these records, perhaps none.
    Found(Vec<RData>),
    /// The name stands for another.
    Alias(Name),
}

/// Answers the question for records of `kind` at `name`.
pub fn answer(zone: &Zone, name: &Name, kind: RecordType) -> Outcome {
    if let Some(labels) = zone.relative(name) {
        return Outcome::Answer(match zone.synced() {
            true => cluster_name(zone, name, &labels, kind),
            false => Answer::of(ResponseCode::ServFail),
        });
    }
    reverse_name(zone, name, kind).map_or(Outcome::Forward, Outcome::Answer)
}

/// A name in the cluster domain.
fn cluster_name(zone: &Zone, name: &Name, labels: &[String], kind: RecordType) -> Answer {
    let mut reply = Answer::of(ResponseCode::NoError);
    let mut owner = name.clone();
    let mut node = zone.node(labels);
    for _ in 0..MAX_ALIASES {
        match node {
            Node::Missing => {
                reply.code = ResponseCode::NXDomain;
                break;
            }
            Node::Found(records) => {
                let wanted = records.into_iter().filter(|data| wants(kind, data));
                let owner = &owner;
                reply.answers.extend(wanted.map(|data| record(owner, data)));
                break;
            }
            Node::Alias(target) => {
                reply.answers.push(record(&owner, RData::CNAME(CNAME(target.clone()))));
                if matches!(kind, RecordType::CNAME | RecordType::ANY) {
                    break;
                }
                let Some(labels) = zone.relative(&target) else {
                    reply.chase = Some(target);
                    break;
                };
                node = zone.node(&labels);
                owner = target;
            }
        }
    }
    if reply.chase.is_none() && !reply.answers.iter().any(|record| wants(kind, &record.data)) {
        reply.authorities.push(zone.soa(zone.origin.clone()));
    }
    reply.additionals = zone.addresses_of_targets(&reply.answers);
    reply
}

/// A name below `in-addr.arpa` or `ip6.arpa`; `None` when it is not ours.
fn reverse_name(zone: &Zone, name: &Name, kind: RecordType) -> Option<Answer> {
    let asked = name.parse_arpa_name().ok()?;
    let complete = asked.prefix_len() == asked.max_prefix_len();
    let spelled = Name::from(asked.addr());
    let owners = if complete && spelled == *name { zone.owners(&asked.addr()) } else { Vec::new() };
    let net = zone.reverse_nets.iter().find(|net| net.contains(&asked));
    if owners.is_empty() && net.is_none() {
        return None;
    }
    if !zone.synced() {
        return Some(Answer::of(ResponseCode::ServFail));
    }
    let mut reply = Answer::of(ResponseCode::NoError);
    // Without a configured network each address is a zone of its own.
    let apex = net.map_or(spelled, |net| reverse_apex(net, asked.addr()));
    if *name == apex {
        reply.answers.extend(zone.apex_records(&apex, kind));
    }
    if matches!(kind, RecordType::PTR | RecordType::ANY) {
        let targets = owners.iter().filter_map(|owner| zone.owner_name(owner));
        reply.answers.extend(targets.map(|target| record(name, RData::PTR(PTR(target)))));
    }
    if reply.answers.is_empty() {
        if complete && owners.is_empty() {
            reply.code = ResponseCode::NXDomain;
        }
        reply.authorities.push(zone.soa(apex));
    }
    Some(reply)
}

/// The name of the zone that holds `address`: its network, cut at the next label.
fn reverse_apex(net: &IpNet, address: IpAddr) -> Name {
    let (bits, labels) = match address {
        IpAddr::V4(_) => (8, 4),
        IpAddr::V6(_) => (4, 32),
    };
    let kept = usize::from(net.prefix_len().div_ceil(bits));
    let name = Name::from(address);
    // The two labels of in-addr.arpa or ip6.arpa stay.
    name.trim_to(kept.min(labels) + 2)
}

fn record(owner: &Name, data: RData) -> Record {
    Record::from_rdata(owner.clone(), TTL, data)
}

fn wants(kind: RecordType, data: &RData) -> bool {
    kind == RecordType::ANY || data.record_type() == kind
}

fn address(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}

impl Answer {
    fn of(code: ResponseCode) -> Self {
        Self { code, answers: Vec::new(), authorities: Vec::new(), additionals: Vec::new(), chase: None }
    }
}

// === impl Zone: what exists ===

impl Zone {
    /// The labels of `name` below the cluster domain, lower case, outermost last; `None` if it is outside.
    fn relative(&self, name: &Name) -> Option<Vec<String>> {
        let mut labels: Vec<String> =
            name.iter().map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect();
        let below = labels.len().checked_sub(self.origin_labels.len())?;
        (labels[below..] == self.origin_labels[..]).then(|| {
            labels.truncate(below);
            labels
        })
    }

    fn node(&self, labels: &[String]) -> Node {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        match labels[..] {
            [] => Node::Found(self.apex_data()),
            ["dns-version"] => Node::Found(vec![RData::TXT(TXT::new(vec![SCHEMA.to_owned()]))]),
            ["svc"] => Node::Found(Vec::new()),
            ["pod"] if self.pods == PodRecords::Insecure => Node::Found(Vec::new()),
            [namespace, "svc"] => self.namespace(namespace),
            [namespace, "pod"] if self.pods == PodRecords::Insecure => self.namespace(namespace),
            [pod, namespace, "pod"] if self.pods == PodRecords::Insecure => {
                match (self.has_namespace(namespace), pod_address(pod)) {
                    (true, Some(spelled)) => Node::Found(vec![address(spelled)]),
                    _ => Node::Missing,
                }
            }
            [.., service, namespace, "svc"] => {
                let key = ObjectKey { namespace: namespace.to_owned(), name: service.to_owned() };
                match self.service(&key) {
                    Some(records) => self.below_service(&key, &records, &labels[..labels.len() - 3]),
                    None => Node::Missing,
                }
            }
            _ => Node::Missing,
        }
    }

    fn namespace(&self, namespace: &str) -> Node {
        match self.has_namespace(namespace) {
            true => Node::Found(Vec::new()),
            false => Node::Missing,
        }
    }

    fn below_service(&self, key: &ObjectKey, records: &Records, labels: &[&str]) -> Node {
        match labels {
            [] => match &records.target {
                Target::Alias(target) => Node::Alias(target.clone()),
                Target::Nothing => Node::Found(Vec::new()),
                Target::Addresses(addresses) => Node::Found(addresses.iter().copied().map(address).collect()),
                // The specification asks for NXDOMAIN when no endpoint is ready.
                Target::Hosts(hosts) if hosts.is_empty() => Node::Missing,
                Target::Hosts(hosts) => {
                    let all: BTreeSet<_> = hosts.values().flatten().collect();
                    Node::Found(all.into_iter().copied().map(address).collect())
                }
            },
            [label] => match (label.strip_prefix('_'), &records.target) {
                (Some(protocol), _) => match records.ports.keys().any(|(_, served)| served == protocol) {
                    true => Node::Found(Vec::new()),
                    false => Node::Missing,
                },
                (None, Target::Hosts(hosts)) => match hosts.get(*label) {
                    Some(addresses) => Node::Found(addresses.iter().copied().map(address).collect()),
                    None => Node::Missing,
                },
                (None, _) => Node::Missing,
            },
            [port, protocol] => {
                let (Some(port), Some(protocol)) = (port.strip_prefix('_'), protocol.strip_prefix('_')) else {
                    return Node::Missing;
                };
                match records.ports.get(&(port.to_owned(), protocol.to_owned())) {
                    Some(endpoints) => Node::Found(self.srv(key, endpoints)),
                    None => Node::Missing,
                }
            }
            _ => Node::Missing,
        }
    }

    /// Equal shares: weights add up to about 100, as CoreDNS answers.
    fn srv(&self, key: &ObjectKey, endpoints: &[Endpoint]) -> Vec<RData> {
        let share = (100 / endpoints.len().max(1)).max(1);
        let weight = u16::try_from(share).unwrap_or(1);
        let targets = endpoints.iter().filter_map(|endpoint| {
            let owner = Owner { service: key.clone(), host: endpoint.host.clone() };
            Some((endpoint.port, self.owner_name(&owner)?))
        });
        targets.map(|(port, target)| RData::SRV(SRV::new(0, weight, port, target))).collect()
    }

    /// `[HOST.]NAME.NAMESPACE.svc.DOMAIN`; `None` if that is longer than a DNS name may be.
    fn owner_name(&self, owner: &Owner) -> Option<Name> {
        let service = [owner.service.name.as_str(), owner.service.namespace.as_str(), "svc"];
        let labels = owner.host.as_deref().into_iter().chain(service);
        Name::from_labels(labels.map(str::as_bytes)).ok()?.append_domain(&self.origin).ok()
    }

    /// The addresses of every SRV and NS target that this zone holds.
    fn addresses_of_targets(&self, answers: &[Record]) -> Vec<Record> {
        let mut seen = HashSet::new();
        let mut records = Vec::new();
        for answer in answers {
            let target = match &answer.data {
                RData::SRV(srv) => &srv.target,
                RData::NS(ns) => &ns.0,
                _ => continue,
            };
            if !seen.insert(target.clone()) {
                continue;
            }
            if let Some(Node::Found(found)) = self.relative(target).map(|labels| self.node(&labels)) {
                let found = found.into_iter().filter(|data| data.ip_addr().is_some());
                records.extend(found.map(|data| record(target, data)));
            }
        }
        records
    }

    fn apex_data(&self) -> Vec<RData> {
        vec![RData::SOA(self.soa_data()), RData::NS(NS(self.nameserver()))]
    }

    fn apex_records(&self, apex: &Name, kind: RecordType) -> impl Iterator<Item = Record> {
        let data = self.apex_data().into_iter().filter(move |data| wants(kind, data));
        let apex = apex.clone();
        data.map(move |data| record(&apex, data))
    }

    pub(crate) fn soa(&self, owner: Name) -> Record {
        record(&owner, RData::SOA(self.soa_data()))
    }

    fn soa_data(&self) -> SOA {
        let hostmaster = self.origin.prepend_label("hostmaster");
        let hostmaster = hostmaster.unwrap_or_else(|_| self.origin.clone());
        SOA::new(self.nameserver(), hostmaster, self.serial(), 7200, 1800, 86400, TTL)
    }

    /// The DNS Service under its customary name; the domain itself if that name would be too long.
    fn nameserver(&self) -> Name {
        let service = ObjectKey { namespace: "kube-system".into(), name: "kube-dns".into() };
        let owner = Owner { service, host: None };
        self.owner_name(&owner).unwrap_or_else(|| self.origin.clone())
    }
}

/// The address that a pod's name spells: `10-244-1-5`, or `fd00--5` for `fd00::5`.
fn pod_address(label: &str) -> Option<IpAddr> {
    let v4 = label.replace('-', ".").parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    v4.or_else(|| label.replace('-', ":").parse::<Ipv6Addr>().ok().map(IpAddr::V6))
}

#[cfg(test)]
mod tests;
