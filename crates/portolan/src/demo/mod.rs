//! `portolan demo`: the whole chain on a network of its own, each step really observed or the demo fails.

mod acts;
mod stage;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{
    output,
    up::{self, Purpose, Settings, world::World},
};
use stage::Stage;

/// Shows the whole chain on a network of its own, in well under a minute, and leaves nothing behind
///
/// Boots two nodes, applies a Deployment and a LoadBalancer Service, sends real requests by every way in, scales under
/// load and counts failures, breaks the selector and lets `diagnose` find it, repairs it, deletes the Service and
/// prints its events. Exit code 0 only if every step was observed.
#[derive(Debug, Args)]
pub struct Options {}

/// Starts a throw-away world that plays the demo.
pub fn run(Options {}: Options, log: &str) -> Result<ExitCode> {
    output::say("booting a Service network: 2 nodes, controllers, proxies, DNS, a load balancer");
    up::supervise(&Settings::throwaway()?, Purpose::Demo, log)
}

/// Plays all acts in the world.
pub async fn play(world: &World) -> Result<ExitCode> {
    let mut stage = Stage::new(world);
    stage.act("Boot", acts::boot(world)).await?;
    stage.act("Apply a Deployment of 3 pods and a LoadBalancer Service", acts::apply(world)).await?;
    stage.act("Send requests by every way in", acts::ways_in(world)).await?;
    stage.act("Scale 3 -> 5 -> 0 -> 3 under load", acts::scale(world)).await?;
    stage.act("Break it: a typo in the selector", acts::break_selector(world)).await?;
    stage.act("Repair it", acts::repair(world)).await?;
    stage.act("Delete the Service", acts::delete(world)).await?;
    stage.act("The Service's events", acts::timeline(world)).await?;
    stage.finish();
    Ok(ExitCode::SUCCESS)
}
