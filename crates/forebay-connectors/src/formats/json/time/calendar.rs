//! Civil dates and times to numbers.

use super::TimeFault;

pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Fails with `Range` where there is no such day.
pub(super) fn days(year: i64, month: i64, day: i64) -> Result<i64, TimeFault> {
    if !(1..=12).contains(&month) || day < 1 || day > month_length(year, month) {
        return Err(TimeFault::Range);
    }
    // Years that begin in March have the leap day at their end, and months of 153 days in five.
    let march_year = if month <= 2 { year - 1 } else { year };
    let era = march_year.div_euclid(400);
    let year_of_era = march_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Ok(era * 146_097 + day_of_era - 719_468)
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Monday is 0.
pub(super) fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7)
}

/// Seconds since 1970-01-01T00:00 of a local time. Fails with `Range` where there is no such time of day.
pub(super) fn seconds(days: i64, hour: i64, minute: i64, second: i64) -> Result<i64, TimeFault> {
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return Err(TimeFault::Range);
    }
    Ok(days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second)
}

/// Microseconds of seconds; `Range` beyond 64 bits.
pub(super) fn micros(seconds: i64, micros: i64) -> Result<i64, TimeFault> {
    // Spark computes in this order too: the second before the first representable one is out of range for both.
    seconds.checked_mul(MICROS_PER_SECOND).and_then(|whole| whole.checked_add(micros)).ok_or(TimeFault::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_is_one_after_the_day_before() {
        let mut expected = days(1600, 1, 1).unwrap();
        for year in 1600..2400 {
            for month in 1..=12 {
                for day in 1..=month_length(year, month) {
                    assert_eq!(days(year, month, day), Ok(expected));
                    expected += 1;
                }
            }
        }
        assert_eq!(days(1970, 1, 1), Ok(0));
        assert_eq!(days(2024, 2, 29), Ok(19_782));
        assert_eq!(days(0, 1, 1), Ok(-719_528));
        assert_eq!(days(1900, 2, 29), Err(TimeFault::Range));
        assert_eq!(weekday(0), 3);
    }
}
