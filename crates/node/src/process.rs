//! Starting, watching and ending the processes of containers.
//!
//! A process gets: its pod's network namespace, mount and UTS namespaces of its own with the pod's generated files
//! bound over the host's, a session of its own, and SIGKILL when the node agent dies. That signal is tied to the
//! *thread* that forked, so one thread per node, the [`Launcher`], starts everything and lives as long as the node.

use std::{
    ffi::{CStr, CString, OsString},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    thread,
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use portolan_netns::Namespace;
use tokio::{io::unix::AsyncFd, net::unix::pipe, sync::oneshot};

/// What every process of a pod shares.
#[derive(Debug, Clone)]
pub struct Isolation {
    /// The network.
    pub network: Namespace,
    /// The host name.
    pub hostname: String,
    /// Files to bind: the source over the target.
    pub files: Vec<(CString, CString)>,
}

/// A directory that a process finds at another place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The directory.
    pub source: CString,
    /// The directory that it is bound over.
    pub target: CString,
    /// Not to be written to.
    pub read_only: bool,
}

/// A process to start.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program: a path, or a name that is looked up in the environment's PATH.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// Its working directory, if not the root.
    pub directory: Option<PathBuf>,
    /// Its namespaces.
    pub isolation: Arc<Isolation>,
    /// Its volumes.
    pub mounts: Vec<Mount>,
}

type Answer = oneshot::Sender<io::Result<(Child, OwnedFd)>>;

/// The thread that starts processes. When the last clone is gone, every process it started is killed.
#[derive(Debug, Clone)]
pub struct Launcher {
    requests: mpsc::Sender<(Launch, Answer)>,
}

impl Launcher {
    /// Starts the thread.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn start(node: &str) -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel::<(Launch, Answer)>();
        // Thread names are cut at 15 bytes.
        let name = format!("pods-{node}").chars().take(15).collect();
        thread::Builder::new().name(name).spawn(move || {
            for (launch, answer) in inbox {
                // Whoever asked may have been cancelled; the child is killed when the pair is dropped.
                if let Err(Ok((mut child, _))) = answer.send(spawn(&launch)) {
                    drop(child.kill().and_then(|()| child.wait()));
                }
            }
        })?;
        Ok(Self { requests })
    }

    /// Starts a process.
    ///
    /// # Errors
    /// If the kernel refuses a namespace or a mount, or the program cannot be executed.
    pub async fn launch(&self, launch: Launch) -> io::Result<Process> {
        let gone = || io::Error::other("the thread that starts processes is gone");
        let (answer, result) = oneshot::channel();
        self.requests.send((launch, answer)).map_err(|_| gone())?;
        let (child, pidfd) = result.await.map_err(|_| gone())??;
        Process::new(child, pidfd)
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, 128 + signal after a signal.
    pub code: i32,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        let signal = || status.signal().map(|signal| 128 + signal);
        Self { code: status.code().or_else(signal).unwrap_or(255) }
    }
}

/// A running process. Dropping it kills it and everything in its session's group.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pidfd: AsyncFd<OwnedFd>,
    exit: Option<Exit>,
    /// What it writes, until somebody takes it.
    pub stdout: Option<pipe::Receiver>,
    /// What it complains about, until somebody takes it.
    pub stderr: Option<pipe::Receiver>,
}

impl Process {
    fn new(mut child: Child, pidfd: OwnedFd) -> io::Result<Self> {
        let stdout = child.stdout.take().map(|out| pipe::Receiver::from_owned_fd(out.into())).transpose()?;
        let stderr = child.stderr.take().map(|out| pipe::Receiver::from_owned_fd(out.into())).transpose()?;
        // SAFETY: an owned descriptor is open, and closed by nobody else, for as long as it is registered.
        let pidfd = unsafe { AsyncFd::register(pidfd) }?;
        Ok(Self { child, pidfd, exit: None, stdout, stderr })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends; what it left behind in its group is then killed. May be cancelled and called again.
    pub async fn wait(&mut self) -> Exit {
        if let Some(exit) = self.exit {
            return exit;
        }
        // The descriptor becomes readable when the process has ended, before it is reaped.
        let ended = self.pidfd.readable().await.is_ok();
        // Its number cannot be given to another process before it is reaped, so this hits only its own.
        self.kill();
        let status = if ended { self.child.wait() } else { self.child.kill().and_then(|()| self.child.wait()) };
        let exit = status.map_or(Exit { code: 255 }, Exit::from);
        self.exit = Some(exit);
        exit
    }

    /// Sends a signal to the process alone, as a container runtime does.
    pub fn signal(&self, signal: Signal) {
        if self.exit.is_none() {
            // It may have ended by itself: nothing is left to tell then.
            let _ = kill(self.group(), signal);
        }
    }

    /// Kills it and its group at once.
    pub fn kill(&self) {
        if self.exit.is_none() {
            let _ = killpg(self.group(), Signal::SIGKILL);
        }
    }

    /// It leads a session of its own, so this is its group too.
    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.kill();
            // Killed by SIGKILL: this does not wait for long.
            drop(self.child.wait());
        }
    }
}

