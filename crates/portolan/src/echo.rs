//! `portolan echo`: the built-in image `portolan/echo`.

use std::process::ExitCode;

use anyhow::{Context, Result};

/// What its environment says: for `--help`.
pub const VARIABLES: &str = "\
Variables:
  PORT, TCP_PORT, UDP_PORT      8080, 8081, 8082; 0 or off leaves a port out
  ECHO_LINGER_SECONDS           how long it goes on after SIGTERM [3]
  ECHO_LISTEN                   all, loopback, none [all]
  ECHO_DELAY_MILLISECONDS       how long every answer takes [0]
  ECHO_PROTOCOL                 normal, silent, garbage, udp-only [normal]
  ECHO_READY                    true, false: whether /ready says yes [true]";

/// Serves until it is told to stop.
pub fn run() -> Result<ExitCode> {
    // One thread: a pod of the demo should cost next to nothing.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(portolan_node::echo::run()).context("the echo server failed")?;
    Ok(ExitCode::SUCCESS)
}
