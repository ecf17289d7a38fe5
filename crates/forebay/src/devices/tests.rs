//! What is made from a seed, and what is played from files.

use super::one::{Hundredths, plant};
use super::*;

#[test]
fn a_repeat_counts_as_a_message_of_its_own() {
    use clap::Parser;
    let line = "forebay simulate --duplicate 1 --corrupt 0.5 --late 0.5 --fast-clock 1";
    let crate::cli::Command::Simulate(args) =
        crate::cli::Cli::try_parse_from(line.split(' ')).unwrap().command
    else {
        panic!("another command")
    };
    let (mut devices, mut value, mut total) = (Devices::new(&args, 7).unwrap(), Vec::new(), Sent::default());
    for _ in 0..100 {
        let (event, repeat) = devices.next(0, &mut value).unwrap();
        let repeat = repeat.unwrap();
        assert_eq!((event.events, event.messages, event.duplicates), (1, 1, 0));
        assert_eq!((repeat.events, repeat.messages, repeat.duplicates), (0, 1, 1));
        assert_eq!((event.corrupt, event.hot), (repeat.corrupt, repeat.hot), "both decode, or neither");
        assert_eq!((event.late + event.fast, repeat.late + repeat.fast), (1, 0), "an event is late once");
        total.add(&event);
        total.add(&repeat);
    }
    assert_eq!(
        (total.events, total.messages, total.duplicates, total.late + total.fast),
        (100, 200, 100, 100)
    );
}

fn events(line: &str, count: usize) -> Vec<String> {
    use clap::Parser;
    let crate::cli::Command::Simulate(args) =
        crate::cli::Cli::try_parse_from(line.split(' ')).unwrap().command
    else {
        panic!("another command")
    };
    let (mut devices, mut value) = (Devices::new(&args, args.seed.unwrap()).unwrap(), Vec::new());
    let mut next = || {
        devices.next(1_732_150_000_000, &mut value).unwrap();
        String::from_utf8(value.clone()).unwrap()
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn a_seed_gives_the_same_events_in_every_version() {
    let uniform = events("forebay simulate --seed 7", 1_000);
    assert_eq!(uniform[..2], UNIFORM_7);
    assert_eq!(uniform, events("forebay simulate --seed 7 --values uniform", 1_000));
    let wander = events("forebay simulate --seed 7 --values wander", 1_000);
    assert_eq!(wander, events("forebay simulate --seed 7 --values wander", 1_000));
    assert_ne!(wander, events("forebay simulate --seed 8 --values wander", 1_000));
}

#[test]
fn devices_of_a_seed_are_the_same_but_for_their_shape() {
    let devices = events("forebay simulate --seed 7 --shape devices --devices 5", 200);
    assert_eq!(devices, events("forebay simulate --seed 7 --shape devices --devices 5", 200));
    assert!(devices.iter().all(|event| event.contains("\"eventTime\": \"2024-11-21 00:46:40.000")));
    let hot = events("forebay simulate --seed 7 --shape devices --values wander", 2_000);
    assert!(hot.iter().any(|event| event.contains("\"temperature\": 7")), "some run hot");
}

#[test]
fn in_spells_a_device_is_in_no_event_and_those_of_a_customer_are_minutes_old() {
    let line = "forebay simulate --seed 7 --shape devices --devices 6 --values wander --spells";
    let made = events(line, 1_200);
    assert_eq!(made, events(line, 1_200));
    let made: Vec<serde_json::Value> =
        made.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    // At 20 a second: from 12 to 60 seconds one device is silent, whatever the seed.
    let devices = made[240..].iter().flat_map(|event| event["data"]["devices"].as_array().unwrap());
    let heard: std::collections::BTreeSet<&str> =
        devices.filter_map(|device| device["deviceId"].as_str()).collect();
    assert_eq!(heard.len(), 5, "{heard:?}");
    let time = |event: &serde_json::Value| event["eventTime"].as_str().unwrap()[11..19].to_owned();
    let late: Vec<_> = made.iter().filter(|event| time(event) != "00:46:40").collect();
    let whose: std::collections::BTreeSet<_> =
        late.iter().map(|event| event["customerId"].to_string()).collect();
    assert!(late.len() > 60 && whose.len() == 1, "{} of {whose:?}", late.len());
    for event in late {
        assert!(("00:40:00".to_owned()..="00:44:10".to_owned()).contains(&time(event)), "{event}");
    }
}

fn played(folder: &std::path::Path, more: &str, now_ms: i64) -> (String, Vec<(String, Sent)>) {
    use clap::Parser;
    let line = format!("forebay simulate --seed 1 {more}").replace("FOLDER", folder.to_str().unwrap());
    let crate::cli::Command::Simulate(args) =
        crate::cli::Cli::try_parse_from(line.split(' ')).unwrap().command
    else {
        panic!("another command")
    };
    let (mut devices, mut value, mut events) = (Devices::new(&args, 1).unwrap(), Vec::new(), Vec::new());
    while let Some((sent, _)) = devices.next(now_ms, &mut value).filter(|_| events.len() < 1_000) {
        events.push((String::from_utf8(value.clone()).unwrap(), sent));
    }
    (devices.about(), events)
}

fn a_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    #[allow(clippy::disallowed_methods, reason = "a test makes its files by hand")]
    let write = |file: &str, text: &str| std::fs::write(dir.path().join(file), text).unwrap();
    write("device_01.json", "{\"deviceId\": \"D1\", \"temperature\": [80, 90]}");
    write(
        "samples.txt",
        "{\"n\": 1, \"eventTime\": \"2023-01-05 11:00:00\"}\n{\"n\": 2, \"eventTime\": \"2023-01-05 11:00:01\"}\n",
    );
    write("late.txt", "{\"n\": 3, \"eventTime\": \"2023-01-05 10:59:00\"}\n");
    dir
}

#[test]
fn samples_are_played_in_order_and_late_ones_after_them() {
    let dir = a_folder();
    let (about, events) =
        played(dir.path(), "--samples FOLDER/samples.txt --late-samples FOLDER/late.txt", 0);
    assert_eq!(about, "playing 2 sample(s) and 1 late one(s)");
    let told: Vec<_> = events.iter().map(|(event, sent)| (event.as_str(), sent.late)).collect();
    let expected = [
        ("{\"n\": 1, \"eventTime\": \"2023-01-05 11:00:00\"}", 0),
        ("{\"n\": 2, \"eventTime\": \"2023-01-05 11:00:01\"}", 0),
        ("{\"n\": 3, \"eventTime\": \"2023-01-05 10:59:00\"}", 1),
    ];
    assert_eq!(told, expected);
    let more = "--samples FOLDER/samples.txt --late-samples FOLDER/late.txt --shift";
    let moved: Vec<_> = played(dir.path(), more, 61_500).1.into_iter().map(|(event, _)| event).collect();
    let expected = ["1970-01-01 00:01:01.500000", "1970-01-01 00:01:02.500000", "1970-01-01 00:00:01.500000"];
    for (event, time) in moved.iter().zip(expected) {
        assert!(event.ends_with(&format!("\"eventTime\": \"{time}\"}}")), "{event}");
    }
}

#[test]
fn late_ones_come_among_those_that_are_made_until_there_are_no_more() {
    let dir = a_folder();
    let (about, events) = played(dir.path(), "--device-files FOLDER --late-samples FOLDER/late.txt", 0);
    assert_eq!(about, "simulating 1 device(s) of 1 file(s) with 1 late one(s)");
    let late: Vec<_> = events.iter().filter(|(_, sent)| sent.late > 0).collect();
    assert!(late.len() == 1 && late[0].0.contains("\"n\": 3"), "{late:?}");
    let hot = events.iter().filter(|(event, _)| event.contains("D1")).count() as u64;
    assert_eq!(events.iter().map(|(_, sent)| sent.hot).sum::<u64>(), hot);
    let (_, none) = played(dir.path(), "--shape devices --late-samples FOLDER/late.txt --late 0", 0);
    assert!(none.len() == 1_000 && none.iter().all(|(_, sent)| sent.late == 0));
}

#[test]
fn files_of_devices_are_of_their_shape_alone() {
    use clap::Parser;
    for line in [
        "forebay simulate --shape plant --samples x",
        "forebay simulate --shape nested --late-samples x",
        "forebay simulate --shape plant --device-files x",
        "forebay simulate --spells",
    ] {
        let crate::cli::Command::Simulate(args) =
            crate::cli::Cli::try_parse_from(line.split(' ')).unwrap().command
        else {
            panic!("another command")
        };
        let refused = Devices::new(&args, 1).map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), &codes::WRONG_USE, "{line}");
    }
}

