//! The options of `portolan controllers`. Where kube-controller-manager has a flag for something, it has the same name here.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, ValueEnum};
use ipnet::IpNet;
use portolan_cloud::remote::Remote;
use portolan_controllers::{endpoints, endpointslice, loadbalancer, mirroring, nodeipam};
use portolan_events::Vocabulary;
use portolan_runtime::leader::Timing;

use super::select;
use crate::up::parse_range;

/// Runs the controllers of the Service network on any cluster, in place of upstream's
///
/// It keeps Endpoints, EndpointSlices and, with a provider, load balancers in step with Services. Switch the controllers
/// of the same names off in kube-controller-manager first: two of a kind would fight. Several processes can run at once:
/// one holds the Lease and works, the others stand by.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct Options {
    #[command(flatten)]
    pub cluster: Cluster,
    #[command(flatten)]
    pub choice: Choice,
    #[command(flatten)]
    pub election: Election,
    #[command(flatten)]
    pub tuning: Tuning,
    #[command(flatten)]
    pub nodes: Nodes,
    #[command(flatten)]
    pub cloud: Cloud,
    #[command(flatten)]
    pub serving: Serving,
}

const EXAMPLES: &str = "\
Examples:
  portolan controllers --kubeconfig admin.conf --leader-elect=false
  portolan controllers --controllers=-endpoints --vocabulary upstream
  portolan controllers --cloud-provider remote --cloud-endpoint /run/balancers.sock";

fn after_help() -> String {
    format!("{}\n{EXAMPLES}", select::table())
}

/// Which cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct Cluster {
    /// Kubeconfig to use [default: KUBECONFIG, else the service account of the pod].
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: the current one].
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// What runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "What runs")]
pub struct Choice {
    /// `*` is the Service network, `foo` adds a controller, `-foo` leaves it out. With nothing but `-foo`, the rest of
    /// `*` runs; in kube-controller-manager nothing would. The names are below.
    #[arg(long, value_delimiter = ',', default_value = "*", allow_hyphen_values = true, value_name = "LIST")]
    pub controllers: Vec<String>,
    /// Whose words Events use.
    #[arg(long, value_enum, default_value_t = Words::Full, value_name = "WORDS")]
    pub vocabulary: Words,
}

/// [`Vocabulary`] on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
pub enum Words {
    /// Every reason of `portolan explain` where it is true.
    Full,
    /// Exactly what Kubernetes itself says.
    Upstream,
}

impl From<Words> for Vocabulary {
    fn from(words: Words) -> Self {
        match words {
            Words::Full => Self::Full,
            Words::Upstream => Self::Upstream,
        }
    }
}

/// Who of several works.
#[derive(Debug, Args)]
#[command(next_help_heading = "Leader election")]
pub struct Election {
    /// Work only while holding the Lease. `false` is for a process that is certainly alone.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL")]
    pub leader_elect: bool,
    /// Others wait this long after the last renewal that they saw.
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "TIME")]
    pub leader_elect_lease_duration: Duration,
    /// The leader stops if it cannot renew for this long; less than the lease.
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub leader_elect_renew_deadline: Duration,
    /// Between attempts to get or renew the Lease.
    #[arg(long, default_value = "2s", value_parser = duration, value_name = "TIME")]
    pub leader_elect_retry_period: Duration,
    /// Name of the Lease.
    #[arg(long, default_value = "portolan-controllers", value_name = "NAME")]
    pub leader_elect_resource_name: String,
    /// Namespace of the Lease.
    #[arg(long, default_value = "kube-system", value_name = "NAME")]
    pub leader_elect_resource_namespace: String,
}

impl Election {
    pub fn timing(&self) -> Timing {
        Timing {
            lease: self.leader_elect_lease_duration,
            renew_deadline: self.leader_elect_renew_deadline,
            retry_period: self.leader_elect_retry_period,
        }
    }
}

