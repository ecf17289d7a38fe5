//! `auto`: a first look at any series, with nothing to tune.
//!
//! It asks several questions of each row, turns each answer into a likelihood by the tail of that question's own recent
//! answers ([`super::tail`]), and believes the least likely one, corrected for how many were asked (Bonferroni).
//!
//! | part | question | after |
//! |---|---|---|
//! | jump | is it far from the value before, from their short mean, or from the value before moved as the hour usually moves it? whichever foretells best | `ewma` |
//! | value | is it far from what is usual at this hour, of the week or the day; or of late, where the hour tells nothing | `seasonal` |
//! | level | has the short mean of those distances moved? | `ewma_chart` |
//! | long | is the mean of late far from that of a long time? | `cusum` |
//! | loud, calm | do values vary more, or less, than they used to? | variance ratio |
//! | record | how far is it beyond all that was seen? | records of a series: Rényi 1962 |
//! | stuck, gap | would so many repeats, or so long a wait, come by chance? | `stuck`, `gap` |
//!
//! What must stay true:
//!
//! * What is odd is learned in part: a value up to six usual distances, an answer up to a few times the limit. So one spike does not move what is
//!   usual, and spikes that come again and again become usual. What lasts (64 rows on one side) is usual: the level moves there.
//! * That values vary less than usual must be thirty times less likely than the rest: it is seldom what anybody wants to know.
//! * An anomaly is told once. For [`QUIET`] rows after it another must be a million times less likely to be told; score and
//!   likelihood go on as ever. It also teaches once: the rows that follow it count as the beginning of the tail and no more, as peaks
//!   over a threshold are told apart by the runs they come in (Davison and Smith, Models for Exceedances over High Thresholds, JRSS B
//!   1990). Otherwise the first outage would hide the second. What comes again and again ([`MANY`]) teaches with all its rows.
//! * A value that is what it was at this hour yesterday, or a week ago, as near as the question looks, is no surprise.
//! * The score is the negative decimal logarithm of that chance: 5 means once in 100,000 rows.
//!
//! Cost: some 1.1 µs a row, 7.5 kB a key, of which the profiles of day (48 slots) and week (168) take 2.6.

use forebay_core::Result;

use self::known::{Known, Usual, believed};
use self::season::Place;
use super::baseline::Learning;
use super::bytes::Tape;
use super::gap;
use super::per_key::{Model, Row};
use super::verdict::{Verdict, When, Why};

mod known;
mod season;

/// Rows before the first verdict.
const WARM_UP: f64 = 100.0;
/// Until so many rows are known, the chance of an anomaly must be smaller, by the square of the share that is.
const SETTLED: f64 = 1_600.0;
/// Rows after an anomaly in which only a much less likely one is told.
const QUIET: u32 = 96;
/// By so much.
const MUCH_LESS: f64 = 1e6;
/// Until so many rows are known, what an anomaly brings is learned like everything else.
const LEARNING: f64 = 700.0;
/// From so many anomalies on, of which old ones fade over [`REMEMBERED`] rows, they are taken for what is usual, and learned whole.
const MANY: f64 = 2.0;
const REMEMBERED: f64 = 2_000.0;
/// Rows that a tail remembers.
const MEMORY: f64 = 5_000.0;
/// An odd answer is learned up to so many times the limit.
const OVER: f64 = 4.0;
/// And up to this one in any case, also where nearly all answers were zero so far.
const LEARNED: f64 = 48.0;
/// In a series of n rows a record that is beyond the range by a share s of it has the chance 2/n · n^(-REACH s): of exponential tails, whose
/// range is some ln n of their scale, REACH is 1; heavier ones reach further.
const REACH: f64 = 0.75;
/// A value that mostly stands still is not measured in its own tiny errors, but at least in this share of its range.
const OF_RANGE: f64 = 0.003;
/// How many questions are asked.
const ASKED: f64 = 9.0;
/// Repeats and waits below these are never told.
const LEAST_REPEATS: f64 = 12.0;
const LEAST_WAIT: f64 = 20.0;
const INTERVALS: Learning = Learning { warm_up: 30.0, memory: 500.0, threshold: 6.0 };

