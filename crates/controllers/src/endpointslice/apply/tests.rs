#![allow(clippy::unwrap_used)]

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use super::*;

/// How long nothing may happen.
const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_few_writes_run_at_a_time_and_none_begins_after_an_error() {
    for failing in [None, Some(0), Some(5)] {
        let (running, most, begun) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let writes = (0..20).map(|number| {
            let (running, most, begun) = (&running, &most, &begun);
            async move {
                begun.set(begun.get() + 1);
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                // Each of a group ends after all of it have begun, in the order of beginning.
                tokio::task::yield_now().await;
                running.set(running.get() - 1);
                if failing == Some(number) { Err(number) } else { Ok(number) }
            }
        });
        let start = Instant::now();
        let (done, failed) = all(writes).await;
        assert!(start.elapsed() < LIMIT);
        assert_eq!(failed, failing);
        assert_eq!(most.get(), PARALLEL);
        assert_eq!(begun.get(), done.len() + usize::from(failing.is_some()), "what was begun was waited for");
        assert_eq!(begun.get() == 20, failing.is_none(), "{failing:?}: {done:?}");
    }
}
