//! Of which record each row is, where a record may be several rows: behind a join with tables at rest, behind a generator.
//!
//! What must stay true: the rows of one record stand beside each other, in every batch and from one batch to the next.

use std::ops::Range;

use arrow::buffer::BooleanBuffer;

/// Of which record each row is: rows of one record stand beside each other and have the same number. `None`: each row is a
/// record of its own.
pub(crate) type Tags = Option<Vec<u32>>;

/// How many records these rows are of.
pub(crate) fn records(tags: &Tags, rows: usize) -> u64 {
    match tags {
        None => rows as u64,
        Some(tags) => tags.chunk_by(|a, b| a == b).count() as u64,
    }
}

/// The rows of each record.
pub(crate) fn ranges(tags: &Tags, rows: usize) -> Vec<Range<usize>> {
    let Some(tags) = tags else { return (0..rows).map(|row| row..row + 1).collect() };
    let mut end = 0;
    let of_record = |record: &[u32]| {
        let start = end;
        end += record.len();
        start..end
    };
    tags.chunk_by(|a, b| a == b).map(of_record).collect()
}

/// The tags of rows of which each is of one of the rows before; these have such tags.
pub(crate) fn of_rows(tags: &Tags, rows: &[u32]) -> Tags {
    match tags {
        Some(tags) => Some(rows.iter().map(|row| tags[*row as usize]).collect()),
        None if rows.windows(2).any(|pair| pair[0] == pair[1]) => Some(rows.to_vec()),
        None => None,
    }
}

/// Which rows are not the first of their record; `None` if all are.
pub(crate) fn repeats(tags: &Tags) -> Option<BooleanBuffer> {
    let tags = tags.as_ref()?;
    let repeats = |row: usize| row > 0 && tags.get(row - 1) == tags.get(row);
    let repeats = BooleanBuffer::collect_bool(tags.len(), repeats);
    (repeats.count_set_bits() > 0).then_some(repeats)
}

/// How many records have none of these rows, which stand in their order.
pub(crate) fn without(tags: &Tags, rows: usize, kept: &[u32]) -> u64 {
    let mut is_kept = vec![false; rows];
    kept.iter().for_each(|row| is_kept[*row as usize] = true);
    gone(tags, &BooleanBuffer::from(is_kept))
}

/// How many records have no row that is kept.
pub(crate) fn gone(tags: &Tags, kept: &BooleanBuffer) -> u64 {
    let Some(tags) = tags else { return (!kept).count_set_bits() as u64 };
    let (mut gone, mut row) = (0, 0);
    for record in tags.chunk_by(|a, b| a == b) {
        gone += u64::from(!(row..row + record.len()).any(|row| kept.value(row)));
        row += record.len();
    }
    gone
}
