//! Typed nftables objects and their netlink codec.
