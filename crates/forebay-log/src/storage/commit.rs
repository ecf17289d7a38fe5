//! One round of a partition's writer: everything that waits, one write, one fdatasync, then all the answers.
//!
//! ```text
//!  inbox ─▶ place    sequence check, offset; a refusal is answered at once
//!                  work of transactions stands in the same line: who may write from here on, and markers
//!        ─▶ write    headers (copied, with their offset) and bodies (as they came), in one vectored write
//!        ─▶ sync
//!        ─▶ publish  index, high watermark; then the answers
//! ```
//!
//! **What must stay true:** nothing becomes visible and nobody is answered before the sync; and whatever fails, the
//! next round starts from a file, a list of producers and a next offset that agree. Where that cannot be had, the
//! log is failed for good.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use forebay_storage::{DoorFile, kill_point};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Appended;
use super::core::Core;
use super::index::Index;
use super::partition::{Partition, Request, Work, Writer};
use super::producers::{Undo, Verdict};
use super::segment::Segment;
use super::transactions::Aborted;
use super::validate::Sound;
use crate::LogError;
use crate::quiet::About;
use crate::records::{Batch, BatchHeader, HEADER_BYTES, Marker};

/// Bytes that a marker takes at most.
const MARKER_ROOM: u64 = 128;

/// What one write and one sync will make durable, all in one segment.
#[derive(Default)]
struct Round {
    heads: Vec<[u8; HEADER_BYTES]>,
    bodies: Vec<Bytes>,
    headers: Vec<BatchHeader>,
    bytes: u64,
    undo: Vec<Undo>,
    /// Transactions that are void once the round is durable.
    aborted: Vec<Aborted>,
    answers: Vec<(Reply, Appended)>,
}

impl Round {
    fn push(&mut self, header: BatchHeader, body: Bytes) {
        self.heads.push(header.to_bytes());
        self.bodies.push(body);
        self.bytes += header.length as u64;
        self.headers.push(header);
    }
}

/// Serves everything that waits for the partition.
pub(super) fn serve(core: &Core, partition: &Partition) {
    let mut writer = partition.writer.lock();
    let requests = std::mem::take(&mut partition.inbox.lock().requests);
    let mut round = Round::default();
    for request in requests {
        if let Err(refused) = core.check_writable().and_then(|()| partition.check_alive()) {
            Reply { answer: request.answer, space: request.space }.send(Err(refused));
            continue;
        }
        let bytes = match &request.work {
            Work::Append { batches, .. } => batches.iter().map(|batch| batch.header.length as u64).sum(),
            Work::Enrol { .. } => 0,
            Work::End { .. } => MARKER_ROOM,
        };
        if !fits(partition, &writer, &round, bytes) {
            finish(core, partition, &mut writer, &mut round);
            if let Err(refused) = roll(core, partition, &mut writer) {
                Reply { answer: request.answer, space: request.space }.send(Err(refused));
                continue;
            }
        }
        let Request { work, answer, space } = request;
        let reply = Reply { answer, space };
        match work {
            Work::Append { batches, log_append_time } => {
                place(core, partition, &mut writer, &mut round, batches, log_append_time, reply);
            }
            Work::Enrol { producer_id, epoch } => {
                writer.producers.transactions.enrol(producer_id, epoch);
                reply.send(Ok(nothing_written(partition)));
            }
            Work::End { producer_id, epoch, marker } => {
                end(core, partition, &mut writer, &mut round, (producer_id, epoch, marker), reply);
            }
        }
    }
    finish(core, partition, &mut writer, &mut round);
    writer.producers.limit(core.options.max_producers);
}

/// Who waits for an answer.
struct Reply {
    answer: oneshot::Sender<Result<Appended, LogError>>,
    space: Option<OwnedSemaphorePermit>,
}

impl Reply {
    fn send(self, result: Result<Appended, LogError>) {
        // Nobody listens where acks=0 was asked for, or the connection is gone.
        let _ = self.answer.send(result);
        drop(self.space);
    }
}

