//! Devices as the JSON files of a folder describe them.
//!
//! A file is an event as it would be sent, of which the customer and the devices are taken, or one device alone:
//!
//! ```text
//!  { "customerId": "CI00103", "data": { "devices": [ { "deviceId": "D001", "temperature": 15, … }, … ] } }
//!  { "deviceId": "D002", "customerId": "CI00103", "temperature": [0, 30], "status": ["SUCCESS", null], … }
//! ```
//!
//! What must stay true: nothing in a file is passed over. What is not understood is told with its file and line; what is
//! no measured value goes into every event of its device as it stands.

use std::fmt;
use std::path::{Path, PathBuf};

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use super::decimal::Span;
use crate::flaw;

/// Most files of a folder, and most bytes of one: far more than a person writes.
const MOST_FILES: usize = 10_000;
const MOST_BYTES: u64 = 1 << 20;

/// What is measured, and so differs from event to event.
const MEASURED: [&str; 3] = ["temperature", "pressure", "humidity"];

/// Who sends events, and the devices that are in them.
#[derive(Debug, PartialEq)]
pub struct Customer {
    /// `customerId`; events without one have it null.
    pub id: Option<String>,
    /// `eventPublisher`.
    pub publisher: String,
    /// At least one; `None` stands as null among the others.
    pub devices: Vec<Option<Device>>,
}

/// One device of an event: its fields in the order of the file, with names as JSON texts.
#[derive(Debug, PartialEq)]
pub struct Device {
    /// `deviceId`, for it is once in an event.
    pub id: Option<String>,
    pub fields: Vec<(String, Field)>,
}

/// The value of a field, as JSON.
#[derive(Debug, PartialEq)]
pub enum Field {
    /// Always this.
    Fixed(String),
    /// One of these, each as likely.
    OneOf(Vec<String>),
    /// A number anywhere in there.
    Measured(Span),
}

/// The customers of all `*.json` files in a folder, in the order of their names.
///
/// # Errors
/// `FILE_UNREADABLE`, or `BAD_VALUE` with file and line.
pub fn read(folder: &Path) -> Result<Vec<Customer>> {
    let unreadable = |path: &Path, error: std::io::Error| {
        Error::new(&codes::FILE_UNREADABLE, "the devices cannot be read").at(path.display()).caused_by(error)
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path: PathBuf = entry.map_err(|error| unreadable(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            files.push(path);
        }
    }
    if files.is_empty() || files.len() > MOST_FILES {
        let told = format!("the folder holds {} files named *.json, expected 1 to {MOST_FILES}", files.len());
        return Err(Error::new(&codes::BAD_VALUE, told).at(folder.display()).with_hint(HINT));
    }
    files.sort();
    let mut customers = Vec::with_capacity(files.len());
    for path in files {
        let size = std::fs::metadata(&path).map_err(|error| unreadable(&path, error))?.len();
        if size > MOST_BYTES {
            return Err(Error::new(&codes::BAD_VALUE, "the file is larger than 1 MiB").at(path.display()));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        let read = serde_json::from_str(&text);
        customers.push(read.map_err(|error| {
            flaw::of("the file describes no devices", path.display(), 1, &error).with_hint(HINT)
        })?);
    }
    Ok(customers)
}

const HINT: &str = "A file is an event with `customerId` and `data.devices`, or one device with `deviceId`; `forebay simulate --help` shows both.";

impl Device {
    fn new<E: de::Error>(fields: Vec<(String, Field)>) -> std::result::Result<Self, E> {
        let Some((_, Field::Fixed(id))) = fields.iter().find(|(name, _)| name == "deviceId") else {
            return Err(E::custom("a device without `deviceId`"));
        };
        let id = serde_json::from_str(id).map_err(E::custom)?;
        let fields = fields.into_iter().map(|(name, field)| (Value::String(name).to_string(), field));
        Ok(Self { id, fields: fields.collect() })
    }
}

impl Field {
    /// What a value in a file means under this name, or what is wrong with it.
    fn of(name: &str, value: Value) -> std::result::Result<Self, String> {
        let is_label = |value: &Value| matches!(value, Value::String(_) | Value::Null);
        match value {
            Value::Array(list) if name == "status" => {
                if list.is_empty() || !list.iter().all(is_label) {
                    return Err("a list of `status` holds texts or null, one at least".to_owned());
                }
                Ok(Self::OneOf(list.iter().map(Value::to_string).collect()))
            }
            value if matches!(name, "status" | "deviceId") && !is_label(&value) => {
                Err(format!("`{name}` is a text or null, not {value}"))
            }
            Value::Number(number) if MEASURED.contains(&name) => Span::around(&number).map(Self::Measured),
            Value::Array(list) if MEASURED.contains(&name) => match list.as_slice() {
                [Value::Number(low), Value::Number(high)] => Span::between(low, high).map(Self::Measured),
                _ => Err(format!("the range of `{name}` is [LOWEST, HIGHEST], two numbers")),
            },
            value if MEASURED.contains(&name) && !value.is_null() => {
                Err(format!("`{name}` is a number to be near, [LOWEST, HIGHEST] or null, not {value}"))
            }
            value => Ok(Self::Fixed(value.to_string())),
        }
    }
}

/// What stands under `data`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    devices: Vec<Option<Device>>,
}

impl<'de> Deserialize<'de> for Customer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(CustomerVisitor)
    }
}

