//! What a comparison leaves behind: a line for each difference, the objects around it, a summary.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Outcome;
use crate::{
    compare::Difference,
    request::{self, Collection},
    side::{Places, Side},
};

/// One difference in a few lines.
pub fn one(seed: u64, step: usize, kind: &str, difference: &Difference) -> String {
    let short = |value: &Value| {
        let text = value.to_string();
        if text.len() > 600 { format!("{}...", text.chars().take(600).collect::<String>()) } else { text }
    };
    format!(
        "DIFFERENT ({kind}) seed {seed}, step {step}: {}\n  at: {}\n  first:  {}\n  second: {}",
        difference.subject,
        short(&Value::String(difference.path.clone())),
        short(&difference.first),
        short(&difference.second),
    )
}

/// Writes the objects that a subject is about, of both sides, as YAML. A failure to do so does not end the run.
pub fn keep(outcome: &Outcome, places: &Places, sides: [&Side; 2], subject: &str) {
    let name: String = subject.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    for side in sides {
        let file = places.out.join(format!("different-{}-{}-{name}-{}.yaml", outcome.seed, outcome.steps, side.label));
        let objects = related(side, subject);
        let text = serde_saphyr::to_string(&objects).unwrap_or_else(|error| error.to_string());
        if let Err(error) = fs::write(&file, text) {
            tracing::warn!(file = %file.display(), %error, "cannot keep the objects");
        }
    }
}

/// The Service, Endpoints and slices that a subject is about, and the pods and nodes they come from.
fn related(side: &Side, subject: &str) -> Vec<Value> {
    let Some((namespace, name)) = subject.split_whitespace().find_map(|word| word.split_once('/')) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut add = |collection: Collection, fits: &dyn Fn(&str, &str, &Value) -> bool| {
        for ((of, called), object) in side.mirror.objects(collection) {
            if fits(&of, &called, &object) {
                let mut object = (*object).clone();
                if let Some(metadata) = object["metadata"].as_object_mut() {
                    metadata.remove("managedFields");
                }
                found.push(object);
            }
        }
    };
    let same = |of: &str, called: &str, _: &Value| of == namespace && called == name;
    add(request::SERVICES, &same);
    add(request::ENDPOINTS, &same);
    add(request::SLICES, &|of, _, object| {
        of == namespace && object["metadata"]["labels"]["kubernetes.io/service-name"] == name
    });
    add(request::PODS, &|of, _, _| of == namespace);
    add(request::NODES, &|_, _, _| true);
    found
}

/// Writes and prints the summary; false if something differs.
pub fn finish(outcome: &Outcome, places: &Places) -> Result<bool> {
    let file: PathBuf = places.out.join(format!("differential-{}-{}.json", outcome.second, outcome.seed));
    let text = serde_json::to_string_pretty(outcome).context("a summary that is no JSON")?;
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let packing = outcome.packing;
    println!(
        "{} and {}, seed {}: {} steps in {:.0} s",
        outcome.first, outcome.second, outcome.seed, outcome.steps, outcome.seconds
    );
    println!("  requests to each         {} ({} refused by both)", outcome.requests, outcome.refused);
    println!(
        "  quiet points             {}, {} objects with {} endpoints in slices compared",
        outcome.quiet_points, outcome.subjects, outcome.endpoints
    );
    println!("  had to be touched at     {} and {} of them", outcome.upstream_late, outcome.ours_late);
    println!(
        "  division into slices     alike in {} of {} groups; {} and {} slices",
        packing.alike, packing.groups, packing.first, packing.second
    );
    println!("  trigger times            on both {}, on one {}", outcome.triggers_both, outcome.triggers_one);
    println!("  writes                   {} and {}", outcome.writes_first, outcome.writes_second);
    println!("  answers in other words   {}", outcome.worded_otherwise.len());
    for (what, count) in &outcome.deliberate {
        println!("  meant                    {count} x {what}");
    }
    println!("  differences              {}", outcome.found.len());
    println!("  written to               {}", file.display());
    Ok(outcome.found.is_empty())
}