#[test]
fn an_arduino_takes_only_what_it_can_do_and_no_movement_is_damaged() {
    use clap::Parser;
    let args = |more: &str| {
        let line = format!("forebay simulate --shape arduino {more}");
        match crate::cli::Cli::try_parse_from(line.split_whitespace()).unwrap().command {
            crate::cli::Command::Simulate(args) => args,
            other => panic!("{other:?}"),
        }
    };
    for more in ["--topic t", "--late 0.1", "--fast-clock 0.1", "--values wander", "--samples x"] {
        let refused = Devices::new(&args(more), 1).map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), &codes::WRONG_USE, "{more}");
    }
    let (mut devices, mut value, mut corrupt) =
        (Devices::new(&args("--corrupt 1"), 1).unwrap(), Vec::new(), 0);
    let mut untouched = std::collections::BTreeSet::new();
    while devices.due().unwrap_or_default() < std::time::Duration::from_secs(60) {
        let (sent, _) = devices.next(0, &mut value).unwrap();
        corrupt += sent.corrupt;
        if sent.corrupt == 0 {
            untouched.insert((devices.topic().unwrap(), String::from_utf8(value.clone()).unwrap()));
        }
    }
    let told: Vec<_> = untouched.iter().map(|(topic, value)| (*topic, value.as_str())).collect();
    assert_eq!(told, [("pir_test", "1"), ("status_test", "online")]);
    assert_eq!(corrupt, 3_000 + 30 + u64::from(devices.topic() == Some("dht_test")));
}

const UNIFORM_7: [&str; 2] = [
    r#"{"device_id": "device_2", "temperature": 36.2, "humidity": 54.17, "timestamp": 1732150000}"#,
    r#"{"device_id": "device_2", "temperature": 78.55, "humidity": 43.33, "timestamp": 1732150000}"#,
];

#[test]
fn an_event_reads_as_python_writes_it() {
    let mut out = Vec::new();
    plant(&mut out, 2, 5_512, 6_170, 1_732_150_000);
    let text =
        r#"{"device_id": "device_2", "temperature": 55.12, "humidity": 61.7, "timestamp": 1732150000}"#;
    assert_eq!(out, text.as_bytes());
    assert_eq!(Hundredths(2_000).to_string(), "20.0");
    assert_eq!(Hundredths(2_005).to_string(), "20.05");
}
