//! What `auto` remembers of a key, and how it learns a row.
//!
//! There are three ways to tell what is usual: the mean of late, the hour of the day, the hour of the week. Each is asked about every row, and
//! the one that was off least is believed. What must stay true: all of it is forecast before the row is learned.

use forebay_core::Result;

use super::super::baseline::Baseline;
use super::super::bytes::Tape;
use super::super::per_key::Row;
use super::super::stuck::Run;
use super::super::tail::Tail;
use super::super::verdict::When;
use super::season::{Place, Season};
use super::{DAY_SLOTS, TAILS, WEEK_SLOTS};

/// Rows on one side of what was usual that make a new usual.
const LASTS: f64 = 64.0;
/// Rows over which a record fades.
const RECORDS: f64 = 20_000.0;
/// A deviation counts for this many usual ones at most when it is learned.
const BELIEVED: f64 = 6.0;
/// Rows about which a way to tell what is usual is asked before it is believed.
const ASKED_BEFORE: f64 = 60.0;
/// A value so many usual errors from that of another day is the same.
const AGAIN: f64 = 2.5;
/// Rows over which they are compared.
const COMPARED: f64 = 600.0;

/// What is remembered of a key.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub rows: f64,
    pub last: f64,
    pub last_usual: f64,
    /// Means with weights of 1/4, 1/40, 1/150 and 1/1500 for the newest row.
    pub means: [f64; 4],
    /// How far off the forecasts of [`Known::locals`] were, on average.
    pub local_errors: [f64; 3],
    /// The same for what is usual: of late, of the day, of the week; 0 if never asked.
    pub usual_errors: [f64; 3],
    /// The same with all that was odd, to compare them: who foretells the nightly job is better, seldom as it is.
    pub misses: [f64; 3],
    /// How many rows each of them was asked about.
    pub asked: [f64; 3],
    pub long_error: f64,
    pub day: Season,
    pub week: Season,
    pub short_distance: f64,
    pub loudness: [f64; 2],
    /// Rows in a row on one side of what is usual, below 0 if under it, and their distance.
    pub aside: f64,
    pub aside_sum: f64,
    /// The least and the most value, fading towards the long mean.
    pub range: [f64; 2],
    pub run: Run,
    pub intervals: Baseline,
    pub tails: [Tail; TAILS],
    pub quiet: u32,
    pub told: f64,
    /// Anomalies that were told, old ones counting less.
    pub alarms: f64,
}

/// What is usual for a row.
#[derive(Clone, Copy)]
pub(crate) struct Usual {
    pub value: f64,
    pub error: f64,
    pub when: When,
}

impl Known {
    /// Three forecasts from the rows just before: the last value, their short mean, the last value moved as what is usual moved.
    pub fn locals(&self, usual: f64) -> [f64; 3] {
        [self.last, self.means[0], self.last + usual - self.last_usual]
    }

    /// The one that was best so far.
    pub fn best_local(&self) -> usize {
        let [last, mean, moved] = self.local_errors;
        if moved < 0.9 * last.min(mean) { 2 } else { usize::from(mean < last) }
    }

    /// Exponential smoothing that begins as a plain mean.
    pub fn weight(&self, lambda: f64) -> f64 {
        lambda.max((self.rows + 1.0).recip())
    }

    /// What is usual: the hour's value if that has foretold clearly better, else the mean of late.
    pub fn usual(&self, day: Option<(f64, f64)>, week: Option<(f64, f64)>, floor: f64) -> Usual {
        let ([of_late, by_day, by_week], misses) = (self.usual_errors, self.misses);
        let mixed = |own: f64, all: f64| (0.5 * own + 0.5 * all).max(0.5 * all).max(floor);
        let mut best = Usual { value: self.means[2], error: of_late.max(floor), when: When::Now };
        let mut least = misses[0];
        if let Some((value, own)) = day
            && self.asked[1] >= ASKED_BEFORE
            && misses[1] < 0.8 * least
        {
            best = Usual { value, error: mixed(own, by_day), when: When::Hour };
            least = misses[1];
        }
        if let Some((value, own)) = week
            && self.asked[2] >= ASKED_BEFORE
            && misses[2] < 0.85 * least
        {
            best = Usual { value, error: mixed(own, by_week), when: When::HourOfWeek };
        }
        best
    }

    /// True if the value is what it was at this hour of another day, or of the week, as near as values usually are to what is
    /// expected of them; `error` is how near that is for the question.
    pub fn is_again(
        &self,
        x: f64,
        by_day: Option<(f64, f64)>,
        by_week: Option<(f64, f64)>,
        error: f64,
        floor: f64,
    ) -> bool {
        let [_, of_day, of_week] = self.usual_errors;
        let is_near = |usual: Option<(f64, f64)>, of_season: f64| {
            usual.is_some_and(|(usual, _)| (x - usual).abs() < AGAIN * error.min(of_season.max(floor)))
        };
        is_near(by_day, of_day) || is_near(by_week, of_week)
    }

