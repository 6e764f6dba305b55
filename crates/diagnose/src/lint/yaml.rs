//! YAML and JSON text -> documents whose every field knows its line.
//!
//! One walk over the parser's events builds the value and, beside it, the lines. serde cannot do that for a tree of
//! unknown shape. Plain scalars are read as kubectl reads them (YAML 1.1: `yes` is true, `0644` is octal), or a check
//! would see another object than the API server does.
//!
//! Invariant: any bytes give documents or [`Broken`], never a panic, and never more than [`MAX_NODES`] nodes for one
//! document, however its aliases multiply.

mod scalar;

use std::{borrow::Cow, collections::HashMap};

use granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Value};

/// Nodes of one document, with what its aliases expand to.
pub(super) const MAX_NODES: usize = 500_000;
/// Levels of nesting of one document, with what its aliases expand to.
const MAX_DEPTH: usize = 200;

/// One document.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) spot: Spot,
    /// Path in the chart, from the comment that `helm template` writes above each document.
    pub(super) source: Option<String>,
    /// Keys that a mapping has twice, with the line of the second.
    pub(super) duplicates: Vec<(String, u32)>,
}

/// A document that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// Where, counted from 1.
    pub(super) line: u32,
    /// What the parser says.
    pub(super) why: String,
}

/// Lines of a value and of everything in it.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    /// Of the key for a field, of its beginning for an item of a list; counted from 1.
    pub(super) line: u32,
    parts: Parts,
}

#[derive(Debug, Clone)]
enum Parts {
    Scalar,
    Map(HashMap<String, Spot>),
    List(Vec<Spot>),
}

impl Spot {
    /// The line of a field; if it is not there, that of the innermost thing around it that is. Paths are written as the
    /// API server does: `spec.ports[0].port`, `metadata.annotations[example.com/key]`.
    pub(super) fn line_of(&self, path: &str) -> u32 {
        let mut spot = self;
        let mut rest = path;
        while !rest.is_empty() {
            let (step, after) = first_step(rest);
            let next = match &spot.parts {
                Parts::Map(fields) => fields.get(step),
                Parts::List(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
                Parts::Scalar => None,
            };
            let Some(next) = next else { break };
            spot = next;
            rest = after;
        }
        spot.line
    }

    /// An item of a list.
    pub(super) fn item(&self, list: &str, index: usize) -> Option<&Spot> {
        let Parts::Map(fields) = &self.parts else { return None };
        let Parts::List(items) = &fields.get(list)?.parts else { return None };
        items.get(index)
    }
}

/// `spec.ports[0].port` -> `spec`, `ports[0].port`.
fn first_step(path: &str) -> (&str, &str) {
    if let Some(inner) = path.strip_prefix('[') {
        let end = inner.find(']').unwrap_or(inner.len());
        let after = inner.get(end + 1..).unwrap_or_default();
        return (inner.get(..end).unwrap_or_default(), after.strip_prefix('.').unwrap_or(after));
    }
    match path.find(['.', '[']) {
        None => (path, ""),
        Some(end) if path[end..].starts_with('.') => (&path[..end], &path[end + 1..]),
        Some(end) => (&path[..end], &path[end..]),
    }
}

/// Reads all documents of a text. A broken one does not hide those after it.
pub(super) fn parse(text: &str) -> Vec<Result<Document, Broken>> {
    match json_stream(text) {
        Some(pieces) => pieces.into_iter().flat_map(|(before, piece)| parse_yaml(piece, before)).collect(),
        None => parse_yaml(text, 0),
    }
}

/// Several JSON values, one after the other, as kubectl takes them and YAML does not: how many lines are before each.
fn json_stream(text: &str) -> Option<Vec<(usize, &str)>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    let (mut pieces, mut from, mut lines) = (Vec::new(), 0, 0);
    while let Some(value) = values.next() {
        value.ok()?;
        let piece = text.get(from..values.byte_offset())?;
        pieces.push((lines, piece));
        lines += piece.matches('\n').count();
        from = values.byte_offset();
    }
    (pieces.len() > 1).then_some(pieces)
}

