//! Everything CI checks, in the order in which a failure is cheapest to find.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};

/// What the test harnesses reported.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
    /// `NAME: why` of each test that said it was skipped.
    skipped: Vec<String>,
}

/// Runs all of it; the last line is the tally.
pub fn run() -> Result<()> {
    step("clients", || {
        print!("{}", crate::clients::fetch()?);
        Ok(())
    })?;
    step("format", || cargo(&["fmt", "--all", "--check"], &[]))?;
    step("layers", crate::layers::check)?;
    step("lints", || cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"], &[]))?;
    step("docs", || cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "--deny warnings")]))?;
    // The binary first: the whole-program tests run it.
    step("build", || cargo(&["build", "--package", "portolan"], &[]))?;
    let tally = step("tests", tests)?;
    for skipped in &tally.skipped {
        println!("skipped: {skipped}");
    }
    // A test that skips itself still counts as passed in its harness; here it does not.
    let passed = tally.passed.saturating_sub(tally.skipped.len());
    println!("{passed} passed, {} failed, {} skipped", tally.failed, tally.skipped.len());
    if tally.failed > 0 {
        bail!("{} tests failed", tally.failed);
    }
    Ok(())
}

fn step<T>(name: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {name}");
    let start = Instant::now();
    let result = run().with_context(|| format!("step {name:?} failed"))?;
    println!("    {name}: {:.0} s", start.elapsed().as_secs_f32());
    Ok(result)
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(crate::root());
    command
}

fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let status = command(arguments).envs(environment.iter().copied()).status().context("cannot run cargo")?;
    if !status.success() {
        bail!("`cargo {}` failed", arguments.join(" "));
    }
    Ok(())
}

/// Runs every test, passing the output on and counting as it goes by.
fn tests() -> Result<Tally> {
    let mut child = command(&["test", "--workspace", "--no-fail-fast"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run cargo test")?;
    let errors = child.stderr.take().context("no stderr")?;
    let errors = thread::spawn(move || relay(errors, std::io::stderr()));
    let output = relay(child.stdout.take().context("no stdout")?, std::io::stdout())?;
    let errors = errors.join().map_err(|_| anyhow::anyhow!("the stderr reader panicked"))??;
    let status = child.wait().context("cannot wait for cargo test")?;
    let mut tally = Tally::default();
    output.iter().chain(&errors).for_each(|line| tally.count(line));
    if !status.success() && tally.failed == 0 {
        bail!("cargo test failed without a failing test: see above");
    }
    Ok(tally)
}

fn relay(from: impl std::io::Read, mut to: impl Write) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for line in BufReader::new(from).lines() {
        let line = line.context("cannot read the tests' output")?;
        writeln!(to, "{line}").context("cannot write")?;
        lines.push(line);
    }
    Ok(lines)
}

impl Tally {
    fn count(&mut self, line: &str) {
        if let Some(skipped) = line.trim_start().strip_prefix("skipped: ") {
            self.skipped.push(skipped.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else { return };
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next().and_then(|n| n.parse::<usize>().ok()), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tally_adds_up_the_harnesses_and_names_what_was_skipped() {
        let mut tally = Tally::default();
        tally.count("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s");
        tally.count("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        tally.count("skipped: packets::hairpin: no user namespaces");
        tally.count("running 12 tests");
        let expected =
            Tally { passed: 15, failed: 2, skipped: vec!["packets::hairpin: no user namespaces".to_owned()] };
        assert_eq!(tally, expected);
    }
}
