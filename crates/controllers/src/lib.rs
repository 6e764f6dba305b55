//! The controllers of the Service network.
