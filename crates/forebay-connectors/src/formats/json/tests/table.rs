//! The table: what becomes of each kind of input in each mode. Spark's answers come from a real Spark.

use std::collections::BTreeMap;

use arrow::array::BinaryViewArray;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forebay_core::error::codes;
use forebay_core::format::{BadRecordMode, Decoded, Format as _};
use forebay_core::options::Options;
use serde_json::Value;

use super::{JsonFormat, SPEC, check, row_of, same, schema, string};

const CASES: &str = include_str!("../../../../../forebay/tests/data/json_cases.json");

const CORRUPT: &str = "_corrupt_record";

struct Case {
    id: String,
    payload: Option<Vec<u8>>,
    schema: String,
    options: BTreeMap<String, String>,
    quarantine: Value,
    spark: Value,
}

fn cases() -> Vec<Case> {
    let all: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let options = |case: &Value| {
        let pairs = case["options"].as_object().into_iter().flatten();
        pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    };
    let case = |case: Value| Case {
        id: case["id"].as_str().unwrap().to_owned(),
        payload: payload(&case),
        schema: case["schema"].as_str().unwrap().to_owned(),
        options: options(&case),
        quarantine: case["forebay"]["quarantine"].clone(),
        spark: case["spark"].clone(),
    };
    all.into_iter().map(case).collect()
}

fn payload(case: &Value) -> Option<Vec<u8>> {
    let Some(generator) = case.get("payload_generator") else {
        return case["payload_base64"].as_str().map(|text| STANDARD.decode(text).unwrap());
    };
    let text = |key: &str| generator[key].as_str().unwrap_or_default();
    let number = |key: &str| generator[key].as_u64().unwrap_or_default() as usize;
    let middle = match text("kind") {
        "nest" => {
            let depth = number("depth");
            format!("{}{}{}", text("open").repeat(depth), text("core"), text("close").repeat(depth))
        }
        "repeat" if text("unit").contains('#') => {
            let units: Vec<String> =
                (0..number("times")).map(|i| text("unit").replace('#', &i.to_string())).collect();
            units.join(text("separator"))
        }
        "repeat" if text("separator").is_empty() => text("unit").repeat(number("times")),
        "repeat" => vec![text("unit"); number("times")].join(text("separator")),
        other => panic!("unknown generator {other}"),
    };
    Some(format!("{}{middle}{}", text("before"), text("after")).into_bytes())
}

impl Case {
    fn format(&self, mode: BadRecordMode) -> JsonFormat {
        let options = Options::parse(&SPEC, &self.options).unwrap();
        let mut ddl = self.schema.clone();
        if mode == BadRecordMode::Permissive {
            ddl.push_str(", ");
            ddl.push_str(CORRUPT);
            ddl.push_str(" STRING");
        }
        JsonFormat::new(schema(&ddl), mode, &options).unwrap()
    }

    /// What Spark's answer means for a record that must give one row, be dropped, or stop the query.
    fn spark_fate(&self, mode: &str) -> Option<(&str, Value)> {
        let answer = &self.spark[mode];
        let mut row = answer["row"].clone();
        match answer["fate"].as_str()? {
            // from_json gives NULL instead of a struct: a row of NULLs.
            "null" => Some(("row", Value::Null)),
            // Spark's reader takes a top-level array for several rows; one record is one row here, so it is dropped.
            _ if mode == "DROPMALFORMED" && self.starts_with_array() => Some(("dropped", Value::Null)),
            fate => {
                // A STRING holds text: what of a corrupt record is none is replaced.
                if row.get(CORRUPT).is_some_and(|text| text.get("$base64").is_some()) {
                    let payload = self.payload.as_deref().unwrap_or_default();
                    row[CORRUPT] = string(&String::from_utf8_lossy(payload));
                }
                Some((fate, row))
            }
        }
    }

    fn starts_with_array(&self) -> bool {
        self.payload.as_deref().unwrap_or_default().trim_ascii_start().first() == Some(&b'[')
    }

