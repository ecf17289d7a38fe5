//! A connection whose client may ask: frames in, replies out, one statement at a time.
//!
//! What must stay true: while a statement runs the client is watched, so that it ends when the client goes, cancels or is
//! no longer allowed in; an error ends the statement and leaves the connection as the protocol says; replies wait for
//! [`Replies`] of bounded size and are sent before more is made.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use forebay_engine::adhoc::postgres::{Text, split};

use super::extended::Statement;
use super::frame::{AHEAD, Bad, Frame, Frames};
use super::keys::Key;
use super::portal::Portal;
use super::reply::{Column, Replies, Transaction};
use super::room::Room;
use super::session::Session;
use super::sqlstate::{CANCELED, PROTOCOL, Refusal, SHUTDOWN};
use super::start::{Started, Stream, drained};
use super::statement::{Running, Work};
use super::types::PgType;
use crate::places::Holder;
use crate::state::Stage;

/// How long a client may say nothing.
const IDLE: Duration = Duration::from_secs(3_600);
/// How long rows that were begun may wait to be fetched: they hold a turn.
const FETCH: Duration = Duration::from_secs(60);
/// How long a client may take nothing of what is sent.
const STALL: Duration = Duration::from_secs(60);
/// Replies that are put together before they are sent.
const TOGETHER: usize = 32 << 10;

/// Why the connection ends.
pub(super) enum End {
    /// Its client is gone.
    Gone,
    /// It is told why.
    Told(Refusal),
}

impl From<Bad> for End {
    fn from(bad: Bad) -> Self {
        match bad {
            Bad::Gone => Self::Gone,
            Bad::Broken(why) => Self::Told(Refusal::new(PROTOCOL, why).fatal()),
        }
    }
}

/// Why a statement ends before its end.
pub(super) enum Stop {
    Refused(Refusal),
    End(End),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

/// A client that may ask.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    frames: Frames,
    pub(super) out: Replies,
    pub(super) session: Session,
    pub(super) work: Work,
    pub(super) key: Key,
    holder: Holder,
    /// What all clients share.
    pub(super) room: Arc<Room>,
    stop: CancellationToken,
    /// Cancelled when its person may no longer ask.
    ended: CancellationToken,
    pub(super) statements: HashMap<String, Statement>,
    pub(super) portals: HashMap<String, Portal>,
    /// After an error in the extended protocol everything is passed over up to the next Sync.
    skips: bool,
}

impl Connection {
    pub fn new(
        started: Started,
        stage: Stage,
        key: Key,
        holder: Holder,
        (room, stop): (Arc<Room>, CancellationToken),
    ) -> Self {
        let Started { stream, mut frames, user, database, session, person } = started;
        frames.long(room.none());
        let ended = person.map(|person| person.ended).unwrap_or_default();
        Self {
            stream,
            frames,
            out: Replies::default(),
            session,
            work: Work { stage, database, user },
            key,
            holder,
            room,
            stop,
            ended,
            statements: HashMap::new(),
            portals: HashMap::new(),
            skips: false,
        }
    }

    /// Serves it to its end.
    pub async fn run(mut self) {
        self.session.tell(&mut self.out);
        self.out.key(self.key.pid, self.key.secret);
        self.out.ready(Transaction::None);
        let end = match self.flush().await {
            Ok(()) => self.serve().await,
            Err(end) => end,
        };
        self.portals.clear();
        if let End::Told(refusal) = end {
            self.out.error(&refusal.fatal());
            let _ = self.flush().await;
            let _ = self.stream.shutdown().await;
            drained(&mut self.stream).await;
        }
    }

    async fn serve(&mut self) -> End {
        loop {
            let frame = match self.next().await {
                Ok(frame) => frame,
                Err(end) => return end,
            };
            if let Err(end) = self.frame(frame).await {
                return end;
            }
            if self.out.0.len() > TOGETHER
                && let Err(end) = self.flush().await
            {
                return end;
            }
        }
    }

    /// The next frame of a client that is waited for.
    async fn next(&mut self) -> Result<Frame, End> {
        loop {
            let is_running = self.portals.values().any(Portal::is_running);
            if self.frames.ahead() == 0 {
                self.holder.waits();
            }
            let wait = if is_running { FETCH } else { IDLE };
            let next = tokio::select! {
                next = tokio::time::timeout(wait, self.frames.next(&mut self.stream)) => next,
                () = self.stop.cancelled() => return Err(End::Told(shutdown())),
                () = self.ended.cancelled() => return Err(End::Told(no_longer())),
            };
            self.holder.is_served();
            match next {
                Ok(frame) => return Ok(frame?),
                // Their turn is for others now.
                Err(_) if is_running => self.portals.values_mut().for_each(Portal::give_up),
                Err(_) => {
                    let refusal = Refusal::new("57P05", "terminating connection due to idle-session timeout");
                    return Err(End::Told(refusal));
                }
            }
        }
    }

