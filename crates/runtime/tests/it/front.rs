//! A reverse proxy before a real API server, with TLS and HTTP/2, that misbehaves on demand.

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use kube::{Client, client::Body};
use parking_lot::Mutex;
use portolan_apiserver::{Config, Server, pki::Authority};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status, with `Retry-After` in seconds if given.
    Refuse(u16, Option<u32>),
    /// A watch that is accepted and then ends with this Status.
    EndWatch(u16),
    /// An answer that is late.
    Late(Duration),
}

/// One request that arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub at: Instant,
    pub path: String,
    pub query: String,
}

impl Arrival {
    pub fn is_watch(&self) -> bool {
        self.query.contains("watch=1")
    }

    /// It asks for objects, by a list or by a streamed one.
    pub fn lists(&self) -> bool {
        !self.is_watch() || self.query.contains("sendInitialEvents=true")
    }
}

type Rule = (fn(&Arrival) -> bool, Fault, usize);

#[derive(Default)]
struct State {
    rules: Mutex<Vec<Rule>>,
    arrivals: Mutex<Vec<Arrival>>,
    connections: AtomicUsize,
    /// One for each connection that is open.
    open: Arc<()>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    cut: Mutex<CancellationToken>,
    down: Mutex<bool>,
}

/// The proxy and the server behind it.
pub struct Front {
    state: Arc<State>,
    pub kubeconfig: PathBuf,
    /// A way to the server that does not pass the proxy.
    pub direct: Client,
    _server: Server,
    _directory: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

impl Front {
    pub async fn start() -> Self {
        let server = Server::open(Config::default()).await.unwrap();
        let direct = server.client("admin", &["system:masters"]);
        let authority = Authority::ephemeral().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        let text = authority.kubeconfig(&format!("https://{address}"), "admin", "system:masters").unwrap();
        std::fs::write(&kubeconfig, text).unwrap();
        let tls = TlsAcceptor::from(Arc::new(authority.server_config(&["127.0.0.1".to_owned()]).unwrap()));
        let state = Arc::<State>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, tls, state.clone(), direct.clone()));
        Self { state, kubeconfig, direct, _server: server, _directory: directory, _tasks: tasks }
    }

    /// A client that goes through the proxy.
    pub async fn client(&self) -> Client {
        portolan_runtime::client::connect(Some(&self.kubeconfig), None, "test").await.unwrap()
    }

    /// The next `times` requests that match meet this fault.
    pub fn fault(&self, matching: fn(&Arrival) -> bool, fault: Fault, times: usize) {
        self.state.rules.lock().push((matching, fault, times));
    }

    /// Ends every connection, and returns when they have ended; while `down`, new ones are closed as soon as they come.
    pub async fn cut(&self, down: bool) {
        *self.state.down.lock() = true;
        std::mem::take(&mut *self.state.cut.lock()).cancel();
        while Arc::strong_count(&self.state.open) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        *self.state.down.lock() = down;
    }

    pub fn up(&self) {
        *self.state.down.lock() = false;
    }

    /// What has arrived since the last call.
    pub fn arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.state.arrivals.lock())
    }

    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    pub fn most_under_way(&self) -> usize {
        self.state.most_under_way.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, state: Arc<State>, backend: Client) {
    let mut tasks = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        if *state.down.lock() {
            continue;
        }
        let (tls, state, backend) = (tls.clone(), state.clone(), backend.clone());
        let (cut, open) = (state.cut.lock().clone(), state.open.clone());
        tasks.spawn(cut.run_until_cancelled_owned(async move {
            let _open = open;
            let Ok(stream) = tls.accept(stream).await else { return };
            state.connections.fetch_add(1, Ordering::Relaxed);
            let service = hyper::service::service_fn(move |request| {
                let (state, backend) = (state.clone(), backend.clone());
                async move { Ok::<_, Infallible>(handle(&state, backend, request).await) }
            });
            let server = auto::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        }));
        while tasks.try_join_next().is_some() {}
    }
}

async fn handle(state: &State, backend: Client, request: Request<Incoming>) -> Response<Body> {
    let uri = request.uri();
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    let arrival = Arrival { at: Instant::now(), path, query };
    let fault = meet(&mut state.rules.lock(), &arrival);
    state.arrivals.lock().push(arrival);
    let now = state.under_way.fetch_add(1, Ordering::Relaxed) + 1;
    state.most_under_way.fetch_max(now, Ordering::Relaxed);
    let response = match fault {
        Some(Fault::Refuse(code, after)) => refuse(code, after),
        Some(Fault::EndWatch(code)) => {
            let line = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status(code));
            Response::new(Body::from(line.into_bytes()))
        }
        Some(Fault::Late(delay)) => {
            tokio::time::sleep(delay).await;
            forward(backend, request).await
        }
        None => forward(backend, request).await,
    };
    state.under_way.fetch_sub(1, Ordering::Relaxed);
    response
}

fn meet(rules: &mut [Rule], arrival: &Arrival) -> Option<Fault> {
    let found = rules.iter_mut().find(|(matches, _, times)| *times > 0 && matches(arrival))?;
    found.2 -= 1;
    Some(found.1.clone())
}

async fn forward(backend: Client, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let bytes = http_body_util::BodyExt::collect(body).await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut onward = Request::new(Body::from(bytes));
    *onward.method_mut() = parts.method;
    *onward.uri_mut() = parts.uri.path_and_query().unwrap().as_str().parse().unwrap();
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        onward.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    backend.send(onward).await.unwrap_or_else(|_| refuse(502, None))
}

fn refuse(code: u16, after: Option<u32>) -> Response<Body> {
    let mut response = Response::new(Body::from(status(code).into_bytes()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    if let Some(seconds) = after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn status(code: u16) -> String {
    format!(
        r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"as ordered","reason":"Ordered","code":{code}}}"#
    )
}
