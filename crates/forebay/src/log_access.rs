//! Who may use the embedded log: its guard, put together from options and files, and kept as the files are.
//!
//! ```text
//!  --kafka-users ─▶ users ──┐
//!  --tls-cert, --tls-key ───┼─▶ Guard ─▶ the log's server      looked at again every second
//!  --kafka-client-ca ───────┘
//! ```
//!
//! What must stay true: an address that others can reach is served only with users and TLS; a file that cannot be used any more lets
//! nobody in who was not in already, and shuts nobody out: what was read last stays, and that is said at level error; whoever is
//! taken out of the file is out within a second.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use forebay_core::config::parse_log_users;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_gateway::tls;
use forebay_log::server::ServerConfig;
use forebay_log::server::access::{Guard, Users};
use forebay_server::read_users_file;
use forebay_storage::read_regular;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::{LogAccessArgs, ServerArgs};

mod login;
mod users;

use users::LogUsers;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Largest file of certificates or keys.
const MOST_BYTES: u64 = 1 << 20;

/// What the options say of who may use the log.
#[derive(Clone, Debug, Default)]
pub struct LogAccess {
    users: Option<PathBuf>,
    tls: Option<TlsFiles>,
    /// What clients are told to dial.
    pub advertised: Option<(String, Option<u16>)>,
}

#[derive(Clone, Debug)]
struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    clients: Option<PathBuf>,
}

/// A guard, and what keeps it as the files are.
pub struct Guarded {
    /// For the server.
    pub guard: Guard,
    kept: Kept,
}

struct Kept {
    file: PathBuf,
    /// What the file held when it was last looked at; `None` if it could not be read.
    text: Option<String>,
    users: watch::Sender<Arc<dyn Users>>,
    known: LogUsers,
    tls: Option<KeptTls>,
}

struct KeptTls {
    files: TlsFiles,
    bytes: Option<Vec<u8>>,
    config: watch::Sender<Arc<ServerConfig>>,
}

impl LogAccess {
    /// Of a run: certificate and key are the HTTP server's.
    ///
    /// # Errors
    /// `WRONG_USE` for client certificates without TLS.
    pub fn of_run(args: &LogAccessArgs, server: &ServerArgs) -> Result<Self> {
        Self::new(args, server.tls_cert.as_deref(), server.tls_key.as_deref())
    }

    /// The same with the paths of certificate and key.
    ///
    /// # Errors
    /// `WRONG_USE` for client certificates without TLS.
    pub fn new(args: &LogAccessArgs, certificate: Option<&Path>, key: Option<&Path>) -> Result<Self> {
        let clients = args.kafka_client_ca.clone();
        let files = certificate.zip(key).filter(|_| args.kafka_users.is_some());
        if clients.is_some() && files.is_none() {
            return Err(Error::new(
                &codes::WRONG_USE,
                "`--kafka-client-ca` asks for certificates, and there is no TLS",
            )
            .with_hint("Give `--tls-cert` and `--tls-key`: certificates are shown in TLS."));
        }
        let tls = files.map(|(certificate, key)| TlsFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            clients,
        });
        Ok(Self { users: args.kafka_users.clone(), tls, advertised: args.kafka_advertised.clone() })
    }

    /// True if somebody is asked who they are.
    pub fn is_guarded(&self) -> bool {
        self.users.is_some()
    }

    /// Refuses an address that others can reach without users and TLS.
    ///
    /// # Errors
    /// `ADDRESS`, with what is missing.
    pub fn check(&self, address: SocketAddr) -> Result<()> {
        let missing = match (&self.users, &self.tls) {
            (Some(_), Some(_)) => return Ok(()),
            _ if address.ip().to_canonical().is_loopback() => return Ok(()),
            (None, _) => "users are missing (`--kafka-users`)",
            (Some(_), None) => "TLS is missing (`--tls-cert`, `--tls-key`)",
        };
        let message =
            format!("the embedded log cannot listen on {address}, which others can reach: {missing}");
        Err(Error::new(&codes::ADDRESS, message).with_hint(
            "Give `--kafka-users`, `--tls-cert` and `--tls-key`; `forebay token kafka` makes users (docs/security.md). Or listen on 127.0.0.1 or [::1].",
        ))
    }

    /// Reads the files; `None` where nobody is asked who they are.
    ///
    /// # Errors
    /// `TOKENS` and what is wrong in the file of users; `TLS` for certificates and keys that cannot be used.
    pub fn open(&self) -> Result<Option<Guarded>> {
        let Some(file) = &self.users else { return Ok(None) };
        let text = read_users_file(file)?;
        let known = parsed(file, &text, &LogUsers::default())?;
        if known.is_empty() {
            tracing::warn!(file = %file.display(), "the file of --kafka-users has no user, so nobody may use the log");
        }
        let (users, users_read) = watch::channel(known.shared());
        let tls = match &self.tls {
            None => None,
            Some(files) => {
                let bytes = files.bytes();
                let (config, read) = watch::channel(files.config()?);
                Some((KeptTls { files: files.clone(), bytes, config }, read))
            }
        };
        let (tls, tls_read) = tls.unzip();
        let guard = Guard { tls: tls_read, users: users_read };
        let kept = Kept { file: file.clone(), text: Some(text), users, known, tls };
        Ok(Some(Guarded { guard, kept }))
    }
}

