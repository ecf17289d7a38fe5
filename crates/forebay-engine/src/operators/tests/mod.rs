//! A world around one operator: tables, lanes and Spark's watermark arithmetic, without an epoch loop.

mod aggregate;
mod chain;
mod deduplicate;
mod detect;
mod hostile;
pub(crate) mod join;
mod kinds;
mod limit;
mod model;
mod numbers;
mod session;
mod speed;
mod sql;
mod written;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::functions_aggregate::{count::count_udaf, min_max::max_udaf, sum::sum_udaf};
use datafusion::logical_expr::AggregateUDF;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::Column;
use forebay_core::event_time::Watermark;
use forebay_core::output_mode::OutputMode;
use forebay_core::window::Sliding;

use super::aggregate::Aggregation;
use super::{Counts, EpochTimes, Late, LateRows, Operator, Step};
use crate::plan::graph::{AggregateSpec, WindowKey};
use crate::state::Table;

pub use OutputMode::{Append, Complete, Update};

/// A row: time in milliseconds, device, number.
pub type Row<'a> = (i64, &'a str, i64);

pub fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// `ts TIMESTAMP, device STRING, n BIGINT, x DOUBLE`.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("ts", utc(), true),
        Field::new("device", DataType::Utf8View, true),
        Field::new("n", DataType::Int64, true),
        Field::new("x", DataType::Float64, true),
    ]))
}

pub fn batch(rows: &[Row<'_>]) -> RecordBatch {
    let micros: Vec<i64> = rows.iter().map(|row| row.0 * 1_000).collect();
    raw(
        &micros,
        &rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.2).collect::<Vec<_>>(),
    )
}

