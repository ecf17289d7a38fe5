//! Events of customers: each tells of several devices of one of them.
//!
//! ```text
//!  {"eventId": "…", "eventOffset": 10001, "eventPublisher": "device", "customerId": "CI00103", "data": {"devices":
//!   [{"deviceId": "D001", "temperature": 15, "measure": "C", "status": "ERROR", "pressure": 1012.4, "humidity": 45.1}]},
//!   "eventTime": "2023-01-05 11:13:53.643364"}
//! ```
//!
//! What must stay true: a device belongs to one customer and is at most once in an event, so that eventId and deviceId
//! name a reading. An event may be of no device, and a device may be null, without a name or without a status: a
//! pipeline must cope with that. In a [spell](super::spells) a device is in none of its customer's events, or a customer's
//! events are of some minutes ago.

use std::io::{self, Write as _};

use super::decimal::Decimal;
use super::described::{Customer, Field};
use super::spells::Spells;
use super::wander::Wander;
use crate::cli::{Motion, SimulateArgs};

/// `eventOffset` of the first event.
const FIRST_OFFSET: u64 = 10_000;

/// Devices of a customer, where none are described.
const EACH: u32 = 2;

/// What a device says of itself where each value stands by itself, the likelier the more often it stands here.
const STATUSES: [&str; 10] = [
    "\"SUCCESS\"",
    "\"SUCCESS\"",
    "\"SUCCESS\"",
    "\"SUCCESS\"",
    "\"SUCCESS\"",
    "\"SUCCESS\"",
    "\"STANDBY\"",
    "\"STANDBY\"",
    "\"ERROR\"",
    "null",
];

/// Who sends events.
pub enum Customers {
    /// So many devices, two of each customer, and where they are if their values follow from those before.
    Made { devices: u32, wander: Option<Wander> },
    /// Those of the files.
    Described(Vec<Customer>),
}

/// When an event is of.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Since 1970, as the device's clock has it.
    pub seconds: i64,
    /// Of the second.
    pub millis: i64,
    /// Events before it.
    pub number: u64,
}

/// What came of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// A device in it is above 70 degrees.
    pub is_hot: bool,
    /// It was held up on the way.
    pub is_late: bool,
}

impl Customers {
    /// Devices as asked for on the command line that are not described by files.
    pub fn made(args: &SimulateArgs, random: &mut fastrand::Rng) -> Self {
        let wander = match args.values {
            Motion::Uniform => None,
            Motion::Wander => Some(Wander::new(args.devices, args.rate(), random)),
        };
        Self::Made { devices: args.devices, wander }
    }

    /// Writes the next event and its customer.
    pub fn event(
        &mut self,
        moment: Moment,
        spells: Option<&Spells>,
        out: &mut Vec<u8>,
        customer: &mut Vec<u8>,
        random: &mut fastrand::Rng,
    ) -> Made {
        let written = self.write(moment, spells, out, customer, random);
        debug_assert!(written.is_ok(), "writing to memory cannot fail");
        written.unwrap_or_default()
    }

    /// How many customers there are.
    fn len(&self) -> usize {
        match self {
            Self::Made { devices, .. } => devices.div_ceil(EACH) as usize,
            Self::Described(customers) => customers.len(),
        }
    }

    /// Which device of this customer is silent, if one is.
    fn silent(&self, customer: usize, spells: Option<&Spells>) -> Option<usize> {
        let whose = spells?.silent()?;
        let (of, device) = match self {
            Self::Made { devices, .. } => {
                let device = whose % *devices as usize;
                (device / EACH as usize, device % EACH as usize)
            }
            Self::Described(customers) => {
                let of = whose % customers.len();
                (of, whose / customers.len() % customers[of].devices.len())
            }
        };
        (of == customer).then_some(device)
    }

    /// By how many seconds the events of this customer are held up.
    fn held_up(&self, customer: usize, spells: Option<&Spells>) -> Option<i64> {
        let (whose, late) = spells?.held_up()?;
        (whose % self.len() == customer).then_some(late)
    }

