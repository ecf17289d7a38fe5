//! The console sink: each epoch as a readable table, as Spark prints it.
//!
//! For looking, not for keeping: after a crash an epoch may be printed again, so it promises *at least once* and
//! says so. Differences from Spark: an epoch without rows prints nothing (Spark prints an empty table each time),
//! the fields of a struct stand with their names (Spark leaves these out), and control characters inside values are
//! shown as escapes, so that no device can draw on the operator's terminal.
//! What must stay true: an epoch is one write, so that two queries on one screen never mix their lines, and memory
//! holds the shown rows only, however large the epoch.

use std::io::Write;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec, Options};
use forebay_core::output_mode::OutputMode;
use forebay_core::sink::{Begun, EpochId, Guarantee, LaneWriter, Part, Sink, Written};
use forebay_core::{Error, Result, Zone};

mod table;
mod values;

/// The console sink in the registry.
pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "console",
    kind: ConnectorKind::Sink,
    summary: "Prints each epoch as a table on standard output, as Spark's console sink. Epochs without rows print \
              nothing. Control characters in values are shown as escapes.",
    delivery: "At least once: an epoch that was printed just before a crash is printed again.",
    options: &[
        OptionSpec {
            name: "numRows",
            kind: OptionKind::Integer(0, 1_000_000),
            default: Some("20"),
            required: false,
            doc: "How many rows of an epoch are shown.",
        },
        OptionSpec {
            name: "truncate",
            kind: OptionKind::String,
            default: Some("true"),
            required: false,
            doc: "`true` cuts values after 20 characters, a number after that many, `false` not at all.",
        },
    ],
    prefixes: &[],
    example: "queries:\n  hot:\n    sql: SELECT * FROM iot WHERE temperature > 70\n    format: console\n",
};

/// Prints to a terminal or whatever stands in for one.
pub struct ConsoleSink {
    out: Box<dyn Write + Send>,
    rows: usize,
    width: Option<usize>,
    schema: Option<SchemaRef>,
    zone: Zone,
}

/// The first rows of a lane, and how many there were.
struct LaneRows {
    limit: usize,
    kept: Vec<RecordBatch>,
    rows: u64,
}

impl ConsoleSink {
    /// Prints to `out`, one write for each epoch.
    ///
    /// # Errors
    /// `BAD_VALUE` if `truncate` is neither yes, no nor a number.
    pub fn new(options: &Options, out: Box<dyn Write + Send>) -> Result<Self> {
        let truncate = options.text("truncate").unwrap_or("true");
        let width = match truncate.to_ascii_lowercase().as_str() {
            "true" => Some(20),
            "false" => None,
            number => {
                let width = number.parse::<usize>().map_err(|_| {
                    let message = format!("option `truncate` is `{truncate}`, expected true, false or a number");
                    Error::new(&codes::BAD_VALUE, message).with_hint(
                        "`true` cuts values after 20 characters, a number after that many, `false` not at all.",
                    )
                })?;
                Some(width).filter(|width| *width > 0)
            }
        };
        let rows = options.integer("numRows").and_then(|rows| usize::try_from(rows).ok()).unwrap_or(20);
        Ok(Self { out, rows, width, schema: None, zone: Zone::UTC })
    }

    /// Shows times in a zone, as Spark shows them in its session's.
    #[must_use]
    pub fn in_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }
}

#[async_trait]
impl Sink for ConsoleSink {
    fn description(&self) -> String {
        let truncate = self.width.map_or_else(|| "false".to_owned(), |width| width.to_string());
        format!("ConsoleSink[numRows={}, truncate={truncate}]", self.rows)
    }

