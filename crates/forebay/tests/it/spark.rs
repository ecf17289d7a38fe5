//! Spark as the oracle: the same topic through Spark's job and through Forebay leaves equal tables.

use std::path::{Path, PathBuf};

use crate::support::*;

/// The plant's job as its authors wrote it for Spark, and the plant's pipeline file, on the same topic; then the
/// analyst's query, by Spark over both tables and by `forebay query`.
#[test]
fn sparks_job_and_the_pipeline_file_leave_equal_tables() {
    let log = LogServer::start();
    let bootstrap = log.address.to_string();
    let data = tempfile::tempdir().unwrap();
    // Nothing corrupt here: Spark's job would write rows of NULLs where Forebay sets records aside.
    let simulate = [
        "simulate",
        "--bootstrap",
        &bootstrap,
        "--partitions",
        "3",
        "--count",
        "5000",
        "--rate",
        "0",
        "--seed",
        "11",
    ];
    succeed(&mut forebay(data.path(), &simulate));
    let text = std::fs::read_to_string(root().join("examples/plant.yaml")).unwrap();
    let text = text
        .replace("localhost:9092", &bootstrap)
        .replace("startingOffsets: latest", "startingOffsets: earliest");
    let file = data.path().join("plant.yaml");
    std::fs::write(&file, text).unwrap();
    succeed(&mut forebay(
        data.path(),
        &["run", file.to_str().unwrap(), "--query", "lake", "--trigger", "availableNow"],
    ));
    let ours = data.path().join("data/iot_data");
    let theirs = data.path().join("spark_table");
    let script = "tests/oracle/plant_job.py";
    let args = [
        script,
        "--bootstrap",
        &bootstrap,
        "--ours",
        ours.to_str().unwrap(),
        "--theirs",
        theirs.to_str().unwrap(),
    ];
    let said = run_script("scripts/services/spark-python.sh", &args);
    assert!(said.contains("OK equal tables: 5000 rows"), "{said}");
    // `device_id|avg_temp|max_humidity`, one line a device, as Spark computed it over our table.
    let spark: Vec<(String, f64, f64)> = said
        .lines()
        .filter_map(|line| line.strip_prefix("ROW "))
        .map(|line| {
            let parts: Vec<&str> = line.split('|').collect();
            (parts[0].to_owned(), parts[1].parse().unwrap(), parts[2].parse().unwrap())
        })
        .collect();
    assert_eq!(spark.len(), 3, "{said}");
    let sql = format!(
        "SELECT device_id, AVG(temperature) AS avg_temp, MAX(humidity) AS max_humidity FROM delta.`{}` GROUP BY device_id ORDER BY device_id",
        ours.display()
    );
    let rows = query(data.path(), &sql);
    assert_eq!(rows.len(), spark.len());
    for (row, (device, average, humidity)) in rows.iter().zip(&spark) {
        assert_eq!(row["device_id"], device.as_str());
        assert_eq!(row["max_humidity"].as_f64(), Some(*humidity));
        // Sums of doubles depend on the order of the rows in the last digits.
        assert!((row["avg_temp"].as_f64().unwrap() - average).abs() < 1e-9, "{row} {average}");
    }
}

/// Where `scripts/services/install.sh` put Spark.
pub(crate) fn spark_home() -> PathBuf {
    let cache = std::env::var_os("FOREBAY_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/forebay"));
    let lib = cache.join("spark/venv/lib");
    let python =
        std::fs::read_dir(&lib).unwrap_or_else(|_| panic!("scripts/services/install.sh spark")).next();
    python.unwrap().unwrap().path().join("site-packages/pyspark")
}

/// The arguments by which `spark-submit` finds the installed jars instead of fetching packages.
pub(crate) fn jars() -> String {
    let folder = spark_home().ancestors().nth(5).unwrap().join("jars");
    let jars = std::fs::read_dir(folder).unwrap().map(|jar| jar.unwrap().path().display().to_string());
    jars.filter(|jar| jar.ends_with(".jar")).collect::<Vec<_>>().join(",")
}