impl Guarded {
    /// Keeps the guard as the files are, until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        let mut kept = self.kept;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            // Files may be slow, so not on the runtime's workers.
            let looked = tokio::task::spawn_blocking(move || {
                kept.look();
                kept
            });
            match looked.await {
                Ok(same) => kept = same,
                Err(error) => {
                    tracing::error!(%error, "the log's users are not looked at any more");
                    return;
                }
            }
        }
    }
}

impl Kept {
    /// Reads what has changed.
    fn look(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.look();
        }
        let unusable = |error: &Error| {
            tracing::error!(%error, "the file of the log's users cannot be used; those that were read before still count");
        };
        match read_users_file(&self.file) {
            Ok(text) if self.text.as_ref() == Some(&text) => {}
            Ok(text) => {
                match parsed(&self.file, &text, &self.known) {
                    Ok(known) => {
                        tracing::info!(file = %self.file.display(), users = known.len(), "the file of the log's users was read anew");
                        self.users.send_replace(known.shared());
                        self.known = known;
                    }
                    Err(error) => unusable(&error),
                }
                self.text = Some(text);
            }
            // Told once, not each second.
            Err(error) if self.text.take().is_some() => unusable(&error),
            Err(_) => {}
        }
    }
}

impl KeptTls {
    fn look(&mut self) {
        let bytes = self.files.bytes();
        if bytes == self.bytes {
            return;
        }
        match self.files.config() {
            Ok(config) => {
                drop(self.config.send_replace(config));
                tracing::info!(file = %self.files.certificate.display(), "the log's certificate was read anew");
            }
            Err(error) => {
                tracing::error!(%error, "the log's new certificate or key cannot be used; the ones from before stay");
            }
        }
        self.bytes = bytes;
    }
}

impl TlsFiles {
    fn config(&self) -> Result<Arc<ServerConfig>> {
        tls::server_config(&self.certificate, &self.key, self.clients.as_deref())
    }

    /// What all files hold; `None` if one cannot be read.
    fn bytes(&self) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        for file in [Some(&self.certificate), Some(&self.key), self.clients.as_ref()].into_iter().flatten() {
            let bytes = read_regular(file, MOST_BYTES).ok()?;
            all.extend_from_slice(&bytes.len().to_le_bytes());
            all.extend(bytes);
        }
        Some(all)
    }
}

/// The users of a text; those that are as before are the same.
fn parsed(file: &Path, text: &str, before: &LogUsers) -> Result<LogUsers> {
    let configs = parse_log_users(text, &file.display().to_string()).map_err(|problems| {
        let more = problems.len().saturating_sub(1);
        let first = problems.into_iter().next().map(|problem| problem.error);
        let first =
            first.unwrap_or_else(|| Error::new(&codes::INTERNAL, "the file was refused without a reason"));
        if more > 0 { first.with_detail(format_args!("and {more} more problems in it")) } else { first }
    })?;
    Ok(LogUsers::new(configs, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(users: bool, tls: bool) -> LogAccess {
        let args = LogAccessArgs { kafka_users: users.then(|| "u".into()), ..LogAccessArgs::default() };
        let (certificate, key) = (Path::new("c"), Path::new("k"));
        LogAccess::new(&args, tls.then_some(certificate), tls.then_some(key)).unwrap()
    }

    #[test]
    fn an_address_that_others_reach_needs_users_and_tls_and_loopback_neither() {
        for address in ["0.0.0.0:9092", "[::]:9092", "192.0.2.1:9092", "[::ffff:192.0.2.1]:9092"] {
            let address = address.parse().unwrap();
            for (users, tls, part) in
                [(false, false, "--kafka-users"), (false, true, "--kafka-users"), (true, false, "--tls-cert")]
            {
                let refused = access(users, tls).check(address).unwrap_err();
                assert!(refused.code() == &codes::ADDRESS && refused.message().contains(part), "{refused}");
                assert!(refused.hint().contains("forebay token kafka"));
            }
            access(true, true).check(address).unwrap();
        }
        for address in ["127.0.0.1:9092", "[::1]:9092", "[::ffff:127.0.0.1]:9092"] {
            access(false, false).check(address.parse().unwrap()).unwrap();
        }
        let args = LogAccessArgs {
            kafka_users: Some("u".into()),
            kafka_client_ca: Some("a".into()),
            ..LogAccessArgs::default()
        };
        assert_eq!(LogAccess::new(&args, None, None).unwrap_err().code(), &codes::WRONG_USE);
    }
}
