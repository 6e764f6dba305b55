//! The `/etc/resolv.conf` of a pod. Pure but for [`read`]. Upstream: `pkg/kubelet/network/dns/dns.go`.
//!
//! The base comes from the pod's policy (the cluster's DNS, the node's own file, or nothing), `spec.dnsConfig` is merged
//! into it, and what then exceeds the resolver's limits is cut: the pod starts all the same, and an Event
//! `DNSConfigForming` tells what remained. Only a node's file that cannot be read keeps pods from starting.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    net::IpAddr,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{PodDNSConfig, PodSpec};

/// Most nameservers a resolver takes.
pub const MAX_SERVERS: usize = 3;
/// Most search domains.
pub const MAX_SEARCHES: usize = 32;
/// Longest list of search domains, in characters, joined by spaces.
pub const MAX_SEARCH_LINE: usize = 2048;
/// Longest single search domain: a DNS name.
pub const MAX_SEARCH_PATH: usize = 253;
/// Longest file that is read.
const MAX_FILE: u64 = 10 << 20;
/// Search domains that the cluster puts in front of the node's.
const CLUSTER_SEARCHES: usize = 3;

/// A node's file that cannot be used; worded as kubelets word it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolvConfError {
    /// It cannot be opened.
    #[error("open {}: {}", .0.display(), reason(.1))]
    Open(PathBuf, io::Error),
    /// It cannot be read.
    #[error("Encountered error while parsing resolv conf file. Error: read {}: {}", .0.display(), reason(.1))]
    Read(PathBuf, io::Error),
    /// It is too long.
    #[error("Encountered error while parsing resolv conf file. Error: the read limit is reached")]
    Long,
    /// A line names no server.
    #[error("Encountered error while parsing resolv conf file. Error: nameserver list is empty ")]
    NoServer,
}

/// The reason in the words of the C library, without its number.
fn reason(error: &io::Error) -> String {
    let text = match error.kind() {
        ErrorKind::NotFound => "no such file or directory".into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        ErrorKind::IsADirectory => "is a directory".into(),
        ErrorKind::NotADirectory => "not a directory".into(),
        _ => error.to_string(),
    };
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// What a resolv.conf says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Nameservers, first asked first.
    pub servers: Vec<String>,
    /// Search domains, in order.
    pub searches: Vec<String>,
    /// Options such as `ndots:5`.
    pub options: Vec<String>,
}

impl ResolvConf {
    /// Reads a resolv.conf: nameservers add up, the last search line wins, options add up and a later value wins.
    ///
    /// # Errors
    /// If a line names no server.
    pub fn parse(text: &str) -> Result<Self, ResolvConfError> {
        let mut parsed = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => parsed.servers.push(words.next().ok_or(ResolvConfError::NoServer)?.to_owned()),
                Some("search") => {
                    parsed.searches = words
                        .filter(|domain| *domain != ".")
                        .map(|domain| domain.strip_suffix('.').unwrap_or(domain).to_owned())
                        .collect();
                }
                Some("options") => words.for_each(|option| set_option(&mut parsed.options, option.to_owned())),
                _ => {}
            }
        }
        Ok(parsed)
    }

    /// The text of the file.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if !self.searches.is_empty() {
            text.push_str(&format!("search {}\n", self.searches.join(" ")));
        }
        for server in &self.servers {
            text.push_str(&format!("nameserver {server}\n"));
        }
        if !self.options.is_empty() {
            text.push_str(&format!("options {}\n", self.options.join(" ")));
        }
        text
    }

    /// What a node without a file has: itself, and no domains.
    fn loopback(node: IpAddr) -> Self {
        let server = if node.is_ipv6() { "::1" } else { "127.0.0.1" };
        Self { servers: vec![server.into()], searches: vec![".".into()], options: Vec::new() }
    }
}

/// Reads the node's own file; `None` if it has none.
///
/// # Errors
/// If there is one and it cannot be used.
pub fn read(path: &Path) -> Result<Option<ResolvConf>, ResolvConfError> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let file = File::open(path).map_err(|error| ResolvConfError::Open(path.into(), error))?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| ResolvConfError::Read(path.into(), error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ResolvConfError::Long);
    }
    ResolvConf::parse(&String::from_utf8_lossy(&bytes)).map(Some)
}

/// What is wrong with the node's own file, in the words of the event `CheckLimitsForResolvConf`: the first finding.
pub fn check(path: &Path, domain: &str) -> Option<String> {
    let conf = match read(path) {
        Ok(conf) => conf?,
        Err(ResolvConfError::NoServer) => return Some("nameserver list is empty ".into()),
        Err(error) => {
            let text = error.to_string();
            let plain = text.strip_prefix("Encountered error while parsing resolv conf file. Error: ");
            return Some(plain.unwrap_or(&text).to_owned());
        }
    };
    let most = if domain.is_empty() { MAX_SEARCHES } else { MAX_SEARCHES - CLUSTER_SEARCHES };
    let file = path.display();
    if conf.searches.len() > most {
        return Some(format!("Resolv.conf file '{file}' contains search line consisting of more than {most} domains!"));
    }
    if conf.searches.iter().any(|search| search.len() > MAX_SEARCH_PATH) {
        return Some(format!(
            "Resolv.conf file \"{file}\" contains a search path which length is more than allowed \
             {MAX_SEARCH_PATH} chars!"
        ));
    }
    (conf.searches.join(" ").len() > MAX_SEARCH_LINE).then(|| {
        format!(
            "Resolv.conf file '{file}' contains search line which length is more than allowed {MAX_SEARCH_LINE} chars!"
        )
    })
}

