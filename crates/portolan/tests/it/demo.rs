//! The demo, as whoever runs the tests, and without any right when that is root.

use std::{
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use portolan_netns::world;
use portolan_testkit::skip;
use tempfile::TempDir;

use crate::PORTOLAN;

#[test]
fn the_demo_observes_every_step_and_cleans_up() {
    const TEST: &str = "the_demo_observes_every_step_and_cleans_up";
    if let Err(why) = world::available() {
        return skip(TEST, &why);
    }
    let temporary = TempDir::new().unwrap();
    plays(Command::new(PORTOLAN).arg("demo"), &temporary);
}

/// No root, no capabilities: only an unprivileged user namespace.
#[test]
fn the_demo_needs_no_root() {
    const TEST: &str = "the_demo_needs_no_root";
    if !nix::unistd::geteuid().is_root() {
        return skip(TEST, "not root: the other demo test already ran without it");
    }
    let temporary = TempDir::new().unwrap();
    // The build directory may be closed to others.
    let program = temporary.path().join("portolan");
    std::fs::copy(PORTOLAN, &program).unwrap();
    std::fs::set_permissions(temporary.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let as_nobody = |program: &std::path::Path| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]).arg(program);
        command
    };
    let mut check = as_nobody("unshare".as_ref());
    match check.args(["-Urn", "true"]).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => plays(as_nobody(&program).arg("demo"), &temporary),
        Ok(_) => skip(TEST, "no unprivileged user namespaces here"),
        Err(error) => skip(TEST, &format!("cannot run setpriv: {error}")),
    }
}

fn plays(command: &mut Command, temporary: &TempDir) {
    let output = command.env("TMPDIR", temporary.path()).env_remove("HOME").output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    assert!(stdout.contains("every step was observed"), "{stdout}");
    let left: Vec<_> = std::fs::read_dir(temporary.path())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.starts_with("portolan-"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
