//! The Delta sink in a bucket, on a real server: whatever dies, is lost or comes late, every row is there once; and everybody who
//! must not come in is told so.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use forebay_connectors::sinks::delta::{DeltaSink, SPEC};
use forebay_core::options::Options;
use forebay_core::sink::Sink;
use forebay_storage::Door;
use futures::future::BoxFuture;

use crate::kafka_sink::conformance::{self, Subject};
use crate::secure::Certificates;
use crate::support::*;

const EVENTS: u64 = 3_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// The copy of a topic into `s3://lake/TABLE`, with more options of the sink and another trigger.
fn copy(
    dir: &Path,
    log: SocketAddr,
    topic: &str,
    table: &str,
    more: &[(&str, &str)],
    trigger: &str,
) -> PathBuf {
    let file = copy_pipeline(dir, log, topic, 700);
    let options: String = more.iter().map(|(name, value)| format!(", {name}: '{value}'")).collect();
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("{ path: table }", &format!("{{ path: 's3a://{BUCKET}/{table}'{options} }}"));
    let text = text.replace("{ availableNow: true }", trigger);
    std::fs::write(&file, text).unwrap();
    file
}

const ONCE: &str = "{ availableNow: true }";

fn run(data: &Path, file: &Path) -> Command {
    forebay(data, &["run", file.to_str().unwrap()])
}

fn events(topic: &str) -> LogServer {
    let log = LogServer::start();
    make_topic(log.address, topic, 3);
    log.produce(topic, &proof_events(EVENTS));
    log
}

#[test]
fn every_kill_point_leaves_every_row_once_in_the_bucket() {
    let (log, minio) = (events("events"), Minio::start());
    let mut points = epoch_points(&["sink.delta.file", "sink.delta.commit."]);
    points.retain(|point| soak() || point.starts_with("sink.") || point.starts_with("epoch.commit"));
    assert!(points.iter().filter(|point| point.starts_with("sink.delta.")).count() >= 4, "{points:?}");
    for point in points {
        let data = tempfile::tempdir().unwrap();
        let table = format!("killed/{point}");
        let file = copy(data.path(), log.address, "events", &table, &[], ONCE);
        let mut dies = run(data.path(), &file);
        let died = minio.known_to(armed(&mut dies, &format!("{point}:2"), "lose")).output().unwrap();
        assert!(died_there(died.status), "{point}: the point was not reached\n{}", text(&died.stderr));
        succeed(minio.known_to(&mut run(data.path(), &file)));
        assert_exactly_once(&minio.rows(data.path(), &table), EVENTS, point);
        assert_ledger(&last_commit(data.path(), "copy", "lake")["ledger"], EVENTS);
        if point == "sink.delta.commit.after" {
            assert_exactly_once(&minio.rows_by_others(&table), EVENTS, "as others read it");
        }
        let left: Vec<_> = std::fs::read_dir(data.path().join(".spool")).unwrap().collect();
        assert!(left.is_empty(), "{point}: what was on its way stays on this machine: {left:?}");
    }
}