    fn write(
        &mut self,
        Moment { seconds, millis, number }: Moment,
        spells: Option<&Spells>,
        out: &mut Vec<u8>,
        customer: &mut Vec<u8>,
        random: &mut fastrand::Rng,
    ) -> io::Result<Made> {
        let id = uuid::Builder::from_random_bytes(random.u128(..).to_le_bytes()).into_uuid();
        let offset = FIRST_OFFSET + number;
        write!(out, "{{\"eventId\": \"{id}\", \"eventOffset\": {offset}, \"eventPublisher\": ")?;
        let is_of_none = random.u32(0..20) == 0;
        let place = match self {
            Self::Made { devices, .. } => random.u32(0..devices.div_ceil(EACH)) as usize,
            Self::Described(customers) => random.usize(0..customers.len()),
        };
        let (silent, held_up) = (self.silent(place, spells), self.held_up(place, spells));
        let is_hot = match self {
            Self::Made { devices, wander } => {
                let index = u32::try_from(place).unwrap_or_default();
                write!(customer, "CI{:05}", 100 + index)?;
                write!(
                    out,
                    "\"device\", \"customerId\": \"CI{:05}\", \"data\": {{\"devices\": [",
                    100 + index
                )?;
                let first = index * EACH + 1;
                let there = first..=(first + EACH - 1).min(*devices);
                let chosen = chosen(there.clone().count(), is_of_none, silent, random);
                let mut is_hot = false;
                for (device, _) in there.zip(&chosen).filter(|(_, is_chosen)| **is_chosen) {
                    begin(out)?;
                    is_hot |= reading(out, device, wander.as_mut(), random)?;
                }
                is_hot
            }
            Self::Described(customers) => {
                let told = &customers[place];
                customer.extend_from_slice(told.id.as_deref().unwrap_or_default().as_bytes());
                let text = |text: &str| serde_json::Value::from(text).to_string();
                let id = told.id.as_deref().map_or("null".to_owned(), text);
                write!(out, "{}, \"customerId\": {id}, \"data\": {{\"devices\": [", text(&told.publisher))?;
                described(out, told, is_of_none, silent, random)?
            }
        };
        let seconds = seconds - held_up.unwrap_or_default();
        let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        let time = time.format("%Y-%m-%d %H:%M:%S");
        write!(out, "]}}, \"eventTime\": \"{time}.{millis:03}{:03}\"}}", random.u32(0..1_000))?;
        Ok(Made { is_hot, is_late: held_up.is_some() })
    }
}

/// Which of so many devices an event is of: most of them, and one at least unless it is to be of none, or that one is silent.
fn chosen(count: usize, is_of_none: bool, silent: Option<usize>, random: &mut fastrand::Rng) -> Vec<bool> {
    let mut chosen: Vec<bool> = (0..count).map(|_| !is_of_none && random.u32(0..5) > 0).collect();
    if !is_of_none && !chosen.contains(&true) && count > 0 {
        chosen[random.usize(0..count)] = true;
    }
    if let Some(is_chosen) = silent.and_then(|device| chosen.get_mut(device)) {
        *is_chosen = false;
    }
    chosen
}

/// What stands between two devices.
fn begin(out: &mut Vec<u8>) -> io::Result<()> {
    if out.last() == Some(&b'[') { Ok(()) } else { out.write_all(b", ") }
}