/// How much at once.
#[derive(Debug, Args)]
#[command(next_help_heading = "How much at once")]
pub struct Tuning {
    /// Services whose EndpointSlices are written at a time.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    concurrent_service_endpoint_syncs: u16,
    /// Services whose Endpoints are written at a time.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    concurrent_endpoint_syncs: u16,
    /// Endpoints that are mirrored into slices at a time.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    mirroring_concurrent_service_endpoint_syncs: u16,
    /// Services whose load balancers are worked on at a time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    concurrent_service_syncs: u16,
    /// Endpoints in one slice.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    max_endpoints_per_slice: u16,
    /// Addresses of a subset that are mirrored.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    mirroring_max_endpoints_per_subset: u16,
    /// How long Endpoints wait after a change of a pod, for more of them.
    #[arg(long, default_value = "0s", value_parser = duration, value_name = "TIME")]
    endpoint_updates_batch_period: Duration,
    /// How long slices wait after a change of a pod, for more of them.
    #[arg(long, default_value = "0s", value_parser = duration, value_name = "TIME")]
    endpointslice_updates_batch_period: Duration,
    /// How long mirrored slices wait after a change of their Endpoints.
    #[arg(long, default_value = "0s", value_parser = duration, value_name = "TIME")]
    mirroring_endpointslice_updates_batch_period: Duration,
    /// Node ports that Services may have; read by allocation-repair-controller.
    #[arg(long, default_value = "30000-32767", value_name = "FROM-TO", value_parser = parse_range)]
    service_node_port_range: RangeInclusive<u16>,
}

impl Tuning {
    pub fn node_ports(&self) -> RangeInclusive<u16> {
        self.service_node_port_range.clone()
    }

    pub fn endpoints(&self) -> endpoints::Config {
        endpoints::Config {
            workers: self.concurrent_endpoint_syncs.into(),
            batch_period: self.endpoint_updates_batch_period,
        }
    }

    pub fn endpointslice(&self) -> endpointslice::Config {
        endpointslice::Config {
            workers: self.concurrent_service_endpoint_syncs.into(),
            max_endpoints_per_slice: self.max_endpoints_per_slice.into(),
            batch_period: self.endpointslice_updates_batch_period,
        }
    }

    pub fn mirroring(&self) -> mirroring::Config {
        mirroring::Config {
            workers: self.mirroring_concurrent_service_endpoint_syncs.into(),
            max_endpoints_per_subset: self.mirroring_max_endpoints_per_subset.into(),
            batch_period: self.mirroring_endpointslice_updates_batch_period,
        }
    }
}

/// What nodes get from node-ipam-controller.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pod ranges of nodes")]
pub struct Nodes {
    /// Pod addresses of the cluster, one range or one of each family; without it, node-ipam-controller does not run.
    #[arg(long, value_delimiter = ',', value_name = "CIDR[,CIDR]")]
    cluster_cidr: Vec<IpNet>,
    /// Prefix of a node's part of the IPv4 range.
    #[arg(long, default_value_t = 24, value_name = "BITS")]
    node_cidr_mask_size_ipv4: u8,
    /// Prefix of a node's part of the IPv6 range.
    #[arg(long, default_value_t = 64, value_name = "BITS")]
    node_cidr_mask_size_ipv6: u8,
}

impl Nodes {
    /// What there is to give, if anything.
    pub fn pools(&self) -> anyhow::Result<Option<nodeipam::Pools>> {
        let prefix = |range: &IpNet| {
            if range.addr().is_ipv4() { self.node_cidr_mask_size_ipv4 } else { self.node_cidr_mask_size_ipv6 }
        };
        let ranges: Vec<(IpNet, u8)> = self.cluster_cidr.iter().map(|range| (*range, prefix(range))).collect();
        if ranges.is_empty() {
            return Ok(None);
        }
        nodeipam::Pools::new(&ranges).map(Some).map_err(|error| anyhow::Error::new(error).context("--cluster-cidr"))
    }
}

