//! TLS: which authorities we trust, and the certificate by which we are known (mTLS).
//!
//! Verification cannot be switched off: chain, validity and host name are checked by rustls with its safe defaults.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::super::options::Secret;

/// Where certificates and keys are. All are PEM; a text wins over a file.
#[derive(Clone, Debug, Default)]
pub(in crate::kafka) struct TlsFiles {
    /// Authorities; without file and text those of the system.
    pub(in crate::kafka) ca_file: Option<PathBuf>,
    pub(in crate::kafka) ca_pem: Option<String>,
    /// Our own chain and key, for mTLS.
    pub(in crate::kafka) certificate_file: Option<PathBuf>,
    pub(in crate::kafka) certificate_pem: Option<String>,
    pub(in crate::kafka) key_file: Option<PathBuf>,
    pub(in crate::kafka) key_pem: Option<Secret>,
}

impl TlsFiles {
    /// Reads everything and makes the connector that all connections use.
    ///
    /// # Errors
    /// `SECRET` with the file's name if something cannot be read or holds no certificate or key.
    pub(in crate::kafka) fn connector(&self) -> Result<TlsConnector> {
        let roots = self.roots()?;
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let unusable =
            |error: tokio_rustls::rustls::Error| secret("the TLS settings cannot be used".to_owned(), error);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(roots);
        let config = match self.identity()? {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(unusable)?,
            None => builder.with_no_client_auth(),
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let pem = match (&self.ca_pem, &self.ca_file) {
            (Some(text), _) => Some(text.as_bytes().to_vec()),
            (None, Some(file)) => Some(read(file)?),
            (None, None) => None,
        };
        let Some(pem) = pem else {
            // Single broken certificates of the system do not matter; having none does.
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let words = found.errors.first().map_or_else(|| "no file".to_owned(), ToString::to_string);
                return Err(secret("the system has no certificate authorities".to_owned(), words).with_hint(
                    "Install `ca-certificates`, or set `kafka.ssl.truststore.location` to a PEM file.",
                ));
            }
            return Ok(roots);
        };
        for certificate in certificates(&pem)? {
            roots
                .add(certificate)
                .map_err(|error| secret("a certificate authority is unusable".to_owned(), error))?;
        }
        Ok(roots)
    }

    fn identity(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>> {
        let chain = match (&self.certificate_pem, &self.certificate_file) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(file)) => read(file)?,
            (None, None) => return Ok(None),
        };
        let key = match (&self.key_pem, &self.key_file) {
            (Some(text), _) => text.reveal().as_bytes().to_vec(),
            (None, Some(file)) => read(file)?,
            (None, None) => {
                return Err(Error::new(&codes::MISSING_KEY, "a client certificate is given without its key")
                    .with_hint("Set `kafka.ssl.key.location`, or keep chain and key in one PEM file."));
            }
        };
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|error| secret("no private key found in the PEM text".to_owned(), error))?;
        Ok(Some((certificates(&chain)?, key)))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(secret("no certificate found in the PEM text".to_owned(), "it holds none")),
        Err(error) => Err(secret("no certificate found in the PEM text".to_owned(), error)),
    }
}

fn read(file: &PathBuf) -> Result<Vec<u8>> {
    fs::read(file).map_err(|error| secret(format!("cannot read {}", file.display()), error))
}

fn secret(message: String, why: impl std::fmt::Display) -> Error {
    Error::new(&codes::SECRET, message).with_detail(why).with_hint(
        "The options `kafka.ssl.*` name PEM files: certificate authorities, and for mTLS a chain and its key.",
    )
}
