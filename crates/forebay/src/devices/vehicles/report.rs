//! What a vehicle tells: the fields of the seed's producer, in its order and its spelling, and the ways in which such a
//! record is broken.

use std::io::Write as _;

use super::roads::Place;

/// What is told at a moment.
#[derive(Clone, Debug)]
pub struct Report {
    /// `CAR-` and this number.
    pub car: usize,
    pub trip: Trip,
    pub place: Place,
    /// Seconds since 1970, as all times here.
    pub at: i64,
    pub speed: f64,
    pub fuel: f64,
    pub temperature: f64,
    pub rpm: f64,
}

/// A trip, from where a vehicle starts to where it stops.
#[derive(Clone, Debug)]
pub struct Trip {
    pub id: u128,
    pub since: i64,
    pub from: Place,
}

/// How a record is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The text of the seed's producer in place of an object.
    NotJson,
    Truncated,
    Empty,
    /// A word where a number belongs.
    WrongType,
    /// Nobody's: the car is null.
    NoCar,
    /// A day that no calendar has.
    NoSuchDay,
}

impl Flaw {
    pub const ALL: [Self; 6] =
        [Self::NotJson, Self::Truncated, Self::Empty, Self::WrongType, Self::NoCar, Self::NoSuchDay];

    /// Its name in the truth.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::Truncated => "truncated",
            Self::Empty => "empty",
            Self::WrongType => "wrong_type",
            Self::NoCar => "no_car",
            Self::NoSuchDay => "no_such_day",
        }
    }

    /// The code under which the decoder of the example sets it aside.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotJson => "json.not_object",
            Self::Truncated => "json.truncated",
            Self::Empty => "json.empty",
            Self::WrongType => "json.type",
            Self::NoCar => "json.required",
            Self::NoSuchDay => "json.range",
        }
    }
}

impl Report {
    pub fn car(&self) -> String {
        car(self.car)
    }

    /// `CAR-101-6b1c…`: the record's key, and a field of it too.
    pub fn key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.car().as_bytes());
        out.push(b'-');
        out.extend_from_slice(uuid(self.trip.id).as_bytes());
    }

    /// As JSON, as Python writes it; whole, or with a flaw.
    pub fn write(&self, flaw: Option<Flaw>, out: &mut Vec<u8>) {
        out.clear();
        match flaw {
            Some(Flaw::NotJson) => return out.extend_from_slice(b"\"THIS_IS_NOT_JSON\""),
            Some(Flaw::Empty) => return,
            _ => {}
        }
        let (car, trip) = (self.car(), uuid(self.trip.id));
        let name = if flaw == Some(Flaw::NoCar) { "null".to_owned() } else { format!("\"{car}\"") };
        let at = if flaw == Some(Flaw::NoSuchDay) { "2026-02-30 12:00:00".to_owned() } else { time(self.at) };
        let speed = match flaw {
            Some(Flaw::WrongType) => "\"fast\"".to_owned(),
            _ => format!("{:.2}", self.speed),
        };
        let since = time(self.trip.since);
        let write = write!(
            out,
            "{{\"trip_id\": \"{trip}\", \"car_id\": {name}, \"latitude\": {:.6}, \"longitude\": {:.6}, \
             \"event_timestamp\": \"{at}\", \"speed_kmph\": {speed}, \"fuel_level\": {:.2}, \
             \"engine_temp_c\": {:.2}, \"engine_rpm\": {:.0}, \"trip_start_time\": \"{since}\", \
             \"trip_start_latitude\": {:.6}, \"trip_start_longitude\": {:.6}, \"trip_start_date\": \"{}\", \
             \"message_key\": \"{car}-{trip}\"}}",
            self.place.latitude,
            self.place.longitude,
            self.fuel,
            self.temperature,
            self.rpm,
            self.trip.from.latitude,
            self.trip.from.longitude,
            &since[..10],
        );
        debug_assert!(write.is_ok(), "writing to memory cannot fail");
        if flaw == Some(Flaw::Truncated) {
            out.truncate(out.len() / 2);
        }
    }
}

/// The name of a car by its number from 0.
pub fn car(index: usize) -> String {
    format!("CAR-{}", 101 + index)
}

/// As the seed writes times: to the second, without a zone, in UTC.
pub fn time(seconds: i64) -> String {
    chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// As a random UUID is written.
pub fn uuid(bits: u128) -> String {
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let place = Place { latitude: 26.3, longitude: 50.1 };
        let trip = Trip { id: 7, since: 1_732_150_000, from: place };
        Report {
            car: 0,
            trip,
            place,
            at: 1_732_150_060,
            speed: 87.1,
            fuel: 50.0,
            temperature: 90.0,
            rpm: 2_400.4,
        }
    }

    #[test]
    fn a_report_reads_as_the_producer_of_the_seed_writes_it() {
        let mut out = Vec::new();
        report().write(None, &mut out);
        let text = r#"{"trip_id": "00000000-0000-4000-8000-000000000007", "car_id": "CAR-101", "latitude": 26.300000, "longitude": 50.100000, "event_timestamp": "2024-11-21 00:47:40", "speed_kmph": 87.10, "fuel_level": 50.00, "engine_temp_c": 90.00, "engine_rpm": 2400, "trip_start_time": "2024-11-21 00:46:40", "trip_start_latitude": 26.300000, "trip_start_longitude": 50.100000, "trip_start_date": "2024-11-21", "message_key": "CAR-101-00000000-0000-4000-8000-000000000007"}"#;
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn every_flaw_breaks_the_record_and_none_is_another() {
        let mut seen = Vec::new();
        for flaw in [None].into_iter().chain(Flaw::ALL.map(Some)) {
            let mut out = Vec::new();
            report().write(flaw, &mut out);
            assert!(!seen.contains(&out), "{flaw:?}");
            seen.push(out);
        }
    }
}
