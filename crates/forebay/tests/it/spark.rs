//! Spark as the oracle: the same topic through Spark's job and through Forebay leaves equal tables.

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