struct CustomerVisitor;

impl<'de> Visitor<'de> for CustomerVisitor {
    type Value = Customer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Customer, A::Error> {
        let (mut id, mut publisher, mut listed) = (None, None, None);
        let mut alone: Vec<(String, Field)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                // Every event has its own.
                "eventId" | "eventOffset" | "eventTime" => drop(map.next_value::<IgnoredAny>()?),
                "customerId" => id = map.next_value::<Option<String>>()?,
                "eventPublisher" => publisher = map.next_value::<Option<String>>()?,
                "data" => listed = Some(map.next_value::<Data>()?.devices),
                _ => {
                    let field = map.next_value_seed(FieldOf(&name))?;
                    alone.push((name, field));
                }
            }
        }
        let devices = match (listed, alone.first()) {
            (Some(_), Some((name, _))) => {
                let told =
                    format!("`{name}` beside `data`: what belongs to a device stands in `data.devices`");
                return Err(de::Error::custom(told));
            }
            (Some(devices), None) => devices,
            (None, _) => vec![Some(Device::new(alone)?)],
        };
        if devices.iter().all(Option::is_none) {
            return Err(de::Error::custom("no device in `data.devices`"));
        }
        Ok(Customer { id, publisher: publisher.unwrap_or_else(|| "device".to_owned()), devices })
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(DeviceVisitor)
    }
}

struct DeviceVisitor;

impl<'de> Visitor<'de> for DeviceVisitor {
    type Value = Device;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a device, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Device, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let field = map.next_value_seed(FieldOf(&name))?;
            fields.push((name, field));
        }
        Device::new(fields)
    }
}

/// Reads the value of the field of this name. It refuses it while the reader still stands at it: so the line is right.
struct FieldOf<'n>(&'n str);

