//! What the options come to: checked as a whole before anything is opened, asked or printed.

use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use portolan_cloud::{LoadBalancers, remote::Remote};
use portolan_controllers::nodeipam::Pools;
use tracing::{info, warn};

use super::{
    options::Options,
    parts::Setup,
    select::{Part, select},
};

/// What runs, and with what.
#[derive(Debug)]
pub struct Settled {
    /// At least one; each has what it needs.
    pub parts: Vec<Part>,
    /// Who makes load balancers.
    pub provider: Option<Arc<Remote>>,
    /// What nodes get their pod ranges from.
    pub pools: Option<Pools>,
}

impl Settled {
    /// Decides what runs.
    ///
    /// # Errors
    /// If an option is wrong by itself or beside another, or nothing is left to run.
    pub fn new(options: &Options) -> Result<Self> {
        let selected = select(&options.choice.controllers).map_err(|words| anyhow!("--controllers: {words}"))?;
        if options.election.leader_elect {
            options.election.timing().check().map_err(|words| anyhow!("--leader-elect-*: {words}"))?;
        }
        let mut settled = Self {
            parts: Vec::new(),
            provider: options.cloud.provider()?.map(Arc::new),
            pools: options.nodes.pools()?,
        };
        let mut missing = Vec::new();
        for one in selected {
            match settled.lacks(one.part) {
                None => settled.parts.push(one.part),
                Some(option) => missing.push((one, format!("{} needs {option}", one.part))),
            }
        }
        if settled.parts.is_empty() {
            let words = missing.into_iter().map(|(_, words)| format!("; {words}")).collect::<String>();
            bail!("--controllers: nothing is left to run{words}");
        }
        for (one, words) in missing {
            match one.named {
                true => warn!("{words}, and does not run"),
                // Most clusters have no provider here, and nobody asked for the part.
                false => info!("{words}, and does not run"),
            }
        }
        Ok(settled)
    }

    /// The same with all that the parts are given.
    pub fn setup(self, options: &Options) -> Setup {
        let Options { tuning, cloud, choice, .. } = options;
        Setup {
            parts: self.parts,
            vocabulary: choice.vocabulary.into(),
            endpoints: tuning.endpoints(),
            endpointslice: tuning.endpointslice(),
            mirroring: tuning.mirroring(),
            loadbalancer: cloud.config(tuning),
            provider: self.provider.map(|provider| -> Arc<dyn LoadBalancers> { provider }),
            pools: self.pools,
            node_ports: tuning.node_ports(),
        }
    }

    /// The option without which the part cannot run.
    fn lacks(&self, part: Part) -> Option<&'static str> {
        match part {
            Part::ServiceLb if self.provider.is_none() => Some("--cloud-provider"),
            Part::NodeIpam if self.pools.is_none() => Some("--cluster-cidr"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn settle(arguments: &[&str]) -> Result<Vec<Part>, String> {
        let line = Line::try_parse_from([&["controllers"], arguments].concat()).unwrap();
        Settled::new(&line.options).map(|settled| settled.parts).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn what_lacks_something_does_not_run() {
        let slices = [Part::EndpointSlice, Part::Mirroring];
        assert_eq!(settle(&["--controllers=-endpoints"]), Ok(slices.to_vec()));
        assert_eq!(settle(&["--controllers", "-endpoints"]), Ok(slices.to_vec()), "a hyphen is no option");
        assert_eq!(
            settle(&["--controllers=service,nodeipam", "--cluster-cidr=10.244.0.0/16"]),
            Ok(vec![Part::NodeIpam])
        );
        let cloud = ["--controllers=service", "--cloud-provider=remote", "--cloud-endpoint=/run/balancers.sock"];
        assert_eq!(settle(&cloud), Ok(vec![Part::ServiceLb]));
    }

    #[test]
    fn what_is_wrong_is_said_before_anything_begins() {
        let cases: [(&[&str], &str); 6] = [
            (&["--controllers=service"], "nothing is left to run; service-lb-controller needs --cloud-provider"),
            (&["--controllers=-endpoints,-endpointslice,-mirroring,-service"], "nothing is left to run"),
            (&["--controllers=tpyo"], "endpointslice-controller (endpointslice"),
            (&["--leader-elect-renew-deadline=20s"], "the lease must last longer than the renew deadline"),
            (&["--cluster-cidr=10.0.0.0/24", "--node-cidr-mask-size-ipv4=16"], "--cluster-cidr"),
            (&["--cloud-provider=remote", "--cloud-endpoint=http://10.0.0.1:80"], "is not a loopback address"),
        ];
        for (arguments, words) in cases {
            let error = settle(arguments).unwrap_err();
            assert!(error.contains(words), "{arguments:?}: {error}");
        }
        let alone = ["--leader-elect=false", "--leader-elect-renew-deadline=20s"];
        assert!(settle(&alone).is_ok(), "nobody elects");
    }
}