/// The answer to what left no batch.
fn nothing_written(partition: &Partition) -> Appended {
    let log_start_offset = partition.log_start.load(Ordering::Acquire);
    Appended { base_offset: -1, log_start_offset, log_append_time: -1, duplicate: false }
}

/// True when the active segment has room for `bytes` behind what the round holds already. The first append of a
/// segment always has.
fn fits(partition: &Partition, writer: &Writer, round: &Round, bytes: u64) -> bool {
    let Some(active) = partition.active() else { return false };
    let there = u64::from(active.len()) + round.bytes;
    let offsets = writer.next_offset.saturating_sub(active.base_offset);
    // Offsets inside a segment are 32 bits wide; an append brings at most 2^31 of them.
    there == 0
        || (there + bytes <= partition.config.read().segment_bytes && offsets < i64::from(u32::MAX / 2))
}

/// Gives the batches of a request their offsets, or refuses the request as a whole.
fn place(
    core: &Core,
    partition: &Partition,
    writer: &mut Writer,
    round: &mut Round,
    batches: Vec<Sound>,
    log_append_time: i64,
    reply: Reply,
) {
    let now = core.options.clock.now();
    let first_undo = round.undo.len();
    let first_header = round.headers.len();
    let mut base_offset = None;
    let mut next_offset = writer.next_offset;
    let mut fresh = Vec::with_capacity(batches.len());
    for batch in batches {
        match writer.producers.check(&batch.header) {
            Ok(Verdict::Duplicate { base_offset: earlier }) => {
                base_offset.get_or_insert(earlier);
            }
            Ok(Verdict::Append) => {
                let header = BatchHeader { base_offset: next_offset, ..batch.header };
                base_offset.get_or_insert(next_offset);
                next_offset = header.next_offset();
                round.undo.extend(writer.producers.record(&header, now));
                fresh.push((header, batch.body));
            }
            Err(refused) => {
                for undo in round.undo.drain(first_undo..).rev() {
                    writer.producers.undo(undo, now);
                }
                reply.send(Err(refused));
                return;
            }
        }
    }
    for (header, body) in fresh {
        round.push(header, body);
    }
    writer.next_offset = next_offset;
    let appended = Appended {
        base_offset: base_offset.unwrap_or(next_offset),
        log_start_offset: partition.log_start.load(Ordering::Acquire),
        log_append_time,
        duplicate: round.headers.len() == first_header,
    };
    // A repeat is answered with the round, too: what it repeats may be in it.
    round.answers.push((reply, appended));
}

/// Gives a marker its offset, behind all that its transaction wrote. One that wrote nothing needs none.
fn end(
    core: &Core,
    partition: &Partition,
    writer: &mut Writer,
    round: &mut Round,
    (producer_id, epoch, marker): (i64, i16, Marker),
    reply: Reply,
) {
    let found = match writer.producers.transactions.find(producer_id, epoch) {
        Ok(found) => found,
        Err(refused) => return reply.send(Err(refused)),
    };
    let mut appended = nothing_written(partition);
    if found.and_then(|found| found.first).is_none() {
        writer.producers.transactions.end(producer_id, marker, -1, -1);
    } else {
        let now = core.options.clock.now();
        let made = marker.batch(producer_id, epoch, now).and_then(|bytes| Batch::parse(&bytes));
        let batch = match made {
            Ok(batch) => batch,
            Err(error) => return reply.send(Err(LogError::InvalidBatch(error))),
        };
        let header = BatchHeader { base_offset: writer.next_offset, ..batch.header };
        let (undo, aborted) = writer.producers.end(&header, marker);
        round.undo.push(undo);
        round.aborted.extend(aborted);
        round.push(header, batch.bytes.slice(HEADER_BYTES..));
        appended.base_offset = header.base_offset;
        writer.next_offset = header.next_offset();
    }
    // Also where nothing is written: what it follows may be in the round.
    round.answers.push((reply, appended));
}

