//! Which earlier record has the same key for `deduplicate`, among those that were found.
//!
//! What must stay true: a record counts as earlier only where that is sure. It stands before the other in the same partition,
//! a committed epoch read it, it passes the filters with one row and did not come too late: so its key was there.

use arrow::array::{ArrayRef, RecordBatch};
use forebay_core::Partition;
use forebay_core::window::interval::words;
use forebay_engine::taken::Once;

/// A record whose key is known to have been there.
#[derive(Debug)]
pub struct Known {
    partition: Partition,
    offset: i64,
    key: Vec<ArrayRef>,
}

impl Known {
    /// The record at this place, by the rows that it gives; `None` unless it is one.
    pub fn new(partition: &Partition, offset: i64, rows: &RecordBatch, once: &Once) -> Option<Self> {
        Some(Self { partition: partition.clone(), offset, key: key(rows, once)? })
    }
}

/// What `deduplicate` makes of a record with these rows.
pub fn fate(place: (&Partition, i64), rows: &RecordBatch, once: &Once, known: &[Known]) -> String {
    let (partition, offset) = place;
    let key = key(rows, once);
    let is_earlier =
        |it: &&Known| it.partition == *partition && it.offset < offset && Some(&it.key) == key.as_ref();
    let first = known.iter().filter(is_earlier).min_by_key(|it| it.offset);
    match (first, once.within_us.map(words)) {
        (Some(first), None) => {
            format!("`deduplicate` drops it: {partition} offset {} has the same key", first.offset)
        }
        (Some(first), Some(within)) => format!(
            "`deduplicate` drops it: {partition} offset {} has the same key, unless that was forgotten (`within` {within})",
            first.offset
        ),
        (None, None) => "goes on unless its key was there already (`deduplicate` keeps the first)".to_owned(),
        (None, Some(within)) => {
            format!(
                "goes on unless its key was there already (`deduplicate` keeps the first within {within})"
            )
        }
    }
}

fn key(rows: &RecordBatch, once: &Once) -> Option<Vec<ArrayRef>> {
    let column = |index: &usize| rows.columns().get(*index).cloned();
    if rows.num_rows() == 1 { once.keys.iter().map(column).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn an_earlier_record_with_the_key_is_the_first_of_them_in_its_partition() {
        let rows = |keys: &[Option<i64>]| {
            let names: ArrayRef = Arc::new(StringArray::from(vec!["n"; keys.len()]));
            let keys: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
            RecordBatch::try_from_iter_with_nullable([("name", names, true), ("key", keys, true)]).unwrap()
        };
        let once = |within_us| Once { keys: vec![1], within_us };
        let (here, there) = (Partition::new("t", 0), Partition::new("t", 1));
        let known: Vec<Known> =
            [(&here, 3, Some(7)), (&here, 1, Some(7)), (&there, 0, Some(8)), (&here, 2, None)]
                .iter()
                .filter_map(|(partition, offset, key)| {
                    Known::new(partition, *offset, &rows(&[*key]), &once(None))
                })
                .collect();
        assert_eq!(known.len(), 4);
        let told =
            |offset, keys: &[Option<i64>], within| fate((&here, offset), &rows(keys), &once(within), &known);
        let dropped = "`deduplicate` drops it: t-0 offset 1 has the same key";
        assert_eq!(told(5, &[Some(7)], None), dropped);
        let forgotten = "unless that was forgotten (`within` 10 minutes)";
        assert_eq!(told(5, &[Some(7)], Some(600_000_000)), format!("{dropped}, {forgotten}"));
        assert_eq!(told(5, &[None], None), "`deduplicate` drops it: t-0 offset 2 has the same key");
        let open = "goes on unless its key was there already (`deduplicate` keeps the first)";
        for (offset, keys) in [(1, &[Some(7)][..]), (5, &[Some(8)]), (5, &[Some(7), Some(7)])] {
            assert_eq!(told(offset, keys, None), open, "{offset} {keys:?}");
        }
        let open = "goes on unless its key was there already (`deduplicate` keeps the first within 1 second)";
        assert_eq!(told(1, &[Some(7)], Some(1_000_000)), open);
    }
}
