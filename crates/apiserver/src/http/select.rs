//! Field selectors: `a.b=c`, `a.b==c`, `a.b!=c`, joined by commas, with backslash escapes and empty values.
//!
//! Upstream: `k8s.io/apimachinery/pkg/fields`. Terms come in any order; matching does not depend on it.

use portolan_kinds::Resource;

use crate::status::ApiError;

/// One condition on a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// `metadata.name`, `spec.nodeName`.
    pub field: String,
    /// The value to compare with.
    pub value: String,
    /// Whether the field must have the value, or must not.
    pub equal: bool,
}

/// All terms must hold; no terms match everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {
    /// The conditions.
    pub terms: Vec<Term>,
}

impl FieldSelector {
    /// Parses a selector for `resource`; a field that it cannot be selected by is refused.
    pub fn parse(text: &str, resource: &Resource) -> Result<Self, ApiError> {
        let mut terms = Vec::new();
        for part in split(text) {
            let (field, value, equal) = term(&part).ok_or_else(|| {
                ApiError::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'"))
            })?;
            if !resource.selects_by(&field) {
                return Err(ApiError::bad_request(format!("field label not supported: {field}")));
            }
            terms.push(Term { field, value, equal });
        }
        Ok(Self { terms })
    }

    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether an object of which `get` gives the fields is selected. A field that it does not have counts as empty.
    pub fn matches<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.terms.iter().all(|term| (get(&term.field).unwrap_or("") == term.value) == term.equal)
    }

    /// The value that `field` is required to have.
    pub fn required(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.equal && term.field == field).map(|term| term.value.as_str())
    }
}

/// Splits at commas that no backslash escapes; the escapes stay.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == ',' {
            parts.push(String::new());
            continue;
        }
        // There is always a last part.
        if let Some(part) = parts.last_mut() {
            part.push(character);
            if character == '\\' {
                part.extend(characters.next());
            }
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn term(part: &str) -> Option<(String, String, bool)> {
    let mut escaped = false;
    for (at, character) in part.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if let Some((length, equal)) = operator(&part[at..]) {
            let field = part[..at].trim().to_owned();
            return Some((field, unescape(&part[at + length..])?, equal)).filter(|(field, ..)| !field.is_empty());
        }
    }
    None
}

fn operator(rest: &str) -> Option<(usize, bool)> {
    [("!=", false), ("==", true), ("=", true)]
        .into_iter()
        .find(|(operator, _)| rest.starts_with(operator))
        .map(|(operator, equal)| (operator.len(), equal))
}

fn unescape(value: &str) -> Option<String> {
    let mut plain = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next()? {
                escaped @ ('\\' | ',' | '=') => plain.push(escaped),
                _ => return None,
            },
            // As upstream: a second operator would make the term ambiguous.
            '=' | ',' => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Vec<(String, String, bool)>, u16> {
        let events = portolan_kinds::find("", "v1", "events").unwrap();
        FieldSelector::parse(text, events)
            .map(|selector| selector.terms.into_iter().map(|term| (term.field, term.value, term.equal)).collect())
            .map_err(|error| error.code)
    }

    fn row(field: &str, value: &str, equal: bool) -> (String, String, bool) {
        (field.to_owned(), value.to_owned(), equal)
    }

    #[test]
    fn selectors_parse_as_upstream_parses_them() {
        for (text, expected) in [
            ("", Ok(vec![])),
            ("metadata.name=a", Ok(vec![row("metadata.name", "a", true)])),
            ("metadata.name==a", Ok(vec![row("metadata.name", "a", true)])),
            ("reason!=a,type=b", Ok(vec![row("reason", "a", false), row("type", "b", true)])),
            ("involvedObject.namespace=", Ok(vec![row("involvedObject.namespace", "", true)])),
            (r"reason=a\,b\=c\\", Ok(vec![row("reason", r"a,b=c\", true)])),
            ("reason", Err(400)),
            ("reason=a=b", Err(400)),
            (r"reason=a\", Err(400)),
            ("=a", Err(400)),
            ("spec.nodeName=a", Err(400)),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
