//! The columns that an alert's query gives, and how a row of them is read.
//!
//! Whoever writes the query names them with the constants here. What must stay true: times are milliseconds, rounded
//! down, and no later than the epoch's own time, so that a clock that runs ahead cannot keep an alert from opening or
//! clearing; a record without a time has the epoch's, which is the same at every replay.

use std::sync::OnceLock;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, PrimitiveArray, RecordBatch, StringArray, UInt32Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use forebay_core::config::Severity;
use forebay_core::error::codes;
use forebay_core::source::happened_at;
use forebay_core::{Error, Result, ddl};
use serde_json::{Number, Value};

use crate::key;
use crate::logic::{LEVELS, Level, Logic, Watched};
use crate::machine::{Row, Said};
use crate::track::Evidence;

/// The key: texts, whole numbers or booleans.
pub const KEY: &str = "key";
/// Whether the condition holds: booleans.
pub const WHEN: &str = "when";
/// Whether the condition for clearing holds: booleans. Where the column is missing, it is that `when` does not.
pub const CLEAR: &str = "clear";
/// The record's place in its partition, where the query tells it: whole numbers of 64 bits.
pub const OFFSET: &str = "offset";
/// The record's timestamp.
pub const TIMESTAMP: &str = "timestamp";
/// The record's topic.
pub const TOPIC: &str = "topic";
/// The record's partition.
pub const PARTITION: &str = "partition";
/// The source that the record is of: where an alert watches several, each row says which.
pub const SOURCE: &str = "source";

/// The name of the column with the values of `column`.
pub fn value_column(column: &str) -> String {
    format!("value of {column}")
}

/// The name of the column [`WHEN`] of a level: that of the mildest is without its severity.
pub fn when_column(level: usize, severity: Severity) -> String {
    if level == 0 { WHEN.to_owned() } else { format!("{WHEN} of {}", severity.word()) }
}

/// The name of the column [`CLEAR`] of a level.
pub fn clear_column(level: usize, severity: Severity) -> String {
    if level == 0 { CLEAR.to_owned() } else { format!("{CLEAR} of {}", severity.word()) }
}

/// Where each column is in a batch.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    key: usize,
    /// By level, `when` and `clear`.
    levels: Vec<(usize, Option<usize>)>,
    /// Which value columns are watched for silence.
    fields: Vec<usize>,
    offset: Option<usize>,
    timestamp: usize,
    topic: usize,
    partition: usize,
    source: usize,
    /// In the order of the rule's value columns.
    values: Vec<usize>,
}

/// The rows of one batch.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Key, topic, source: as they came.
    texts: [ArrayRef; 3],
    partition: Int32Array,
    levels: Vec<(BooleanArray, Option<BooleanArray>)>,
    fields: Vec<ArrayRef>,
    micros: PrimitiveArray<TimestampMicrosecondType>,
    shown: Shown,
    /// No row is later, milliseconds since 1970.
    latest: i64,
    opened: OnceLock<Opened>,
}

/// Whose rows they are: what only those have to know who look at single rows.
#[derive(Debug)]
pub(crate) struct Opened {
    /// As the state holds them: none is NULL.
    key: StringArray,
    topic: StringArray,
    partition: Int32Array,
    source: StringArray,
}

/// What rows show.
#[derive(Debug)]
pub(crate) struct Shown {
    values: Vec<ArrayRef>,
    offset: Option<PrimitiveArray<Int64Type>>,
}

