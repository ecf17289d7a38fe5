//! Values as machines have them: each device drifts around its own middle, and now and then one of them runs hot for
//! some seconds and cools down again.
//!
//! ```text
//!  80 ┤            ╭──────╮            a hot spell: 12 to 30 s towards 79 degrees
//!  75 ┤╌╌╌╌╌╌╌╌╌╌╌╱╌╌╌╌╌╌╌╌╲╌╌╌╌╌╌╌    `overheat` opens
//!  65 ┤╌╌╌╌╌╌╌╌╌╌╱╌╌╌╌╌╌╌╌╌╌╲╌╌╌╌╌╌    and clears
//!  45 ┤ ~~~~~~~~╯            ╰~~~~~
//! ```
//!
//! What a device says of itself goes with that: one that runs hot says ERROR until it has cooled down; the others say the
//! same for some seconds, and then perhaps something else.
//!
//! What must stay true: values stay within the ranges of the plant, and everything follows from the seed and the rate:
//! the time here is that of the rate, not of a clock.

/// Temperature and humidity in hundredths, lowest and highest.
const TEMPERATURE: (f64, f64) = (2_000.0, 8_000.0);
const HUMIDITY: (f64, f64) = (3_000.0, 9_000.0);
/// Where a device's temperature is at home.
const MIDDLE: (f64, f64) = (4_000.0, 5_000.0);
/// Where it goes while it runs hot.
const HOT: f64 = 7_900.0;
/// Seconds in which a temperature goes most of its way to where it is drawn.
const SLOWNESS: f64 = 3.0;
/// How far it strays from its way: most of the time not as far as this.
const STRAY: f64 = 100.0;
/// Seconds from the start to the first hot spell, that one lasts, and from the begin of one to that of the next.
const FIRST: (f64, f64) = (1.0, 3.0);
const LASTS: (f64, f64) = (12.0, 30.0);
const BETWEEN: (f64, f64) = (20.0, 50.0);
/// Seconds after a hot spell in which none begins.
const COOLS: f64 = 10.0;
/// A device says ERROR from here on.
const TOO_HOT: f64 = 7_000.0;
/// Seconds for which a device says the same, and for which it says that something is wrong that passes.
const SAYS: (f64, f64) = (6.0, 24.0);
const HICCUP: (f64, f64) = (0.5, 2.0);
/// Events a second where as many are made as go.
const ENDLESS: f64 = 1_000.0;

/// The devices as they are.
pub struct Wander {
    devices: Vec<Device>,
    /// Seconds between two events of all devices.
    step: f64,
    /// Seconds since the start.
    now: f64,
    /// When the next hot spell begins.
    next: f64,
}

struct Device {
    middle: f64,
    temperature: f64,
    humidity: f64,
    /// When it was looked at last, and until when it runs hot.
    at: f64,
    hot_until: f64,
    /// What it says of itself, and until when.
    says: Says,
    says_until: f64,
}

/// What a device says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    Success,
    Standby,
    Error,
    /// It says nothing.
    Nothing,
}

impl Says {
    /// As JSON.
    pub fn json(self) -> &'static str {
        match self {
            Self::Success => "\"SUCCESS\"",
            Self::Standby => "\"STANDBY\"",
            Self::Error => "\"ERROR\"",
            Self::Nothing => "null",
        }
    }
}

impl Wander {
    /// Devices at home, that send `rate` events a second together.
    pub fn new(count: u32, rate: f64, random: &mut fastrand::Rng) -> Self {
        let device = |random: &mut fastrand::Rng| {
            let middle = between(MIDDLE, random);
            Device {
                middle,
                temperature: middle,
                humidity: damp(middle),
                at: 0.0,
                hot_until: f64::NEG_INFINITY,
                says: Says::Success,
                says_until: 0.0,
            }
        };
        let step = 1.0 / if rate > 0.0 { rate } else { ENDLESS };
        let devices = (0..count).map(|_| device(random)).collect();
        Self { devices, step, now: 0.0, next: between(FIRST, random) }
    }

    /// What a device (from 1) measures at its next event: temperature and humidity in hundredths.
    pub fn next(&mut self, device: u32, random: &mut fastrand::Rng) -> (u32, u32) {
        self.now += self.step;
        if self.now >= self.next {
            self.next += between(BETWEEN, random);
            let (first, until) = (random.usize(..), self.now + between(LASTS, random));
            // One that has cooled down since its last time.
            let (count, cool) = (self.devices.len(), self.now - COOLS);
            let mut others = (0..count).map(|index| (first % count + index) % count);
            if let Some(chosen) = others.find(|index| self.devices[*index].hot_until < cool) {
                self.devices[chosen].hot_until = until;
            }
        }
        let now = self.now;
        let index = usize::try_from(device).unwrap_or(1).saturating_sub(1);
        let Some(device) = self.devices.get_mut(index) else { return (0, 0) };
        let aim = if now < device.hot_until { HOT } else { device.middle };
        // The part of the way that is left after this time; the rest is gone, and strayed from.
        let left = (-(now - device.at) / SLOWNESS).exp();
        device.at = now;
        let stray = STRAY * (1.0 - left * left).sqrt();
        let drawn =
            |from: f64, to: f64, random: &mut fastrand::Rng| to + (from - to) * left + stray * bell(random);
        device.temperature = drawn(device.temperature, aim, random).clamp(TEMPERATURE.0, TEMPERATURE.1);
        device.humidity =
            drawn(device.humidity, damp(device.temperature), random).clamp(HUMIDITY.0, HUMIDITY.1);
        (whole(device.temperature), whole(device.humidity))
    }

