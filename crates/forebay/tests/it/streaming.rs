//! The differential suite: what Spark answered to the cases of `tests/oracle/streaming`, Forebay answers too.
//!
//! Each step of a case is published, then `forebay run` reads what is there and ends; so between any two steps lies a
//! restart. What it prints is compared with what Spark's job of the same file gave at that step: the same rows, as often,
//! in whatever order; in complete mode the whole table. `streaming_cases.py` says what a case is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use forebay_connectors::kafka::{Client, ClientConfig, NewRecord, Producer, ProducerConfig};
use forebay_core::clock::{Clock, SystemClock};
use serde::Deserialize;

use crate::support::*;

/// A line of the answers.
#[derive(Clone, Debug, Deserialize)]
struct Case {
    name: String,
    mode: String,
    /// The pipeline file, with `BOOTSTRAP` for the address.
    pipeline: String,
    /// Topics with the number of their partitions.
    topics: BTreeMap<String, i32>,
    steps: Vec<Vec<Record>>,
    /// Files of tables at rest that are written before each step, by their names under the data folder.
    #[serde(default)]
    files: Vec<BTreeMap<String, String>>,
    /// Rows that Delta tables get before each step, by their names under the data folder.
    #[serde(default)]
    deltas: Vec<BTreeMap<String, Rows>>,
    #[serde(default)]
    columns: Option<Vec<(String, String)>>,
    #[serde(default)]
    rows: Vec<Vec<Row>>,
    /// Why Spark refuses the query.
    #[serde(default)]
    refused: Option<String>,
    /// Why Spark's query ended, in the step after those that have rows.
    #[serde(default)]
    failed: Option<String>,
    /// Code and words by which Forebay refuses what Spark refuses, or ends where Spark's query does.
    #[serde(default)]
    told: Option<String>,
    /// How far apart numbers may be.
    #[serde(default = "usual_tolerance")]
    tolerance: f64,
    #[serde(default)]
    live: bool,
    /// What Forebay does not have yet.
    #[serde(default)]
    needs: Option<String>,
    #[serde(default)]
    differs: Option<Differs>,
}

/// Rows of a table, as JSON.
#[derive(Clone, Debug, Deserialize)]
struct Rows {
    schema: String,
    rows: Vec<String>,
}

/// Where Forebay means to do otherwise.
#[derive(Clone, Debug, Deserialize)]
struct Differs {
    /// Its rows; `None` if only that it runs is promised.
    steps: Option<Vec<Vec<Row>>>,
}

/// Codes of a query that can be read, whose names are known, and that is not possible over a stream. What is refused by
/// another code could be a slip of the pen: such a case states what is told.
const REFUSALS: &[&str] = &["FB-4003", "FB-4007", "FB-4008"];

/// The code of a query that ends because of a row.
const FAILURE: &[&str] = &["FB-4004"];

impl Case {
    /// True if Forebay said what it should where it does not give rows: what the case states, else one of these codes.
    fn is_told(&self, said: &str, codes: &[&str]) -> bool {
        let Some(told) = &self.told else { return codes.iter().any(|code| said.contains(code)) };
        let (code, words) = told.split_once(' ').unwrap_or((told, ""));
        said.contains(code) && said.contains(words)
    }
}

/// Topic, partition, value.
type Record = (String, i32, Option<String>);
type Row = Vec<String>;

fn usual_tolerance() -> f64 {
    1e-9
}

#[derive(Deserialize)]
struct Answers {
    by: String,
    cases: Vec<Case>,
}

fn read(path: &Path) -> Vec<Case> {
    let answers: Answers = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(answers.by.starts_with("Apache Spark 4."), "{}", answers.by);
    answers.cases
}

fn stored() -> Vec<Case> {
    read(&root().join("tests/oracle/streaming/answers.json"))
}

/// Publishes records in their order and waits until the log has them.
async fn publish(bootstrap: SocketAddr, records: &[Record]) {
    let raw = BTreeMap::from([("kafka.bootstrap.servers".to_owned(), bootstrap.to_string())]);
    let client = Client::connect(ClientConfig::from_options(&raw).unwrap()).await.unwrap();
    let producer = Producer::new(client.clone(), ProducerConfig::from_client(client.config()).unwrap());
    for (topic, partition, value) in records {
        let record = NewRecord::value(topic, b"", SystemClock.now_ms());
        let value = value.as_ref().map(String::as_bytes);
        producer.send(NewRecord { partition: Some(*partition), value, ..record }).await.unwrap();
    }
    producer.flush().await.unwrap();
}

