//! Who asks: the exchange of SCRAM over the frames of a start.
//!
//! What must stay true: no password is ever asked for in clear text; a name that is not there, a wrong token and a token
//! that cannot be used here are answered alike, after the same exchange.

use std::net::IpAddr;

use tokio::io::AsyncWriteExt;

use super::frame::{Bad, Frame, Frames, Rest};
use super::reply::Replies;
use super::scram::{Exchange, mechanisms};
use super::sqlstate::{PASSWORD, PROTOCOL, Refusal};
use super::start::Stream;
use crate::auth::{Auth, Person};

/// The codes of authentication messages.
const SASL: u32 = 10;
const CONTINUE: u32 = 11;
const FINAL: u32 = 12;

/// Why nobody was let in.
pub(super) enum NotIn {
    Told(Refusal),
    Bad(Bad),
}

impl From<Refusal> for NotIn {
    fn from(refusal: Refusal) -> Self {
        Self::Told(refusal)
    }
}

impl From<Bad> for NotIn {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

impl From<std::io::Error> for NotIn {
    fn from(error: std::io::Error) -> Self {
        Self::Bad(error.into())
    }
}

/// Asks a client for its token. `out` is what waits to be sent before; `end_point` what it may bind itself to.
pub(super) async fn login(
    (stream, frames): (&mut Box<dyn Stream>, &mut Frames),
    out: &mut Replies,
    user: &str,
    (auth, peer, now_ms): (&Auth, IpAddr, i64),
    end_point: Option<&[u8]>,
) -> Result<Person, NotIn> {
    let nonce = Auth::nonce().map_err(Refusal::from)?;
    let login = auth.login(user, now_ms);
    out.authentication(SASL, &mechanisms(end_point));
    send(stream, out).await?;
    let sent = password(frames.next(stream).await?)?;
    let mut rest = Rest(&sent);
    let mechanism = rest.text()?;
    let first = rest.value()?.unwrap_or_default();
    let (exchange, answer) = Exchange::begin(&mechanism, &first, end_point, &login, &nonce)?;
    out.authentication(CONTINUE, answer.as_bytes());
    send(stream, out).await?;
    let last = password(frames.next(stream).await?)?;
    let proved = exchange.finish(&last, &login)?;
    let person = auth.logged_in(login, proved.is_some(), peer, now_ms);
    let (Some(person), Some(signature)) = (person, proved) else {
        let message = format!("password authentication failed for user \"{user}\"");
        let hint = "The user is the name of a token, its password the token: `forebay token new` makes one. An entry of \
                    the file without `scram` is of an older Forebay: remove it and make the token anew.";
        return Err(Refusal::new(PASSWORD, message).hint(hint).into());
    };
    out.authentication(FINAL, signature.as_bytes());
    Ok(person)
}

fn password(frame: Frame) -> Result<Vec<u8>, Refusal> {
    match frame {
        Frame::Password(sent) => Ok(sent),
        _ => Err(Refusal::new(PROTOCOL, "a step of SCRAM is expected")),
    }
}

async fn send(stream: &mut Box<dyn Stream>, out: &mut Replies) -> Result<(), Bad> {
    stream.write_all(&out.0).await?;
    stream.flush().await?;
    out.0.clear();
    Ok(())
}
