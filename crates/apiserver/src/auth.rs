//! Who sent a request.
//!
//! Identities come from client certificates (common name and organizations, as upstream reads them) or, in process, from
//! whoever made the client. Everyone who is authenticated is allowed everything for now; anonymous requests may only see
//! whether the server lives and which version it is.

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// An authenticated client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `kubernetes-admin`, `system:serviceaccount:kube-system:endpointslice-controller`.
    pub user: String,
    /// `system:masters`, `system:nodes`.
    pub groups: Vec<String>,
}

impl Identity {
    /// An identity; everyone is also in `system:authenticated`.
    pub fn new(user: &str, groups: &[&str]) -> Self {
        let mut groups: Vec<_> = groups.iter().map(|group| (*group).to_owned()).collect();
        groups.push("system:authenticated".to_owned());
        Self { user: user.to_owned(), groups }
    }

    /// The identity of a client certificate that TLS has verified; None without a common name.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let subject = certificate.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?;
        let groups: Vec<_> = subject.iter_organization().filter_map(|group| group.as_str().ok()).collect();
        Some(Self::new(user, &groups))
    }
}
