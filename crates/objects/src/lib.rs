//! Keys, ports, families and selectors over the Kubernetes types.