const HALF_HOUR_US: i64 = 1_800_000_000;
const DAY_SLOTS: usize = 48;
const WEEK_SLOTS: usize = 168;

const VALUE: usize = 1;
const LEVEL: usize = 2;
const LONG: usize = 3;
const CALM: usize = 5;
/// By how much less likely calm has to be.
const CALM_FACTOR: f64 = 30.0;
const PARTS: usize = 6;
/// The tails of [`VALUE`] and [`LEVEL`] are three each, by what told what is usual: of late, the day, the week.
const TAILS: usize = PARTS + 4;

/// The detector; its one setting says how seldom a usual row may be called odd.
#[derive(Debug)]
pub(crate) struct Auto {
    /// The chance below which a row is an anomaly.
    pub chance: f64,
}

impl Auto {
    /// The answers to the questions, each as a score whose tail is known, and the sentence that goes with it.
    fn ask(key: &Known, x: f64, usual: Usual, floor: f64) -> [(f64, Why); PARTS] {
        let best = key.best_local();
        let (local, local_error) = (key.locals(usual.value)[best], key.local_errors[best].max(floor));
        let spread = |error: f64| error * 1.2533;
        let rest = x - usual.value;
        let distance =
            key.short_distance + (believed(rest, usual.error) / usual.error - key.short_distance) / 10.0;
        let long_error = key.long_error.max(floor);
        let long = key.means[1] - key.means[3];
        let loud = key.loudness[0].max(floor) / key.loudness[1].max(floor);
        let value = |usual: f64, error: f64, when| Why::Value {
            input: 0,
            value: x,
            usual,
            spread: spread(error),
            when,
        };
        let noise = Why::Noise { spread: spread(key.loudness[0]), usual: spread(key.loudness[1]) };
        let moved = usual.value + distance * usual.error;
        [
            ((x - local).abs() / local_error, value(local, local_error, When::Now)),
            (rest.abs() / usual.error, value(usual.value, usual.error, usual.when)),
            (
                2.0 * distance.abs(),
                Why::Level {
                    value: moved,
                    usual: usual.value,
                    spread: spread(usual.error),
                    when: usual.when,
                },
            ),
            (
                2.0 * long.abs() / long_error,
                Why::Level {
                    value: key.means[1],
                    usual: key.means[3],
                    spread: spread(long_error),
                    when: When::Ever,
                },
            ),
            (loud * loud, noise),
            ((loud * loud).max(1e-4).recip(), noise),
        ]
    }
}

impl Model for Auto {
    const NAME: &'static str = "auto";
    const VERSION: u32 = 3;
    type Key = Known;

    fn fresh(&self) -> Known {
        Known::fresh()
    }

