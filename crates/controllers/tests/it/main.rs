//! The controllers against the real API server, in one process and without a socket.

mod balancers;
mod cluster;
mod endpoints;
mod endpointslice;
mod hints;
mod mirroring;
mod nodeipam;
mod repair;
mod servicecidr;
mod workloads;
mod world;
