//! The options of `up`, as typed and as settled: every default decided, every contradiction refused.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use crate::{
    controllers::options::Words,
    data::{self, Place},
};

/// Most nodes of one network: their addresses are 172.30.0.11 and up, their pods 10.244.1.0/24 and up.
const MAX_NODES: u8 = 200;
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The networks that the world itself uses; pools that users choose must not overlap them.
pub const NODE_NETWORK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(172, 30, 0, 0), 24);
/// All pods.
pub const POD_NETWORK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 244, 0, 0), 16);
/// Where clients from outside live.
pub const OUTSIDE_NETWORK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24);

/// Runs a whole Service network on this machine, without root and without touching the host's network
///
/// Prints where the API is and where the kubeconfig lies, then stays until Ctrl-C. Node ports and load balancers are
/// forwarded to loopback ports, which are printed as they come up.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan up --ephemeral
  export KUBECONFIG=~/.local/state/portolan/kubeconfig; kubectl get nodes
  portolan up --nodes 3 --image mydb=/usr/local/bin/mydb")]
pub struct Options {
    /// How many nodes.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_NODES)))]
    nodes: u8,
    #[command(flatten)]
    place: Place,
    /// Where the API listens on the host; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:6443", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Addresses for Services of type LoadBalancer.
    #[arg(long, default_value = "203.0.113.0/24", value_name = "CIDR", value_parser = parse_cidr)]
    lb_pool: Ipv4Net,
    /// Addresses for Services.
    #[arg(long, default_value = "10.96.0.0/16", value_name = "CIDR", value_parser = parse_cidr)]
    service_cidr: Ipv4Net,
    /// Ports for Services of type NodePort and LoadBalancer.
    #[arg(long, default_value = "30000-32767", value_name = "FROM-TO", value_parser = parse_range)]
    node_port_range: RangeInclusive<u16>,
    /// A program that pods may name as their image; may be given several times.
    #[arg(long = "image", value_name = "NAME=PATH", value_parser = parse_image)]
    images: Vec<(String, PathBuf)>,
    /// Serve the objects as series of kube-state-metrics on this loopback address of the host, as http://ADDRESS/metrics; port 0
    /// takes any free one. For trying out `portolan alerts`.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_loopback)]
    state_metrics: Option<SocketAddr>,
    /// Where to write the kubeconfig [default: kubeconfig in the data directory].
    #[arg(long, value_name = "FILE")]
    kubeconfig_out: Option<PathBuf>,
    /// Whose words Events use.
    #[arg(long, value_enum, default_value_t = Words::Full, value_name = "WORDS")]
    vocabulary: Words,
    /// A list of faults to begin with, as in the ConfigMap kube-system/portolan-faults; see docs/faults.md.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

/// What a network is run with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// How many nodes.
    pub nodes: u8,
    /// Objects (unless ephemeral), certificates, logs.
    pub data: PathBuf,
    /// Objects live in memory, and `data` is removed at the end.
    pub ephemeral: bool,
    /// The API's address on the host.
    pub listen: SocketAddr,
    /// The load balancers' addresses.
    pub lb_pool: Ipv4Net,
    /// The Services' addresses.
    pub service_cidr: Ipv4Net,
    /// The node ports, both ends included.
    pub node_ports: (u16, u16),
    /// Programs that pods may name as their image.
    pub images: BTreeMap<String, PathBuf>,
    /// Where the kubeconfig goes.
    pub kubeconfig: PathBuf,
    /// Whether node ports and balancers are forwarded to the host's loopback.
    pub forwards: bool,
    /// The host's resolvers: what pods ask for beyond the cluster goes there.
    pub upstreams: Vec<SocketAddr>,
    /// Whose words Events use.
    pub vocabulary: Words,
    /// Where the state metrics are served on the host.
    pub state_metrics: Option<SocketAddr>,
    /// The list of faults to begin with.
    pub faults: Option<String>,
}

impl Options {
    /// Decides every default and refuses what cannot work.
    pub fn settle(self) -> Result<Settings> {
        self.check_pools()?;
        let images = self.images.into_iter().map(check_image).collect::<Result<_>>()?;
        let kubeconfig = self.kubeconfig_out.map(std::path::absolute).transpose()?;
        let faults = self.faults.as_deref().map(read_faults).transpose()?;
        let data = self.place.directory()?;
        Ok(Settings {
            nodes: self.nodes,
            kubeconfig: kubeconfig.unwrap_or_else(|| data.join("kubeconfig")),
            data,
            ephemeral: self.place.ephemeral,
            listen: self.listen,
            lb_pool: self.lb_pool,
            service_cidr: self.service_cidr,
            node_ports: (*self.node_port_range.start(), *self.node_port_range.end()),
            images,
            forwards: true,
            upstreams: resolvers(&std::fs::read_to_string(RESOLV_CONF).unwrap_or_default()),
            vocabulary: self.vocabulary,
            state_metrics: self.state_metrics,
            faults,
        })
    }

