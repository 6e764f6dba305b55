//! Services, EndpointSlices and Endpoints as the series of kube-state-metrics: the same names, labels and values, so that a
//! rule which is right here is right on a cluster that runs the original.
//!
//! `portolan up --state-metrics` calls [`run`]. Each object is rendered once, when it changes, and its text is kept; a scrape
//! only puts the texts together, and nothing is ever listed after the watches have begun.
//!
//! Upstream: kube-state-metrics 2.19, `internal/store/{service,endpointslice,endpoint}.go`. The page is that of
//! `--resources=services,endpointslices,endpoints` with the labels of [`SERVICE_LABELS`] and [`SLICE_LABELS`] allowed.
//! (Endpoints are off by default there since 2.18, EndpointSlices were before; rules for older releases need the former.)

mod families;
mod http;
mod index;
mod line;
mod render;

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use k8s_openapi::api::{
    core::v1::{Endpoints, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, runtime::watcher};
use portolan_runtime::{Backoff, Inputs, Options, pages};
use tokio_util::sync::CancellationToken;

use index::{Index, Input, Kind};

pub use families::{SERVICE_LABELS, SLICE_LABELS};

/// Why the page could not be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The listener could not be handed to the event loop.
    #[error("cannot use the listener of the state metrics")]
    Listener(#[source] io::Error),
}

/// Serves `/metrics`, `/healthz`, `/livez` and `/readyz` on `listener` until `stop`.
///
/// # Errors
/// Only for a listener that is of no use. Watches that fail are restarted for ever.
pub async fn run(client: Client, listener: TcpListener, stop: CancellationToken) -> Result<(), RunError> {
    listener.set_nonblocking(true).map_err(RunError::Listener)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(RunError::Listener)?;
    let page = Arc::new(index::Page::default());
    let shown = page.clone();
    let answer = move |path: &str| http::answer(&shown, path);
    let server = tokio::spawn(pages::serve(listener, answer, stop.clone()));
    watch(client, page, stop).await;
    // The server ends with the same token; a panic of it has been reported where it happened.
    drop(server.await);
    Ok(())
}

/// Keeps `page` in step with the API until `stop`. Objects become text as soon as they are decoded.
async fn watch(client: Client, page: Arc<index::Page>, stop: CancellationToken) {
    let everything = watcher::Config::default;
    let inputs = Inputs::new()
        .watch_into::<Service, _>(Api::all(client.clone()), everything(), render::service, Input::of(Kind::Services))
        .watch_into::<EndpointSlice, _>(Api::all(client.clone()), everything(), render::slice, Input::of(Kind::Slices))
        .watch_into::<Endpoints, _>(Api::all(client), everything(), render::endpoints, Input::of(Kind::Endpoints));
    let options = Options {
        name: "state-metrics",
        workers: 1,
        backoff: Backoff { base: Duration::from_secs(1), max: Duration::from_secs(30), attempts: None },
        timeout: Duration::from_secs(1),
    };
    // Nothing is ever planned: the index is the whole job, so the loop's counters stay at zero.
    portolan_runtime::run(Index::new(page), inputs, options, Default::default(), stop).await;
}
