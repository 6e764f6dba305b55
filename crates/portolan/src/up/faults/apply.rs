//! Makes one setting true. Every one may be repeated: what is so already stays.

use std::{collections::BTreeSet, io};

use anyhow::{Context, Result};
use portolan_lab::fault::{DnsAnswer, HeldPort, Transport};

use super::{Setting, network};
use crate::{
    controllers::select::Part,
    up::{
        machinery::{Machinery, NodeParts},
        objects::SYSTEM,
        switch::Power,
    },
};

/// Makes it so.
pub async fn apply(machinery: &mut Machinery, setting: &Setting) -> Result<()> {
    match setting {
        Setting::Api(faults) => {
            machinery.server.faults().declare(faults.clone()).map_err(anyhow::Error::msg)?;
        }
        Setting::Cloud(script) => machinery.cloud.set(script.clone()),
        Setting::Silent(parts) => machinery.server.faults().silence(users(machinery, parts)),
        Setting::Controller(part, power) => {
            for (_, switch) in machinery.controllers.get_mut(part).into_iter().flatten() {
                match power {
                    Power::On => switch.on()?,
                    Power::Off => switch.off().await,
                }
            }
        }
        Setting::Dns(Power::On) => machinery.dns.on()?,
        Setting::Dns(Power::Off) => machinery.dns.off().await,
        Setting::DnsAnswer(answer) => _ = machinery.dns_trouble.send_replace(answer.map(trouble)),
        Setting::Packets(place, faults) => network::apply(machinery.network(place)?, faults)?,
        Setting::Link(node, power) => {
            let mut switch = machinery.edge.links()?;
            match power {
                Power::On => switch.up(node)?,
                Power::Off => switch.down(node)?,
            }
        }
        Setting::Agent(node, Power::On) => machinery.node(node)?.agent.on()?,
        Setting::Agent(node, Power::Off) => machinery.node(node)?.agent.lose().await,
        Setting::Proxy(node, Power::On) => machinery.node(node)?.proxy.on()?,
        Setting::Proxy(node, Power::Off) => machinery.node(node)?.proxy.off().await,
        Setting::Condition(node, condition) => _ = machinery.node(node)?.condition.send_replace(*condition),
        Setting::Ports(node, ports) => hold(machinery.node(node)?, ports)?,
        Setting::ResolvConf(node, text) => {
            let node = machinery.node(node)?;
            let text = text.as_ref().unwrap_or(&node.resolv_conf.own);
            std::fs::write(&node.resolv_conf.path, text)
                .with_context(|| format!("cannot write {}", node.resolv_conf.path.display()))?;
        }
    }
    Ok(())
}

/// Who those controllers are to the API.
fn users(machinery: &Machinery, parts: &BTreeSet<Part>) -> BTreeSet<String> {
    let accounts = parts.iter().filter_map(|part| machinery.controllers.get(part)).flatten();
    accounts.map(|(account, _)| format!("system:serviceaccount:{SYSTEM}:{account}")).collect()
}

/// Holds these ports of the node, and no others.
fn hold(node: &mut NodeParts, ports: &[HeldPort]) -> Result<()> {
    node.held.retain(|(held, _)| ports.contains(held));
    for port in ports {
        if !node.held.iter().any(|(held, _)| held == port) {
            let socket = bind(node, port).with_context(|| format!("cannot hold port {}", port.port))?;
            node.held.push((port.clone(), socket));
        }
    }
    Ok(())
}

/// A socket on every address of the node.
fn bind(node: &NodeParts, port: &HeldPort) -> io::Result<std::os::fd::OwnedFd> {
    let address = (std::net::Ipv4Addr::UNSPECIFIED, port.port).into();
    Ok(match port.protocol {
        Transport::Tcp => node.namespace.tcp_listen(address)?.into(),
        Transport::Udp => node.namespace.udp_bind(address)?.into(),
    })
}

const fn trouble(answer: DnsAnswer) -> portolan_dns::Trouble {
    match answer {
        DnsAnswer::ServerFailure => portolan_dns::Trouble::ServerFailure,
        DnsAnswer::NoSuchName => portolan_dns::Trouble::NoSuchName,
        DnsAnswer::Silent => portolan_dns::Trouble::Silent,
    }
}
