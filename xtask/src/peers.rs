//! `cargo xtask peers`: Portolan beside real Kubernetes, the same work for both.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use crate::oracle::Oracle;

const HELP: &str = "\
Gives the same work to Portolan and to real Kubernetes and compares what comes out.

Usage: cargo xtask peers TASK [--oracle DIR] [OPTIONS OF THE TASK]

Tasks:
  controllers   one seeded sequence of changes; at every quiet point the objects must be equal
  events        one script of causes; the Events must be equal
  bench         times, writes, CPU and memory of the controllers, as ratios

`cargo xtask peers TASK --help` lists the options of a task.
";

/// Runs the task.
pub fn run(arguments: &[String]) -> Result<()> {
    let task = match arguments.first().map(String::as_str) {
        Some("controllers") => "differential",
        Some(task @ ("events" | "bench")) => task,
        None | Some("-h" | "--help") => {
            print!("{HELP}");
            return Ok(());
        }
        Some(other) => bail!("no task {other:?}; see --help"),
    };
    let mut rest = arguments[1..].to_vec();
    let given = rest.iter().position(|argument| argument == "--oracle");
    let given: Option<PathBuf> = match given {
        Some(at) if at + 1 < rest.len() => rest.drain(at..=at + 1).nth(1).map(PathBuf::from),
        Some(_) => bail!("--oracle needs a value"),
        None => None,
    };
    let oracle = Oracle::find(given.as_deref())?;
    oracle.run("build", &[])?;
    let portolan = crate::release("portolan")?;
    let peers = crate::release("portolan-peers")?;
    let out = crate::target().join("peers").join(task);
    let mut command = Command::new(peers);
    command.arg(task).arg("--portolan").arg(portolan).arg("--oracle").arg(oracle.directory());
    command.arg("--out").arg(out).args(rest);
    let status = command.status().context("cannot run portolan-peers")?;
    if !status.success() {
        bail!("peers {task}: {status}");
    }
    Ok(())
}
