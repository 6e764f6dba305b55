//! The canonical layout of an Endpoints object: ports that the same addresses have (in the same state) share a subset,
//! and everything has one order.
//!
//! The order is upstream's to the byte, because it decides which addresses are left out of an Endpoints that has too
//! many: addresses by IP and UID, ports and subsets by a hash of how Go's spew library prints them.
//! Upstream: `pkg/api/v1/endpoints/util.go`, `k8s.io/utils/dump`.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::{self, Write},
};

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, ObjectReference};
use portolan_objects::ports::{Port, PortSet};

/// Addresses spread out over the ports that they are reached on.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    addresses: Vec<EndpointAddress>,
    known: HashMap<Identity, usize>,
    /// Who is reached on a port, and whether ready. `None` collects addresses without any port.
    ports: BTreeMap<Option<Port>, Members>,
}

/// Indexes into the addresses, and whether that address is ready.
type Members = BTreeMap<usize, bool>;

/// Two addresses are the same one if they agree in this: pods on their node's network share an IP.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity {
    ip: String,
    uid: String,
}

impl Spread {
    /// Adds an address under each of `ports`, or without any. Seen twice, the first one's details stay, and not ready
    /// wins over ready.
    pub(crate) fn add(&mut self, address: EndpointAddress, ready: bool, ports: &PortSet) {
        let identity = Identity { ip: address.ip.clone(), uid: uid(&address).unwrap_or_default().to_owned() };
        let at = *self.known.entry(identity).or_insert(self.addresses.len());
        if at == self.addresses.len() {
            self.addresses.push(address);
        }
        if ports.is_empty() {
            self.reach(None, at, ready);
        }
        for port in ports.iter() {
            self.reach(Some(port), at, ready);
        }
    }

    fn reach(&mut self, port: Option<&Port>, at: usize, ready: bool) {
        // Most pods of a Service have the same ports: look before cloning the key.
        let members = match self.ports.iter_mut().find(|(known, _)| known.as_ref() == port) {
            Some((_, members)) => members,
            None => self.ports.entry(port.cloned()).or_default(),
        };
        members.entry(at).and_modify(|held| *held &= ready).or_insert(ready);
    }

    /// The subsets, in canonical form.
    pub(crate) fn pack(mut self) -> Vec<EndpointSubset> {
        let mut groups: BTreeMap<Members, Vec<EndpointPort>> = BTreeMap::new();
        for (port, members) in self.ports {
            groups.entry(members).or_default().extend(port.as_ref().and_then(subset_port));
        }
        let mut uses = vec![0_usize; self.addresses.len()];
        groups.keys().flat_map(Members::keys).for_each(|at| uses[*at] += 1);
        let mut subsets: Vec<EndpointSubset> = Vec::with_capacity(groups.len());
        for (members, ports) in groups {
            let (mut ready, mut not_ready) = (Vec::new(), Vec::new());
            for (at, is_ready) in members {
                uses[at] -= 1;
                let held = &mut self.addresses[at];
                let address = if uses[at] == 0 { std::mem::take(held) } else { held.clone() };
                if is_ready { ready.push(address) } else { not_ready.push(address) }
            }
            for list in [&mut ready, &mut not_ready] {
                list.sort_by(|a, b| (&a.ip, uid(a)).cmp(&(&b.ip, uid(b))));
            }
            subsets.push(EndpointSubset {
                addresses: some(ready),
                not_ready_addresses: some(not_ready),
                ports: some(in_order_of_hashes(ports, |hash, port| hash.top_port(port))),
            });
        }
        in_order_of_hashes(subsets, |hash, subset| hash.subset(subset))
    }
}

/// The canonical form of subsets that somebody wrote.
pub(crate) fn repack(subsets: &[EndpointSubset]) -> Vec<EndpointSubset> {
    let mut spread = Spread::default();
    for subset in subsets {
        let ports = PortSet::of_subset(subset);
        for (list, ready) in [(&subset.addresses, true), (&subset.not_ready_addresses, false)] {
            for address in list.iter().flatten() {
                spread.add(address.clone(), ready, &ports);
            }
        }
    }
    spread.pack()
}