impl Columns {
    /// Finds the columns of a rule with these value columns, of which silence of `logic`'s fields is told.
    pub fn find<'a>(schema: &Schema, logic: &Logic, values: impl Iterator<Item = &'a str>) -> Result<Self> {
        let index = |name: &str| {
            schema.index_of(name).map_err(|e| {
                Error::new(&codes::INTERNAL, "the query of an alert lacks a column").caused_by(e)
            })
        };
        let of_type = |name: &str, expected: &DataType| -> Result<usize> {
            let index = index(name)?;
            match schema.field(index).data_type() {
                found if found == expected => Ok(index),
                found => {
                    let message = format!("the column `{name}` of an alert is {found}, not {expected}");
                    Err(Error::new(&codes::INTERNAL, message))
                }
            }
        };
        let optional = |name: &str, expected: &DataType| -> Result<Option<usize>> {
            schema.index_of(name).is_ok().then(|| of_type(name, expected)).transpose()
        };
        let level = |(level, of): (usize, &Level)| -> Result<(usize, Option<usize>)> {
            let when = of_type(&when_column(level, of.severity), &DataType::Boolean)?;
            Ok((when, optional(&clear_column(level, of.severity), &DataType::Boolean)?))
        };
        Ok(Self {
            key: index(KEY)?,
            levels: logic.levels.iter().take(LEVELS).enumerate().map(level).collect::<Result<_>>()?,
            fields: logic.fields().iter().map(|name| index(&value_column(name))).collect::<Result<_>>()?,
            offset: optional(OFFSET, &DataType::Int64)?,
            timestamp: of_type(TIMESTAMP, &ddl::timestamp())?,
            topic: index(TOPIC)?,
            partition: of_type(PARTITION, &DataType::Int32)?,
            source: index(SOURCE)?,
            values: values.map(|name| index(&value_column(name))).collect::<Result<_>>()?,
        })
    }

    /// The columns of a rule, which learns from them which of its levels have a condition of their own for clearing.
    pub fn of(schema: &Schema, watched: &mut Watched) -> Result<Self> {
        let names = watched.rule.values.iter().map(|column| column.name.as_str());
        let columns = Self::find(schema, &watched.logic, names)?;
        let levels = watched.logic.levels.iter_mut().zip(columns.have_clear());
        levels.for_each(|(level, has_clear)| level.has_clear = has_clear);
        Ok(columns)
    }

    /// By level, whether it has a condition of its own for clearing.
    pub fn have_clear(&self) -> impl Iterator<Item = bool> {
        self.levels.iter().map(|(_, clear)| clear.is_some())
    }

    /// The rows of a batch; none is later than `latest` (milliseconds since 1970).
    pub fn rows(&self, batch: &RecordBatch, latest: i64) -> Result<Rows> {
        let column = |index: usize| batch.columns().get(index).cloned().ok_or_else(missing);
        let bools = |index: usize| -> Result<BooleanArray> {
            column(index)?.as_boolean_opt().cloned().ok_or_else(missing)
        };
        Ok(Rows {
            texts: [column(self.key)?, column(self.topic)?, column(self.source)?],
            partition: column(self.partition)?.as_primitive_opt().cloned().ok_or_else(missing)?,
            levels: self
                .levels
                .iter()
                .map(|(when, clear)| Ok((bools(*when)?, clear.map(bools).transpose()?)))
                .collect::<Result<_>>()?,
            fields: self.fields.iter().map(|index| column(*index)).collect::<Result<_>>()?,
            micros: column(self.timestamp)?.as_primitive_opt().cloned().ok_or_else(missing)?,
            shown: Shown {
                values: self.values.iter().map(|index| column(*index)).collect::<Result<_>>()?,
                offset: match self.offset {
                    Some(offset) => Some(column(offset)?.as_primitive_opt().cloned().ok_or_else(missing)?),
                    None => None,
                },
            },
            latest,
            opened: OnceLock::new(),
        })
    }
}

