//! Rows that are expected against rows that were found: the same, in any order, and only by what is written.
//!
//! An expected row that leaves columns out may fit several found ones, so the rows are matched as a whole: as many as
//! can be, whatever their order. What must stay true: two rows that are expected need two rows that are found.

use super::cell::Cell;

/// Most found rows that are shown beyond those that are expected.
const MOST_SHOWN: usize = 20;

/// How the rows differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Rows that are as expected.
    pub alike: usize,
    /// Expected rows that are not there, each with its line, and the found row that is most like it.
    pub missing: Vec<(usize, Cell, Option<Cell>)>,
    /// Found rows that nothing expects, and that are like none of those.
    pub surplus: Vec<Cell>,
    /// How many more of them there are.
    pub more: usize,
}

/// What is not as expected; `None` if all is. If not `all` rows are told, others may be there.
pub fn compare(expected: &[(usize, Cell)], found: &[Cell], all: bool) -> Option<Difference> {
    let fits: Vec<Vec<usize>> = expected
        .iter()
        .map(|(_, row)| (0..found.len()).filter(|at| row.expects(&found[*at])).collect())
        .collect();
    // By found row: the expected one that has it.
    let mut taken: Vec<Option<usize>> = vec![None; found.len()];
    for row in 0..expected.len() {
        take(row, &fits, &mut taken, &mut vec![false; found.len()]);
    }
    let has_place = |row: usize| taken.contains(&Some(row));
    let mut left: Vec<&Cell> =
        found.iter().zip(&taken).filter(|(_, by)| by.is_none()).map(|(row, _)| row).collect();
    let lacking: Vec<&(usize, Cell)> =
        expected.iter().enumerate().filter(|(row, _)| !has_place(*row)).map(|(_, it)| it).collect();
    if lacking.is_empty() && (left.is_empty() || !all) {
        return None;
    }
    let is_one_each = lacking.len() == 1 && left.len() == 1;
    let missing = lacking
        .iter()
        .map(|(line, row)| {
            let likeness = left.iter().enumerate().map(|(at, other)| (alike(row, other), at));
            let most = likeness.max_by_key(|(count, at)| (*count, std::cmp::Reverse(*at)));
            // With nothing in common it is another row, unless there is no other.
            let near = most.filter(|(count, _)| *count > 0 || is_one_each);
            (*line, row.clone(), near.map(|(_, at)| left.remove(at).clone()))
        })
        .collect();
    let surplus: Vec<Cell> = if all { left.into_iter().cloned().collect() } else { Vec::new() };
    let more = surplus.len().saturating_sub(MOST_SHOWN);
    let surplus = surplus.into_iter().take(MOST_SHOWN).collect();
    Some(Difference { alike: expected.len() - lacking.len(), missing, surplus, more })
}

/// Finds a found row for an expected one, moving others to another that fits them too.
fn take(row: usize, fits: &[Vec<usize>], taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for at in &fits[row] {
        if std::mem::replace(&mut tried[*at], true) {
            continue;
        }
        if taken[*at].is_none_or(|other| take(other, fits, taken, tried)) {
            taken[*at] = Some(row);
            return true;
        }
    }
    false
}

/// How many of the expected columns are as in the found row.
fn alike(expected: &Cell, found: &Cell) -> usize {
    let Cell::Fields(fields) = expected else { return 0 };
    let is_same =
        |(name, value): &&(String, Cell)| found.field(name).is_some_and(|found| value.expects(found));
    fields.iter().filter(is_same).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fields: &[(&str, i128)]) -> Cell {
        Cell::Fields(fields.iter().map(|(name, value)| ((*name).to_owned(), Cell::Int(*value))).collect())
    }

    #[test]
    fn rows_that_say_little_leave_the_others_their_place() {
        let found = [row(&[("k", 1), ("v", 1)]), row(&[("k", 1), ("v", 2)])];
        // The first fits both; it must not take what the second needs.
        let expected = [(1, row(&[("k", 1)])), (2, row(&[("k", 1), ("v", 1)]))];
        assert_eq!(compare(&expected, &found, true), None);
        assert_eq!(compare(&expected[1..], &found, false), None);
        let difference = compare(&expected[1..], &found, true).unwrap();
        assert_eq!((difference.alike, difference.surplus.len()), (1, 1));
    }

    #[test]
    fn a_row_that_is_expected_twice_must_be_there_twice() {
        let expected = [(1, row(&[("k", 1)])), (2, row(&[("k", 1)]))];
        let difference = compare(&expected, &[row(&[("k", 1)])], true).unwrap();
        assert_eq!((difference.alike, difference.missing.len(), &difference.missing[0].2), (1, 1, &None));
    }

    #[test]
    fn a_missing_row_stands_beside_the_one_most_like_it() {
        let found =
            [row(&[("k", 1), ("v", 9), ("w", 9)]), row(&[("k", 1), ("v", 2), ("w", 9)]), row(&[("k", 7)])];
        let expected = [(4, row(&[("k", 1), ("v", 2), ("w", 3)]))];
        let difference = compare(&expected, &found, true).unwrap();
        assert_eq!(difference.missing, [(4, expected[0].1.clone(), Some(found[1].clone()))]);
        assert_eq!(difference.surplus, [found[0].clone(), found[2].clone()]);
        assert_eq!(compare(&[], &found, true).unwrap().surplus.len(), 3);
        assert_eq!(compare(&[], &found, false), None);
    }
}
