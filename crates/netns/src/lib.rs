//! Network namespaces, links, routes and private worlds.
