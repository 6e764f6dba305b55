//! What happens between `fork` and `exec` of a world's program. Everything in [`Isolation::enter`] is a plain
//! system call on memory prepared before the fork: no allocation, no locks, no formatting.

use std::{
    ffi::CStr,
    io,
    sync::atomic::{AtomicI32, Ordering},
};

/// The error that a probe ends with when everything worked: nothing else in [`Isolation::enter`] gives it.
pub(super) const PROBED: i32 = libc::ECANCELED;

/// The process that [`forward`] passes signals to. Set only in the keeper and in pid 1, which are forks.
static FORWARD_TO: AtomicI32 = AtomicI32::new(0);

/// The signals that a program may be told to stop or reload with.
const FORWARDED: [libc::c_int; 6] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];

/// One way to make a world.
pub(super) struct Isolation {
    /// The id maps to write, if there is to be a user namespace.
    user: Option<IdMaps>,
    /// Whether to make a PID namespace and mount `/proc` for it.
    processes: bool,
    /// Stop with [`PROBED`] instead of going on to `exec`.
    probe: bool,
    /// The process that spawns.
    parent: libc::pid_t,
}

/// Root inside is the caller outside, and nobody else exists.
struct IdMaps {
    users: Vec<u8>,
    groups: Vec<u8>,
}

impl Isolation {
    /// The ways to try, best first.
    pub(super) fn ways(probe: bool) -> Vec<Isolation> {
        let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
        // Root in a container may lack the right to make namespaces, and yet be allowed a user namespace.
        let with_user: &[bool] = if user.is_root() { &[false, true] } else { &[true] };
        let maps = || IdMaps { users: format!("0 {user} 1").into_bytes(), groups: format!("0 {group} 1").into_bytes() };
        let parent = nix::unistd::getpid().as_raw();
        let way = |user: bool, processes| {
            let user = user.then(maps);
            Isolation { user, processes, probe, parent }
        };
        with_user.iter().flat_map(|&user| [way(user, true), way(user, false)]).collect()
    }

    /// Runs in the forked child. Returns in the process that is to become the program; the two processes that
    /// stay behind never return.
    pub(super) fn enter(&self) -> io::Result<()> {
        die_with_parent()?;
        // SAFETY: no arguments, no memory.
        if unsafe { libc::getppid() } != self.parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // SAFETY: as above; it fails only for a group leader, which a fresh fork is not.
        unsafe { libc::setsid() };
        self.unshare()?;
        let alive = Alive::new()?;
        match fork()? {
            0 => {
                alive.inside()?;
                self.first_process()
            }
            first => keep(first, alive),
        }
    }

    fn unshare(&self) -> io::Result<()> {
        let mut flags = libc::CLONE_NEWNET | libc::CLONE_NEWNS | libc::CLONE_NEWUTS;
        if self.user.is_some() {
            flags |= libc::CLONE_NEWUSER;
        }
        if self.processes {
            flags |= libc::CLONE_NEWPID;
        }
        // SAFETY: flags only.
        check(unsafe { libc::unshare(flags) })?;
        if let Some(maps) = &self.user {
            // Without this the group map may not be written by an ordinary user.
            write(c"/proc/self/setgroups", b"deny")?;
            write(c"/proc/self/uid_map", &maps.users)?;
            write(c"/proc/self/gid_map", &maps.groups)?;
        }
        Ok(())
    }

    /// Pid 1 of the world, or merely the program's parent if there is no PID namespace.
    fn first_process(&self) -> io::Result<()> {
        mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE)?;
        if self.processes {
            let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
            mount(Some(c"proc"), c"/proc", Some(c"proc"), flags)?;
        }
        match fork()? {
            0 => {
                die_with_parent()?;
                // SAFETY: no arguments, no memory.
                unsafe { libc::setsid() };
                loopback_up()?;
                match self.probe {
                    true => Err(io::Error::from_raw_os_error(PROBED)),
                    false => Ok(()),
                }
            }
            program => reap(program),
        }
    }
}

/// Tells pid 1 that the keeper still lives: the pipe hangs up when it does not. This closes the gap between the
/// fork and the child's request to be killed with its parent.
struct Alive {
    read: libc::c_int,
    write: libc::c_int,
}