#[test]
fn a_job_is_printed_and_what_spark_has_not_is_told_at_its_line() {
    let data = tempfile::tempdir().unwrap();
    let plant = root().join("examples/plant.yaml");
    let output = succeed(&mut forebay(data.path(), &["spark", plant.to_str().unwrap()]));
    assert!(text(&output.stdout).contains(".createOrReplaceTempView(\"`iot`\")"), "{}", text(&output.stdout));
    let line =
        std::fs::read_to_string(&plant).unwrap().lines().position(|line| line == "  overheat:").unwrap() + 1;
    let told = format!("line {line}: alert `overheat`: alerts have no counterpart in Spark");
    assert!(text(&output.stderr).contains(&told), "{}", text(&output.stderr));

    // What cannot be expressed fails on request only.
    let file = root().join("crates/forebay/tests/data/spark/absent.yaml");
    let run = |more: &[&str]| {
        forebay(data.path(), &[&["spark", file.to_str().unwrap()], more].concat()).output().unwrap()
    };
    assert!(run(&[]).status.success());
    let strict = run(&["--strict"]);
    assert_eq!(
        (strict.status.code(), strict.stdout.as_slice()),
        (Some(1), &b""[..]),
        "{}",
        text(&strict.stderr)
    );
    assert_eq!(run(&["--master", "local[1]"]).status.code(), Some(2), "--master is for --submit");
}

#[test]
fn without_spark_submit_says_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let plant = root().join("examples/plant.yaml");
    let submit = |home: Option<&str>| {
        let mut command = forebay(data.path(), &["spark", plant.to_str().unwrap(), "--submit"]);
        command.env("PATH", "/nowhere").env_remove("SPARK_HOME").envs(home.map(|home| ("SPARK_HOME", home)));
        command.output().unwrap()
    };
    let missing = submit(None);
    assert_eq!(missing.status.code(), Some(2), "{}", text(&missing.stderr));
    assert!(text(&missing.stderr).contains("pip install pyspark"), "{}", text(&missing.stderr));
    assert!(text(&submit(Some("/nowhere")).stderr).contains("SPARK_HOME"));
}

/// The job of a file, submitted to a real Spark, writes the tables that Forebay writes, in append mode and in update mode.
#[test]
fn a_submitted_job_leaves_forebays_tables() {
    let log = LogServer::start();
    log.produce("events", &proof_events(200));
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 60);
    let newest = "  newest:\n    sql: SELECT CASE WHEN device <> 'd3' THEN device END AS device, seq % 2 AS odd, count(*) AS n, max(seq) AS newest \
                  FROM events GROUP BY CASE WHEN device <> 'd3' THEN device END, seq % 2\n    \
                  format: delta\n    outputMode: update\n    options: { path: newest, partitionBy: odd }\n    trigger: availableNow\n";
    let copied = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, copied + newest).unwrap();
    let file = file.to_str().unwrap();
    let spark = data.path().join("spark");
    let jars = jars();
    let args =
        ["spark", file, "--submit", "--master", "local[1]", "--", "--jars", &jars, "--driver-memory", "1g"];
    let mut command = forebay(&spark, &args);
    command.env("SPARK_HOME", spark_home()).env("SPARK_LOCAL_IP", "127.0.0.1");
    // The job's own tables lie under the data folder of the one who makes it.
    let output = succeed(command.env_remove("FOREBAY_DATA"));
    assert!(
        text(&output.stderr).contains("records that do not decode are dropped"),
        "{}",
        text(&output.stderr)
    );
    succeed(&mut forebay(data.path(), &["run", file]));
    let newest = [spark.as_path(), data.path()].map(|folder| {
        assert_exactly_once(&table_rows(folder, &folder.join("table")), 200, &folder.display().to_string());
        let mut rows: Vec<String> =
            table_rows(folder, &folder.join("newest")).iter().map(ToString::to_string).collect();
        rows.sort();
        rows
    });
    assert_eq!(newest[0], newest[1], "in Spark, in Forebay");
    assert_eq!(newest[0].len(), 14, "seven devices, one of them NULL, each twice: {newest:?}");
    let versions = std::fs::read_dir(spark.join("newest/_delta_log")).unwrap();
    let versions =
        versions.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|it| it == "json"));
    assert!(versions.count() > 3, "the first epochs' rows were replaced");
}
