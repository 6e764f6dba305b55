//! `portolan diagnose`: from a Service to the first broken link.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use portolan_catalogue::Lang;
use portolan_diagnose::{Ask, Diagnosis};
use portolan_objects::ObjectKey;
use portolan_runtime::client::tolerant;

use crate::{
    cli::{Answer, Format},
    output,
};

/// Walks a Service from its address to its pods and names the first broken link, with evidence
///
/// Only reads. Exit code 0: every link holds; 1: a link is broken; 2: could not look.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan diagnose svc/web
  portolan diagnose svc/web -n shop --context staging
  portolan diagnose web -o json")]
pub struct Options {
    /// The Service, as `svc/NAME` or `NAME`.
    service: String,
    /// Namespace of the Service [default: that of the context].
    #[arg(short, long)]
    namespace: Option<String>,
    /// Kubeconfig to use [default: KUBECONFIG or ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<std::path::PathBuf>,
    /// Context of the kubeconfig [default: the current one].
    #[arg(long)]
    context: Option<String>,
    #[command(flatten)]
    answer: Answer,
}

/// Looks, prints, and turns the finding into the exit code.
pub fn run(options: &Options) -> Result<ExitCode> {
    let name = service_name(&options.service)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let diagnosis = runtime.block_on(async {
        let config = config(options).await?;
        let namespace = options.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).map(tolerant).context("cannot make a client from the kubeconfig")?;
        let key = ObjectKey { namespace, name: name.to_owned() };
        portolan_diagnose::run(client, &key, &Ask::default()).await.with_context(|| format!("cannot look at Service {key} on {url}"))
    })?;
    match options.answer.output {
        Format::Json => output::print_json(&diagnosis)?,
        Format::Text => output::print(&text(&diagnosis, options.answer.lang(), output::colour()))?,
    }
    Ok(ExitCode::from(diagnosis.exit_code()))
}

/// The diagnosis for people.
pub fn text(diagnosis: &Diagnosis, lang: Lang, colour: bool) -> String {
    portolan_diagnose::render::text(diagnosis, lang, colour)
}

fn service_name(argument: &str) -> Result<&str> {
    match argument.split_once('/') {
        None => Ok(argument),
        Some(("svc" | "service" | "services", name)) => Ok(name),
        Some((kind, name)) => bail!("{kind}/{name}: only Services can be diagnosed; write svc/NAME"),
    }
}

async fn config(options: &Options) -> Result<Config> {
    let choice = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    let kubeconfig = match &options.kubeconfig {
        // The error names the file itself.
        Some(path) => Kubeconfig::read_from(path).context("cannot read the kubeconfig")?,
        None => Kubeconfig::read()
            .context("cannot read a kubeconfig; set KUBECONFIG to the file that `portolan up` printed")?,
    };
    Config::from_custom_kubeconfig(kubeconfig, &choice).await.context("the kubeconfig cannot be used")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn services_are_named_as_in_kubectl() {
        assert_eq!(service_name("svc/web").unwrap(), "web");
        assert_eq!(service_name("web").unwrap(), "web");
        assert!(service_name("pod/web").unwrap_err().to_string().contains("svc/NAME"));
    }
}
