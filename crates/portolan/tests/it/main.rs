//! The whole program: real networks, real kubectls, real packets.
#![allow(clippy::unwrap_used, missing_docs)]

mod alerts;
mod bad_manifests;
mod balancer_crash;
mod commands;
mod crash;
mod demo;
mod evidence;
mod examples;
mod explain;
mod faults;
mod join;
mod kubectl;
mod lab;
mod lint;
mod process;
mod reasons;
mod restart;
mod scale;

/// The program under test.
const PORTOLAN: &str = env!("CARGO_BIN_EXE_portolan");

/// Waits until `look` gives something, at most `seconds`; the last refusal is the panic's text.
fn until<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    loop {
        match look() {
            Ok(value) => return value,
            Err(words) if std::time::Instant::now() > deadline => panic!("waited {seconds} s for {what}: {words}"),
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
        }
    }
}
