//! Tables of catalogs, with the whole program: written by name, listed, read by name, by path and by Spark's reader; and the
//! example of an Arduino, whose four queries share a pipeline.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::support::*;

const SCHEMA: &str = "data_pipelines.kafka_table";

/// The example, with this log and `earliest`.
fn arduino(dir: &Path, log: SocketAddr) -> std::path::PathBuf {
    let text = std::fs::read_to_string(root().join("examples/arduino.yaml")).unwrap();
    let text = text
        .replace("localhost:9092", &log.to_string())
        // Tests run side by side: each gateway at a port of its own.
        .replace("127.0.0.1:1883", "127.0.0.1:0")
        .replace("startingOffsets: latest", "startingOffsets: earliest");
    let file = dir.join("arduino.yaml");
    std::fs::write(&file, text).unwrap();
    file
}

fn lines(count: u64, line: impl Fn(u64) -> String) -> Vec<String> {
    (0..count).map(line).collect()
}

fn send(log: &LogServer) {
    let messages = [
        ("dht_test", lines(20, |n| format!("{{\"temperature\": {n}.5, \"humidity\": 40}}"))),
        ("sr04_test", lines(500, |n| format!("{{\"distance\": {n}}}"))),
        ("pir_test", lines(7, |n| n.to_string())),
        ("status_test", lines(2, |_| "online".to_owned())),
    ];
    for (topic, lines) in &messages {
        log.produce(topic, lines);
    }
}

fn run(data: &Path, file: &Path) {
    let args =
        ["run", file.to_str().unwrap(), "--trigger", "availableNow", "--embedded-log", "never", "--no-live"];
    succeed(&mut forebay(data, &args));
}

fn count(data: &Path, table: &str) -> u64 {
    query(data, &format!("SELECT count(*) AS n FROM {table}"))[0]["n"].as_u64().unwrap()
}

fn texts(rows: &[Value], column: &str) -> Vec<String> {
    rows.iter().map(|row| row[column].as_str().unwrap().to_owned()).collect()
}

