//! `portolan echo`: the built-in image `portolan/echo`.

use std::process::ExitCode;

use anyhow::{Context, Result};

/// Serves until it is told to stop.
pub fn run() -> Result<ExitCode> {
    // One thread: a pod of the demo should cost next to nothing.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(portolan_node::echo::run()).context("the echo server failed")?;
    Ok(ExitCode::SUCCESS)
}
