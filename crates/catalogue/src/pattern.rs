//! Texts with holes: how a message variant is told from another, and what stands in its variable parts.

use serde::Serialize;

use crate::lang::Text;
use crate::vendor::{self, Trouble};

/// One variant of a message, and the cause that it tells of.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Pattern {
    /// The constant parts, in this order and whatever the case, with `{name}` for what is between them; what is before
    /// the first and after the last is free unless a hole stands there to catch it. Nothing but a hole fits any text.
    pub template: &'static str,
    /// The kind of trouble that a provider's words in the text must tell of, if that decides.
    pub trouble: Option<Trouble>,
    /// What is wrong.
    pub cause: Text,
    /// The finding that the doctor makes of it.
    pub code: Option<&'static str>,
    /// Real texts that it is for.
    pub samples: &'static [&'static str],
}

/// A variable part of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Captured {
    /// Its name in the template.
    pub name: &'static str,
    /// What stood there.
    pub value: String,
}

impl Pattern {
    /// What stands in the holes, if `text` is of this variant.
    pub fn matches(&self, text: &str) -> Option<Vec<Captured>> {
        self.matches_folded(&Folded::new(text))
    }

    pub(crate) fn matches_folded(&self, text: &Folded<'_>) -> Option<Vec<Captured>> {
        let captured = matches(self.template, text)?;
        match self.trouble {
            Some(trouble) if vendor::classify(text.text) != Some(trouble) => None,
            _ => Some(captured),
        }
    }
}

/// A text beside itself in lower case: many templates are held against one text. Only ASCII letters change, so places
/// in the one are places in the other.
pub(crate) struct Folded<'a> {
    text: &'a str,
    lower: String,
}

impl<'a> Folded<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, lower: text.to_ascii_lowercase() }
    }
}

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Constant(&'a str),
    Hole(&'a str),
}

/// The pieces of a template; a brace without its partner is constant.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        if !before.is_empty() {
            pieces.push(Piece::Constant(before));
        }
        pieces.push(Piece::Hole(name));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Constant(rest));
    }
    pieces
}

/// How much of a template is constant: the more of it a text has, the less by accident.
pub(crate) fn weight(template: &str) -> usize {
    let constant = |piece: Piece<'_>| match piece {
        Piece::Constant(text) => text.chars().filter(|c| c.is_ascii_alphanumeric()).count(),
        Piece::Hole(_) => 0,
    };
    pieces(template).into_iter().map(constant).sum()
}

/// What stands in the holes of `template`, if its constant parts are all in `text`, in order.
pub(crate) fn matches(template: &'static str, folded: &Folded<'_>) -> Option<Vec<Captured>> {
    let Folded { text, lower } = folded;
    let mut captured = Vec::new();
    let mut open: Option<&'static str> = None;
    let mut at = 0;
    for piece in pieces(template) {
        match piece {
            Piece::Hole(name) => open = Some(name),
            Piece::Constant(constant) => {
                let found = at + lower[at..].find(&constant.to_ascii_lowercase())?;
                if let Some(name) = open.take() {
                    capture(&mut captured, name, &text[at..found]);
                }
                at = found + constant.len();
            }
        }
    }
    if let Some(name) = open {
        capture(&mut captured, name, &text[at..]);
    }
    Some(captured)
}

/// Notes what stood in a hole, without the quotes and spaces around it; nothing is not worth a note.
fn capture(captured: &mut Vec<Captured>, name: &'static str, text: &str) {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'');
    if !name.is_empty() && !text.is_empty() {
        captured.push(Captured { name, value: text.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn holes_catch_what_is_between_the_constant_parts() {
        let caught = |template, text| {
            let parts = matches(template, &Folded::new(text))?.into_iter();
            Some(parts.map(|part| (part.name, part.value)).collect::<Vec<_>>())
        };
        assert_eq!(
            caught("port {port} of {name}", "Port 80 of web"),
            Some(vec![("port", "80".to_owned()), ("name", "web".to_owned())])
        );
        assert_eq!(caught("{who} became leader", "me_1 became leader"), Some(vec![("who", "me_1".to_owned())]));
        assert_eq!(caught("port {port} of", "the port  of a pod"), Some(vec![]), "nothing stands in it");
        assert_eq!(caught("first {x} second", "second, then first"), None, "the order counts");
        assert_eq!(caught("{any}", "whatever"), Some(vec![("any", "whatever".to_owned())]));
        assert_eq!(caught("quote \"{x}\"", "a quote \"in\" it"), Some(vec![("x", "in".to_owned())]));
    }

    #[test]
    fn weight_counts_what_is_constant() {
        for (template, letters) in [("", 0), ("{any}", 0), ("abc {x} d", 4), ("{open", 4)] {
            assert_eq!(weight(template), letters, "{template}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "\\PC{0,60}") {
            for template in ["{a}", "a {b} c", "error: {error}", "{x}: {y}"] {
                if let Some(captured) = matches(template, &Folded::new(&text)) {
                    for part in captured {
                        prop_assert!(text.contains(&part.value));
                    }
                }
            }
        }

        #[test]
        fn a_filled_template_matches(one in "[a-z0-9.]{1,8}", two in "[a-z0-9.]{1,8}") {
            let text = format!("Port {one} is not within the range {two}; recreate");
            let captured = matches("Port {port} is not within the range {range}; recreate", &Folded::new(&text)).expect("it was made of it");
            let of = |name, value| Captured { name, value };
            prop_assert_eq!(captured, vec![of("port", one), of("range", two)]);
        }
    }
}
