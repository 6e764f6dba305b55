//! One attempt of a probe or a hook: an HTTP request, a TCP connection or a command, inside the pod's namespaces.
//! Upstream: `pkg/probe`, `pkg/kubelet/prober`.

use std::{io, net::IpAddr, path::PathBuf, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction, HTTPHeader, LifecycleHandler, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use nix::errno::Errno;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpStream, unix::pipe},
};

use crate::process::{Launch, Launcher};

mod tls;

/// Most of a command's output that is kept for the message.
const MAX_OUTPUT: u64 = 10 << 10;

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `GET`; good is 200 to 399.
    Http {
        /// With TLS, whose certificate is not checked.
        tls: bool,
        /// Host to connect to; the pod's address if empty.
        host: Option<String>,
        /// Port number.
        port: u16,
        /// Path with query.
        path: String,
        /// More headers.
        headers: Vec<HTTPHeader>,
    },
    /// A connection is accepted.
    Tcp {
        /// Host to connect to; the pod's address if empty.
        host: Option<String>,
        /// Port number.
        port: u16,
    },
    /// A command ends with exit code 0.
    Exec(Vec<String>),
    /// Waits.
    Sleep(Duration),
    /// Something that this node cannot do, with its name.
    Unsupported(String),
}

impl Action {
    /// The action of a probe. Ports given by name are looked up in the container.
    pub fn of_probe(probe: &Probe, container: &Container) -> Self {
        if let Some(exec) = &probe.exec {
            return Self::Exec(exec.command.clone().unwrap_or_default());
        }
        if let Some(get) = &probe.http_get {
            return Self::http(get, container);
        }
        if let Some(tcp) = &probe.tcp_socket {
            return match port(&tcp.port, container) {
                Some(port) => Self::Tcp { host: tcp.host.clone(), port },
                None => Self::Unsupported(format!("a port that is not declared: {:?}", tcp.port)),
            };
        }
        Self::Unsupported("grpc".into())
    }

    /// The action of a hook.
    pub fn of_hook(hook: &LifecycleHandler, container: &Container) -> Self {
        if let Some(exec) = &hook.exec {
            return Self::Exec(exec.command.clone().unwrap_or_default());
        }
        if let Some(sleep) = &hook.sleep {
            return Self::Sleep(Duration::from_secs(sleep.seconds.max(0).unsigned_abs()));
        }
        match &hook.http_get {
            Some(get) => Self::http(get, container),
            None => Self::Unsupported("tcpSocket".into()),
        }
    }

    fn http(get: &HTTPGetAction, container: &Container) -> Self {
        let Some(port) = port(&get.port, container) else {
            return Self::Unsupported(format!("a port that is not declared: {:?}", get.port));
        };
        let path = get.path.as_deref().unwrap_or("/");
        Self::Http {
            tls: get.scheme.as_deref() == Some("HTTPS"),
            host: get.host.clone().filter(|host| !host.is_empty()),
            port,
            path: if path.starts_with('/') { path.into() } else { format!("/{path}") },
            headers: get.http_headers.clone().unwrap_or_default(),
        }
    }
}

fn port(target: &IntOrString, container: &Container) -> Option<u16> {
    let number = match target {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let declared = container.ports.iter().flatten().find(|port| port.name.as_deref() == Some(name));
            declared.map(|port| port.container_port).or_else(|| name.parse().ok())
        }
    };
    number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0)
}

/// Where actions take place.
#[derive(Debug, Clone)]
pub struct Place {
    /// The pod's address.
    pub address: IpAddr,
    /// Starts commands.
    pub launcher: Launcher,
    /// How the container itself was started: commands share its namespaces and environment.
    pub launch: Launch,
}

