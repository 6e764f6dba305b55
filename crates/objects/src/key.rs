//! Names of things in indexes, queues and logs.

use std::fmt;

use k8s_openapi::{Metadata, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::Protocol;

/// Namespace and name of an object; the kind is known from the context.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl ObjectKey {
    /// The key with these two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of `object`; what its metadata leaves out is empty.
    pub fn of(object: &impl Metadata<Ty = ObjectMeta>) -> Self {
        let metadata = object.metadata();
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// As it is displayed: log lines name keys of any type by their `Debug`.
impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One port of one Service: what a proxy balances and a DNS SRV record names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServicePortKey {
    /// The Service.
    pub service: ObjectKey,
    /// The port's name, empty for the only port of a Service without names.
    pub port: String,
    /// Its protocol.
    pub protocol: Protocol,
}

impl fmt::Display for ServicePortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.service)?;
        if !self.port.is_empty() {
            write!(f, ":{}", self.port)?;
        }
        write!(f, "/{}", self.protocol)
    }
}

/// As it is displayed: log lines name keys of any type by their `Debug`.
impl fmt::Debug for ServicePortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Node, Service};

    use super::*;

    #[test]
    fn keys_print_as_kubectl_writes_them() {
        let mut service = Service::default();
        service.metadata.namespace = Some("shop".into());
        service.metadata.name = Some("web".into());
        let key = ObjectKey::of(&service);
        assert_eq!(key.to_string(), "shop/web");
        let mut port = ServicePortKey { service: key, port: "http".into(), protocol: Protocol::Tcp };
        assert_eq!(port.to_string(), "shop/web:http/TCP");
        port.port.clear();
        assert_eq!(port.to_string(), "shop/web/TCP");
        assert_eq!(format!("{port:?} {:?}", port.service), "shop/web/TCP shop/web", "logs print them alike");

        let mut node = Node::default();
        node.metadata.name = Some("node-1".into());
        assert_eq!(ObjectKey::of(&node).to_string(), "node-1");
    }
}
