//! Whose turn it is: how long rows must be held so that they come in the order of time.
//!
//! ```text
//! files in the order of their least times:  ├──1──┤      read whole: rows before the least time of file 3 can go,
//!                                              ├──2──┤   whichever of file 1 or 2 they are of
//!                                                    ├──3──┤
//! ```
//!
//! A row can go once nothing older can come: by the least times of the files that are not read whole, or because rows have always come
//! in order. Both may turn out wrong. What must stay true: that is noticed with the first row that is older than what went, and then
//! the reading begins anew, more carefully ([`Way`]); no order is given that a row contradicts.

use arrow::array::RecordBatch;
use forebay_connectors::sinks::delta::ordered::Span;
use forebay_core::Result;

use super::sorted::{Gathered, PIECE_ROWS, Pieces};

/// Rows that have come in order make believe that all do.
const ENOUGH_IN_ORDER: u64 = 1 << 17;

/// How rows are put in order, from the quickest way to the surest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing older is awaited than files can have, nor if rows have always come in order.
    AsTheyCome,
    /// Nothing older is awaited than files can have.
    ByFiles,
    /// All are held.
    Whole,
    /// Rows come out of a sort.
    Sorted,
}

impl Way {
    /// The next surer one; `None` behind the last.
    pub fn surer(self) -> Option<Self> {
        match self {
            Self::AsTheyCome => Some(Self::ByFiles),
            Self::ByFiles => Some(Self::Whole),
            Self::Whole => Some(Self::Sorted),
            Self::Sorted => None,
        }
    }
}

/// Rows on their way into order.
pub struct Turn {
    way: Way,
    /// Of each file the number of the row after its last, and its least time.
    files: Vec<(u64, i64)>,
    held: Gathered,
    /// Rows that were read, also those that are left out.
    read: u64,
    has_always_been_ordered: bool,
    /// All before this went.
    gone: i64,
    /// Rows that had to stay then: as many again come before it is looked at anew.
    stayed: usize,
}

impl Turn {
    /// Rows of files of which this is known, if anything is. Of rows from `from` until before `to` (µs) others are not read.
    pub fn new(way: Way, spans: Option<&[Span]>, from: Option<i64>, to: Option<i64>) -> Self {
        let mut until = 0_u64;
        let place = |span: &Span| {
            let is_out = from.is_some_and(|from| span.most < from) || to.is_some_and(|to| span.least >= to);
            until += if is_out { 0 } else { span.rows };
            (until, span.least)
        };
        let files = spans.into_iter().flatten().map(place).collect();
        let held = Gathered::default();
        Self { way, files, held, read: 0, has_always_been_ordered: true, gone: i64::MIN, stayed: 0 }
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.held.bytes()
    }

    /// Takes rows, of which as many were read; false if one is older than what went.
    pub fn push(&mut self, batch: RecordBatch, times: Vec<i64>, read: u64) -> bool {
        if times.iter().any(|time| *time < self.gone) {
            return false;
        }
        self.read += read;
        self.held.push(batch, times);
        self.has_always_been_ordered &= self.held.is_ordered();
        true
    }

    /// Hands over what can go, if that is worth it.
    pub fn release(&mut self) -> Result<Option<Pieces>> {
        if self.held.rows() < PIECE_ROWS.max(2 * self.stayed) {
            return Ok(None);
        }
        let in_order = || self.held.newest().filter(|_| self.has_always_been_ordered).unwrap_or(i64::MIN);
        let unread = self.files.partition_point(|(until, _)| *until <= self.read);
        let by_files = || match self.files.is_empty() {
            true => i64::MIN,
            false => self.files.get(unread).map_or(i64::MAX, |(_, least)| *least),
        };
        let before = match self.way {
            Way::AsTheyCome if self.read >= ENOUGH_IN_ORDER => by_files().max(in_order()),
            Way::AsTheyCome | Way::ByFiles => by_files(),
            Way::Whole => i64::MIN,
            Way::Sorted => in_order(),
        };
        if before <= self.gone {
            return Ok(None);
        }
        self.gone = before;
        let released = self.held.release(Some(before))?;
        self.stayed = self.held.rows();
        Ok(Some(released))
    }