/// YAML, of which a single JSON value is a case; `before` lines are above it.
fn parse_yaml(text: &str, before: usize) -> Vec<Result<Document, Broken>> {
    let options = granit_parser::options! { max_buffered_comment_events: 4096 };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut documents = Vec::new();
    let mut builder = Builder { before, ..Builder::default() };
    // Every recovery ends a document, and there are no more of those than lines.
    for _ in 0..=text.lines().count() {
        let failure = loop {
            match parser.next_event() {
                None => return documents,
                Some(Ok((event, span))) => documents.extend(builder.take(event, span)),
                Some(Err(error)) => break error,
            }
        };
        let why = failure.info();
        builder = Builder { before, ..Builder::default() };
        documents.push(Err(Broken { line: line(failure.marker().line() + before), why }));
        match parser.proceed_next_document() {
            Ok(true) => {}
            Ok(false) | Err(_) => break,
        }
    }
    documents
}

fn line(line: usize) -> u32 {
    u32::try_from(line.max(1)).unwrap_or(u32::MAX)
}

/// A value, its lines, how many nodes it has and how deep it is.
#[derive(Debug, Clone)]
struct Built {
    value: Value,
    spot: Spot,
    nodes: usize,
    depth: usize,
}

/// A mapping or list whose end has not come.
struct Open {
    line: u32,
    anchor: usize,
    nodes: usize,
    depth: usize,
    inside: Inside,
}

enum Inside {
    Map { fields: Map<String, Value>, spots: HashMap<String, Spot>, key: Option<(String, u32)>, merged: Vec<Built> },
    List { items: Vec<Value>, spots: Vec<Spot> },
}

/// How a value came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    /// As a scalar without quotes.
    Plain,
    /// As the copy of an anchored value.
    Alias,
    Other,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Built>,
    root: Option<Built>,
    duplicates: Vec<(String, u32)>,
    source: Option<String>,
    /// Nodes of this document up to now.
    nodes: usize,
    /// Lines above the text.
    before: usize,
    /// The first thing that makes the document unusable.
    broken: Option<Broken>,
}

