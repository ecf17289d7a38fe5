//! TLS: the server's certificate and key, and the handshake.
//!
//! What must stay true: there is no way from here to plain text: who does not finish a handshake is cut. Versions are
//! 1.2 and 1.3, with rustls' safe defaults. A file that changed is read anew within a second; one that cannot be used
//! leaves what was there before, and says so. Nothing of the key's content stands in any error.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::read_regular;
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, InconsistentKeys, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::permissions;

mod der;
mod end_point;
mod validity;

/// What is spoken behind the handshake, as clients name it (ALPN).
pub(crate) const HTTP: &[u8] = b"http/1.1";
pub(crate) const POSTGRES: &[u8] = b"postgresql";

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Where the server's certificate and its key are, both in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, then those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What the server shows of itself, as it was read last.
pub(crate) struct Tls {
    files: TlsFiles,
    /// What is spoken behind the handshake; a client that says it speaks something else is cut.
    protocol: &'static [u8],
    read: RwLock<Read>,
}

struct Read {
    acceptor: TlsAcceptor,
    /// What clients can bind themselves to.
    end_point: Option<Arc<[u8]>>,
    /// The hash of what the files held when they were last looked at, sound or not.
    seen: Option<[u8; 32]>,
}

impl Tls {
    /// Reads the files, which must be sound; warns of a certificate that is not valid now.
    pub fn open(files: TlsFiles, protocol: &'static [u8], now_ms: i64) -> Result<Self> {
        let (pem, seen) = files.read()?;
        let (acceptor, end_point) = files.acceptor(&pem, protocol, now_ms)?;
        Ok(Self { files, protocol, read: RwLock::new(Read { acceptor, end_point, seen: Some(seen) }) })
    }

    /// The stream behind the handshake.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.accept_bound(stream).await.map(|(stream, _)| stream)
    }

    /// The same with what the client can bind itself to (`tls-server-end-point`), if there is such.
    pub async fn accept_bound(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Arc<[u8]>>)> {
        // Both of one certificate, also while another is read.
        let (acceptor, end_point) = {
            let read = self.read.read();
            (read.acceptor.clone(), read.end_point.clone())
        };
        let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
        Ok((stream, end_point))
    }

    /// Reads the files if they hold something else than before. Not for the runtime's workers.
    pub fn refresh(&self, now_ms: i64) {
        let found = self.files.read();
        let mut read = self.read.write();
        let outcome = match found {
            Ok((_, seen)) if read.seen == Some(seen) => return,
            Ok((pem, seen)) => {
                read.seen = Some(seen);
                self.files.acceptor(&pem, self.protocol, now_ms)
            }
            // Told once, not each second.
            Err(error) if read.seen.take().is_some() => Err(error),
            Err(_) => return,
        };
        match outcome {
            Ok((acceptor, end_point)) => {
                (read.acceptor, read.end_point) = (acceptor, end_point);
                tracing::info!(file = %self.files.certificate.display(), "the certificate was read anew");
            }
            Err(error) => {
                tracing::error!(%error, "the new certificate or key cannot be used; the ones from before stay");
            }
        }
    }
}

/// What the two files hold.
struct Pem {
    certificates: Vec<u8>,
    key: Vec<u8>,
}

impl TlsFiles {
    fn read(&self) -> Result<(Pem, [u8; 32])> {
        let unreadable = |what: &str, path: &Path, error: io::Error| {
            refused(format!("the {what} cannot be read"), path).caused_by(error)
        };
        let whole = |path: &Path| read_regular(path, permissions::MOST_BYTES);
        let certificates =
            whole(&self.certificate).map_err(|e| unreadable("certificate", &self.certificate, e))?;
        let key = whole(&self.key).map_err(|e| unreadable("private key", &self.key, e))?;
        if permissions::others_may(&self.key, permissions::READ | permissions::WRITE) {
            let message = "the private key is open to others than its owner".to_owned();
            let hint = "Who can read it can pose as this server. `chmod 600` leaves it to its owner; a group may read it (640).";
            return Err(refused(message, &self.key).with_hint(hint));
        }
        let mut both = Sha256::new();
        both.update(certificates.len().to_le_bytes());
        both.update(&certificates);
        both.update(&key);
        Ok((Pem { certificates, key }, both.finalize().into()))
    }

    fn acceptor(&self, pem: &Pem, protocol: &[u8], now_ms: i64) -> Result<(TlsAcceptor, Option<Arc<[u8]>>)> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.certificates).collect();
        let chain = chain.map_err(|_| refused("the certificate is not PEM".to_owned(), &self.certificate))?;
        if chain.is_empty() {
            return Err(refused("there is no certificate in the file".to_owned(), &self.certificate));
        }
        // The words of the parser are left out: they hold lines of the file.
        let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|error| match error {
            PemError::NoItemsFound => refused("there is no private key in the file".to_owned(), &self.key)
                .with_hint("Its PEM begins with `-----BEGIN PRIVATE KEY-----` (or RSA, or EC). One with a passphrase cannot be used: write it without."),
            _ => refused("the private key is not PEM".to_owned(), &self.key),
        })?;
        let mut end_point = None;
        if let Some(leaf) = chain.first() {
            self.warn_of_time(leaf, now_ms);
            end_point = end_point::of(leaf).map(Arc::from);
        }
        let unusable = |error: rustls::Error| {
            match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                refused("the private key does not belong to the certificate".to_owned(), &self.key)
                    .with_hint("The first certificate of `--tls-cert` is the server's own, made with the key of `--tls-key`.")
            }
            error => refused("certificate and key cannot be used".to_owned(), &self.certificate)
                .with_detail(error),
        }
        };
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let mut config = builder
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok((TlsAcceptor::from(Arc::new(config)), end_point))
    }

    fn warn_of_time(&self, leaf: &CertificateDer<'_>, now_ms: i64) {
        let Some((from_ms, to_ms)) = validity::of(leaf) else { return };
        let file = self.certificate.display();
        if now_ms >= to_ms {
            tracing::warn!(%file, "the certificate has expired; clients will refuse it");
        } else if now_ms < from_ms {
            tracing::warn!(%file, "the certificate is not valid yet; clients will refuse it");
        }
    }
}

fn refused(message: String, path: &Path) -> Error {
    Error::new(&codes::TLS, message).at(path.display())
}
