//! Made-up series of every class of anomaly, from a seed, with the truth.
//!
//! A series is what is usual ([`Usual`]) and one thing that goes wrong ([`Wrong`]), or nothing. Sizes are in units of the usual
//! noise, so that every pair is as hard as its class says and not as its numbers happen to be. The window begins where
//! the anomaly does.

use std::f64::consts::TAU;

use super::super::random::Random;
use super::Series;

/// What a series usually looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usual {
    /// Independent noise around a level: the load of a quiet server.
    Noise,
    /// A slow room temperature: each value near the one before, and a daily curve.
    Temperature,
    /// Counts of a road: by the hour of the day and the day of the week, noisier when there are more.
    Traffic,
    /// Noise with a spike now and then, of no regular size: bytes sent.
    Spiky,
    /// Heavy tails: response times.
    HeavyTailed,
    /// Whole numbers, few of them.
    Whole,
    /// Rises and falls back, again and again: memory, a tank.
    Sawtooth,
    /// Two levels, changing every few hours: a machine that is on or off.
    OnOff,
    /// Each value is the one before and a step: a price, a level.
    Walk,
    /// Zero, and now and then a small number: errors a minute.
    Sparse,
    /// Quiet but for an hour each day: a nightly job.
    Nightly,
}

/// Every usual series.
pub const USUAL: [Usual; 11] = [
    Usual::Noise,
    Usual::Temperature,
    Usual::Traffic,
    Usual::Spiky,
    Usual::HeavyTailed,
    Usual::Whole,
    Usual::Sawtooth,
    Usual::OnOff,
    Usual::Walk,
    Usual::Sparse,
    Usual::Nightly,
];

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Three rows far off.
    Spike,
    /// From here on all values are higher.
    LevelShift,
    /// The values move away, little by little.
    Drift,
    /// The noise is several times what it was.
    Noise,
    /// The day's curve stands still for a day, at the level of its highest hour.
    Season,
    /// The value does not change any more.
    Stuck,
    /// No rows for a while.
    Gap,
}

/// Every class of anomaly.
pub const WRONG: [Wrong; 7] =
    [Wrong::Spike, Wrong::LevelShift, Wrong::Drift, Wrong::Noise, Wrong::Season, Wrong::Stuck, Wrong::Gap];

/// Rows of a window behind the end of the anomaly.
const RETURN: usize = 48;
const MINUTE_US: i64 = 60_000_000;
/// 2024-01-01T00:00:00Z, a Monday.
const BEGIN_US: i64 = 1_704_067_200_000_000;

/// One that is made row by row.
struct Maker {
    usual: Usual,
    random: Random,
    /// What the row before leaves behind.
    memory: f64,
    phase: f64,
}

