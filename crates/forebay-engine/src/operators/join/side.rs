//! One side of a join: its columns, its tables, and when its rows are forgotten.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use forebay_core::Result;

use super::condition::nullable;
use super::is_outer;
use crate::operators::{meaning, misplaced, times_of};
use crate::plan::graph::{JoinKind, JoinSide, JoinSpec, SideEnds};
use crate::plan::{OFFSET_COLUMN, RECORD_COLUMNS};
use crate::state::{Layout, NEVER};

/// One side of a join.
pub(super) struct Side {
    pub spec: JoinSide,
    /// How many columns come out: the first of its input.
    pub width: usize,
    /// How many columns the key has.
    pub keys: usize,
    /// What a row must be to meet any other, over its input.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// True if a row that met no other comes out.
    pub outer: bool,
    /// True if a row goes with its first match.
    pub once: bool,
    /// Its rows: key and number; of an outer side whether it has met another; the columns.
    pub rows: Arc<Layout>,
    /// Of each key the first number that a row may have, the next that none has, and a number with the time at which all rows
    /// below it are forgotten.
    pub heads: Arc<Layout>,
    /// What the lanes give: key, when the row is forgotten, whether it may meet another, the columns.
    pub came: SchemaRef,
}

impl Side {
    pub fn new(spec: &JoinSpec, is_left: bool, filter: Option<Arc<dyn PhysicalExpr>>) -> Result<Self> {
        let (outer, once) = (is_outer(spec.kind, is_left), is_left && spec.kind == JoinKind::LeftSemi);
        let own = if is_left { &spec.left } else { &spec.right };
        let width = visible(&own.input);
        let columns = nullable(&own.input)[..width].to_vec();
        let key_fields = nullable(&Schema::new(spec.key_fields.clone()));
        let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, false));
        let met = outer.then(|| field("met", DataType::Boolean));
        let values: Vec<FieldRef> = met.into_iter().chain(columns.iter().cloned()).collect();
        let numbered = key_fields.iter().cloned().chain([field("number", DataType::Int64)]).collect();
        let bounds = ["first", "next", "mark", "until"].map(|name| field(name, DataType::Int64)).to_vec();
        let told = meaning::join(spec, is_left);
        let came = key_fields
            .iter()
            .cloned()
            .chain([field("expires", DataType::Int64), field("may_meet", DataType::Boolean)])
            .chain(columns);
        Ok(Self {
            spec: own.clone(),
            width,
            keys: key_fields.len(),
            filter,
            outer,
            once,
            rows: Layout::new(numbered, meaning::values(values, told.clone())),
            came: Arc::new(Schema::new(came.collect::<Vec<_>>())),
            heads: Layout::new(key_fields, meaning::values(bounds, told)),
        })
    }

    /// When these rows are forgotten: at a watermark of so many µs.
    pub fn expires(&self, batch: &RecordBatch, keys: &[ArrayRef]) -> Result<Vec<i64>> {
        let (times, shift_us) = match self.spec.ends {
            SideEnds::Never => return Ok(vec![NEVER; batch.num_rows()]),
            SideEnds::Key(index) => (keys.get(index), 0),
            SideEnds::Time { column, shift_ms } => {
                (batch.columns().get(column), shift_ms.saturating_mul(1_000))
            }
        };
        let times = times_of(times.ok_or_else(misplaced)?)?;
        Ok(times.iter().map(|time| time.map_or(NEVER, |time| time.saturating_sub(shift_us))).collect())
    }

    /// How many of the values in the table of rows stand before the columns.
    pub fn flags(&self) -> usize {
        usize::from(self.outer)
    }

    /// True if its rows are forgotten at all.
    pub fn forgets(&self) -> bool {
        self.spec.ends != SideEnds::Never
    }
}

/// How many columns of an input are no hidden ones of its record.
pub(in crate::operators) fn visible(input: &SchemaRef) -> usize {
    let is_hidden = |name: &str| name == OFFSET_COLUMN || RECORD_COLUMNS.contains(&name);
    let hidden = input.fields().iter().rev().take_while(|field| is_hidden(field.name())).count();
    input.fields().len() - hidden
}