/// A new version of a Delta table under the data folder, by a pipeline of its own.
fn add(
    data: &Path,
    name: &str,
    topic: &str,
    rows: &Rows,
    log: SocketAddr,
    publishing: &tokio::runtime::Handle,
) {
    let records: Vec<Record> = rows.rows.iter().map(|row| (topic.to_owned(), 0, Some(row.clone()))).collect();
    publishing.block_on(publish(log, &records));
    let file = data.join(format!("{name}.yaml"));
    let text = format!(
        "pipeline: register\n\
         sources:\n  rows:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{log}\", subscribe: \"{topic}\", startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: {:?}\n\
         queries:\n  {}:\n    sql: SELECT * FROM rows\n    format: delta\n    options: {{ path: {name} }}\n    trigger: availableNow\n",
        rows.schema,
        name.trim_end_matches(".table"),
    );
    std::fs::write(&file, text).unwrap();
    succeed(&mut forebay(data, &["run", file.to_str().unwrap(), "--embedded-log", "never", "--no-live"]));
}

/// The tables that a run printed: columns and rows of each epoch.
fn tables(printed: &str) -> Vec<(Vec<String>, Vec<Row>)> {
    let mut tables: Vec<(Vec<String>, Vec<Row>)> = Vec::new();
    let mut begins = false;
    for line in printed.lines() {
        if line.starts_with("Batch: ") {
            begins = true;
        } else if let Some(cells) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) {
            let cells: Row = cells.split('|').map(|cell| cell.trim_end().to_owned()).collect();
            match tables.last_mut().filter(|_| !begins) {
                Some((_, rows)) => rows.push(cells),
                None => tables.push((cells, Vec::new())),
            }
            begins = false;
        }
    }
    tables
}

/// A cell in pieces that can be compared: what stands between brackets and commas, the names of a struct's fields left
/// out (Spark does not show them).
fn pieces(cell: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for c in cell.chars() {
        match c {
            '{' | '}' | '[' | ']' | ',' => pieces.extend([c.to_string(), String::new()]),
            c => pieces.last_mut().unwrap().push(c),
        }
    }
    let is_struct = cell.starts_with('{') || cell.starts_with("[{");
    let unnamed = |piece: &String| match piece.trim().split_once(": ") {
        Some((name, value)) if is_struct && name.chars().all(|c| c.is_alphanumeric() || c == '_') => {
            value.to_owned()
        }
        _ => piece.trim().to_owned(),
    };
    let whole = |piece: String| match piece.split_once('.') {
        // A time's fraction without the zeros at its end.
        Some((_, fraction)) if piece.len() > 19 && piece.as_bytes()[10] == b' ' && !fraction.is_empty() => {
            piece.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => piece,
    };
    let named = pieces.iter().map(unnamed).map(whole);
    named.map(|piece| if piece.eq_ignore_ascii_case("null") { "NULL".to_owned() } else { piece }).collect()
}

fn is_same_cell(one: &str, other: &str, tolerance: f64) -> bool {
    let (ones, others) = (pieces(one), pieces(other));
    ones.len() == others.len() && ones.iter().zip(&others).all(|(a, b)| a == b || is_near(a, b, tolerance))
}

/// Numbers that are not whole, near enough; zeros with the same sign.
fn is_near(one: &str, other: &str, tolerance: f64) -> bool {
    let (Ok(a), Ok(b)) = (one.parse::<f64>(), other.parse::<f64>()) else { return false };
    let is_whole = |text: &str| text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
    if (is_whole(one) || is_whole(other)) && tolerance <= usual_tolerance() {
        return false;
    }
    let zeros = a == 0.0 && b == 0.0;
    let near = (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1e-3);
    (zeros && a.is_sign_negative() == b.is_sign_negative()) || (!zeros && near) || (a.is_nan() && b.is_nan())
}

/// What rows there are more and fewer than there should be; `None` if none.
fn difference(expected: &[Row], found: &[Row], tolerance: f64) -> Option<String> {
    let is_same =
        |a: &Row, b: &Row| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same_cell(a, b, tolerance));
    let mut more: Vec<&Row> = found.iter().collect();
    let mut fewer = Vec::new();
    for row in expected {
        match more.iter().position(|other| is_same(row, other)) {
            Some(at) => drop(more.swap_remove(at)),
            None => fewer.push(row),
        }
    }
    if more.is_empty() && fewer.is_empty() {
        return None;
    }
    let listed =
        |rows: Vec<&Row>| rows.iter().map(|row| format!("\n      {}", row.join(" | "))).collect::<String>();
    Some(format!("\n    missing:{}\n    too much:{}", listed(fewer), listed(more)))
}

