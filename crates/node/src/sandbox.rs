//! What a pod has before any of its containers: a network namespace with an address, and its generated files.
//!
//! The pod's `eth0` has its address as /32 and sends everything to 169.254.1.1, which is nobody's address: the node's
//! end of the pair takes it, because both ends know each other's hardware address from the start. No ARP is ever sent,
//! so the first packet is as fast as the next, and the node's end needs no address that could be picked as a source.

use std::{
    ffi::CString,
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnet::{IpNet, Ipv4Net};
use k8s_openapi::api::core::v1::Pod;
use portolan_netns::{Links, LinksError, Namespace};

use crate::{
    hostports::{HostPort, Rules, RulesError},
    logs,
    process::Isolation,
    resolv::ResolvConfError,
};

/// The gateway of every pod.
const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1));
/// The pod's interface.
const POD_LINK: &str = "eth0";

/// Why a pod has no sandbox. Worth trying again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// All addresses of the node are in use.
    #[error("no address is free in the node's pod range {0}; delete pods or use a larger range")]
    NoAddress(Ipv4Net),
    /// The kernel refused a namespace or a setting.
    #[error("cannot make the pod's network namespace")]
    Namespace(#[source] io::Error),
    /// The kernel refused an interface, an address or a route.
    #[error("cannot connect the pod's network to the node")]
    Connect(#[source] LinksError),
    /// The node's own resolv.conf cannot be used.
    #[error(transparent)]
    ResolvConf(ResolvConfError),
    /// The host ports cannot be led to the pod.
    #[error("cannot map the pod's host ports")]
    HostPorts(#[source] RulesError),
    /// A generated file could not be written.
    #[error("cannot write {0}")]
    File(PathBuf, #[source] io::Error),
}

/// What a sandbox is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The node's network.
    pub node: Namespace,
    /// The pod's address; `None` for a pod in the node's own network.
    pub address: Option<Ipv4Addr>,
    /// Where the pod's files are.
    pub directory: PathBuf,
    /// The pod's host name; the node's for a pod in its network.
    pub hostname: String,
    /// `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// `/etc/hosts`, unless the machine's is used.
    pub hosts: Option<String>,
    /// Name of the node's end of the pair.
    pub link: String,
    /// Where host ports are mapped.
    pub rules: Arc<Rules>,
    /// Those of a pod with a network of its own.
    pub host_ports: Vec<HostPort>,
}

/// A pod's network and files.
#[derive(Debug)]
pub struct Sandbox {
    /// For its processes.
    pub isolation: Arc<Isolation>,
    /// What the node has of it; nothing for a pod in the node's own network.
    outside: Option<Outside>,
}

#[derive(Debug)]
struct Outside {
    node: Namespace,
    link: String,
    rules: Arc<Rules>,
    address: Ipv4Addr,
    host_ports: Vec<HostPort>,
}

impl Sandbox {
    /// Makes it. Blocking: some milliseconds. What a failed attempt left is overwritten by the next.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn create(plan: &Plan) -> Result<Self, SandboxError> {
        let files = write_files(plan)?;
        let (network, outside) = match plan.address {
            None => (plan.node.clone(), None),
            Some(address) => {
                let network = Namespace::create().map_err(SandboxError::Namespace)?;
                connect(plan, address, &network)?;
                map_ports(plan, address)?;
                let outside = Outside {
                    node: plan.node.clone(),
                    link: plan.link.clone(),
                    rules: plan.rules.clone(),
                    address,
                    host_ports: plan.host_ports.clone(),
                };
                (network, Some(outside))
            }
        };
        let hostname = plan.hostname.clone();
        Ok(Self { isolation: Arc::new(Isolation { network, hostname, files }), outside })
    }

    /// Leads no host port to the pod any more. Blocking.
    pub fn unmap_ports(&self) {
        let Some(Outside { rules, address, host_ports, .. }) = &self.outside else { return };
        if !host_ports.is_empty()
            && let Err(error) = rules.remove(*address, host_ports)
        {
            tracing::warn!(%address, %error, "cannot remove the rules of a pod's host ports");
        }
    }

    /// Takes the network away. Blocking.
    pub fn remove(&self) {
        let Some(Outside { node, link, .. }) = &self.outside else { return };
        let removed = node.links().and_then(|mut links| Ok(links.delete_link(link)?));
        if let Err(error) = removed {
            tracing::warn!(link, %error, "cannot remove a pod's interface");
        }
    }
}

/// The name of the node's end: interface names have at most 15 bytes, uids more.
pub fn link_name(uid: &str) -> String {
    let hex: String = uid.chars().filter(char::is_ascii_alphanumeric).take(11).collect();
    format!("veth{hex}")
}

fn connect(plan: &Plan, address: Ipv4Addr, network: &Namespace) -> Result<(), SandboxError> {
    let mut outside = plan.node.links().map_err(SandboxError::Namespace)?;
    let mut inside = network.links().map_err(SandboxError::Namespace)?;
    // A pair that a failed attempt or an earlier life left has its other end in the wrong namespace.
    outside.delete_link(&plan.link).map_err(SandboxError::Connect)?;
    join(&mut outside, &mut inside, &plan.link, address, network).map_err(SandboxError::Connect)
}

/// Leads the node's ports to the pod. 127.0.0.1 of the node is one of its addresses too, and what comes from there has
/// to be let out to the pod.
fn map_ports(plan: &Plan, pod: Ipv4Addr) -> Result<(), SandboxError> {
    if plan.host_ports.is_empty() {
        return Ok(());
    }
    plan.rules.add(pod, &plan.host_ports).map_err(SandboxError::HostPorts)?;
    let setting = format!("net/ipv4/conf/{}/route_localnet", plan.link);
    if let Err(error) = plan.node.sysctl(&setting, "1") {
        tracing::warn!(%pod, %error, "the pod's host ports cannot be reached at the node's 127.0.0.1");
    }
    Ok(())
}

fn join(
    outside: &mut Links,
    inside: &mut Links,
    link: &str,
    address: Ipv4Addr,
    network: &Namespace,
) -> Result<(), LinksError> {
    let host = |address: IpAddr| IpNet::from(address);
    let address = IpAddr::V4(address);
    outside.veth(link, POD_LINK, network)?;
    outside.up(link)?;
    inside.add_address(POD_LINK, host(address))?;
    inside.up(POD_LINK)?;
    let (ours, theirs) = (outside.hardware_address(link)?, inside.hardware_address(POD_LINK)?);
    inside.set_neighbour(POD_LINK, GATEWAY, &ours)?;
    outside.set_neighbour(link, address, &theirs)?;
    inside.add_route(host(GATEWAY), None, Some(POD_LINK), false)?;
    inside.add_route(IpNet::V4(Ipv4Net::default()), Some(GATEWAY), Some(POD_LINK), true)?;
    outside.add_route(host(address), None, Some(link), false)
}

fn write_files(plan: &Plan) -> Result<Vec<(CString, CString)>, SandboxError> {
    let directory = plan.directory.join("etc");
    logs::create_directory(&directory).map_err(|error| SandboxError::File(directory.clone(), error))?;
    let hostname = format!("{}\n", plan.hostname);
    let wanted =
        [("resolv.conf", Some(&plan.resolv_conf)), ("hosts", plan.hosts.as_ref()), ("hostname", Some(&hostname))];
    let mut files = Vec::new();
    for (name, text) in wanted {
        let Some(text) = text else { continue };
        let path = directory.join(name);
        fs::write(&path, text).map_err(|error| SandboxError::File(path.clone(), error))?;
        files.push((c_string(&path)?, c_string(&Path::new("/etc").join(name))?));
    }
    Ok(files)
}

fn c_string(path: &Path) -> Result<CString, SandboxError> {
    CString::new(path.as_os_str().as_encoded_bytes())
        .map_err(|error| SandboxError::File(path.to_owned(), io::Error::other(error)))
}

/// `/etc/hosts` of a pod with a network of its own.
pub fn hosts(pod: &Pod, hostname: &str, address: Ipv4Addr, domain: &str) -> String {
    let spec = pod.spec.as_ref();
    let mut text =
        String::from("# Written by the node agent.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    let subdomain = spec.and_then(|spec| spec.subdomain.as_deref()).filter(|subdomain| !subdomain.is_empty());
    match subdomain {
        Some(subdomain) => {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            text.push_str(&format!("{address}\t{hostname}.{subdomain}.{namespace}.svc.{domain}\t{hostname}\n"));
        }
        None => text.push_str(&format!("{address}\t{hostname}\n")),
    }
    for alias in spec.into_iter().flat_map(|spec| spec.host_aliases.iter().flatten()) {
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        text.push_str(&format!("{}\t{names}\n", alias.ip));
    }
    text
}

/// The pod's host name: its `spec.hostname` or its name, without what a host name cannot hold.
pub fn hostname(pod: &Pod) -> String {
    let chosen = pod.spec.as_ref().and_then(|spec| spec.hostname.clone()).filter(|name| !name.is_empty());
    let name = chosen.or_else(|| pod.metadata.name.clone()).unwrap_or_default();
    let cut: String = name.chars().take(63).collect();
    cut.trim_end_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn names_fit_what_they_are_for() {
        assert_eq!(link_name("6f0c1f2e-aaaa-bbbb-cccc-ddddeeeeffff"), "veth6f0c1f2eaaa");
        assert!(link_name("6f0c1f2e-aaaa-bbbb-cccc-ddddeeeeffff").len() <= 15);
        let pod = |spec, name: &str| {
            serde_json::from_value::<Pod>(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
        };
        assert_eq!(hostname(&pod(json!({"containers": []}), "web-1")), "web-1");
        assert_eq!(hostname(&pod(json!({"containers": [], "hostname": "db"}), "web-1")), "db");
        let long = format!("{}-{}", "a".repeat(62), "b");
        assert_eq!(hostname(&pod(json!({"containers": []}), &long)), "a".repeat(62));
    }

    #[test]
    fn the_hosts_file_knows_the_pod_and_its_aliases() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "db-0", "namespace": "shop"}, "spec": {
            "containers": [], "subdomain": "db", "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a", "b"]}],
        }}))
        .unwrap();
        let text = hosts(&pod, "db-0", Ipv4Addr::new(10, 244, 1, 2), "cluster.local");
        assert!(text.contains("10.244.1.2\tdb-0.db.shop.svc.cluster.local\tdb-0\n"), "{text}");
        assert!(text.ends_with("192.0.2.1\ta\tb\n"), "{text}");
    }
}
