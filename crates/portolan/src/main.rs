//! The Kubernetes Service network in one binary, and the doctor for it: this crate is the command line and the wiring.

mod alerts;
#[cfg(target_os = "linux")]
mod apiserver;
mod cli;
mod cluster;
mod completions;
#[cfg(target_os = "linux")]
mod controllers;
#[cfg(target_os = "linux")]
mod data;
#[cfg(target_os = "linux")]
mod demo;
mod diagnose;
#[cfg(target_os = "linux")]
mod echo;
mod events;
mod explain;
#[cfg(target_os = "linux")]
mod kubeconfig;
#[cfg(target_os = "linux")]
mod lab;
mod lint;
mod man;
#[cfg(target_os = "linux")]
mod node_evidence;
mod output;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod signals;
mod snapshot;
#[cfg(target_os = "linux")]
mod up;

use std::process::ExitCode;

use clap::Parser;

/// kubectl's habit: 0 fine, 1 findings, 2 could not look.
const COULD_NOT_LOOK: u8 = 2;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match cli::run(arguments) {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portolan: {error:#}");
            ExitCode::from(COULD_NOT_LOOK)
        }
    }
}
