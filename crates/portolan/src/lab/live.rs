//! One scenario, told while it happens.

use std::{cell::Cell, process::ExitCode, time::Instant};

use anyhow::Result;
use portolan_catalogue::Lang;
use portolan_diagnose::render;
use portolan_lab::{
    runner::{self, Heard, Progress, Settings},
    scenario::Scenario,
};

use crate::{COULD_NOT_LOOK, output};

/// Runs it and says what happens; the exit code says whether it went as expected.
pub async fn play(scenario: &Scenario, settings: &Settings, title: &str, lang: Lang) -> Result<ExitCode> {
    let teller = Teller { start: Instant::now(), lang, part: Cell::new(""), looked: Cell::new(false) };
    output::say(format!("{}: {title}", scenario.name));
    let ran = runner::run(scenario, settings, &|progress| teller.tell(progress)).await;
    let record = &ran.record;
    teller.part("Result");
    if let Some(seconds) = record.seconds_to_finding {
        teller.say(&format!("the cause was named first {seconds:.1} s after the fault"));
    }
    if let Some(seconds) = record.seconds_to_recovery {
        teller.say(&format!("the diagnosis was clean {seconds:.1} s after the repair began"));
    }
    if !record.missing_reasons.is_empty() {
        teller.say(&format!("events that should have appeared and did not: {}", record.missing_reasons.join(", ")));
    }
    if let Some(problem) = &record.problem {
        teller.say(problem);
    }
    teller.say(if record.is_as_expected() { "as expected" } else { "NOT as expected" });
    Ok(match (record.is_as_expected(), record.doctors.is_empty()) {
        (true, _) => ExitCode::SUCCESS,
        // Nobody was asked: it did not come that far.
        (false, true) => ExitCode::from(COULD_NOT_LOOK),
        (false, false) => ExitCode::from(1),
    })
}

/// Prints progress as it comes, each line with the seconds since the start.
struct Teller {
    start: Instant,
    lang: Lang,
    part: Cell<&'static str>,
    /// The diagnosis was shown.
    looked: Cell<bool>,
}

impl Teller {
    fn tell(&self, progress: Progress<'_>) {
        match progress {
            Progress::Booting(arguments) => {
                self.part("Healthy start");
                let more = if arguments.is_empty() { String::new() } else { format!(" {}", arguments.join(" ")) };
                self.say(&format!("booting a network: portolan up{more}"));
            }
            Progress::Applied(count) => {
                self.part("Healthy start");
                self.say(&format!("{count} objects applied"));
            }
            Progress::Healthy => self.say("all of them are well"),
            Progress::Step(step) if self.looked.get() => self.say(&step),
            Progress::Step(step) => {
                self.part("Fault");
                self.say(&step);
            }
            Progress::Event(heard) => self.event(&heard),
            Progress::Says(Some(code)) => {
                self.part("Diagnosis");
                self.say(&format!("first finding: {code}"));
            }
            Progress::Says(None) => {
                self.part("Diagnosis");
                self.say("no finding yet");
            }
            Progress::Diagnosed(diagnosis, _) => {
                self.part("Diagnosis");
                self.looked.set(true);
                output::say(render::text(diagnosis, self.lang, output::colour()).trim_end());
            }
            Progress::Repairing => self.part("Repair"),
            Progress::Recovered => self.say("the diagnosis is clean"),
            _ => {}
        }
    }

    /// The heading of what comes now, once.
    fn part(&self, name: &'static str) {
        if self.part.replace(name) == name {
            return;
        }
        match output::colour() {
            true => output::say(format!("\n\x1b[1m{name}\x1b[0m")),
            false => output::say(format!("\n{name}")),
        }
    }

    fn event(&self, heard: &Heard) {
        let count = if heard.count > 1 { format!(" (x{})", heard.count) } else { String::new() };
        let first = heard.message.lines().next().unwrap_or_default();
        self.say(&format!("event {} {} on {}: {first}{count}", heard.severity, heard.reason, heard.object));
    }

    fn say(&self, words: &str) {
        output::say(format!("{:>7.1} s  {words}", self.start.elapsed().as_secs_f32()));
    }
}
