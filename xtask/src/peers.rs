//! `cargo xtask peers` and `cargo xtask conformance`: Portolan beside real Kubernetes. The work itself is that of
//! `portolan-peers`; here it is given the oracle and a fresh build of what is to be tested.

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

/// Runs `peers TASK ...`.
pub fn run(arguments: &[String]) -> Result<()> {
    match arguments.first().map(String::as_str) {
        Some("controllers") => task("differential", &arguments[1..]),
        Some(name @ ("events" | "bench")) => task(name, &arguments[1..]),
        None | Some("-h" | "--help") => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => bail!("no task {other:?}; see --help"),
    }
}

/// Runs `conformance ...`.
pub fn conformance(arguments: &[String]) -> Result<()> {
    task("conformance", arguments)
}

/// Runs a task of `portolan-peers`, where the later of two values counts: what was typed wins over what is added here.
fn task(name: &str, arguments: &[String]) -> Result<()> {
    let mut command = Command::new(crate::release("portolan-peers")?);
    command.arg(name);
    if !arguments.iter().any(|argument| argument == "-h" || argument == "--help") {
        let oracle = Oracle::find(value(arguments, "--oracle")?.as_deref())?;
        oracle.run("build")?;
        oracle.run("images")?;
        let out = crate::target().join("peers").join(name);
        command.arg("--oracle").arg(oracle.directory()).arg("--out").arg(out);
        if value(arguments, "--portolan")?.is_none() {
            command.arg("--portolan").arg(crate::release("portolan")?);
        }
    }
    command.args(arguments);
    let status = command.status().context("cannot run portolan-peers")?;
    if !status.success() {
        bail!("{name}: {status}");
    }
    Ok(())
}

/// What was given for an option.
fn value(arguments: &[String], option: &str) -> Result<Option<PathBuf>> {
    let Some(at) = arguments.iter().position(|argument| argument == option) else { return Ok(None) };
    let value = arguments.get(at + 1).with_context(|| format!("{option} needs a value"))?;
    Ok(Some(value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_has_the_value_behind_it() {
        let arguments = ["--part", "none", "--out", "there", "--write"].map(str::to_owned);
        assert_eq!(value(&arguments, "--out").expect("a value"), Some("there".into()));
        assert_eq!(value(&arguments, "--oracle").expect("no value"), None);
        assert!(value(&["--out".to_owned()], "--out").is_err());
    }
}