    /// Hands over the rest.
    pub fn end(&mut self) -> Result<Pieces> {
        self.held.release(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;

    /// Reads files of these times in this way; `None` if a row came too late, else the rows and how many were held at most.
    fn read(way: Way, files: &[Vec<i64>], spans: Option<&[Span]>) -> Option<(Vec<(i64, i64)>, usize)> {
        let mut turn = Turn::new(way, spans, None, None);
        let (mut all, mut number, mut most) = (Vec::new(), 0, 0);
        let mut take = |pieces: Pieces| {
            for (batch, times) in pieces.map(Result::unwrap) {
                let numbers = batch.column(0).as_primitive::<Int64Type>();
                all.extend(times.into_iter().zip(numbers.values().iter().copied()));
            }
        };
        for times in files.iter().flat_map(|file| file.chunks(1_000)) {
            let numbers = Int64Array::from_iter_values(number..number + times.len() as i64);
            number += times.len() as i64;
            let batch = RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef)]).unwrap();
            if !turn.push(batch, times.to_vec(), times.len() as u64) {
                return None;
            }
            turn.release().unwrap().into_iter().for_each(&mut take);
            most = most.max(turn.held.rows());
        }
        take(turn.end().unwrap());
        Some((all, most))
    }

    fn spans(files: &[Vec<i64>]) -> Vec<Span> {
        let span = |file: &Vec<i64>| Span {
            rows: file.len() as u64,
            least: *file.iter().min().unwrap(),
            most: *file.iter().max().unwrap(),
        };
        files.iter().map(span).collect()
    }

    /// What comes in order of time, and of one time as it is read.
    fn expected(files: &[Vec<i64>]) -> Vec<(i64, i64)> {
        let mut all: Vec<(i64, i64)> = files.iter().flatten().copied().zip(0..).collect();
        all.sort();
        all
    }

    /// Files of so many rows of which each begins so much before the end of the one before it, in an order within that `of` decides.
    fn files(count: i64, rows: i64, overlap: i64, of: fn(i64) -> i64) -> Vec<Vec<i64>> {
        let file = |file: i64| (0..rows).map(|row| file * (rows - overlap) + of(row)).collect();
        (0..count).map(file).collect()
    }

    #[test]
    fn rows_of_files_that_overlap_come_in_order_and_few_are_held() {
        let files = files(40, 10_000, 3_000, |row| (row * 7_919 % 10_000) / 3 * 3);
        let (all, most) = read(Way::AsTheyCome, &files, Some(&spans(&files))).unwrap();
        assert_eq!(all, expected(&files));
        assert!(most < 60_000, "{most}");
        let (all, most) = read(Way::Whole, &files, None).unwrap();
        assert_eq!((all, most), (expected(&files), 400_000));
    }

    #[test]
    fn rows_that_always_came_in_order_go_as_they_come() {
        let one = files(1, 600_000, 0, |row| row / 5);
        let (all, most) = read(Way::AsTheyCome, &one, None).unwrap();
        assert_eq!(all, expected(&one));
        assert!(most < 200_000, "{most}");
        let (_, most) = read(Way::Sorted, &one, None).unwrap();
        assert!(most < 40_000, "{most}");
    }

    #[test]
    fn what_comes_too_late_is_noticed_and_a_surer_way_gives_the_order() {
        let mut late = files(1, 600_000, 0, |row| row);
        late[0][500_000] = 17;
        assert_eq!(read(Way::AsTheyCome, &late, None), None);
        assert_eq!(read(Way::ByFiles, &late, None).unwrap().0, expected(&late));
        // Statistics that are wrong.
        let files = files(5, 50_000, 0, |row| row);
        let mut wrong = spans(&files);
        wrong.iter_mut().for_each(|span| span.least += 60_000);
        for (way, is_right) in [(Way::AsTheyCome, false), (Way::ByFiles, false), (Way::Whole, true)] {
            assert_eq!(read(way, &files, Some(&wrong)).is_some(), is_right, "{way:?}");
        }
        let ways: Vec<Way> = std::iter::successors(Some(Way::AsTheyCome), |way| way.surer()).collect();
        assert_eq!(ways, [Way::AsTheyCome, Way::ByFiles, Way::Whole, Way::Sorted]);
    }

    #[test]
    fn files_out_of_the_time_that_is_asked_for_are_not_awaited() {
        let span = |least| Span { rows: 50_000, least, most: least + 49_999 };
        let spans = [span(0), span(50_000), span(100_000)];
        let mut turn = Turn::new(Way::ByFiles, Some(&spans), Some(50_000), Some(100_000));
        let numbers = Arc::new(Int64Array::from_iter_values(0..50_000)) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        assert!(turn.push(batch, (50_000..100_000).collect(), 50_000));
        let given = turn.release().unwrap().into_iter().flatten();
        let given: usize = given.map(|piece| piece.unwrap().0.num_rows()).sum();
        assert_eq!((given, turn.held.rows()), (50_000, 0));
    }
}
