//! Rows made of arrays, over tables at rest: as over a stream, and within the bounds of a statement.

use arrow::array::{Int32Array, ListArray, MapArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};

use super::*;

struct Events;

/// Four events: one with two devices, one with none, one without a list, one with a device that is NULL.
fn events() -> RecordBatch {
    let fields = Fields::from(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("temperature", DataType::Float64, true),
    ]);
    let devices = StructArray::new(
        fields.clone(),
        vec![
            Arc::new(StringArray::from(vec![Some("D1"), Some("D2"), None, Some("D4")])),
            Arc::new(Float64Array::from(vec![Some(1.5), None, Some(9.0), Some(4.0)])),
        ],
        Some(NullBuffer::from(vec![true, true, false, true])),
    );
    let item = Arc::new(Field::new("item", DataType::Struct(fields), true));
    let ends = OffsetBuffer::from_lengths([2, 0, 0, 2]);
    let there = NullBuffer::from(vec![true, true, false, true]);
    let devices = ListArray::new(item, ends, Arc::new(devices), Some(there));
    let entries = Fields::from(vec![
        Field::new("keys", DataType::Utf8, false),
        Field::new("values", DataType::Int32, true),
    ]);
    let pairs = StructArray::new(
        entries.clone(),
        vec![
            Arc::new(StringArray::from(vec!["a", "b", "c"])),
            Arc::new(Int32Array::from(vec![Some(1), None, Some(3)])),
        ],
        None,
    );
    let entries = Arc::new(Field::new("entries", DataType::Struct(entries), false));
    let props = MapArray::new(entries, OffsetBuffer::from_lengths([2, 0, 1, 0]), pairs, None, false);
    let many: Vec<i32> = (0..100_000).collect();
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let lengths = OffsetBuffer::from_lengths([many.len(), 0, 0, 1]);
    let last = many.iter().copied().chain([7]).collect::<Vec<_>>();
    let many = ListArray::new(item, lengths, Arc::new(Int32Array::from(last)), None);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("event", Arc::new(StringArray::from(vec!["e1", "e2", "e3", "e4"]))),
        ("Customer", Arc::new(Int64Array::from(vec![1, 1, 2, 2]))),
        ("devices", Arc::new(devices)),
        ("props", Arc::new(props)),
        ("many", Arc::new(many)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, it)| (name, it, true))).unwrap()
}

#[async_trait]
impl TableResolver for Events {
    async fn resolve(&self, kind: Option<&str>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let batch = events();
        let table = || MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        Ok((kind.is_none() && name == "events").then(|| Arc::new(table()) as Arc<dyn TableProvider>))
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(vec!["events".to_owned()])
    }

    fn views(&self) -> Vec<(String, String)> {
        let view = "SELECT event, customer, d.id AS device, d.temperature FROM events LATERAL VIEW explode(devices) t AS d";
        vec![("devices".to_owned(), view.to_owned())]
    }
}

fn told(sql: &str, limits: Limits) -> Result<String> {
    block(async {
        let answer = run(&Events, None, sql, Takes::All, limits, 0).await?;
        let schema = Arc::clone(&answer.schema);
        let batches: Vec<RecordBatch> = answer.batches.try_collect().await?;
        let mut text = Vec::new();
        let mut renderer = Renderer::new(&mut text, OutputFormat::Csv, schema);
        for batch in &batches {
            renderer.write(batch).unwrap();
        }
        renderer.finish().unwrap();
        Ok(String::from_utf8(text).unwrap().trim_end().replace('\n', "; "))
    })
}