fn spawn(launch: &Launch) -> io::Result<(Child, OwnedFd)> {
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let directory = launch.directory.as_deref().unwrap_or("/".as_ref());
    let mut entrance = Entrance {
        isolation: launch.isolation.clone(),
        mounts: launch.mounts.clone(),
        sources: Vec::with_capacity(launch.mounts.len()),
        directory: CString::new(directory.as_os_str().as_encoded_bytes()).map_err(io::Error::other)?,
    };
    let parent = nix::unistd::getpid().as_raw();
    // SAFETY: `enter` makes only system calls, on memory that was prepared before the fork.
    unsafe {
        command.pre_exec(move || enter(&mut entrance, parent));
    }
    let child = command.spawn()?;
    // SAFETY: no memory is involved; the child is not reaped yet, so the number is its own.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    if pidfd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok((child, unsafe { OwnedFd::from_raw_fd(pidfd as i32) }))
}

/// What [`enter`] needs, made before the fork.
struct Entrance {
    isolation: Arc<Isolation>,
    mounts: Vec<Mount>,
    /// Room for a descriptor of each mount's source.
    sources: Vec<libc::c_int>,
    directory: CString,
}

/// Runs in the forked child before `exec`: system calls only.
fn enter(entrance: &mut Entrance, parent: libc::pid_t) -> io::Result<()> {
    let isolation = &entrance.isolation;
    // SAFETY: integers only.
    unsafe {
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
        if libc::getppid() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        check(libc::setsid())?;
        check(libc::setns(isolation.network.as_fd().as_raw_fd(), libc::CLONE_NEWNET))?;
        check(libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUTS))?;
    }
    mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE)?;
    for (source, target) in &isolation.files {
        match mount(Some(source), target, libc::MS_BIND) {
            // A machine without the file has nothing to hide; programs then use their defaults.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            other => other?,
        }
    }
    let hostname = &isolation.hostname;
    // SAFETY: the pointer is valid for the length given.
    check(unsafe { libc::sethostname(hostname.as_ptr().cast(), hostname.len()) })?;
    mount_volumes(entrance)?;
    // Only now: the directory may be in a volume.
    // SAFETY: the string ends in NUL and outlives the call.
    check(unsafe { libc::chdir(entrance.directory.as_ptr()) })
}

/// Binds the volumes. All sources are opened first: one volume may be bound over the place where the others are.
fn mount_volumes(Entrance { mounts, sources, .. }: &mut Entrance) -> io::Result<()> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    for mount in &*mounts {
        // SAFETY: the string ends in NUL and outlives the call.
        let source = unsafe { libc::open(mount.source.as_ptr(), flags) };
        check(source)?;
        // Within its capacity: nothing is allocated.
        sources.push(source);
    }
    for (volume, source) in mounts.iter().zip(&*sources) {
        // A descriptor is named by going there; the exec closes it.
        // SAFETY: an integer only.
        check(unsafe { libc::fchdir(*source) })?;
        mount(Some(c"."), &volume.target, libc::MS_BIND)?;
        if volume.read_only {
            forbid_writing(&volume.target)?;
        }
    }
    Ok(())
}

/// Makes a mount read-only. Not by mounting it again: that would have to repeat flags that an ordinary user may not
/// take off.
fn forbid_writing(target: &CStr) -> io::Result<()> {
    let attributes = libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the string ends in NUL, the structure is as long as said, and both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            target.as_ptr(),
            0,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn mount(source: Option<&CStr>, target: &CStr, flags: libc::c_ulong) -> io::Result<()> {
    let source = source.map_or(std::ptr::null(), |source| source.as_ptr());
    // SAFETY: the strings end in NUL and outlive the call; null is allowed for the rest.
    check(unsafe { libc::mount(source, target.as_ptr(), std::ptr::null(), flags, std::ptr::null()) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
