//! Development tasks, run as `cargo xtask TASK`.

mod clients;
mod layers;
mod oracle;
mod peers;
mod test;

use std::{
    env,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

const HELP: &str = "\
Development tasks.

Usage: cargo xtask TASK

Tasks:
  test      everything CI checks: formatting, lints, layers, docs, all tests (fetches test clients into target/)
  clients   fetches the kubectl versions that the tests use into target/clients
  layers    checks that dependencies between crates point down

Beside real Kubernetes (needs the scripts that run it, and root; each has its own --help):
  conformance   upstream's sig-network tests on a real cluster with parts of Portolan in it
  peers         the same work for Portolan and for upstream's parts, compared
";

fn main() -> ExitCode {
    let rest: Vec<String> = env::args().skip(2).collect();
    let result = match env::args().nth(1).as_deref() {
        Some("test") => test::run(),
        Some("clients") => clients::fetch().map(|fetched| print!("{fetched}")),
        Some("layers") => layers::check(),
        Some("conformance") => peers::conformance(&rest),
        Some("peers") => peers::run(&rest),
        Some("-h" | "--help") | None => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => unknown(other),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn unknown(task: &str) -> Result<()> {
    bail!("no task {task:?}; `cargo xtask --help` lists them")
}

/// The root of the workspace.
fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

/// Where cargo builds.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Builds a package in release mode; the path of its program, which has the package's name.
fn release(package: &str) -> Result<PathBuf> {
    let status = Command::new(env!("CARGO")).args(["build", "--release", "-p", package]).current_dir(root()).status();
    if !status.context("cannot run cargo")?.success() {
        bail!("{package} does not build");
    }
    Ok(target().join("release").join(package))
}
