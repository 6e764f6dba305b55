//! The `/etc/resolv.conf` of a pod: pure. Upstream: `pkg/kubelet/network/dns/dns.go`.
//!
//! The base comes from the pod's policy (the cluster's DNS, the node's own file, or nothing), `spec.dnsConfig` is merged
//! into it, and what then exceeds the resolver's limits is cut: the pod starts all the same, and an Event
//! `DNSConfigForming` tells what remained.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{PodDNSConfig, PodSpec};

/// Most nameservers a resolver takes.
pub const MAX_SERVERS: usize = 3;
/// Most search domains.
pub const MAX_SEARCHES: usize = 32;
/// Longest list of search domains, in characters, joined by spaces.
pub const MAX_SEARCH_LINE: usize = 2048;
/// Longest single search domain: a DNS name.
pub const MAX_SEARCH_PATH: usize = 253;

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
    pub fn parse(text: &str) -> Self {
        let mut parsed = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => parsed.servers.extend(words.next().map(str::to_owned)),
                Some("search") => {
                    parsed.searches = words
                        .map(|domain| domain.strip_suffix('.').unwrap_or(domain))
                        .filter(|domain| !domain.is_empty())
                        .map(str::to_owned)
                        .collect();
                }
                Some("options") => words.for_each(|option| set_option(&mut parsed.options, option.to_owned())),
                _ => {}
            }
        }
        parsed
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
}

/// The cluster's DNS, as the node is configured.
#[derive(Debug, Clone, Copy)]
pub struct Cluster<'a> {
    /// Address of the DNS Service.
    pub server: IpAddr,
    /// The cluster's domain, such as `cluster.local`.
    pub domain: &'a str,
}

/// The resolv.conf of a pod in `namespace`, and the texts of the `DNSConfigForming` events.
pub fn form(spec: &PodSpec, namespace: &str, cluster: Cluster<'_>, host: &ResolvConf) -> (ResolvConf, Vec<String>) {
    let mut formed = base(spec, namespace, cluster, host);
    if let Some(config) = &spec.dns_config {
        merge(&mut formed, config);
    }
    let exceeded = limit(&mut formed);
    (formed, exceeded)
}

fn base(spec: &PodSpec, namespace: &str, cluster: Cluster<'_>, host: &ResolvConf) -> ResolvConf {
    let on_host = spec.host_network == Some(true);
    match spec.dns_policy.as_deref() {
        Some("None") => ResolvConf::default(),
        Some("Default") => host.clone(),
        // The cluster's names are found through the cluster network only when that is asked for by name.
        Some("ClusterFirst") | None if on_host => host.clone(),
        _ => {
            let domain = cluster.domain.trim_end_matches('.');
            let searches = match domain {
                "" => host.searches.clone(),
                domain => vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.to_owned()],
            };
            let mut base =
                ResolvConf { servers: vec![cluster.server.to_string()], searches, options: vec!["ndots:5".to_owned()] };
            add_new(&mut base.searches, &host.searches);
            base
        }
    }
}

fn merge(base: &mut ResolvConf, config: &PodDNSConfig) {
    add_new(&mut base.servers, config.nameservers.as_deref().unwrap_or_default());
    add_new(&mut base.searches, config.searches.as_deref().unwrap_or_default());
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
