//! The way to the API of any cluster.

mod metrics;
mod tolerant;
mod transport;

use std::path::{Path, PathBuf};

pub use metrics::register;
pub use tolerant::tolerant;

use kube::{
    Client, Config,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The file that was named cannot be read.
    #[error("cannot read the kubeconfig {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KubeconfigError,
    },
    /// What KUBECONFIG names, or ~/.kube/config, cannot be read.
    #[error("cannot read the kubeconfig that KUBECONFIG names, or ~/.kube/config")]
    Environment(#[source] KubeconfigError),
    /// It has no such context, or the context names what is not there.
    #[error("the kubeconfig cannot be used")]
    Context(#[source] KubeconfigError),
    /// Neither a kubeconfig nor a service account.
    #[error("there is no kubeconfig and no service account: name a file with --kubeconfig or KUBECONFIG")]
    Nothing(#[source] InClusterError),
    /// The credentials cannot be used.
    #[error("cannot make a client")]
    Client(#[source] kube::Error),
}

/// A client for the cluster of `kubeconfig`, else of KUBECONFIG or ~/.kube/config, else of the pod that this program runs in. `agent` is
/// what the API's log calls it.
pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>, agent: &str) -> Result<Client, ConnectError> {
    let config = configure(kubeconfig, context).await?;
    transport::client(config, agent).map(tolerant).map_err(ConnectError::Client)
}

/// The file that kubectl would take: KUBECONFIG, else ~/.kube/config if there is one.
fn habitual() -> Result<Option<Kubeconfig>, ConnectError> {
    let named = Kubeconfig::from_env().map_err(ConnectError::Environment)?;
    match named.map_or_else(|| Kubeconfig::read().map(Some), |file| Ok(Some(file))) {
        Err(KubeconfigError::FindPath) => Ok(None),
        Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => read.map_err(ConnectError::Environment),
    }
}

async fn configure(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config, ConnectError> {
    let named = match kubeconfig {
        Some(path) => {
            Some(Kubeconfig::read_from(path).map_err(|source| ConnectError::Read { path: path.to_owned(), source })?)
        }
        None => habitual()?,
    };
    match named {
        Some(file) => {
            let choice = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
            Config::from_custom_kubeconfig(file, &choice).await.map_err(ConnectError::Context)
        }
        None => Config::incluster().map_err(ConnectError::Nothing),
    }
}
