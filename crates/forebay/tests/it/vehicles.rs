//! The fleet of `examples/fleet.yaml`: how good its rules are, judged by the truth of the simulator, and its tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::*;

const REPORTS: u64 = 36_000;

/// The example with the addresses of a test.
pub fn fleet_file(dir: &Path, kafka: &str, postgres: &str) -> PathBuf {
    let text = std::fs::read_to_string(root().join("examples/fleet.yaml")).unwrap();
    assert!(text.contains("localhost:9092") && text.contains("postgresql://localhost:5432/forebay"));
    let text = text.replace("localhost:9092", kafka);
    let file = dir.join("fleet.yaml");
    std::fs::write(&file, text.replace("postgresql://localhost:5432/forebay", postgres)).unwrap();
    file
}

/// A fault as the simulator tells it.
#[derive(Debug)]
struct Fault {
    kind: String,
    car: String,
    from: String,
    until: String,
    is_over: bool,
}

/// What the simulator says of faults, and the codes of what it damaged.
fn truth(data: &Path, kafka: &str) -> (Vec<Fault>, BTreeMap<String, u64>) {
    let sql = "SELECT CAST(value AS STRING) AS line FROM kafka.`fleet_truth`";
    let output = succeed(&mut forebay(data, &["--kafka", kafka, "query", "--format", "json", sql]));
    let (mut faults, mut codes) = (Vec::new(), BTreeMap::new());
    for row in text(&output.stdout).lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let line: Value = serde_json::from_str(row["line"].as_str().unwrap()).unwrap();
        let of = |name: &str| line[name].as_str().unwrap().to_owned();
        if line["fault"] == "corrupt" {
            *codes.entry(of("code")).or_default() += 1;
            continue;
        }
        let is_over = line["over"].as_bool().unwrap();
        faults.push(Fault {
            kind: of("fault"),
            car: of("car_id"),
            from: of("from"),
            until: of("until"),
            is_over,
        });
    }
    (faults, codes)
}

/// The rule that is to find a fault, and what its rows are called.
fn rule_of(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "overspeed" => ("overspeed", "OVERSPEED"),
        "overheat" => ("engine_overheat", "ENGINE_OVERHEAT"),
        "fuel_theft" => ("low_fuel", "LOW_FUEL"),
        "gps_invalid" | "gps_jump" => ("invalid_gps", "GPS_INVALID"),
        other => panic!("no rule for {other}"),
    }
}

/// Something that the pipeline found: the rule or the kind of row, the car, the time of the report.
type Found = (String, String, String);

/// How many of what was found each fault explains; the first that no fault does is an error.
fn judged(
    faults: &[Fault],
    found: &[Found],
    name: impl Fn(&str) -> &'static str,
) -> Result<Vec<u64>, String> {
    let mut of_each = vec![0; faults.len()];
    for (rule, car, at) in found {
        let explains = |fault: &Fault| {
            name(&fault.kind) == rule && &fault.car == car && (&fault.from..=&fault.until).contains(&at)
        };
        let index = faults.iter().position(explains);
        of_each[index.ok_or_else(|| format!("no fault explains {rule} of {car} at {at}"))?] += 1;
    }
    Ok(of_each)
}

/// Holds what was found to each fault: one that is over has rows, at least three, and one alert; one that is not may have none yet.
fn complete(faults: &[Fault], of_rows: &[u64], of_alerts: &[u64]) -> Result<(), String> {
    for ((fault, rows), alerts) in faults.iter().zip(of_rows).zip(of_alerts) {
        if *rows < 3 && fault.is_over {
            return Err(format!("{rows} rows of {fault:?}"));
        }
        if *alerts != 1 && (*alerts != 0 || fault.is_over) {
            return Err(format!("{alerts} alerts of {fault:?}"));
        }
    }
    Ok(())
}

/// Every alert that was opened, with the time of the report that opened it, which its message tells.
fn alerts(http: std::net::SocketAddr) -> Vec<Found> {
    let answer: Value = serde_json::from_str(&get(http, "/api/v1/alerts?limit=1000").1).unwrap();
    let alerts = answer["alerts"].as_array().unwrap();
    assert!(alerts.len() < 1_000, "all of them are here");
    let one = |alert: &Value| {
        let message = alert["message"].as_str().unwrap();
        let at = message.rsplit_once('(').unwrap().1.split(',').next().unwrap();
        let at = at.trim_end_matches('Z').replace('T', " ");
        (alert["rule"].as_str().unwrap().to_owned(), alert["key"].as_str().unwrap().to_owned(), at)
    };
    alerts.iter().map(one).collect()
}

