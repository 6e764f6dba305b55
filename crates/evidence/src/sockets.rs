//! Who listens in a network namespace: `/proc/net/{tcp,tcp6,udp,udp6}`, and the programs behind the sockets.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use portolan_diagnose::evidence::Listening;
use portolan_netns::Namespace;

use crate::processes::Processes;

/// A listening socket and its number in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    listening: Listening,
    number: u64,
}

/// Blocking.
pub(crate) fn read(namespace: &Namespace, processes: &Processes) -> io::Result<Vec<Listening>> {
    let entries = namespace.run(entries)??;
    let named = entries.into_iter().map(|entry| {
        let program = processes.program(entry.number).map(str::to_owned);
        Listening { program, ..entry.listening }
    });
    let mut listening: Vec<Listening> = named.collect();
    listening.sort();
    listening.dedup();
    Ok(listening)
}

/// Of the calling thread's namespace.
fn entries() -> io::Result<Vec<Entry>> {
    let mut all = Vec::new();
    for (file, protocol) in [("tcp", "TCP"), ("tcp6", "TCP"), ("udp", "UDP"), ("udp6", "UDP")] {
        match fs::read_to_string(format!("/proc/thread-self/net/{file}")) {
            Ok(text) => all.extend(text.lines().skip(1).filter_map(|line| parse(line, protocol))),
            // Without IPv6 in the kernel there is no such file.
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.ends_with('6') => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// One line, if it is a listener: of TCP in state LISTEN, of UDP without a peer.
fn parse(line: &str, protocol: &str) -> Option<Entry> {
    const LISTEN: &str = "0A";
    const CLOSE: &str = "07";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, local, remote, state, ..] = *fields.as_slice() else { return None };
    let (address, port) = endpoint(local)?;
    let (peer, peer_port) = endpoint(remote)?;
    let waits = match protocol {
        "TCP" => state == LISTEN,
        _ => state == CLOSE && peer.is_unspecified() && peer_port == 0,
    };
    let number = fields.get(9)?.parse().ok()?;
    let listening = Listening { protocol: protocol.to_owned(), address, port, program: None };
    waits.then_some(Entry { listening, number })
}

/// Address and port in hexadecimal. The address is a row of 32-bit numbers as they lie in memory.
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<[u8; 4]> = address
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    let address = match *words.as_slice() {
        [word] => Ipv4Addr::from(word).into(),
        [_, _, _, _] => {
            let octets: [u8; 16] = words.concat().try_into().ok()?;
            let address = Ipv6Addr::from(octets);
            address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
        }
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn told(line: &str, protocol: &str) -> Option<String> {
        parse(line, protocol)
            .map(|entry| format!("{}:{} {}", entry.listening.address, entry.listening.port, entry.number))
    }

    #[test]
    fn listeners_are_told_from_connections() {
        let rows = [
            (
                "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0",
                "TCP",
                Some("127.0.0.1:8080 4711"),
            ),
            (
                "   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0",
                "TCP",
                Some("0.0.0.0:80 12"),
            ),
            (
                "   2: 0B01F40A:1F90 0200F40A:C001 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0",
                "TCP",
                None,
            ),
            (
                "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 9 1",
                "TCP",
                Some(":::80 9"),
            ),
            (
                "   0: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 9 1",
                "TCP",
                Some("127.0.0.1:80 9"),
            ),
            (
                " 5: 0A00600A:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 77 2 0 0",
                "UDP",
                Some("10.96.0.10:53 77"),
            ),
            (" 5: 0A00600A:0035 0A00600A:0036 01 00000000:00000000 00:00000000 00000000 0 0 77 2 0 0", "UDP", None),
            ("sl local_address", "TCP", None),
        ];
        for (line, protocol, expected) in rows {
            assert_eq!(told(line, protocol).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_listener_of_this_process_is_found_with_its_program() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut problems = Vec::new();
        let processes = Processes::read(&mut problems);
        let listening = read(&Namespace::current().unwrap(), &processes).unwrap();
        let mine = listening.iter().find(|entry| entry.port == port && entry.protocol == "TCP").unwrap();
        assert_eq!(mine.address, IpAddr::from([127, 0, 0, 1]));
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(mine.program.as_deref(), Some(name.trim_end()));
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_panic(line in "(?s).{0,60}", local in "[0-9A-Fa-f:\u{e9}]{0,40}") {
            parse(&line, "TCP");
            parse(&format!("0: {local} {local} 0A 0 0 0 0 0 1"), "UDP");
        }
    }
}