impl Alive {
    fn new() -> io::Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: the array has room for the two descriptors.
        check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
        Ok(Self { read: ends[0], write: ends[1] })
    }

    /// In the child: die with the parent from here on, or at once if it is already dead.
    fn inside(self) -> io::Result<()> {
        // SAFETY: closes a descriptor that only this struct knows.
        unsafe { libc::close(self.write) };
        die_with_parent()?;
        let mut poll = libc::pollfd { fd: self.read, events: 0, revents: 0 };
        // SAFETY: one element, as said.
        let ready = check(unsafe { libc::poll(&raw mut poll, 1, 0) })?;
        if ready > 0 {
            exit(1);
        }
        // SAFETY: closes a descriptor that only this struct knows.
        unsafe { libc::close(self.read) };
        Ok(())
    }
}

/// The process that the caller knows as its child: passes signals in and the exit code out.
fn keep(first: libc::pid_t, alive: Alive) -> ! {
    // Nothing may stay open here, or readers of the program's output would wait for this process too.
    // SAFETY: replaces standard input by the end of the pipe that has to stay open.
    unsafe { libc::dup2(alive.write, 0) };
    close_from(1);
    forward_signals(first);
    loop {
        if let Some((pid, status)) = wait(first)
            && pid == first
        {
            exit(code(status));
        }
    }
}

/// Pid 1: reaps whatever is orphaned in the world and ends it when the program ends.
fn reap(program: libc::pid_t) -> ! {
    close_from(0);
    forward_signals(program);
    loop {
        if let Some((pid, status)) = wait(-1)
            && pid == program
        {
            exit(code(status));
        }
    }
}

extern "C" fn forward(signal: libc::c_int) {
    let pid = FORWARD_TO.load(Ordering::Relaxed);
    if pid > 0 {
        // SAFETY: a signal to our own child; errors mean that it is gone.
        unsafe { libc::kill(pid, signal) };
    }
}

fn forward_signals(pid: libc::pid_t) {
    FORWARD_TO.store(pid, Ordering::Relaxed);
    for signal in FORWARDED {
        handle(signal, forward as *const () as libc::sighandler_t);
    }
    // The caller's handlers came along with the fork.
    handle(libc::SIGCHLD, libc::SIG_DFL);
}

fn handle(signal: libc::c_int, handler: libc::sighandler_t) {
    // SAFETY: an all-zero sigaction is valid (no flags, empty mask); the handler is a function of the right type
    // or one of the constants.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

fn wait(pid: libc::pid_t) -> Option<(libc::pid_t, libc::c_int)> {
    let mut status = 0;
    // SAFETY: the status is written to a local.
    match unsafe { libc::waitpid(pid, &raw mut status, 0) } {
        -1 if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => None,
        // No child is left to wait for: the one that matters was lost, which ends the world.
        -1 => exit(1),
        pid => Some((pid, status)),
    }
}

fn code(status: libc::c_int) -> libc::c_int {
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
}

fn exit(code: libc::c_int) -> ! {
    // SAFETY: never returns; runs no destructors, which belong to the process that forked.
    unsafe { libc::_exit(code) }
}

fn fork() -> io::Result<libc::pid_t> {
    // SAFETY: the calling process is itself a fork with one thread, and both sides only make system calls.
    check(unsafe { libc::fork() })
}

fn die_with_parent() -> io::Result<()> {
    // SAFETY: integer arguments only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) }).map(drop)
}

fn close_from(first: libc::c_uint) {
    // SAFETY: the caller wants no descriptor from here on.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if done != 0 {
        // Kernels before 5.9.
        for fd in first..4096 {
            // SAFETY: as above.
            unsafe { libc::close(fd as libc::c_int) };
        }
    }
}

fn mount(source: Option<&CStr>, target: &CStr, kind: Option<&CStr>, flags: libc::c_ulong) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: the strings end in NUL and outlive the call; null is allowed for the rest.
    check(unsafe { libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, std::ptr::null()) }).map(drop)
}

fn write(path: &CStr, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: the path ends in NUL; the buffer is as long as said; the descriptor is closed once.
    unsafe {
        let fd = check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC))?;
        let written = libc::write(fd, bytes.as_ptr().cast(), bytes.len());
        let error = io::Error::last_os_error();
        libc::close(fd);
        if written == bytes.len() as isize { Ok(()) } else { Err(error) }
    }
}

/// Sets `lo` up with the old request, which needs no netlink message.
fn loopback_up() -> io::Result<()> {
    // SAFETY: an all-zero ifreq is valid; the name fits and ends in NUL; the socket is closed once.
    unsafe {
        let socket = check(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0))?;
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let result = check(libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request));
        libc::close(socket);
        result.map(drop)
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