impl FieldOf<'_> {
    fn field<E: de::Error>(self, value: Value) -> std::result::Result<Field, E> {
        Field::of(self.0, value).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for FieldOf<'_> {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Field, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldOf<'_> {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> std::result::Result<Field, E> {
        self.field(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> std::result::Result<Field, E> {
        self.field(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> std::result::Result<Field, E> {
        self.field(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> std::result::Result<Field, E> {
        self.field(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> std::result::Result<Field, E> {
        self.field(value.into())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> std::result::Result<Field, E> {
        self.field(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Field, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element::<Value>()? {
            list.push(value);
        }
        self.field(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Field, A::Error> {
        let value = Value::deserialize(MapAccessDeserializer::new(map))?;
        self.field(value)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test makes its files by hand")]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("device_01.json"), text).unwrap();
        let error = read(dir.path()).unwrap_err();
        let place = error.place().unwrap().rsplit('/').next().unwrap().to_owned();
        format!("{place} {}", error.detail().unwrap_or_default())
    }

    #[test]
    fn an_event_describes_its_customer_and_devices() {
        let event = r#"{"eventId": "e3cb26d3", "eventOffset": 10001, "eventPublisher": "device", "customerId": "CI00103",
            "data": {"devices": [{"deviceId": "D001", "temperature": 15, "measure": "C", "status": "ERROR"}, null]},
            "eventTime": "2023-01-05 11:13:53.643364"}"#;
        let customer: Customer = serde_json::from_str(event).unwrap();
        assert_eq!((customer.id.as_deref(), customer.publisher.as_str()), (Some("CI00103"), "device"));
        let device = customer.devices[0].as_ref().unwrap();
        let names: Vec<&str> = device.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["\"deviceId\"", "\"temperature\"", "\"measure\"", "\"status\""]);
        assert_eq!(device.fields[0].1, Field::Fixed("\"D001\"".to_owned()));
        assert!(matches!(device.fields[1].1, Field::Measured(_)));
        assert_eq!((device.id.as_deref(), &customer.devices[1]), (Some("D001"), &None));
    }

    #[test]
    fn one_device_alone_is_a_customers_only_one() {
        let text = r#"{"deviceId": "D2", "status": ["OK", null], "pressure": null, "place": {"hall": [1, 2]}, "n": -1.5}"#;
        let customer: Customer = serde_json::from_str(text).unwrap();
        assert_eq!((customer.id, customer.publisher.as_str()), (None, "device"));
        let device = customer.devices[0].as_ref().unwrap();
        assert_eq!(device.fields[1].1, Field::OneOf(vec!["\"OK\"".to_owned(), "null".to_owned()]));
        let fixed: Vec<&Field> = device.fields[2..].iter().map(|(_, field)| field).collect();
        let expected = ["null", r#"{"hall":[1,2]}"#, "-1.5"].map(|text| Field::Fixed(text.to_owned()));
        assert_eq!(fixed, expected.iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_wrong_is_told_with_file_and_line() {
        for (text, place, what) in [
            ("{\n  \"deviceId\": \"D1\",\n  \"temperature\": \"warm\"\n}\n", ":3:", "a number to be near"),
            ("{\n  \"deviceId\": \"D1\",\n  \"humidity\": [1]\n\n\n}\n", ":3:", "two numbers"),
            ("{\n  \"deviceId\": \"D1\",\n  \"pressure\": [2, 1]}", ":3:", "above"),
            ("{\n  \"deviceId\": 7 }", ":2:", "a text or null, not 7"),
            ("{\n  \"deviceId\": \"D1\",\n \"status\": []}", ":3:", "one at least"),
            ("{\n  \"deviceId\": \"D1\",\n \"status\": true}", ":3:", "a text or null"),
            ("{\n  \"temperature\": 5\n}", ":3:", "without `deviceId`"),
            ("{\n \"data\": {\n  \"devices\": [{\"temperature\": 5}]}}", ":3:", "without `deviceId`"),
            ("{ \"data\": { \"devices\": [] } }", ":1:", "no device"),
            ("{ \"data\": { \"devices\": [null] } }", ":1:", "no device"),
            ("{ \"data\": { \"devises\": [] } }", ":1:", "devises"),
            (
                "{ \"data\": { \"devices\": [{\"deviceId\": null}] }, \"site\": 1 }",
                ":1:",
                "`site` beside `data`",
            ),
            ("{ \"customerId\": 5 }", ":1:", "expected a string"),
            ("[]", ":1:", "expected an object"),
            ("{\n \"deviceId\"", ":2:", "EOF"),
        ] {
            let said = told(text);
            assert!(
                said.starts_with(&format!("device_01.json{place}")) && said.contains(what),
                "{text}: {said}"
            );
        }
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let none = read(dir.path()).unwrap_err();
        assert!(none.message().contains("0 files"), "{none}");
        for (file, id) in [("device_02.json", "D2"), ("device_01.JSON", "D1"), ("device_10.json", "D10")] {
            std::fs::write(dir.path().join(file), format!("{{\"deviceId\": \"{id}\"}}")).unwrap();
        }
        std::fs::write(dir.path().join("device_data_samples.txt"), "no device").unwrap();
        let customers = read(dir.path()).unwrap();
        let ids: Vec<_> = customers.iter().map(|it| it.devices[0].as_ref().unwrap().id.as_deref()).collect();
        assert_eq!(ids, [Some("D1"), Some("D2"), Some("D10")]);
        assert_eq!(read(Path::new("/nothing/here")).unwrap_err().code(), &codes::FILE_UNREADABLE);
    }
}
