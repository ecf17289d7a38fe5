//! Expectations: filters behind the decoder, and the column with the names of what a row failed.
//!
//! The conditions are those that the engine evaluates; NULL meets them here as well. What must stay true: a filter that is not in the
//! job is told.

use std::fmt::Write as _;

use forebay_core::config::ValueConfig;
use forebay_core::expectation::{FAILED_COLUMN, OnFail};

use super::Writer;
use super::python::literal;
use crate::expect::{Clause, clause};

impl Writer<'_> {
    /// What holds a source's rows to its expectations, the strictest first.
    pub(super) fn expected(&mut self, source: &str, value: &ValueConfig, notes: &mut String) -> String {
        let line = self.line(&["sources", source, "expect"]);
        let mut all = Vec::new();
        for it in &value.expect.all {
            let name = it.expected.name.to_string();
            match clause(&it.rule, source, &value.schema) {
                Ok(Clause { rate: Some(_), .. }) => notes.push_str(&self.missing(
                    it.place.0,
                    format!("source `{source}`: the expectation `{name}` is not in the job: Spark's filters do not know what a key said last"),
                )),
                Ok(Clause { sql, .. }) => all.push((it.expected.on_fail, name, format!("coalesce((\n{sql}\n), true)"))),
                Err(_) => notes.push_str(&self.missing(
                    it.place.0,
                    format!("source `{source}`: the expectation `{name}` cannot be written; `forebay validate` tells why"),
                )),
            }
        }
        all.sort_by_key(|(on_fail, ..)| std::cmp::Reverse(*on_fail));
        if all.is_empty() {
            return String::new();
        }
        // A condition may name its source.
        let mut code = format!("    .alias({})\n", literal(source));
        let mut flags = Vec::new();
        for (on_fail, name, holds) in &all {
            match on_fail {
                OnFail::Fail => {
                    let stop = format!(
                        "CASE WHEN {holds} THEN true ELSE raise_error('a row fails the expectation {name}') END"
                    );
                    let _ = writeln!(code, "    .where({})", literal(&stop));
                }
                OnFail::Quarantine | OnFail::Drop => {
                    let _ = writeln!(code, "    .where({})", literal(holds));
                }
                OnFail::Flag => flags.push(format!("CASE WHEN NOT {holds} THEN '{name}' END")),
            }
        }
        if !flags.is_empty() {
            let names = format!("filter(array({}), name -> name IS NOT NULL)", flags.join(", "));
            let _ =
                writeln!(code, "    .withColumn({}, F.expr({}))", literal(FAILED_COLUMN), literal(&names));
        }
        if value.expect.any(OnFail::Quarantine) {
            let text = format!(
                "source `{source}`: records that fail an expectation are left out; Spark has no quarantine"
            );
            notes.push_str(&self.note(line, text));
        }
        let text = format!(
            "source `{source}`: a row for which an expectation cannot be computed stops the job; in Forebay it fails that expectation"
        );
        notes.push_str(&self.note(line, text));
        code
    }
}
