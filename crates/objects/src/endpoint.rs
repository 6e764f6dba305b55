//! What an EndpointSlice and its endpoints say. The conditions' defaults are those of the API documentation
//! (`discovery/v1` `EndpointConditions`): unknown ready and serving mean true, unknown terminating means false.

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use crate::{Family, ObjectKey, labels};

/// The Service that the slice belongs to.
pub fn service_of(slice: &EndpointSlice) -> Option<ObjectKey> {
    let name = slice.metadata.labels.as_ref()?.get(labels::SERVICE_NAME)?;
    Some(ObjectKey::new(slice.metadata.namespace.clone().unwrap_or_default(), name.clone()))
}

/// The slice's family; `None` for host names.
pub fn family(slice: &EndpointSlice) -> Option<Family> {
    slice.address_type.parse().ok()
}

/// Takes new connections.
pub fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// Answers, although it may already be told to stop. Falls back to `ready` where the writer does not know the field.
pub fn is_serving(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.serving).unwrap_or_else(|| is_ready(endpoint))
}

/// Has been told to stop.
pub fn is_terminating(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.terminating).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::discovery::v1::EndpointConditions;

    use super::*;

    #[test]
    fn absent_conditions_have_the_documented_meaning() {
        let mut endpoint = Endpoint::default();
        assert!(is_ready(&endpoint) && is_serving(&endpoint) && !is_terminating(&endpoint));
        endpoint.conditions = Some(EndpointConditions { ready: Some(false), ..Default::default() });
        assert!(!is_ready(&endpoint) && !is_serving(&endpoint));
        endpoint.conditions =
            Some(EndpointConditions { ready: Some(false), serving: Some(true), terminating: Some(true) });
        assert!(!is_ready(&endpoint) && is_serving(&endpoint) && is_terminating(&endpoint));
    }

    #[test]
    fn a_slice_names_its_service_by_label() {
        let mut slice = EndpointSlice { address_type: "IPv6".into(), ..Default::default() };
        assert_eq!(service_of(&slice), None);
        assert_eq!(family(&slice), Some(Family::V6));
        slice.metadata.namespace = Some("shop".into());
        slice.metadata.labels = Some([(labels::SERVICE_NAME.to_owned(), "web".to_owned())].into());
        assert_eq!(service_of(&slice), Some(ObjectKey::new("shop", "web")));
    }
}
