//! What a model says of a row, as SQL functions: a STRUCT of score, likelihood, is_anomaly and reason.
//!
//! ```text
//! k_means('models/far.json', heat, load)               a model that was trained before: each row by itself, anywhere
//! z_score(heat, at) OVER (PARTITION BY device)         one that learns: the rows of a key, in their order
//! ```
//!
//! The engine knows no model; [`forebay_core::detect::Functions`] makes them. One that learns has state: over a stream its call becomes the
//! operator of detectors (`plan/learned.rs`), and what is here is only asked for its type. Over tables at rest it judges
//! each partition from its first row to its last. Of the arguments numbers are judged, and a TIMESTAMP is the row's time.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    ColumnarValue, PartitionEvaluator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    WindowUDF, WindowUDFImpl,
};
use forebay_core::Error;
use forebay_core::detect::{Functions, Judge, Model, verdict_fields};
use forebay_core::error::codes;

use crate::plan::words::type_name;

/// The type of a verdict.
fn said() -> DataType {
    DataType::Struct(Fields::from(verdict_fields().to_vec()))
}

fn ours(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn of_verdict(columns: [ArrayRef; 4]) -> Result<ArrayRef> {
    let fields = Fields::from(verdict_fields().to_vec());
    Ok(Arc::new(StructArray::try_new(fields, columns.to_vec(), None)?))
}

/// Which of the arguments are judged, and which one is the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    pub judged: Vec<usize>,
    pub time: Option<usize>,
}

impl Places {
    /// Of arguments of these types; `name` is the function's.
    fn of(name: &str, types: &[&DataType]) -> Result<Self> {
        let wrong = |message: String| {
            let hint = format!(
                "Write {name}(…) of numbers, and of one TIMESTAMP if the rows have a time of their own."
            );
            Err(ours(Error::new(&codes::SQL_PLAN, message).with_hint(hint)))
        };
        let mut places = Self::default();
        for (index, data_type) in types.iter().enumerate() {
            match data_type {
                DataType::Timestamp(..) if places.time.is_some() => {
                    return wrong(format!("{name}(…) takes one TIMESTAMP, the time of the row"));
                }
                DataType::Timestamp(..) => places.time = Some(index),
                other if other.is_numeric() || **other == DataType::Boolean => places.judged.push(index),
                other => return wrong(format!("{name}(…) judges numbers, not {}", type_name(other))),
            }
        }
        if places.judged.is_empty() {
            return wrong(format!("{name}(…) needs a number that it judges"));
        }
        Ok(places)
    }

    fn of_fields(name: &str, fields: &[FieldRef]) -> Result<Self> {
        Self::of(name, &fields.iter().map(|field| field.data_type()).collect::<Vec<_>>())
    }

    fn inputs(&self, arrays: &[ArrayRef]) -> Vec<ArrayRef> {
        self.judged.iter().filter_map(|index| arrays.get(*index).cloned()).collect()
    }
}

/// A detector that learns.
pub(crate) struct Learner {
    /// What the planner calls it.
    name: String,
    kind: String,
    settings: Vec<(String, f64)>,
    /// What the arguments are called, for reasons.
    arguments: Vec<String>,
    functions: Arc<dyn Functions>,
    signature: Signature,
}

impl Learner {
    /// The function `name` for a kind with these settings.
    pub fn function(
        name: String,
        kind: &str,
        settings: Vec<(String, f64)>,
        arguments: Vec<String>,
        functions: Arc<dyn Functions>,
    ) -> WindowUDF {
        let signature = Signature::variadic_any(Volatility::Immutable);
        WindowUDF::from(Self { name, kind: kind.to_owned(), settings, arguments, functions, signature })
    }

    /// What judges arguments of these types, and which of them are which.
    pub fn model(&self, fields: &[FieldRef]) -> Result<(Arc<dyn Model>, Places)> {
        let places = Places::of_fields(&self.kind, fields)?;
        let name = |index: &usize| self.arguments.get(*index).cloned().unwrap_or_default();
        let names: Vec<String> = places.judged.iter().map(name).collect();
        let model = self.functions.learner(&self.kind, &self.settings, &names).map_err(ours)?;
        Ok((model, places))
    }
}

impl fmt::Debug for Learner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Learner").field("kind", &self.kind).field("settings", &self.settings).finish()
    }
}

impl PartialEq for Learner {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.kind == other.kind && self.settings == other.settings
    }
}

impl Eq for Learner {}

impl Hash for Learner {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl WindowUDFImpl for Learner {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        self.model(args.input_fields())?;
        Ok(Arc::new(Field::new(args.name(), said(), true)))
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        let (model, places) = self.model(args.input_fields())?;
        Ok(Box::new(Partition { model, places }))
    }
}

/// The rows of one key at rest, in their order.
#[derive(Debug)]
struct Partition {
    model: Arc<dyn Model>,
    places: Places,
}

impl PartitionEvaluator for Partition {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let mut judge = self.model.judge().map_err(ours)?;
        judged(judge.as_mut(), &self.places, values, rows)
    }
}

fn judged(judge: &mut dyn Judge, places: &Places, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let time = places.time.and_then(|index| values.get(index));
    let said = judge.judge(&vec![0; rows], time, &places.inputs(values)).map_err(ours)?;
    of_verdict(said)
}

/// A model that was trained before. `name` is what the planner calls it, `kind` what people do.
pub(crate) fn trained(name: String, kind: &str, model: Arc<dyn Model>) -> ScalarUDF {
    let signature = Signature::variadic_any(Volatility::Immutable);
    ScalarUDF::from(Trained { name, kind: kind.to_owned(), model, signature })
}

#[derive(Debug)]
struct Trained {
    name: String,
    kind: String,
    model: Arc<dyn Model>,
    signature: Signature,
}

impl PartialEq for Trained {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.model, &other.model)
    }
}

impl Eq for Trained {}

impl Hash for Trained {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Trained {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let places = Places::of(&self.kind, &types.iter().collect::<Vec<_>>())?;
        if places.time.is_some() {
            let message = format!("{}(…) judges numbers, not TIMESTAMP", self.kind);
            return Err(ours(Error::new(&codes::SQL_PLAN, message)));
        }
        Ok(said())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args.iter().map(|value| value.to_array(args.number_rows));
        let values = values.collect::<Result<Vec<ArrayRef>>>()?;
        let places = Places { judged: (0..values.len()).collect(), time: None };
        let mut judge = self.model.judge().map_err(ours)?;
        judged(judge.as_mut(), &places, &values, args.number_rows).map(ColumnarValue::Array)
    }
}