/// With times in microseconds.
pub fn raw(micros: &[i64], devices: &[&str], numbers: &[i64]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from(micros.to_vec()).with_data_type(utc())),
        Arc::new(StringViewArray::from_iter_values(devices)),
        Arc::new(Int64Array::from(numbers.to_vec())),
        Arc::new(Float64Array::from_iter_values(numbers.iter().map(|n| *n as f64))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub fn column(name: &str) -> Arc<dyn PhysicalExpr> {
    let index = schema().index_of(name).unwrap();
    Arc::new(Column::new(name, index))
}

pub fn call(
    udaf: Arc<AggregateUDF>,
    args: Vec<Arc<dyn PhysicalExpr>>,
    name: &str,
) -> Arc<AggregateFunctionExpr> {
    Arc::new(AggregateExprBuilder::new(udaf, args).schema(schema()).alias(name).build().unwrap())
}

/// `count(n), sum(n), max(n)`.
pub fn three() -> Vec<Arc<AggregateFunctionExpr>> {
    vec![
        call(count_udaf(), vec![column("n")], "count"),
        call(sum_udaf(), vec![column("n")], "sum"),
        call(max_udaf(), vec![column("n")], "max"),
    ]
}

pub fn window_field(name: &str) -> FieldRef {
    let bounds = vec![Field::new("start", utc(), false), Field::new("end", utc(), false)];
    Arc::new(Field::new(name, DataType::Struct(bounds.into()), false))
}

/// GROUP BY a window of so many milliseconds, if any, and these columns.
pub struct Grouping {
    pub keys: Vec<&'static str>,
    pub window: Option<(i64, i64)>,
    pub aggregates: Vec<Arc<AggregateFunctionExpr>>,
    pub filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    pub event_key: Option<usize>,
    pub watermarked: bool,
}

impl Default for Grouping {
    fn default() -> Self {
        Self {
            keys: vec!["device"],
            window: None,
            aggregates: three(),
            filters: vec![None; 3],
            event_key: None,
            watermarked: true,
        }
    }
}

impl Grouping {
    pub fn operator(self) -> Arc<dyn Operator> {
        let schema = schema();
        let key_fields: Vec<FieldRef> =
            self.keys.iter().map(|key| Arc::new(schema.field_with_name(key).unwrap().clone())).collect();
        let mut fields = key_fields.clone();
        let window = self.window.map(|(size, slide)| {
            fields.insert(0, window_field("window"));
            let sliding = Sliding::new(size * 1_000, slide * 1_000, 0).unwrap();
            WindowKey { ts: column("ts"), sliding, position: 0 }
        });
        fields.extend(self.aggregates.iter().map(|aggregate| aggregate.field()));
        let spec = AggregateSpec {
            name: "aggregate-0".to_owned(),
            input: schema,
            told: Vec::new(),
            keys: self.keys.iter().map(|key| column(key)).collect(),
            key_fields,
            sets: Vec::new(),
            window,
            event_key: self.event_key,
            aggregates: self.aggregates,
            filters: self.filters,
            output: Arc::new(Schema::new(fields)),
            watermarked: self.watermarked,
        };
        Arc::new(Aggregation::new(Arc::new(spec)).unwrap())
    }
}

/// By windows of so many milliseconds and device.
pub fn windowed(size: i64, slide: i64) -> Arc<dyn Operator> {
    Grouping { window: Some((size, slide)), ..Grouping::default() }.operator()
}

/// An operator with its tables, epoch after epoch.
pub struct World {
    pub operator: Arc<dyn Operator>,
    pub tables: Vec<Table>,
    pub times: EpochTimes,
    /// The watermark that the next epoch evicts by.
    pub watermark: i64,
    pub delay: i64,
    pub counts: Counts,
    pub late: Vec<LateRows>,
}

impl World {
    pub fn new(operator: Arc<dyn Operator>, mode: OutputMode, delay: i64) -> Self {
        let tables = operator.layouts().into_iter().map(|layout| Table::new(layout).unwrap()).collect();
        let times = EpochTimes { mode, ..EpochTimes::default() };
        Self { operator, tables, times, watermark: 0, delay, counts: Counts::default(), late: Vec::new() }
    }

    /// One lane, one batch.
    pub fn epoch(&mut self, rows: &[Row<'_>]) -> Vec<String> {
        lines(&self.lanes(vec![vec![batch(rows)]]))
    }

    /// An epoch of these batches in these lanes.
    pub fn lanes(&mut self, lanes: Vec<Vec<RecordBatch>>) -> Vec<RecordBatch> {
        self.step(lanes).rows
    }

    /// The same, with what it changed.
    pub(crate) fn step(&mut self, lanes: Vec<Vec<RecordBatch>>) -> Step {
        let times =
            EpochTimes { late: self.times.evict, evict: Watermark(self.watermark), mode: self.times.mode };
        self.times = times;
        let mut partials = Vec::new();
        for batches in lanes {
            let (mut lane, mut late) = (self.operator.partial(0, &times).unwrap(), Late::default());
            for batch in batches {
                let highest = batch
                    .column(0)
                    .as_primitive_opt::<TimestampMicrosecondType>()
                    .and_then(arrow::compute::max);
                if let Some(highest) = highest {
                    self.watermark = self.watermark.max(highest.div_euclid(1_000).saturating_sub(self.delay));
                }
                lane.push(batch, &mut late).unwrap();
            }
            self.counts.add(&lane.counts());
            self.late.extend(late.take());
            partials.extend(lane.finish().unwrap());
        }
        let step = self.operator.run(&self.tables, [partials, Vec::new()], &times).unwrap();
        assert_eq!(step.changes.len(), self.tables.len());
        self.counts.add(&step.fates[0]);
        for (table, changes) in self.tables.iter_mut().zip(&step.changes) {
            table.apply(changes).unwrap();
        }
        step
    }

    /// Spark's batch without data, which follows when the watermark has moved.
    pub fn settle(&mut self) -> Vec<String> {
        lines(&self.settled())
    }

    pub fn settled(&mut self) -> Vec<RecordBatch> {
        if self.watermark <= self.times.evict.0 || !self.operator.follows_watermark(self.times.mode) {
            return Vec::new();
        }
        self.lanes(Vec::new())
    }
}

/// Rows as text: windows as milliseconds, other values as they print.
pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| match column.data_type() {
                DataType::Struct(_) => {
                    let bounds = column.as_struct().columns().iter();
                    let bounds: Vec<String> = bounds
                        .map(|bound| {
                            (bound.as_primitive::<TimestampMicrosecondType>().value(row) / 1_000).to_string()
                        })
                        .collect();
                    bounds.join("-")
                }
                DataType::Timestamp(..) if column.is_valid(row) => {
                    (column.as_primitive::<TimestampMicrosecondType>().value(row) / 1_000).to_string()
                }
                _ => ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string(),
            });
            lines.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    lines
}
