#![allow(clippy::unwrap_used)]

use super::*;

const MS: Duration = Duration::from_millis(1);

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("shop", name)
}

/// Lets changes of a Service come at these times, and says when it is looked at.
async fn looked_at(period: Duration, pods: usize, changes: &[u32]) -> Vec<u128> {
    let (mut pace, due) = Pace::new(period);
    let mut due = std::pin::pin!(due);
    let (start, mut looked, mut changes) = (Instant::now(), Vec::new(), changes.iter().peekable());
    loop {
        let mut dirty = Vec::new();
        let next = changes.peek().map(|at| start + MS * **at);
        tokio::select! {
            biased;
            Some(key) = due.next() => pace.due(key, &mut dirty),
            () = async { tokio::time::sleep_until(next.unwrap()).await }, if next.is_some() => {
                changes.next();
                pace.touch(key("web"), pods, &mut dirty);
            }
            () = tokio::time::sleep(MS * 60_000) => {
                assert!(pace.waiting.is_empty());
                return looked;
            }
        }
        looked.extend(dirty.iter().map(|_| start.elapsed().as_millis()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_waits_for_its_pods_to_be_quiet_the_longer_the_more_it_has() {
    let none = Duration::ZERO;
    assert_eq!(looked_at(none, 10, &[0, 1, 2]).await, [0, 1, 2], "a few pods are not waited for");
    assert_eq!(looked_at(none, 500, &[0, 5, 19, 70]).await, [39, 90]);
    assert_eq!(looked_at(none, 5000, &[0]).await, [200]);
    assert_eq!(looked_at(none, 5000, &[0, 190, 380]).await, [580]);
    let stream: Vec<u32> = (0..20).map(|number| number * 60).collect();
    assert_eq!(looked_at(none, 5000, &stream).await, [800, 1340], "nobody waits for ever");
}

#[tokio::test(start_paused = true)]
async fn a_period_is_a_fixed_time_from_the_first_change_on() {
    assert_eq!(looked_at(MS * 1000, 10, &[0, 10, 999, 1500]).await, [1000, 2500]);
    assert_eq!(looked_at(MS * 1000, 5000, &[0, 950]).await, [1000]);
}

#[tokio::test(start_paused = true)]
async fn services_wait_for_themselves() {
    let (mut pace, due) = Pace::new(Duration::ZERO);
    let mut due = std::pin::pin!(due);
    let mut dirty = Vec::new();
    pace.touch(key("large"), 5000, &mut dirty);
    pace.touch(key("small"), 1000, &mut dirty);
    pace.touch(key("tiny"), 1, &mut dirty);
    assert_eq!(dirty, [key("tiny")]);
    assert_eq!((due.next().await.unwrap(), due.next().await.unwrap()), (key("small"), key("large")));
}
