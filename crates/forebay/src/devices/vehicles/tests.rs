//! The truth is what is in the records.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

/// What a fleet sends for the arguments: whole records with their text, whether each was damaged, and the truth.
fn made(more: &str, count: usize) -> (Vec<(String, bool)>, Vec<Value>) {
    use clap::Parser;
    let line = format!("forebay simulate --shape fleet --truth t {more}");
    let crate::cli::Command::Simulate(args) =
        crate::cli::Cli::try_parse_from(line.split_whitespace()).unwrap().command
    else {
        panic!("another command")
    };
    let mut devices = crate::devices::Devices::new(&args, args.seed.unwrap()).unwrap();
    let (mut value, mut records, mut truth) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let (sent, _) = devices.next(1_732_150_000_000, &mut value).unwrap();
        records.push((String::from_utf8(value.clone()).unwrap(), sent.corrupt > 0));
        truth.extend(devices.take_truth());
    }
    truth.extend(devices.end());
    let read = |line: &Vec<u8>| serde_json::from_slice(line).unwrap();
    (records, truth.iter().map(read).collect())
}

/// The seed's four conditions, and a position that cannot be reached.
fn wrong(record: &Value) -> Vec<&'static str> {
    let number = |name: &str| record[name].as_f64().unwrap();
    let seconds = |name: &str| {
        let text = record[name].as_str().unwrap();
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap().and_utc().timestamp()
    };
    let place = |latitude: &str, longitude: &str| roads::Place {
        latitude: number(latitude),
        longitude: number(longitude),
    };
    let here = place("latitude", "longitude");
    let is_nowhere = here.latitude.abs() > 90.0 || here.longitude.abs() > 180.0;
    let hours = (seconds("event_timestamp") - seconds("trip_start_time")) as f64 / 3_600.0;
    let away = roads::distance(place("trip_start_latitude", "trip_start_longitude"), here);
    let found = [
        ("overspeed", number("speed_kmph") > 140.0),
        ("overheat", number("engine_temp_c") > 110.0),
        ("fuel_theft", number("fuel_level") < 10.0),
        ("gps_invalid", is_nowhere),
        ("gps_jump", !is_nowhere && away > 50.0 + 200.0 * hours),
    ];
    found.into_iter().filter_map(|(name, is_so)| is_so.then_some(name)).collect()
}

#[test]
fn the_truth_says_what_is_wrong_in_the_records_and_nothing_else_is() {
    for (seed, more, count) in [
        (1, "--devices 12 --rate 0 --faults all --corrupt 0.05", 24_000),
        (2, "--devices 3 --rate 20 --faults all --corrupt 0.02", 12_000),
        (3, "--devices 40 --rate 10 --faults overspeed,fuel-theft,gps-jump", 6_000),
        (4, "--devices 12 --rate 0", 24_000),
    ] {
        let (records, truth) = made(&format!("--seed {seed} {more}"), count);
        let mut told: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for line in &truth {
            told.entry(line["fault"].as_str().unwrap()).or_default().push(line);
        }
        let mut shown: BTreeMap<(usize, &str), u64> = BTreeMap::new();
        for (text, _) in records.iter().filter(|(_, is_damaged)| !is_damaged) {
            let record: Value = serde_json::from_str(text).unwrap();
            let at = record["event_timestamp"].as_str().unwrap();
            for fault in wrong(&record) {
                let is_it = |line: &Value| {
                    line["fault"] == fault
                        && line["car_id"] == record["car_id"]
                        && (line["from"].as_str().unwrap()..=line["until"].as_str().unwrap()).contains(&at)
                };
                let index = truth.iter().position(is_it);
                let index = index.unwrap_or_else(|| panic!("seed {seed}: nobody told of {fault} in {text}"));
                *shown.entry((index, fault)).or_default() += 1;
            }
        }
        for (index, line) in truth.iter().enumerate().filter(|(_, line)| line["fault"] != "corrupt") {
            let count = shown.get(&(index, line["fault"].as_str().unwrap())).copied().unwrap_or_default();
            assert!(count >= 3 || line["over"] == false, "seed {seed}: {count} of {line}");
        }
        let damaged = records.iter().filter(|(_, is_damaged)| *is_damaged).count();
        assert_eq!(told.get("corrupt").map_or(0, Vec::len), damaged, "seed {seed}");
        let kinds: Vec<&str> = told.keys().copied().filter(|kind| *kind != "corrupt").collect();
        let expected: &[&str] = match seed {
            4 => &[],
            3 => &["fuel_theft", "gps_jump", "overspeed"],
            _ => &["fuel_theft", "gps_invalid", "gps_jump", "overheat", "overspeed"],
        };
        assert_eq!(kinds, expected, "seed {seed}");
        assert!(kinds.iter().all(|kind| told[kind].len() >= 2), "seed {seed}: {kinds:?}");
    }
}

#[test]
fn a_fleet_of_a_seed_is_the_same() {
    let of =
        |seed: u32| made(&format!("--seed {seed} --devices 5 --rate 0 --faults all --corrupt 0.1"), 3_000);
    assert_eq!(of(7), of(7));
    assert_ne!(of(7).0, of(8).0);
}

#[test]
fn the_last_report_of_a_count_is_of_now_where_as_many_are_made_as_go() {
    let (records, _) = made("--seed 7 --devices 10 --rate 0 --count 6000", 6_000);
    let at = |index: usize| {
        let record: Value = serde_json::from_str(&records[index].0).unwrap();
        record["event_timestamp"].as_str().unwrap().to_owned()
    };
    // 6,000 reports of ten vehicles are ten minutes.
    assert_eq!((at(0).as_str(), at(5_999).as_str()), ("2024-11-21 00:36:40", "2024-11-21 00:46:40"));
}

#[test]
fn what_vehicles_cannot_do_is_refused() {
    use clap::Parser;
    for line in [
        "--shape fleet --late 0.1",
        "--shape fleet --fast-clock 0.1",
        "--shape fleet --values wander",
        "--shape fleet --truth raw_telemetry",
        "--shape fleet --spells",
        "--faults all",
        "--shape devices --truth t",
    ] {
        let line = format!("forebay simulate {line}");
        let crate::cli::Command::Simulate(args) =
            crate::cli::Cli::try_parse_from(line.split_whitespace()).unwrap().command
        else {
            panic!("another command")
        };
        let refused = crate::devices::Devices::new(&args, 1).map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), &codes::WRONG_USE, "{line}");
    }
}