    fn step(&self, key: &mut Known, row: Row<'_>) -> Verdict {
        if row.late {
            return Verdict::SILENT;
        }
        let x = row.x;
        // Below this nothing can be told apart; a value that was constant may move by a thousandth unnoticed.
        let grain = (key.means[3].abs() * 1e-3).min(key.long_error.max(key.means[3].abs() * 1e-6)).max(1e-9);
        let floor = grain.max(OF_RANGE * (key.range[1] - key.range[0]));
        let day = Place::of(row.at, DAY_SLOTS, HALF_HOUR_US);
        let week = Place::of(row.at, WEEK_SLOTS, 2 * HALF_HOUR_US);
        let (by_day, by_week) = (key.day.usual(day, 1.0), key.week.usual(week, 1.0));
        let usual = key.usual(by_day, by_week, floor);
        let ready = key.rows >= WARM_UP;
        let answers = Self::ask(key, x, usual, floor);
        let (mut least, mut why) = (1.0_f64, answers[VALUE].1);
        let by = match usual.when {
            When::Hour => 2,
            When::HourOfWeek => 4,
            _ => 0,
        };
        let again = |error: f64| key.is_again(x, by_day, by_week, error.max(floor), floor);
        let again = [key.local_errors[key.best_local()], key.usual_errors[0]].map(again);
        // The rest of an anomaly that stands alone teaches nothing but that values go so far as the tail begins.
        let is_alone = key.quiet > 0 && key.rows > LEARNING && key.alarms < MANY;
        for (index, (score, words)) in answers.into_iter().enumerate() {
            let which = if by > 0 && (index == VALUE || index == LEVEL) {
                PARTS - 2 + by + (index - VALUE)
            } else {
                index
            };
            let tail = &mut key.tails[which];
            let odd = tail.beyond(score) * ASKED * if index == CALM { CALM_FACTOR } else { 1.0 };
            let is_explained = index <= LONG && again[index.min(1)];
            if odd < least
                && ready
                && !is_explained
                && tail.taken >= if which < PARTS { WARM_UP / 2.0 } else { 2.0 * WARM_UP }
            {
                (least, why) = (odd, words);
            }
            // The means, and what is made of them, have to settle.
            if key.rows >= WARM_UP / 4.0 && (index < LEVEL || ready) {
                let limit = tail.at(self.chance / ASKED);
                let most = if is_alone { tail.begins } else { (OVER * limit).max(LEARNED) };
                tail.learn(score.min(most), MEMORY);
            }
        }
        if ready {
            let [low, high] = key.range;
            let beyond = (low - x).max(x - high).max(0.0) / (high - low).max(10.0 * grain);
            let odd = ASKED * 2.0 / key.rows * key.rows.powf(-REACH * beyond);
            if beyond > 0.0 && odd < least && !again[1] {
                least = odd;
                let (usual, spread) = (f64::midpoint(low, high), 0.5 * (high - low));
                why = Why::Value { input: 0, value: x, usual, spread, when: When::Ever };
            }
        }
        key.run.take(row.at, x, 0.0);
        if let Some(chance) =
            key.run.chance().filter(|_| key.run.repeats >= LEAST_REPEATS && key.run.told == 0.0)
        {
            let odd = chance * ASKED;
            if odd < least {
                (least, why) = (odd, key.run.why(row.at));
            }
        }
        if let Some((z, interval)) = gap::judge(&mut key.intervals, &INTERVALS, row.since) {
            let (times, interval) = (row.since as f64 / interval, interval as i64);
            if z > INTERVALS.threshold && times >= LEAST_WAIT {
                let odd = self.chance / times;
                if odd < least {
                    (least, why) = (odd, Why::Gap { lasted: row.since, usual: interval });
                }
            }
        }
        key.learn(
            row,
            usual,
            (day, by_day.map(|usual| usual.0)),
            (week, by_week.map(|usual| usual.0)),
            floor,
        );
        let sane = key.day.finite() && key.week.finite() && key.means.iter().all(|mean| mean.is_finite());
        if !sane {
            *key = self.fresh();
            return Verdict::SILENT;
        }
        if !ready {
            return Verdict::SILENT;
        }
        let early = (key.rows / SETTLED).min(1.0).powi(2);
        let limit = if key.quiet > 0 { key.told / MUCH_LESS } else { self.chance * early };
        key.quiet = key.quiet.saturating_sub(1);
        key.alarms *= 1.0 - REMEMBERED.recip();
        let anomalous = least < limit.min(self.chance);
        if anomalous {
            key.alarms += if key.quiet == 0 { 1.0 } else { 0.0 };
            (key.quiet, key.told) = (QUIET, least);
            if matches!(why, Why::Stuck { .. }) {
                key.run.told = 1.0;
            }
        }
        let least = least.clamp(1e-30, 1.0);
        Verdict { score: -least.log10(), likelihood: 1.0 - least, anomalous, why }
    }

    fn tape(&self, key: &mut Known, tape: &mut Tape<'_>) -> Result<()> {
        key.tape(tape)
    }

    fn heap_per_key(&self) -> usize {
        3 * (DAY_SLOTS + WEEK_SLOTS) * size_of::<f32>()
    }
}
