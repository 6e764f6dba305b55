//! Headings, times and waiting with visible progress.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{output, up::world::World};

/// How long any one thing may take before the demo says that it did not happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// The demo's clock and counter of acts.
pub struct Stage {
    started: Instant,
    acts: usize,
    colour: bool,
}

impl Stage {
    /// The curtain rises when the world was asked for.
    pub fn new(world: &World) -> Self {
        Self { started: world.started, acts: 0, colour: output::colour() }
    }

    /// Plays one act under its heading; a failure is told with the act's name.
    pub async fn act(&mut self, name: &str, play: impl Future<Output = Result<()>>) -> Result<()> {
        self.acts += 1;
        let heading = format!("{}. {name}", self.acts);
        let at = format!("{:.1} s", self.started.elapsed().as_secs_f32());
        if self.colour {
            output::say(format!("\n\x1b[1m{heading}\x1b[0m  \x1b[2m{at}\x1b[0m"));
        } else {
            output::say(format!("\n{heading}  [{at}]"));
        }
        play.await.with_context(|| format!("the demo failed in step {heading:?}"))
    }

    /// The last line.
    pub fn finish(&self) {
        output::say(format!("\nevery step was observed, in {:.1} s", self.started.elapsed().as_secs_f32()));
    }
}

/// Prints one observation of the running act.
pub fn say(text: impl AsRef<str>) {
    text.as_ref().lines().for_each(|line| output::say(format!("   {line}")));
}

/// Waits until `look` gives something, showing what it says meanwhile; fails after [`PATIENCE`] with its last words.
pub async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Seen<T>>>,
{
    let bar = progress(what);
    let start = Instant::now();
    loop {
        let words = match look().await? {
            Seen::Yes(value) => {
                bar.finish_and_clear();
                say(format!("{what}: {} ms", start.elapsed().as_millis()));
                return Ok(value);
            }
            Seen::NotYet(words) => words,
        };
        if start.elapsed() > PATIENCE {
            bar.finish_and_clear();
            bail!("waited {} s for: {what}; last seen: {words}", PATIENCE.as_secs());
        }
        bar.set_message(words);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a look at the world gave.
pub enum Seen<T> {
    /// What was waited for.
    Yes(T),
    /// Not yet, and what there is instead.
    NotYet(String),
}

fn progress(what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("   {spinner} {prefix}: {msg} ({elapsed})")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style).with_prefix(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