    /// How many rows are shown, and how wide, may change from run to run.
    fn identity(&self, _: Option<&Path>) -> String {
        "ConsoleSink".to_owned()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    /// Every mode: each epoch prints what it gives.
    fn output(&mut self, _: OutputMode, _: &[String]) -> Result<()> {
        Ok(())
    }

    async fn open(&mut self, schema: SchemaRef) -> Result<()> {
        self.schema = Some(schema);
        Ok(())
    }

    async fn begin(&mut self, _id: &EpochId, lanes: usize) -> Result<Begun> {
        let lane =
            |_| Box::new(LaneRows { limit: self.rows, kept: Vec::new(), rows: 0 }) as Box<dyn LaneWriter>;
        Ok(Begun::Writers((0..lanes).map(lane).collect()))
    }

    async fn commit(&mut self, id: &EpochId, parts: Vec<Part>) -> Result<Written> {
        let mut batches = Vec::new();
        let mut rows = 0;
        for part in parts {
            let lane = part
                .downcast::<LaneRows>()
                .map_err(|_| Error::new(&codes::INTERNAL, "a part of another sink came to the console"))?;
            rows += lane.rows;
            batches.extend(lane.kept);
        }
        let Some(schema) = self.schema.as_ref().filter(|_| rows > 0) else { return Ok(Written::default()) };
        let shape = table::Shape { limit: self.rows, width: self.width, zone: self.zone };
        let text = table::render(id.epoch.0, schema, &batches, rows, shape)?;
        let printed = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        printed.map_err(|e| {
            Error::new(&codes::SINK_UNAVAILABLE, "the console cannot be written").caused_by(e)
        })?;
        Ok(Written { rows, bytes: text.len() as u64, files: 0 })
    }

    async fn abort(&mut self, _id: &EpochId) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl LaneWriter for LaneRows {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        let kept: usize = self.kept.iter().map(RecordBatch::num_rows).sum();
        let more = self.limit.saturating_sub(kept).min(batch.num_rows());
        if more > 0 {
            self.kept.push(batch.slice(0, more));
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Part> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow::array::{
        Array, ArrayRef, Float32Array, Float64Array, ListArray, StringArray, StructArray,
        TimestampMicrosecondArray,
    };
    use arrow::datatypes::{DataType, Field, Float64Type, Schema};
    use forebay_core::Epoch;
    use parking_lot::Mutex;

    /// Keeps each write apart.
    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<String>>>);

    impl Write for Screen {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.0.lock().push(String::from_utf8_lossy(buf).into_owned());
            Ok(buf.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn sink(options: &[(&str, &str)], screen: &Screen) -> ConsoleSink {
        let raw: BTreeMap<_, _> = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ConsoleSink::new(&Options::parse(&SPEC, &raw).unwrap(), Box::new(screen.clone())).unwrap()
    }

    #[test]
    fn another_width_is_not_another_sink() {
        let of = |options| sink(options, &Screen::default()).identity(None);
        assert_eq!(of(&[("truncate", "false"), ("numRows", "5")]), of(&[]));
    }

    async fn print(options: &[(&str, &str)], lanes: Vec<Vec<RecordBatch>>, schema: SchemaRef) -> Vec<String> {
        let screen = Screen::default();
        let mut sink = sink(options, &screen);
        sink.open(schema).await.unwrap();
        let id =
            EpochId { query_id: "q".into(), query_name: "hot".into(), epoch: Epoch(3), planned_at_ms: 0 };
        let Begun::Writers(writers) = sink.begin(&id, lanes.len()).await.unwrap() else { panic!() };
        let mut parts = Vec::new();
        for (mut writer, batches) in writers.into_iter().zip(lanes) {
            for batch in batches {
                writer.write(batch).await.unwrap();
            }
            parts.push(writer.finish().await.unwrap());
        }
        sink.commit(&id, parts).await.unwrap();
        screen.0.lock().clone()
    }

    fn rows(names: &[Option<&str>]) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![
            Field::new("device_id", DataType::Utf8, true),
            Field::new("temperature", DataType::Float64, true),
            Field::new("at", forebay_core::ddl::timestamp(), true),
        ]));
        let values = Float64Array::from_iter_values((0..names.len()).map(|i| 70.0 + i as f64));
        let times =
            TimestampMicrosecondArray::from(vec![1_700_000_000_500_000; names.len()]).with_timezone("UTC");
        RecordBatch::try_new(
            schema,
            vec![Arc::new(StringArray::from(names.to_vec())), Arc::new(values), Arc::new(times)],
        )
        .unwrap()
    }

    /// A console whose paper is kept over restarts.
    struct Console(Screen);

    impl crate::sinks::conformance::Subject for Console {
        fn sink(&self) -> Box<dyn Sink> {
            let raw = BTreeMap::from([("numRows".to_owned(), "1000".to_owned())]);
            Box::new(
                ConsoleSink::new(&Options::parse(&SPEC, &raw).unwrap(), Box::new(self.0.clone())).unwrap(),
            )
        }

        fn rows(&self) -> futures::future::BoxFuture<'_, Vec<(i32, i64)>> {
            let text = self.0.0.lock().concat();
            let row = |line: &str| {
                let mut cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim);
                Some((cells.next()?.parse().ok()?, cells.next()?.parse().ok()?))
            };
            let rows = text.lines().filter_map(row).collect();
            Box::pin(async move { rows })
        }
    }

    #[tokio::test]
    async fn the_contract_holds() {
        crate::sinks::conformance::contract(&Console(Screen::default())).await;
    }

    #[tokio::test]
    async fn an_epoch_is_one_readable_table() {
        let batch = rows(&[Some("press-1"), None]);
        let written =
            print(&[("truncate", "false")], vec![vec![batch.clone()], vec![]], batch.schema()).await;
        let expected = "\
-------------------------------------------
Batch: 3
-------------------------------------------
+---------+-----------+---------------------+
|device_id|temperature|at                   |
+---------+-----------+---------------------+
|press-1  |70.0       |2023-11-14 22:13:20.5|
|NULL     |71.0       |2023-11-14 22:13:20.5|
+---------+-----------+---------------------+

";
        assert_eq!(written, [expected]);
    }

    #[tokio::test]
    async fn times_are_shown_in_the_zone() {
        let screen = Screen::default();
        let summer = 1_720_000_000_500_000; // 2024-07-03 09:46:40.5 UTC
        let time = TimestampMicrosecondArray::from(vec![summer]).with_timezone("UTC");
        let plain: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![summer]));
        let inside = Arc::new(Field::new("start", time.data_type().clone(), true));
        let window = StructArray::from(vec![(inside, Arc::new(time.clone()) as ArrayRef)]);
        let columns: [(&str, ArrayRef); 3] =
            [("at", Arc::new(time)), ("ntz", plain), ("window", Arc::new(window))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        for zone in ["Europe/Berlin", "+02:00"] {
            let mut sink = sink(&[("truncate", "false")], &screen).in_zone(Zone::read(zone).unwrap());
            sink.open(batch.schema()).await.unwrap();
            let id =
                EpochId { query_id: "q".into(), query_name: "hot".into(), epoch: Epoch(0), planned_at_ms: 0 };
            let part = Box::new(LaneRows { limit: 1, kept: vec![batch.clone()], rows: 1 });
            sink.commit(&id, vec![part]).await.unwrap();
            let written = screen.0.lock().drain(..).collect::<String>();
            let row = "|2024-07-03 11:46:40.5|2024-07-03 09:46:40.5|{2024-07-03 11:46:40.5";
            assert!(written.contains(row), "{zone}: {written}");
        }
    }

    #[tokio::test]
    async fn numbers_beyond_all_others_have_sparks_names() {
        let values = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        let list = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(values.map(Some))]);
        let single = Float32Array::from(vec![f32::NEG_INFINITY]);
        let columns: [(&str, ArrayRef); 3] = [
            ("double", Arc::new(Float64Array::from(vec![values[0]]))),
            ("float", Arc::new(single)),
            ("list", Arc::new(list)),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let written =
            print(&[("truncate", "false")], vec![vec![batch.clone()]], batch.schema()).await.concat();
        assert!(written.contains("|Infinity|-Infinity|[Infinity, -Infinity, NaN]|"), "{written}");
    }

    #[tokio::test]
    async fn long_values_and_many_rows_are_cut_as_in_spark() {
        let batch = rows(&[Some("a-very-long-device-identifier"), Some("b"), Some("c")]);
        let written = print(&[("numRows", "2")], vec![vec![batch.clone()]], batch.schema()).await.concat();
        assert!(written.contains("|a-very-long-devic...|"), "{written}");
        assert!(written.contains("|                   b|"), "cut tables are aligned to the right: {written}");
        assert!(written.ends_with("only showing top 2 rows\n\n"), "{written}");
    }

    #[tokio::test]
    async fn an_epoch_without_rows_prints_nothing() {
        let batch = rows(&[]);
        assert!(print(&[], vec![vec![batch.clone()], vec![]], batch.schema()).await.is_empty());
    }

    #[tokio::test]
    async fn values_cannot_draw_on_the_terminal() {
        let batch = rows(&[Some("x\x1b[2J\n|fake\u{7}\u{9b}\u{202e}")]);
        let written =
            print(&[("truncate", "false")], vec![vec![batch.clone()]], batch.schema()).await.concat();
        assert!(written.contains(r"x\u{1b}[2J\n|fake\u{7}\u{9b}\u{202e}"), "{written}");
        assert_eq!(written.lines().count(), 9, "one line for one row");
    }
}
