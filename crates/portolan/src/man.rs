//! `portolan man`: manual pages, written from the options themselves.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_mangen::{Man, generate_to};

use crate::{cli::Arguments, output};

/// Prints the manual page, or writes those of all commands into a folder
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan man | man -l -
  portolan man --dir /usr/local/share/man/man1")]
pub struct Options {
    /// Write one page for each command into this folder; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints or writes.
pub fn run(options: &Options) -> Result<ExitCode> {
    let command = Arguments::command();
    let Some(dir) = &options.dir else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        output::print(&String::from_utf8_lossy(&page))?;
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(dir).with_context(|| format!("{}", dir.display()))?;
    generate_to(command, dir).with_context(|| format!("{}", dir.display()))?;
    Ok(ExitCode::SUCCESS)
}
