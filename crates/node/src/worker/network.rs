//! A pod's network: its address, its interface, its resolver.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use portolan_catalogue::Reason;
use portolan_events::Vocabulary;
use portolan_objects::ObjectKey;
use portolan_runtime::Failure;

use super::Life;
use crate::{
    hostports,
    resolv::{self, Cluster, ResolvConf},
    sandbox::{self, Sandbox, SandboxError},
};

impl Life {
    /// Makes the sandbox, again and again until it is made (or `None`: the pod is to end). An address that comes back
    /// is a reason to try at once.
    pub(super) async fn make_sandbox(&self) -> Option<(Sandbox, IpAddr)> {
        let failed = |error: SandboxError| {
            let text = Failure::new(&error).message;
            match &error {
                SandboxError::NoAddress(_) => {
                    let name = self.pod.metadata.name.as_deref().unwrap_or_default();
                    self.event(Reason::IPNotAllocated, format!("Failed to allocate IP to pod {name}: {text}"));
                }
                // In Kubernetes this reason speaks of limits only.
                SandboxError::ResolvConf(_) if self.agent.vocabulary() == Vocabulary::Full => {
                    let policy = self.spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
                    let text = format!("Forming DNS config with policy {policy} failed: {text}");
                    self.event(Reason::DNSConfigForming, text);
                }
                _ => {}
            }
            self.event(Reason::FailedCreatePodSandBox, format!("Failed to create pod sandbox: {text}"));
        };
        let sooner = Some(self.agent.addresses.freed());
        let (sandbox, address) = self.until_made(|| self.try_sandbox(), failed, sooner).await?;
        if self.spec.host_network != Some(true) {
            let name = self.pod.metadata.name.as_deref().unwrap_or_default();
            self.event(Reason::IPAllocated, format!("Successfully allocated IP {address} to pod {name}"));
        }
        self.agent.networks.add(ObjectKey::of(&*self.pod), &sandbox.isolation);
        Some((sandbox, address))
    }

    async fn try_sandbox(&self) -> Result<(Sandbox, IpAddr), SandboxError> {
        let config = &self.agent.config;
        let on_host = self.spec.host_network == Some(true);
        let address = match on_host {
            true => None,
            false => {
                let taken = self.agent.addresses.take(self.uid());
                Some(taken.ok_or(SandboxError::NoAddress(self.agent.addresses.range()))?)
            }
        };
        let plan = self.plan(address)?;
        let permit = self.agent.sandboxes.acquire().await;
        let made = tokio::task::spawn_blocking(move || Sandbox::create(&plan)).await;
        drop(permit);
        let made = made.map_err(|error| SandboxError::Namespace(io::Error::other(error)))??;
        Ok((made, address.map_or(config.address, IpAddr::V4)))
    }

    fn plan(&self, address: Option<Ipv4Addr>) -> Result<sandbox::Plan, SandboxError> {
        let config = &self.agent.config;
        let resolv_conf = self.resolv_conf()?;
        // A pod in the node's network has the node's name, and binds its ports itself.
        let hostname = if address.is_some() { sandbox::hostname(&self.pod) } else { config.name.clone() };
        let host_ports = if address.is_some() { hostports::of_spec(&self.spec) } else { Vec::new() };
        Ok(sandbox::Plan {
            node: config.namespace.clone(),
            address,
            directory: self.agent.directory(&self.pod),
            resolv_conf: resolv_conf.render(),
            hosts: address.map(|address| sandbox::hosts(&self.pod, &hostname, address, &config.domain)),
            hostname,
            link: sandbox::link_name(self.uid()),
            rules: self.agent.rules.clone(),
            host_ports,
        })
    }

    /// The node's file is read whatever the policy, as kubelets do: a node without one is broken for every pod.
    fn resolv_conf(&self) -> Result<ResolvConf, SandboxError> {
        let config = &self.agent.config;
        let host = resolv::read(&config.resolv_conf).map_err(SandboxError::ResolvConf)?;
        let cluster = Cluster { servers: &config.dns, domain: &config.domain, node: config.address };
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        let formed = resolv::form(&self.spec, namespace, cluster, host.as_ref());
        if formed.missing_cluster {
            let text = "kubelet does not have ClusterDNS IP configured and cannot create Pod using \"ClusterFirst\" \
                        policy. Falling back to \"Default\" policy.";
            self.agent.event(&self.agent.node_reference(), Reason::MissingClusterDNS, text);
            self.event(Reason::MissingClusterDNS, format!("pod: \"{}\". {text}", self.full_name()));
        }
        for text in formed.exceeded {
            self.event(Reason::DNSConfigForming, text);
        }
        Ok(formed.conf)
    }

    /// `name_namespace(uid)`.
    fn full_name(&self) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let metadata = &self.pod.metadata;
        format!("{}_{}({})", text(&metadata.name), text(&metadata.namespace), text(&metadata.uid))
    }
}
