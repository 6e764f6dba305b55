//! The text form: tokens, then requirements.

use std::{collections::BTreeSet, iter::Peekable, str::CharIndices};

use super::{Operator, Requirement, Selector, SelectorError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// A key, a value, or one of the words `in` and `notin`, which are words only behind a key.
    Name(&'a str),
    Comma,
    Open,
    Close,
    Not,
    Equal,
    NotEqual,
    Above,
    Below,
    End,
}

impl Token<'_> {
    fn text(self) -> String {
        let text = match self {
            Self::Name(name) => name,
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::Not => "!",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Above => ">",
            Self::Below => "<",
            Self::End => "",
        };
        text.to_owned()
    }
}

struct Lexer<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    peeked: Option<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, chars: text.char_indices().peekable(), peeked: None }
    }

    fn peek(&mut self) -> Token<'a> {
        let token = self.next();
        self.peeked = Some(token);
        token
    }

    fn next(&mut self) -> Token<'a> {
        if let Some(token) = self.peeked.take() {
            return token;
        }
        while self.chars.next_if(|(_, c)| matches!(c, ' ' | '\t' | '\r' | '\n')).is_some() {}
        let Some((start, first)) = self.chars.next() else { return Token::End };
        match first {
            ',' => Token::Comma,
            '(' => Token::Open,
            ')' => Token::Close,
            '>' => Token::Above,
            '<' => Token::Below,
            '=' => {
                self.chars.next_if(|(_, c)| *c == '=');
                Token::Equal
            }
            '!' if self.chars.next_if(|(_, c)| *c == '=').is_some() => Token::NotEqual,
            '!' => Token::Not,
            _ => {
                while self.chars.next_if(|(_, c)| !is_special(*c)).is_some() {}
                let end = self.chars.peek().map_or(self.text.len(), |(end, _)| *end);
                Token::Name(&self.text[start..end])
            }
        }
    }
}

fn is_special(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | ',' | '(' | ')' | '>' | '<' | '=' | '!')
}

fn syntax<T>(found: Token<'_>, expected: &'static str) -> Result<T, SelectorError> {
    Err(SelectorError::Syntax { found: found.text(), expected })
}

pub(super) fn selector(text: &str) -> Result<Selector, SelectorError> {
    let mut lexer = Lexer::new(text);
    let mut requirements = Vec::new();
    if lexer.peek() == Token::End {
        return Ok(Selector::default());
    }
    loop {
        let requirement = requirement(&mut lexer)?;
        requirement.check()?;
        requirements.push(requirement);
        match lexer.next() {
            Token::End => break,
            Token::Comma => {}
            other => return syntax(other, "',' or end of text"),
        }
    }
    // Equal selectors print equally, whatever the order of writing: upstream sorts by key as well.
    requirements.sort();
    Ok(Selector { requirements })
}

fn requirement(lexer: &mut Lexer<'_>) -> Result<Requirement, SelectorError> {
    let key = match lexer.next() {
        Token::Name(key) => key.to_owned(),
        Token::Not => {
            return match lexer.next() {
                Token::Name(key) => Ok(Requirement { key: key.to_owned(), operator: Operator::Missing }),
                other => syntax(other, "a label key behind '!'"),
            };
        }
        other => return syntax(other, "a label key or '!'"),
    };
    let operator = match lexer.peek() {
        Token::End | Token::Comma => return Ok(Requirement { key, operator: Operator::Exists }),
        operator => {
            lexer.next();
            operator
        }
    };
    let operator = match operator {
        Token::Equal => Operator::In([value(lexer)?].into()),
        Token::NotEqual => Operator::NotIn([value(lexer)?].into()),
        Token::Name("in") => Operator::In(values(lexer)?),
        Token::Name("notin") => Operator::NotIn(values(lexer)?),
        Token::Above => Operator::Above(bound(lexer)?),
        Token::Below => Operator::Below(bound(lexer)?),
        other => return syntax(other, "in, notin, =, ==, !=, >, <"),
    };
    Ok(Requirement { key, operator })
}

/// One value; nothing stands for the empty one.
fn value(lexer: &mut Lexer<'_>) -> Result<String, SelectorError> {
    match lexer.peek() {
        Token::End | Token::Comma => Ok(String::new()),
        Token::Name(value) => {
            lexer.next();
            Ok(value.to_owned())
        }
        other => syntax(other, "a value"),
    }
}

fn bound(lexer: &mut Lexer<'_>) -> Result<i64, SelectorError> {
    let text = value(lexer)?;
    match text.parse() {
        Ok(bound) => Ok(bound),
        Err(_) => Err(SelectorError::Syntax { found: text, expected: "a whole number behind '>' or '<'" }),
    }
}

/// `(a, b)`: an empty place between commas is the empty value.
fn values(lexer: &mut Lexer<'_>) -> Result<BTreeSet<String>, SelectorError> {
    match lexer.next() {
        Token::Open => {}
        other => return syntax(other, "'('"),
    }
    let mut values = BTreeSet::new();
    loop {
        let value = match lexer.peek() {
            Token::Name(value) => {
                lexer.next();
                value
            }
            _ => "",
        };
        values.insert(value.to_owned());
        match lexer.next() {
            Token::Comma => {}
            Token::Close => return Ok(values),
            other => return syntax(other, "',' or ')'"),
        }
    }
}

/// The rule of label keys that `key` breaks: an optional DNS prefix and `/`, then a name of at most 63 characters.
pub(super) fn wrong_key(key: &str) -> Option<&'static str> {
    let name = match key.split_once('/') {
        None => key,
        Some((prefix, name)) => {
            let subdomain = !prefix.is_empty() && prefix.len() <= 253 && prefix.split('.').all(is_dns_label);
            if !subdomain {
                return Some("the prefix must be a lower-case DNS name of at most 253 characters");
            }
            name
        }
    };
    if name.is_empty() {
        return Some("the name must not be empty");
    }
    wrong_value(name)
}

/// The rule of label values that `value` breaks.
pub(super) fn wrong_value(value: &str) -> Option<&'static str> {
    if value.len() > 63 {
        return Some("must be no more than 63 characters");
    }
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let inside = value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let fine = inside && edge(value.chars().next()) && edge(value.chars().next_back());
    (!fine).then_some("must consist of letters, digits, '-', '_' or '.', and start and end with a letter or digit")
}

fn is_dns_label(label: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !label.is_empty() && label.chars().all(inside) && !label.starts_with('-') && !label.ends_with('-')
}
