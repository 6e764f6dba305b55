//! A score for people: columns for the terminal, tables for a document.

use std::fmt::Write as _;

use super::{Figures, GOALS, Row, Score};
use crate::record::{OURS, Record};

/// Columns for the terminal.
pub fn text(score: &Score) -> String {
    let mut out = String::new();
    let header = ["family", "faults", "recall", "first", "precision", "alike", "false", "median", "p95"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(score.families.iter().chain([&score.total]).map(cells));
    columns(&mut out, &rows);
    out.push('\n');
    let mut doctors = vec![["doctor", "noticed", "recall", "first", "precision", "false"].map(str::to_owned).to_vec()];
    doctors.extend(score.total.doctors.iter().map(|(name, figures)| doctor(name, figures)));
    columns(&mut out, &doctors);
    let troubles: Vec<String> = score.records.iter().filter_map(trouble).collect();
    if !troubles.is_empty() {
        out.push('\n');
        out.push_str(&troubles.join("\n"));
        out.push('\n');
    }
    let verdict = if score.reached { "reached" } else { "not reached" };
    let _ = writeln!(out, "\ngoals {}: {verdict}", goals());
    out
}

/// Tables for a document.
pub fn markdown(score: &Score) -> String {
    let mut out = String::new();
    let header =
        ["family", "faults", "recall", "named first", "precision", "look-alikes", "false positives", "median", "p95"];
    table(&mut out, &header, score.families.iter().chain([&score.total]).map(cells));
    out.push('\n');
    let header = ["doctor", "noticed", "recall", "named first", "precision", "false positives"];
    table(&mut out, &header, score.total.doctors.iter().map(|(name, figures)| doctor(name, figures)));
    let _ = writeln!(out, "\nGoals {}: {}.", goals(), if score.reached { "reached" } else { "not reached" });
    let troubles: Vec<String> = score.records.iter().filter_map(trouble).collect();
    if !troubles.is_empty() {
        out.push('\n');
        let _ = writeln!(out, "- {}", troubles.join("\n- "));
    }
    out
}

fn goals() -> String {
    format!(
        "(recall >= {:.2}, named first >= {:.2}, false positives <= {:.2})",
        GOALS.recall, GOALS.first, GOALS.false_positives
    )
}

fn cells(row: &Row) -> Vec<String> {
    let ours = row.doctors.get(OURS).copied().unwrap_or_default();
    vec![
        row.family.clone(),
        row.faults.to_string(),
        share(ours.recall),
        share(ours.first),
        share(ours.precision),
        row.look_alikes.to_string(),
        share(ours.false_positives),
        seconds(row.median_seconds),
        seconds(row.p95_seconds),
    ]
}

fn doctor(name: &str, figures: &Figures) -> Vec<String> {
    let shares = [figures.noticed, figures.recall, figures.first, figures.precision, figures.false_positives];
    [name.to_owned()].into_iter().chain(shares.map(share)).collect()
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1} s"))
}

/// One line about a run that did not go as expected.
pub(crate) fn trouble(record: &Record) -> Option<String> {
    if record.is_as_expected() {
        return None;
    }
    let (name, ours) = (&record.scenario, record.ours());
    let said = if ours.claims.is_empty() { "nothing".to_owned() } else { ours.claims.join(", ") };
    let mut parts = Vec::new();
    if record.like.is_some() && ours.noticed {
        parts.push(format!("nothing is wrong, but it says {said}"));
    } else if record.like.is_none() && !ours.first && !record.doctors.is_empty() {
        parts.push(format!("expected {}, it says {said}", record.expected.join(" or ")));
    }
    if !record.missing_reasons.is_empty() {
        parts.push(format!("events that did not appear: {}", record.missing_reasons.join(", ")));
    }
    parts.extend(record.problem.clone());
    Some(format!("{name}: {}", parts.join("; ")))
}

fn columns(out: &mut String, rows: &[Vec<String>]) {
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len))
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
}

fn table(out: &mut String, header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let _ = writeln!(out, "| {} |", header.join(" | "));
    let rule: Vec<&str> =
        header.iter().enumerate().map(|(column, _)| if column == 0 { "---" } else { "---:" }).collect();
    let _ = writeln!(out, "|{}|", rule.join("|"));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
}