    /// Learns a row.
    pub fn learn(
        &mut self,
        row: Row<'_>,
        usual: Usual,
        day: (Place, Option<f64>),
        week: (Place, Option<f64>),
        floor: f64,
    ) {
        let x = row.x;
        if self.rows == 0.0 {
            self.means = [x; 4];
            self.range = [x; 2];
            (self.last, self.last_usual) = (x, usual.value);
        }
        let rest = x - usual.value;
        // What lasts is usual.
        let side = if rest.abs() > 2.0 * usual.error { rest.signum() } else { 0.0 };
        if side == 0.0 || side * self.aside < 0.0 {
            (self.aside, self.aside_sum) = (side, rest * side.abs());
        } else {
            self.aside += side;
            self.aside_sum += rest;
        }
        if self.aside.abs() >= LASTS {
            let by = self.aside_sum / self.aside.abs();
            self.means[2] += by;
            self.day.move_by(by);
            self.week.move_by(by);
            (self.aside, self.aside_sum, self.short_distance) = (0.0, 0.0, 0.0);
        }
        let slowly = self.weight(1.0 / 200.0);
        // How loud: by the best of the local forecasts.
        let best = self.best_local();
        let local = self.locals(usual.value).map(|forecast| x - forecast);
        let (off, normal_off) = (local[best].abs(), self.local_errors[best]);
        for (error, rest) in self.local_errors.iter_mut().zip(local) {
            *error += slowly * (believed(rest, error.max(floor)).abs() - *error);
        }
        let loud = off.min(2.0 * BELIEVED * normal_off.max(floor));
        self.loudness[0] += self.weight(1.0 / 16.0) * (loud - self.loudness[0]);
        let short = self.loudness[0].min(4.0 * self.loudness[1].max(floor));
        self.loudness[1] += self.weight(1.0 / 400.0) * (short - self.loudness[1]);
        // What is usual, by each of its three ways.
        let rests = [Some(x - self.means[2]), day.1.map(|value| x - value), week.1.map(|value| x - value)];
        let ways = self.usual_errors.iter_mut().zip(&mut self.misses).zip(&mut self.asked);
        for (((error, misses), asked), rest) in ways.zip(rests) {
            if let Some(rest) = rest {
                *misses += (rest.abs() - *misses) / (*asked + 1.0);
                let rest = if *asked < ASKED_BEFORE { rest } else { believed(rest, *error) };
                *asked = (*asked + 1.0).min(COMPARED);
                *error += (rest.abs() - *error) / asked.min(200.0);
            }
        }
        self.day.learn(day.0, x, rests[1].map(|rest| believed(rest, self.usual_errors[1])));
        self.week.learn(week.0, x, rests[2].map(|rest| believed(rest, self.usual_errors[2])));
        self.short_distance += (believed(rest, usual.error) / usual.error - self.short_distance) / 10.0;
        let long_rest = x - self.means[3];
        self.long_error += self.weight(1.0 / 1_000.0)
            * (believed(long_rest, self.long_error.max(floor)).abs() - self.long_error);
        let error = self.usual_errors[0].max(floor);
        for (index, lambda) in [1.0 / 4.0, 1.0 / 40.0, 1.0 / 150.0, 1.0 / 1_500.0].into_iter().enumerate() {
            let weight = self.weight(lambda);
            let mean = &mut self.means[index];
            let rest = x - *mean;
            *mean += weight * if index < 2 { rest } else { believed(rest, error) };
        }
        let long = self.means[3];
        let [low, high] = self.range;
        self.range = [x.min(low + (long - low) / RECORDS), x.max(high + (long - high) / RECORDS)];
        (self.last, self.last_usual) = (x, usual.value);
        self.rows = (self.rows + 1.0).min(1e9);
    }

    pub fn fresh() -> Self {
        Self {
            rows: 0.0,
            last: 0.0,
            last_usual: 0.0,
            means: [0.0; 4],
            local_errors: [0.0; 3],
            usual_errors: [0.0; 3],
            misses: [0.0; 3],
            asked: [0.0; 3],
            long_error: 0.0,
            day: Season::fresh(DAY_SLOTS),
            week: Season::fresh(WEEK_SLOTS),
            short_distance: 0.0,
            loudness: [0.0; 2],
            aside: 0.0,
            aside_sum: 0.0,
            range: [0.0; 2],
            run: Run::default(),
            intervals: Baseline::default(),
            tails: [Tail::FRESH; TAILS],
            quiet: 0,
            told: 0.0,
            alarms: 0.0,
        }
    }

    pub fn tape(&mut self, tape: &mut Tape<'_>) -> Result<()> {
        tape.f64(&mut self.rows)?;
        tape.f64(&mut self.last)?;
        tape.f64(&mut self.last_usual)?;
        tape.f64s(&mut self.means)?;
        tape.f64s(&mut self.local_errors)?;
        tape.f64s(&mut self.usual_errors)?;
        tape.f64s(&mut self.misses)?;
        tape.f64s(&mut self.asked)?;
        tape.f64(&mut self.long_error)?;
        self.day.tape(tape)?;
        self.week.tape(tape)?;
        tape.f64(&mut self.short_distance)?;
        tape.f64s(&mut self.loudness)?;
        tape.f64(&mut self.aside)?;
        tape.f64(&mut self.aside_sum)?;
        tape.f64s(&mut self.range)?;
        self.run.tape(tape)?;
        self.intervals.tape(tape)?;
        self.tails.iter_mut().try_for_each(|tail| tail.tape(tape))?;
        tape.u32(&mut self.quiet)?;
        tape.f64(&mut self.told)?;
        tape.f64(&mut self.alarms)
    }
}

/// A deviation as far as it is believed.
pub(crate) fn believed(rest: f64, error: f64) -> f64 {
    if error > 0.0 { rest.clamp(-BELIEVED * error, BELIEVED * error) } else { rest }
}