#[test]
fn arrays_are_taken_apart_as_over_a_stream() {
    for (sql, expected) in [
        (
            "SELECT * FROM devices",
            "event,customer,device,temperature; e1,1,D1,1.5; e1,1,D2,; e4,2,,; e4,2,D4,4.0",
        ),
        // What is asked of a view stands above it, what can be below it goes there.
        ("SELECT device FROM devices WHERE customer = 2 AND temperature > 1", "device; D4"),
        (
            "SELECT customer, count(*) n, max(temperature) t FROM devices GROUP BY customer ORDER BY customer",
            "customer,n,t; 1,2,1.5; 2,2,4.0",
        ),
        (
            "SELECT a.device, b.event FROM devices a JOIN devices b ON a.device = b.device WHERE b.customer = 1 ORDER BY a.device",
            "device,event; D1,e1; D2,e1",
        ),
        (
            "SELECT device, row_number() OVER (ORDER BY device) r FROM devices ORDER BY r DESC LIMIT 1",
            "device,r; D4,4",
        ),
        (
            "SELECT event, pos, col.id FROM events LATERAL VIEW posexplode(devices) t ORDER BY event, pos",
            "event,pos,id; e1,0,D1; e1,1,D2; e4,0,; e4,1,D4",
        ),
        (
            "SELECT event, t.* FROM events LATERAL VIEW OUTER inline(devices) t",
            "event,id,temperature; e1,D1,1.5; e1,D2,; e2,,; e3,,; e4,,; e4,D4,4.0",
        ),
        ("SELECT event, explode(props) AS (k, v) FROM events", "event,k,v; e1,a,1; e1,b,; e3,c,3"),
        ("SELECT explode_outer(props) FROM events WHERE event < 'e3'", "key,value; a,1; b,; ,"),
        (
            "SELECT count(*) n, sum(x) s FROM events LATERAL VIEW explode(many) t AS x",
            "n,s; 100001,4999950007",
        ),
        (
            "SELECT DISTINCT explode(array(substring(event, 1, 1), substring(event, 2, 1))) AS c FROM events ORDER BY c LIMIT 2",
            "c; 1; 2",
        ),
        ("SELECT explode(xs) + 0 FROM (SELECT array(1, 2) AS xs)", "FB-4"),
        ("SELECT explode(xs) AS x FROM (SELECT array(1, 2) AS xs)", "x; 1; 2"),
        // Each sees those before it; a record of the table, an element of the first, one of the second.
        (
            "SELECT event, d.id, x FROM events LATERAL VIEW explode(devices) t AS d LATERAL VIEW explode(array(d.id, EVENT)) u AS x WHERE d.id = 'D4'",
            "event,id,x; e4,D4,D4; e4,D4,e4",
        ),
        // In subqueries, in those of a condition too, and beside what these look at of the row.
        (
            "SELECT event FROM events WHERE 'c' IN (SELECT key FROM events LATERAL VIEW explode(props) t) AND event = 'e1'",
            "event; e1",
        ),
        (
            "SELECT event, d.id FROM events e LATERAL VIEW explode(devices) t AS d WHERE EXISTS (SELECT 1 FROM devices o WHERE o.device = d.id AND o.temperature > 2)",
            "event,id; e4,D4",
        ),
        (
            "SELECT event FROM events o WHERE EXISTS (SELECT 1 FROM events i LATERAL VIEW explode(i.devices) t AS d WHERE i.event = o.event AND d.temperature = 4)",
            "event; e4",
        ),
        (
            "WITH x AS (SELECT inline(devices) FROM events) SELECT max(id) m FROM x UNION ALL SELECT min(device) FROM devices ORDER BY m",
            "m; D1; D4",
        ),
    ] {
        let answer =
            told(sql, Limits::default()).unwrap_or_else(|error| format!("{error} {:?}", error.detail()));
        if expected == "FB-4" {
            assert!(answer.contains(expected), "{sql}: {answer}");
        } else {
            assert_eq!(answer, expected, "{sql}");
        }
    }
}

#[test]
fn what_cannot_be_taken_apart_is_told_as_over_a_stream() {
    for (sql, part) in [
        ("SELECT explode(event) FROM events", "takes an ARRAY or a MAP, not a value of type STRING"),
        ("SELECT inline(many) FROM events", "takes an ARRAY of STRUCTs"),
        ("SELECT explode(array(1))", "needs a FROM"),
        ("SELECT 1 + explode(many) FROM events", "cannot be a part of an expression"),
        ("SELECT explode(many), explode(many) FROM events", "one generator at most"),
        ("SELECT explode(many), count(*) FROM events", "with groups is not supported yet"),
        ("SELECT explode(many) AS (a, b) FROM events", "gives 1 column (col), and AS names 2"),
        ("SELECT * FROM events LATERAL VIEW stack(2, 1, 2) t", "LATERAL VIEW cannot take"),
        ("SELECT * FROM events LATERAL VIEW explode(dev) t", "unknown column `dev`"),
    ] {
        let error = told(sql, Limits::default()).expect_err(sql).to_string();
        assert!(error.contains(part), "{sql}: {error}");
    }
}

/// 10,000,000,000 rows of one record, and as many copies of a text.
#[test]
fn a_bomb_ends_at_the_statements_bounds_and_takes_no_memory() {
    let bomb = "FROM events LATERAL VIEW explode(many) a AS x LATERAL VIEW explode(many) b AS y";
    let limits = |time, rows| Limits { time, memory: 16 << 20, rows };
    let few = told(&format!("SELECT event, x, y {bomb}"), limits(None, Some(10_000))).unwrap_err();
    assert!(few.message().contains("gives more than 10000 rows"), "{few}");
    let quick = told(&format!("SELECT count(*) {bomb}"), limits(Some(Duration::from_millis(300)), None));
    let quick = quick.unwrap_err();
    assert!(quick.message().contains("took longer"), "{quick}");
    // Whatever stands above, a piece is small.
    let wide = told(
        &format!("SELECT max(length(concat(event, repeat(event, 100), y))) AS n {bomb} WHERE x < 10"),
        limits(Some(Duration::from_secs(120)), None),
    );
    assert_eq!(wide.unwrap(), "n; 207");
    let first = told(&format!("SELECT x, y {bomb} LIMIT 2"), limits(Some(Duration::from_secs(60)), None));
    assert_eq!(first.unwrap(), "x,y; 0,0; 0,1");
}

#[test]
fn a_plan_shows_the_generator() {
    let plan = told("EXPLAIN SELECT device FROM devices WHERE customer = 1", Limits::default()).unwrap();
    assert!(plan.contains("GenerateExec: explode(devices)"), "{plan}");
    // The condition is asked of the table's rows, and what nobody reads is not copied.
    let (above, below) = plan.rsplit_once("GenerateExec").unwrap();
    assert!(!above.contains("FilterExec") && below.contains("FilterExec"), "{plan}");
}