#[test]
fn the_rules_of_the_fleet_find_every_fault_and_call_nothing_else_one() {
    let (data, postgres) = (tempfile::tempdir().unwrap(), Postgres::start());
    let kafka = free_address().to_string();
    let file = fleet_file(data.path(), &kafka, &postgres.url());
    let args = ["--kafka", &kafka, "run", file.to_str().unwrap()];
    let mut process = Process::spawn(forebay(data.path(), &args).env("PGPASSWORD", POSTGRES_PASSWORD));
    let http = process.address("http");
    let count = REPORTS.to_string();
    let simulate = format!(
        "simulate --shape fleet --devices 12 --rate 0 --count {count} --seed 7 --corrupt 0.05 --faults all \
         --truth fleet_truth --bootstrap {kafka}"
    );
    let said =
        text(&succeed(&mut forebay(data.path(), &simulate.split_whitespace().collect::<Vec<_>>())).stderr);
    eventually("all reports are through", Duration::from_secs(120), || {
        let ledger: Value = serde_json::from_str(&get(http, "/api/v1/ledger").1).unwrap();
        let queries = ledger["queries"].as_object().unwrap();
        assert_eq!(queries.len(), 11, "{ledger}");
        queries.values().all(|query| query["read"] == REPORTS)
    });
    let (faults, codes) = truth(data.path(), &kafka);
    let corrupt: u64 = codes.values().sum();
    assert!(faults.len() > 120 && corrupt > 1_500, "{said}");

    // The rows: each is of a fault, and each fault has some.
    let found_rows = |sql: &str| -> Vec<Found> {
        let rows = postgres.rows(sql).into_iter();
        rows.map(|row| <[_; 3]>::try_from(row).unwrap().map(Option::unwrap).into()).collect()
    };
    const AT: &str = "to_char(event_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')";
    let rows = found_rows(&format!("SELECT alert_type, car_id, {AT} FROM alerts"));
    let of_rows = judged(&faults, &rows, |kind| rule_of(kind).1).unwrap();
    // The alerts: each is of a fault, and each fault has one.
    let alerts = alerts(http);
    let of_alerts = judged(&faults, &alerts, |kind| rule_of(kind).0).unwrap();
    complete(&faults, &of_rows, &of_alerts).unwrap();
    // Rules that were other ones would not pass: what they would find on the same reports is told to be wrong.
    for (kind, looser, stricter) in [
        ("OVERSPEED", "speed_kmph > 125", "speed_kmph > 172"),
        ("ENGINE_OVERHEAT", "engine_temp_c > 100", "engine_temp_c > 128"),
        ("LOW_FUEL", "fuel_level < 30", "fuel_level < 3"),
    ] {
        let tape = |rule: &str| {
            let others = rows.iter().filter(|(of, ..)| of != kind).cloned();
            let own = format!("SELECT '{kind}', car_id, {AT} FROM device_data WHERE {rule}");
            let tape: Vec<Found> = others.chain(found_rows(&own)).collect();
            judged(&faults, &tape, |kind| rule_of(kind).1)
        };
        let told = tape(looser).unwrap_err();
        assert!(told.contains(&format!("no fault explains {kind}")), "{looser}: {told}");
        let told = complete(&faults, &tape(stricter).unwrap(), &of_alerts).unwrap_err();
        assert!(told.contains("rows of"), "{stricter}: {told}");
    }
    let mut kinds: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for ((fault, rows), alerts) in faults.iter().zip(&of_rows).zip(&of_alerts) {
        let counts = kinds.entry(&fault.kind).or_default();
        counts[0] += 1;
        counts[1] += usize::from(*rows > 0);
        counts[2] += usize::from(*alerts == 1);
    }
    for (kind, [faults, by_rows, by_alerts]) in &kinds {
        println!("{kind}: {faults} faults, found by rows {by_rows}, by alerts {by_alerts}");
    }
    let found: usize = kinds.values().map(|counts| counts[2]).sum();
    println!(
        "precision 1 ({} alerts and {} rows, each of a fault), recall {found}/{} (one may not have shown yet at the end)",
        alerts.len(),
        rows.len(),
        faults.len()
    );
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    assert!(kinds.values().all(|counts| counts[0] >= 10), "{kinds:?}");

    // Whole and broken reports: each is in its table, once, and nowhere else.
    for (table, expected) in [("device_data", REPORTS - corrupt), ("corrupt_records", corrupt)] {
        assert_eq!(postgres.count(table), expected, "{table} in PostgreSQL");
        let offsets = format!("SELECT count(DISTINCT kafka_offset) FROM {table}");
        assert_eq!(postgres.one(&offsets), expected.to_string(), "{table}: none twice");
        let path = data.path().join("data/fleet").join(table);
        let sql = format!(
            "SELECT count(*) AS n, count(DISTINCT kafka_offset) AS m FROM delta.`{}`",
            path.display()
        );
        let told = &query(data.path(), &sql)[0];
        assert_eq!((&told["n"], &told["m"]), (&expected.into(), &expected.into()), "{table} in Delta");
    }
    assert_eq!(table_rows(data.path(), &data.path().join("data/fleet/alerts")).len(), rows.len());
    // Why they are broken is what the simulator did to them.
    let listed = ["quarantine", "ls", "--query", "device_data", "--format", "json"];
    let listed = text(&succeed(&mut forebay(data.path(), &listed)).stdout);
    let mut set_aside: BTreeMap<String, u64> = BTreeMap::new();
    for line in listed.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        *set_aside.entry(line["code"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(set_aside, codes);
    assert!(process.stop().0);
}

#[test]
fn tables_that_the_seed_makes_by_hand_are_used() {
    let (data, postgres, log) = (tempfile::tempdir().unwrap(), Postgres::start(), LogServer::start());
    postgres.run_as_forebay(
        "CREATE TABLE device_data (trip_id TEXT, car_id TEXT, latitude DOUBLE PRECISION, longitude DOUBLE PRECISION, \
         event_timestamp TIMESTAMP, speed_kmph DOUBLE PRECISION, fuel_level DOUBLE PRECISION, engine_temp_c DOUBLE PRECISION, \
         trip_start_time TIMESTAMP, trip_start_latitude DOUBLE PRECISION, \
         trip_start_longitude DOUBLE PRECISION, trip_start_date DATE, message_key TEXT, kafka_partition INT, kafka_offset BIGINT, \
         load_timestamp TIMESTAMP);
         CREATE TABLE corrupt_records (message_key TEXT, kafka_partition INT, kafka_offset BIGINT, value_str TEXT, error_reason TEXT, \
         load_timestamp TIMESTAMP, topic_name TEXT);
         CREATE TABLE alerts (alert_id BIGSERIAL PRIMARY KEY, car_id TEXT, trip_id TEXT, event_timestamp TIMESTAMP, alert_type TEXT, \
         alert_message TEXT, rule_name TEXT, severity TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)",
    );
    // What the seed's producer sends: no revolutions, and a string where an object is to be.
    let report = |speed: u32| {
        format!(
            r#"{{"trip_id": "t", "car_id": "CAR-{speed}", "latitude": 26.3, "longitude": 50.1, "event_timestamp": "2026-01-05 11:13:53", "speed_kmph": {speed}, "fuel_level": 50.0, "engine_temp_c": 90.0, "trip_start_time": "2026-01-05 11:13:53", "trip_start_latitude": 26.3, "trip_start_longitude": 50.1, "trip_start_date": "2026-01-05", "message_key": "CAR-{speed}-t"}}"#
        )
    };
    log.produce("raw_telemetry", &[report(90), "\"THIS_IS_NOT_JSON\"".to_owned(), report(150)]);
    let file = fleet_file(data.path(), &log.address.to_string(), &postgres.url());
    let earliest = std::fs::read_to_string(&file).unwrap().replace("Offsets: latest", "Offsets: earliest");
    std::fs::write(&file, earliest).unwrap();
    let args = ["run", file.to_str().unwrap(), "--trigger", "availableNow"];
    succeed(forebay(data.path(), &args).env("PGPASSWORD", POSTGRES_PASSWORD));
    let told =
        postgres.rows("SELECT car_id, event_timestamp, engine_rpm FROM device_data ORDER BY kafka_offset");
    let at = Some("2026-01-05 11:13:53".to_owned());
    assert_eq!(told, [90, 150].map(|speed| vec![Some(format!("CAR-{speed}")), at.clone(), None]));
    assert_eq!(postgres.one("SELECT value_str FROM corrupt_records"), "\"THIS_IS_NOT_JSON\"");
    let alert = postgres.rows("SELECT alert_id, car_id, alert_type, severity, event_timestamp FROM alerts");
    let expected = ["1", "CAR-150", "OVERSPEED", "MEDIUM", "2026-01-05 11:13:53"];
    assert_eq!(alert, [expected.map(|value| Some(value.to_owned())).to_vec()]);
}

#[test]
fn the_demo_of_the_fleet_shows_alerts_of_faults_and_tells_the_truth_about_them() {
    let data = tempfile::tempdir().unwrap();
    let kafka = free_address().to_string();
    let mut command = forebay(data.path(), &["--kafka", &kafka, "demo", "fleet", "--rate", "60"]);
    command.env("FOREBAY_DEMO_POSTGRES", format!("postgresql://{}/none", free_address()));
    let mut demo = Process::spawn(&mut command);
    let http = demo.address("http");
    eventually("alerts of every kind", Duration::from_secs(150), || {
        let answer: Value = serde_json::from_str(&get(http, "/api/v1/alerts?limit=1000").1).unwrap();
        let alerts = answer["alerts"].as_array().unwrap();
        let is_any = |rule: &str| alerts.iter().any(|alert| alert["rule"] == rule);
        ["overspeed", "engine_overheat", "low_fuel", "invalid_gps"].into_iter().all(is_any)
    });
    let sql = "{\"sql\": \"SELECT car_id, count(*) AS reports FROM alerts GROUP BY car_id\"}";
    eventually("the rows of the page's panel", Duration::from_secs(20), || {
        let rows: Value = serde_json::from_str(&post(http, "/api/v1/sql", sql).1).unwrap_or_default();
        rows["rows"].as_array().is_some_and(|rows| !rows.is_empty())
    });
    let found = alerts(http);
    demo.signal("TERM");
    demo.wait_for("the devices sent ", Duration::from_secs(20));
    assert!(demo.child.wait().unwrap().success());
    assert!(!demo.said.iter().any(|line| line.contains("DOES NOT BALANCE")), "{:?}", demo.said);
    // Its log is still there.
    let at = data.path().join("demo/fleet");
    let mut log = Process::spawn(&mut forebay(&at, &["log", "serve", "--listen", &kafka]));
    log.address("kafka");
    let (faults, codes) = truth(&at, &kafka);
    assert!(!codes.is_empty());
    judged(&faults, &found, |kind| rule_of(kind).0).unwrap();
    assert!(log.stop().0);
}

/// A fault of `engine_overheat` that is over, from second 10 to second 20.
fn heat() -> Fault {
    let at = |second: u32| format!("2026-01-05 11:00:{second:02}");
    Fault { kind: "overheat".into(), car: "CAR-1".into(), from: at(10), until: at(20), is_over: true }
}

#[test]
fn the_judge_of_the_fleet_calls_a_false_alert_a_missing_one_and_a_second_one_by_name() {
    let faults = [heat()];
    let found = |car: &str, second: u32| -> Found {
        ("engine_overheat".to_owned(), car.to_owned(), format!("2026-01-05 11:00:{second:02}"))
    };
    let judge = |tape: &[Found]| judged(&faults, tape, |kind| rule_of(kind).0);
    let right = judge(&[found("CAR-1", 12)]).unwrap();
    complete(&faults, &[3], &right).unwrap();
    // As a rule `> 100` instead of `> 110` would have it: the same car before its fault, after it, and a car without one.
    for (car, second) in [("CAR-1", 9), ("CAR-1", 21), ("CAR-2", 12)] {
        let told = judge(&[found("CAR-1", 12), found(car, second)]).unwrap_err();
        assert!(told.contains(&format!("no fault explains engine_overheat of {car}")), "{told}");
    }
    // Another rule at that time is no excuse.
    assert!(judge(&[("overspeed".to_owned(), "CAR-1".to_owned(), heat().from)]).is_err());
    let missed = judge(&[]).unwrap();
    assert!(complete(&faults, &[3], &missed).unwrap_err().starts_with("0 alerts of"));
    let twice = judge(&[found("CAR-1", 12), found("CAR-1", 15)]).unwrap();
    assert!(complete(&faults, &[3], &twice).unwrap_err().starts_with("2 alerts of"));
    assert!(complete(&faults, &[2], &right).unwrap_err().starts_with("2 rows of"));
    // One that has not come to its end may not have shown yet.
    let begun = [Fault { is_over: false, ..heat() }];
    complete(&begun, &[0], &[0]).unwrap();
    assert!(complete(&begun, &[0], &[2]).is_err());
}
