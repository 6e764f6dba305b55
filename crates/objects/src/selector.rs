//! Label selectors: the text of `-l` and `labelSelector=`, the map of a Service, the structure of a workload.
//!
//! Text goes through a lexer and a recursive parser, keys and values are checked as labels are.
//! Upstream: `k8s.io/apimachinery/pkg/labels/selector.go`.

mod parse;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// All requirements must hold; without any, everything matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// What one label must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// What is asked of it.
    pub operator: Operator,
}

/// What is asked of a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// Present with one of these values.
    In(BTreeSet<String>),
    /// Absent, or present with none of these values.
    NotIn(BTreeSet<String>),
    /// Present.
    Exists,
    /// Absent.
    Missing,
    /// Present with a number above this one.
    Above(i64),
    /// Present with a number below this one.
    Below(i64),
}

/// Why a selector cannot be used. The API answers 400 (text) or 422 (structure); trying again is useless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// The text is not a selector.
    #[error("unable to parse requirement: found '{found}', expected: {expected}")]
    Syntax {
        /// What stands there; empty at the end of the text.
        found: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// A key is not a label key.
    #[error("unable to parse requirement: key {key:?} is not a label key: {why}")]
    Key {
        /// As written.
        key: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// A value is not a label value.
    #[error("unable to parse requirement: value {value:?} of {key:?} is not a label value: {why}")]
    Value {
        /// The label's key.
        key: String,
        /// As written.
        value: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// The values do not fit the operator.
    #[error("{operator:?} of {key:?}: {why}")]
    Operator {
        /// The label's key.
        key: String,
        /// As written.
        operator: String,
        /// What fits.
        why: &'static str,
    },
}

/// Reads the text form: `k=v`, `k==v`, `k!=v`, `k`, `!k`, `k in (a,b)`, `k notin (a,b)`, `k>1`, `k<1`, joined by
/// commas. Empty text matches everything.
pub fn parse(text: &str) -> Result<Selector, SelectorError> {
    parse::selector(text)
}

impl Selector {
    /// Every label of `labels` must be there with its value.
    pub fn from_map(labels: &BTreeMap<String, String>) -> Self {
        let requirements = labels
            .iter()
            .map(|(key, value)| Requirement { key: key.clone(), operator: Operator::In([value.clone()].into()) })
            .collect();
        Self { requirements }
    }

    /// The structured form of Deployments and the like. An empty one matches everything.
    pub fn from_label_selector(selector: &LabelSelector) -> Result<Self, SelectorError> {
        let mut result = Self::from_map(&selector.match_labels.clone().unwrap_or_default());
        for requirement in &result.requirements {
            requirement.check()?;
        }
        for expression in selector.match_expressions.iter().flatten() {
            let values: BTreeSet<String> = expression.values.iter().flatten().cloned().collect();
            let wrong = |why| SelectorError::Operator {
                key: expression.key.clone(),
                operator: expression.operator.clone(),
                why,
            };
            let operator = match (expression.operator.as_str(), values.is_empty()) {
                ("In", false) => Operator::In(values),
                ("NotIn", false) => Operator::NotIn(values),
                ("Exists", true) => Operator::Exists,
                ("DoesNotExist", true) => Operator::Missing,
                ("In" | "NotIn", true) => return Err(wrong("needs at least one value")),
                ("Exists" | "DoesNotExist", false) => return Err(wrong("takes no values")),
                _ => return Err(wrong("is not an operator; use In, NotIn, Exists or DoesNotExist")),
            };
            let requirement = Requirement { key: expression.key.clone(), operator };
            requirement.check()?;
            result.requirements.push(requirement);
        }
        Ok(result)
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// Without requirements: everything is selected.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// What is asked, in the order of writing.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }
}

impl Requirement {
    /// Whether these labels fulfil it.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.contains(value)),
            Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::Missing => value.is_none(),
            Operator::Above(bound) => number().is_some_and(|number| number > *bound),
            Operator::Below(bound) => number().is_some_and(|number| number < *bound),
        }
    }

    fn check(&self) -> Result<(), SelectorError> {
        if let Some(why) = parse::wrong_key(&self.key) {
            return Err(SelectorError::Key { key: self.key.clone(), why });
        }
        let (Operator::In(values) | Operator::NotIn(values)) = &self.operator else { return Ok(()) };
        for value in values {
            if let Some(why) = parse::wrong_value(value) {
                return Err(SelectorError::Value { key: self.key.clone(), value: value.clone(), why });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Selector {
    /// The text form, accepted by [`parse()`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, requirement) in self.requirements.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let list = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(",");
        match &self.operator {
            Operator::In(values) if values.len() == 1 => write!(f, "{key}={}", list(values)),
            Operator::In(values) => write!(f, "{key} in ({})", list(values)),
            Operator::NotIn(values) if values.len() == 1 => write!(f, "{key}!={}", list(values)),
            Operator::NotIn(values) => write!(f, "{key} notin ({})", list(values)),
            Operator::Exists => f.write_str(key),
            Operator::Missing => write!(f, "!{key}"),
            Operator::Above(bound) => write!(f, "{key}>{bound}"),
            Operator::Below(bound) => write!(f, "{key}<{bound}"),
        }
    }
}