/// Writes what a device of our own making measures; true if that is above 70 degrees.
fn reading(
    out: &mut Vec<u8>,
    device: u32,
    mut wander: Option<&mut Wander>,
    random: &mut fastrand::Rng,
) -> io::Result<bool> {
    let hundredths = |units: u32| Decimal { units: units.into(), digits: 2 };
    let (temperature, humidity) = match &mut wander {
        None => (Decimal { units: random.i64(0..=50), digits: 0 }, hundredths(random.u32(3_000..=9_000))),
        Some(wander) => {
            let (temperature, humidity) = wander.next(device, random);
            (hundredths(temperature), hundredths(humidity))
        }
    };
    let pressure = Decimal { units: random.i64(9_800..=10_400), digits: 1 };
    let status = match wander {
        None => STATUSES[random.usize(0..STATUSES.len())],
        Some(wander) => wander.says(device, random).json(),
    };
    match random.u32(0..100) {
        0 => write!(out, "{{\"deviceId\": null")?,
        _ => write!(out, "{{\"deviceId\": \"D{device:03}\"")?,
    }
    write!(
        out,
        ", \"temperature\": {temperature}, \"measure\": \"C\", \"status\": {status}, \"pressure\": {pressure}, \"humidity\": {humidity}}}"
    )?;
    Ok(temperature.is_above(70))
}

