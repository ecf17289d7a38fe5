//! A detector, as a node of a logical plan: its input's columns, and behind them what a model says of each row.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use forebay_core::Error;
use forebay_core::detect::{Model, verdict_fields};
use forebay_core::error::codes;
use forebay_core::options::unknown_name;

use super::catalog::Detect;
use super::type_name;

/// The node.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub input: LogicalPlan,
    /// The columns that tell the watched things apart, as indexes into the input's.
    pub keys: Vec<usize>,
    /// The columns that are judged.
    pub columns: Vec<usize>,
    /// The column with the time of a row, if one was named.
    pub time: Option<usize>,
    pub model: Arc<dyn Model>,
    schema: DFSchemaRef,
}

/// A plan whose rows pass a model. Its columns are found without regard to case, among those that are not `hidden`.
pub(super) fn judged(
    input: LogicalPlan,
    detect: &Detect,
    hidden: &[&str],
) -> std::result::Result<LogicalPlan, Error> {
    let fields: Vec<&Field> = input.schema().fields().iter().map(AsRef::as_ref).collect();
    let shown = || fields.iter().enumerate().filter(|(_, field)| !hidden.contains(&field.name().as_str()));
    let find = |what: &str, name: &str, is_good: fn(&DataType) -> bool, takes: &str| match shown()
        .find(|(_, field)| field.name().eq_ignore_ascii_case(name))
    {
        Some((index, field)) if is_good(field.data_type()) => Ok(index),
        Some((_, field)) => {
            let found = type_name(field.data_type());
            let message = format!("`{what}`: the column `{name}` is of type {found}, not {takes}");
            Err(Error::new(&codes::SQL_PLAN, message)
                .with_hint("A view can make another column of it: `CAST(… AS …)`."))
        }
        None => {
            let error = unknown_name("column", name, shown().map(|(_, field)| field.name().as_str()));
            Err(Error::new(&codes::SQL_PLAN, format!("`{what}`: {}", error.message()))
                .with_hint(error.hint()))
        }
    };
    let each = |what, names: &[String], is_good, takes| {
        names.iter().map(|name| find(what, name, is_good, takes)).collect::<std::result::Result<Vec<_>, _>>()
    };
    let keys = each("key", &detect.keys, is_key, "a text or a whole number")?;
    let columns = each("column", &detect.columns, is_number, "a number")?;
    let time =
        detect.time.iter().map(|name| find("time", name, is_time, "a TIMESTAMP")).next().transpose()?;
    let said = verdict_fields();
    let is_said = |field: &Field| said.iter().any(|own| own.name().eq_ignore_ascii_case(field.name()));
    if let Some((_, field)) = shown().find(|(_, field)| is_said(field)) {
        let message = format!("what the detector watches has a column `{}` already", field.name());
        return Err(Error::new(&codes::SQL_PLAN, message)
            .with_hint("A detector adds score, likelihood, is_anomaly and reason. Give the column another name in a view."));
    }
    let node = Judged::new(input, keys, columns, time, Arc::clone(&detect.model))
        .map_err(|error| super::core_error(&codes::SQL_PLAN, error))?;
    Ok(node.into_plan())
}

/// The node if a plan is one.
pub(super) fn of(plan: &LogicalPlan) -> Option<&Judged> {
    let LogicalPlan::Extension(extension) = plan else { return None };
    extension.node.as_any().downcast_ref::<Judged>()
}

pub(super) fn is_key(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_string() || *data_type == DataType::Boolean
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Boolean
}

fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, _))
}

impl Judged {
    pub fn new(
        input: LogicalPlan,
        keys: Vec<usize>,
        columns: Vec<usize>,
        time: Option<usize>,
        model: Arc<dyn Model>,
    ) -> Result<Self> {
        let own = input.schema();
        let mut fields: Vec<_> = own.iter().map(|(of, field)| (of.cloned(), Arc::clone(field))).collect();
        fields.extend(verdict_fields().map(|field| (None, field)));
        let schema = DFSchema::new_with_metadata(fields, own.metadata().clone())?;
        Ok(Self { input, keys, columns, time, model, schema: Arc::new(schema) })
    }

    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// Everything but the input.
    fn own(&self) -> (&[usize], &[usize], Option<usize>, String) {
        (&self.keys, &self.columns, self.time, self.model.meaning())
    }
}

impl PartialEq for Judged {
    fn eq(&self, other: &Self) -> bool {
        self.input == other.input && self.own() == other.own()
    }
}

impl Eq for Judged {}

impl Hash for Judged {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.own().hash(state);
    }
}

impl PartialOrd for Judged {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.own().partial_cmp(&other.own())
    }
}

impl UserDefinedLogicalNodeCore for Judged {
    fn name(&self) -> &str {
        "Detect"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Detect: {} of {:?} by {:?}", self.model.meaning(), self.columns, self.keys)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Self { keys, columns, time, model, .. } = self;
        match (inputs.pop(), inputs.is_empty()) {
            (Some(input), true) => Self::new(input, keys.clone(), columns.clone(), *time, Arc::clone(model)),
            _ => internal_err!("a detector has one input"),
        }
    }
}
