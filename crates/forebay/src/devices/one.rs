//! Events of one device, as JSON in the spelling of Python: of a plant, of sensors, and with twelve fields in nested objects.

use std::io::Write as _;

/// What a device measured: temperature and humidity in hundredths, and when, in seconds since 1970.
pub struct Measured {
    pub device: u32,
    pub temperature: u32,
    pub humidity: u32,
    pub seconds: i64,
}

/// An event with nested objects; `sequence` is its number, `millis` the part of its time below a second.
pub fn nested(
    out: &mut Vec<u8>,
    measured: &Measured,
    millis: i64,
    sequence: u64,
    random: &mut fastrand::Rng,
) {
    let Measured { device, temperature, humidity, seconds } = *measured;
    let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    let status = ["ok", "ok", "ok", "warn", "fault"][random.usize(0..5)];
    let (lat, lon) = (48.0 + f64::from(device % 100) / 1000.0, 11.0 + f64::from(device % 77) / 1000.0);
    let write = write!(
        out,
        "{{\"event_id\": \"e-{:012}\", \"ts\": \"{}.{millis:03}Z\", \"site\": {{\"plant\": \"plant_{}\", \"line\": {}, \"pos\": {{\"lat\": {lat:.3}, \"lon\": {lon:.3}}}}}, \"device\": {{\"id\": \"device_{device}\", \"fw\": \"1.4.{}\"}}, \"readings\": [{}.{:02}, {}.{:02}, {}], \"status\": \"{status}\", \"ok\": {}, \"seq\": {}}}",
        sequence,
        time.format("%Y-%m-%dT%H:%M:%S"),
        device % 4,
        device % 12,
        device % 10,
        temperature / 100,
        temperature % 100,
        humidity / 100,
        humidity % 100,
        random.u32(900..1100),
        status != "fault",
        sequence,
    );
    debug_assert!(write.is_ok(), "writing to memory cannot fail");
}

/// `{"device_id": "device_1", "temperature": 55.12, "humidity": 61.7, "timestamp": 1732150000}`
pub fn plant(out: &mut Vec<u8>, device: u32, temperature: u32, humidity: u32, seconds: i64) {
    let write = write!(
        out,
        "{{\"device_id\": \"device_{device}\", \"temperature\": {}, \"humidity\": {}, \"timestamp\": {seconds}}}",
        Hundredths(temperature),
        Hundredths(humidity),
    );
    debug_assert!(write.is_ok(), "writing to memory cannot fail");
}

/// `{"sensor_id": 1, "temperature": 29.5, "humidity": 66.2, "timestamp": "2025-06-15 09:12:01"}`
pub fn sensor(out: &mut Vec<u8>, sensor: u32, temperature: u32, humidity: u32, seconds: i64) {
    let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    let write = write!(
        out,
        "{{\"sensor_id\": {sensor}, \"temperature\": {}, \"humidity\": {}, \"timestamp\": \"{}\"}}",
        Hundredths(temperature),
        Hundredths(humidity),
        time.format("%Y-%m-%d %H:%M:%S"),
    );
    debug_assert!(write.is_ok(), "writing to memory cannot fail");
}

/// A number of hundredths as Python prints the rounded float: `61.7`, `55.12`, `20.0`.
pub struct Hundredths(pub u32);

impl std::fmt::Display for Hundredths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, cents) = (self.0 / 100, self.0 % 100);
        if cents.is_multiple_of(10) {
            write!(f, "{whole}.{}", cents / 10)
        } else {
            write!(f, "{whole}.{cents:02}")
        }
    }
}
