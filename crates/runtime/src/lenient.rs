//! Reads objects as Kubernetes' own clients do: a null is a field that is not there.
//!
//! API servers store and send nulls where the typed structs have none: a condition that somebody wrote without
//! `lastTransitionTime` comes back as `"lastTransitionTime": null`. One such object must not end the watch of all others.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The one field that the typed structs insist on; upstream's are content with its zero, which it writes as null.
const TRANSITION: &str = "lastTransitionTime";
const NEVER: &str = "1970-01-01T00:00:00Z";

/// Reads one JSON document. Only what does not fit at once is read a second time, without its nulls; the error, if that
/// does not fit either, is that of the document as it was sent.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(text).or_else(|error| {
        let mut value: Value = serde_json::from_slice(text)?;
        remove_nulls(&mut value);
        serde_json::from_value(value).map_err(|_| error)
    })
}

/// Reads the parts of a document that has been read already, leaving out those that do not fit. The errors of these.
pub(crate) fn read_each<T: DeserializeOwned>(values: Vec<Value>) -> (Vec<T>, Vec<serde_json::Error>) {
    let (mut read, mut errors) = (Vec::with_capacity(values.len()), Vec::new());
    for mut value in values {
        remove_nulls(&mut value);
        match serde_json::from_value(value) {
            Ok(object) => read.push(object),
            Err(error) => errors.push(error),
        }
    }
    (read, errors)
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(time @ Value::Null) = fields.get_mut(TRANSITION) {
                *time = NEVER.into();
            }
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use k8s_openapi::api::core::v1::Service;

    use super::*;

    const NULL_TIME: &str = r#"{
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.0.7"},
        "status": {"conditions": [{"type": "Good", "status": "True", "lastTransitionTime": null, "reason": "R", "message": ""}]}
    }"#;

    /// Upstream's own conformance suite stores a Service like this, and for the next seconds no Service was seen.
    #[test]
    fn a_condition_without_a_time_is_read() {
        let service: Service = read(NULL_TIME.as_bytes()).unwrap();
        assert_eq!(service.spec.unwrap().cluster_ip.as_deref(), Some("10.96.0.7"));
        assert_eq!(service.status.unwrap().conditions.unwrap()[0].type_, "Good");
    }

    #[test]
    fn one_that_cannot_be_read_does_not_take_the_others_with_it() {
        let values: Vec<Value> = serde_json::from_str(&format!("[{NULL_TIME}, {{\"spec\": 1}}]")).unwrap();
        let (read, errors) = read_each::<Service>(values);
        assert_eq!((read.len(), errors.len()), (1, 1));
    }

    #[test]
    fn what_is_wrong_stays_wrong_and_says_where() {
        let error = read::<Service>(br#"{"metadata": {"name": 7}, "spec": null}"#).unwrap_err();
        assert!(error.to_string().contains("invalid type: integer `7`"), "{error}");
        assert!(read::<Service>(b"{").is_err());
    }
}
