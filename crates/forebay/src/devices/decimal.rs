//! Numbers as people write them: so many digits behind the point, and none that they did not write.

use std::fmt;

use serde_json::Number;

/// Most digits behind the point; with [`LARGEST`] everything is far within an `i64`.
const MOST_DIGITS: u32 = 6;
const LARGEST: f64 = 1e9;

/// A number: so many units of which ten to the power of the digits are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    pub units: i64,
    pub digits: u32,
}

impl Decimal {
    /// True if it is above a whole number.
    pub fn is_above(self, whole: i64) -> bool {
        self.units > whole * 10_i64.pow(self.digits)
    }

    /// The number that stands there, or why it is none.
    fn of(number: &Number) -> Result<Self, String> {
        let told =
            || format!("{number} has more than {MOST_DIGITS} digits behind the point, or is above {LARGEST}");
        let text = number.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let is_small = number.as_f64().is_some_and(|number| number.abs() <= LARGEST);
        let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= MOST_DIGITS);
        let units = format!("{whole}{fraction}").parse();
        match (is_small, digits, units) {
            (true, Some(digits), Ok(units)) => Ok(Self { units, digits }),
            _ => Err(told()),
        }
    }

    /// Its units where it has this many digits, which are not fewer.
    fn units_of(self, digits: u32) -> i64 {
        self.units * 10_i64.pow(digits.saturating_sub(self.digits))
    }
}

impl fmt::Display for Decimal {
    /// As Python prints a rounded number: `15`, `61.7`, `20.0`, `-0.05`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10_u64.pow(self.digits);
        let (sign, size) = (if self.units < 0 { "-" } else { "" }, self.units.unsigned_abs());
        if self.digits == 0 {
            return write!(f, "{sign}{size}");
        }
        let behind = format!("{:0width$}", size % one, width = self.digits as usize);
        let (first, rest) = behind.split_at(1);
        write!(f, "{sign}{}.{first}{}", size / one, rest.trim_end_matches('0'))
    }
}

/// Numbers from one to another, both of them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    low: i64,
    high: i64,
    digits: u32,
}

impl Span {
    /// What is within a tenth of a number, or within 1 of it.
    pub fn around(number: &Number) -> Result<Self, String> {
        let Decimal { units, digits } = Decimal::of(number)?;
        let reach = (units.abs() / 10).max(10_i64.pow(digits));
        Ok(Self { low: units - reach, high: units + reach, digits })
    }

    /// What is between two numbers.
    pub fn between(low: &Number, high: &Number) -> Result<Self, String> {
        let (from, to) = (Decimal::of(low)?, Decimal::of(high)?);
        let digits = from.digits.max(to.digits);
        let span = Self { low: from.units_of(digits), high: to.units_of(digits), digits };
        if span.low > span.high { Err(format!("{low} is above {high}")) } else { Ok(span) }
    }

    /// One of them.
    pub fn draw(self, random: &mut fastrand::Rng) -> Decimal {
        Decimal { units: random.i64(self.low..=self.high), digits: self.digits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_number_reads_as_python_writes_it() {
        for (units, digits, text) in [
            (15, 0, "15"),
            (-15, 0, "-15"),
            (6_170, 2, "61.7"),
            (2_000, 2, "20.0"),
            (-5, 2, "-0.05"),
            (5, 1, "0.5"),
        ] {
            assert_eq!(Decimal { units, digits }.to_string(), text);
        }
        assert!(
            Decimal { units: 7_001, digits: 2 }.is_above(70)
                && !Decimal { units: 70, digits: 0 }.is_above(70)
        );
    }

    #[test]
    fn a_span_has_the_digits_that_were_written() {
        let span = |low, high, digits| Ok(Span { low, high, digits });
        assert_eq!(Span::around(&number("15")), span(14, 16, 0));
        assert_eq!(Span::around(&number("-40")), span(-44, -36, 0));
        assert_eq!(Span::around(&number("1013.5")), span(9_122, 11_148, 1));
        assert_eq!(Span::around(&number("0.0")), span(-10, 10, 1));
        assert_eq!(Span::between(&number("0"), &number("30.25")), span(0, 3_025, 2));
        assert_eq!(Span::between(&number("-1.5"), &number("-1")), span(-15, -10, 1));
        assert!(Span::between(&number("2"), &number("1")).unwrap_err().contains("above"));
        for wrong in ["1e12", "1e300", "0.12345678", "18446744073709551615"] {
            assert!(Span::around(&number(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_drawn_is_in_the_span_and_each_end_comes() {
        let (span, mut random) = (Span::around(&number("2")).unwrap(), fastrand::Rng::with_seed(1));
        let mut drawn: Vec<i64> = (0..100).map(|_| span.draw(&mut random).units).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn, [1, 2, 3]);
    }
}
