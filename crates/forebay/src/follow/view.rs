//! The rows of a view, made beside the queries: what a follower takes in place of a source's own.
//!
//! A view may join tables at rest: its rows are joined with the newest versions that can be read while they are made, and the follower waits for the
//! first ones.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType};
use arrow::error::ArrowError;
use forebay_core::clock::{Clock, millis};
use forebay_core::config::SourceConfig;
use forebay_core::error::codes;
use forebay_core::format::Decoded;
use forebay_core::source::Envelope;
use forebay_core::table::StaticTable;
use forebay_core::{Error, Result};
use forebay_engine::adhoc::lanes::with_envelope;
use forebay_engine::lookup::{Held, Newest};
use forebay_engine::plan::{Fates, RECORD_COLUMNS, StreamPlan};
use forebay_live::{ClockBounds, Prepare, ViewOf, ViewRows};
use futures::FutureExt;
use tokio::sync::watch;

use crate::load::Watched;

/// What makes the rows of a view of this source, which may join these tables. Fails if one that it joins is not among them.
pub fn view_of(
    watched: &Watched,
    source: &SourceConfig,
    tables: &[Arc<dyn StaticTable>],
    clock: &Arc<dyn Clock>,
) -> Result<ViewOf> {
    let skew = source.watermark.as_ref().and_then(|watermark| watermark.max_future_skew);
    let bounds = watched.config.time.as_ref().map(|_| ClockBounds {
        ahead_ms: skew.map_or(i64::MAX, millis),
        behind_ms: source.watermark.as_ref().map_or(i64::MAX, |watermark| millis(watermark.delay)),
    });
    let (tell, held) = watch::channel(Arc::<Held>::default());
    let prepare = match watched.plan.tables().is_empty() {
        true => None,
        false => Some(prepare(watched, tables, clock, tell)?),
    };
    let (plan, clock) = (Arc::clone(&watched.plan), Arc::clone(clock));
    let time = watched.config.time.as_ref().map(|time| time.text.clone());
    let make = move |envelope: &Envelope, decoded: Decoded, take: &mut dyn FnMut(ViewRows)| {
        let held = Arc::clone(&held.borrow());
        make((&plan, held), time.as_deref(), clock.now_ms(), (envelope, decoded), take)
    };
    Ok(ViewOf {
        source: watched.source.clone(),
        schema: Arc::clone(&watched.schema),
        bounds,
        prepare,
        make: Box::new(make),
    })
}

/// What tells the tables that a view joins, as they are.
fn prepare(
    watched: &Watched,
    tables: &[Arc<dyn StaticTable>],
    clock: &Arc<dyn Clock>,
    tell: watch::Sender<Arc<Held>>,
) -> Result<Box<Prepare>> {
    let newest = Newest::new(&watched.plan, tables, &watched.config.name)?;
    // One look at a time; a stop may end one.
    let newest = Arc::new(tokio::sync::Mutex::new(newest));
    let clock = Arc::clone(clock);
    Ok(Box::new(move || {
        let (newest, clock, tell) = (Arc::clone(&newest), Arc::clone(&clock), tell.clone());
        async move {
            let now = newest.lock().await.look(clock.now_ms()).await?;
            tell.send_replace(now);
            Ok(())
        }
        .boxed()
    }))
}

/// Hands over what a view makes of records, in pieces of bounded size.
fn make(
    (plan, held): (&StreamPlan, Arc<Held>),
    time: Option<&str>,
    now_ms: i64,
    (envelope, decoded): (&Envelope, Decoded),
    take: &mut dyn FnMut(ViewRows),
) -> Result<()> {
    let input = plan.only_input()?;
    let rows = if input.wants_envelope() { with_envelope(decoded, envelope)? } else { decoded.rows };
    let mut executor = input.executor(now_ms).holding(held);
    executor.take(rows);
    while let Some(made) = executor.next(&mut Fates::default())? {
        let at = times(&made.batch, RECORD_COLUMNS[0], TimeUnit::Millisecond)?;
        let at = at.as_primitive::<TimestampMillisecondType>().values().to_vec();
        let event = |name: &str| -> Result<TimestampMicrosecondArray> {
            let column = times(&made.batch, name, TimeUnit::Microsecond)?;
            Ok(column.as_primitive::<TimestampMicrosecondType>().clone())
        };
        let times = time.map(event).transpose()?;
        take(ViewRows { rows: own(&made.batch)?, at, times, repeats: made.repeats });
    }
    Ok(())
}

