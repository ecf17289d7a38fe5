//! GROUPING SETS, ROLLUP and CUBE of a stream: from the group expressions of the logical plan to sets of keys.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, GroupingSet};
use forebay_core::Error;
use forebay_core::error::codes;

use super::graph::KeySet;
use super::sql_error::SqlError;

/// Most expressions of a CUBE: it has all sets of them, and each row goes into a group of each.
const MOST_OF_CUBE: usize = 10;

/// One of GROUPING SETS: which group expressions it has, and its number.
pub(super) struct Set {
    has: Vec<bool>,
    number: u64,
}

/// The group expressions, each once, and the sets of them that are asked for.
pub(super) fn grouped(group: &[Expr]) -> Result<(Vec<&Expr>, Vec<Set>), SqlError> {
    let [Expr::GroupingSet(sets)] = group else { return Ok((group.iter().collect(), Vec::new())) };
    let exprs = sets.distinct_expr();
    let all = exprs.len();
    let lists: Vec<Vec<bool>> = match sets {
        GroupingSet::Rollup(_) => (0..=all).map(|first| (0..all).map(|key| key < first).collect()).collect(),
        GroupingSet::Cube(_) if all <= MOST_OF_CUBE => {
            (0..1_usize << all).map(|set| (0..all).map(|key| (set >> key) & 1 == 1).collect()).collect()
        }
        GroupingSet::Cube(_) => Vec::new(),
        GroupingSet::GroupingSets(lists) => {
            lists.iter().map(|list| exprs.iter().map(|expr| list.contains(expr)).collect()).collect()
        }
    };
    if lists.is_empty() || lists.len() > 1 << MOST_OF_CUBE || all > 60 {
        let message = format!("a GROUP BY with more than {} grouping sets", 1 << MOST_OF_CUBE);
        return Err(Error::new(&codes::SQL_PLAN, message).with_hint("Make several queries of it.").into());
    }
    // As DataFusion numbers them: a bit for each expression that is left out, the last one's lowest, and above them how
    // often the same set was there before.
    let mut seen: Vec<Set> = Vec::with_capacity(lists.len());
    for has in lists {
        let left_out = has.iter().fold(0_u64, |bits, has| (bits << 1) | u64::from(!has));
        let before = seen.iter().filter(|set| set.has == has).count() as u64;
        seen.push(Set { has, number: (before << all) | left_out });
    }
    Ok((exprs, seen))
}

/// The sets as an operator has them: over its keys, which are the group expressions but the window.
pub(super) fn key_sets(
    sets: Vec<Set>,
    (window, event_key, is_session): (Option<usize>, Option<usize>, bool),
    number: Option<&FieldRef>,
) -> Result<Vec<KeySet>, SqlError> {
    let refused =
        |message: &str, hint: &str| Err(Error::new(&codes::NOT_YET, message).with_hint(hint).into());
    let mut of_keys = Vec::with_capacity(sets.len());
    for Set { mut has, number: id } in sets {
        if is_session {
            return refused(
                "GROUPING SETS, CUBE or ROLLUP of sessions are not supported yet",
                "Make one query for each of the groups.",
            );
        }
        let has_window = window.is_none_or(|window| has.remove(window));
        if !has_window || event_key.is_some_and(|key| has.get(key) == Some(&false)) {
            return refused(
                "the event time is in some of the grouping sets only",
                "Put it before them, into all: GROUP BY window(at, '1 minute'), ROLLUP (hall, device_id).",
            );
        }
        let data_type = number.map_or(DataType::UInt64, |field| field.data_type().clone());
        let number = ScalarValue::UInt64(Some(id)).cast_to(&data_type).map_err(SqlError::planning)?;
        of_keys.push(KeySet { has, number });
    }
    Ok(of_keys)
}
