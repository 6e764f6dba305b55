//! The EndpointSlices of Services with a selector.
