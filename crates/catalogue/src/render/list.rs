//! The whole catalogue as a table for terminals.

use super::width::display_width;
use super::words;
use crate::lang::Lang;
use crate::{Category, Entry, entries};

/// Columns before the summary, which is last and needs no padding.
const COLUMNS: usize = 5;

/// Every reason with its type, source, object and upstream status, one a line, grouped by category.
pub fn list(lang: Lang) -> String {
    let header = [words::REASON, words::TYPE, words::FROM, words::OBJECT, words::KUBERNETES, words::SUMMARY];
    let header = header.map(|heading| heading.get(lang).to_uppercase());
    let groups: Vec<(Category, Vec<[String; COLUMNS + 1]>)> = Category::ALL
        .into_iter()
        .map(|category| {
            let members = entries().iter().filter(|entry| entry.category == category);
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
    for (category, rows) in &groups {
        out.push_str(&format!("\n{}\n", category.name().get(lang)));
        for row in rows {
            out.push_str(&line(row, &widths));
        }
    }
    out
}

fn cells(entry: &Entry, lang: Lang) -> [String; COLUMNS + 1] {
    [
        entry.reason.as_str().to_owned(),
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
    use crate::Reason;

    #[test]
    fn lists_every_reason_once_and_aligned() {
        for lang in Lang::ALL {
            let list = list(lang);
            let rows = |reason: &Reason| {
                let name = format!("{reason} ");
                list.lines().filter(|line| line.starts_with(&name)).count()
            };
            for reason in Reason::ALL {
                assert_eq!(rows(reason), 1, "{reason}");
            }
            // The second column begins at the same place on every row.
            let starts: Vec<usize> =
                list.lines().filter_map(|line| line.find("Normal").or_else(|| line.find("Warning"))).collect();
            assert_eq!(starts.len(), Reason::ALL.len());
            assert!(starts.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }
}
