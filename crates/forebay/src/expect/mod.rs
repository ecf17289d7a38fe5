//! `expect:` of a source: its expectations as SQL, checked with the file and put around the decoder.
//!
//! Each kind of expectation becomes one condition of Spark's SQL ([`clause`]), over the columns of the source alone. So one text is what
//! the engine evaluates, what `forebay validate` plans, and what the job of `forebay spark` filters by. What must stay true: whoever
//! reads a source's records by its name gets its format here, so that nobody sees rows that another is refused.

mod clause;

use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use forebay_connectors::formats;
use forebay_core::config::{ExpectationConfig, Problem, RuleConfig, SourceConfig, ValueConfig};
use forebay_core::error::codes;
use forebay_core::expectation::{CONDITION, Expected, OnFail};
use forebay_core::format::{BadRecord, BadRecordMode, Format};
use forebay_core::{Error, Result, fields};
use forebay_engine::expect::{self, Check, Expecting, Invalid, Rate};
use forebay_engine::plan::{self, Catalog, Fates, SourceColumns, StreamPlan};
use forebay_live::Layout;

use self::clause::Wrong;
pub use self::clause::{Clause, clause};
use crate::json::FromJson;
use crate::load;

/// The decoder of a source's values, whose rows are held to what the source expects.
pub fn format(source: &str, value: &ValueConfig) -> Result<Arc<dyn Format>> {
    let inner = formats::build(value)?;
    if value.expect.all.is_empty() {
        return Ok(inner);
    }
    let schema = inner.schema();
    let check = |it: &ExpectationConfig| {
        let Clause { sql, columns, wanted, code, rate } =
            clause(&it.rule, source, &schema).map_err(|wrong| wrong.error)?;
        // Two expectations of one thing remember for themselves: what one of them refuses the other may take.
        let rate = rate.map(|rate| Rate { id: format!("{}: {}", it.expected.name, rate.id).into(), ..rate });
        Ok(Check { expected: it.expected.clone(), code, sql, columns, wanted, rate })
    };
    let checks = value.expect.all.iter().map(check).collect::<Result<Vec<_>>>()?;
    let device = device(&schema, value);
    let expecting = Expecting::new(inner, source, checks, value.expect.time_zone, Some(&FromJson))?;
    Ok(Arc::new(expecting.by_device(device)))
}

/// The column by which failures are counted, by its names from the top down: the first by which the file tells devices apart, else one
/// whose name says that it names a device, else the key of a rate.
fn device(schema: &Schema, value: &ValueConfig) -> Option<Vec<String>> {
    let leaves = fields::leaves(schema);
    let can = |name: &str| leaves.iter().any(|leaf| leaf.name == name && leaf.can_be_key());
    let said = value.expect.devices.iter().find(|name| can(name)).cloned();
    let guessed = || Layout::new(schema, None, &[]).key_name().map(str::to_owned);
    let of_a_rate = || {
        value.expect.all.iter().find_map(|it| match &it.rule {
            RuleConfig::Rate { key, .. } => Some(key.text.trim().to_owned()).filter(|name| can(name)),
            _ => None,
        })
    };
    let name = said.or_else(guessed).or_else(of_a_rate)?;
    let leaf = leaves.iter().find(|leaf| leaf.name == name)?;
    let mut path = leaf.path.iter();
    let mut field = schema.fields().get(*path.next()?)?;
    let mut names = vec![field.name().clone()];
    for index in path {
        let DataType::Struct(inside) = field.data_type() else { return None };
        field = inside.get(*index)?;
        names.push(field.name().clone());
    }
    Some(names)
}

/// The same for who looks on: what stops a query is passed over here, because the query tells it.
pub fn looking_on(source: &str, value: &ValueConfig) -> Result<Arc<dyn Format>> {
    format(
        source,
        &ValueConfig { expect: value.expect.treating(OnFail::Fail, OnFail::Drop), ..value.clone() },
    )
}

/// The same for who asks why: each record that fails says so, whatever becomes of it.
pub fn explaining(source: &str, value: &ValueConfig) -> Result<Arc<dyn Format>> {
    let expect = value.expect.treating(OnFail::Fail, OnFail::Quarantine);
    let expect = expect.treating(OnFail::Drop, OnFail::Quarantine);
    format(source, &ValueConfig { expect, ..value.clone() })
}

