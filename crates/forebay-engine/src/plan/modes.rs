//! Which output modes a query may have: what Spark's `UnsupportedOperationChecker` refuses, with the reason.

use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::output_mode::OutputMode;

/// An operator with state, as far as output modes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// GROUP BY or DISTINCT.
    Aggregate {
        /// Its groups end by the watermark.
        watermarked: bool,
        /// It makes sessions.
        session: bool,
        /// It is a DISTINCT.
        distinct: bool,
    },
    /// `deduplicate`; true if its keys are forgotten by the watermark.
    Deduplicate {
        /// The event time is one of its keys, or it has `within`.
        timed: bool,
    },
    /// A detector.
    Detect,
    /// A join of two streams.
    Join,
    /// LIMIT: the first rows there ever are.
    Limit,
}

/// An operator where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stands {
    pub kind: Kind,
    /// True if an aggregation is somewhere below it: two parts of a union are not below each other.
    pub is_behind_groups: bool,
}

/// Refuses a mode that these operators, in the order of the rows' way, do not have.
pub(super) fn check(operators: &[Stands], mode: OutputMode) -> Result<(), Error> {
    let kinds = || operators.iter().map(|it| it.kind);
    let aggregates = kinds().filter(|kind| matches!(kind, Kind::Aggregate { .. })).count();
    let not = |message: &str, hint: &str| Err(Error::new(&codes::OUTPUT_MODE, message).with_hint(hint));
    if mode != OutputMode::Append && kinds().any(|kind| kind == Kind::Join) {
        return Err(Error::new(
            &codes::OUTPUT_MODE,
            format!("output mode {mode} is not possible for a join of two streams"),
        )
        .with_hint(
            "Spark refuses it too: a pair comes out once, when its second row is there. Leave `outputMode` out.",
        ));
    }
    if mode == OutputMode::Update && kinds().any(|kind| kind == Kind::Limit) {
        return not(
            "LIMIT is not possible in output mode update",
            "Spark refuses it too: a row that changes is no new one. In append mode LIMIT gives the first rows there ever are, in \
             complete mode the first of a GROUP BY's result.",
        );
    }
    if mode == OutputMode::Complete && aggregates == 0 {
        return not(
            "output mode complete needs an aggregation",
            "Spark refuses it too: without GROUP BY the whole result would be every row there ever was. Leave `outputMode` out.",
        );
    }
    if mode == OutputMode::Append
        && let Some(Kind::Aggregate { distinct, .. }) =
            kinds().rev().find(|kind| matches!(kind, Kind::Aggregate { watermarked: false, .. }))
    {
        let what = if distinct { "DISTINCT" } else { "an aggregation" };
        return Err(Error::new(
            &codes::WATERMARK_MISSING,
            format!("output mode append is not possible for {what} without a watermark"),
        )
        .with_hint(
            "Append gives a group once it is done, and only a watermark says when: give the source a `watermark` and \
             group by a window(…) of its column or by the column itself. Or set `outputMode: update` or `complete`.",
        ));
    }
    if mode == OutputMode::Update && kinds().any(|kind| matches!(kind, Kind::Aggregate { session: true, .. }))
    {
        return not(
            "output mode update is not possible for session_window",
            "Spark refuses it too: a session that grows has another start or end, so it would not be the row it was. Use \
             append with a `watermark`, or complete.",
        );
    }
    if mode == OutputMode::Append {
        return Ok(());
    }
    let is_refused = |it: &Stands| it.is_behind_groups && it.kind != Kind::Deduplicate { timed: false };
    if operators.iter().any(is_refused) {
        return Err(Error::new(
            &codes::OUTPUT_MODE,
            format!("an aggregation in output mode {mode} cannot be followed by another operator with state"),
        )
        .with_hint("Its rows change after they were given. Use append, or write its table and read that with another query."));
    }
    Ok(())
}
