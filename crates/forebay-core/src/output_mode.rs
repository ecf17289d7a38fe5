//! What of a query's result the sink gets after an epoch: Spark's output modes.
//!
//! Which of them a query may have is decided where its operators are known, by the planner; here they have names.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which rows of the result an epoch hands to the sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutputMode {
    /// Rows that are final: each is written once and never changes.
    #[default]
    Append,
    /// Rows that are new or changed since the epoch before.
    Update,
    /// The whole result, in place of the one before.
    Complete,
}

impl OutputMode {
    /// All of them, in the order of the reference.
    pub const ALL: [Self; 3] = [Self::Append, Self::Update, Self::Complete];

    /// Its name in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Update => "update",
            Self::Complete => "complete",
        }
    }

    /// The mode of this name, in upper or lower case as in Spark.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.word().eq_ignore_ascii_case(text.trim()))
    }
}

impl fmt::Display for OutputMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_reads_in_any_case_and_prints_as_the_file_has_it() {
        for mode in OutputMode::ALL {
            assert_eq!(OutputMode::parse(mode.word()), Some(mode));
            assert_eq!(OutputMode::parse(&mode.to_string().to_uppercase()), Some(mode));
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{mode}\""));
        }
        assert_eq!(OutputMode::parse("appended"), None);
        assert_eq!(OutputMode::default(), OutputMode::Append);
    }
}
