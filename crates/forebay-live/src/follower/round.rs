//! One round: what is there now, or a piece of it, is read, decoded and taken.

use arrow::array::RecordBatch;
use forebay_core::Result;
use forebay_core::format::Decoded;
use forebay_core::limits::share_out;
use forebay_core::source::Envelope;
use futures::StreamExt;

use super::{LATE_MS, Runner};

/// Records of one round: some tens of milliseconds of work, after which others are looked after.
const ROUND: u64 = 20_000;

impl Runner {
    /// Reads what is there, at most some ten thousand records; how many it read.
    pub(super) async fn round(&mut self) -> Result<u64> {
        let began_ms = self.live.now_ms();
        if let Some(prepare) = &mut self.prepare {
            prepare().await?;
        }
        if !self.has_started {
            self.standing.positions = self.source.start(false).await?;
            self.standing.topics = self.source.topics();
            self.has_started = true;
        }
        let available = self.source.available(&self.standing.positions).await?;
        self.standing.topics = self.source.topics();
        for (partition, position) in available.new.iter().chain(&available.moved) {
            self.standing.positions.insert(partition.clone(), *position);
        }
        let waiting = available.ranges(&self.standing.positions);
        self.ends = Some(available.ends);
        let ranges = share_out(ROUND, &waiting);
        let reads_all = ranges == waiting;
        let before = self.standing.read;
        if !ranges.is_empty() {
            for mut lane in self.source.read(&ranges, 1).await? {
                while let Some(envelope) = lane.next().await {
                    self.take(&envelope?);
                    tokio::task::yield_now().await;
                }
            }
            // A range may end in a gap, behind the last record.
            for range in ranges {
                let at = self.standing.positions.entry(range.partition).or_insert(range.to);
                *at = range.to.max(*at);
            }
        }
        if reads_all {
            self.is_at_end(began_ms);
        } else {
            self.late_since_ms.get_or_insert(began_ms);
        }
        let read = self.standing.read - before;
        self.live.meter.lock().count(read, self.live.now_ms());
        Ok(read)
    }

    /// Everything that was there when the round began has been read.
    fn is_at_end(&mut self, began_ms: i64) {
        self.at_end_ms = self.live.now_ms();
        let since_ms = self.late_since_ms.take().unwrap_or(began_ms);
        let mut status = self.live.status.lock();
        if status.caught_up_ms.is_none() || self.at_end_ms - since_ms > LATE_MS {
            status.caught_up_ms = Some(self.at_end_ms);
        }
    }

    /// Takes an envelope: its rows, and the position behind it.
    fn take(&mut self, envelope: &Envelope) {
        match self.decoder.decode(&envelope.values) {
            Ok(decoded) => {
                self.standing.skipped += decoded.bad.len() as u64 + decoded.dropped + decoded.filtered;
                self.take_decoded(envelope, decoded);
            }
            Err(_) => self.take_each(envelope),
        }
        self.standing.read += envelope.len() as u64;
        self.standing.positions.insert(envelope.partition.clone(), envelope.next);
    }

    fn take_decoded(&mut self, envelope: &Envelope, decoded: Decoded) {
        if self.make.is_some() {
            return self.take_made(envelope, decoded);
        }
        self.take_rows(envelope, decoded.rows, decoded.kept.as_deref());
    }

    /// Takes the rows that the view makes. Where one of them cannot be computed its record is skipped, as far as the rows of
    /// others were not taken yet: none is taken twice.
    fn take_made(&mut self, envelope: &Envelope, decoded: Decoded) {
        let (Some(make), live) = (&mut self.make, &self.live) else { return };
        let records = decoded.rows.num_rows();
        let mut taken = false;
        let made = make(envelope, decoded.clone(), &mut |rows| {
            taken = true;
            live.take_view(envelope, &rows);
        });
        if made.is_ok() {
            return;
        }
        if taken || records < 2 {
            self.standing.skipped += 1;
            return;
        }
        for record in 0..records {
            let index = decoded.kept.as_ref().map_or(record as u32, |kept| kept[record]);
            let rows = decoded.rows.slice(record, 1);
            let alone = Decoded {
                rows,
                kept: Some(vec![index]),
                bad: Vec::new(),
                dropped: 0,
                filtered: 0,
                failed: Vec::new(),
            };
            if make(envelope, alone, &mut |rows| live.take_view(envelope, &rows)).is_err() {
                self.standing.skipped += 1;
            }
        }
    }

    fn take_rows(&mut self, envelope: &Envelope, rows: RecordBatch, kept: Option<&[u32]>) {
        let times = self.event_times.as_mut().and_then(|times| (times.of)(rows.clone()));
        let times = times.filter(|times| times.len() == rows.num_rows());
        self.live.take(envelope, &rows, kept, times.as_ref());
    }

    /// Takes the records one by one, where all together do not decode (mode FAILFAST).
    fn take_each(&mut self, envelope: &Envelope) {
        for record in 0..envelope.len() {
            match self.decoder.decode(&envelope.values.slice(record, 1)) {
                Ok(decoded) if decoded.rows.num_rows() == 1 => {
                    self.take_decoded(envelope, Decoded { kept: Some(vec![record as u32]), ..decoded });
                }
                _ => self.standing.skipped += 1,
            }
        }
    }
}
