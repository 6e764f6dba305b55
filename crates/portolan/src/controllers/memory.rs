//! Gives freed memory back to the system.
//!
//! A complete set of objects is large while it is taken in and small once it is indexed. The allocator keeps what was
//! freed for the next such moment, which may be days away.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How often to look. It costs a few milliseconds.
const EVERY: Duration = Duration::from_secs(30);
/// While first lists come in, there is more to give back and less time to lose.
const AT_FIRST: Duration = Duration::from_secs(2);

/// Gives back now and then until `stop`.
pub async fn give_back(stop: CancellationToken) {
    let mut pause = AT_FIRST;
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        if pause == AT_FIRST && portolan_runtime::workqueue::unsynced().is_empty() {
            pause = EVERY;
        }
        trim();
    }
}

#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: the call takes the allocator's own locks and touches only pages that hold nothing.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// Other allocators do this by themselves, or not at all.
#[cfg(not(target_env = "gnu"))]
fn trim() {}
