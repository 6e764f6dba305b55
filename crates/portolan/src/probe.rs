//! `portolan probe`: the built-in image `portolan/probe`, and the demo's own client.
//!
//! Opens one new connection per request at a steady rate, whatever became of the earlier ones (an open loop: a slow
//! answer does not slow the next question down), and counts who answered and what failed.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::MissedTickBehavior,
};

use crate::output;

/// Most requests under way at once; beyond it a request counts as failed instead of piling up.
const IN_FLIGHT: usize = 2000;
/// An echo answer is a few hundred bytes; more than this is not one.
const MAX_ANSWER: usize = 64 * 1024;

/// Opens new connections to a URL at a steady rate and prints, as JSON lines, what became of them.
#[derive(Debug, Args)]
pub struct Options {
    /// Where to connect, such as `http://web.default/`.
    url: String,
    /// New connections per second.
    #[arg(long, default_value_t = 10)]
    rate: u32,
    /// Seconds to go on; without it, until told to stop.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Seconds until a connection without an answer counts as failed.
    #[arg(long, default_value_t = 2.0)]
    timeout: f64,
    /// Milliseconds between two lines of output.
    #[arg(long, default_value_t = 250)]
    report: u64,
}

/// What became of the connections of one stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Connections that were answered.
    pub answered: u64,
    /// Connections that were not, by cause.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, u64>,
    /// Answers by pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pods: BTreeMap<String, u64>,
    /// Client addresses that the pods saw.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clients: BTreeMap<String, u64>,
}

impl Report {
    /// Adds another stretch.
    pub fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        for (into, from) in
            [(&mut self.failed, &other.failed), (&mut self.pods, &other.pods), (&mut self.clients, &other.clients)]
        {
            from.iter().for_each(|(name, count)| *into.entry(name.clone()).or_default() += count);
        }
    }

    /// Connections that failed, whatever the cause.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    fn record(&mut self, outcome: Result<Answer, String>) {
        match outcome {
            Ok(answer) => {
                self.answered += 1;
                *self.pods.entry(answer.pod).or_default() += 1;
                *self.clients.entry(answer.client.ip().to_string()).or_default() += 1;
            }
            Err(cause) => *self.failed.entry(cause).or_default() += 1,
        }
    }
}

/// What the echo image answers, as far as we need it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// Name of the pod that answered.
    pub pod: String,
    /// Address and port of the client as the pod saw it.
    pub client: SocketAddr,
}

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
    path: String,
}

impl Target {
    /// Takes `http://host[:port][/path]` apart.
    pub fn parse(url: &str) -> Result<Self> {
        let uri: http::Uri = url.parse().with_context(|| format!("{url:?} is not a URL"))?;
        if uri.scheme_str() != Some("http") {
            bail!("{url:?}: only http:// is spoken here");
        }
        let host = uri.host().with_context(|| format!("{url:?} names no host"))?;
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(80),
            path: uri.path().to_owned(),
        })
    }

    /// One new connection, one request; the error is a short cause such as `refused`.
    pub async fn ask(&self, timeout: Duration) -> Result<Answer, String> {
        match tokio::time::timeout(timeout, self.exchange()).await {
            Ok(result) => result,
            Err(_) => Err("timeout".to_owned()),
        }
    }

    async fn exchange(&self) -> Result<Answer, String> {
        let addresses = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let address =
            addresses.ok().and_then(|mut all| all.next()).ok_or_else(|| "name does not resolve".to_owned())?;
        let mut stream = TcpStream::connect(address).await.map_err(|error| cause(&error))?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nConnection: close\r\n\r\n",
            self.path, self.host
        );
        stream.write_all(request.as_bytes()).await.map_err(|error| cause(&error))?;
        let mut answer = Vec::new();
        let mut limited = stream.take(MAX_ANSWER as u64);
        limited.read_to_end(&mut answer).await.map_err(|error| cause(&error))?;
        if answer.is_empty() {
            return Err("closed".to_owned());
        }
        parse_answer(&answer).ok_or_else(|| "not an answer of the echo image".to_owned())
    }
}

