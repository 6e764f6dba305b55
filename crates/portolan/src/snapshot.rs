//! `portolan snapshot`: everything that a diagnosis reads, in one file.

use std::{fs::File, io, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Args;
use portolan_diagnose::{Snapshot, stored};

use crate::cluster::Cluster;

/// Writes what a diagnosis reads to one file, to ask about it elsewhere and later
///
/// Secrets are never read; environment variables, arguments, volumes and pods' annotations never enter the file. Only
/// reads, at most twelve lists for a whole cluster.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan snapshot -A -f cluster.json.gz
  portolan snapshot -n shop > shop.json
  portolan diagnose svc/web -n shop --from cluster.json.gz")]
pub struct Options {
    /// All namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    #[command(flatten)]
    cluster: Cluster,
    /// File to write, compressed if it ends with `.gz` [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Reads and writes; exit code 2 if what matters could not be read.
pub fn run(options: &Options) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let snapshot = runtime.block_on(async {
        let client = options.cluster.connect().await?;
        let namespace = options.cluster.namespace(&client);
        let scope = (!options.all_namespaces).then_some(namespace.as_str());
        portolan_diagnose::look_at_all(client, scope, Vec::new()).await.context("cannot look at the cluster")
    })?;
    write(&snapshot, options)?;
    for unread in &snapshot.unread {
        eprintln!("portolan: could not read {}: {}", unread.what, unread.why);
    }
    let (services, pods, slices) = (snapshot.services.len(), snapshot.pods.len(), snapshot.slices.len());
    eprintln!("portolan: {services} Services, {pods} pods, {slices} slices");
    Ok(ExitCode::from(if snapshot.unread.iter().any(|unread| unread.essential) { 2 } else { 0 }))
}

fn write(snapshot: &Snapshot, options: &Options) -> Result<()> {
    let Some(path) = &options.file else {
        let mut out = io::stdout().lock();
        stored::write(snapshot, false, &mut out)?;
        return Ok(io::Write::write_all(&mut out, b"\n")?);
    };
    let compressed = path.extension().is_some_and(|extension| extension == "gz");
    let written = File::create(path).and_then(|file| stored::write(snapshot, compressed, io::BufWriter::new(file)));
    written.with_context(|| format!("cannot write {}", path.display()))
}