    async fn frame(&mut self, frame: Frame) -> Result<(), End> {
        let done = match frame {
            Frame::Terminate => return Err(End::Gone),
            Frame::Sync => {
                self.skips = false;
                if self.session.transaction == Transaction::None {
                    self.end_portals(true);
                }
                self.out.ready(self.session.transaction);
                return self.flush().await;
            }
            Frame::Query(sql) => {
                self.skips = false;
                return self.query(&sql).await;
            }
            Frame::NoRoom(b'Q') => {
                self.skips = false;
                self.fail(&self.room.full());
                self.out.ready(self.session.transaction);
                return self.flush().await;
            }
            _ if self.skips => return Ok(()),
            Frame::NoRoom(_) => Err(self.room.full().into()),
            Frame::Flush => return self.flush().await,
            Frame::Parse { name, sql, types } => self.parse(name, &sql, types).await,
            Frame::Bind(bind) => self.bind(bind).await,
            Frame::Describe { kind, name } => self.describe(kind, &name),
            Frame::Execute { portal, rows } => self.execute(&portal, rows).await,
            Frame::Close { kind, name } => {
                match kind {
                    b'S' => drop(self.statements.remove(&name)),
                    _ => drop(self.portals.remove(&name)),
                }
                self.out.closed();
                Ok(())
            }
            // What a client still sends of a COPY that was refused.
            Frame::Copy => Ok(()),
            Frame::Password(_) => Err(Refusal::new(PROTOCOL, "a message that is not expected here").into()),
        };
        match done {
            Ok(()) => Ok(()),
            Err(Stop::Refused(refusal)) => {
                self.fail(&refusal);
                self.skips = true;
                // Its client may wait for it before it sends a Sync.
                self.flush().await
            }
            Err(Stop::End(end)) => Err(end),
        }
    }

    /// Tells an error; an open transaction has failed with it.
    pub(super) fn fail(&mut self, refusal: &Refusal) {
        self.out.error(refusal);
        if self.session.transaction == Transaction::Open {
            self.session.transaction = Transaction::Failed;
        }
        self.end_portals(false);
    }

    /// Sends at most so many rows, and says how many there were.
    pub(super) async fn send(
        &mut self,
        running: &mut Running,
        most: usize,
        cancel: &CancellationToken,
        sql: &str,
    ) -> Result<usize, Stop> {
        let mut sent = 0;
        while sent < most {
            let next = self.watched(cancel, running.next(most - sent)).await?;
            let Some((bytes, rows)) = next.map_err(|error| Refusal::of(error, sql))? else { break };
            self.out.0.extend(bytes);
            sent += rows;
            if self.out.0.len() > TOGETHER {
                self.flush().await?;
            }
        }
        Ok(sent)
    }

    /// Does something for the client as long as it is there and wants it.
    pub(super) async fn watched<T>(
        &mut self,
        cancel: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> Result<T, Stop> {
        tokio::pin!(work);
        loop {
            let may_read = self.frames.ahead() < AHEAD;
            tokio::select! {
                done = &mut work => return Ok(done),
                () = cancel.cancelled() => {
                    return Err(Refusal::new(CANCELED, "canceling statement due to user request").into());
                }
                () = self.stop.cancelled() => return Err(End::Told(shutdown()).into()),
                () = self.ended.cancelled() => return Err(End::Told(no_longer()).into()),
                read = self.frames.fill(&mut self.stream), if may_read => read.map_err(End::from)?,
            }
        }
    }

    /// What a statement that begins now is cancelled by.
    pub(super) fn begin(&self) -> CancellationToken {
        self.key.begin()
    }

    /// Sends what waits.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        let sent = async {
            self.stream.write_all(&self.out.0).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(STALL, sent).await {
            Ok(Ok(())) => {
                self.out.0.clear();
                // A buffer that was large once is not kept.
                self.out.0.shrink_to(2 * TOGETHER);
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}

/// The columns of an answer.
pub(super) fn columns(schema: &arrow::datatypes::Schema) -> Vec<Column> {
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| Column {
        name: field.name().clone(),
        pg: PgType::of(field),
    };
    schema.fields().iter().map(column).collect()
}

/// The one statement of a text; `None` if there is none.
pub(super) fn one(sql: &str) -> Result<Option<Text>, Refusal> {
    let mut texts = split(sql).map_err(|error| Refusal::of(error, sql))?;
    if texts.len() > 1 {
        let message = "cannot insert multiple commands into a prepared statement";
        return Err(Refusal::new(super::sqlstate::SYNTAX, message));
    }
    Ok(texts.pop())
}

fn shutdown() -> Refusal {
    Refusal::new(SHUTDOWN, "terminating connection: the server ends")
}

fn no_longer() -> Refusal {
    Refusal::new(SHUTDOWN, "terminating connection: the token is worth nothing any more")
}
