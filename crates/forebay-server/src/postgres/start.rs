//! The start of a connection: TLS, who asks, and the settings that they bring.
//!
//! What must stay true: where the server has TLS, nothing but the request for it is read in plain text, and what was sent
//! before the handshake counts for nothing; who may ask proves to have a token without sending it ([`login`]), and what is
//! wrong counts against the address it comes from; nothing says whether a name or its token was wrong.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::frame::{Bad, First, Frames};
use super::login::{NotIn, login};
use super::reply::Replies;
use super::session::Session;
use super::sqlstate::{NOT_ALLOWED, Refusal};
use crate::auth::{Auth, Person};
use crate::tls::{POSTGRES, Tls};

/// How long a client has until it may ask.
pub(super) const START: Duration = Duration::from_secs(20);
/// The newest minor version of the protocol that is spoken.
const MINOR: u16 = 0;
/// The first byte of a client that begins with TLS at once (`sslnegotiation=direct`); a start begins with zero.
const HANDSHAKE: u8 = 0x16;
/// The name of who does not say one.
const NOBODY: &str = "forebay";

/// A stream of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A client that may ask.
pub(super) struct Started {
    pub stream: Box<dyn Stream>,
    pub frames: Frames,
    pub user: String,
    pub database: String,
    /// With the settings that it sent.
    pub session: Session,
    /// Who it is, where that is asked.
    pub person: Option<Person>,
}

/// What came of a start.
pub(super) enum Outcome {
    Started(Box<Started>),
    /// It wanted to end another's statement.
    Cancel {
        pid: i32,
        secret: i32,
    },
    /// It was refused, or is gone.
    Over,
}

/// Who may come in.
#[derive(Clone)]
pub(crate) struct Doors {
    pub tls: Option<Arc<Tls>>,
    pub auth: Option<Arc<Auth>>,
}

/// Brings a connection to where it may ask.
pub(super) async fn start(stream: TcpStream, peer: IpAddr, doors: &Doors, now_ms: i64) -> Outcome {
    match begin(stream, peer, doors, now_ms).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Over,
    }
}

async fn begin(mut plain: TcpStream, peer: IpAddr, doors: &Doors, now_ms: i64) -> Result<Outcome, Bad> {
    let mut first = [0];
    if plain.peek(&mut first).await? == 1 && first == [HANDSHAKE] {
        return match &doors.tls {
            Some(tls) => encrypted(plain, tls, true, (peer, doors, now_ms)).await,
            None => Ok(Outcome::Over),
        };
    }
    let mut frames = Frames::default();
    let mut is_asked = false;
    loop {
        match frames.first(&mut plain).await? {
            First::Gss => plain.write_all(b"N").await?,
            First::Tls if is_asked => return Ok(Outcome::Over),
            First::Tls => match &doors.tls {
                None => {
                    is_asked = true;
                    plain.write_all(b"N").await?;
                }
                // What came in the same breath was sent by nobody knows whom.
                Some(_) if frames.ahead() > 0 => return Ok(Outcome::Over),
                Some(tls) => {
                    plain.write_all(b"S").await?;
                    return encrypted(plain, tls, false, (peer, doors, now_ms)).await;
                }
            },
            // A client that cannot speak TLS can still end its statement: the secret says that it may.
            First::Cancel { pid, secret } => return Ok(Outcome::Cancel { pid, secret }),
            First::Start { .. } if doors.tls.is_some() => {
                let refusal = Refusal::new(NOT_ALLOWED, "this server speaks TLS only");
                return refused(
                    &mut plain,
                    refusal.hint("Connect with sslmode=require, or better verify-full."),
                )
                .await;
            }
            first @ First::Start { .. } => {
                let line = Line { stream: Box::new(plain), frames, end_point: None };
                return opened(line, first, (peer, doors, now_ms)).await;
            }
        }
    }
}

/// Goes on behind TLS. Who began with it (`is_direct`) must have said that it speaks this protocol: another's words could
/// otherwise be taken for ours.
async fn encrypted(
    plain: TcpStream,
    tls: &Tls,
    is_direct: bool,
    (peer, doors, now_ms): (IpAddr, &Doors, i64),
) -> Result<Outcome, Bad> {
    let (mut stream, end_point) = tls.accept_bound(plain).await?;
    if is_direct && stream.get_ref().1.alpn_protocol() != Some(POSTGRES) {
        return Ok(Outcome::Over);
    }
    let mut frames = Frames::default();
    let first = frames.first(&mut stream).await?;
    let line = Line { stream: Box::new(stream), frames, end_point };
    opened(line, first, (peer, doors, now_ms)).await
}

async fn refused(stream: &mut (impl AsyncWrite + Unpin), refusal: Refusal) -> Result<Outcome, Bad> {
    let mut out = Replies::default();
    out.error(&refusal.fatal());
    stream.write_all(&out.0).await?;
    stream.shutdown().await?;
    Ok(Outcome::Over)
}

/// A connection on which nothing was said but what it is.
struct Line {
    stream: Box<dyn Stream>,
    frames: Frames,
    /// What its client can bind itself to.
    end_point: Option<Arc<[u8]>>,
}

async fn opened(
    line: Line,
    first: First,
    (peer, doors, now_ms): (IpAddr, &Doors, i64),
) -> Result<Outcome, Bad> {
    let Line { mut stream, mut frames, end_point } = line;
    let (version, mut parameters) = match first {
        First::Start { version, parameters } => (version, parameters),
        First::Cancel { pid, secret } => return Ok(Outcome::Cancel { pid, secret }),
        First::Tls | First::Gss => return Ok(Outcome::Over),
    };
    if version.0 != 3 {
        let message =
            format!("unsupported frontend protocol {}.{}: server supports 3.0", version.0, version.1);
        return refused(&mut stream, Refusal::new(NOT_ALLOWED, message)).await;
    }
    let mut take = |name: &str| {
        let at = parameters.iter().position(|(own, _)| own == name)?;
        Some(parameters.swap_remove(at).1).filter(|value| !value.is_empty())
    };
    if take("replication").is_some_and(|value| !matches!(value.as_str(), "false" | "off" | "no" | "0")) {
        return refused(&mut stream, Refusal::new("0A000", "there is no replication here")).await;
    }
    let user = take("user").unwrap_or_else(|| NOBODY.to_owned());
    let database = take("database").unwrap_or_else(|| user.clone());
    let options: Vec<&str> =
        parameters.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("_pq_.")).collect();
    let mut out = Replies::default();
    if version.1 > MINOR || !options.is_empty() {
        out.version(u32::from(version.0) << 16 | u32::from(MINOR), &options);
    }
    let person = match &doors.auth {
        None => None,
        Some(auth) => {
            let line = (&mut stream, &mut frames);
            match login(line, &mut out, &user, (auth, peer, now_ms), end_point.as_deref()).await {
                Ok(person) => Some(person),
                Err(NotIn::Told(refusal)) => return refused(&mut stream, refusal).await,
                Err(NotIn::Bad(bad)) => return Err(bad),
            }
        }
    };
    let session = match Session::started(&user, &parameters) {
        Ok(session) => session,
        Err(refusal) => return refused(&mut stream, refusal).await,
    };
    out.authentication(0, &[]);
    stream.write_all(&out.0).await?;
    Ok(Outcome::Started(Box::new(Started { stream, frames, user, database, session, person })))
}

/// Reads until the other side has closed, a moment at most, so that what was sent last arrives.
pub(super) async fn drained(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 1024];
    let _ = tokio::time::timeout(Duration::from_millis(200), async {
        while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    })
    .await;
}
