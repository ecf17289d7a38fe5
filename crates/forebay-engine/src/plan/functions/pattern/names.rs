//! Names of eras, months, days, quarters and halves of a day.

use super::fields::Field;

const ERAS: [(&str, &str); 2] = [("BC", "Before Christ"), ("AD", "Anno Domini")];
const MONTHS: [(&str, &str); 12] = [
    ("Jan", "January"),
    ("Feb", "February"),
    ("Mar", "March"),
    ("Apr", "April"),
    ("May", "May"),
    ("Jun", "June"),
    ("Jul", "July"),
    ("Aug", "August"),
    ("Sep", "September"),
    ("Oct", "October"),
    ("Nov", "November"),
    ("Dec", "December"),
];
const DAYS: [(&str, &str); 7] = [
    ("Mon", "Monday"),
    ("Tue", "Tuesday"),
    ("Wed", "Wednesday"),
    ("Thu", "Thursday"),
    ("Fri", "Friday"),
    ("Sat", "Saturday"),
    ("Sun", "Sunday"),
];
const QUARTERS: [(&str, &str); 4] =
    [("Q1", "1st quarter"), ("Q2", "2nd quarter"), ("Q3", "3rd quarter"), ("Q4", "4th quarter")];
const HALVES: [(&str, &str); 2] = [("AM", "AM"), ("PM", "PM")];

/// The names of a field's values, short and full, and the value of the first.
pub(super) fn of(field: Field) -> (&'static [(&'static str, &'static str)], i64) {
    match field {
        Field::Era => (&ERAS, 0),
        Field::Month => (&MONTHS, 1),
        Field::DayOfWeek => (&DAYS, 1),
        Field::Quarter => (&QUARTERS, 1),
        Field::Half => (&HALVES, 0),
        _ => (&[], 0),
    }
}

/// The name of a value.
pub(super) fn name(field: Field, value: i64, full: bool) -> Option<&'static str> {
    let (names, first) = of(field);
    let (short, long) = names.get(usize::try_from(value - first).ok()?)?;
    Some(if full { long } else { short })
}