    /// What a device (from 1) says of itself with what it measured last.
    pub fn says(&mut self, device: u32, random: &mut fastrand::Rng) -> Says {
        let now = self.now;
        let index = usize::try_from(device).unwrap_or(1).saturating_sub(1);
        let Some(device) = self.devices.get_mut(index) else { return Says::Nothing };
        if device.temperature > TOO_HOT {
            // Once it has cooled down it says something else at once.
            device.says_until = now;
            return Says::Error;
        }
        if now >= device.says_until {
            let (says, lasts) = match random.u32(0..10) {
                0..=5 => (Says::Success, SAYS),
                6..=7 => (Says::Standby, SAYS),
                8 => (Says::Error, HICCUP),
                _ => (Says::Nothing, HICCUP),
            };
            (device.says, device.says_until) = (says, now + between(lasts, random));
        }
        device.says
    }
}

/// Where humidity is drawn at a temperature: hot air is dry.
fn damp(temperature: f64) -> f64 {
    6_000.0 - (temperature - 4_500.0) / 2.0
}

fn between((least, most): (f64, f64), random: &mut fastrand::Rng) -> f64 {
    least + (most - least) * random.f64()
}

/// A number around 0, seldom further away than 2 and never than 3.
fn bell(random: &mut fastrand::Rng) -> f64 {
    let sum: f64 = (0..3).map(|_| random.f64()).sum();
    2.0 * sum - 3.0
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 2,000 and 9,000")]
fn whole(hundredths: f64) -> u32 {
    hundredths.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often ERROR lasted for five seconds and more, and how often it passed before, in two minutes of six devices.
    fn errors(seed: u64) -> (usize, usize) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut wander = Wander::new(6, 20.0, &mut random);
        let (mut since, mut long, mut short) = ([None; 6], 0, 0);
        while wander.now < 120.0 {
            let device = random.u32(1..=6);
            let (temperature, _) = wander.next(device, &mut random);
            let says = wander.says(device, &mut random);
            assert!(temperature <= 7_000 || says == Says::Error, "{says:?} at {temperature}");
            let since = &mut since[device as usize - 1];
            if says == Says::Error {
                since.get_or_insert(wander.now);
            } else if let Some(since) = since.take() {
                let is_long = wander.now - since >= 5.0;
                long += usize::from(is_long);
                short += usize::from(!is_long);
            }
        }
        (long, short)
    }

    #[test]
    fn a_device_that_runs_hot_says_so_for_seconds_and_then_something_else() {
        let (long, short) = (0..100).map(errors).fold((0, 0), |(long, short), (l, s)| {
            assert!(l > 0, "one runs hot in two minutes");
            (long + l, short + s)
        });
        assert!(long < 800 && short > 200, "{long} {short}");
    }

    /// The alert of the example over a minute of three devices: when it opened and cleared, in seconds.
    fn a_minute(seed: u64, rate: f64) -> (Vec<f64>, Vec<f64>) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut wander = Wander::new(3, rate, &mut random);
        let (mut opened, mut cleared, mut open) = (Vec::new(), Vec::new(), [None; 3]);
        while wander.now < 60.0 {
            let device = random.u32(1..=3);
            let (temperature, humidity) = wander.next(device, &mut random);
            assert!((2_000..=8_000).contains(&temperature) && (3_000..=9_000).contains(&humidity));
            let is_open = &mut open[device as usize - 1];
            if temperature > 7_500 && is_open.is_none() {
                *is_open = Some(wander.now);
                opened.push(wander.now);
            } else if temperature < 6_500
                && let Some(since) = is_open.take()
            {
                cleared.push(wander.now - since);
            }
        }
        (opened, cleared)
    }

    #[test]
    fn within_a_minute_an_alert_opens_by_itself_and_clears_after_some_seconds() {
        for seed in 0..300 {
            for rate in [5.0, 20.0, 1_000.0] {
                let (opened, cleared) = a_minute(seed, rate);
                assert!((1..=4).contains(&opened.len()), "seed {seed}, rate {rate}: {opened:?}");
                assert!(
                    opened[0] < 20.0 && !cleared.is_empty(),
                    "seed {seed}, rate {rate}: {opened:?} {cleared:?}"
                );
                assert!(
                    cleared.iter().all(|lasted| (2.0..60.0).contains(lasted)),
                    "seed {seed}: {cleared:?}"
                );
            }
        }
    }
}