impl Rows {
    /// A row of this key that says this, by so many levels, and shows its time.
    #[cfg(test)]
    pub fn one(key: &str, row: Row, (topic, partition, source): (&str, i32, &str), logic: &Logic) -> Self {
        use std::sync::Arc;
        let text = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
        let bools = |said: Option<bool>| BooleanArray::from(vec![said]);
        let levels = logic.levels.iter().zip(row.says);
        let has = |index: usize| row.fields >> index & 1 != 0;
        let at = PrimitiveArray::<Int64Type>::from(vec![row.at]);
        Self {
            // As a plan gives it, NULL is no sign yet.
            texts: [
                Arc::new(StringArray::from(vec![key::shown(key)])) as ArrayRef,
                text(topic),
                text(source),
            ],
            partition: Int32Array::from(vec![partition]),
            levels: levels
                .map(|(level, said)| (bools(said.when), level.has_clear.then(|| bools(said.clear))))
                .collect(),
            fields: (0..logic.fields().len())
                .map(|index| Arc::new(bools(has(index).then_some(true))) as ArrayRef)
                .collect(),
            micros: PrimitiveArray::from(vec![row.at * 1_000]),
            shown: Shown::new(vec![Arc::new(at.clone())], Some(at)),
            latest: row.at,
            opened: OnceLock::new(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.micros.len()
    }

    /// The rows for which a condition holds, in order; of several levels one row may come several times.
    pub fn holding(&self) -> impl Iterator<Item = usize> {
        self.levels.iter().filter(|(when, _)| when.has_true()).flat_map(|(when, _)| {
            let holding = match when.nulls() {
                Some(nulls) => when.values() & nulls.inner(),
                None => when.values().clone(),
            };
            holding.set_indices().collect::<Vec<_>>()
        })
    }

    /// Whose rows they are.
    pub fn opened(&self) -> Result<&Opened> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let text = |index: usize| -> Result<StringArray> {
            let texts = cast(&self.texts[index], &DataType::Utf8).map_err(unfit)?;
            texts.as_string_opt().cloned().ok_or_else(missing)
        };
        let (key, topic, source) = (key::column(&text(0)?), text(1)?, text(2)?);
        Ok(self.opened.get_or_init(|| Opened { key, topic, partition: self.partition.clone(), source }))
    }

    /// What a row says of its key.
    pub fn row(&self, row: usize) -> Row {
        let bool_of = |array: &BooleanArray| array.is_valid(row).then(|| array.value(row));
        let mut says = [Said::default(); LEVELS];
        for (said, (when, clear)) in says.iter_mut().zip(&self.levels) {
            *said = Said { when: bool_of(when), clear: clear.as_ref().and_then(bool_of) };
        }
        let field = |(index, column): (usize, &ArrayRef)| u32::from(column.is_valid(row)) << index;
        let fields = self.fields.iter().enumerate().map(field).sum();
        let at = happened_at(self.micros.value(row).div_euclid(1000), self.latest);
        Row { at, says, fields }
    }

    /// What they show.
    pub fn shown(&self) -> &Shown {
        &self.shown
    }
}

impl Opened {
    /// The key of a row, as the state holds it.
    pub fn key(&self, row: usize) -> &str {
        self.key.value(row)
    }

    /// Where the record of a row was: source, topic, partition.
    pub fn partition(&self, row: usize) -> (&str, &str, i32) {
        (self.source.value(row), self.topic.value(row), self.partition.value(row))
    }

    /// How far the rows go on from this one that come from its partition.
    pub fn same_partition(&self, from: usize) -> usize {
        if is_all_alike(&self.source) && is_all_alike(&self.topic) && is_one_number(&self.partition) {
            return self.key.len();
        }
        let place = self.partition(from);
        (from + 1..self.key.len()).find(|row| self.partition(*row) != place).unwrap_or(self.key.len())
    }
}

impl Shown {
    #[cfg(test)]
    pub fn new(values: Vec<ArrayRef>, offset: Option<PrimitiveArray<Int64Type>>) -> Self {
        Self { values, offset }
    }

    /// What a row shows.
    pub fn evidence(&self, row: usize) -> Evidence {
        Evidence {
            values: self.values.iter().map(|column| value(column, row)).collect(),
            offset: self.offset.as_ref().map(|offset| offset.value(row)),
        }
    }