/// Writes what the devices of a customer measure, each id once; true if one of them is above 70 degrees.
fn described(
    out: &mut Vec<u8>,
    customer: &Customer,
    is_of_none: bool,
    silent: Option<usize>,
    random: &mut fastrand::Rng,
) -> io::Result<bool> {
    let chosen = chosen(customer.devices.len(), is_of_none, silent, random);
    let mut is_hot = false;
    let mut there: Vec<&Option<String>> = Vec::new();
    for (device, _) in customer.devices.iter().zip(&chosen).filter(|(_, is_chosen)| **is_chosen) {
        let Some(device) = device else {
            begin(out)?;
            out.write_all(b"null")?;
            continue;
        };
        if there.contains(&&device.id) {
            continue;
        }
        there.push(&device.id);
        begin(out)?;
        for (index, (name, field)) in device.fields.iter().enumerate() {
            write!(out, "{}{name}: ", if index == 0 { "{" } else { ", " })?;
            match field {
                Field::Fixed(value) => out.write_all(value.as_bytes())?,
                Field::OneOf(values) => out.write_all(values[random.usize(0..values.len())].as_bytes())?,
                Field::Measured(span) => {
                    let value = span.draw(random);
                    is_hot |= name == "\"temperature\"" && value.is_above(70);
                    write!(out, "{value}")?;
                }
            }
        }
        out.write_all(b"}")?;
    }
    Ok(is_hot)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const AT: Moment = Moment { seconds: 1_672_917_233, millis: 643, number: 1 };

    fn events(mut customers: Customers, count: usize) -> Vec<(String, Value, bool)> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut one = || {
            let (mut out, mut customer) = (Vec::new(), Vec::new());
            let is_hot = customers.event(AT, None, &mut out, &mut customer, &mut random).is_hot;
            let text = String::from_utf8(out).unwrap();
            let event: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(event["customerId"].as_str().unwrap_or_default().as_bytes(), customer, "its key");
            (text, event, is_hot)
        };
        (0..count).map(|_| one()).collect()
    }

    fn devices(event: &Value) -> &Vec<Value> {
        event["data"]["devices"].as_array().unwrap()
    }

    #[test]
    fn an_event_has_the_fields_of_the_seed_in_their_order() {
        let events = events(Customers::Made { devices: 5, wander: None }, 2_000);
        let start = |event: &Value| {
            format!(
                "{{\"eventId\": {}, \"eventOffset\": 10001, \"eventPublisher\": \"device\", \"customerId\": {}, \"data\": {{\"devices\": [",
                event["eventId"], event["customerId"]
            )
        };
        let mut seen = std::collections::BTreeMap::<String, std::collections::BTreeSet<String>>::new();
        for (text, event, is_hot) in &events {
            assert!(text.starts_with(&start(event)), "{text}");
            assert!(event["eventTime"].as_str().unwrap().starts_with("2023-01-05 11:13:53.643"), "{text}");
            assert_eq!(event["eventTime"].as_str().unwrap().len(), 26, "with microseconds: {text}");
            assert_eq!(
                uuid::Uuid::parse_str(event["eventId"].as_str().unwrap()).unwrap().get_version_num(),
                4
            );
            let of = seen.entry(event["customerId"].to_string()).or_default();
            let ids: Vec<String> =
                devices(event).iter().map(|device| device["deviceId"].to_string()).collect();
            assert!(ids.len() <= 2 && (ids.len() < 2 || ids[0] != ids[1] || ids[0] == "null"), "{text}");
            of.extend(ids.into_iter().filter(|id| id != "null"));
            assert!(!is_hot, "50 degrees at most");
        }
        let belongs = seen.values().map(|devices| devices.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(
            belongs.collect::<Vec<_>>(),
            [vec!["\"D001\"", "\"D002\""], vec!["\"D003\"", "\"D004\""], vec!["\"D005\""]]
        );
        let all = || events.iter().flat_map(|(_, event, _)| devices(event));
        let none = events.iter().filter(|(_, event, _)| devices(event).is_empty()).count();
        assert!((50..200).contains(&none), "{none} events without a device");
        assert!(
            all().any(|device| device["deviceId"].is_null())
                && all().any(|device| device["status"].is_null())
        );
        for device in all() {
            assert!((0..=50).contains(&device["temperature"].as_i64().unwrap()), "{device}");
            assert!((980.0..=1_040.0).contains(&device["pressure"].as_f64().unwrap()), "{device}");
            assert!((30.0..=90.0).contains(&device["humidity"].as_f64().unwrap()), "{device}");
            assert_eq!(device["measure"], "C");
        }
        let ids: std::collections::BTreeSet<_> =
            events.iter().map(|(_, event, _)| event["eventId"].to_string()).collect();
        assert_eq!(ids.len(), 2_000);
    }

    #[test]
    fn described_devices_are_as_they_are_described() {
        let customers = [
            r#"{"customerId": "CI00103", "eventPublisher": "gate \"7\"", "data": {"devices": [
                {"deviceId": "D001", "temperature": 71.5, "measure": "C", "status": "ERROR", "place": {"hall": 1}},
                {"deviceId": "D002", "status": ["SUCCESS", null], "temperature": [0, 3]},
                {"deviceId": "D002", "status": "STANDBY", "temperature": null}, null]}}"#,
            r#"{"deviceId": "D009"}"#,
        ];
        let customers = customers.map(|text| serde_json::from_str(text).unwrap()).into();
        let events = events(Customers::Described(customers), 1_000);
        let mut statuses = std::collections::BTreeSet::new();
        for (text, event, is_hot) in &events {
            let there = devices(event);
            let ids: Vec<&str> = there.iter().filter_map(|device| device["deviceId"].as_str()).collect();
            if event["customerId"].is_null() {
                assert!(ids.is_empty() || ids == ["D009"], "{text}");
                continue;
            }
            assert_eq!(
                (event["customerId"].as_str(), event["eventPublisher"].as_str()),
                (Some("CI00103"), Some("gate \"7\""))
            );
            assert!(ids.windows(2).all(|two| two[0] < two[1]), "no device twice: {text}");
            for device in there.iter().filter(|device| !device.is_null()) {
                let status = device["status"].to_string();
                if device["deviceId"] == "D001" {
                    assert!(
                        text.contains("\"measure\": \"C\", \"status\": \"ERROR\", \"place\": {\"hall\":1}}"),
                        "{text}"
                    );
                    assert!((64.0..79.0).contains(&device["temperature"].as_f64().unwrap()), "{text}");
                } else {
                    assert!(device["temperature"].as_i64().is_none_or(|it| (0..=3).contains(&it)), "{text}");
                    statuses.insert(status);
                }
            }
            let hottest =
                there.iter().filter_map(|device| device["temperature"].as_f64()).fold(0.0, f64::max);
            assert_eq!(*is_hot, hottest > 70.0, "{text}");
        }
        assert_eq!(statuses.iter().collect::<Vec<_>>(), ["\"STANDBY\"", "\"SUCCESS\"", "null"]);
        assert!(events.iter().any(|(_, event, _)| devices(event).contains(&Value::Null)));
        assert!(events.iter().any(|(_, _, is_hot)| *is_hot));
    }
}