/// Runs a case; says what is not as it should be.
fn differs(case: &Case, log: SocketAddr, publishing: &tokio::runtime::Handle) -> Option<String> {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("case.yaml");
    std::fs::write(&file, case.pipeline.replace("BOOTSTRAP", &log.to_string())).unwrap();
    let file = file.display().to_string();
    let differs = case.differs.as_ref();
    if case.refused.is_some() && differs.is_none() {
        let output = forebay(data.path(), &["validate", &file]).output().unwrap();
        let said = text(&output.stderr);
        let is_refused = output.status.code() == Some(1) && case.is_told(&said, REFUSALS);
        return (!is_refused).then(|| {
            format!("Spark refuses it ({:?}), Forebay does not, or in other words:\n{said}", case.refused)
        });
    }
    for (topic, partitions) in &case.topics {
        make_topic(log, topic, *partitions);
    }
    let topic_of = |table: &str| format!("{}.{table}", case.name);
    for table in case.deltas.iter().flat_map(BTreeMap::keys).collect::<BTreeSet<_>>() {
        make_topic(log, &topic_of(table), 1);
    }
    let expected = differs.and_then(|differs| differs.steps.as_ref()).unwrap_or(&case.rows);
    let must_fail = case.failed.as_ref().filter(|_| differs.is_none());
    for (number, records) in case.steps.iter().enumerate() {
        publishing.block_on(publish(log, records));
        for (name, text) in case.files.get(number).into_iter().flatten() {
            std::fs::write(data.path().join(name), text).unwrap();
        }
        for (name, rows) in case.deltas.get(number).into_iter().flatten() {
            add(data.path(), name, &topic_of(name), rows, log, publishing);
        }
        let output =
            forebay(data.path(), &["run", &file, "--embedded-log", "never", "--no-live"]).output().unwrap();
        if !output.status.success() {
            let said = text(&output.stderr);
            let is_meant = must_fail.is_some() && number == case.rows.len() && case.is_told(&said, FAILURE);
            let spark = must_fail.map_or_else(String::new, |why| {
                format!(", and Spark's query ends in step {} ({why})", case.rows.len())
            });
            return (!is_meant).then(|| format!("step {number} failed{spark}:\n{said}"));
        }
        let mut printed = tables(&text(&output.stdout));
        if case.mode == "complete" {
            printed.drain(..printed.len().saturating_sub(1));
        }
        // A query that Spark does not run has no columns there.
        let names: Option<Vec<&String>> =
            case.columns.as_ref().map(|columns| columns.iter().map(|(name, _)| name).collect());
        let are_others = |columns: &[String]| {
            names.as_ref().is_some_and(|names| !columns.iter().eq(names.iter().copied()))
        };
        if let Some((columns, _)) = printed.iter().find(|(columns, _)| are_others(columns)) {
            return Some(format!("step {number}: the columns are {columns:?}, not {names:?}"));
        }
        let rows: Vec<Row> = printed.into_iter().flat_map(|(_, rows)| rows).collect();
        let Some(expected) = expected.get(number) else { continue };
        if let Some(difference) = difference(expected, &rows, case.tolerance) {
            return Some(format!("step {number}:{difference}"));
        }
    }
    must_fail.map(|why| format!("Spark's query ends ({why}), ours does not"))
}

