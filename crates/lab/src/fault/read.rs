//! A list of faults as text: read with messages that name the entry, written, and told apart.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Fault, NetworkFault, NodeFault};

/// Why a text is no list of faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It is no YAML.
    #[error("cannot read the list of faults as YAML: {0}")]
    Yaml(String),
    /// It is something else than a list.
    #[error("the faults must be a list, such as `- dns: {{stopped: true}}`")]
    NoList,
    /// One entry is wrong.
    #[error("[{index}]: {problem}")]
    Entry {
        /// Which, from 0.
        index: usize,
        /// What is wrong.
        problem: String,
    },
}

/// The faults that the text lists; an empty text is an empty list.
///
/// # Errors
/// If it is no list of faults, or an entry says nothing; the message names the entry.
pub fn parse(text: &str) -> Result<Vec<Fault>, ParseError> {
    // By way of JSON: the words for a wrong entry are then those of `PUT /debug/faults`.
    let value: Option<Value> =
        serde_saphyr::from_str(text).map_err(|error| ParseError::Yaml(error.to_string().trim().to_owned()))?;
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(entries)) => {
            entries.into_iter().enumerate().map(|(index, value)| entry(index, value)).collect()
        }
        Some(_) => Err(ParseError::NoList),
    }
}

fn entry(index: usize, value: Value) -> Result<Fault, ParseError> {
    let wrong = |problem: String| ParseError::Entry { index, problem };
    let fault: Fault = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
    match complaint(&fault) {
        Some(problem) => Err(wrong(problem)),
        None => Ok(fault),
    }
}

/// What is wrong with a fault whose words are right.
fn complaint(fault: &Fault) -> Option<String> {
    let nothing = |kind: &str, words: &str| Some(format!("{kind}: says nothing; give {words}"));
    match fault {
        Fault::Api(api) if api.error.is_none() && api.delay_milliseconds == 0 => {
            nothing("api", "error or delayMilliseconds")
        }
        Fault::Api(api) => api.mistake().map(|mistake| format!("api.{mistake}")),
        Fault::Cloud(cloud) if cloud.quota.is_none() && cloud.pool.is_none() && cloud.faults.is_empty() => {
            nothing("cloud", "quota, pool or faults")
        }
        Fault::Node(NodeFault { down: false, hold_port: None, resolv_conf: None, .. }) => {
            nothing("node", "down, holdPort or resolvConf")
        }
        Fault::Node(NodeFault { hold_port: Some(held), .. }) if held.port == 0 => {
            Some("node.holdPort.port: 0 is no port; use 1 to 65535".to_owned())
        }
        Fault::Proxy(proxy) if !(proxy.stopped || proxy.delete_rules || proxy.frozen) => {
            nothing("proxy", "stopped, deleteRules or frozen")
        }
        Fault::Controllers(controllers) if controllers.stopped.is_empty() && controllers.stale.is_empty() => {
            nothing("controllers", "stopped or stale, each a list of names")
        }
        Fault::Dns(dns) if !dns.stopped && dns.answer.is_none() => nothing("dns", "stopped or answer"),
        Fault::Network(NetworkFault { to_port: Some(0), .. }) => {
            Some("network.toPort: 0 is no port; use 1 to 65535".to_owned())
        }
        _ => None,
    }
}

/// The list as YAML. (JSON is YAML: one entry a line.)
pub fn render(faults: &[Fault]) -> String {
    let line = |fault: &Fault| {
        // Only maps with keys that are not text, and failing `Serialize` implementations, cannot become JSON.
        format!("- {}\n", serde_json::to_string(fault).unwrap_or_default())
    };
    match faults {
        [] => "[]\n".to_owned(),
        faults => faults.iter().map(line).collect(),
    }
}

/// What [`super::APPLIED`] says of a text: the first 16 hexadecimal digits of its SHA-256.
pub fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
