//! The record that a row came in, beside the columns that an operator reads: for the late table and for `why`.
//!
//! What must stay true: where a stream is joined with tables at rest, the record is the stream's, whatever the tables' columns are
//! called.

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::catalog::{KAFKA_COLUMN, SourceColumns};
use super::resolve::record::IN_ENVELOPE;
use super::{functions, generator, statics, union};

/// What each row says of its record, over the columns of `input` that come from the stream.
pub(super) fn record_columns(input: &LogicalPlan, columns: &SourceColumns) -> Vec<Expr> {
    let schema = input.schema();
    let is_of_stream = of_stream(input);
    // The columns of a table at rest may have the same names.
    let found = |name: &str| {
        let mut own = schema.iter().zip(&is_of_stream).filter(|(_, is)| **is).map(|(column, _)| column);
        own.find(|(_, field)| field.name() == name)
    };
    let named = |name: &str| found(name).map(|found| Expr::Column(found.into()));
    // Parts of a union have Kafka's own columns as the union's, each at its place, or not.
    let is_union = union::is_in(input);
    let is_envelope =
        !is_union && matches!(columns, SourceColumns::Envelope { .. }) && named("timestampType").is_some();
    let all: Option<Vec<Expr>> = IN_ENVELOPE
        .iter()
        .map(|(carried, plain)| {
            let of_envelope = || {
                if is_union {
                    return None;
                }
                let field = found(KAFKA_COLUMN)?;
                let has_it = matches!(field.1.data_type(), DataType::Struct(fields)
                    if fields.iter().any(|field| field.name() == plain));
                has_it.then(|| functions::field(Expr::Column(field.into()), plain))
            };
            let found = named(carried).or_else(of_envelope);
            let found = found.or_else(|| is_envelope.then(|| named(plain)).flatten());
            found.map(|expr| expr.alias(*carried))
        })
        .collect();
    all.unwrap_or_default()
}

/// Of each column of a plan without operators whether it reads the stream alone, and no table at rest.
fn of_stream(plan: &LogicalPlan) -> Vec<bool> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let (schema, below) = (projection.input.schema(), of_stream(&projection.input));
            let is = |column: &Column| {
                schema.maybe_index_of_column(column).and_then(|at| below.get(at)).is_some_and(|is| *is)
            };
            projection.expr.iter().map(|expr| expr.column_refs().into_iter().all(is)).collect()
        }
        LogicalPlan::Filter(filter) => of_stream(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => of_stream(&alias.input),
        LogicalPlan::Join(join) => match statics::sides(join) {
            Some(sides) => {
                let stream = of_stream(sides.stream);
                let table = vec![false; join.schema.fields().len().saturating_sub(stream.len())];
                if sides.stream_is_left { [stream, table].concat() } else { [table, stream].concat() }
            }
            None => vec![false; join.schema.fields().len()],
        },
        other => match generator::of(other) {
            // What is made of elements says nothing of the record, whatever it is called.
            Some(generate) => generate.passed(&of_stream(&generate.input), &false),
            None => vec![true; other.schema().fields().len()],
        },
    }
}
