//! Encryption of connections, and whose certificates are trusted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::config::Encryption;
use super::error::PostgresError;

type Anything = Box<dyn std::error::Error + Send + Sync>;

/// What encrypts connections as the configuration asks.
pub(super) fn connector(encryption: &Encryption) -> Result<MakeRustlsConnect, PostgresError> {
    let made = match encryption {
        Encryption::VerifyFull(path) => {
            verifying(path).map_err(|source| PostgresError::Certificates {
                path: path.display().to_string(),
                source,
            })
        }
        _ => encrypting().map_err(|source| PostgresError::Address { source }),
    };
    made.map(MakeRustlsConnect::new)
}

/// The server shows a certificate for the host, signed by one of a file.
fn verifying(path: &Path) -> Result<ClientConfig, Anything> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err("it holds no certificate".into());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Whoever answers is talked to, unheard by third parties.
fn encrypting() -> Result<ClientConfig, Anything> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions()?;
    let anyone = Arc::new(Anyone(provider));
    let builder = builder.dangerous().with_custom_certificate_verifier(anyone);
    Ok(builder.with_no_client_auth())
}

/// Takes any certificate, as `require` and `prefer` mean everywhere with PostgreSQL; that the server has its
/// key is checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
