//! Spells of trouble, as fleets have them: a device that is not heard for a while, and a customer whose events are held up on
//! the way and come minutes late.
//!
//! ```text
//!  seconds   0    10    20    30    40    50    60    70    80    90   100   110   120
//!  silent         ├───────────── a device ──────────────┤              ├── another …
//!  held up              ├─ a customer ──┤                     ├─ another …
//! ```
//!
//! What must stay true: everything follows from the seed and the rate, as all that is simulated does: the time here is that
//! of the rate, not of a clock. A first spell of each kind is over within two minutes.

/// Seconds from the start to the first spell, that one lasts, and from its end to the next.
struct Pace {
    first: (f64, f64),
    lasts: (f64, f64),
    pause: (f64, f64),
}

/// Longer than what the examples call silent (30 seconds), so that it is seen and ends.
const SILENT: Pace = Pace { first: (6.0, 12.0), lasts: (55.0, 75.0), pause: (30.0, 60.0) };
const HELD_UP: Pace = Pace { first: (15.0, 25.0), lasts: (20.0, 30.0), pause: (40.0, 80.0) };

/// By how many seconds events are held up: more than any watermark of the examples waits, so that they miss their minute.
const LATE: std::ops::RangeInclusive<i64> = 150..=400;

/// Events a second where as many are made as go.
const ENDLESS: f64 = 1_000.0;

/// The spells of a fleet.
pub struct Spells {
    random: fastrand::Rng,
    /// Seconds between two events of all devices.
    step: f64,
    /// Seconds since the start.
    now: f64,
    silent: Spell,
    held_up: Spell,
    /// By how much the events of this spell are held up.
    late: i64,
}

struct Spell {
    begins: f64,
    ends: f64,
    /// Whose it is: any number, of which the fleet makes a device or a customer.
    whose: usize,
}

impl Spells {
    /// The spells of devices that send `rate` events a second together.
    pub fn new(rate: f64, random: &mut fastrand::Rng) -> Self {
        let mut random = random.fork();
        let silent = Spell::after(&SILENT, SILENT.first, 0.0, &mut random);
        let held_up = Spell::after(&HELD_UP, HELD_UP.first, 0.0, &mut random);
        let late = random.i64(LATE);
        Self { random, step: 1.0 / if rate > 0.0 { rate } else { ENDLESS }, now: 0.0, silent, held_up, late }
    }

    /// The time of the next event has come.
    pub fn go_on(&mut self) {
        self.now += self.step;
        if self.now >= self.silent.ends {
            self.silent = Spell::after(&SILENT, SILENT.pause, self.now, &mut self.random);
        }
        if self.now >= self.held_up.ends {
            self.held_up = Spell::after(&HELD_UP, HELD_UP.pause, self.now, &mut self.random);
            self.late = self.random.i64(LATE);
        }
    }

    /// Whose device is silent now: a number of which that of a device is made.
    pub fn silent(&self) -> Option<usize> {
        self.silent.whose_at(self.now)
    }

    /// Whose events are held up now, a number of which that of a customer is made, and by how many seconds.
    pub fn held_up(&self) -> Option<(usize, i64)> {
        Some((self.held_up.whose_at(self.now)?, self.late))
    }
}

impl Spell {
    /// One that begins after a pause.
    fn after(pace: &Pace, pause: (f64, f64), now: f64, random: &mut fastrand::Rng) -> Self {
        let mut between = |(least, most): (f64, f64)| least + (most - least) * random.f64();
        let begins = now + between(pause);
        let ends = begins + between(pace.lasts);
        Self { begins, ends, whose: random.usize(..) }
    }

    fn whose_at(&self, now: f64) -> Option<usize> {
        (self.begins..self.ends).contains(&now).then_some(self.whose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of two minutes in which a device was silent, and in which events were held up; when each began first.
    fn two_minutes(seed: u64, rate: f64) -> [(f64, Option<f64>); 2] {
        let mut spells = Spells::new(rate, &mut fastrand::Rng::with_seed(seed));
        let mut seen = [(0.0, None); 2];
        while spells.now < 120.0 {
            spells.go_on();
            if let Some((_, late)) = spells.held_up() {
                assert!((150..=400).contains(&late));
            }
            for (is_so, seen) in [spells.silent().is_some(), spells.held_up().is_some()].iter().zip(&mut seen)
            {
                if *is_so {
                    seen.0 += spells.step;
                    seen.1.get_or_insert(spells.now);
                }
            }
        }
        seen
    }

    #[test]
    fn within_a_minute_a_device_falls_silent_and_a_customer_comes_late() {
        for seed in 0..300 {
            for rate in [5.0, 20.0, 1_000.0] {
                let [(silent, first_silent), (held_up, first_held_up)] = two_minutes(seed, rate);
                assert!((50.0..100.0).contains(&silent), "seed {seed}, rate {rate}: {silent} s");
                assert!((15.0..70.0).contains(&held_up), "seed {seed}, rate {rate}: {held_up} s");
                assert!(first_silent < Some(13.0) && first_held_up < Some(26.0), "seed {seed}, rate {rate}");
            }
        }
    }

    #[test]
    fn spells_of_a_seed_are_the_same() {
        let of = |seed| {
            let mut spells = Spells::new(20.0, &mut fastrand::Rng::with_seed(seed));
            let mut one = || {
                spells.go_on();
                (spells.silent(), spells.held_up())
            };
            (0..5_000).map(|_| one()).collect::<Vec<_>>()
        };
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }
}
