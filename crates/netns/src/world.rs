//! A world: new user (unless root), network, mount, UTS and PID namespaces for one program.
//!
//! ```text
//! caller's thread --PDEATHSIG--> keeper --PDEATHSIG--> pid 1 (reaper) --PDEATHSIG--> the program and all it starts
//! (host's namespaces)            (new namespaces but the old PID one)                (pid 2, root, own session)
//! ```
//! Each arrow is a SIGKILL when the left side dies in any way, and a PID namespace dies with its pid 1: nothing is
//! ever left over. Signals sent to the keeper (TERM, INT, HUP, QUIT, USR1, USR2) reach the program; its exit code
//! becomes the keeper's, a death by signal is told as 128 + signal.
//!
//! Where the kernel does not let `/proc` be mounted anew (some containers), there is no PID namespace; the arrows
//! still hold for the program itself. Called by `up`, and by every test that needs packets.

mod isolate;

use std::{
    io::{self, Read},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use isolate::{Isolation, PROBED};

/// Set in the environment of a test that runs inside a world.
const TEST_VARIABLE: &str = "PORTOLAN_WORLD_TEST";
/// How long a test may take inside its world.
const TEST_TIMEOUT: Duration = Duration::from_secs(180);

/// Spawns `command` as root of a world of its own; its loopback interface is up. The world is killed when the
/// calling *thread* ends, so call this from a thread that lives as long as the world should.
///
/// # Errors
/// If the kernel refuses the namespaces ([`available`] says it in words), or the program cannot be executed.
pub fn spawn(mut command: Command) -> io::Result<Child> {
    spawn_with(&mut command, false)
}

/// Whether worlds can be made here, or in one sentence why not.
///
/// # Errors
/// The sentence.
pub fn available() -> Result<(), String> {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    ANSWER.get_or_init(probe).clone()
}

fn probe() -> Result<(), String> {
    let mut command = Command::new("probe");
    match spawn_with(&mut command, true) {
        Err(error) if error.raw_os_error() == Some(PROBED) => Ok(()),
        Err(error) => Err(format!(
            "the kernel allows no new user and network namespaces here ({error}); \
             run as root, or allow unprivileged user namespaces"
        )),
        Ok(_) => Err("the probe of namespaces ran a program, which it never should".into()),
    }
}

/// Tries the ways to make a world, best first, until one is not refused.
fn spawn_with(command: &mut Command, probe: bool) -> io::Result<Child> {
    let ways: Arc<Vec<Isolation>> = Arc::new(Isolation::ways(probe));
    let way = Arc::new(AtomicUsize::new(0));
    let (shared, current) = (ways.clone(), way.clone());
    // SAFETY: the closure only makes system calls on data prepared here; see `isolate` for each.
    unsafe {
        command.pre_exec(move || shared[current.load(Ordering::Relaxed)].enter());
    }
    let mut refused = None;
    for index in 0..ways.len() {
        way.store(index, Ordering::Relaxed);
        match command.spawn() {
            Err(error) if is_refusal(&error) => refused = Some(error),
            other => return other,
        }
    }
    Err(refused.unwrap_or_else(|| io::Error::other("there is no way to make namespaces")))
}

/// An answer that another way to make the world may not get.
fn is_refusal(error: &io::Error) -> bool {
    let refusals = [libc::EPERM, libc::EACCES, libc::EINVAL, libc::ENOSPC, libc::ENOSYS, libc::EBUSY];
    error.raw_os_error().is_some_and(|code| refusals.contains(&code))
}

/// Says that a test did not run, and why, on a line that `cargo xtask test` counts.
///
/// Written past the harness's capture, which would hide it: a skip that nobody sees is a test that cannot fail.
pub fn skip(test: &str, why: &str) {
    say_skipped(&format!("{test}: {why}"));
}

fn say_skipped(what: &str) {
    use std::io::Write;
    // Standard error may be closed; then there is nobody to tell.
    let _ = writeln!(io::stderr(), "skipped: {what}");
}

/// For tests that need a network of their own: `if !world::enter_for_test("module::name") { return; }`.
///
/// Outside a world it runs the current test binary again, only with this test and inside a world, panics with its
/// output unless it passed, and returns false. Inside it returns true. Where worlds are not available it prints
/// `skipped: <test>: <why>` and returns false.
///
/// # Panics
/// If the test failed in its world, did not exist, or took longer than three minutes.
pub fn enter_for_test(test: &str) -> bool {
    if std::env::var_os(TEST_VARIABLE).is_some_and(|inside| inside == test) {
        return true;
    }
    if let Err(why) = available() {
        skip(test, &why);
        return false;
    }
    match run_test(test) {
        Ok(output) => {
            output.lines().filter_map(|line| line.strip_prefix("skipped: ")).for_each(say_skipped);
        }
        Err(why) => panic!("{test} in a world of its own: {why}"),
    }
    false
}

fn run_test(test: &str) -> Result<String, String> {
    let binary = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(binary);
    command
        .args([test, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"])
        .env(TEST_VARIABLE, test)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawn(command).map_err(|error| error.to_string())?;
    let stdout = child.stdout.take().map(read_all);
    let stderr = child.stderr.take().map(read_all);
    let deadline = Instant::now() + TEST_TIMEOUT;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => {
                child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let texts = [stdout, stderr].into_iter().flatten();
    let output: String = texts.filter_map(|thread| thread.join().ok()).collect();
    match status {
        Some(status) if status.success() && output.contains("1 passed") => Ok(output),
        Some(status) => Err(format!("{status}\n{output}")),
        None => Err(format!("not finished after {TEST_TIMEOUT:?}\n{output}")),
    }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could be read until the pipe broke is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
