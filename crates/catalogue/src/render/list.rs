//! The whole catalogue as a table for terminals.

use super::width::display_width;
use super::words;
use crate::lang::Lang;
use crate::{Category, Entry};

/// Columns before the summary, which is last and needs no padding.
const COLUMNS: usize = 5;

/// The reasons of `entries` with type, source, object and upstream status, one a line, grouped by category.
pub fn list(entries: &[&Entry], lang: Lang) -> String {
    let header = [words::REASON, words::TYPE, words::FROM, words::OBJECT, words::KUBERNETES, words::SUMMARY];
    let header = header.map(|heading| heading.get(lang).to_uppercase());
    let groups: Vec<(Category, Vec<[String; COLUMNS + 1]>)> = Category::ALL
        .into_iter()
        .map(|category| {
            let members = entries.iter().filter(|entry| entry.category == category);
            (category, members.map(|entry| cells(entry, lang)).collect())
        })
        .collect();
    let mut widths = header.each_ref().map(|cell| display_width(cell));
    for row in groups.iter().flat_map(|(_, rows)| rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(display_width(cell));
        }
    }
    let mut out = line(&header, &widths);
    for (category, rows) in groups.iter().filter(|(_, rows)| !rows.is_empty()) {
        out.push_str(&format!("\n{}\n", category.name().get(lang)));
        for row in rows {
            out.push_str(&line(row, &widths));
        }
    }
    out
}

fn cells(entry: &Entry, lang: Lang) -> [String; COLUMNS + 1] {
    [
        entry.name.to_owned(),
        entry.severity.as_str().to_owned(),
        entry.emitter.to_owned(),
        entry.object.to_owned(),
        entry.status.word().get(lang).to_owned(),
        entry.summary.get(lang).to_owned(),
    ]
}

fn line(cells: &[String; COLUMNS + 1], widths: &[usize; COLUMNS + 1]) -> String {
    let mut out = String::new();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        out.push_str(cell);
        if index < COLUMNS {
            out.push_str(&" ".repeat(width - display_width(cell) + 2));
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries;

    #[test]
    fn lists_every_reason_once_and_aligned() {
        let all: Vec<&Entry> = entries().iter().collect();
        for lang in Lang::ALL {
            let list = list(&all, lang);
            for entry in &all {
                let name = format!("{} ", entry.name);
                assert_eq!(list.lines().filter(|line| line.starts_with(&name)).count(), 1, "{name}");
            }
            // The second column begins at the same place on every row.
            let starts: Vec<usize> =
                list.lines().filter_map(|line| line.find(" Normal ").or_else(|| line.find(" Warning "))).collect();
            assert_eq!(starts.len(), all.len());
            assert!(starts.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }

    #[test]
    fn a_short_list_has_no_empty_groups() {
        let one = crate::find("Unhealthy").expect("an entry");
        let list = list(&[one], Lang::En);
        assert!(list.contains("Unhealthy") && !list.contains(Category::LoadBalancer.name().en), "{list}");
    }
}
