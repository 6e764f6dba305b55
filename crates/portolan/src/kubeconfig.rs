//! The file by which kubectl finds the network. It holds a private key.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context, Result};
use portolan_apiserver::pki::Authority;

/// Writes the kubeconfig of an administrator of the API at `api`, for its owner alone.
pub fn write(authority: &Authority, path: &Path, api: SocketAddr) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    // A client cannot connect to "any address".
    let api = if api.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], api.port())) } else { api };
    let text = authority.kubeconfig(&format!("https://{api}"), "admin", "system:masters")?;
    // Written beside and renamed: a reader never sees half a file, and an old file's wider mode does not stay.
    let partial = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        std::fs::rename(&partial, path)
    };
    write().with_context(|| format!("cannot write the kubeconfig {}", path.display()))
}
