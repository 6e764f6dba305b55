//! A provider in front of another one: it fails as a [`Script`] says, and otherwise lets the real one work.
//!
//! Used by `portolan up`, whose faults can be switched while it runs. The script is the one of [`crate::scripted`]; what
//! it leaves of a call is done by the provider behind. That one knows nothing of it: a balancer that a faulty call leaves
//! behind is really there.

use futures::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use portolan_objects::ObjectKey;
use tokio::sync::watch;

use crate::{
    BalancerId, Class, CloudError, Held, LoadBalancer, LoadBalancers, Observer, Status, Step,
    scripted::{Call, Effect, Point, Script, timeout_error, unreachable_error},
};

/// The provider `P`, with faults.
#[derive(Debug)]
pub struct Faulty<P> {
    behind: P,
    state: Mutex<State>,
    /// Counts the scripts; calls that hang or are slow hear of the next one.
    scripts: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    script: Script,
    down: bool,
}

/// What becomes of a call that reaches the provider behind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Passage {
    /// It is done, or not even begun, when this comes instead of an answer.
    halfway: Option<CloudError>,
    /// It is done, but this is the answer.
    lost: Option<CloudError>,
    /// Nothing is answered after it.
    crash: bool,
}

impl<P: LoadBalancers> Faulty<P> {
    /// The provider without any fault.
    pub fn new(behind: P) -> Self {
        Self { behind, state: Mutex::default(), scripts: watch::Sender::new(0) }
    }

    /// Replaces the script; counts begin anew, calls that were held back fail or go on, and a provider that had gone down
    /// is up again.
    pub fn set(&self, script: Script) {
        *self.state.lock() = State { script, down: false };
        self.scripts.send_modify(|count| *count += 1);
    }

    /// What the script does to a call before it gets through, if it does.
    async fn admit(&self, call: Call, service: Option<&ObjectKey>) -> Result<Passage, CloudError> {
        let mut scripts = self.scripts.subscribe();
        let (delay, effect) = {
            let mut state = self.state.lock();
            if state.down {
                return Err(unreachable_error());
            }
            state.script.strike(call, service)
        };
        if !delay.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                // The sender lives as long as this provider: only a new script ends the wait.
                _ = scripts.changed() => {}
            }
        }
        let halfway = |error| Passage { halfway: Some(error), ..Passage::default() };
        let lost = |error| Passage { lost: Some(error), ..Passage::default() };
        Ok(match effect {
            None | Some(Effect::Delay(_)) => Passage::default(),
            Some(Effect::Refuse(refusal)) => return Err(refusal.error()),
            Some(Effect::Unreachable) => return Err(unreachable_error()),
            Some(Effect::Hang) => {
                drop(scripts.changed().await);
                return Err(timeout_error());
            }
            Some(Effect::LoseAnswer) => lost(timeout_error()),
            Some(Effect::Halfway(refusal)) => halfway(refusal.error()),
            Some(Effect::Crash(Point::Before)) => {
                self.state.lock().down = true;
                return Err(unreachable_error());
            }
            Some(Effect::Crash(Point::Halfway)) => Passage { crash: true, ..halfway(unreachable_error()) },
            Some(Effect::Crash(Point::After)) => Passage { crash: true, ..lost(unreachable_error()) },
        })
    }

    /// The answer to a call that got through.
    fn answer<T>(&self, passage: Passage, result: Result<T, CloudError>) -> Result<T, CloudError> {
        self.state.lock().down |= passage.crash;
        match passage.halfway.or(passage.lost) {
            Some(error) => result.and(Err(error)),
            None => result,
        }
    }

    async fn ensure(&self, wanted: &LoadBalancer, observer: Observer<'_>) -> Result<Status, CloudError> {
        let passage = self.admit(Call::Ensure, Some(&wanted.id.service)).await?;
        let limited = self.limited(wanted, observer).await?;
        let halfway = passage.halfway.is_some();
        let told = |step| match step {
            // Half a balancer is never made.
            Step::Created(_) if halfway => {}
            step => observer(step),
        };
        let result = self.behind.ensure(limited.as_ref().unwrap_or(wanted), &told).await;
        self.answer(passage, result)
    }

    /// What a new balancer may ask for where quota and pool are short; `None` if nothing is changed.
    async fn limited(&self, wanted: &LoadBalancer, observer: Observer<'_>) -> Result<Option<LoadBalancer>, CloudError> {
        let limits = self.state.lock().script.limits();
        if limits.are_none() {
            return Ok(None);
        }
        let held = self.behind.list().await?.unwrap_or_default();
        if held.iter().any(|held| held.id == wanted.id) {
            return Ok(None);
        }
        let requested = limits.for_another(&held, wanted.requested).inspect_err(|error| {
            if error.class != Class::Quota {
                observer(Step::AddressRefused(error.message.clone()));
            }
        })?;
        Ok(Some(LoadBalancer { requested, ..wanted.clone() }))
    }
}

impl<P: LoadBalancers> LoadBalancers for Faulty<P> {
    fn adopt<'a>(&'a self, held: &'a [Held]) -> BoxFuture<'a, Result<(), CloudError>> {
        self.behind.adopt(held)
    }

    fn list(&self) -> BoxFuture<'_, Result<Option<Vec<Held>>, CloudError>> {
        async move {
            let passage = self.admit(Call::List, None).await?;
            let result = self.behind.list().await;
            self.answer(passage, result)
        }
        .boxed()
    }

    fn get<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<Option<Status>, CloudError>> {
        async move {
            let passage = self.admit(Call::Get, Some(&id.service)).await?;
            let result = self.behind.get(id).await;
            self.answer(passage, result)
        }
        .boxed()
    }

    fn ensure<'a>(
        &'a self,
        wanted: &'a LoadBalancer,
        observer: Observer<'a>,
    ) -> BoxFuture<'a, Result<Status, CloudError>> {
        Faulty::ensure(self, wanted, observer).boxed()
    }

    fn update_nodes<'a>(&'a self, wanted: &'a LoadBalancer) -> BoxFuture<'a, Result<(), CloudError>> {
        async move {
            let passage = self.admit(Call::UpdateNodes, Some(&wanted.id.service)).await?;
            let result = self.behind.update_nodes(wanted).await;
            self.answer(passage, result)
        }
        .boxed()
    }

    fn delete<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<(), CloudError>> {
        async move {
            let passage = self.admit(Call::Delete, Some(&id.service)).await?;
            // Half a deletion leaves the balancer where it is.
            let result = match passage.halfway {
                Some(_) => Ok(()),
                None => self.behind.delete(id).await,
            };
            self.answer(passage, result)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