#[test]
fn two_writers_on_one_table_leave_the_rows_of_both_once() {
    let (minio, log) = (Minio::start(), LogServer::start());
    let all = proof_events(EVENTS);
    let halves = [("a", &all[..1_500]), ("b", &all[1_500..])];
    let data = halves.map(|(topic, half)| {
        make_topic(log.address, topic, 2);
        log.produce(topic, half);
        tempfile::tempdir().unwrap()
    });
    let each = [
        ("minCommitInterval", "0 seconds"),
        ("delta.checkpointInterval", "4"),
        ("autoCompact.minNumFiles", "8"),
    ];
    let writers: Vec<_> = halves
        .iter()
        .zip(&data)
        .map(|((topic, _), data)| {
            let file = copy(data.path(), log.address, topic, "both", &each, ONCE);
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text.replace("maxOffsetsPerTrigger: 700", "maxOffsetsPerTrigger: 60"))
                .unwrap();
            let mut command = run(data.path(), &file);
            minio.known_to(&mut command);
            std::thread::spawn(move || succeed(&mut command))
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    assert_exactly_once(&minio.rows(data[0].path(), "both"), EVENTS, "two writers");
    assert_exactly_once(&minio.rows_by_others("both"), EVENTS, "as others read it");
    let log = minio.names("both/_delta_log");
    assert!(log.iter().any(|name| name.contains(".checkpoint.")), "no checkpoint: {log:?}");
}

#[test]
fn an_answer_to_a_commit_that_is_lost_or_late_doubles_nothing() {
    let (log, minio) = (events("events"), Minio::start());
    use Answer::{Late, Lost, NeverAsked};
    // The client itself asks four times; only then is the outcome unknown.
    let late = [NeverAsked, NeverAsked, NeverAsked, Late];
    let lines = [
        ("lost", vec![Lost, Lost]),
        ("cut", vec![NeverAsked, Late, Lost, Late]),
        ("late", [late, late].concat()),
    ];
    for (name, answers) in &lines {
        let proxy = S3Proxy::before(minio.address);
        let data = tempfile::tempdir().unwrap();
        let file = copy(data.path(), log.address, "events", name, &[], ONCE);
        // The table is there before: what is cut are epochs.
        let mut first = run(data.path(), &file);
        let first = armed(minio.known_to(&mut first), "sink.delta.commit.before:1", "kill").output().unwrap();
        assert!(died_there(first.status));
        proxy.answer(answers);
        let mut command = run(data.path(), &file);
        minio.known_to(&mut command).env("AWS_ENDPOINT_URL", format!("http://{}", proxy.address));
        let output = succeed(&mut command);
        assert_eq!(proxy.done() as usize, answers.len(), "{name}: {}", text(&output.stderr));
        assert_exactly_once(&minio.rows(data.path(), name), EVENTS, name);
        assert_exactly_once(&minio.rows_by_others(name), EVENTS, name);
        let said = text(&output.stderr);
        // Where the log itself tells what became of it nothing is tried again; where it does not, visibly.
        assert_eq!(said.contains("trying again"), *name == "late", "{said}");
    }
}

#[test]
fn a_server_that_is_down_is_waited_for_and_told_of() {
    let (log, minio) = (events("events"), Minio::start());
    let data = tempfile::tempdir().unwrap();
    let file = copy(data.path(), log.address, "events", "down", &[], "{ processingTime: 200 ms }");
    let mut process = Process::spawn(minio.known_to(&mut run(data.path(), &file)));
    let http = process.address("http");
    let count = || {
        minio.query(data.path(), &format!("SELECT count(*) AS n FROM delta.`s3://{BUCKET}/down`"))[0]["n"]
            .as_u64()
    };
    eventually("the rows", PATIENCE, || count() == Some(EVENTS));
    minio.crash();
    log.produce("events", &proof_events(EVENTS + 500)[EVENTS as usize..]);
    let told = process.wait_for("FB-5001", PATIENCE);
    assert!(told.contains("trying again") || told.contains("s3://lake/down"), "{told}");
    eventually("its health says so", PATIENCE, || get(http, "/health").1.contains("FB-5001"));
    minio.again();
    eventually("the rows that waited", PATIENCE, || count() == Some(EVENTS + 500));
    assert!(process.stop().0);
    assert_exactly_once(&minio.rows(data.path(), "down"), EVENTS + 500, "after an outage");
}

#[test]
fn who_must_not_come_in_is_told_why_and_no_secret_comes_to_light() {
    let (log, minio) = (events("events"), Minio::start());
    let proxy = S3Proxy::before(minio.address);
    proxy.be_lenient();
    let lenient = format!("http://{}", proxy.address);
    let wrong = format!("{S3_CANARY}/wrong");
    let cases: &[(&str, &str, &str, &[&str])] = &[
        ("AWS_SECRET_ACCESS_KEY", &wrong, "t", &["SignatureDoesNotMatch"]),
        ("AWS_ACCESS_KEY_ID", "mallory", "t", &["InvalidAccessKeyId"]),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "t", &["127.0.0.1:1"]),
        ("AWS_ENDPOINT_URL", &lenient, "lenient", &["FB-5004", "keep two writers apart"]),
        ("AWS_ALLOW_HTTP", "false", "t", &["not encrypted", "AWS_ALLOW_HTTP"]),
        ("AWS_SECRET_ACCESS_KEY", "", "t", &["AWS_SECRET_ACCESS_KEY", "missing"]),
        ("RUST_BACKTRACE", "0", "../../elsewhere/t", &["FB-1"]),
    ];
    for (name, value, table, words) in cases {
        let data = tempfile::tempdir().unwrap();
        let file = copy(data.path(), log.address, "events", table, &[], ONCE);
        let mut command = forebay(data.path(), &["run", file.to_str().unwrap(), "--log-level", "trace"]);
        let mut process = Process::spawn(minio.known_to(&mut command).env(name, value));
        process.wait_for(words[0], PATIENCE);
        std::thread::sleep(Duration::from_millis(300));
        process.signal("KILL");
        while process.try_line() {}
        let said = process.said.join("\n");
        let missing = words.iter().find(|word| !said.contains(*word));
        assert_eq!(missing, None, "{name}={value}: {said}");
        assert!(!said.contains(S3_CANARY), "{name}: the secret comes to light");
    }
    assert!(minio.names("t").is_empty(), "somebody came in");
    // Nor where it is right, in the file by reference, and everything is logged.
    let data = tempfile::tempdir().unwrap();
    let endpoint = format!("http://{}", minio.address);
    let hadoops = [
        ("fs.s3a.endpoint", endpoint.as_str()),
        ("fs.s3a.connection.ssl.enabled", "false"),
        ("fs.s3a.path.style.access", "true"),
        ("fs.s3a.endpoint.region", "us-east-1"),
        ("fs.s3a.access.key", "${LAKE_KEY}"),
        ("fs.s3a.secret.key", "${LAKE_SECRET}"),
    ];
    let file = copy(data.path(), log.address, "events", "right", &hadoops, ONCE);
    let secret = format!("{S3_CANARY}/right");
    let known =
        |command: &mut Command| text_and_end(command.env("LAKE_KEY", "forebay").env("LAKE_SECRET", &secret));
    let mut said = known(&mut forebay(data.path(), &["run", file.to_str().unwrap(), "--log-level", "trace"]));
    assert!(said.contains(" DEBUG "), "{said}");
    for args in [&["validate"][..], &["plan"], &["spark"]] {
        said += &known(&mut forebay(data.path(), &[args, &[file.to_str().unwrap()]].concat()));
    }
    assert!(said.contains("s3a://lake/right"), "{said}");
    let asked =
        ["query", "--pipeline", file.to_str().unwrap(), "--format", "json", "SELECT count(*) AS n FROM lake"];
    let counted = known(&mut forebay(data.path(), &asked));
    assert!(counted.contains(&format!("\"n\":{EVENTS}")), "{counted}");
    assert!(!(said + &counted).contains(S3_CANARY), "the secret comes to light");
}

