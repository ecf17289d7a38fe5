//! Joins of streams that Spark refuses, with its reasons: `UnsupportedOperationChecker` of 4.0.

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

/// Refuses a join whose rows without a partner would never be known to stay alone.
pub(super) fn refuse_endless(kind: JoinKind, (left, right): (SideEnds, SideEnds)) -> Result<(), Error> {
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
    Err(refusal(
        &codes::WATERMARK_MISSING,
        &format!("{what} of two streams is not possible without a watermark that ends it"),
        &format!(
            "Only a watermark says that a row will meet no other. Give the source a `watermark`, and let ON compare its \
             time: as one of the keys (r.time = l.time, or their windows), or within a range such as {range}."
        ),
    ))
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
