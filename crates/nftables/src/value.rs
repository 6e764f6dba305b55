//! Bytes of keys, data and comparisons, built field by field; and the plain interval sets made of networks.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use crate::Element;

/// A key, a datum or a comparison value: fields in the order of the concatenation, each padded to four bytes
/// like the 32-bit registers that it is compared with.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Vec<u8>);

impl Value {
    /// No field yet.
    pub fn new() -> Self {
        Self(Vec::with_capacity(16))
    }

    /// Takes bytes as they are: from a dump, or for a type without a method here.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Appends an address, network byte order.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.0.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => self.0.extend_from_slice(&address.octets()),
        }
        self
    }

    /// Appends an IP protocol number.
    #[must_use]
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.0.extend_from_slice(&[protocol, 0, 0, 0]);
        self
    }

    /// Appends a port, network byte order.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.0.extend_from_slice(&port.to_be_bytes());
        self.0.extend_from_slice(&[0, 0]);
        self
    }

    /// Appends a 32-bit number in host byte order: what `meta priority`, `meta mark` and `numgen` produce.
    #[must_use]
    pub fn number(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_ne_bytes());
        self
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The address, protocol or number fields again: the four bytes of register `index`.
    pub fn word(&self, index: usize) -> Option<[u8; 4]> {
        self.0.get(index * 4..).and_then(|rest| rest.first_chunk()).copied()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.chunks(4).enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            word.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}

/// The elements of a plain interval set that contains exactly `networks`: a start and an end element for every run
/// of addresses. Overlapping and adjacent networks are joined first, since the kernel refuses overlaps.
/// Networks must be of one family.
pub fn intervals(networks: impl IntoIterator<Item = IpNet>) -> Vec<Element> {
    let mut runs: Vec<(u128, u128, bool)> = networks
        .into_iter()
        .map(|network| (number(network.network()), number(network.broadcast()), network.addr().is_ipv4()))
        .collect();
    runs.sort_unstable();
    let mut joined: Vec<(u128, u128, bool)> = Vec::new();
    for (first, last, v4) in runs {
        match joined.last_mut() {
            Some(open) if first <= open.1.saturating_add(1) => open.1 = open.1.max(last),
            _ => joined.push((first, last, v4)),
        }
    }
    let mut elements = Vec::new();
    for (first, last, v4) in joined {
        elements.push(Element::new(Value::new().address(address(first, v4))));
        let highest = if v4 { u128::from(u32::MAX) } else { u128::MAX };
        // A run up to the highest address has no end element: nothing lies behind it.
        if last < highest {
            let end = Element::new(Value::new().address(address(last + 1, v4)));
            elements.push(end.interval_end());
        }
    }
    elements
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn address(number: u128, v4: bool) -> IpAddr {
    if v4 { IpAddr::V4((number as u32).into()) } else { IpAddr::V6(number.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_padded_like_registers() {
        let value = Value::new().address([10, 96, 0, 10].into()).protocol(6).port(80);
        assert_eq!(value.as_bytes(), [10, 96, 0, 10, 6, 0, 0, 0, 0, 80, 0, 0]);
        assert_eq!(format!("{value:?}"), "0a60000a.06000000.00500000");
    }

    #[test]
    fn networks_become_joined_runs() {
        let rows: [(&[&str], &[&str]); 4] = [
            (&["10.0.0.0/24"], &["0a000000", "0a000100 end"]),
            (&["10.0.1.0/24", "10.0.0.0/24", "10.0.0.7/32"], &["0a000000", "0a000200 end"]),
            (&["255.255.0.0/16"], &["ffff0000"]),
            (&["10.0.0.0/32", "10.0.0.2/32"], &["0a000000", "0a000001 end", "0a000002", "0a000003 end"]),
        ];
        for (networks, expected) in rows {
            let networks = networks.iter().map(|text| text.parse().expect("a network"));
            let elements: Vec<String> = intervals(networks)
                .iter()
                .map(|e| format!("{:?}{}", e.key, if e.end_of_interval { " end" } else { "" }))
                .collect();
            assert_eq!(elements, expected);
        }
    }
}
