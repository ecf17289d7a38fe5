//! Windows that follow a calendar: days and months as a clock on a wall counts them, in a time zone.
//!
//! An extension: Spark's windows have a fixed length and begin in UTC. A day here begins at its first instant in the
//! zone, so it lasts 23 or 25 hours when the clocks change, and begins later than midnight where midnight is left out.
//! Days are counted in groups from Monday, 1970-01-05, so seven of them are a week from Monday on; months from January
//! 1970, so three are a quarter and twelve a year.
//!
//! What must stay true: windows follow each other without gap or overlap, and every time lies in the one that is given
//! for it. Times beyond the calendar (a quarter of a million years away) belong to one last window on each side.

use chrono::{DateTime, Datelike, NaiveDate};

use crate::Zone;
use crate::error::{Error, Result, codes};

/// A period of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Calendar {
    /// So many days.
    Days(u32),
    /// So many months.
    Months(u32),
}

/// The windows of a calendar in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CalendarWindows {
    period: Calendar,
    zone: Zone,
}

/// Monday, 1970-01-05, counted in days as chrono counts them.
const MONDAY: i32 = 719_167;

/// 1970-01-01, counted so.
const UNIX: i32 = 719_163;

/// January 1970 in months since the year 0.
const JANUARY: i32 = 1970 * 12;

/// Longest windows: ten thousand years. With them, no window of a time within [`FAR_US`] leaves what chrono can hold.
const MOST_DAYS: u32 = 3_652_500;
const MOST_MONTHS: u32 = 120_000;

/// About 247,000 years.
const FAR_US: i64 = 7_800_000_000_000_000_000;

impl Calendar {
    /// The period that a word names: `day`, `week`, `month`, `quarter` or `year`.
    pub fn named(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        Some(match word.strip_suffix('s').unwrap_or(&word) {
            "day" => Self::Days(1),
            "week" => Self::Days(7),
            "month" => Self::Months(1),
            "quarter" => Self::Months(3),
            "year" => Self::Months(12),
            _ => return None,
        })
    }
}

impl CalendarWindows {
    /// The windows of this period in this zone.
    ///
    /// # Errors
    /// `SQL_PLAN` for a period of nothing, or of more than ten thousand years.
    pub fn new(period: Calendar, zone: Zone) -> Result<Self> {
        let (count, most, unit) = match period {
            Calendar::Days(days) => (days, MOST_DAYS, "days"),
            Calendar::Months(months) => (months, MOST_MONTHS, "months"),
        };
        if count == 0 || count > most {
            let message = format!("a window of {count} {unit} is not possible");
            let hint = format!("It has at least 1 and at most {most} {unit}.");
            return Err(Error::new(&codes::SQL_PLAN, message).with_hint(hint));
        }
        Ok(Self { period, zone })
    }

    /// The window of this time: its start, which belongs to it, and its end, which does not.
    pub fn bounds(&self, ts_us: i64) -> (i64, i64) {
        if ts_us.unsigned_abs() <= FAR_US.unsigned_abs() {
            return self.near_bounds(ts_us);
        }
        let (first, last) = (self.near_bounds(-FAR_US).0, self.near_bounds(FAR_US).1);
        match ts_us {
            ts if ts < first => (i64::MIN, first),
            ts if ts >= last => (last, i64::MAX),
            // Within the last period that is counted, up to ten thousand years beyond the limit.
            ts => self.near_bounds(ts),
        }
    }

    /// As [`CalendarWindows::bounds`], for times that chrono holds.
    fn near_bounds(&self, ts_us: i64) -> (i64, i64) {
        let local = DateTime::from_timestamp_micros(self.zone.local(ts_us)).unwrap_or_default();
        let mut period = self.period_of(local.date_naive());
        // Where clocks go back over midnight, a day's first instant is not where its date says.
        let mut start = self.start_of(period);
        while ts_us < start {
            period -= 1;
            start = self.start_of(period);
        }
        let mut end = self.start_of(period + 1);
        while ts_us >= end {
            period += 1;
            (start, end) = (end, self.start_of(period + 1));
        }
        (start, end)
    }

    /// Which period a date is in, counted from the origin.
    fn period_of(&self, date: NaiveDate) -> i32 {
        match self.period {
            Calendar::Days(days) => (date.num_days_from_ce() - MONDAY).div_euclid(days.cast_signed()),
            Calendar::Months(months) => {
                let month = date.year() * 12 + date.month0().cast_signed();
                (month - JANUARY).div_euclid(months.cast_signed())
            }
        }
    }

    /// The first instant of a period, in microseconds.
    fn start_of(&self, period: i32) -> i64 {
        let date = match self.period {
            Calendar::Days(days) => {
                NaiveDate::from_num_days_from_ce_opt(MONDAY + period * days.cast_signed())
            }
            Calendar::Months(months) => {
                let month = JANUARY + period * months.cast_signed();
                NaiveDate::from_ymd_opt(month.div_euclid(12), month.rem_euclid(12).cast_unsigned() + 1, 1)
            }
        };
        let day = date.unwrap_or_default().num_days_from_ce() - UNIX;
        self.zone.day_start(day.into())
    }
}
