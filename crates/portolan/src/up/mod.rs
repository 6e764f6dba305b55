//! `portolan up`: the host's side.
//!
//! The host's side stays in the host's namespaces and does little: it opens the API's listener, starts the *world* (a
//! child in private user, network, mount and PID namespaces, see [`world`]), lends it loopback sockets through the
//! broker, and passes on the wish to stop. Nothing of it changes the host's network, and when it dies, however it dies,
//! the kernel takes the world and every pod in it down too.

mod fabric;
mod faults;
mod forward;
mod machinery;
mod objects;
mod parts;
mod settings;
mod state_metrics;
mod switch;
pub mod world;

use std::{
    net::TcpListener,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use portolan_netns::{broker::Broker, world as private_world};
use tokio::{sync::oneshot, time::Instant};

pub use settings::{Options, Settings, parse_range};

use crate::{data::Temporary, signals::Signals};

/// After the first request to stop, pods have their grace period; then the world is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(40);

/// What the world is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Purpose {
    /// Serve until told to stop.
    Serve,
    /// Play the demo, then stop.
    Demo,
}

/// Runs the network until Ctrl-C or SIGTERM.
pub fn run(options: Options, log: &str) -> Result<ExitCode> {
    let settings = options.settle()?;
    supervise(&settings, Purpose::Serve, log)
}

/// Starts the world and stays beside it until it has ended.
pub fn supervise(settings: &Settings, purpose: Purpose, log: &str) -> Result<ExitCode> {
    private_world::available().map_err(|why| {
        anyhow::anyhow!(
            "cannot make private namespaces: {why}; run as root, or allow unprivileged user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0)"
        )
    })?;
    let _temporary = settings.ephemeral.then(|| Temporary(&settings.data));
    let listener = TcpListener::bind(settings.listen).with_context(|| {
        format!("cannot listen on {}: choose another address with --listen, or end what uses it", settings.listen)
    })?;
    let (ours, theirs) = UnixStream::pair().context("cannot make a socket pair")?;
    // The death signal of the world hangs on the thread that started it: that is this one, and it stays to the end.
    let child = start_world(settings, purpose, log, listener.into(), theirs.into())?;
    let upstreams = settings.upstreams.clone();
    let broker = thread::Builder::new().name("broker".to_owned()).spawn(move || {
        // Ends with the world; what went wrong before that was already an error of the request.
        drop(Broker::serve_with_upstreams(ours, &upstreams));
    });
    broker.context("cannot start the broker thread")?;
    await_end(child).map(exit_code)
}

fn start_world(settings: &Settings, purpose: Purpose, log: &str, listener: OwnedFd, broker: OwnedFd) -> Result<Child> {
    inherit(&listener)?;
    inherit(&broker)?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command
        .args(["--log", log, "world"])
        .args(["--listener", &listener.as_raw_fd().to_string()])
        .args(["--broker", &broker.as_raw_fd().to_string()])
        .args(["--purpose", &serde_json::to_string(&purpose)?])
        .args(["--settings", &serde_json::to_string(settings)?])
        .stdin(Stdio::piped());
    private_world::spawn(command).context("cannot start the private world")
}

/// Lets a descriptor through the coming exec.
fn inherit(fd: &OwnedFd) -> Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).context("cannot pass a descriptor on")?;
    Ok(())
}

/// Waits for the world; the first signal asks it to stop (its standard input closes), a second one kills it.
fn await_end(mut child: Child) -> Result<ExitStatus> {
    let mut asked = child.stdin.take();
    let pid = Pid::from_raw(i32::try_from(child.id()).context("the world's process id is out of range")?);
    let (sender, ended) = oneshot::channel();
    thread::Builder::new().name("reaper".to_owned()).spawn(move || sender.send(child.wait()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let mut ended = std::pin::pin!(ended);
        let mut deadline = None;
        loop {
            tokio::select! {
                status = &mut ended => return Ok(status.context("the world's reaper is gone")??),
                () = signals.next() => {}
                () = until(deadline) => {}
            }
            if asked.take().is_none() {
                kill(pid, Signal::SIGKILL).context("cannot kill the world")?;
                ended.await.context("the world's reaper is gone")??;
                bail!("stopped at once: pods and namespaces are gone, what was acknowledged is stored");
            }
            deadline = Some(Instant::now() + STOP_DEADLINE);
        }
    })
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A world that was killed reports the signal as a shell would.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
