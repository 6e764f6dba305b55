//! A part of the world that can be stopped and started again while the others run.

use std::fmt;

use anyhow::Result;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Whether something runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It does.
    On,
    /// It does not.
    Off,
}

/// The two ways in which a run ends.
#[derive(Debug, Clone, Default)]
pub struct Ends {
    /// In order.
    pub stop: CancellationToken,
    /// At once, without a word. What knows of no such end takes it for the other.
    pub lost: CancellationToken,
}

/// Makes a run: everything that it needs, bound and opened anew.
type Make = Box<dyn Fn(Ends) -> Result<BoxFuture<'static, ()>> + Send + Sync>;

/// One part.
pub struct Switch {
    name: String,
    make: Make,
    run: Option<Run>,
}

struct Run {
    ends: Ends,
    task: JoinHandle<()>,
}

impl Switch {
    /// A part that does not run yet.
    pub fn new(
        name: impl Into<String>,
        make: impl Fn(Ends) -> Result<BoxFuture<'static, ()>> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), make: Box::new(make), run: None }
    }

    /// Starts it, unless it runs.
    ///
    /// # Errors
    /// If it cannot have what it needs, such as its port.
    pub fn on(&mut self) -> Result<()> {
        if self.run.as_ref().is_some_and(|run| !run.task.is_finished()) {
            return Ok(());
        }
        let ends = Ends::default();
        let task = tokio::spawn((self.make)(ends.clone())?);
        self.run = Some(Run { ends, task });
        Ok(())
    }

    /// Tells it to end, and does not wait.
    pub fn tell(&self) {
        self.run.iter().for_each(|run| run.ends.stop.cancel());
    }

    /// Stops it and waits until it has ended.
    pub async fn off(&mut self) {
        self.tell();
        self.ended().await;
    }

    /// Ends it where it stands.
    pub async fn lose(&mut self) {
        self.run.iter().for_each(|run| run.ends.lost.cancel());
        self.ended().await;
    }

    async fn ended(&mut self) {
        // Kept until it has ended: whoever gives up waiting can wait again.
        if let Some(run) = &mut self.run
            && let Err(error) = (&mut run.task).await
        {
            tracing::error!(part = self.name, %error, "ended in a panic");
        }
        self.run = None;
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Switch({}, {})", self.name, if self.run.is_some() { "on" } else { "off" })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use anyhow::bail;

    use super::*;

    #[tokio::test]
    async fn a_part_runs_once_at_a_time_and_as_often_as_it_is_started() {
        let (starts, runs) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counters = (starts.clone(), runs.clone());
        let mut switch = Switch::new("part", move |ends| {
            let (starts, runs) = counters.clone();
            starts.fetch_add(1, Ordering::SeqCst);
            Ok(Box::pin(async move {
                runs.fetch_add(1, Ordering::SeqCst);
                tokio::select! {
                    () = ends.stop.cancelled() => {}
                    () = ends.lost.cancelled() => {}
                }
                runs.fetch_sub(1, Ordering::SeqCst);
            }))
        });
        switch.on().unwrap();
        switch.on().unwrap();
        switch.off().await;
        switch.off().await;
        switch.on().unwrap();
        switch.lose().await;
        assert_eq!((starts.load(Ordering::SeqCst), runs.load(Ordering::SeqCst)), (2, 0));
    }

    #[tokio::test]
    async fn one_that_has_ended_by_itself_can_be_started_again() {
        let mut switch = Switch::new("part", |_| Ok(Box::pin(async {})));
        switch.on().unwrap();
        while !switch.run.as_ref().unwrap().task.is_finished() {
            tokio::task::yield_now().await;
        }
        switch.on().unwrap();
        switch.off().await;
    }

    #[tokio::test]
    async fn one_that_cannot_have_what_it_needs_says_so() {
        let mut switch = Switch::new("part", |_| bail!("the port is taken"));
        assert_eq!(switch.on().unwrap_err().to_string(), "the port is taken");
        switch.off().await;
    }
}
