//! TLS of a gateway: as a server its certificate and key, and the authority of client certificates if it asks for them; as a client the
//! authorities that it trusts, and its own certificate if the other side asks for one.
//!
//! What must stay true: there is no way from here to plain text, and none around the check of a certificate; versions are 1.2 and 1.3
//! with rustls' safe defaults; with an authority a client without a certificate of it does not get through the handshake. No error
//! shows anything of the key.

use std::path::Path;
use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::read_regular;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore};
pub use tokio_rustls::rustls::{ClientConfig, ServerConfig};

pub use crate::mqtt::certificate::common_name;

/// Largest file of certificates or keys.
const MOST_BYTES: u64 = 1 << 20;

/// Reads the files; `clients` holds the authorities of client certificates.
///
/// # Errors
/// `TLS` for a file that cannot be read or used, and for a key that others than its owner and group can read.
pub fn server_config(certificate: &Path, key: &Path, clients: Option<&Path>) -> Result<Arc<ServerConfig>> {
    let (chain, private) = identity(certificate, key)?;
    let unusable =
        |error: rustls::Error| refused("certificate and key cannot be used", certificate).with_detail(error);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let roots = authorities(file)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(
                verifier
                    .map_err(|error| refused("the authorities cannot be used", file).with_detail(error))?,
            )
        }
    };
    builder.with_single_cert(chain, private).map(Arc::new).map_err(unusable)
}

/// TLS towards a server: `trusted` holds the authorities of its certificate, without it they are the system's; `own` are our certificate and key.
///
/// # Errors
/// `TLS`, as [`server_config`], and where the system has no authorities.
pub fn client_config(trusted: Option<&Path>, own: Option<(&Path, &Path)>) -> Result<Arc<ClientConfig>> {
    let roots = match trusted {
        Some(file) => authorities(file)?,
        None => {
            // Single broken certificates of the system do not matter; having none does.
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(Error::new(&codes::TLS, "the system has no certificate authorities")
                    .with_hint("Install `ca-certificates`, or name a file with the option `tlsCa`."));
            }
            roots
        }
    };
    let unusable =
        |error: rustls::Error| Error::new(&codes::TLS, "the TLS settings cannot be used").with_detail(error);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let (chain, private) = identity(certificate, key)?;
            builder.with_client_auth_cert(chain, private).map_err(|error| {
                refused("certificate and key cannot be used", certificate).with_detail(error)
            })?
        }
    };
    Ok(Arc::new(config))
}

fn authorities(file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(file)? {
        roots
            .add(authority)
            .map_err(|error| refused("an authority cannot be used", file).with_detail(error))?;
    }
    Ok(roots)
}

/// A certificate with those between it and its authority, and its key.
fn identity(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = certificates(certificate)?;
    let pem = read(key)?;
    if others_may_read(key) {
        return Err(refused("the private key is open to others than its owner", key).with_hint(
            "Who can read it can pose as this server. `chmod 600` leaves it to its owner; a group may read it (640).",
        ));
    }
    // The words of the parser are left out: they hold lines of the file.
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| refused("the private key cannot be read as PEM", key))?;
    Ok((chain, private))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = read(file)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| refused("the certificate is not PEM", file))?;
    if chain.is_empty() { Err(refused("there is no certificate in the file", file)) } else { Ok(chain) }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    read_regular(file, MOST_BYTES)
        .map_err(|error| refused("the file cannot be read", file).with_detail(error))
}

fn refused(message: &str, file: &Path) -> Error {
    Error::new(&codes::TLS, message).at(file.display())
}

#[cfg(unix)]
fn others_may_read(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(file).is_ok_and(|found| found.mode() & 0o006 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_: &Path) -> bool {
    false
}
