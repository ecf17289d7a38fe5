//! From a text to the fields that it names: item by item, from left to right, as Java's strict parser does it. Letters may
//! be in any case, also those of literals.

use super::fields::Found;
use super::{Item, Number, Sign, names, offset, zones};

/// The fields that a text names; all of it must fit.
pub(super) fn time(items: &[Item], text: &str) -> Option<Found> {
    let mut found = Found::default();
    all(items, text, &mut found)?.is_empty().then_some(found)
}

/// Reads items; what stands behind them.
fn all<'t>(items: &[Item], text: &'t str, found: &mut Found) -> Option<&'t str> {
    let mut rest = text;
    for item in items {
        rest = match item {
            Item::Literal(literal) => strip(rest, literal)?,
            Item::Number(number) => {
                let (value, rest) = read_number(number, rest)?;
                found.set(number.field, if number.reduced { 2000 + value } else { value })?;
                rest
            }
            Item::Fraction { least, most, reserved } => {
                let (nanos, rest) = fraction(rest, *least, *most, *reserved)?;
                found.set_nanos(nanos)?;
                rest
            }
            Item::Text { field, full } => {
                let (names, first) = names::of(*field);
                // The longest first: `June` before `Jun`.
                let named = |(short, long): &(&str, &str)| strip(rest, if *full { long } else { short });
                let fits = names.iter().zip(first..).filter_map(|(name, value)| Some((value, named(name)?)));
                let (value, rest) = fits.min_by_key(|(_, rest)| rest.len())?;
                found.set(*field, value)?;
                rest
            }
            Item::Offset(form) => {
                let (offset, rest) = form.read(rest)?;
                found.set_offset(offset)?;
                rest
            }
            Item::LocalOffset { full } => {
                let (offset, rest) = offset::read_local(rest, *full)?;
                found.set_offset(offset)?;
                rest
            }
            Item::ZoneId | Item::ZoneName { .. } => {
                let called = if let Item::ZoneName { full } = item { Some(*full) } else { None };
                let (zone, rest) = zones::read(rest, called)?;
                found.zone = Some(zone);
                rest
            }
            Item::Optional(items) => {
                let mut tried = found.clone();
                match all(items, rest, &mut tried) {
                    Some(behind) => {
                        *found = tried;
                        behind
                    }
                    None => rest,
                }
            }
        };
    }
    Some(rest)
}

fn read_number<'t>(number: &Number, text: &'t str) -> Option<(i64, &'t str)> {
    let (sign, behind) = match (text.as_bytes().first()?, number.sign) {
        (b'+', Sign::Exceeding) => ('+', text.get(1..)?),
        (b'-', Sign::Exceeding | Sign::Normal) => ('-', text.get(1..)?),
        (b'+' | b'-', _) => return None,
        _ => (' ', text),
    };
    let length = run(behind, number.most + number.reserved);
    let length =
        if number.reserved > 0 { length.saturating_sub(number.reserved).max(number.least) } else { length };
    let (digits, rest) = behind.split_at_checked(length)?;
    if length < number.least || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let value: i64 = digits.parse().ok()?;
    match sign {
        // No such number.
        '-' if value == 0 => None,
        '-' => Some((-value, rest)),
        // The sign says that there are more digits than the least, and only then it is there.
        '+' if length <= number.least => None,
        ' ' if number.sign == Sign::Exceeding && length > number.least => None,
        _ => Some((value, rest)),
    }
}

/// Digits behind the point: nanoseconds.
fn fraction(text: &str, least: usize, most: usize, reserved: usize) -> Option<(i64, &str)> {
    let length = run(text, most + reserved);
    let length = length.saturating_sub(reserved).max(least).min(most);
    let (digits, rest) = text.split_at_checked(length)?;
    if length < least || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let scale = 10_i64.checked_pow(9_u32.checked_sub(u32::try_from(length).ok()?)?)?;
    Some((digits.parse::<i64>().ok()? * scale, rest))
}

/// How many digits a text begins with, so many at most.
fn run(text: &str, most: usize) -> usize {
    text.bytes().take(most).take_while(u8::is_ascii_digit).count()
}

/// A number of so many digits.
pub(super) fn digits(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let length = run(text, most);
    (length >= least).then_some(())?;
    Some((text.get(..length)?.parse().ok()?, text.get(length..)?))
}

/// What stands behind a prefix in any case.
pub(super) fn strip<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let mut rest = text.chars();
    for wanted in prefix.chars() {
        let found = rest.next()?;
        let equal = found == wanted
            || found.to_uppercase().eq(wanted.to_uppercase())
            || found.to_lowercase().eq(wanted.to_lowercase());
        equal.then_some(())?;
    }
    Some(rest.as_str())
}