    fn check_pools(&self) -> Result<()> {
        let pools = [
            ("--lb-pool", self.lb_pool),
            ("--service-cidr", self.service_cidr),
            ("the nodes' network", NODE_NETWORK),
            ("the pods' network", POD_NETWORK),
            ("the outside network", OUTSIDE_NETWORK),
        ];
        for (name, pool) in &pools[..2] {
            check_pool(name, pool)?;
        }
        for (index, (name, pool)) in pools.iter().enumerate() {
            for (other_name, other) in &pools[index + 1..] {
                if pool.contains(other) || other.contains(pool) {
                    bail!("{name} {pool} overlaps {other_name} {other}: choose another range");
                }
            }
        }
        if self.service_cidr.prefix_len() > 27 {
            bail!(
                "--service-cidr {} is too small: the cluster DNS needs its tenth address; use a /27 or wider",
                self.service_cidr
            );
        }
        Ok(())
    }
}

impl Settings {
    /// Settings for a network that is used from inside and leaves nothing behind, on any free port.
    pub fn throwaway() -> Result<Self> {
        let data = data::temporary()?;
        Ok(Self {
            nodes: 2,
            kubeconfig: data.join("kubeconfig"),
            data,
            ephemeral: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            lb_pool: Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 24),
            service_cidr: Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 16),
            node_ports: (30000, 32767),
            images: BTreeMap::new(),
            forwards: false,
            upstreams: Vec::new(),
            vocabulary: Words::Full,
            state_metrics: None,
            faults: None,
        })
    }

    /// The cluster DNS: tenth address of the Services, as kubeadm chooses it.
    pub fn dns_address(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.service_cidr.network()) + 10)
    }

    /// The `kubernetes` Service: first address of the Services.
    pub fn api_address(&self) -> IpAddr {
        Ipv4Addr::from(u32::from(self.service_cidr.network()) + 1).into()
    }
}

/// A range that can hold addresses for others to connect to.
fn check_pool(name: &str, pool: &Ipv4Net) -> Result<()> {
    let first = pool.network();
    if first.is_loopback() || first.is_multicast() || first.is_unspecified() || first.is_link_local() {
        bail!("{name} {pool}: nobody can connect to such addresses; choose a private or documentation range");
    }
    if pool.prefix_len() < 8 {
        bail!("{name} {pool} is too large: use a /8 or narrower");
    }
    Ok(())
}

/// The program of `--image NAME=PATH`, absolute.
fn check_image((name, path): (String, PathBuf)) -> Result<(String, PathBuf)> {
    use std::os::unix::fs::PermissionsExt;
    let given = path.display().to_string();
    let path = path.canonicalize().with_context(|| format!("--image {name}={given}: cannot find the program"))?;
    let metadata = path.metadata().with_context(|| format!("--image {name}={given}: cannot look at the program"))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        bail!("--image {name}={given}: not an executable file");
    }
    Ok((name, path))
}

/// A list of faults that can be read; whether its names mean something only the running network knows.
fn read_faults(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read --faults {}", path.display()))?;
    portolan_lab::fault::parse(&text).with_context(|| format!("--faults {}", path.display()))?;
    Ok(text)
}

/// The nameservers of a resolv.conf, at most the three that resolvers use.
fn resolvers(text: &str) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok())
        .take(3)
        .map(|address| SocketAddr::new(address, 53))
        .collect()
}

/// A range of ports as typed, `30000-32767`.
pub fn parse_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (from, to) = text.split_once('-').ok_or("write it as FROM-TO, such as 30000-32767")?;
    let port = |text: &str| text.trim().parse::<u16>().map_err(|_| format!("{text:?} is not a port (1 to 65535)"));
    let (from, to) = (port(from)?, port(to)?);
    if from == 0 || from > to {
        return Err(format!("{from}-{to} is no range of ports"));
    }
    Ok(from..=to)
}