/// Runs cases two at a time, and panics with all that is wrong. What Forebay has not yet is left out.
fn compare(cases: &[Case], least: usize) {
    let cases: Vec<&Case> = cases.iter().filter(|case| case.needs.is_none()).collect();
    assert!(cases.len() >= least, "only {} cases", cases.len());
    let log = LogServer::start();
    let address = log.address;
    let publishing = tokio::runtime::Runtime::new().unwrap();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(what) = differs(case, address, publishing.handle()) {
                        wrong.lock().unwrap().insert(case.name.clone(), (what, case.pipeline.clone()));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let told = wrong.iter().fold(String::new(), |mut told, (name, (what, pipeline))| {
        let _ = writeln!(told, "{name}: {what}\n{pipeline}");
        told
    });
    assert!(wrong.is_empty(), "{} of {} cases are not as in Spark\n{told}", wrong.len(), cases.len());
}

#[test]
fn every_stored_answer_of_spark_is_forebays_too() {
    let python = run_script("scripts/services/python.sh", &["tests/oracle/streaming_cases.py", "--check"]);
    assert!(python.contains("OK"), "{python}");
    compare(&stored(), 60);
}

/// The written cases that are marked `live`, and random ones, asked of a real Spark now. The random ones are the same each
/// time, so that what fails is the change at hand; the long form looks for new ones, and FOREBAY_RANDOM says how many.
#[test]
fn spark_gives_today_what_is_stored_and_what_forebay_gives() {
    let log = LogServer::start();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("answers.json");
    let any = || if soak() { SystemClock.now_ms().rem_euclid(1_000_000) } else { 20_241_121 };
    let seed = std::env::var("FOREBAY_SEED").unwrap_or_else(|_| any().to_string());
    let usual = if soak() { "2000" } else { "20" };
    let count = &*std::env::var("FOREBAY_RANDOM").unwrap_or_else(|_| usual.to_owned());
    println!("seed {seed}: FOREBAY_SEED={seed} asks the same");
    let args = ["ask", "--live", "--random", count, "--seed", &seed, "--out", out.to_str().unwrap()];
    let bootstrap = log.address.to_string();
    let variables = [("FOREBAY_ORACLE_BOOTSTRAP", bootstrap.as_str()), ("FOREBAY_BIN", FOREBAY)];
    run_script_with("scripts/oracle.sh", &args, &variables);
    let stored: BTreeMap<String, Case> = stored().into_iter().map(|case| (case.name.clone(), case)).collect();
    let (live, random): (Vec<Case>, Vec<Case>) = read(&out).into_iter().partition(|case| case.live);
    assert!(live.len() >= 15, "only {} live cases", live.len());
    for case in &live {
        let was = &stored[&case.name];
        let ends = |case: &Case| (case.refused.clone(), case.failed.clone(), case.rows.len());
        assert_eq!(ends(case), ends(was), "{}: run scripts/oracle.sh regenerate", case.name);
        for (now, was) in case.rows.iter().zip(&was.rows) {
            assert_eq!(
                difference(was, now, case.tolerance),
                None,
                "{}: run scripts/oracle.sh regenerate",
                case.name
            );
        }
    }
    assert!(live.iter().any(|case| case.refused.is_some()) && live.iter().any(|case| case.failed.is_some()));
    assert!(random.iter().any(|case| case.rows.iter().flatten().count() > 0), "seed {seed}: no rows at all");
    compare(&random, count.parse().unwrap());
}

#[test]
fn cells_are_compared_as_people_read_them() {
    for (one, other, is_same) in [
        (
            "{2024-01-01 00:00:00, 2024-01-01 00:00:10}",
            "{start: 2024-01-01 00:00:00, end: 2024-01-01 00:00:10.000000}",
            true,
        ),
        ("[1.5, NULL]", "[1.5, null]", true),
        ("0.30000000000000004", "0.3", true),
        ("1.0E10", "10000000000.0", true),
        ("-0.0", "0.0", false),
        ("9007199254740993", "9007199254740992", false),
        ("3", "3.0", false),
        ("NaN", "NULL", false),
        ("2024-01-01 00:00:00.5", "2024-01-01 00:00:00.25", false),
    ] {
        assert_eq!(is_same_cell(one, other, usual_tolerance()), is_same, "{one} {other}");
    }
    let printed = "---\nBatch: 3\n---\n+---+---+\n|k  |n  |\n+---+---+\n|a  |1  |\n|   |2  |\n+---+---+\n\n";
    let rows = vec![vec!["a".to_owned(), "1".to_owned()], vec![String::new(), "2".to_owned()]];
    assert_eq!(tables(printed), [(vec!["k".to_owned(), "n".to_owned()], rows)]);
}
