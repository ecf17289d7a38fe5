//! What may go, oldest first: decided from facts, then done.
//!
//! Whole segments go. By size, as long as at least `retention.bytes` stay; by age, once the newest record of a
//! segment is older than `retention.ms`, then even the active one (a new, empty one takes its place). The new log
//! start is durable before any file goes: after a crash the log does not begin earlier again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use super::commit::{checkpoint, roll};
use super::config::Effective;
use super::core::Core;
use super::partition::Partition;
use super::recovery::{START, remove_segment};
use super::sealed;
use super::segment::Segment;
use crate::LogError;

/// What retention looks at in a segment.
#[derive(Debug, Clone, Copy)]
struct Facts {
    bytes: u64,
    /// Milliseconds since 1970; of the file, where no record bears a timestamp.
    newest: i64,
}

/// How many of the oldest segments may go. `segments` ends with the active one, which is not counted where only
/// size demands it.
fn expendable(segments: &[Facts], now: i64, limits: &Effective) -> usize {
    let by_age = limits.retention_ms.map_or(0, |age| {
        let oldest_kept = now.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX));
        segments.iter().take_while(|segment| segment.newest < oldest_kept).count()
    });
    let by_size = limits.retention_bytes.map_or(0, |keep| {
        let total: u64 = segments.iter().map(|segment| segment.bytes).sum();
        let mut excess = total.saturating_sub(keep);
        let sealed = segments.len().saturating_sub(1);
        segments[..sealed]
            .iter()
            .take_while(|segment| {
                let goes = segment.bytes <= excess;
                excess = excess.saturating_sub(segment.bytes);
                goes
            })
            .count()
    });
    by_age.max(by_size)
}

/// Removes what may go from a partition, and forgets idle producers.
pub(super) fn retain(core: &Core, partition: &Partition) -> Result<(), LogError> {
    let now = core.options.clock.now();
    let mut writer = partition.writer.lock();
    partition.check_alive()?;
    core.check_writable()?;
    let idle = i64::try_from(core.options.producer_expiry.as_millis()).unwrap_or(i64::MAX);
    writer.producers.expire(now.saturating_sub(idle), core.options.max_producers);

    let limits = *partition.config.read();
    let segments: Vec<Arc<Segment>> = partition.segments.read().clone();
    let facts: Vec<Facts> = segments.iter().map(|segment| facts(segment)).collect();
    let mut going = expendable(&facts, now, &limits);
    if going == segments.len() && segments.last().is_some_and(|active| active.len() == 0) {
        going -= 1;
    }
    if going == 0 {
        return Ok(());
    }
    if going == segments.len() {
        roll(core, partition, &mut writer)?;
    } else {
        // The producers of the batches that go are known from the file from now on.
        checkpoint(core, partition, &mut writer);
    }
    remove_oldest(core, partition, going)
}

fn facts(segment: &Segment) -> Facts {
    let newest = match segment.max_timestamp() {
        timestamp if timestamp >= 0 => timestamp,
        _ => {
            let modified = std::fs::metadata(&segment.path).and_then(|meta| meta.modified()).ok();
            let since = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            since.map_or(i64::MAX, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        }
    };
    Facts { bytes: segment.len().into(), newest }
}

/// The caller holds the partition's writer.
fn remove_oldest(core: &Core, partition: &Partition, count: usize) -> Result<(), LogError> {
    let segments: Vec<Arc<Segment>> = partition.segments.read().clone();
    let Some(first_kept) = segments.get(count) else { return Ok(()) };
    let start = first_kept.base_offset;
    match sealed::write(&core.door, &partition.start_path(), START, &start.to_be_bytes()) {
        Ok(()) => {}
        // A full disk must not keep retention from making room; the names of the segments tell the start as well.
        Err(error @ LogError::OutOfSpace(_)) => {
            tracing::warn!(%error, "log start not written; removing anyway")
        }
        Err(e) => return Err(e),
    }
    partition.segments.write().drain(..count);
    partition.log_start.store(start, Ordering::Release);
    // What has its marker there is over for every reader; the others' records may go on behind.
    partition.forget_aborted(core, start);
    for segment in &segments[..count] {
        remove_segment(core, segment);
    }
    let (topic, partition) = (&partition.topic, partition.number);
    tracing::info!(
        topic,
        partition,
        segments = count,
        log_start_offset = start,
        "retention removed segments"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::config::TimestampType;

    fn limits(bytes: Option<u64>, ms: Option<u64>) -> Effective {
        Effective {
            retention_bytes: bytes,
            retention_ms: ms,
            segment_bytes: 1 << 20,
            max_message_bytes: 1 << 20,
            timestamp_type: TimestampType::CreateTime,
        }
    }

    #[test]
    fn size_keeps_at_least_what_was_promised_and_never_takes_the_active_segment() {
        let segments = [Facts { bytes: 10, newest: 0 }; 4];
        for (keep, going) in [(40, 0), (31, 0), (30, 1), (25, 1), (10, 3), (0, 3)] {
            assert_eq!(expendable(&segments, 0, &limits(Some(keep), None)), going, "keep {keep}");
        }
        assert_eq!(expendable(&[], 0, &limits(Some(0), Some(0))), 0);
    }

    #[test]
    fn age_stops_at_the_first_segment_that_is_young() {
        let segments = [50, 100, 60, 200].map(|newest| Facts { bytes: 10, newest });
        for (now, going) in [(150, 0), (151, 1), (200, 1), (201, 3), (300, 3), (301, 4)] {
            assert_eq!(expendable(&segments, now, &limits(None, Some(100))), going, "now {now}");
        }
        assert_eq!(expendable(&segments, i64::MAX, &limits(None, None)), 0);
    }
}