/// The records that give no row, as rows: those that do not decode, and those that fail an expectation that lets no row go on.
pub fn invalid(source: &str, value: &ValueConfig) -> Result<Arc<dyn Format>> {
    let mode = match value.mode {
        // A row of NULLs is a row.
        BadRecordMode::Permissive => BadRecordMode::Permissive,
        _ => BadRecordMode::Quarantine,
    };
    Ok(Arc::new(Invalid::new(explaining(source, &ValueConfig { mode, ..value.clone() })?)))
}

/// What becomes of a record that [`explaining`] found bad, if it was an expectation: that of the strictest it failed.
pub fn fate_of(value: &ValueConfig, bad: &BadRecord) -> Option<OnFail> {
    let failed = value.expect.all.iter().filter(|it| bad.why.contains(&it.expected.told()));
    failed.map(|it| it.expected.on_fail).max().filter(|_| bad.code.starts_with("expect."))
}

/// The columns of a source's rows.
pub fn columns(value: &ValueConfig) -> Result<SchemaRef> {
    let expected: Vec<Expected> = value.expect.all.iter().map(|it| it.expected.clone()).collect();
    expect::columns(&formats::build(value)?.schema(), &expected)
}

/// What is wrong with a source's expectations, each at its place. `text` and `name` are the file's.
pub fn problems(source: &SourceConfig, text: &str, name: &str) -> Vec<Problem> {
    let Some(value) = &source.value else { return Vec::new() };
    let Ok(schema) = formats::build(value).map(|format| format.schema()) else { return Vec::new() };
    let found = value.expect.all.iter().filter_map(|it| wrong(it, source, value, &schema).err());
    let told = |it: Wrong| {
        let Wrong { error, piece, offset, length } = it;
        Problem::within(error, text, name, piece.place, &piece.text, offset, length)
    };
    found.map(told).collect()
}

fn wrong(
    it: &ExpectationConfig,
    source: &SourceConfig,
    value: &ValueConfig,
    schema: &SchemaRef,
) -> Result<(), Wrong> {
    let found = clause(&it.rule, &source.name, schema)?;
    let mut catalog = Catalog::in_zone(value.expect.time_zone);
    let piece = clause::suspect(&it.rule);
    // A plan over columns that are never NULL would not compute a row in which they are.
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let nothing = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    catalog
        .add_source(&source.name, SourceColumns::Decoded(Arc::clone(&nothing)))
        .map_err(|error| Wrong::whole(error, piece))?;
    let is_typed = found.code.id == CONDITION.id;
    let error = match plan::row_conditions(&catalog, &source.name, &[&found.sql], Some(&FromJson)) {
        Err(error) => error,
        Ok(_) if is_typed => return Ok(()),
        // A literal may be read only where the condition is computed.
        Ok(plan) => return on_nothing(&plan, nothing).map_err(|error| Wrong::whole(error, piece)),
    };
    if !is_typed && error.error.code() != &codes::INTERNAL {
        // What is planned is ours; what may be wrong in it is a value of the file.
        return Err(Wrong::whole(error.error, piece));
    }
    // The condition begins in the second line of the SQL; what is missing at its end is told there.
    let place = error.place.map(|(line, column)| (line.saturating_sub(1), column));
    let lines = piece.text.split('\n').count();
    let offset = match place {
        Some((line, _)) if line > lines => piece.text.trim_end().len(),
        Some((0, _)) | None => 0,
        Some(place) => load::offset_of(&piece.text, place),
    };
    let length = load::word_at(&piece.text, offset).len();
    Err(Wrong { error: error.error, piece: piece.clone(), offset, length })
}

/// Computes a condition for a row in which everything is NULL: what fails then is a literal.
fn on_nothing(plan: &StreamPlan, nothing: SchemaRef) -> Result<()> {
    let columns = nothing.fields().iter().map(|field| new_null_array(field.data_type(), 1)).collect();
    let rows = RecordBatch::try_new(nothing, columns)
        .map_err(|error| Error::new(&codes::INTERNAL, "a row of NULLs cannot be made").caused_by(error))?;
    let computed = plan.only_input()?.executor(0).process(rows, &mut Fates::default());
    computed.map(|_| ()).map_err(|error| {
        let bad = Error::new(&codes::BAD_VALUE, "this is no value of the column's type");
        bad.with_detail(error.detail().unwrap_or(error.message()))
            .with_hint("Write a time as `2026-11-21 10:00:00`, a date as `2026-11-21`.")
    })
}

#[cfg(test)]
mod tests;
