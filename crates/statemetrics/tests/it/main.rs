//! The page over the real API: it follows changes without asking again, and is the page of the real kube-state-metrics.
#![allow(clippy::unwrap_used, missing_docs)]

mod page;
mod upstream;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use portolan_apiserver::Server;
use tokio_util::sync::CancellationToken;

/// Longest wait for a change to be on the page.
const PATIENCE: Duration = Duration::from_secs(20);

/// A served page and the API behind it.
struct Site {
    server: Arc<Server>,
    client: Client,
    address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Site {
    async fn start() -> Self {
        let server = Arc::new(Server::open(Default::default()).await.unwrap());
        let client = server.client("system:admin", &["system:masters"]);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(portolan_statemetrics::run(client.clone(), listener, stop.clone()));
        Self { server, client, address, stop }
    }

    /// The page, once `enough` says yes.
    async fn page(&self, what: &str, enough: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let address = self.address;
            let (code, page) = tokio::task::spawn_blocking(move || get(address, "/metrics")).await.unwrap();
            if code == 200 && enough(&page) {
                return page;
            }
            assert!(Instant::now() < deadline, "waited for {what}: {code}\n{page}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Status and body; the server closes after one answer.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(address) else { return (0, String::new()) };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    (code, if chunked { joined(body) } else { body.to_owned() })
}

/// The chunks of a body put together.
fn joined(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        text.push_str(&rest[..length]);
        if length == 0 {
            break;
        }
        body = &rest[length + 2..];
    }
    text
}
