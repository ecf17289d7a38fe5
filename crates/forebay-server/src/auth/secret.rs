//! Random texts and their hashes.
//!
//! 256 bits from the system's generator: nobody finds one by trying, so its plain SHA-256 may be kept, and a slow hash
//! would only slow the server.

use std::fmt;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use forebay_core::config::TOKEN_PREFIX;
use forebay_core::error::codes;
use forebay_core::scram::ScramHash;
use forebay_core::{Error, Result};
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::aws_lc_rs;

/// The hash of a secret.
pub(super) type Hash = [u8; 32];

/// A token that was just made. It is shown once, by who made it; no debug print shows it.
pub struct NewToken(String);

impl NewToken {
    /// Makes one.
    ///
    /// # Errors
    /// `INTERNAL` if the system gives no random numbers.
    pub fn random() -> Result<Self> {
        Ok(Self(format!("{TOKEN_PREFIX}{}", random_text()?)))
    }

    /// The token itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Its hash as the file has it.
    pub fn sha256(&self) -> String {
        hash(&self.0).iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl NewToken {
    /// What SCRAM needs of it, as the file has it.
    ///
    /// # Errors
    /// `INTERNAL` if the system gives no random numbers.
    pub fn scram(&self) -> Result<String> {
        self.scram_of(ScramHash::Sha256)
    }

    /// The same for either mechanism.
    ///
    /// # Errors
    /// `INTERNAL` if the system gives no random numbers.
    pub fn scram_of(&self, hash: ScramHash) -> Result<String> {
        Ok(super::scram::verifier(hash, &self.0)?.to_string())
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewToken(***)")
    }
}

/// 256 random bits as text.
pub(super) fn random_text() -> Result<String> {
    let mut bytes = [0u8; 32];
    let filled = aws_lc_rs::default_provider().secure_random.fill(&mut bytes);
    filled.map_err(|_| Error::new(&codes::INTERNAL, "the system gives no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The hash of a secret.
pub(super) fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}
