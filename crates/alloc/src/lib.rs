//! Allocators for ClusterIPs, node ports, pod and load-balancer addresses.
