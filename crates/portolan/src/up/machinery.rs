//! The parts of the world that can be switched one by one.
//!
//! Made by `parts` when the world starts, switched by `faults` while it runs, ended by `parts` in order.

use std::{collections::BTreeMap, os::fd::OwnedFd, path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use futures::future::join_all;
use portolan_apiserver::Server;
use portolan_cloud::{faulty::Faulty, local::Local};
use portolan_lab::fault::HeldPort;
use portolan_netns::Namespace;
use portolan_proxy::Condition;
use tokio::sync::watch;

use super::{
    faults::{EDGE, Names},
    switch::Switch,
};
use crate::controllers::select::Part;

/// What each part consists of: its accounts, each with a switch.
pub type Controllers = BTreeMap<Part, Vec<(&'static str, Switch)>>;

/// All of them.
pub struct Machinery {
    /// The API.
    pub server: Arc<Server>,
    /// The provider of load balancers.
    pub cloud: Arc<Faulty<Local>>,
    /// The controllers, each with the service account that it has.
    pub controllers: Controllers,
    /// The cluster DNS.
    pub dns: Switch,
    /// What is wrong with it while it runs.
    pub dns_trouble: watch::Sender<Option<portolan_dns::Trouble>>,
    /// The nodes, by name.
    pub nodes: BTreeMap<String, NodeParts>,
    /// The network of the edge.
    pub edge: Namespace,
}

/// The parts of one node.
pub struct NodeParts {
    /// Its network.
    pub namespace: Namespace,
    /// Its agent, with all pods.
    pub agent: Switch,
    /// Its Service proxy.
    pub proxy: Switch,
    /// What is wrong with the proxy while it runs.
    pub condition: watch::Sender<Condition>,
    /// Its resolv.conf.
    pub resolv_conf: ResolvConf,
    /// The ports that a program of the node's own has.
    pub held: Vec<(HeldPort, OwnedFd)>,
}

/// A node's own resolv.conf.
#[derive(Debug, Clone)]
pub struct ResolvConf {
    /// The file.
    pub path: PathBuf,
    /// What it says when nothing is wrong.
    pub own: String,
}

impl Machinery {
    /// Starts everything.
    ///
    /// # Errors
    /// If something cannot have what it needs.
    pub fn start(&mut self) -> Result<()> {
        for (part, switches) in &mut self.controllers {
            for (_, switch) in switches {
                switch.on().with_context(|| format!("cannot start {part}"))?;
            }
        }
        self.dns.on().context("cannot start the cluster DNS")?;
        for (name, node) in &mut self.nodes {
            node.proxy.on().with_context(|| format!("cannot start the proxy of {name}"))?;
            node.agent.on().with_context(|| format!("cannot start the agent of {name}"))?;
        }
        Ok(())
    }

    /// Ends the agents, with all pods.
    pub async fn stop_agents(&mut self) {
        join_all(self.nodes.values_mut().map(|node| node.agent.off())).await;
    }

    /// Ends everything else.
    pub async fn stop(&mut self) {
        let controllers = self.controllers.values_mut().flatten().map(|(_, switch)| switch);
        let proxies = self.nodes.values_mut().map(|node| &mut node.proxy);
        let rest = controllers.chain(proxies).chain([&mut self.dns]);
        join_all(rest.map(Switch::off)).await;
    }

    /// What there is to break.
    pub fn names(&self) -> Names {
        Names { nodes: self.nodes.keys().cloned().collect(), controllers: self.controllers.keys().copied().collect() }
    }

    /// A node.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn node(&mut self, name: &str) -> Result<&mut NodeParts> {
        self.nodes.get_mut(name).with_context(|| format!("there is no node {name}"))
    }

    /// The network of a node, or of the edge.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn network(&self, place: &str) -> Result<&Namespace> {
        if place == EDGE {
            return Ok(&self.edge);
        }
        self.nodes.get(place).map(|node| &node.namespace).with_context(|| format!("there is no node {place}"))
    }
}