impl Builder {
    /// Takes an event in; the end of a document gives the document.
    fn take(&mut self, event: Event<'_>, span: Span) -> Option<Result<Document, Broken>> {
        let at = line(span.start.line() + self.before);
        match event {
            Event::Comment(text, _) => {
                if let Some(path) = text.trim().strip_prefix("Source:") {
                    self.source = Some(path.trim().to_owned());
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let tag = tag.as_deref().and_then(|tag| tag.core_suffix());
                let value = if plain || tag.is_some() {
                    scalar::resolve(&text, tag)
                } else {
                    Value::String(Cow::into_owned(text))
                };
                let spot = Spot { line: at, parts: Parts::Scalar };
                self.put(
                    Built { value, spot, nodes: 1, depth: 1 },
                    anchor,
                    if plain { Put::Plain } else { Put::Other },
                );
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(built) if self.nodes + built.nodes > MAX_NODES => self.too_large(at),
                Some(built) if self.open.len() + built.depth > MAX_DEPTH => self.too_large(at),
                Some(built) => {
                    let mut built = built.clone();
                    built.spot.line = at;
                    self.put(built, 0, Put::Alias);
                }
                None => self.fail(at, "an alias stands inside what it names"),
            },
            Event::MappingStart(_, anchor, _) => {
                let (fields, spots, merged) = (Map::new(), HashMap::new(), Vec::new());
                self.begin(at, anchor, Inside::Map { fields, spots, key: None, merged });
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(at, anchor, Inside::List { items: Vec::new(), spots: Vec::new() });
            }
            Event::MappingEnd | Event::SequenceEnd => self.end(),
            Event::DocumentEnd => return self.finish(),
            _ => {}
        }
        None
    }

    fn fail(&mut self, line: u32, why: &str) {
        self.broken.get_or_insert_with(|| Broken { line, why: why.to_owned() });
    }

    fn too_large(&mut self, line: u32) {
        self.fail(line, "too large: too many nodes or levels, counting what aliases repeat");
    }

    fn begin(&mut self, line: u32, anchor: usize, inside: Inside) {
        if self.open.len() >= MAX_DEPTH {
            self.too_large(line);
        }
        self.open.push(Open { line, anchor, nodes: 1, depth: 1, inside });
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let (value, parts) = match open.inside {
            Inside::List { items, spots } => (Value::Array(items), Parts::List(spots)),
            Inside::Map { mut fields, mut spots, merged, .. } => {
                for built in merged {
                    merge(built, &mut fields, &mut spots);
                }
                (Value::Object(fields), Parts::Map(spots))
            }
        };
        let spot = Spot { line: open.line, parts };
        self.put(Built { value, spot, nodes: open.nodes, depth: open.depth }, open.anchor, Put::Other);
    }

    /// A finished value: the next key, field, item, or the root.
    fn put(&mut self, built: Built, anchor: usize, kind: Put) {
        if self.broken.is_some() {
            return;
        }
        // An alias brings all its nodes at once; those of a mapping or list were counted as they came.
        self.nodes += if kind == Put::Alias { built.nodes } else { 1 };
        if self.nodes > MAX_NODES {
            return self.too_large(built.spot.line);
        }
        if anchor != 0 {
            // A copy for each anchor around it: counted, or nested anchors would multiply a large document.
            self.nodes += built.nodes;
            self.anchors.insert(anchor, built.clone());
        }
        let at = built.spot.line;
        let Some(open) = self.open.last_mut() else {
            self.root = Some(built);
            return;
        };
        open.nodes += built.nodes;
        open.depth = open.depth.max(built.depth + 1);
        match &mut open.inside {
            Inside::List { items, spots } => {
                items.push(built.value);
                spots.push(built.spot);
            }
            Inside::Map { fields, spots, key, merged } => match key.take() {
                None => match scalar::key(&built.value) {
                    Some(name) => {
                        // `<<` in quotes is an ordinary key.
                        let name = if name == "<<" && kind == Put::Plain { MERGE.to_owned() } else { name };
                        *key = Some((name, at));
                    }
                    None => self.fail(at, "a mapping or a list stands where a key has to be"),
                },
                Some((name, _)) if name == MERGE => merged.push(built),
                Some((name, line)) => {
                    if fields.contains_key(&name) {
                        self.duplicates.push((name.clone(), line));
                    }
                    fields.insert(name.clone(), built.value);
                    spots.insert(name, Spot { line, ..built.spot });
                }
            },
        }
    }

    fn finish(&mut self) -> Option<Result<Document, Broken>> {
        let next = Self { before: self.before, ..Self::default() };
        let done = std::mem::replace(self, next);
        if let Some(broken) = done.broken {
            return Some(Err(broken));
        }
        let built = done.root?;
        let (duplicates, source) = (done.duplicates, done.source);
        Some(Ok(Document { value: built.value, spot: built.spot, source, duplicates }))
    }
}

/// Stands for the key `<<`; no key of a text has a NUL in it, because YAML has no such character.
const MERGE: &str = "\0<<";

/// `<<: *defaults`: fields that the mapping does not have itself, the first source's first.
fn merge(built: Built, fields: &mut Map<String, Value>, spots: &mut HashMap<String, Spot>) {
    let sources = match (built.value, built.spot.parts) {
        (Value::Object(map), Parts::Map(lines)) => vec![(map, lines)],
        (Value::Array(items), Parts::List(list)) => {
            let pairs = items.into_iter().zip(list);
            let maps = pairs.filter_map(|(item, spot)| match (item, spot.parts) {
                (Value::Object(map), Parts::Map(lines)) => Some((map, lines)),
                _ => None,
            });
            maps.collect()
        }
        _ => Vec::new(),
    };
    for (map, mut lines) in sources {
        for (key, value) in map {
            if !fields.contains_key(&key) {
                if let Some(spot) = lines.remove(&key) {
                    spots.insert(key.clone(), spot);
                }
                fields.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