/// The cluster's DNS, as the node is configured, and the node itself.
#[derive(Debug, Clone, Copy)]
pub struct Cluster<'a> {
    /// Addresses of the DNS Service.
    pub servers: &'a [IpAddr],
    /// The cluster's domain, such as `cluster.local`.
    pub domain: &'a str,
    /// The node's address.
    pub node: IpAddr,
}

/// What a pod gets, and what there is to say about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Formed {
    /// The pod's file.
    pub conf: ResolvConf,
    /// The texts of the `DNSConfigForming` events: one for each list that was cut.
    pub exceeded: Vec<String>,
    /// The pod asked for the cluster's DNS and there is none.
    pub missing_cluster: bool,
}

/// The resolv.conf of a pod in `namespace`; `host` is the node's own, if it has one.
pub fn form(spec: &PodSpec, namespace: &str, cluster: Cluster<'_>, host: Option<&ResolvConf>) -> Formed {
    let source = Source::of(spec);
    let missing_cluster = source == Source::Cluster && cluster.servers.is_empty();
    let mut conf = match source {
        Source::Nothing => ResolvConf::default(),
        Source::Cluster if !missing_cluster => of_cluster(namespace, cluster, host),
        Source::Cluster | Source::Host => host.cloned().unwrap_or_else(|| ResolvConf::loopback(cluster.node)),
    };
    if let Some(config) = &spec.dns_config {
        merge(&mut conf, config);
    }
    let exceeded = limit(&mut conf);
    Formed { conf, exceeded, missing_cluster }
}

/// Where the base comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Nothing,
    Host,
    Cluster,
}

impl Source {
    fn of(spec: &PodSpec) -> Self {
        let on_host = spec.host_network == Some(true);
        match spec.dns_policy.as_deref() {
            Some("None") => Self::Nothing,
            Some("Default") => Self::Host,
            // The cluster's names are found through the cluster network only when that is asked for by name.
            Some("ClusterFirst") | None if on_host => Self::Host,
            _ => Self::Cluster,
        }
    }
}

fn of_cluster(namespace: &str, cluster: Cluster<'_>, host: Option<&ResolvConf>) -> ResolvConf {
    let host: &[String] = host.map_or(&[], |host| &host.searches);
    let searches = match cluster.domain.trim_end_matches('.') {
        "" => host.to_vec(),
        domain => {
            let mut searches = Vec::new();
            add_new(&mut searches, &[format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.to_owned()]);
            add_new(&mut searches, host);
            searches
        }
    };
    let servers = cluster.servers.iter().map(IpAddr::to_string).collect();
    ResolvConf { servers, searches, options: vec!["ndots:5".to_owned()] }
}

fn merge(base: &mut ResolvConf, config: &PodDNSConfig) {
    for (list, more) in [(&mut base.servers, &config.nameservers), (&mut base.searches, &config.searches)] {
        let before = std::mem::take(list);
        add_new(list, &before);
        add_new(list, more.as_deref().unwrap_or_default());
    }
    for option in config.options.iter().flatten() {
        let Some(name) = &option.name else { continue };
        let text = match option.value.as_deref() {
            None | Some("") => name.clone(),
            Some(value) => format!("{name}:{value}"),
        };
        set_option(&mut base.options, text);
    }
}

/// Cuts what a resolver would not take. Returns one text for each list that was cut.
fn limit(formed: &mut ResolvConf) -> Vec<String> {
    let mut texts = Vec::new();
    if formed.servers.len() > MAX_SERVERS {
        formed.servers.truncate(MAX_SERVERS);
        texts.push(format!(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}",
            formed.servers.join(" ")
        ));
    }
    let wanted = formed.searches.len();
    formed.searches.truncate(MAX_SEARCHES);
    formed.searches.retain(|domain| domain.len() <= MAX_SEARCH_PATH);
    while formed.searches.join(" ").len() > MAX_SEARCH_LINE {
        formed.searches.pop();
    }
    if formed.searches.len() < wanted {
        texts.push(format!(
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}",
            formed.searches.join(" ")
        ));
    }
    texts
}

fn add_new(list: &mut Vec<String>, more: &[String]) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// Adds an option, or replaces the one of the same name.
fn set_option(options: &mut Vec<String>, option: String) {
    let name = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
    match options.iter_mut().find(|held| name(held) == name(&option)) {
        Some(held) => *held = option,
        None => options.push(option),
    }
}

#[cfg(test)]
mod tests;
