//! Certificates: one authority that signs the API server, its clients and the node agents.
//!
//! The authority is kept with the data, its key readable by the owner only. Everything else is signed anew at each start:
//! nothing but the authority has to be kept secret on disk, except the client key inside a kubeconfig.

use std::{
    fs::DirBuilder,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::CryptoProvider, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";

/// Why certificates are not to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// A file of the authority cannot be read or written.
    #[error("cannot read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the authority holds something else.
    #[error(
        "{path} does not hold what it should; restore it, or remove {CERTIFICATE} and {KEY} to get a new authority"
    )]
    Content {
        /// The file.
        path: PathBuf,
    },
    /// A certificate cannot be signed: most likely a name in it is no DNS name.
    #[error("cannot sign a certificate for {subject}")]
    Sign {
        /// Whose.
        subject: String,
        /// What rcgen said.
        source: rcgen::Error,
    },
    /// TLS refuses the certificates.
    #[error("cannot use the certificates for TLS")]
    Tls(#[from] rustls::Error),
    /// Client verification cannot be set up.
    #[error("cannot verify client certificates")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// A certificate with its key.
struct Signed {
    chain: Vec<CertificateDer<'static>>,
    certificate_pem: String,
    key: KeyPair,
}

impl Signed {
    fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

/// The authority.
pub struct Authority {
    certificate_pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// The authority kept in a directory; made there at the first call.
    pub fn load_or_create(directory: &Path) -> Result<Self, PkiError> {
        let (certificate_path, key_path) = (directory.join(CERTIFICATE), directory.join(KEY));
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| PkiError::File { path, source }
        };
        if certificate_path.exists() && key_path.exists() {
            let certificate_pem = std::fs::read_to_string(&certificate_path).map_err(file(&certificate_path))?;
            let key_pem = std::fs::read_to_string(&key_path).map_err(file(&key_path))?;
            let key = KeyPair::from_pem(&key_pem).map_err(|_| PkiError::Content { path: key_path })?;
            return Self::load(certificate_pem, key).ok_or(PkiError::Content { path: certificate_path });
        }
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(file(directory))?;
        let (authority, key_pem) = Self::create()?;
        // The key first: a certificate without a key would be taken for a damaged authority.
        write(&key_path, &key_pem, 0o600).map_err(file(&key_path))?;
        write(&certificate_path, &authority.certificate_pem, 0o644).map_err(file(&certificate_path))?;
        Ok(authority)
    }

    /// An authority that ends with the process.
    pub fn ephemeral() -> Result<Self, PkiError> {
        Self::create().map(|(authority, _)| authority)
    }

    fn create() -> Result<(Self, String), PkiError> {
        let subject = "portolan-ca";
        let sign = |source| PkiError::Sign { subject: subject.to_owned(), source };
        let key = KeyPair::generate().map_err(sign)?;
        let mut parameters = parameters(subject, "", &[]).map_err(sign)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let certificate = parameters.self_signed(&key).map_err(sign)?;
        let key_pem = key.serialize_pem();
        let authority = Self {
            certificate_pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(parameters, key),
        };
        Ok((authority, key_pem))
    }

    fn load(certificate_pem: String, key: KeyPair) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).ok()?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).ok()?;
        Some(Self { certificate_pem, certificate, issuer })
    }

    fn sign(
        &self,
        name: &str,
        organization: &str,
        names: &[String],
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Signed, PkiError> {
        let sign = |source| PkiError::Sign { subject: name.to_owned(), source };
        let key = KeyPair::generate().map_err(sign)?;
        let mut parameters = parameters(name, organization, names).map_err(sign)?;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        parameters.extended_key_usages = vec![usage];
        parameters.use_authority_key_identifier_extension = true;
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(sign)?;
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        Ok(Signed { chain, certificate_pem: certificate.pem(), key })
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, PkiError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        Ok(Arc::new(roots))
    }

    /// TLS of the API server under these names and addresses. A client certificate is optional and verified if given.
    pub fn server_config(&self, names: &[String]) -> Result<ServerConfig, PkiError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider()).allow_unauthenticated();
        let signed = self.sign("kube-apiserver", "", names, ExtendedKeyUsagePurpose::ServerAuth)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier.build()?)
            .with_single_cert(signed.chain.clone(), signed.key_der())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// TLS of a node agent: only clients with a certificate of this authority get in.
    pub fn kubelet_server_config(&self, names: &[String]) -> Result<ServerConfig, PkiError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider());
        let name = names.first().map_or("system:node", String::as_str);
        let signed = self.sign(name, "system:nodes", names, ExtendedKeyUsagePurpose::ServerAuth)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier.build()?)
            .with_single_cert(signed.chain.clone(), signed.key_der())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// TLS of a client that is `name` in the group `organization`.
    pub fn client_config(&self, name: &str, organization: &str) -> Result<ClientConfig, PkiError> {
        let signed = self.sign(name, organization, &[], ExtendedKeyUsagePurpose::ClientAuth)?;
        Ok(ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(signed.chain.clone(), signed.key_der())?)
    }

    /// A kubeconfig for `name` in the group `organization`, with a new client key inside: keep it private.
    pub fn kubeconfig(&self, server: &str, name: &str, organization: &str) -> Result<String, PkiError> {
        let signed = self.sign(name, organization, &[], ExtendedKeyUsagePurpose::ClientAuth)?;
        let authority = STANDARD.encode(&self.certificate_pem);
        let certificate = STANDARD.encode(&signed.certificate_pem);
        let key = STANDARD.encode(signed.key.serialize_pem());
        Ok(format!(
            "apiVersion: v1\n\
             kind: Config\n\
             current-context: portolan\n\
             clusters:\n\
             - name: portolan\n\
             \x20 cluster:\n\
             \x20   server: {server}\n\
             \x20   certificate-authority-data: {authority}\n\
             contexts:\n\
             - name: portolan\n\
             \x20 context:\n\
             \x20   cluster: portolan\n\
             \x20   user: {name}\n\
             users:\n\
             - name: {name}\n\
             \x20 user:\n\
             \x20   client-certificate-data: {certificate}\n\
             \x20   client-key-data: {key}\n"
        ))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn parameters(name: &str, organization: &str, names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    if !organization.is_empty() {
        parameters.distinguished_name.push(DnType::OrganizationName, organization);
    }
    // Fixed and wide: a machine whose clock is off must not lock its owner out.
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(2049, 12, 31);
    Ok(parameters)
}

/// Writes beside and renames: there is never half a file, and never one with wider rights.
fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let partial = path.with_extension("new");
    let _ = std::fs::remove_file(&partial);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_authority_is_the_same_after_a_restart_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let first = Authority::load_or_create(directory.path()).unwrap();
        let second = Authority::load_or_create(directory.path()).unwrap();
        assert_eq!(first.certificate_pem, second.certificate_pem);
        let mode = std::fs::metadata(directory.path().join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        second.server_config(&["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        second.client_config("a", "b").unwrap();
    }

    #[test]
    fn a_client_certificate_carries_user_and_group() {
        let authority = Authority::ephemeral().unwrap();
        let signed = authority.sign("jo", "system:masters", &[], ExtendedKeyUsagePurpose::ClientAuth).unwrap();
        let identity = crate::Identity::of_certificate(&signed.chain[0]).unwrap();
        assert_eq!(identity, crate::Identity::new("jo", &["system:masters"]));
    }
}
