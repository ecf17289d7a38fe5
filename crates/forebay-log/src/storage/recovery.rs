//! Opening a partition: what the disk holds becomes what readers may see.
//!
//! ```text
//!  names of segments ─▶ sealed ones: their index is read, or rebuilt where it is missing or wrong
//!                    ─▶ the last one: what its index covers was durable; the rest is walked, batch by batch with
//!                       its crc, up to the first that is not sound: there the file is cut
//!                    ─▶ producers and transactions: read, then brought up to the end by walking headers and markers
//! ```
//!
//! A torn tail is normal after a crash: nobody was told of it. What was not torn but never synced is synced here,
//! before it becomes visible. Sound batches *behind* an unsound one, at whatever byte, are not what a torn write
//! usually leaves: then a copy of what is cut stays beside the segment, and a person is told.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::config::Effective;
use super::core::Core;
use super::index::Index;
use super::partition::{Inbox, Partition, Progress, Writer};
use super::producers::{Producers, Stored};
use super::scan::{ScanEnd, scan};
use super::sealed::{self, Fields, Kind};
use super::segment::Segment;
use crate::LogError;
use crate::records::{Batch, BatchHeader, HEADER_BYTES, RecordsError};

/// The file that holds the first offset still there.
pub(super) const START: Kind = Kind { name: b"FBYS", version: 1 };

/// How often each byte of a tail is summed at most, in search of a sound batch.
const SEARCH_WORK: usize = 8;

/// Opens a partition; `cut` counts the bytes of torn tails.
pub(super) fn open(
    core: &Core,
    topic: &str,
    number: i32,
    dir: &Path,
    config: Effective,
    cut: &mut u64,
) -> Result<Partition, LogError> {
    let start = read_start(&dir.join("start"))?;
    let mut bases = segment_bases(dir)?;
    let mut segments = Vec::with_capacity(bases.len());
    let mut dirty = false;
    let last = bases.pop();
    for (i, base) in bases.iter().enumerate() {
        let next = bases.get(i + 1).or(last.as_ref()).copied().unwrap_or(i64::MAX);
        if next <= start {
            // Retention had decided, and the process ended before the file was gone.
            remove_segment(core, &Segment::new(dir, *base, Index::empty(*base)));
            continue;
        }
        let segment = open_sealed(core, dir, *base)?;
        if segment.next_offset() != next {
            let (segment_end, path) = (segment.next_offset(), segment.path.display());
            tracing::error!(%path, segment_end, next, "offsets are missing between two segments");
        }
        segments.push(Arc::new(segment));
    }
    if let Some(base) = last {
        let (segment, walked) = open_last(core, dir, base, cut)?;
        dirty = walked;
        segments.push(Arc::new(segment));
    }
    let next_offset = segments.last().map_or(start, |segment| segment.next_offset());
    let log_start = segments.first().map_or(start, |segment| segment.base_offset.max(start));
    let Stored { producers, mut aborted, .. } = open_producers(core, dir, &segments, next_offset)?;
    aborted.retain(|aborted| aborted.last >= log_start);
    core.aborted.fetch_add(aborted.len(), Ordering::Relaxed);
    let last_stable = producers.transactions.first_open().unwrap_or(next_offset);
    let progress = Progress { high_watermark: next_offset, last_stable, deleted: false };
    Ok(Partition {
        topic: topic.to_owned(),
        number,
        dir: dir.to_path_buf(),
        config: RwLock::new(config),
        segments: RwLock::new(segments),
        log_start: AtomicI64::new(log_start),
        progress: watch::channel(progress).0,
        aborted: RwLock::new(aborted),
        inbox: Mutex::new(Inbox::default()),
        writer: Mutex::new(Writer { file: None, producers, next_offset, dirty }),
    })
}

fn read_start(path: &Path) -> Result<i64, LogError> {
    match sealed::read(path, START) {
        Ok(Some(payload)) => Ok(Fields(&payload).take().map_or(0, i64::from_be_bytes)),
        Ok(None) => Ok(0),
        // The names of the segments say it too, unless the last removal was interrupted.
        Err(LogError::Damaged { path, why }) => {
            tracing::warn!(path = %path.display(), why, "log start is taken from the oldest segment");
            Ok(0)
        }
        Err(e) => Err(e),
    }
}

