//! TLS: which authorities we trust, and the certificate by which we are known (mTLS).
//!
//! Every client of a system outside makes its TLS here. Verification cannot be switched off: chain, validity and host name are checked by rustls with its safe defaults.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// A text that never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the handshake alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where certificates and keys are. All are PEM; a text wins over a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFiles {
    /// Authorities; without file and text those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) ca_pem: Option<String>,
    /// Our own chain and key, for mTLS.
    pub(crate) certificate_file: Option<PathBuf>,
    pub(crate) certificate_pem: Option<String>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) key_pem: Option<Secret>,
    /// Which options name all this, in a whole sentence.
    pub(crate) names: &'static str,
}

impl TlsFiles {
    /// The connector that all connections use.
    ///
    /// # Errors
    /// As [`config`](Self::config).
    pub(crate) fn connector(&self) -> Result<TlsConnector> {
        Ok(TlsConnector::from(Arc::new(self.config()?)))
    }

    /// Reads everything.
    ///
    /// # Errors
    /// `SECRET` with the file's name if something cannot be read or holds no certificate or key.
    pub(crate) fn config(&self) -> Result<ClientConfig> {
        let roots = self.roots()?;
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let unusable = |error: tokio_rustls::rustls::Error| {
            self.unusable("the TLS settings cannot be used".to_owned(), error)
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(roots);
        match self.identity()? {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(unusable),
            None => Ok(builder.with_no_client_auth()),
        }
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let pem = match (&self.ca_pem, &self.ca_file) {
            (Some(text), _) => Some(text.as_bytes().to_vec()),
            (None, Some(file)) => Some(self.read(file)?),
            (None, None) => None,
        };
        let Some(pem) = pem else {
            // Single broken certificates of the system do not matter; having none does.
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let words = found.errors.first().map_or_else(|| "no file".to_owned(), ToString::to_string);
                let message = "the system has no certificate authorities".to_owned();
                return Err(self
                    .unusable(message, words)
                    .with_hint(format!("Install `ca-certificates`. {}", self.names)));
            }
            return Ok(roots);
        };
        for certificate in self.certificates(&pem)? {
            roots
                .add(certificate)
                .map_err(|error| self.unusable("a certificate authority is unusable".to_owned(), error))?;
        }
        Ok(roots)
    }

    fn identity(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>> {
        let chain = match (&self.certificate_pem, &self.certificate_file) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(file)) => self.read(file)?,
            (None, None) => return Ok(None),
        };
        let key = match (&self.key_pem, &self.key_file) {
            (Some(text), _) => text.reveal().as_bytes().to_vec(),
            (None, Some(file)) => self.read(file)?,
            (None, None) => {
                return Err(Error::new(&codes::MISSING_KEY, "a client certificate is given without its key")
                    .with_hint(self.names));
            }
        };
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|error| self.unusable("no private key found in the PEM text".to_owned(), error))?;
        Ok(Some((self.certificates(&chain)?, key)))
    }

    fn certificates(&self, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let none = || "no certificate found in the PEM text".to_owned();
        match found {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => Err(self.unusable(none(), "it holds none")),
            Err(error) => Err(self.unusable(none(), error)),
        }
    }

    fn read(&self, file: &PathBuf) -> Result<Vec<u8>> {
        fs::read(file).map_err(|error| self.unusable(format!("cannot read {}", file.display()), error))
    }

    fn unusable(&self, message: String, why: impl fmt::Display) -> Error {
        Error::new(&codes::SECRET, message).with_detail(why).with_hint(self.names)
    }
}
