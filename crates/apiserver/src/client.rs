//! The in-process client: the API as a tower service under a [`kube::Client`]. No socket, no TLS, the same bytes.

use std::{convert::Infallible, sync::Arc};

use http::Request;
use tower::service_fn;

use crate::{auth::Identity, http::Api};

/// A client with an identity.
pub(crate) fn client(api: Arc<Api>, identity: Identity) -> kube::Client {
    let identity = Arc::new(identity);
    let service = service_fn(move |request: Request<kube::client::Body>| {
        let (api, identity) = (api.clone(), identity.clone());
        async move { Ok::<_, Infallible>(api.call(Some(&identity), request).await) }
    });
    kube::Client::new(service, "default")
}