/// The world opens sockets of the host on its loopback addresses only.
fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => Err("only a loopback address can be served, such as 127.0.0.1:9100".to_owned()),
        Err(_) => Err("write it as ADDRESS:PORT, such as 127.0.0.1:9100".to_owned()),
    }
}

fn parse_cidr(text: &str) -> Result<Ipv4Net, String> {
    let net = match text.parse::<IpNet>() {
        Ok(IpNet::V4(net)) => net,
        Ok(IpNet::V6(_)) => return Err("only IPv4 networks can be run".to_owned()),
        Err(_) => return Err("write it as ADDRESS/BITS, such as 203.0.113.0/24".to_owned()),
    };
    if net != net.trunc() {
        return Err(format!("has host bits set; did you mean {}?", net.trunc()));
    }
    Ok(net)
}

fn parse_image(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.into())),
        _ => Err("write it as NAME=PATH, such as mydb=/usr/local/bin/mydb".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn options(pool: &str, services: &str) -> Options {
        Options {
            nodes: 2,
            place: Place { data: None, ephemeral: true },
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            lb_pool: pool.parse().unwrap(),
            service_cidr: services.parse().unwrap(),
            node_port_range: 30000..=32767,
            images: Vec::new(),
            kubeconfig_out: None,
            vocabulary: Words::Full,
            state_metrics: None,
            faults: None,
        }
    }

    #[test]
    fn overlapping_pools_are_refused_by_name() {
        assert!(options("203.0.113.0/24", "10.96.0.0/16").check_pools().is_ok());
        let error = options("203.0.113.0/24", "10.240.0.0/12").check_pools().unwrap_err().to_string();
        assert!(error.contains("--service-cidr") && error.contains("the pods' network"), "{error}");
        assert!(options("198.51.100.0/25", "10.96.0.0/16").check_pools().is_err());
        assert!(options("203.0.113.0/24", "10.96.0.0/28").check_pools().is_err());
    }

    #[test]
    fn pools_that_nobody_can_reach_are_refused() {
        for (pool, services) in
            [("127.0.0.0/8", "10.96.0.0/16"), ("224.0.0.0/24", "10.96.0.0/16"), ("203.0.113.0/24", "0.0.0.0/4")]
        {
            assert!(options(pool, services).check_pools().is_err(), "{pool} {services}");
        }
        assert!(parse_cidr("203.0.113.5/24").unwrap_err().contains("203.0.113.0/24"));
        assert!(parse_cidr("fd00::/108").unwrap_err().contains("IPv4"));
        assert!(parse_cidr("nonsense").unwrap_err().contains("ADDRESS/BITS"));
    }

    #[test]
    fn an_image_must_be_a_program() {
        let image = |path: &str| check_image(("x".to_owned(), path.into()));
        assert!(image("/bin/sh").is_ok());
        assert!(image("/etc/passwd").unwrap_err().to_string().contains("not an executable file"));
        assert!(image("/nowhere").is_err() && image("/etc").is_err());
    }

    #[test]
    fn resolvers_are_read_as_a_resolver_reads_them() {
        let text = "# comment\nsearch example\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\n nameserver ::1\n";
        assert_eq!(resolvers(text), ["127.0.0.53:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
    }

    #[test]
    fn a_list_of_faults_must_be_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("faults.yaml");
        assert!(read_faults(&path).unwrap_err().to_string().contains("cannot read --faults"));
        std::fs::write(&path, "- dns: {stopped: true}").unwrap();
        assert_eq!(read_faults(&path).unwrap(), "- dns: {stopped: true}");
        std::fs::write(&path, "- dns: {stoped: true}").unwrap();
        assert!(format!("{:#}", read_faults(&path).unwrap_err()).contains("[0]: unknown field `stoped`"));
    }

    #[test]
    fn only_loopback_addresses_are_served() {
        assert!(parse_loopback("127.0.0.1:0").is_ok() && parse_loopback("[::1]:9100").is_ok());
        for bad in ["0.0.0.0:9100", "192.0.2.1:9100", "9100", ""] {
            assert!(parse_loopback(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ranges_and_images_are_parsed_or_explained() {
        assert_eq!(parse_range("30000-32767"), Ok(30000..=32767));
        for bad in ["", "1", "5-4", "0-9", "1-70000", "a-b"] {
            assert!(parse_range(bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse_image("a=/b=c").unwrap(), ("a".to_owned(), "/b=c".into()));
        assert!(parse_image("a").is_err() && parse_image("=b").is_err());
    }
}
