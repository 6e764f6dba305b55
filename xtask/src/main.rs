//! Development tasks, run as `cargo xtask TASK`.

mod clients;
mod layers;
mod test;

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};

const HELP: &str = "\
Development tasks.

Usage: cargo xtask TASK

Tasks:
  test      everything CI checks: formatting, lints, layers, docs, all tests (fetches test clients into target/)
  clients   fetches the kubectl versions that the tests use into target/clients
  layers    checks that dependencies between crates point down
";

fn main() -> ExitCode {
    let result = match env::args().nth(1).as_deref() {
        Some("test") => test::run(),
        Some("clients") => clients::fetch().map(|fetched| print!("{fetched}")),
        Some("layers") => layers::check(),
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
