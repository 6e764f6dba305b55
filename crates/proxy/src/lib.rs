//! The Service proxy of one node.