fn segment_bases(dir: &Path) -> Result<Vec<i64>, LogError> {
    let failed = |e: io::Error| LogError::io("list", dir, &e);
    let mut bases = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        bases.extend(name.to_str().and_then(Segment::base_offset_of));
    }
    bases.sort_unstable();
    Ok(bases)
}

pub(super) fn remove_segment(core: &Core, segment: &Segment) {
    for path in [&segment.path, &segment.index_path()] {
        if let Err(error) = core.door.remove_if_there(path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove; the next start tries again");
        }
    }
}

fn file_len(path: &Path) -> Result<u64, LogError> {
    std::fs::metadata(path).map(|meta| meta.len()).map_err(|e| LogError::io("look at", path, &e))
}

/// The index as it was written; `None`, with a word about why, where it has to be built again.
fn stored_index(segment: &Segment, len: u64) -> Option<Index> {
    match Index::read(&segment.index_path()) {
        Ok(Some(index)) if u64::from(index.covered) <= len => Some(index),
        Ok(Some(index)) => {
            let (path, covered) = (segment.path.display(), index.covered);
            tracing::error!(%path, len, covered, "the segment is shorter than what was durable");
            None
        }
        Ok(None) => None,
        Err(error) => {
            tracing::warn!(%error, "index is built again");
            None
        }
    }
}

fn open_sealed(core: &Core, dir: &Path, base: i64) -> Result<Segment, LogError> {
    let segment = Segment::new(dir, base, Index::empty(base));
    let len = file_len(&segment.path)?;
    if let Some(index) = stored_index(&segment, len).filter(|index| u64::from(index.covered) == len) {
        return Ok(Segment::new(dir, base, index));
    }
    let (index, end) = extend(core, &segment, Index::empty(base), len)?;
    if let ScanEnd::Broken { at, why } = end {
        tracing::error!(path = %segment.path.display(), at, why, "a closed segment is damaged; its rest is unreadable");
    }
    if let Err(error) = index.write(&core.door, &segment.index_path()) {
        tracing::warn!(%error, "index not written; the next start builds it again");
    }
    Ok(Segment::new(dir, base, index))
}

/// Opens the segment that was written last, and says whether it had to be walked.
fn open_last(core: &Core, dir: &Path, base: i64, cut: &mut u64) -> Result<(Segment, bool), LogError> {
    let segment = Segment::new(dir, base, Index::empty(base));
    let len = file_len(&segment.path)?;
    let known = stored_index(&segment, len).unwrap_or_else(|| Index::empty(base));
    if u64::from(known.covered) == len && len > 0 {
        return Ok((Segment::new(dir, base, known), false));
    }
    let (index, end) = extend(core, &segment, known, len)?;
    let mut file =
        core.door.open_append(&segment.path).map_err(|e| LogError::io("open", &segment.path, &e))?;
    if let ScanEnd::Broken { at, why } = end {
        if !keep_if_sound_behind(core, &segment, at, len, index.next_offset)? {
            tracing::warn!(path = %segment.path.display(), at, bytes = len - at, why, "torn tail cut");
        }
        *cut += len - at;
        file.truncate(at).map_err(|e| LogError::io("cut", &segment.path, &e))?;
    }
    // The process before may have died between its write and its sync, or between a new segment and its name.
    file.sync().map_err(|e| LogError::io("sync", &segment.path, &e))?;
    core.door.sync_dir(dir).map_err(|e| LogError::io("sync", dir, &e))?;
    Ok((Segment::new(dir, base, index), true))
}

