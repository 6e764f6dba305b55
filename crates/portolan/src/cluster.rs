//! Which cluster a question is about: kubectl's options and its habits.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use kube::Client;
use portolan_runtime::client;

/// Options of every command that asks a cluster.
#[derive(Debug, Args)]
pub struct Cluster {
    /// Namespace [default: that of the context].
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Kubeconfig to use [default: KUBECONFIG or ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: the current one].
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl Cluster {
    /// A client of the cluster.
    pub async fn connect(&self) -> Result<Client> {
        let agent = concat!("portolan/", env!("CARGO_PKG_VERSION"));
        client::connect(self.kubeconfig.as_deref(), self.context.as_deref(), agent)
            .await
            .context("cannot reach a cluster; `portolan up` prints where its kubeconfig is")
    }

    /// The namespace that was asked for, or the context's.
    pub fn namespace(&self, client: &Client) -> String {
        self.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned())
    }
}