/// All that a command says; it must end well.
fn text_and_end(command: &mut Command) -> String {
    let output = succeed(command);
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn a_bucket_behind_tls_is_reached_by_its_own_authority_alone() {
    let dir = tempfile::tempdir().unwrap();
    let files = Certificates(dir.path());
    files.authority("good");
    files.authority("other");
    files.server("server", "good", "-days 2");
    let minio = Minio::start_with(&[&files.path("server.pem"), &files.path("server.key")]);
    let log = events("events");
    let endpoint = format!("https://localhost:{}", minio.address.port());
    for (ca, is_trusted) in [("good.pem", true), ("other.pem", false)] {
        let data = tempfile::tempdir().unwrap();
        let file = copy(data.path(), log.address, "events", "tls", &[], ONCE);
        let mut command = run(data.path(), &file);
        minio.known_to(&mut command).env("AWS_ENDPOINT_URL", &endpoint).env_remove("AWS_ALLOW_HTTP");
        command.env("AWS_CA_BUNDLE", files.path(ca));
        if is_trusted {
            succeed(&mut command);
            assert!(minio.names("tls").iter().any(|name| name.ends_with(".parquet")));
        } else {
            let mut process = Process::spawn(&mut command);
            let told = process.wait_for("FB-5001", PATIENCE);
            assert!(told.contains("certificate") || told.contains("UnknownIssuer"), "{told}");
        }
    }
}

/// Rows that take the place of others, a table that streams are joined with, and names of partitions that no URL has.
#[test]
fn what_a_folder_can_a_bucket_can() {
    let (log, minio) = (LogServer::start(), Minio::start());
    make_topic(log.address, "events", 1);
    log.produce("events", &proof_events(EVENTS));
    let data = tempfile::tempdir().unwrap();
    let text_of_file = format!(
        r#"pipeline: more
sources:
  events:
    format: kafka
    options: {{ kafka.bootstrap.servers: "{}", subscribe: events, startingOffsets: earliest, maxOffsetsPerTrigger: 500 }}
    value: json
    schema: {PROOF_SCHEMA}
tables:
  names: {{ format: delta, path: s3://{BUCKET}/names }}
queries:
  named:
    sql: SELECT e.seq, n.name FROM events e JOIN names n ON e.device = n.device
    format: delta
    options: {{ path: s3://{BUCKET}/named, partitionBy: name, autoCompact.minNumFiles: 2, delta.checkpointInterval: 2 }}
    trigger: {{ availableNow: true }}
  newest:
    sql: SELECT device, max(seq) AS newest, count(*) AS n FROM events GROUP BY device
    outputMode: update
    format: delta
    options: {{ path: s3://{BUCKET}/newest }}
    trigger: {{ availableNow: true }}
"#,
        log.address
    );
    let file = data.path().join("more.yaml");
    std::fs::write(&file, text_of_file).unwrap();
    // Made by another writer, as such tables are.
    let names = ["a b", "50%/ü", "c=d", "e+f", "#g?", "h", "i"];
    let rows: Vec<_> = names.iter().enumerate().map(|(n, name)| (format!("d{n}"), *name)).collect();
    let rows = serde_json::to_string(&rows).unwrap();
    let mut write = Command::new(root().join("scripts/services/python.sh"));
    write.arg(root().join("tests/clients/s3_write.py")).args([&format!("s3://{BUCKET}/names"), &rows]);
    succeed(minio.known_to(&mut write));
    succeed(minio.known_to(&mut run(data.path(), &file)));
    for rows in [minio.rows(data.path(), "named"), minio.rows_by_others("named")] {
        let mut seen = BTreeMap::new();
        for row in &rows {
            let seq = row["seq"].as_u64().unwrap();
            assert_eq!(row["name"], names[(seq % 7) as usize]);
            *seen.entry(seq).or_insert(0) += 1;
        }
        assert_eq!((seen.len() as u64, rows.len() as u64), (EVENTS, EVENTS));
    }
    for rows in [minio.rows(data.path(), "newest"), minio.rows_by_others("newest")] {
        assert_eq!(rows.len(), 7, "{rows:?}");
        assert_eq!(rows.iter().map(|row| row["n"].as_u64().unwrap()).sum::<u64>(), EVENTS);
        assert_eq!(rows.iter().map(|row| row["newest"].as_u64().unwrap()).max(), Some(EVENTS - 1));
    }
}

#[test]
fn the_file_of_the_page_on_the_cloud_is_valid() {
    let page = std::fs::read_to_string(root().join("docs/cloud.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cloud.yaml");
    let blocks: Vec<_> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 1);
    std::fs::write(&file, blocks[0]).unwrap();
    let mut validate = forebay(dir.path(), &["validate", file.to_str().unwrap()]);
    let said = text_and_end(validate.env("KAFKA_PASSWORD", "x"));
    assert!(said.contains("delta s3://plant-lake/iot"), "{said}");
}

/// A table in the bucket, as the suite of all sinks sees it.
struct InBucket {
    minio: Minio,
    data: tempfile::TempDir,
    options: Vec<(&'static str, &'static str)>,
}

impl Subject for InBucket {
    fn sink(&self) -> Box<dyn Sink> {
        let endpoint = format!("http://{}", self.minio.address);
        let secret = format!("{S3_CANARY}/right");
        let path = format!("s3://{BUCKET}/contract");
        let known = [
            ("path", path.as_str()),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "forebay"),
            ("AWS_SECRET_ACCESS_KEY", &secret),
        ];
        let raw =
            known.iter().chain(&self.options).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let options = Options::parse(&SPEC, &raw.collect()).unwrap();
        Box::new(DeltaSink::new(&options, self.data.path(), Door::new()).unwrap())
    }

    fn rows(&self) -> BoxFuture<'_, Vec<(i32, i64)>> {
        Box::pin(async {
            if self.minio.names("contract/_delta_log").is_empty() {
                return Vec::new();
            }
            let number = |row: &serde_json::Value, name: &str| row[name].as_i64().unwrap();
            let rows = self.minio.rows(self.data.path(), "contract");
            rows.iter().map(|row| (number(row, "lane") as i32, number(row, "n"))).collect()
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sinks_contract_holds_in_a_bucket() {
    let eager =
        [("partitionBy", "lane"), ("delta.checkpointInterval", "1"), ("autoCompact.minNumFiles", "2")];
    for options in [vec![], eager.to_vec()] {
        let subject = InBucket { minio: Minio::start(), data: tempfile::tempdir().unwrap(), options };
        conformance::contract(&subject).await;
    }
}