#[test]
fn four_queries_share_a_pipeline_and_fill_tables_of_a_catalog() {
    let log = LogServer::start();
    for topic in ["dht_test", "sr04_test", "pir_test", "status_test"] {
        make_topic(log.address, topic, 1);
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let file = arduino(folder.path(), log.address);
    // Twice, so that each checkpoint goes on where it stands.
    for times in 1..=2 {
        send(&log);
        run(&data, &file);
        for (table, each) in [("dht", 20), ("sr04", 500), ("pir", 7), ("status", 2)] {
            assert_eq!(count(&data, &format!("{SCHEMA}.{table}_stream_test")), times * each, "{table}");
        }
    }
    assert!(data.join("warehouse/data_pipelines/kafka_table.db/pir_stream_test/_delta_log").is_dir());
    let rows = query(&data, &format!("SELECT * FROM {SCHEMA}.PIR_stream_TEST"));
    assert_eq!(texts(&rows, "movement"), vec!["new detection"; 14]);
    // Each is a time as it was asked for, and that of its record.
    let times = "to_timestamp(timestamp, 'dd/MM/yyyy HH:mm:ss')";
    let same = format!(
        "SELECT count(*) AS n FROM {SCHEMA}.pir_stream_test WHERE {times} BETWEEN now() - INTERVAL 10 MINUTES AND now() \
         AND date_format({times}, 'dd/MM/yyyy HH:mm:ss') = timestamp"
    );
    assert_eq!(query(&data, &same)[0]["n"], 14, "{rows:?}");

    let shown = query(&data, &format!("SHOW TABLES IN {SCHEMA} LIKE 'p*|s*'"));
    assert_eq!(texts(&shown, "tableName"), ["pir_stream_test", "sr04_stream_test", "status_stream_test"]);
    assert_eq!(texts(&shown, "namespace"), vec![SCHEMA; 3]);
    assert_eq!(texts(&query(&data, "SHOW CATALOGS"), "catalog"), ["data_pipelines", "spark_catalog"]);
    assert_eq!(texts(&query(&data, "SHOW SCHEMAS IN data_pipelines"), "namespace"), ["kafka_table"]);
    assert_eq!(texts(&query(&data, "SHOW DATABASES"), "namespace"), [SCHEMA], "no schema without a table");
    let columns = query(&data, &format!("DESCRIBE TABLE {SCHEMA}.dht_stream_test"));
    assert_eq!(texts(&columns, "data_type"), ["string", "double", "double"]);
    assert_eq!(
        texts(&query(&data, &format!("SHOW COLUMNS IN {SCHEMA}.dht_stream_test")), "col_name"),
        ["timestamp", "temperature", "humidity"]
    );
    let more = query(&data, &format!("DESCRIBE TABLE EXTENDED {SCHEMA}.dht_stream_test"));
    let known = |name: &str| {
        let row = more.iter().find(|row| row["col_name"] == name);
        row.unwrap_or_else(|| panic!("no {name}: {more:?}"))["data_type"].as_str().unwrap().to_owned()
    };
    assert_eq!((known("Type").as_str(), known("Provider").as_str()), ("MANAGED", "delta"));
    assert!(Path::new(&known("Location")).join("_delta_log").is_dir(), "{more:?}");
    let history = query(&data, &format!("DESCRIBE HISTORY {SCHEMA}.pir_stream_test"));
    assert!(
        history.len() >= 2 && history[0]["version"].as_u64() > history[1]["version"].as_u64(),
        "{history:?}"
    );
    assert_eq!(history[0]["operation"], "STREAMING UPDATE", "{history:?}");
    assert!(history[0]["operationParameters"]["outputMode"].is_string(), "{history:?}");
    let newest = query(&data, &format!("DESCRIBE HISTORY {SCHEMA}.pir_stream_test LIMIT 1"));
    assert_eq!(newest, history[..1]);
    let used = forebay(&data, &["query", &format!("USE {SCHEMA}")]).output().unwrap();
    assert!(!used.status.success() && text(&used.stderr).contains("FROM catalog.schema.table"));
    // With the file its own names stand beside them.
    let all = query_of(&data, &file, "SHOW TABLES");
    assert!(texts(&all, "tableName").contains(&"pir_stream".to_owned()), "{all:?}");
    assert_eq!(all.iter().filter(|row| row["namespace"] == SCHEMA).count(), 4);

    let refused = forebay(&data, &["query", "SHOW TABLES IN data_pipelines.kafka_tabel"]).output().unwrap();
    assert!(
        !refused.status.success() && text(&refused.stderr).contains("kafka_table"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn the_demo_fills_each_sensors_table_at_the_sensors_pace() {
    let data = tempfile::tempdir().unwrap();
    let kafka = free_address().to_string();
    let output =
        succeed(&mut forebay(data.path(), &["--kafka", &kafka, "demo", "arduino", "--for", "12 seconds"]));
    let said = text(&output.stderr);
    assert!(said.contains("mosquitto_pub -L mqtt://127.0.0.1:"), "{said}");
    let of = data.path().join("demo/arduino");
    let rows = |table: &str| count(&of, &format!("{SCHEMA}.{table}_stream_test"));
    // One in a hundred is damaged; a busy machine may be late with the last ones.
    assert!((400..=700).contains(&rows("sr04")), "{}", rows("sr04"));
    assert!((4..=7).contains(&rows("dht")), "{}", rows("dht"));
    assert!((1..=5).contains(&rows("pir")), "{}", rows("pir"));
    // The board says it when it is switched on, and every half minute; damage is done to JSON alone.
    assert_eq!(rows("status"), 1);
}

#[test]
fn a_stream_is_joined_with_a_table_of_a_catalog_by_its_whole_name() {
    let log = LogServer::start();
    let topics = ["dht_test", "sr04_test", "pir_test", "status_test"];
    topics.iter().for_each(|topic| make_topic(log.address, topic, 1));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let first = arduino(folder.path(), log.address);
    send(&log);
    run(&data, &first);
    let file = folder.path().join("join.yaml");
    let text = format!(
        "pipeline: join\n\
         sources:\n  dht:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: dht_test, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: temperature DOUBLE\n\
         queries:\n  near:\n    sql: SELECT temperature, s.distance FROM dht JOIN {SCHEMA}.sr04_stream_test s ON s.distance + 0.5 = temperature\n\
         \x20   format: delta\n    toTable: near\n",
        log.address
    );
    std::fs::write(&file, text).unwrap();
    run(&data, &file);
    assert_eq!(count(&data, "near"), 20);
    assert_eq!(count(&data, "spark_catalog.default.near"), 20);
}

/// BI tools list schemas and quote what they found; people write the parts with dots.
#[test]
fn the_postgres_wire_lists_and_reads_tables_of_catalogs() {
    let log = LogServer::start();
    let topics = ["dht_test", "sr04_test", "pir_test", "status_test"];
    topics.iter().for_each(|topic| make_topic(log.address, topic, 1));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let file = arduino(folder.path(), log.address);
    let args = ["run", file.to_str().unwrap(), "--embedded-log", "never", "--postgres", "127.0.0.1:0"];
    let mut process = Process::spawn(&mut forebay(&data, &args));
    let address = process.address("postgres");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let parameters = format!("host={} port={} user=ana dbname=arduino", address.ip(), address.port());
    let (client, connection) =
        runtime.block_on(tokio_postgres::connect(&parameters, tokio_postgres::NoTls)).unwrap();
    runtime.spawn(connection);
    let one = |sql: &str| -> i64 { runtime.block_on(client.query_one(sql, &[])).unwrap().get(0) };
    let named = format!("SELECT count(*) FROM {SCHEMA}.pir_stream_test");
    // Before its first rows a table is there, and empty.
    assert_eq!(one(&named), 0);
    send(&log);
    eventually("the movements", std::time::Duration::from_secs(60), || one(&named) == 7);
    assert_eq!(
        one(&format!(
            "SELECT count(*) FROM \"{SCHEMA}\".\"pir_stream_test\" AS t WHERE t.movement = 'new detection'"
        )),
        7
    );
    let listed = format!("SELECT count(*) FROM information_schema.tables WHERE table_schema = '{SCHEMA}'");
    assert_eq!(one(&listed), 4);
    let classes = format!(
        "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '{SCHEMA}'"
    );
    assert_eq!(one(&classes), 4);
    // What people from Spark type, by either protocol.
    let told = |sql: &str, column: usize| -> Vec<String> {
        let messages =
            runtime.block_on(client.simple_query(sql)).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some(row.get(column).unwrap_or_default().to_owned())
            }
            _ => None,
        });
        rows.collect()
    };
    assert_eq!(told(&format!("SHOW TABLES IN {SCHEMA} LIKE 'p*'"), 1), ["pir_stream_test"]);
    assert_eq!(told("SHOW SCHEMAS", 0), [SCHEMA]);
    assert!(told("SHOW TABLES", 1).contains(&"pir_stream".to_owned()));
    for name in [format!("{SCHEMA}.pir_stream_test"), format!("\"{SCHEMA}\".pir_stream_test")] {
        assert_eq!(told(&format!("DESCRIBE {name}"), 0), ["timestamp", "movement"], "{name}");
        assert_eq!(told(&format!("SHOW COLUMNS IN {name}"), 0), ["timestamp", "movement"], "{name}");
        assert_eq!(told(&format!("DESCRIBE HISTORY {name} LIMIT 1"), 2), ["STREAMING UPDATE"], "{name}");
    }
    assert_eq!(told("DESCRIBE public.pir_stream", 0), ["timestamp", "movement"]);
    let place = told(&format!("DESCRIBE EXTENDED {SCHEMA}.pir_stream_test"), 1);
    assert!(
        place.contains(&"warehouse/data_pipelines/kafka_table.db/pir_stream_test".to_owned()),
        "{place:?}"
    );
    let rows = runtime.block_on(client.query("SHOW COLUMNS IN pir_stream", &[])).unwrap();
    assert_eq!((rows.len(), rows[0].get::<_, String>(0)), (2, "timestamp".to_owned()));
    let refused = |sql: &str| {
        let error = runtime.block_on(client.simple_query(sql)).unwrap_err();
        let error = error.as_db_error().unwrap();
        format!("{} {}", error.message(), error.hint().unwrap_or_default())
    };
    assert!(refused("DESCRIBE pir_strem").contains("pir_stream"), "{}", refused("DESCRIBE pir_strem"));
    assert!(refused("USE kafka_table").contains("catalog.schema.table"), "{}", refused("USE kafka_table"));
    assert_eq!(told("SHOW TimeZone", 0), ["UTC"], "a setting is one still");
    let unknown = runtime.block_on(client.simple_query("SELECT * FROM data_pipelines.kafka_table.nothing"));
    assert!(unknown.unwrap_err().to_string().contains("db error"), "it is refused by the server");
}

#[test]
fn a_table_has_one_name_and_a_name_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |sink: &str| {
        let file = folder.path().join("p.yaml");
        let text = format!(
            "pipeline: p\nsources:\n  s:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"127.0.0.1:1\", subscribe: t }}\n\
             queries:\n  q:\n    sql: SELECT value FROM s\n{sink}\n"
        );
        std::fs::write(&file, text).unwrap();
        let output = forebay(folder.path(), &["validate", file.to_str().unwrap()]).output().unwrap();
        (output.status.success(), text_of(&output))
    };
    assert!(refusal("    format: delta\n    toTable: a.b.c").0);
    for (sink, words) in [
        ("    format: delta\n    toTable: a.b.c.d", "one to three parts"),
        ("    format: delta\n    toTable: ../../etc", "cannot be a part"),
        ("    format: delta\n    toTable: a.b._delta_log", "none is `_delta_log`"),
        ("    format: delta\n    toTable: \"a.`b/c`.d\"", "cannot be a part"),
        ("    format: console\n    toTable: a.b.c", "of `delta` alone"),
        ("    format: delta\n    toTable: a.b.c\n    options: { path: x }", "are both given"),
    ] {
        let (is_good, told) = refusal(sink);
        assert!(!is_good && told.contains(words), "{sink}: {told}");
    }
}

#[test]
fn sparks_own_reader_reads_a_table_of_a_catalog() {
    let log = LogServer::start();
    let topics = ["dht_test", "sr04_test", "pir_test", "status_test"];
    topics.iter().for_each(|topic| make_topic(log.address, topic, 1));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let file = arduino(folder.path(), log.address);
    send(&log);
    run(&data, &file);
    let path = data.join("warehouse/data_pipelines/kafka_table.db/pir_stream_test");
    let out = folder.path().join("answer.json");
    run_script(
        "scripts/services/spark-python.sh",
        &["tests/oracle/catalog.py", path.to_str().unwrap(), out.to_str().unwrap()],
    );
    let answer: Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(answer["by_path"], 7, "{answer}");
    assert_eq!(answer["by_name"], 7, "{answer}");
    assert_eq!(answer["movements"][0], "new detection", "{answer}");
}