/// The view's own columns.
fn own(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let is_own = |index: &usize| !RECORD_COLUMNS.contains(&schema.field(*index).name().as_str());
    let columns: Vec<usize> = (0..schema.fields().len()).filter(is_own).collect();
    batch.project(&columns).map_err(unfit)
}

fn times(batch: &RecordBatch, name: &str, unit: TimeUnit) -> Result<arrow::array::ArrayRef> {
    let column = batch.column_by_name(name).ok_or_else(|| {
        Error::new(&codes::INTERNAL, format!("the rows of a followed view have no column `{name}`"))
    })?;
    cast(column, &DataType::Timestamp(unit, None)).map_err(unfit)
}

fn unfit(error: ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "the rows of a followed view are not what its plan said").caused_by(error)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, BinaryViewArray};
    use arrow::util::display::array_value_to_string;
    use forebay_core::clock::ManualClock;
    use forebay_core::{Partition, Position};

    use super::*;
    use crate::load::{format_of, load};
    use crate::runnable::Run;

    const FILE: &str = "pipeline: p\nsources:\n  events:\n    format: kafka\n\
        \x20   options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: t }\n    value: json\n\
        \x20   schema: |\n      customerId STRING, eventTime TIMESTAMP,\n\
        \x20     data STRUCT<devices: ARRAY<STRUCT<deviceId: STRING, temperature: DOUBLE, status: STRING>>>\n\
        \x20   watermark: { column: eventTime, delay: 10 seconds }\n\
        views:\n  devices: SELECT customerId, d.deviceId, d.temperature, d.status, eventTime FROM events LATERAL VIEW explode(data.devices) t AS d\n\
        queries:\n  q: { sql: SELECT * FROM devices, format: console }\n\
        dashboard:\n  views:\n    devices: { key: deviceid, time: eventtime, labels: [customerid, STATUS] }\n";

    fn envelope(values: &[&str]) -> Envelope {
        Envelope {
            partition: Partition::new("t", 0),
            next: Position(100 + values.len() as i64),
            offsets: (100..100 + values.len() as i64).collect(),
            timestamps: (0..values.len() as i64).map(|index| 1_700_000_000_000 + index).collect(),
            timestamp_type: 0,
            values: BinaryViewArray::from_iter_values(values),
            keys: None,
            headers: None,
        }
    }

    fn words(column: &ArrayRef) -> Vec<String> {
        (0..column.len()).map(|row| array_value_to_string(column, row).unwrap()).collect()
    }

    /// The customers of the devices, as the view with the table tells them.
    fn customers(view: &mut ViewOf, source: &SourceConfig) -> Vec<String> {
        let envelope = envelope(&[
            r#"{"customerId": "C1", "data": {"devices": [{"deviceId": "D1"}, {"deviceId": "D2"}]}}"#,
            r#"{"customerId": "C2", "data": {"devices": [{"deviceId": "D3"}]}}"#,
        ]);
        let decoded = format_of(source).unwrap().unwrap().decoder().decode(&envelope.values).unwrap();
        let mut told = Vec::new();
        let mut take = |made: ViewRows| {
            let (devices, names) = (words(made.rows.column(0)), words(made.rows.column(1)));
            told.extend(devices.iter().zip(&names).map(|(device, name)| format!("{device} {name}")));
        };
        (view.make)(&envelope, decoded, &mut take).unwrap();
        told
    }

    #[tokio::test]
    async fn a_view_joined_with_a_table_tells_what_the_table_says_now() {
        let data = tempfile::tempdir().unwrap();
        let write = |text: &str| {
            let path = data.path().join("customers.csv");
            forebay_storage::Door::new().write_atomic(&path, text.as_bytes()).unwrap();
        };
        write("C1,Anna\n");
        let table = "tables:\n  customers: { format: csv, path: customers.csv, schema: \"id STRING, name STRING\" }\nviews:\n";
        let named = "  named: SELECT d.deviceId, c.name AS customer FROM devices d LEFT JOIN customers c ON d.customerId = c.id\nqueries:\n";
        let text = FILE.replace("views:\n  devices: SELECT", &format!("{table}  devices: SELECT"));
        let text = text.replace("queries:\n", named);
        let (text, _) = text.split_once("dashboard:").unwrap();
        let text = format!("{text}dashboard:\n  views:\n    named: {{ key: deviceId, labels: customer }}\n");
        let run = Run { data: data.path(), trigger: None, needs_tables: true, only: &[] };
        let loaded = load(&text, "p.yaml", Some(run))
            .map_err(|it| forebay_core::config::render(&it, &text, "p.yaml", false));
        let loaded = loaded.unwrap_or_else(|told| panic!("{told}"));
        let (watched, source) = (&loaded.watched[0], &loaded.pipeline.sources[0]);
        let clock: Arc<dyn Clock> = ManualClock::at(1_700_000_000_000);
        let mut view = view_of(watched, source, &loaded.tables, &clock).unwrap();
        let mut prepare = view.prepare.take().unwrap();
        prepare().await.unwrap();
        assert_eq!(customers(&mut view, source), ["D1 Anna", "D2 Anna", "D3 "]);
        // Another customer, and one of another name.
        write("C1,Anne\nC2,Bert\n");
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while customers(&mut view, source) != ["D1 Anne", "D2 Anne", "D3 Bert"] {
            assert!(std::time::Instant::now() < until, "{:?}", customers(&mut view, source));
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            prepare().await.unwrap();
        }
        // What cannot be read takes the place of nothing.
        forebay_storage::Door::new().remove_file(&data.path().join("customers.csv")).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        prepare().await.unwrap();
        assert_eq!(customers(&mut view, source), ["D1 Anne", "D2 Anne", "D3 Bert"]);
    }

    #[test]
    fn a_record_of_several_devices_gives_a_row_of_each_at_the_records_time() {
        let loaded = load(FILE, "p.yaml", None).ok().unwrap();
        let (watched, source) = (&loaded.watched[0], &loaded.pipeline.sources[0]);
        assert_eq!((watched.config.key.text.as_str(), watched.source.as_str()), ("deviceId", "events"));
        let clock: Arc<dyn Clock> = ManualClock::at(1_700_000_000_000);
        let mut view = view_of(watched, source, &[], &clock).unwrap();
        assert_eq!(view.bounds, Some(ClockBounds { ahead_ms: 300_000, behind_ms: 10_000 }));
        let envelope = envelope(&[
            r#"{"customerId": "C1", "eventTime": "2023-01-05T11:13:53.643Z", "data": {"devices": [
                {"deviceId": "D1", "temperature": 15, "status": "ERROR"}, {"deviceId": "D2", "temperature": 16}]}}"#,
            "not json",
            r#"{"customerId": "C2", "data": {"devices": []}}"#,
            r#"{"customerId": "C2", "data": {"devices": [{"deviceId": "D3"}]}}"#,
        ]);
        let decoded = format_of(source).unwrap().unwrap().decoder().decode(&envelope.values).unwrap();
        let mut told = Vec::new();
        let mut take = |made: ViewRows| {
            assert_eq!(made.rows.schema().fields(), watched.schema.fields());
            let columns: Vec<Vec<String>> = made.rows.columns()[..2].iter().map(words).collect();
            let times = made.times.unwrap();
            for (row, (customer, device)) in columns[0].iter().zip(&columns[1]).enumerate() {
                let is_repeat = made.repeats.as_ref().is_some_and(|repeats| repeats.value(row));
                let event = times.iter().nth(row).flatten();
                told.push((customer.clone(), device.clone(), made.at[row], event, is_repeat));
            }
        };
        (view.make)(&envelope, decoded, &mut take).unwrap();
        let row = |customer: &str, device: &str, after: i64, event: Option<i64>, is_repeat: bool| {
            (customer.to_owned(), device.to_owned(), 1_700_000_000_000 + after, event, is_repeat)
        };
        let event = Some(1_672_917_233_643_000);
        assert_eq!(
            told,
            [
                row("C1", "D1", 0, event, false),
                row("C1", "D2", 0, event, true),
                row("C2", "D3", 3, None, false)
            ]
        );
    }
}
