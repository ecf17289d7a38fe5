//! What the rows of a source are expected to be beyond their types, and what becomes of those that are not.
//!
//! An expectation is a condition that each row of a source meets or fails, by itself; only how fast a value changes is held against
//! [what the same key said last](crate::last). As with a CHECK of SQL a condition that is
//! NULL is met: only `required` says anything of a value that is missing. A row that fails several has one fate, the
//! strictest: the query stops, else the record is set aside, else it is dropped, else the row goes on and says what it failed. Each
//! of them is counted.
//!
//! What they are made of stands in [`crate::config`]; the engine evaluates them behind the decoder, so that whoever decodes a
//! source's records sees the same rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

use crate::format::RecordCode;

/// The column with the names of the expectations that a row failed. A source has it if one of its expectations flags.
pub const FAILED_COLUMN: &str = "_failed_expectations";

/// What becomes of a row that fails an expectation, the mildest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnFail {
    /// It goes on, and [`FAILED_COLUMN`] names what it failed.
    Flag,
    /// Its record is dropped and counted.
    Drop,
    /// Its record is set aside with its raw bytes.
    #[default]
    Quarantine,
    /// The query stops.
    Fail,
}

impl OnFail {
    /// All of them, in the order in which the reference tells them.
    pub const ALL: [Self; 4] = [Self::Quarantine, Self::Flag, Self::Drop, Self::Fail];

    /// The word in the file, in REST and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Flag => "flag",
            Self::Drop => "drop",
            Self::Fail => "fail",
        }
    }
}

/// An expectation as it is told of: its name, and what becomes of rows that fail it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its name, unique in its source.
    pub name: Arc<str>,
    /// What becomes of such rows.
    pub on_fail: OnFail,
}

/// What an expectation cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Nanoseconds of a core.
    pub nanos: u64,
    /// The rows that it was spent on.
    pub rows: u64,
}

impl Spent {
    /// Nanoseconds for a row; `None` before there was one.
    pub fn nanos_per_row(self) -> Option<f64> {
        (self.rows > 0).then(|| self.nanos as f64 / self.rows as f64)
    }
}

impl Expected {
    /// What every explanation of a row that failed it begins with.
    pub fn told(&self) -> String {
        format!("expectation `{}` failed: ", self.name)
    }
}

/// The field of [`FAILED_COLUMN`]: an ARRAY of STRING that is never NULL, and empty for a row that meets all.
pub fn failed_field() -> Field {
    let element = Field::new("element", DataType::Utf8, true);
    Field::new(FAILED_COLUMN, DataType::List(Arc::new(element)), false)
}

/// Below its bounds, or above.
pub static RANGE: RecordCode = RecordCode {
    id: "expect.range",
    meaning: "has a value that lies outside of the range that the source expects",
    remedy: "`why` tells the expectation and the value. Mend what sends it, or `min` and `max` of the expectation, then replay.",
};

/// Missing.
pub static REQUIRED: RecordCode = RecordCode {
    id: "expect.required",
    meaning: "lacks a value that the source requires",
    remedy: "`why` tells the expectation and the column. Mend what sends it, or leave the expectation out, then replay.",
};

/// Another form.
pub static PATTERN: RecordCode = RecordCode {
    id: "expect.pattern",
    meaning: "has a text in which the pattern that the source expects is not found",
    remedy: "`why` tells the expectation and the text. Mend what sends it, or the `pattern`, then replay.",
};

/// Not in the list.
pub static IN: RecordCode = RecordCode {
    id: "expect.in",
    meaning: "has a value that is none of those that the source expects",
    remedy: "`why` tells the expectation and the value. Add it to `in` if it is right, then replay.",
};

/// Another place.
pub static GEO: RecordCode = RecordCode {
    id: "expect.geo",
    meaning: "has coordinates that are no place on earth, or lie outside of the box that the source expects",
    remedy: "`why` tells the expectation and the coordinates. Latitudes lie from -90 to 90, longitudes from -180 to 180; often both are swapped.",
};

/// A condition that is false, or cannot be computed.
pub static CONDITION: RecordCode = RecordCode {
    id: "expect.condition",
    meaning: "does not meet a condition that the source expects",
    remedy: "`why` tells the expectation and the values that it names. Mend what sends it, or the `condition`, then replay.",
};

/// Changed too fast.
pub static RATE: RecordCode = RecordCode {
    id: "expect.rate",
    meaning: "has a value that differs more from the last one of its key than the time between them allows",
    remedy: "`why` tells the expectation and both values. Mend what sends it, or `maxRatePerSecond`, then replay: what is replayed is not held to it again.",
};

/// The codes of records that were set aside by an expectation, in the order of the reference.
pub static CODES: [&RecordCode; 7] = [&RANGE, &REQUIRED, &PATTERN, &IN, &GEO, &CONDITION, &RATE];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl;

    #[test]
    fn the_column_of_failed_expectations_is_what_the_ddl_says_of_it() {
        let written = ddl::parse(&format!("{FAILED_COLUMN} ARRAY<STRING> NOT NULL")).unwrap();
        assert_eq!(written.field(0), &failed_field());
    }

    #[test]
    fn the_strictest_fate_is_the_greatest() {
        assert!(
            OnFail::Fail > OnFail::Quarantine
                && OnFail::Quarantine > OnFail::Drop
                && OnFail::Drop > OnFail::Flag
        );
    }
}
