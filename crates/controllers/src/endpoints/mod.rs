//! The Endpoints of Services with a selector.
