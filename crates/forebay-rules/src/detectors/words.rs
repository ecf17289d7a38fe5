//! Verdicts in words, for people: `temperature 81 °C, usually 54 ± 6 °C at this hour`.
//!
//! A sentence is made for anomalous rows only, so it may allocate. Numbers have three significant digits: more would claim a precision
//! that no model has.

use std::fmt::Write;

use super::verdict::{When, Why};

/// What the inputs of a detector are called.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// Name and unit of each input; the unit may be empty.
    pub inputs: Vec<(String, String)>,
}

impl Words {
    /// Inputs without units.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { inputs: names.into_iter().map(|name| (name.to_owned(), String::new())).collect() }
    }

    /// The sentence; empty for [`Why::Nothing`].
    pub fn say(&self, why: Why) -> String {
        let (name, unit) = match why {
            Why::Value { input, .. } => self.input(usize::from(input)),
            _ => self.input(0),
        };
        match why {
            Why::Nothing => String::new(),
            Why::Value { value, usual, spread, when, .. } => {
                format!("{name} {}{unit}, {}", number(value), usually(usual, spread, unit, when))
            }
            Why::Level { value, usual, spread, when } => {
                let usually = usually(usual, spread, unit, when);
                format!("{name} {}{unit} on average of late, {usually}", number(value))
            }
            Why::Drift { value, usual, up } => {
                let way = if up { "rises" } else { "falls" };
                format!("{name} {way}: {}{unit}, usually {}{unit}", number(value), number(usual))
            }
            Why::Noise { spread, usual } => {
                let way = if spread > usual { "more" } else { "less" };
                let (spread, usual) = (number(spread), number(usual));
                format!("{name} varies {way}: ± {spread}{unit} of late, usually ± {usual}{unit}")
            }
            Why::Stuck { value, rows, lasted } => {
                format!("{name} has stood at {}{unit} for {rows} rows ({})", number(value), span(lasted))
            }
            Why::Gap { lasted, usual } => {
                format!("nothing for {}, usually every {}", span(lasted), span(usual))
            }
            Why::Far { times } => {
                let names: Vec<&str> = self.inputs.iter().map(|(name, _)| name.as_str()).collect();
                let names = names.join(", ");
                format!("{names}: together {} times as odd as is usual", number(times))
            }
        }
    }

    fn input(&self, index: usize) -> (&str, &str) {
        self.inputs.get(index).map_or(("value", ""), |(name, unit)| (name.as_str(), unit.as_str()))
    }
}

fn usually(usual: f64, spread: f64, unit: &str, when: When) -> String {
    let mut text = format!("usually {} ± {}{unit}", number(usual), number(spread));
    text.push_str(match when {
        When::Ever => "",
        When::Now => " just before",
        When::Hour => " at this hour",
        When::HourOfWeek => " at this hour of the week",
        When::Training => " in training",
    });
    text
}

/// Three significant digits, whole numbers as they are.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    if !(1e-4..1e9).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let decimals = (2 - magnitude.log10().floor() as i32).clamp(0, 6);
    let mut text = String::new();
    let _ = write!(text, "{value:.*}", usize::try_from(decimals).unwrap_or(0));
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text
}

/// A length of time in its largest fitting unit.
fn span(micros: i64) -> String {
    let seconds = micros as f64 / 1e6;
    for (unit, length) in [("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)] {
        if seconds >= 2.0 * length {
            return format!("{} {unit}", number(seconds / length));
        }
    }
    format!("{} seconds", number(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_the_value_and_what_is_usual() {
        let words = Words { inputs: vec![("temperature".to_owned(), " °C".to_owned())] };
        let why = Why::Value { input: 0, value: 81.0, usual: 54.04, spread: 6.0, when: When::Hour };
        assert_eq!(words.say(why), "temperature 81 °C, usually 54 ± 6 °C at this hour");
        let stuck = Why::Stuck { value: 21.5, rows: 40, lasted: 2_400_000_000 };
        assert_eq!(words.say(stuck), "temperature has stood at 21.5 °C for 40 rows (40 minutes)");
        let gap = Why::Gap { lasted: 7_200_000_000, usual: 60_000_000 };
        assert_eq!(words.say(gap), "nothing for 2 hours, usually every 60 seconds");
        assert_eq!(Words::default().say(Why::Nothing), "");
    }

    #[test]
    fn numbers_have_three_digits() {
        let cases = [(1234.6, "1235"), (0.012_345, "0.0123"), (-5.0, "-5"), (1e12, "1.00e12"), (0.0, "0")];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
