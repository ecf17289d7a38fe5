//! A world around a join: two sides, tables, and a watermark that is set by hand.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator as Op;
use datafusion::physical_expr::expressions::{BinaryExpr, Literal};

mod alone;
mod kept;
mod meets;
mod model;

use super::*;
use crate::operators::join::Join;
use crate::operators::{PORTS, Step};
use crate::plan::graph::{JoinKind, JoinSide, JoinSpec, SideEnds};
use crate::state::{Changes, Upserts};

pub(crate) use JoinKind::{Full, Inner, Left, LeftSemi, Right};

/// Time in milliseconds, device, number.
pub type Maybe<'a> = (Option<i64>, Option<&'a str>, i64);

pub fn maybe(rows: &[Maybe<'_>]) -> RecordBatch {
    let micros = rows.iter().map(|row| row.0.map(|ms| ms * 1_000));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(micros.collect::<TimestampMicrosecondArray>().with_data_type(utc())),
        Arc::new(rows.iter().map(|row| row.1).collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.2 as f64)).collect::<Float64Array>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Columns of both sides: `ts, device, n, x, r_ts, r_device, r_n, r_x`.
pub fn pair() -> SchemaRef {
    let left = schema().fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>();
    let right = left.iter().map(|field| field.clone().with_name(format!("r_{}", field.name())));
    Arc::new(Schema::new(left.iter().cloned().chain(right).collect::<Vec<_>>()))
}

pub fn of_pair(name: &str) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(name, pair().index_of(name).unwrap()))
}

pub fn binary(left: Arc<dyn PhysicalExpr>, op: Op, right: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    Arc::new(BinaryExpr::new(left, op, right))
}

pub fn plus_ms(expr: Arc<dyn PhysicalExpr>, ms: i64) -> Arc<dyn PhysicalExpr> {
    let interval = ScalarValue::new_interval_mdn(0, 0, ms * 1_000_000);
    binary(expr, Op::Plus, Arc::new(Literal::new(interval)))
}

/// `r_ts <= ts + 10 ms AND ts <= r_ts + 20 ms`.
pub fn near() -> Arc<dyn PhysicalExpr> {
    let after = binary(of_pair("r_ts"), Op::LtEq, plus_ms(of_pair("ts"), 10));
    binary(after, Op::And, binary(of_pair("ts"), Op::LtEq, plus_ms(of_pair("r_ts"), 20)))
}

/// When rows of both sides are forgotten, by [`near`].
pub(super) fn by_near() -> [SideEnds; 2] {
    [SideEnds::Time { column: 0, shift_ms: -10 }, SideEnds::Time { column: 0, shift_ms: -20 }]
}

/// A join on these columns.
pub(crate) struct On {
    pub(crate) kind: JoinKind,
    pub keys: Vec<&'static str>,
    pub condition: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) ends: [SideEnds; 2],
}

impl On {
    pub(crate) fn near(kind: JoinKind) -> Self {
        Self { kind, keys: vec!["device"], condition: Some(near()), ends: by_near() }
    }

    pub(crate) fn join(self) -> Arc<dyn Operator> {
        Arc::new(Join::new(Arc::new(self.spec())).unwrap())
    }

    pub(crate) fn spec(self) -> JoinSpec {
        let [left, right] = self.ends.map(|ends| JoinSide {
            input: schema(),
            told: Vec::new(),
            keys: self.keys.iter().map(|key| column(key)).collect(),
            event_time: Some(0),
            ends,
        });
        let schema = schema();
        let key_fields = self.keys.iter().map(|key| Arc::new(schema.field_with_name(key).unwrap().clone()));
        let output = if self.kind == LeftSemi { schema.clone() } else { pair() };
        JoinSpec {
            name: "join-0".to_owned(),
            kind: self.kind,
            left,
            right,
            key_fields: key_fields.collect(),
            pair: pair(),
            condition: self.condition,
            output,
        }
    }
}

/// A join with its tables, epoch after epoch; the watermark is set by hand.
pub(super) struct Meet {
    pub operator: Arc<dyn Operator>,
    pub tables: Vec<Table>,
    pub times: EpochTimes,
    pub counts: [Counts; PORTS],
    pub late: Vec<LateRows>,
}

impl Meet {
    pub fn new(on: On) -> Self {
        let operator = on.join();
        let tables = operator.layouts().into_iter().map(|layout| Table::new(layout).unwrap()).collect();
        Self { operator, tables, times: EpochTimes::default(), counts: Default::default(), late: Vec::new() }
    }

    /// An epoch at a watermark of so many milliseconds.
    pub fn epoch(&mut self, watermark: i64, left: &[Maybe<'_>], right: &[Maybe<'_>]) -> Vec<String> {
        told(&self.lanes(watermark, [vec![maybe(left)], vec![maybe(right)]]))
    }

    /// Each batch is a lane.
    pub fn lanes(&mut self, watermark: i64, sides: [Vec<RecordBatch>; PORTS]) -> Vec<RecordBatch> {
        self.times =
            EpochTimes { late: self.times.evict, evict: Watermark(watermark), mode: OutputMode::Append };
        let mut partials = [Vec::new(), Vec::new()];
        for (port, lanes) in sides.into_iter().enumerate() {
            for batch in lanes {
                let mut late = Late::default();
                let mut lane = self.operator.partial(port, &self.times).unwrap();
                lane.push(batch, &mut late).unwrap();
                self.counts[port].add(&lane.counts());
                self.late.extend(late.take());
                partials[port].extend(lane.finish().unwrap());
            }
        }
        let Step { changes, rows, fates } = self.operator.run(&self.tables, partials, &self.times).unwrap();
        assert_eq!(changes.len(), self.tables.len());
        for (table, changes) in self.tables.iter_mut().zip(&changes) {
            table.apply(changes).unwrap();
        }
        self.counts.iter_mut().zip(&fates).for_each(|(counts, fates)| counts.add(fates));
        rows
    }

    /// Everything that is held lies elsewhere, as after a restart.
    pub fn restart(&mut self) {
        for (table, layout) in self.tables.iter_mut().zip(self.operator.layouts()) {
            let mut slots = table.all();
            slots.sort_by(|a, b| table.key(*b).cmp(table.key(*a)));
            let mut new = Table::new(layout).unwrap();
            for slots in slots.chunks(3) {
                let upserts = Upserts {
                    keys: table.keys(slots).unwrap(),
                    expires: slots.iter().map(|slot| table.expires(*slot)).collect::<Vec<_>>().into(),
                    values: table.values(slots).unwrap(),
                };
                new.apply(&Changes { upserts: Some(upserts), ..Default::default() }).unwrap();
            }
            *table = new;
        }
    }

    /// Rows that are held of each side.
    pub fn held(&self) -> (usize, usize) {
        (self.tables[0].len(), self.tables[1].len())
    }
}

/// Of each row time and number of the left, then of the right.
pub fn told(batches: &[RecordBatch]) -> Vec<String> {
    let short: Vec<RecordBatch> = batches
        .iter()
        .map(|batch| {
            let wanted: Vec<usize> = if batch.num_columns() == 4 { vec![0, 2] } else { vec![0, 2, 4, 6] };
            batch.project(&wanted).unwrap()
        })
        .collect();
    lines(&short)
}

fn row(ms: i64, device: &str, n: i64) -> Maybe<'_> {
    (Some(ms), Some(device), n)
}