/// Walks what an index does not cover, as far as the batches are sound and follow each other.
fn extend(core: &Core, segment: &Segment, mut index: Index, len: u64) -> Result<(Index, ScanEnd), LogError> {
    let interval = core.options.index_interval_bytes;
    let from = u64::from(index.covered);
    let end = scan(&segment.path, from, len, |_, batch| {
        batch.verify_crc()?;
        if batch.header.base_offset != index.next_offset || batch.header.last_offset_delta < 0 {
            return Err(RecordsError::BadHeader("its offset does not follow"));
        }
        index.add(segment.base_offset, &batch.header, interval);
        Ok(ControlFlow::Continue(()))
    });
    let end = end.map_err(|e| LogError::io("read", &segment.path, &e))?;
    Ok((index, end))
}

/// Keeps a copy of what is about to be cut, if there is a sound batch in it, and says whether.
fn keep_if_sound_behind(
    core: &Core,
    segment: &Segment,
    at: u64,
    len: u64,
    next_offset: i64,
) -> Result<bool, LogError> {
    let failed = |e: io::Error| LogError::io("read", &segment.path, &e);
    let file = std::fs::File::open(&segment.path).map_err(failed)?;
    let tail = super::scan::read_at(&file, at, len - at).map_err(failed)?;
    if !has_sound_batch(&tail, next_offset) {
        return Ok(false);
    }
    let kept = segment.path.with_extension(format!("cut-{at}"));
    core.door.write_atomic(&kept, &tail).map_err(|e| LogError::io("write", &kept, &e))?;
    tracing::error!(
        path = %segment.path.display(), kept = %kept.display(), bytes = len - at, from_offset = next_offset,
        "the disk may have damaged records that were acknowledged: sound batches stand behind an unsound one. All \
         from this offset on is taken out of the log and kept in a file beside it"
    );
    Ok(true)
}

/// True where a sound batch begins at any byte: the length of an unsound one says nothing about where. Bytes that
/// only look like many batches are not summed for ever, but taken for one.
fn has_sound_batch(tail: &Bytes, next_offset: i64) -> bool {
    let mut work = tail.len().saturating_mul(SEARCH_WORK);
    for at in 0..tail.len().saturating_sub(HEADER_BYTES - 1) {
        let Ok(Some(header)) = BatchHeader::parse(&tail[at..]) else { continue };
        let follows = at == 0 || header.base_offset > next_offset;
        if !follows
            || header.length > tail.len() - at
            || header.last_offset_delta < 0
            || header.record_count < 1
        {
            continue;
        }
        let Some(left) = work.checked_sub(header.length) else { return true };
        work = left;
        if (Batch { header, bytes: tail.slice(at..at + header.length) }).verify_crc().is_ok() {
            return true;
        }
    }
    false
}

/// The producers' state, and that of their transactions, up to the end of the log.
fn open_producers(
    core: &Core,
    dir: &Path,
    segments: &[Arc<Segment>],
    next_offset: i64,
) -> Result<Stored, LogError> {
    let mut stored = match Producers::read(&dir.join("producers")) {
        Ok(Some(stored)) if stored.known_to <= next_offset => stored,
        Ok(_) => Stored::default(),
        Err(error @ LogError::Damaged { .. }) => {
            tracing::warn!(%error, "producers and transactions are read from the log again");
            Stored::default()
        }
        Err(e) => return Err(e),
    };
    let now = core.options.clock.now();
    let Stored { producers, aborted, known_to } = &mut stored;
    let known_to = *known_to;
    for segment in segments.iter().filter(|segment| segment.next_offset() > known_to) {
        let from = segment.position_of(known_to).into();
        let end = scan(&segment.path, from, segment.len().into(), |_, batch| {
            if batch.header.base_offset < known_to {
                return Ok(ControlFlow::Continue(()));
            }
            match batch.marker(&core.scratch).ok().flatten() {
                Some(marker) => aborted.extend(producers.end(&batch.header, marker).1),
                None if batch.header.is_control() => {}
                None => drop(producers.record(&batch.header, now)),
            }
            Ok(ControlFlow::Continue(()))
        });
        end.map_err(|e| LogError::io("read", &segment.path, &e))?;
    }
    producers.expire(i64::MIN, core.options.max_producers);
    Ok(stored)
}