impl Maker {
    /// The usual value at this time, and what noise is usual there.
    fn next(&mut self, at: i64) -> (f64, f64) {
        let hours = (at - BEGIN_US) as f64 / (60 * MINUTE_US) as f64;
        let day = (TAU * (hours - 9.0) / 24.0).sin();
        let noise = self.random.normal();
        match self.usual {
            Usual::Noise => (40.0 + 3.0 * noise, 3.0),
            Usual::Temperature => {
                self.memory = 0.95 * self.memory + 0.3 * noise;
                (21.0 + 3.0 * day + self.memory, 1.0)
            }
            Usual::Traffic => {
                let weekend = if (hours / 24.0).rem_euclid(7.0) >= 5.0 { 0.55 } else { 1.0 };
                let mean = weekend * (900.0 + 750.0 * day) + 60.0;
                let noise_here = mean.sqrt() * 1.5;
                ((mean + noise_here * noise).max(0.0).round(), noise_here)
            }
            Usual::Spiky => {
                let spike = if self.random.unit() < 0.01 { 30.0 + 30.0 * self.random.unit() } else { 0.0 };
                (20.0 + 2.0 * noise + spike, 6.0)
            }
            Usual::HeavyTailed => (80.0 * (0.5 * noise).exp(), 60.0),
            Usual::Whole => ((6.0 + 1.2 * noise).round().max(0.0), 1.5),
            Usual::Sawtooth => {
                self.memory += 1.0 + 0.1 * noise;
                if self.memory > 100.0 + self.phase {
                    (self.memory, self.phase) = (10.0, 10.0 * self.random.normal());
                }
                (self.memory, 12.0)
            }
            Usual::OnOff => {
                self.phase -= 1.0;
                if self.phase <= 0.0 {
                    self.memory = 1.0 - self.memory;
                    self.phase = 30.0 + 60.0 * self.random.unit();
                }
                (10.0 + 50.0 * self.memory + 2.0 * noise, 12.0)
            }
            Usual::Walk => {
                self.memory += 0.5 * noise;
                (500.0 + self.memory, 1.0)
            }
            Usual::Sparse => {
                let some = self.random.unit() < 0.06;
                (if some { (1.0 + 2.0 * noise.abs()).round() } else { 0.0 }, 1.5)
            }
            Usual::Nightly => {
                let job = (2.0..3.0).contains(&hours.rem_euclid(24.0));
                (if job { 80.0 + 6.0 * noise } else { 12.0 + 2.0 * noise }, 4.0)
            }
        }
    }
}

/// How many rows a series of this kind has, and minutes between two.
fn shape(usual: Usual) -> (usize, i64) {
    match usual {
        Usual::Traffic => (2_688, 30),
        Usual::Temperature => (4_032, 10),
        _ => (3_000, 5),
    }
}

/// A series; without `wrong` all of it is usual. The same seed gives the same series.
pub fn series(usual: Usual, wrong: Option<Wrong>, seed: u64) -> Series {
    let mut maker = Maker { usual, random: Random(seed), memory: 0.0, phase: 0.0 };
    let (rows, minutes) = shape(usual);
    let day = (24 * 60 / minutes) as usize;
    // Somewhere behind the middle, not twice at the same hour.
    let first = rows / 2 + maker.random.below(rows / 4);
    let length = match wrong {
        Some(Wrong::Season) => day,
        _ => 200,
    };
    let mut made = Series { name: format!("{usual:?} {wrong:?} {seed}"), ..Series::default() };
    let mut gap_us = 0;
    let (mut held, mut highest) = (0.0, f64::MIN);
    for row in 0..rows {
        let at = BEGIN_US + row as i64 * minutes * MINUTE_US + gap_us;
        let (mut value, noise) = maker.next(at);
        if row < first {
            (held, highest) = (value, value.max(highest));
        }
        let since = row.checked_sub(first).map(|since| since as f64);
        let inside = row >= first && row < first + length;
        match (wrong, since) {
            (Some(Wrong::Spike), Some(since)) if since < 3.0 => value += 14.0 * noise,
            (Some(Wrong::LevelShift), Some(_)) => value += 8.0 * noise,
            (Some(Wrong::Drift), Some(since)) => value += 8.0 * noise * (since / 100.0).min(1.0),
            (Some(Wrong::Noise), Some(_)) if inside => value += 6.0 * noise * maker.random.normal(),
            (Some(Wrong::Season), Some(_)) if inside => value = highest - noise * maker.random.unit(),
            (Some(Wrong::Stuck), Some(_)) if inside => value = held,
            (Some(Wrong::Gap), Some(0.0)) => gap_us = 40 * minutes * MINUTE_US,
            _ => {}
        }
        made.at.push(if row == first { at + gap_us } else { at });
        made.values.push(value);
    }
    if wrong.is_some() {
        // The return to what is usual is part of what went wrong.
        let last = (first + length + RETURN).min(rows) - 1;
        if let (Some(from), Some(to)) = (made.at.get(first), made.at.get(last)) {
            made.windows.push((*from, *to));
        }
    }
    made
}