/// Where load balancers come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load balancers")]
pub struct Cloud {
    /// Who makes load balancers. Without a provider, service-lb-controller does not run.
    #[arg(long, value_enum, default_value_t = Provider::None, value_name = "PROVIDER")]
    cloud_provider: Provider,
    /// Where the provider listens: the path of a unix socket, or http://127.0.0.1:PORT.
    #[arg(long, required_if_eq("cloud_provider", "remote"), value_name = "ENDPOINT")]
    cloud_endpoint: Option<String>,
    /// Calls that the provider gets per second, in the long run.
    #[arg(long, default_value_t = 10.0, value_parser = rate, value_name = "RATE")]
    cloud_calls_per_second: f64,
    /// Calls that it gets at once after a pause.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    cloud_calls_burst: u32,
}

/// Who makes load balancers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Provider {
    /// Nobody: Services of type LoadBalancer stay pending.
    None,
    /// Another process, asked over HTTP.
    Remote,
}

impl Cloud {
    /// The provider that was asked for.
    pub fn provider(&self) -> anyhow::Result<Option<Remote>> {
        match (self.cloud_provider, &self.cloud_endpoint) {
            (Provider::Remote, Some(endpoint)) => {
                let remote = Remote::new(endpoint);
                Ok(Some(remote.map_err(|error| anyhow::Error::new(error).context("--cloud-endpoint"))?))
            }
            _ => Ok(None),
        }
    }

    pub fn config(&self, tuning: &Tuning) -> loadbalancer::Config {
        loadbalancer::Config {
            workers: tuning.concurrent_service_syncs.into(),
            calls_per_second: self.cloud_calls_per_second,
            burst: self.cloud_calls_burst,
            ..loadbalancer::Config::default()
        }
    }
}

/// Where it can be looked at.
#[derive(Debug, Args)]
#[command(next_help_heading = "Health and metrics")]
pub struct Serving {
    /// Where /metrics, /healthz, /livez and /readyz are served, in plain HTTP; `0` is nowhere.
    #[arg(long, default_value = "127.0.0.1:10257", value_parser = address, value_name = "ADDRESS")]
    pub metrics_bind_address: Address,
}

/// An address to listen on, or none. A type of its own: clap reads `Option` in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub Option<SocketAddr>);

fn address(text: &str) -> Result<Address, String> {
    if text == "0" {
        return Ok(Address(None));
    }
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    full.parse().map(|address| Address(Some(address))).map_err(|_| "write ADDRESS:PORT, :PORT, or 0".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "write a number above 0".into())
}

/// A duration as Go's flags have it: `15s`, `1m30s`, `500ms`, `0`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write it like 15s, 500ms or 1m30s");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(wrong()),
        };
        total += number.parse::<f64>().map_err(|_| wrong())? * seconds;
        rest = tail;
    }
    match text {
        "" => Err(wrong()),
        _ => Duration::try_from_secs_f64(total).map_err(|_| wrong()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn durations_are_written_as_in_go() {
        let cases = [
            ("15s", Some(15_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("1m30s", Some(90_000)),
            ("1m0s", Some(60_000)),
            ("500ms", Some(500)),
            ("1.5s", Some(1500)),
            ("1h", Some(3_600_000)),
            ("", None),
            ("15", None),
            ("-5s", None),
            ("s", None),
            ("5 s", None),
            ("5x", None),
            ("99999999999999999999h", None),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(duration(text).ok().map(|duration| duration.as_millis()), milliseconds, "{text:?}");
        }
    }

    #[test]
    fn addresses_may_leave_the_host_out_or_be_none() {
        assert_eq!(address("0"), Ok(Address(None)));
        assert_eq!(address(":8080"), Ok(Address(Some("0.0.0.0:8080".parse().unwrap()))));
        assert_eq!(address("[::1]:80"), Ok(Address(Some("[::1]:80".parse().unwrap()))));
        assert!(address("localhost").is_err());
    }
}
