//! Joins of streams that Spark refuses, with its reasons: `UnsupportedOperationChecker` of 4.0.

use std::collections::BTreeSet;

use datafusion::common::JoinType;
use forebay_core::Error;
use forebay_core::error::{Code, codes};

use crate::plan::graph::{JoinKind, SideEnds};

/// What a join does with rows that meet no other.
pub(super) fn kind(kind: JoinType) -> Result<JoinKind, Error> {
    Ok(match kind {
        JoinType::Inner => JoinKind::Inner,
        JoinType::Left => JoinKind::Left,
        JoinType::Right => JoinKind::Right,
        JoinType::Full => JoinKind::Full,
        JoinType::LeftSemi => JoinKind::LeftSemi,
        JoinType::LeftAnti | JoinType::RightAnti => {
            return Err(refusal(
                &codes::NOT_STREAMING,
                "ANTI JOIN of two streams is not possible",
                "Spark refuses it too. Write LEFT JOIN, and keep the rows whose right side IS NULL.",
            ));
        }
        other => {
            return Err(refusal(
                &codes::NOT_STREAMING,
                &format!("{other} JOIN of two streams is not possible"),
                "Spark has LEFT SEMI JOIN: exchange the two sides.",
            ));
        }
    })
}

/// Refuses a join whose rows without a partner would never be known to stay alone; `untimed` are those of its sources that have
/// no watermark.
pub(super) fn refuse_endless(
    kind: JoinKind,
    (left, right): (SideEnds, SideEnds),
    untimed: &BTreeSet<&str>,
) -> Result<(), Error> {
    let ends = |side: SideEnds| side != SideEnds::Never;
    let (is_known, what, range) = match kind {
        JoinKind::Inner => return Ok(()),
        JoinKind::Left => (ends(left), "a LEFT JOIN", "r.time <= l.time + INTERVAL 1 MINUTE"),
        JoinKind::LeftSemi => (ends(left), "a LEFT SEMI JOIN", "r.time <= l.time + INTERVAL 1 MINUTE"),
        JoinKind::Right => (ends(right), "a RIGHT JOIN", "l.time <= r.time + INTERVAL 1 MINUTE"),
        JoinKind::Full => {
            (ends(left) || ends(right), "a FULL JOIN", "r.time BETWEEN l.time AND l.time + INTERVAL 1 MINUTE")
        }
    };
    if is_known {
        return Ok(());
    }
    let compare =
        format!("as one of the keys (r.time = l.time, or their windows), or within a range such as {range}");
    let names: Vec<String> = untimed.iter().map(|name| format!("`{name}`")).collect();
    let (missing, hint) = match names.as_slice() {
        [] => (
            "a range of time that ends it",
            format!(
                "The sources have a watermark, but ON does not say how far apart in time two rows may be, so that one would wait \
                 for ever. Let it compare the event times: {compare}."
            ),
        ),
        [name] => (A_WATERMARK, watermark(&format!("the source {name}"), &compare)),
        names => (A_WATERMARK, watermark(&format!("the sources {}", names.join(" and ")), &compare)),
    };
    let message = format!("{what} of two streams is not possible without {missing}");
    Err(refusal(&codes::WATERMARK_MISSING, &message, &hint))
}

const A_WATERMARK: &str = "a watermark that ends it";

fn watermark(sources: &str, compare: &str) -> String {
    format!(
        "Only a watermark says that a row will meet no other. Give {sources} a `watermark`, and let ON compare the event times: \
         {compare}."
    )
}

pub(super) fn no_key() -> Error {
    refusal(
        &codes::NOT_STREAMING,
        "a join of two streams without equality is not possible",
        "Spark refuses it too: each row would have to be compared with every other. Add a key that both sides have: ON \
         l.device_id = r.device_id AND …",
    )
}

pub(super) fn no_clock() -> Error {
    refusal(
        &codes::NOT_STREAMING,
        "now() is not possible in the condition of an outer join of two streams",
        "Compare the clock in WHERE, or in a subquery of one side.",
    )
}

fn refusal(code: &'static Code, message: &str, hint: &str) -> Error {
    Error::new(code, message).with_hint(hint)
}
