//! How a batch is cut before its arrays are taken apart, so that what comes of a piece is of bounded size.
//!
//! ```text
//! records:   a ── b ── c ─────────────────────────────── d ─ e
//! slices:   [a    b] [c's first elements] [its next] … [d   e]
//!                     └── parts of one record: its fate is known with the last ──┘
//! ```
//!
//! Records stay whole as long as they can. What must stay true: the slices of a batch, one after the other, are all of its rows and all of
//! their elements, once; and parts of a record share a slice with nothing else.

use std::ops::Range;

use forebay_core::Error;
use forebay_core::error::codes;

use crate::tags::{Tags, ranges};

/// How large what comes of a piece may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most rows.
    pub rows: usize,
    /// Most bytes that the columns beside the array come to, unless a single row has more.
    pub bytes: u64,
}

/// As many rows as there are pairs of a join with a table, and as many bytes as the longest text that a record may have: so a piece is
/// no larger than the largest record can be.
pub(crate) const USUAL: Bounds = Bounds { rows: 65_536, bytes: 16 << 20 };

/// Most rows that a record may become. A message cannot hold as many elements; only arrays that are multiplied with each other
/// are as many, and of two of 100,000 elements each no epoch would ever come to its end.
pub(crate) const RECORD_ROWS: u64 = 10_000_000;

/// The error of a record that becomes more than [`RECORD_ROWS`]; `written` is the generator.
pub(crate) fn too_many(written: &str) -> Error {
    let message = format!("`{written}` makes more than {RECORD_ROWS} rows of one record");
    Error::new(&codes::QUERY_LIMIT, message).with_hint(
        "Its arrays are multiplied with each other, or are too long. Leave such records out: `WHERE size(…) < 1000` is asked \
         before the array is taken apart.",
    )
}

/// What a piece is of a record that is too much for one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// There is more to come.
    More,
    /// What is left of it.
    Last,
}

/// Rows of a batch from which a piece is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub rows: Range<usize>,
    /// Which elements, if it is a part of those of a single row.
    pub elements: Option<Range<usize>>,
    /// What it is of its record, if not all.
    pub part: Option<Part>,
}

/// How much comes of rows.
#[derive(Clone, Copy, Default)]
struct Size {
    rows: usize,
    bytes: u64,
}

impl Size {
    fn with(self, other: Self) -> Self {
        Self { rows: self.rows + other.rows, bytes: self.bytes.saturating_add(other.bytes) }
    }

    fn fits(self, bounds: Bounds) -> bool {
        self.rows <= bounds.rows && self.bytes <= bounds.bytes
    }
}

/// Cuts rows of which each becomes so many, each of so many bytes; empty if all are one slice. `part`: what they are of a single
/// record, if they are not all of some.
pub(super) fn cut(
    counts: &[usize],
    weights: &[u64],
    tags: &Tags,
    part: Option<Part>,
    bounds: Bounds,
) -> Vec<Slice> {
    let size =
        |row: usize| Size { rows: counts[row], bytes: weights[row].saturating_mul(counts[row] as u64) };
    let whole = |rows| Slice { rows, elements: None, part: None };
    let (mut out, mut filling) = (Vec::new(), Filling { rows: 0..0, size: Size::default(), bounds });
    for record in ranges(tags, counts.len()) {
        let of_record = record.clone().map(size).fold(Size::default(), Size::with);
        if of_record.fits(bounds) && part.is_none() {
            out.extend(filling.add(record, of_record).map(whole));
            continue;
        }
        out.extend(filling.end().map(whole));
        let first = out.len();
        for row in record {
            let most = bounds.bytes.checked_div(weights[row]).unwrap_or(u64::MAX);
            let most = usize::try_from(most).unwrap_or(usize::MAX).clamp(1, bounds.rows);
            if counts[row] <= most {
                out.extend(filling.add(row..row + 1, size(row)).map(whole));
                continue;
            }
            out.extend(filling.end().map(whole));
            out.extend((0..counts[row]).step_by(most).map(|from| {
                let elements = from..counts[row].min(from + most);
                Slice { rows: row..row + 1, elements: Some(elements), part: None }
            }));
        }
        out.extend(filling.end().map(whole));
        out.iter_mut().skip(first).for_each(|slice| slice.part = Some(Part::More));
        if let Some(last) = out.last_mut().filter(|last| last.part.is_some()) {
            last.part = Some(part.unwrap_or(Part::Last));
        }
    }
    out.extend(filling.end().map(whole));
    match out.as_slice() {
        [Slice { elements: None, .. }] => Vec::new(),
        _ => out,
    }
}

/// Rows beside each other that come into one slice.
struct Filling {
    rows: Range<usize>,
    size: Size,
    bounds: Bounds,
}

impl Filling {
    /// Adds rows; gives those before if they do not fit together.
    fn add(&mut self, rows: Range<usize>, size: Size) -> Option<Range<usize>> {
        let both = self.size.with(size);
        if !self.rows.is_empty() && both.fits(self.bounds) {
            (self.rows.end, self.size) = (rows.end, both);
            return None;
        }
        let before = self.end();
        (self.rows, self.size) = (rows, size);
        before
    }

    /// Those so far.
    fn end(&mut self) -> Option<Range<usize>> {
        self.size = Size::default();
        let rows = std::mem::take(&mut self.rows);
        (!rows.is_empty()).then_some(rows)
    }
}
