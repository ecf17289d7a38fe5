//! What names of columns usually mean: which one names the device, what a number measures, in which unit.
//!
//! Guesses by the names that people give. They are tables, so that a missing one costs a line.

use forebay_core::fields::{Coordinate, Kind, Leaf, plain_name as plain};

/// Names of the field that names a device, the likeliest first; in lower case, without `_`, `-` and dots.
const KEYS: [&str; 19] = [
    "deviceid",
    "sensorid",
    "machineid",
    "machine",
    "device",
    "sensor",
    "id",
    "assetid",
    "asset",
    "equipmentid",
    "nodeid",
    "meterid",
    "thingid",
    "vehicleid",
    "unitid",
    "serialnumber",
    "serial",
    "imei",
    "mac",
];

/// Names of whole numbers that are times.
const TIMES: [&str; 12] = [
    "timestamp",
    "ts",
    "time",
    "eventtime",
    "eventts",
    "eventtimestamp",
    "timestampms",
    "tsms",
    "timems",
    "epoch",
    "epochms",
    "createdat",
];

/// Names of numbers that count or name.
const OTHERS: [&str; 7] = ["id", "seq", "sequence", "seqno", "index", "offset", "version"];

/// Endings of names and the unit that they tell.
const UNITS: [(&str, &str); 24] = [
    ("_celsius", "°C"),
    ("_fahrenheit", "°F"),
    ("_kelvin", "K"),
    ("_percent", "%"),
    ("_pct", "%"),
    ("_ms", "ms"),
    ("_seconds", "s"),
    ("_bytes", "B"),
    ("_kwh", "kWh"),
    ("_kw", "kW"),
    ("_watts", "W"),
    ("_volts", "V"),
    ("_v", "V"),
    ("_amps", "A"),
    ("_hz", "Hz"),
    ("_bar", "bar"),
    ("_kpa", "kPa"),
    ("_hpa", "hPa"),
    ("_rpm", "rpm"),
    ("_ppm", "ppm"),
    ("_ppb", "ppb"),
    ("_lux", "lx"),
    ("_db", "dB"),
    ("_dbm", "dBm"),
];

/// The leaf that names the device, if one does.
pub(crate) fn key(leaves: &[Leaf]) -> Option<usize> {
    let names: Vec<(String, String)> =
        leaves.iter().map(|leaf| (plain(&leaf.name), plain(leaf.last_name()))).collect();
    let fits = |index: usize| leaves[index].can_be_key();
    for known in KEYS {
        let whole = (0..leaves.len()).find(|index| names[*index].0 == known && fits(*index));
        // `event.id` names an event; only what says of what it is the name counts deeper down.
        let nested = || {
            let inside =
                (0..leaves.len()).filter(|index| known != "id" && names[*index].1 == known && fits(*index));
            inside.min_by_key(|index| leaves[*index].path.len())
        };
        if let Some(index) = whole.or_else(nested) {
            return Some(index);
        }
    }
    None
}

/// What a leaf that is not the key is for.
pub(crate) fn role(leaf: &Leaf) -> super::layout::Role {
    use super::layout::Role;
    match leaf.coordinate() {
        Some(Coordinate::Latitude) => return Role::Lat,
        Some(Coordinate::Longitude) => return Role::Lon,
        None => {}
    }
    let name = plain(leaf.last_name());
    match leaf.kind() {
        Kind::Time => Role::Time,
        Kind::Text | Kind::Bool => Role::Status,
        Kind::Number => match name.as_str() {
            time if TIMES.contains(&time) && leaf.field.data_type().is_integer() => Role::Time,
            other if OTHERS.contains(&other) || leaf.last_name().to_ascii_lowercase().ends_with("_id") => {
                Role::Other
            }
            _ => Role::Value,
        },
    }
}

/// The unit that a name's ending tells.
pub(crate) fn unit(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    UNITS.iter().find(|(ending, _)| lower.ends_with(ending)).map(|(_, unit)| *unit)
}
