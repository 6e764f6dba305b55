//! Deployments, ReplicaSets, scheduling and the life of namespaces.
