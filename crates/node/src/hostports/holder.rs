//! Which process has a port: the kernel's tables of sockets, then the descriptors of processes.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use portolan_objects::Protocol;

use super::HostPort;

/// A listening TCP socket in `/proc/net/tcp`.
const LISTENING: u8 = 0x0a;
/// Longest command that is told.
const MAX_COMMAND: usize = 80;

/// The inodes of the sockets that serve the port in the network of the calling thread.
pub fn serving(port: &HostPort) -> Vec<u64> {
    rows(port.protocol).into_iter().filter(|row| row.has(port) && row.serves(port)).map(|row| row.inode).collect()
}

/// Whether the port is an end of a connection there.
pub fn is_connected(port: &HostPort) -> bool {
    rows(port.protocol).iter().any(|row| row.has(port) && !row.serves(port))
}

fn rows(protocol: Protocol) -> Vec<Row> {
    let tables = match protocol {
        Protocol::Tcp => ["tcp", "tcp6"],
        Protocol::Udp => ["udp", "udp6"],
        Protocol::Sctp => return Vec::new(),
    };
    let texts = tables.map(|table| fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default());
    texts.iter().flat_map(|text| text.lines()).filter_map(Row::parse).collect()
}

/// One socket.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    address: IpAddr,
    port: u16,
    state: u8,
    inode: u64,
}

impl Row {
    /// `  sl  local_address rem_address st ...`: `   0: 0100007F:1F90 00000000:0000 0A ... inode`.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let (address, port) = fields.nth(1)?.split_once(':')?;
        let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
        Some(Self {
            address: parse_address(address)?,
            port: u16::from_str_radix(port, 16).ok()?,
            state,
            inode: fields.nth(5)?.parse().ok()?,
        })
    }

    fn has(&self, wanted: &HostPort) -> bool {
        let address = self.address == wanted.address
            || self.address.is_unspecified()
            || wanted.address.is_unspecified() && wanted.address.is_ipv4() == self.address.is_ipv4();
        self.port == wanted.port && address
    }

    /// It takes what comes to its port, from anybody.
    fn serves(&self, wanted: &HostPort) -> bool {
        wanted.protocol != Protocol::Tcp || self.state == LISTENING
    }
}

/// Words of 32 bits as the machine holds them in memory, printed as numbers.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let words: Option<Vec<[u8; 4]>> = hex
        .as_bytes()
        .chunks(8)
        .map(|word| Some(u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?.to_ne_bytes()))
        .collect();
    match words?.as_slice() {
        [word] => Some(Ipv4Addr::from(*word).into()),
        words => {
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            let address = Ipv6Addr::from(bytes);
            Some(address.to_ipv4_mapped().map_or(address.into(), IpAddr::from))
        }
    }
}

/// The first process that has one of these sockets open, and what it was started as.
pub fn process_with(inodes: &[u64]) -> Option<(u32, String)> {
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut numbers: Vec<u32> = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers.into_iter().find_map(|pid| {
        let mut descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        let has = descriptors.any(|descriptor| {
            let target = fs::read_link(descriptor.path()).unwrap_or_default();
            sockets.iter().any(|socket| Path::new(socket) == target)
        });
        has.then(|| (pid, command(pid)))
    })
}

/// What a process was started as, or its name if it hides that.
fn command(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words =
        String::from_utf8_lossy(&line).split('\0').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let text = match words.is_empty() {
        true => fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned(),
        false => words,
    };
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_COMMAND).collect();
    if shown.chars().count() < text.chars().count() { format!("{shown}...") } else { shown }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0B1E1EAC:C350 01001EAC:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 20 4 30 10 -1
   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0000000000000000 100 0 0 10 0
";

    fn port(address: &str, port: u16) -> HostPort {
        HostPort { address: address.parse().unwrap(), protocol: Protocol::Tcp, port, target: 80 }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_table_tells_who_listens_where() {
        let rows: Vec<Row> = TABLE.lines().filter_map(Row::parse).collect();
        assert_eq!(rows.len(), 3);
        let expected = Row { address: "127.0.0.1".parse().unwrap(), port: 8080, state: LISTENING, inode: 4711 };
        assert_eq!(rows[0], expected);
        assert!(rows[0].has(&port("0.0.0.0", 8080)) && rows[0].has(&port("127.0.0.1", 8080)));
        assert!(rows[0].serves(&port("0.0.0.0", 8080)));
        assert!(!rows[0].has(&port("172.30.0.11", 8080)), "another address");
        assert!(!rows[0].has(&port("0.0.0.0", 8081)), "another port");
        assert!(rows[1].has(&port("0.0.0.0", 50000)) && !rows[1].serves(&port("0.0.0.0", 50000)), "a connection");
        assert!(rows[2].has(&port("172.30.0.11", 80)), "a socket for both families has every address");
    }

    #[test]
    fn a_socket_leads_to_its_process() {
        if !portolan_netns::world::enter_for_test("hostports::holder::tests::a_socket_leads_to_its_process") {
            return;
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let here = port("127.0.0.1", listener.local_addr().unwrap().port());
        let (pid, command) = process_with(&serving(&here)).unwrap();
        assert_eq!(pid, std::process::id());
        assert!(!command.is_empty() && command.chars().count() <= MAX_COMMAND + 3, "{command}");
        drop(listener);
        assert_eq!(serving(&here), [0; 0]);
        assert_eq!(process_with(&[]), None);
    }
}
