//! `deduplicate`, as a node of a logical plan: of the rows with the same key the first one counts.

use std::sync::Arc;

use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;

use super::catalog::Deduplicate;

/// The node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Once {
    pub input: LogicalPlan,
    /// The columns of the key, as indexes into the input's.
    pub keys: Vec<usize>,
    /// How long a key is remembered after the event time of its first row.
    pub within_us: Option<i64>,
}

/// A plan whose rows count once. Its keys are found without regard to case; without keys all columns that are not
/// `hidden` are the key.
pub(super) fn once(
    input: LogicalPlan,
    deduplicate: &Deduplicate,
    hidden: &[&str],
) -> Result<LogicalPlan, Error> {
    let names: Vec<&str> = input.schema().fields().iter().map(|field| field.name().as_str()).collect();
    let shown = || names.iter().enumerate().filter(|(_, name)| !hidden.contains(name));
    let mut keys = Vec::with_capacity(deduplicate.keys.len());
    for key in &deduplicate.keys {
        match shown().find(|(_, name)| name.eq_ignore_ascii_case(key)) {
            Some((index, _)) if keys.contains(&index) => {}
            Some((index, _)) => keys.push(index),
            None => {
                let error = unknown_name("column", key, shown().map(|(_, name)| *name));
                let error = Error::new(&codes::SQL_PLAN, format!("`deduplicate`: {}", error.message()))
                    .with_hint(error.hint());
                return Err(error);
            }
        }
    }
    if keys.is_empty() {
        keys = shown().map(|(index, _)| index).collect();
    }
    let node = Once { input, keys, within_us: deduplicate.within_us };
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// The node if a plan is one.
pub(super) fn of(plan: &LogicalPlan) -> Option<&Once> {
    let LogicalPlan::Extension(extension) = plan else { return None };
    extension.node.as_any().downcast_ref::<Once>()
}

impl PartialOrd for Once {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (&self.keys, self.within_us).partial_cmp(&(&other.keys, other.within_us))
    }
}

impl UserDefinedLogicalNodeCore for Once {
    fn name(&self) -> &str {
        "Deduplicate"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Deduplicate: keys={:?}", self.keys)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (inputs.pop(), inputs.is_empty()) {
            (Some(input), true) => Ok(Self { input, ..self.clone() }),
            _ => internal_err!("a de-duplication has one input"),
        }
    }
}
