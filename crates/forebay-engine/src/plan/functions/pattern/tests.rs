//! Patterns beside what Spark makes of them: `tests/oracle/date_patterns.json`, made by the script beside it.

use serde_json::Value;

use super::*;

const ANSWERS: &str = include_str!("../../../../../../tests/oracle/date_patterns.json");

fn answers(of: &str) -> (Value, Vec<Value>) {
    let answers: Value = serde_json::from_str(ANSWERS).unwrap();
    let cases = answers[of].as_array().unwrap().clone();
    assert!(cases.len() > 400, "{of}: {} cases", cases.len());
    (answers, cases)
}

/// Java knows these, Spark's reference does not: they are refused here.
fn is_undocumented(pattern: &str) -> bool {
    pattern.starts_with(['g', 'v'])
}

fn zone(case: &Value) -> Zone {
    Zone::read(case["zone"].as_str().unwrap()).unwrap()
}

fn written(pattern: &Pattern, micros: i64, zone: Zone) -> Option<String> {
    let mut text = String::new();
    let offset = zone.offset_at(micros.div_euclid(1_000_000));
    pattern.format(zone.local(micros), offset, zone, &mut text).then_some(text)
}

#[test]
fn every_pattern_writes_what_spark_writes() {
    let (answers, cases) = answers("written");
    let instants: Vec<i64> =
        answers["instants"].as_array().unwrap().iter().map(|at| at.as_i64().unwrap()).collect();
    let mut wrong = Vec::new();
    for case in &cases {
        let (name, zone) = (case["pattern"].as_str().unwrap(), zone(case));
        match (Pattern::parse(name, Purpose::Write), case["texts"].as_array()) {
            (Err(_), None) => {}
            (Err(_), Some(_)) if is_undocumented(name) => {}
            (Ok(pattern), Some(texts)) => {
                // Nights on which clocks change are known until then.
                let known = |at: i64| zone.is_utc() || at < 4_102_444_800_000_000;
                for (at, text) in instants.iter().zip(texts).filter(|(at, _)| known(**at)) {
                    let own = written(&pattern, *at, zone);
                    if own.as_deref() != text.as_str() {
                        wrong.push(format!("{zone} `{name}` {at}: {own:?}, Spark {text}"));
                    }
                }
            }
            (own, _) => wrong.push(format!("`{name}`: {own:?}, Spark {case}")),
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_pattern_reads_what_spark_reads() {
    let (_, cases) = answers("read");
    let mut wrong = Vec::new();
    for case in &cases {
        let (name, text) = (case["pattern"].as_str().unwrap(), case["text"].as_str().unwrap());
        let own = Pattern::parse(name, Purpose::Read).ok().and_then(|pattern| pattern.read(text, zone(case)));
        if own != case["micros"].as_i64() && !is_undocumented(name) {
            wrong.push(format!("{own:?} {case}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_spark_refuses_is_refused_with_its_reason() {
    for (pattern, purpose, reason) in [
        ("YYYY", Purpose::Write, "weeks, which Spark does not take: the year of the calendar is `y`"),
        ("ww", Purpose::Read, "the week is extract(WEEK FROM …)"),
        ("uuuu", Purpose::Write, "the year is `y`"),
        ("e", Purpose::Write, "the day of the week is `E`"),
        ("n", Purpose::Write, "no letter"),
        ("EEE", Purpose::Read, "written only"),
        ("MMMMM", Purpose::Write, "too wide"),
        ("yyyyyyy", Purpose::Read, "too wide"),
        ("ddd", Purpose::Write, "not possible"),
        ("{y}", Purpose::Write, "reserved"),
        ("y]", Purpose::Write, "without its"),
        ("'y", Purpose::Write, "not closed"),
        (&"[".repeat(100), Purpose::Write, "sections"),
        (&"d ".repeat(10_000), Purpose::Write, "bytes"),
    ] {
        let refusal = Pattern::parse(pattern, purpose).unwrap_err();
        assert!(refusal.contains(reason), "{pattern}: {refusal}");
    }
}

/// Whatever stands in a text or a pattern, there is an answer.
#[test]
fn no_text_and_no_pattern_makes_a_panic() {
    let mut seed = 0x5eed_u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let letters: Vec<char> = "GyMLdDFEaHhkKmsSVzOXxZQq'[] -:/0129+٣éZUTCGMT".chars().collect();
    let mut read = 0;
    for _ in 0..50_000 {
        let mut text =
            |length: usize| (0..next(length)).map(|_| letters[next(letters.len())]).collect::<String>();
        let (pattern, text) = (text(12), text(16));
        for purpose in [Purpose::Write, Purpose::Read] {
            let Ok(pattern) = Pattern::parse(&pattern, purpose) else { continue };
            for at in [0, i64::MIN, i64::MAX, -62_167_219_200_000_001, next(usize::MAX >> 1) as i64] {
                if let Some(own) = written(&pattern, at, Zone::UTC) {
                    read += u32::from(pattern.read(&own, Zone::UTC).is_some());
                }
            }
            pattern.read(&text, Zone::UTC);
        }
    }
    assert!(read > 1_000, "{read}");
}

#[test]
fn a_name_of_a_zone_follows_its_clocks() {
    let pattern = Pattern::parse("z zzzz", Purpose::Write).unwrap();
    for (name, month, expected) in [
        ("Europe/Dublin", 1, "GMT Greenwich Mean Time"),
        ("Europe/Dublin", 7, "IST Irish Standard Time"),
        ("America/New_York", 7, "EDT Eastern Daylight Time"),
        ("Asia/Tokyo", 7, "JST Japan Standard Time"),
        ("+05:30", 7, "+05:30 +05:30"),
    ] {
        let at = chrono::NaiveDate::from_ymd_opt(2024, month, 15).unwrap().and_hms_opt(12, 0, 0).unwrap();
        let zone = Zone::read(name).unwrap();
        assert_eq!(written(&pattern, at.and_utc().timestamp_micros(), zone).unwrap(), expected, "{name}");
    }
}
