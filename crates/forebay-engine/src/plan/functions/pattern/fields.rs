//! The fields of a time: what clocks show of each, and which time the fields of a text mean.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use forebay_core::Zone;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Era,
    Year,
    YearOfEra,
    Quarter,
    Month,
    Day,
    DayOfYear,
    DayOfWeek,
    /// Of the month's days in groups of seven, from 1.
    AlignedDay,
    /// Morning or afternoon.
    Half,
    /// 0 to 23.
    Hour,
    /// 1 to 24.
    ClockHour,
    /// 0 to 11.
    HourOfHalf,
    /// 1 to 12.
    ClockHourOfHalf,
    Minute,
    Second,
}

const FIELDS: usize = Field::Second as usize + 1;

impl Field {
    /// What clocks and calendar show.
    pub fn of(self, time: &NaiveDateTime) -> i64 {
        let (year, hour) = (i64::from(time.year()), i64::from(time.hour()));
        match self {
            Self::Era => i64::from(year > 0),
            Self::Year => year,
            Self::YearOfEra => {
                if year > 0 {
                    year
                } else {
                    1 - year
                }
            }
            Self::Quarter => i64::from(time.month0() / 3 + 1),
            Self::Month => i64::from(time.month()),
            Self::Day => i64::from(time.day()),
            Self::DayOfYear => i64::from(time.ordinal()),
            Self::DayOfWeek => i64::from(time.weekday().number_from_monday()),
            Self::AlignedDay => i64::from(time.day0() % 7 + 1),
            Self::Half => hour / 12,
            Self::Hour => hour,
            Self::ClockHour => (hour + 23) % 24 + 1,
            Self::HourOfHalf => hour % 12,
            Self::ClockHourOfHalf => (hour + 11) % 12 + 1,
            Self::Minute => i64::from(time.minute()),
            Self::Second => i64::from(time.second()),
        }
    }

    /// The values that it may have.
    fn range(self) -> std::ops::RangeInclusive<i64> {
        match self {
            Self::Era | Self::Half => 0..=1,
            Self::Year => -999_999_999..=999_999_999,
            Self::YearOfEra => 1..=1_000_000_000,
            Self::Quarter => 1..=4,
            Self::Month => 1..=12,
            Self::Day => 1..=31,
            Self::DayOfYear => 1..=366,
            Self::DayOfWeek | Self::AlignedDay => 1..=7,
            Self::Hour => 0..=23,
            Self::ClockHour => 1..=24,
            Self::HourOfHalf => 0..=11,
            Self::ClockHourOfHalf => 1..=12,
            Self::Minute | Self::Second => 0..=59,
        }
    }
}

/// What a text named.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    fields: [Option<i64>; FIELDS],
    nanos: Option<i64>,
    offset: Option<i64>,
    pub zone: Option<Zone>,
}

/// A value that may be there already; `None` if that is another one.
fn agreed(place: &mut Option<i64>, value: i64) -> Option<()> {
    (*place.get_or_insert(value) == value).then_some(())
}

impl Found {
    pub fn set(&mut self, field: Field, value: i64) -> Option<()> {
        agreed(self.fields.get_mut(field as usize)?, value)
    }

    pub fn set_nanos(&mut self, nanos: i64) -> Option<()> {
        agreed(&mut self.nanos, nanos)
    }

    pub fn set_offset(&mut self, offset: i64) -> Option<()> {
        agreed(&mut self.offset, offset)
    }

    /// A field; the outer `None` if its value is none of its range.
    fn get(&self, field: Field) -> Option<Option<i64>> {
        match self.fields.get(field as usize).copied().flatten() {
            Some(value) if !field.range().contains(&value) => None,
            value => Some(value),
        }
    }

    /// The time, in `zone` if the text named none: microseconds since 1970 UTC. What is not named is that of the first
    /// instant of 1970; `None` if there is no such time, or its fields speak against each other.
    pub fn micros(self, zone: Zone) -> Option<i64> {
        let local = self.date()?.and_time(self.time()?).and_utc().timestamp();
        let zone = self.zone.or(self.offset.map(Zone::Offset)).unwrap_or(zone);
        let micros = self.nanos.unwrap_or(0) / 1_000;
        zone.seconds(local)?.checked_mul(1_000_000)?.checked_add(micros)
    }

    fn date(&self) -> Option<NaiveDate> {
        let (month, day) = (self.get(Field::Month)?, self.get(Field::Day)?);
        let in_year = self.get(Field::DayOfYear)?;
        let year = match (self.get(Field::YearOfEra)?, self.get(Field::Era)?) {
            (Some(year), Some(1)) => Some(year),
            (Some(year), Some(_)) => Some(1 - year),
            // A year of no era says nothing, nor does an era alone.
            _ => self.get(Field::Year)?,
        };
        let year = year.unwrap_or(1970);
        let (Some(in_year), true) = (in_year, month.is_none() || day.is_none()) else {
            let date = ymd(year, month.unwrap_or(1), day.unwrap_or(1))?;
            return in_year.is_none_or(|in_year| i64::from(date.ordinal()) == in_year).then_some(date);
        };
        let date = NaiveDate::from_yo_opt(i32::try_from(year).ok()?, u32::try_from(in_year).ok()?)?;
        let agrees = month.is_none_or(|month| i64::from(date.month()) == month)
            && day.is_none_or(|day| i64::from(date.day()) == day);
        agrees.then_some(date)
    }

    fn time(&self) -> Option<NaiveTime> {
        let half = self.get(Field::Half)?;
        let mut of_half = self.get(Field::HourOfHalf)?;
        if let Some(hour) = self.get(Field::ClockHourOfHalf)? {
            agreed(&mut of_half, hour % 12)?;
        }
        let mut hour = self.get(Field::Hour)?;
        if let Some(clock) = self.get(Field::ClockHour)? {
            agreed(&mut hour, clock % 24)?;
        }
        if let (Some(half), Some(of_half)) = (half, of_half) {
            agreed(&mut hour, half * 12 + of_half)?;
        }
        if let Some(hour) = hour {
            let agrees = half.is_none_or(|half| hour / 12 == half)
                && of_half.is_none_or(|of_half| hour % 12 == of_half);
            agrees.then_some(())?;
        }
        // Without morning or afternoon it is morning, and an afternoon without an hour begins at noon.
        let hour = hour.or(of_half).unwrap_or(12 * half.unwrap_or(0));
        let minute = self.get(Field::Minute)?.unwrap_or(0);
        let second = self.get(Field::Second)?.unwrap_or(0);
        let part = |value: i64| u32::try_from(value).ok();
        NaiveTime::from_hms_opt(part(hour)?, part(minute)?, part(second)?)
    }
}

fn ymd(year: i64, month: i64, day: i64) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, u32::try_from(month).ok()?, u32::try_from(day).ok()?)
}
