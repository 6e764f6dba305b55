//! A watch that is open and says nothing while its user is silenced.

use std::{collections::BTreeSet, io};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::sync::watch;

/// What ends the initial events of a watch that asked for them, see the bookmark of
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>.
const INITIAL_END: &[u8] = b"k8s.io/initial-events-end";

/// Keeps one watch silent while its user is among the silenced.
#[derive(Debug)]
pub(crate) struct Silence {
    user: String,
    silenced: watch::Receiver<BTreeSet<String>>,
    /// Initial events are still on their way: they are a list, which is answered.
    initial: bool,
}

impl Silence {
    pub(super) fn new(user: String, silenced: watch::Receiver<BTreeSet<String>>, initial: bool) -> Self {
        Self { user, silenced, initial }
    }

    /// The frames, held back while they must be. What is held back is not even read: a watch that is silent for too long
    /// ends like any other that cannot keep up.
    pub(crate) fn over(
        self,
        frames: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::unfold((self, frames), |(mut silence, mut frames)| async move {
            silence.lifted().await?;
            let frame = frames.next().await?;
            // It may have begun while there was nothing to say.
            silence.lifted().await?;
            if silence.initial && frame.as_ref().is_ok_and(|frame| contains(frame, INITIAL_END)) {
                silence.initial = false;
            }
            Some((frame, (silence, frames)))
        })
    }

    /// Waits until the watch may speak; `None` if the server is gone.
    async fn lifted(&mut self) -> Option<()> {
        if self.initial {
            return Some(());
        }
        let user = &self.user;
        self.silenced.wait_for(|users| !users.contains(user)).await.ok().map(drop)
    }
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|window| window == words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt;
    use tokio::sync::mpsc;

    use super::*;

    /// A watch of `user`, what it is fed with, and what silences it.
    fn watch(
        initial: bool,
    ) -> (
        mpsc::UnboundedSender<&'static str>,
        watch::Sender<BTreeSet<String>>,
        impl Stream<Item = io::Result<Bytes>> + Unpin,
    ) {
        let (feed, events) = mpsc::unbounded_channel::<&'static str>();
        let switch = watch::Sender::new(BTreeSet::new());
        let frames = stream::unfold(events, |mut events| async move {
            let event = events.recv().await?;
            Some((Ok(Bytes::from_static(event.as_bytes())), events))
        });
        let silence = Silence::new("user".into(), switch.subscribe(), initial);
        (feed, switch, Box::pin(silence.over(Box::pin(frames))))
    }

    fn now(frames: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin)) -> Option<String> {
        let frame = frames.next().now_or_never()??.unwrap();
        Some(String::from_utf8(frame.to_vec()).unwrap())
    }

    #[test]
    fn a_silenced_watch_says_what_it_missed_when_it_may_speak_again() {
        let (feed, switch, mut frames) = watch(false);
        feed.send("a").unwrap();
        assert_eq!(now(&mut frames).unwrap(), "a");
        assert_eq!(now(&mut frames), None, "nothing has happened");
        switch.send_replace(BTreeSet::from(["user".to_owned()]));
        feed.send("b").unwrap();
        assert_eq!(now(&mut frames), None);
        switch.send_replace(BTreeSet::from(["other".to_owned()]));
        assert_eq!(now(&mut frames).unwrap(), "b");
    }

    #[test]
    fn a_silenced_watch_still_answers_with_what_is() {
        let (feed, switch, mut frames) = watch(true);
        switch.send_replace(BTreeSet::from(["user".to_owned()]));
        let end = r#"{"k8s.io/initial-events-end":"true"}"#;
        for event in ["a", end, "b"] {
            feed.send(event).unwrap();
        }
        assert_eq!(now(&mut frames).unwrap(), "a");
        assert_eq!(now(&mut frames).unwrap(), end);
        assert_eq!(now(&mut frames), None);
    }
}
