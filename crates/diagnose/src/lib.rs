//! From a snapshot of the cluster to findings with evidence.
