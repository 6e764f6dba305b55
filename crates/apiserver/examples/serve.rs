//! The API server alone, for trying clients on it: `cargo run -p portolan-apiserver --example serve -- DIR [data]`.
//!
//! Writes DIR/kubeconfig and serves on a free loopback port until Ctrl-C. With `data` the store is kept in DIR.

use std::{path::PathBuf, sync::Arc, time::Duration};

use portolan_apiserver::{Config, Server, pki::Authority};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("give a directory for the kubeconfig")?);
    let data = arguments.next().map(|_| directory.clone());
    let authority = Authority::load_or_create(&directory)?;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let kubeconfig = authority.kubeconfig(&format!("https://{address}"), "admin", "system:masters")?;
    let path = directory.join("kubeconfig");
    std::fs::write(&path, kubeconfig)?;
    let server = Server::open(Config { data, ..Config::default() }).await?;
    println!("export KUBECONFIG={}", path.display());
    let tls = Arc::new(authority.server_config(&["127.0.0.1".to_owned()])?);
    let stop = CancellationToken::new();
    let on_signal = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            on_signal.cancel();
        }
    });
    server.serve(listener, tls, stop).await?;
    tokio::time::timeout(Duration::from_secs(5), server.close()).await?;
    Ok(())
}