impl Place {
    /// Does it within `limit`.
    ///
    /// # Errors
    /// In the words that the Event shows.
    pub async fn attempt(&self, action: &Action, limit: Duration) -> Result<(), String> {
        let attempt = self.act(action);
        tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| Err(self.timed_out(action, limit)))
    }

    fn timed_out(&self, action: &Action, limit: Duration) -> String {
        match action {
            Action::Http { tls, host, port, path, .. } => {
                let url = self.url(*tls, host.as_deref(), *port, path);
                format!("Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
            }
            Action::Tcp { host, port } => {
                let host = host.clone().unwrap_or(self.address.to_string());
                format!("dial tcp {host}:{port}: i/o timeout")
            }
            Action::Exec(command) => {
                format!("command timed out: \"{}\" timed out after {limit:?}", command.join(" "))
            }
            Action::Sleep(_) | Action::Unsupported(_) => format!("timed out after {limit:?}"),
        }
    }

    fn url(&self, tls: bool, host: Option<&str>, port: u16, path: &str) -> String {
        let scheme = if tls { "https" } else { "http" };
        format!("{scheme}://{}:{port}{path}", host.map_or_else(|| self.address.to_string(), str::to_owned))
    }

    async fn act(&self, action: &Action) -> Result<(), String> {
        match action {
            Action::Tcp { host, port } => self.connect(host.as_deref(), *port).await.map(drop),
            Action::Http { tls, host, port, path, headers } => {
                let url = self.url(*tls, host.as_deref(), *port, path);
                let failed = |error: String| format!("Get \"{url}\": {error}");
                let stream = self.connect(host.as_deref(), *port).await.map_err(failed)?;
                let code = if *tls {
                    let stream = tls::connect(stream, self.address).await.map_err(|e| failed(e.to_string()))?;
                    get(stream, &url, path, headers).await
                } else {
                    get(stream, &url, path, headers).await
                };
                match code.map_err(failed)? {
                    200..400 => Ok(()),
                    code => Err(format!("HTTP probe failed with statuscode: {code}")),
                }
            }
            Action::Exec(command) => self.execute(command).await,
            Action::Sleep(time) => {
                tokio::time::sleep(*time).await;
                Ok(())
            }
            Action::Unsupported(what) => Err(format!("this node cannot do {what}")),
        }
    }

    async fn connect(&self, host: Option<&str>, port: u16) -> Result<TcpStream, String> {
        let address = match host.map(str::parse) {
            None => self.address,
            Some(Ok(address)) => address,
            Some(Err(_)) => return Err(format!("the host {} is not an address", host.unwrap_or_default())),
        };
        let connected = self.launch.isolation.network.tcp_connect((address, port).into()).await;
        connected.map_err(|error| format!("dial tcp {address}:{port}: connect: {}", cause(&error)))
    }

    async fn execute(&self, command: &[String]) -> Result<(), String> {
        let Some((program, arguments)) = command.split_first() else {
            return Err("the command is empty".into());
        };
        let launch = Launch {
            program: PathBuf::from(program),
            arguments: arguments.iter().map(Into::into).collect(),
            ..self.launch.clone()
        };
        let process = self.launcher.launch(launch).await;
        let mut process = process.map_err(|error| format!("{program}: {}", cause(&error)))?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let (exit, stdout, stderr) = tokio::join!(process.wait(), output(stdout), output(stderr));
        if exit.code == 0 { Ok(()) } else { Err(format!("{stdout}{stderr}").trim_end().to_owned()) }
    }
}

/// The kernel's words for an error, as programs on Unix usually print them.
fn cause(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}

/// What went wrong with an exchange once it was connected.
fn broken(error: hyper::Error) -> String {
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
    match source {
        Some(source) => cause(source),
        None if error.is_incomplete_message() => "EOF".into(),
        None => error.to_string(),
    }
}

async fn output(pipe: Option<pipe::Receiver>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read until an error is the output; the rest is drained so that the command does not block.
        drop((&mut pipe).take(MAX_OUTPUT).read_to_end(&mut bytes).await);
        drop(tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One request on its own connection; answers the status code.
async fn get<S>(stream: S, url: &str, path: &str, headers: &[HTTPHeader]) -> Result<u16, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let authority = url.split('/').nth(2).unwrap_or_default();
    let mut request = Request::get(path).header("user-agent", "kube-probe/1.36").header("connection", "close");
    if !headers.iter().any(|header| header.name.eq_ignore_ascii_case("host")) {
        request = request.header("host", authority);
    }
    for header in headers {
        request = request.header(&header.name, &header.value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let code = response.status().as_u16();
        // Read to the end, or the server would log a broken connection. Its errors do not change the verdict.
        drop(response.into_body().collect().await);
        Ok(code)
    };
    tokio::select! {
        result = exchange => result,
        // The answer, if any, has been passed on by then; `exchange` sees a closed connection.
        Err(error) = connection => Err(broken(error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn action(probe: Value) -> Action {
        let container = json!({"name": "c", "ports": [{"name": "web", "containerPort": 8080}]});
        let container: Container = serde_json::from_value(container).unwrap();
        Action::of_probe(&serde_json::from_value(probe).unwrap(), &container)
    }

    #[test]
    fn ports_are_found_by_number_and_name() {
        let tcp = |port: Value| action(json!({"tcpSocket": {"port": port}}));
        assert_eq!(tcp(json!(80)), Action::Tcp { host: None, port: 80 });
        assert_eq!(tcp(json!("web")), Action::Tcp { host: None, port: 8080 });
        assert!(matches!(tcp(json!("nosuch")), Action::Unsupported(_)));
        assert!(matches!(action(json!({"grpc": {"port": 1}})), Action::Unsupported(_)));
        let http = action(json!({"httpGet": {"port": "web", "path": "healthz", "scheme": "HTTPS"}}));
        let Action::Http { tls: true, host: None, port: 8080, path, .. } = http else { panic!("{http:?}") };
        assert_eq!(path, "/healthz");
    }
}
