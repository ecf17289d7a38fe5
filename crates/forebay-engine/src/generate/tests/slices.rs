//! The slices of a batch are all of it, none too large, and parts of a record are told as such.

use proptest::prelude::*;

use crate::generate::slices::{Bounds, Part, Slice, cut};
use crate::tags::{Tags, ranges};

const SMALL: Bounds = Bounds { rows: 10, bytes: 100 };

/// Of each row how many it becomes, how many bytes each is, and whether it is of the same record as the row before.
fn rows() -> impl Strategy<Value = Vec<(usize, u64, bool)>> {
    prop::collection::vec((0_usize..40, 0_u64..130, any::<bool>()), 1..30)
}

fn tags(rows: &[(usize, u64, bool)]) -> Vec<u32> {
    let mut tag = 0;
    let next = |(_, _, same): &(usize, u64, bool)| {
        tag += u32::from(!same);
        tag
    };
    rows.iter().map(next).collect()
}

fn elements(slice: &Slice, counts: &[usize]) -> usize {
    slice.elements.as_ref().map_or_else(|| counts[slice.rows.clone()].iter().sum(), |elements| elements.len())
}

fn check(rows: &[(usize, u64, bool)], tags: &Tags, part: Option<Part>) -> Result<(), TestCaseError> {
    let counts: Vec<usize> = rows.iter().map(|row| row.0).collect();
    let weights: Vec<u64> = rows.iter().map(|row| row.1).collect();
    let slices = cut(&counts, &weights, tags, part, SMALL);
    let records = ranges(tags, rows.len());
    if slices.is_empty() {
        let bytes: u64 = rows.iter().map(|row| row.0 as u64 * row.1).sum();
        let is_one = rows.len() == 1 && counts[0] <= 1;
        prop_assert!(is_one || (counts.iter().sum::<usize>() <= SMALL.rows && bytes <= SMALL.bytes));
        return Ok(());
    }
    // All rows and all their elements, in order.
    let (mut row, mut element) = (0, 0);
    for slice in &slices {
        prop_assert_eq!(slice.rows.start, row);
        match &slice.elements {
            Some(elements) => {
                prop_assert_eq!((slice.rows.len(), elements.start), (1, element));
                prop_assert!(!elements.is_empty());
                element = elements.end;
                if element == counts[row] {
                    (row, element) = (row + 1, 0);
                }
            }
            None => {
                prop_assert_eq!(element, 0);
                row = slice.rows.end;
            }
        }
        let of_slice = elements(slice, &counts);
        let bytes: u64 = match &slice.elements {
            Some(elements) => elements.len() as u64 * weights[slice.rows.start],
            None => slice.rows.clone().map(|row| counts[row] as u64 * weights[row]).sum(),
        };
        prop_assert!(of_slice <= SMALL.rows);
        prop_assert!(bytes <= SMALL.bytes || of_slice == 1);
    }
    prop_assert_eq!((row, element), (rows.len(), 0));
    // Slices without a part hold whole records; those with one share a record, and the last one says so.
    for (at, slice) in slices.iter().enumerate() {
        let own: Vec<_> =
            records.iter().filter(|it| it.start < slice.rows.end && slice.rows.start < it.end).collect();
        match slice.part {
            None => {
                prop_assert!(own.iter().all(|it| slice.rows.start <= it.start && it.end <= slice.rows.end))
            }
            Some(told) => {
                prop_assert_eq!(own.len(), 1);
                let next = slices.get(at + 1).map(|next| next.rows.start);
                let goes_on = next.is_some_and(|next| next < own[0].end);
                let last = part.unwrap_or(Part::Last);
                prop_assert_eq!(told, if goes_on { Part::More } else { last });
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn slices_are_all_of_the_batch_and_none_is_too_large(rows in rows()) {
        check(&rows, &None, None)?;
        check(&rows, &Some(tags(&rows)), None)?;
    }

    #[test]
    fn parts_of_a_record_are_cut_into_parts(rows in rows(), is_last: bool) {
        let part = if is_last { Part::Last } else { Part::More };
        check(&rows, &Some(vec![7; rows.len()]), Some(part))?;
    }
}
