//! kube-proxy's ipvs mode: virtual servers in `/proc/net/ip_vs`, their addresses on the interface `kube-ipvs0`.
//! Upstream: `pkg/proxy/ipvs`.

use std::{
    collections::HashSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use portolan_diagnose::evidence::{Rule, Verdict};

use super::Rules;

const INTERFACE: &str = "kube-ipvs0";

/// The addresses on kube-proxy's interface; none if there is no such interface. It has at least the addresses of the
/// Services `kubernetes` and DNS as soon as the proxy works.
fn addresses() -> HashSet<IpAddr> {
    let all = crate::interfaces().into_iter();
    all.filter(|(name, _)| name == INTERFACE).map(|(_, address)| address).collect()
}

/// Whether kube-proxy works this way in the calling thread's namespace.
pub(super) fn is_here() -> bool {
    !addresses().is_empty()
}

pub(super) fn read(problems: &mut Vec<String>) -> Option<Vec<Rule>> {
    match fs::read_to_string("/proc/thread-self/net/ip_vs") {
        Ok(text) => Some(parse(&text, &addresses())),
        Err(error) => {
            problems.push(format!("cannot read the virtual servers in /proc/net/ip_vs: {error}"));
            None
        }
    }
}

/// A virtual server at an address that is not on the interface is a node port. Without real servers the kernel refuses.
fn parse(text: &str, service_addresses: &HashSet<IpAddr>) -> Vec<Rule> {
    let mut rules = Rules::default();
    let mut current = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match *words.as_slice() {
            ["->", endpoint, ..] => {
                if let (Some(key), Some(endpoint)) = (&current, address(endpoint)) {
                    let rule = rules.at(Clone::clone(key), Verdict::Balance);
                    rule.verdict = Verdict::Balance;
                    rule.endpoints.push(endpoint);
                }
            }
            [protocol @ ("TCP" | "UDP" | "SCTP"), server, ..] => {
                current = address(server).map(|server| {
                    let address = service_addresses.contains(&server.ip()).then(|| server.ip());
                    (address, protocol.to_owned(), server.port())
                });
                if let Some(key) = &current {
                    rules.at(key.clone(), Verdict::Refuse);
                }
            }
            _ => current = None,
        }
    }
    rules.into_vec()
}

/// `0A600001:01BB` or `[fd00:0000:...:0001]:01BB`.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match address.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(v6) => IpAddr::V6(v6.parse::<Ipv6Addr>().ok()?),
        None => IpAddr::V4(Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?)),
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:01BB rr
  -> AC120002:192B      Masq    1      2          0
  -> AC120003:192B      Masq    0      0          0
UDP  0A60000A:0035 rr
TCP  AC120002:7530 rr persistent 10800
  -> 0AF40105:1F90      Masq    1      0          0
TCP  [fd00:0000:0000:0000:0000:0000:0000:0001]:0050 rr
  -> [fd00:0000:0000:0000:0000:0000:0000:0002]:0050      Masq    1      0          0
FWM  00000001 rr
  -> AC120002:192B      Masq    1      2          0
";

    #[test]
    fn virtual_servers_become_rules() {
        let known = ["10.96.0.1", "10.96.0.10", "fd00::1"].map(|text| text.parse().expect("an address"));
        let told: Vec<String> = parse(TEXT, &known.into_iter().collect())
            .iter()
            .map(|rule| {
                let address = rule.address.map_or("node".to_owned(), |address| address.to_string());
                format!("{address} {} {} {:?} {:?}", rule.protocol, rule.port, rule.verdict, rule.endpoints)
            })
            .collect();
        assert_eq!(
            told,
            [
                "node TCP 30000 Balance [10.244.1.5:8080]",
                "10.96.0.1 TCP 443 Balance [172.18.0.2:6443, 172.18.0.3:6443]",
                "10.96.0.10 UDP 53 Refuse []",
                "fd00::1 TCP 80 Balance [[fd00::2]:80]",
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(?s).{0,60}", key in "(TCP|  ->) [\\[\\]0-9A-F:\u{e9}]{0,24}") {
            parse(&format!("{TEXT}{text}\n{key}\n{key} x"), &HashSet::new());
        }
    }
}