    fn check_quarantine(&self, decoded: &Decoded, index: usize) -> Result<(), String> {
        let row = row_of(decoded, index);
        let bad = decoded.bad.iter().find(|bad| bad.index as usize == index);
        match (self.quarantine["fate"].as_str(), row, bad) {
            (Some("row"), Some(row), None) if same(&row, &self.quarantine["row"]) => Ok(()),
            (Some("quarantined"), None, Some(bad))
                if bad.code == self.quarantine["code"]
                    && self.quarantine.get("path").is_none_or(|path| bad.path == *path) =>
            {
                Ok(())
            }
            (_, row, bad) => {
                let row = row.map(|row| row.to_string().chars().take(300).collect::<String>());
                Err(format!("{}: quarantine: expected {}, found {row:?} {bad:?}", self.id, self.quarantine))
            }
        }
    }

    fn check_spark(&self, mode: &str, decoded: &Decoded, index: usize) -> Result<(), String> {
        let Some((fate, expected)) = self.spark_fate(mode) else { return Ok(()) };
        match (fate, row_of(decoded, index)) {
            ("row", Some(row))
                if expected.is_null() && row.as_object().unwrap().values().all(Value::is_null) =>
            {
                Ok(())
            }
            ("row", Some(row)) if same(&row, &expected) => Ok(()),
            ("dropped", None) => Ok(()),
            (_, row) => {
                let short = |value: Value| value.to_string().chars().take(300).collect::<String>();
                Err(format!(
                    "{}: {mode}: expected {fate} {}, found {:?}",
                    self.id,
                    short(expected),
                    row.map(short)
                ))
            }
        }
    }
}

fn decode(format: &JsonFormat, cases: &[&Case]) -> forebay_core::Result<Decoded> {
    let values: BinaryViewArray = cases.iter().map(|case| case.payload.as_deref()).collect();
    let decoded = format.decoder().decode(&values)?;
    check(&decoded, cases.len());
    Ok(decoded)
}

const SPARK: [(&str, BadRecordMode); 3] = [
    ("PERMISSIVE", BadRecordMode::Permissive),
    ("DROPMALFORMED", BadRecordMode::DropMalformed),
    ("FAILFAST", BadRecordMode::FailFast),
];

#[test]
fn every_case_alone_meets_its_fate_in_every_mode() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for case in cases() {
        let decoded = decode(&case.format(BadRecordMode::Quarantine), &[&case]).unwrap();
        wrong.extend(case.check_quarantine(&decoded, 0).err());
        compared += 1;
        for (name, mode) in SPARK {
            let Some((fate, _)) = case.spark_fate(name) else { continue };
            compared += 1;
            match (fate, decode(&case.format(mode), &[&case])) {
                ("error", Err(error)) if error.code() == &codes::DECODE_FAILFAST => {}
                (_, Err(error)) => wrong.push(format!("{}: {name}: expected {fate}, found {error}", case.id)),
                (_, Ok(decoded)) => wrong.extend(case.check_spark(name, &decoded, 0).err()),
            }
        }
    }
    assert!(compared >= 462, "compared only {compared}");
    assert!(wrong.is_empty(), "{} of {compared} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_case_among_the_others_of_its_schema_meets_the_same_fate() {
    let mut all = cases();
    // The huge ones were decoded alone; here they would only take long.
    all.retain(|case| case.payload.as_ref().is_none_or(|payload| payload.len() < 1 << 20));
    let mut groups: BTreeMap<(&str, String), Vec<&Case>> = BTreeMap::new();
    for case in &all {
        groups.entry((&case.schema, format!("{:?}", case.options))).or_default().push(case);
    }
    let mut wrong = Vec::new();
    for group in groups.values() {
        // Each case twice, and in two orders: learned glue and buffers come from all kinds of neighbours.
        let mixed: Vec<&Case> = group.iter().chain(group.iter().rev()).copied().collect();
        let decoded = decode(&group[0].format(BadRecordMode::Quarantine), &mixed).unwrap();
        for (index, case) in mixed.iter().enumerate() {
            wrong.extend(case.check_quarantine(&decoded, index).err());
        }
        for (name, mode) in SPARK {
            let not_errors = |case: &&Case| case.spark_fate(name).is_some_and(|(fate, _)| fate != "error");
            let mixed: Vec<&Case> = mixed.iter().copied().filter(not_errors).collect();
            if mixed.is_empty() {
                continue;
            }
            let decoded = decode(&mixed[0].format(mode), &mixed).unwrap();
            for (index, case) in mixed.iter().enumerate() {
                wrong.extend(case.check_spark(name, &decoded, index).err());
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
