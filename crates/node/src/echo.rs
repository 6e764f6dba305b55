//! The built-in image `portolan/echo`: a server that says who answered. For demos and tests of Services.
//!
//! | port | variable | protocol |
//! |---|---|---|
//! | 8080 | `PORT` | HTTP: pod, node, namespace, client, host and path as text lines, or as JSON with `?format=json` or `Accept: application/json`; `/healthz`, `/ready`; `/slow?ms=` |
//! | 8081 | `TCP_PORT` | one line with pod and client, then everything sent is echoed |
//! | 8082 | `UDP_PORT` | one line with pod and client, then the datagram |
//!
//! `0` or `off` leaves a port out.
//!
//! It can be made to misbehave as applications do:
//!
//! | variable | values |
//! |---|---|
//! | `ECHO_LISTEN` | `all`; `loopback`: nobody else can connect; `none`: on no port at all |
//! | `ECHO_DELAY_MILLISECONDS` | how long every answer takes |
//! | `ECHO_PROTOCOL` | `normal`; `silent`: connections are accepted and never answered; `garbage`: the answer is not what clients understand; `udp-only`: every port is one of UDP |
//! | `ECHO_READY` | `true`; `false`: `/ready` answers 503 |
//!
//! On SIGTERM it goes on serving for a while (`ECHO_LINGER_SECONDS`, by default 3, always a second less than the pod's
//! grace period), because that is how long it takes until the last proxy has heard of it; then it accepts no more,
//! finishes what it has begun and ends. So a scale-down loses no connection.

mod behaviour;
mod http;
mod plain;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use behaviour::{Behaviour, Speech};

use tokio::{
    net::{TcpListener, UdpSocket},
    signal::unix::{SignalKind, signal},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long it goes on after SIGTERM, unless it is told otherwise.
const LINGER: Duration = Duration::from_secs(3);

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    pod: String,
    namespace: String,
    node: String,
}

/// What every connection needs.
#[derive(Debug, Clone)]
struct Server {
    identity: Identity,
    behaviour: Behaviour,
    /// Being told to stop: connections are kept no longer than their current request.
    leaving: CancellationToken,
    /// Nothing more is accepted.
    closed: CancellationToken,
    connections: TaskTracker,
}

/// Serves until SIGTERM or SIGINT, and the while after it.
///
/// # Errors
/// If a port is taken, or a variable says nothing that it knows.
pub async fn run() -> io::Result<()> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let identity = Identity {
        pod: variable("PORTOLAN_POD").or_else(|| variable("HOSTNAME")).unwrap_or_else(|| "unknown".into()),
        namespace: variable("PORTOLAN_NAMESPACE").unwrap_or_else(|| "unknown".into()),
        node: variable("PORTOLAN_NODE").unwrap_or_else(|| "unknown".into()),
    };
    let linger = linger(variable("ECHO_LINGER_SECONDS"), variable("PORTOLAN_GRACE_SECONDS"));
    let server = Server {
        identity,
        behaviour: Behaviour::of(variable)?,
        leaving: CancellationToken::new(),
        closed: CancellationToken::new(),
        connections: TaskTracker::new(),
    };
    // Before anything is served: a signal that comes early must not kill it.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let ports = Ports {
        http: port("PORT", variable("PORT"), 8080)?,
        tcp: port("TCP_PORT", variable("TCP_PORT"), 8081)?,
        udp: port("UDP_PORT", variable("UDP_PORT"), 8082)?,
    };
    if let Some(address) = server.behaviour.listen {
        server.listen(address, &ports).await?;
    }
    println!("{} answers", server.identity.pod);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    println!("{} goes on for {} s and ends then", server.identity.pod, linger.as_secs_f32());
    server.leaving.cancel();
    tokio::time::sleep(linger).await;
    server.closed.cancel();
    server.connections.close();
    server.connections.wait().await;
    Ok(())
}

/// Where it is to listen.
struct Ports {
    http: Option<u16>,
    tcp: Option<u16>,
    udp: Option<u16>,
}

impl Server {
    async fn listen(&self, address: IpAddr, ports: &Ports) -> io::Result<()> {
        let only_udp = self.behaviour.speech == Speech::UdpOnly;
        let [http, tcp, udp] = [ports.http, ports.tcp, ports.udp].map(|port| port.map(|port| (address, port)));
        if let Some(http) = http.filter(|_| !only_udp) {
            self.connections.spawn(http::accept(TcpListener::bind(http).await?, self.clone()));
        }
        if let Some(tcp) = tcp.filter(|_| !only_udp) {
            self.connections.spawn(plain::accept(TcpListener::bind(tcp).await?, self.clone()));
        }
        for udp in [http, tcp].into_iter().flatten().filter(|_| only_udp).chain(udp) {
            self.connections.spawn(plain::answer(UdpSocket::bind(SocketAddr::from(udp)).await?, self.clone()));
        }
        Ok(())
    }
}

/// The port of that variable; `None` if it is switched off.
fn port(name: &str, value: Option<String>, default: u16) -> io::Result<Option<u16>> {
    match value.as_deref() {
        None => Ok(Some(default)),
        Some("0" | "off") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{name}={text} is no port: use 1 to 65535, 0 or off"))
        }),
    }
}

/// How long to go on: as told or 3 s, but done a second before the pod would be killed.
fn linger(told: Option<String>, grace: Option<String>) -> Duration {
    let seconds = |text: Option<String>| {
        let seconds = text?.parse::<f64>().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    };
    let wish = seconds(told).unwrap_or(LINGER);
    seconds(grace).map_or(wish, |grace| wish.min(grace.saturating_sub(Duration::from_secs(1))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn it_is_gone_before_it_would_be_killed() {
        let seconds = |told: Option<&str>, grace: Option<&str>| {
            linger(told.map(str::to_owned), grace.map(str::to_owned)).as_secs_f64()
        };
        assert_eq!(seconds(None, None), 3.0);
        assert_eq!(seconds(None, Some("30")), 3.0);
        assert_eq!(seconds(None, Some("2")), 1.0);
        assert_eq!(seconds(None, Some("0")), 0.0);
        assert_eq!(seconds(Some("0.5"), Some("30")), 0.5);
        assert_eq!(seconds(Some("60"), Some("30")), 29.0);
        assert_eq!(seconds(Some("soon"), None), 3.0);
    }

    #[test]
    fn ports_can_be_moved_and_left_out() {
        assert_eq!(port("PORT", None, 8080).unwrap(), Some(8080));
        assert_eq!(port("PORT", Some("80".into()), 8080).unwrap(), Some(80));
        assert_eq!(port("PORT", Some("off".into()), 8080).unwrap(), None);
        let error = port("PORT", Some("http".into()), 8080).unwrap_err();
        assert!(error.to_string().contains("PORT=http"));
    }
}