/// Writes, syncs, publishes and answers the round, and empties it.
fn finish(core: &Core, partition: &Partition, writer: &mut Writer, round: &mut Round) {
    let round = std::mem::take(round);
    if round.answers.is_empty() {
        return;
    }
    let before = round.headers.first().map(|header| header.base_offset);
    let Err(failed) = persist(core, partition, writer, &round) else {
        for (reply, appended) in round.answers {
            reply.send(Ok(appended));
        }
        return;
    };
    let now = core.options.clock.now();
    for undo in round.undo.into_iter().rev() {
        writer.producers.undo(undo, now);
    }
    writer.next_offset = before.unwrap_or(writer.next_offset);
    for (reply, _) in round.answers {
        reply.send(Err(failed.clone()));
    }
}

fn persist(core: &Core, partition: &Partition, writer: &mut Writer, round: &Round) -> Result<(), LogError> {
    if round.headers.is_empty() {
        return Ok(());
    }
    let Some(active) = partition.active() else { return Err(LogError::Closed) };
    let file = open_active(core, writer, &active)?;
    let mut slices = Vec::with_capacity(2 * round.heads.len());
    for (head, body) in round.heads.iter().zip(&round.bodies) {
        slices.push(IoSlice::new(head));
        slices.push(IoSlice::new(body));
    }
    if let Err(e) = file.append_vectored(&mut slices) {
        let refused = LogError::io("append to", &active.path, &e);
        if let Some(untold) = core.quiet.may_tell(About::Failures) {
            let path = active.path.display();
            tracing::warn!(%path, error = %e, untold, "append failed; cutting what was written of it");
        }
        if let Err(e) = file.truncate(active.len().into()) {
            return Err(core.fail("cut", &active.path, &e));
        }
        return Err(refused);
    }
    kill_point("log.append.written");
    if let Err(e) = file.sync() {
        return Err(core.fail("sync", &active.path, &e));
    }
    kill_point("log.append.synced");
    writer.dirty = true;
    active.publish(&round.headers, core.options.index_interval_bytes);
    if !round.aborted.is_empty() {
        core.aborted.fetch_add(round.aborted.len(), Ordering::Relaxed);
        partition.aborted.write().extend_from_slice(&round.aborted);
    }
    let high_watermark = active.next_offset();
    let last_stable = writer.producers.transactions.first_open().unwrap_or(high_watermark);
    partition.progress.send_modify(|progress| {
        progress.high_watermark = high_watermark;
        progress.last_stable = last_stable;
    });
    Ok(())
}

/// The active segment's file, opened where no append came since the start.
fn open_active<'a>(
    core: &Core,
    writer: &'a mut Writer,
    active: &Segment,
) -> Result<&'a mut DoorFile, LogError> {
    match &mut writer.file {
        Some(file) => Ok(file),
        slot => {
            let file = core.door.open_append(&active.path);
            Ok(slot.insert(file.map_err(|e| LogError::io("open", &active.path, &e))?))
        }
    }
}

/// Closes the active segment, if there is one, and begins the next at the next offset.
pub(super) fn roll(core: &Core, partition: &Partition, writer: &mut Writer) -> Result<(), LogError> {
    core.check_writable()?;
    checkpoint(core, partition, writer);
    let next = Segment::new(&partition.dir, writer.next_offset, Index::empty(writer.next_offset));
    let file = core.door.create_new(&next.path).map_err(|e| LogError::io("create", &next.path, &e))?;
    if let Err(e) = core.door.sync_dir(&partition.dir) {
        return Err(core.fail("sync", &partition.dir, &e));
    }
    writer.file = Some(file);
    partition.segments.write().push(Arc::new(next));
    Ok(())
}

/// Writes what makes the next start quick: the active segment's index and the producers. Both can be rebuilt, so a
/// failure is told and not passed on.
pub(super) fn checkpoint(core: &Core, partition: &Partition, writer: &mut Writer) {
    let Some(active) = partition.active() else { return };
    if !writer.dirty {
        return;
    }
    let index = active.index().write(&core.door, &active.index_path());
    let aborted = partition.aborted.read().clone();
    let producers =
        writer.producers.write(&aborted, &core.door, &partition.producers_path(), writer.next_offset);
    match index.and(producers) {
        Ok(()) => writer.dirty = false,
        Err(error) => {
            tracing::warn!(dir = %partition.dir.display(), %error, "index not written; the next start rebuilds it");
        }
    }
}
