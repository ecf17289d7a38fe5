//! What a text said about a time, part by part, and the time that comes to.
//!
//! Missing months and days are 1, missing times of day 0, a missing year is 1970, as in Spark.

use forebay_core::Zone;

use super::{TimeFault, calendar};

/// A part of a date or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Year,
    Month,
    Day,
    /// 0–23.
    Hour,
    /// 1–24.
    HourFromOne,
    /// 0–11.
    HalfHour,
    /// 1–12.
    HalfHourFromOne,
    Minute,
    Second,
}

/// What a text said.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) year: Option<i64>,
    pub(super) month: Option<i64>,
    pub(super) day: Option<i64>,
    pub(super) hour: Option<i64>,
    pub(super) half_hour: Option<i64>,
    pub(super) afternoon: bool,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) micros: i64,
    pub(super) weekday: Option<i64>,
    pub(super) zone: Option<Zone>,
}

impl Said {
    /// Takes a number; `Range` where the field has no such value.
    pub(super) fn set(&mut self, field: Field, value: i64) -> Result<(), TimeFault> {
        let within = |least: i64, most: i64| {
            if (least..=most).contains(&value) { Ok(value) } else { Err(TimeFault::Range) }
        };
        match field {
            Field::Year => self.year = Some(within(-999_999_999, 999_999_999)?),
            Field::Month => self.month = Some(within(1, 12)?),
            Field::Day => self.day = Some(within(1, 31)?),
            Field::Hour => self.hour = Some(within(0, 23)?),
            Field::HourFromOne => self.hour = Some(within(1, 24)? % 24),
            Field::HalfHour => self.half_hour = Some(within(0, 11)?),
            Field::HalfHourFromOne => self.half_hour = Some(within(1, 12)? % 12),
            Field::Minute => self.minute = within(0, 59)?,
            Field::Second => self.second = within(0, 59)?,
        }
        Ok(())
    }

    fn day_number(&self) -> Result<i64, TimeFault> {
        let year = self.year.unwrap_or(1970);
        let days = calendar::days(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?;
        match self.weekday {
            Some(weekday) if weekday != calendar::weekday(days) => Err(TimeFault::Range),
            _ => Ok(days),
        }
    }

    /// Days since 1970.
    pub(super) fn days(&self) -> Result<i32, TimeFault> {
        i32::try_from(self.day_number()?).map_err(|_| TimeFault::Range)
    }

    /// Microseconds since 1970, in `zone` where the text names none; without it of the local time.
    pub(super) fn micros(&self, zone: Option<Zone>) -> Result<i64, TimeFault> {
        let half = self.half_hour.map(|hour| hour + if self.afternoon { 12 } else { 0 });
        let hour = self.hour.or(half).unwrap_or(0);
        let local = calendar::seconds(self.day_number()?, hour, self.minute, self.second)?;
        let seconds = match (self.zone, zone) {
            (Some(_), None) => return Err(TimeFault::Format),
            (None, None) => local,
            (said, Some(zone)) => said.unwrap_or(zone).seconds(local).ok_or(TimeFault::Range)?,
        };
        calendar::micros(seconds, self.micros)
    }
}