    /// What these rows show, and no others.
    pub fn only(&self, rows: &UInt32Array) -> Result<Self> {
        let only = |column: &dyn Array| take(column, rows, None).map_err(unfit);
        let offset = self.offset.as_ref().map(|offset| only(offset)).transpose()?;
        Ok(Self {
            values: self.values.iter().map(|column| only(column)).collect::<Result<_>>()?,
            offset: offset.and_then(|offset| offset.as_primitive_opt().cloned()),
        })
    }
}

/// True if all texts are the first one, as a look at their bytes tells.
fn is_all_alike(texts: &StringArray) -> bool {
    let (ends, bytes) = (texts.value_offsets(), texts.value_data());
    let (Some(first), Some(last)) = (ends.first(), ends.last()) else { return true };
    let length = ends.get(1).map_or(0, |end| end - first);
    let of = |from: i32, to: i32| bytes.get(from as usize..to as usize);
    texts.null_count() == 0
        && ends.windows(2).all(|pair| pair[1] - pair[0] == length)
        && of(*first, last - length) == of(first + length, *last)
}

fn is_one_number(numbers: &Int32Array) -> bool {
    let first = numbers.values().first();
    numbers.null_count() == 0 && numbers.values().iter().all(|number| Some(number) == first)
}

/// A cell as JSON: numbers, booleans and texts as they are, everything else as text. JSON has no NaN; that is a text.
fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    // The usual ones, without an array in between.
    if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
        let number = numbers.value(row);
        return Number::from_f64(number).map_or_else(|| Value::from(number.to_string()), Value::Number);
    }
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return Value::from(numbers.value(row));
    }
    if let Some(texts) = column.as_string_view_opt() {
        return Value::from(texts.value(row));
    }
    let of_type = |to: &DataType| cast(&column.slice(row, 1), to).ok();
    let found = match column.data_type() {
        DataType::Boolean => of_type(&DataType::Boolean).map(|one| Value::Bool(one.as_boolean().value(0))),
        kind if kind.is_integer() => {
            of_type(&DataType::Int64).map(|one| Value::from(one.as_primitive::<Int64Type>().value(0)))
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => of_type(&DataType::Float64).map(|one| {
            let number = one.as_primitive::<Float64Type>().value(0);
            Number::from_f64(number).map_or_else(|| Value::from(number.to_string()), Value::Number)
        }),
        _ => None,
    };
    found.unwrap_or_else(|| {
        let options = FormatOptions::default();
        let text = ArrayFormatter::try_new(column.as_ref(), &options)
            .and_then(|formatter| formatter.value(row).try_to_string());
        text.map_or(Value::Null, Value::String)
    })
}

/// A value as a message shows it.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn missing() -> Error {
    Error::new(&codes::INTERNAL, "a batch does not have the columns that the alert was opened with")
}

fn unfit(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "a column of an alert is not what it should be").caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{Date32Array, Float32Array, Float64Array, Int64Array, StringViewArray};

    #[test]
    fn cells_become_what_their_readers_expect() {
        let cells: Vec<(ArrayRef, Value)> = vec![
            (Arc::new(Float64Array::from(vec![71.5])), Value::from(71.5)),
            (Arc::new(Float32Array::from(vec![0.5])), Value::from(0.5)),
            (Arc::new(Float64Array::from(vec![f64::NAN])), Value::from("NaN")),
            (Arc::new(Float64Array::from(vec![None])), Value::Null),
            (Arc::new(Int32Array::from(vec![-3])), Value::from(-3)),
            (Arc::new(Int64Array::from(vec![i64::MAX])), Value::from(i64::MAX)),
            (Arc::new(BooleanArray::from(vec![true])), Value::from(true)),
            (Arc::new(StringArray::from(vec!["x"])), Value::from("x")),
            (Arc::new(StringViewArray::from(vec!["y"])), Value::from("y")),
            (Arc::new(Date32Array::from(vec![1])), Value::from("1970-01-02")),
        ];
        for (column, expected) in cells {
            assert_eq!(value(&column, 0), expected, "{}", column.data_type());
        }
    }
}