fn parse_answer(response: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(response).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    if head.split_whitespace().nth(1) != Some("200") {
        return None;
    }
    serde_json::from_str(body.get(body.find('{')?..=body.rfind('}')?)?).ok()
}

fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        io::ErrorKind::ConnectionReset => "reset".to_owned(),
        io::ErrorKind::TimedOut => "timeout".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "unreachable".to_owned(),
        _ => error.to_string(),
    }
}

/// A load that runs in the background; what it saw is taken off stretch by stretch.
#[derive(Debug)]
pub struct Load {
    report: Arc<Mutex<Report>>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    /// Begins to open `rate` connections a second.
    pub fn start(target: Target, rate: u32, timeout: Duration) -> Self {
        let report = Arc::new(Mutex::new(Report::default()));
        let task = tokio::spawn(drive(target, rate.max(1), timeout, report.clone()));
        Self { report, task }
    }

    /// What happened since the last call.
    pub fn take(&self) -> Report {
        std::mem::take(&mut *self.report.lock())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn drive(target: Target, rate: u32, timeout: Duration, report: Arc<Mutex<Report>>) {
    let target = Arc::new(target);
    let slots = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        ticks.tick().await;
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            report.lock().record(Err("too many under way".to_owned()));
            continue;
        };
        let (target, report) = (target.clone(), report.clone());
        tokio::spawn(async move {
            let outcome = target.ask(timeout).await;
            report.lock().record(outcome);
            drop(slot);
        });
    }
}

/// Runs as a pod: lines of JSON until the time is over or the pod is stopped; the last line is the sum.
pub fn run(options: &Options) -> Result<ExitCode> {
    let target = Target::parse(&options.url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let timeout = Duration::try_from_secs_f64(options.timeout).context("--timeout must be a number of seconds")?;
    let total = runtime.block_on(report(target, options, timeout))?;
    output::say(serde_json::json!({ "total": total }));
    Ok(if total.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn report(target: Target, options: &Options, timeout: Duration) -> Result<Report> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let load = Load::start(target, options.rate, timeout);
    let end = options.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut ticks = tokio::time::interval(Duration::from_millis(options.report.max(10)));
    let mut total = Report::default();
    loop {
        let stopped = tokio::select! {
            _ = ticks.tick() => end.is_some_and(|end| Instant::now() >= end),
            _ = terminate.recv() => true,
        };
        let stretch = load.take();
        if stretch != Report::default() {
            output::say(serde_json::to_string(&stretch)?);
            total.add(&stretch);
        }
        if stopped {
            return Ok(total);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_others_refused() {
        let target = Target::parse("http://web.default:8080/x").unwrap();
        assert_eq!((target.host.as_str(), target.port, target.path.as_str()), ("web.default", 8080, "/x"));
        assert_eq!(Target::parse("http://10.96.0.10").unwrap().path, "/");
        assert!(Target::parse("https://web").is_err());
        assert!(Target::parse("web").is_err());
    }

    #[test]
    fn only_a_whole_answer_of_the_echo_image_counts() {
        let good = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"pod\":\"web-1\",\"client\":\"10.244.1.2:4711\"}\n";
        assert_eq!(parse_answer(good).unwrap().pod, "web-1");
        assert!(parse_answer(b"HTTP/1.1 503 Busy\r\n\r\n{\"pod\":\"web-1\"}").is_none());
        assert!(parse_answer(b"HTTP/1.1 200 OK\r\n\r\n{\"pod\":").is_none());
        assert!(parse_answer(b"\xff").is_none());
    }

    #[tokio::test]
    async fn a_closed_port_is_counted_as_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let target = Target::parse(&format!("http://{address}/")).unwrap();
        assert_eq!(target.ask(Duration::from_secs(5)).await, Err("refused".to_owned()));
    }
}