/// A number that is the same for subsets with the same content, the `resourceVersion` of the pods aside. `subsets` are
/// in canonical form.
pub(crate) fn fingerprint(subsets: &[EndpointSubset]) -> u128 {
    let mut hash = Fnv::default();
    subsets.iter().for_each(|subset| hash.subset(subset));
    hash.0
}

fn uid(address: &EndpointAddress) -> Option<&str> {
    address.target_ref.as_ref().map(|target| target.uid.as_deref().unwrap_or_default())
}

/// A port without a number cannot be said in a subset.
fn subset_port(port: &Port) -> Option<EndpointPort> {
    Some(EndpointPort {
        name: (!port.name.is_empty()).then(|| port.name.clone()),
        protocol: Some(port.protocol.to_string()),
        port: port.number?.into(),
        app_protocol: port.app_protocol.clone(),
    })
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn in_order_of_hashes<T>(mut list: Vec<T>, print: impl Fn(&mut Fnv, &T)) -> Vec<T> {
    // One element is in order, and printing a long one takes its time.
    if list.len() > 1 {
        list.sort_by_cached_key(|element| {
            let mut hash = Fnv::default();
            print(&mut hash, element);
            hash.0
        });
    }
    list
}

/// FNV-1a of 128 bits over the text that Go's spew library prints for an object (`%#v`, as the hash wants it).
struct Fnv(u128);

impl Default for Fnv {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        Ok(())
    }
}

impl Fnv {
    fn put(&mut self, text: &str) {
        // Writing into a number cannot fail.
        let _ = self.write_str(text);
    }

    fn subset(&mut self, subset: &EndpointSubset) {
        self.put("(v1.EndpointSubset){Addresses:([]v1.EndpointAddress)");
        self.list(subset.addresses.as_deref(), Self::address);
        self.put(" NotReadyAddresses:([]v1.EndpointAddress)");
        self.list(subset.not_ready_addresses.as_deref(), Self::address);
        self.put(" Ports:([]v1.EndpointPort)");
        self.list(subset.ports.as_deref(), Self::port);
        self.put("}");
    }

    fn list<T>(&mut self, list: Option<&[T]>, print: impl Fn(&mut Self, &T)) {
        let Some(list) = list else { return self.put("<nil>") };
        self.put("[");
        for (at, element) in list.iter().enumerate() {
            self.put(if at == 0 { "" } else { " " });
            print(self, element);
        }
        self.put("]");
    }

    fn address(&mut self, address: &EndpointAddress) {
        self.put("{IP:(string)");
        self.put(&address.ip);
        self.put(" Hostname:(string)");
        self.put(address.hostname.as_deref().unwrap_or_default());
        self.put(" NodeName:(*string)");
        self.put(address.node_name.as_deref().unwrap_or("<nil>"));
        self.put(" TargetRef:(*v1.ObjectReference)");
        match &address.target_ref {
            Some(target) => self.reference(target),
            None => self.put("<nil>"),
        }
        self.put("}");
    }

    /// The resource version is left out, since it does not count in a comparison and nothing here writes one.
    fn reference(&mut self, target: &ObjectReference) {
        let fields = [
            ("{Kind:(string)", &target.kind),
            (" Namespace:(string)", &target.namespace),
            (" Name:(string)", &target.name),
            (" UID:(types.UID)", &target.uid),
            (" APIVersion:(string)", &target.api_version),
            (" ResourceVersion:(string)", &None),
            (" FieldPath:(string)", &target.field_path),
        ];
        for (name, value) in fields {
            self.put(name);
            self.put(value.as_deref().unwrap_or_default());
        }
        self.put("}");
    }

    /// A port on its own names its type; inside a list the list has done so.
    fn top_port(&mut self, port: &EndpointPort) {
        self.put("(v1.EndpointPort)");
        self.port(port);
    }

    fn port(&mut self, port: &EndpointPort) {
        self.put("{Name:(string)");
        self.put(port.name.as_deref().unwrap_or_default());
        let _ = write!(self, " Port:(int32){}", port.port);
        self.put(" Protocol:(v1.Protocol)");
        self.put(port.protocol.as_deref().unwrap_or_default());
        self.put(" AppProtocol:(*string)");
        self.put(port.app_protocol.as_deref().unwrap_or("<nil>"));
        self.put("}");
    }
}

#[cfg(test)]
mod tests;
