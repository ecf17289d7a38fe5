//! Fields of a row: their lengths, and the bytes of types that are more than their digits.

use super::Refusal;

/// Microseconds from 1970 to 2000, where PostgreSQL begins to count.
pub(super) const MICROS_TO_2000: i64 = 946_684_800_000_000;

pub(super) fn fixed<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(&bytes);
}

/// The longest field that PostgreSQL takes: 1 GiB less one byte.
const LONGEST: usize = (1 << 30) - 1;

pub(super) fn too_long(len: usize) -> Refusal {
    ("54000", format!("a value of {len} bytes is longer than PostgreSQL's largest of {LONGEST}"))
}

pub(super) fn sized(out: &mut Vec<u8>, prefix: &[u8], bytes: &[u8]) -> Result<(), Refusal> {
    let len = prefix.len() + bytes.len();
    let wire = i32::try_from(len).ok().filter(|_| len <= LONGEST).ok_or_else(|| too_long(len))?;
    out.extend_from_slice(&wire.to_be_bytes());
    out.extend_from_slice(prefix);
    out.extend_from_slice(bytes);
    Ok(())
}

/// Leaves room for a length that is known later.
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; 4]);
    out.len()
}

pub(super) fn end(out: &mut [u8], start: usize) -> Result<(), Refusal> {
    let len = out.len() - start;
    let wire = i32::try_from(len).ok().filter(|_| len <= LONGEST).ok_or_else(|| too_long(len))?;
    out[start - 4..start].copy_from_slice(&wire.to_be_bytes());
    Ok(())
}

pub(super) fn out_of_range(what: &str) -> Refusal {
    ("22008", format!("{what} out of range"))
}

pub(super) fn micros(since_1970: i64) -> Result<i64, Refusal> {
    let at = since_1970.checked_sub(MICROS_TO_2000);
    at.filter(|at| *at != i64::MIN).ok_or_else(|| out_of_range("timestamp"))
}

pub(super) fn interval(out: &mut Vec<u8>, micros: i64, days: i32, months: i32) {
    out.extend_from_slice(&16_i32.to_be_bytes());
    out.extend_from_slice(&micros.to_be_bytes());
    out.extend_from_slice(&days.to_be_bytes());
    out.extend_from_slice(&months.to_be_bytes());
}

/// Groups of four decimal digits: how many, the power of 10,000 of the first, the sign, the digits behind the point.
pub(super) fn numeric(out: &mut Vec<u8>, value: i128, scale: u32) {
    const GROUPS: usize = 24;
    let magnitude = value.unsigned_abs();
    let unit = 10_u128.pow(scale.min(38));
    let (mut whole, mut part) = (magnitude / unit, magnitude % unit);
    let mut groups = [0_u16; GROUPS];
    // Whole groups from the point to the left, into the first half; then those behind it.
    let mut first = GROUPS / 2;
    while whole > 0 {
        first -= 1;
        groups[first] = (whole % 10_000) as u16;
        whole /= 10_000;
    }
    let weight = (GROUPS / 2 - first) as i16 - 1;
    let (mut last, mut left) = (GROUPS / 2, scale.min(38));
    while left > 0 && part > 0 {
        let take = left.min(4);
        left -= take;
        let unit = 10_u128.pow(left);
        groups[last] = (part / unit) as u16 * 10_u16.pow(4 - take);
        part %= unit;
        last += 1;
    }
    let mut weight = weight;
    while first < last && groups[first] == 0 {
        first += 1;
        weight -= 1;
    }
    while last > first && groups[last - 1] == 0 {
        last -= 1;
    }
    let groups = &groups[first..last];
    out.extend_from_slice(&(8 + 2 * groups.len() as i32).to_be_bytes());
    out.extend_from_slice(&(groups.len() as i16).to_be_bytes());
    out.extend_from_slice(&(if groups.is_empty() { 0 } else { weight }).to_be_bytes());
    out.extend_from_slice(&(if value < 0 { 0x4000_u16 } else { 0 }).to_be_bytes());
    out.extend_from_slice(&(scale as u16).to_be_bytes());
    groups.iter().for_each(|group| out.extend_from_slice(&group.to_be_bytes()));
}

/// Reads what PostgreSQL reads: 32 hex digits, a hyphen allowed behind each group of four, braces around all.
pub(super) fn uuid(text: &str) -> Result<[u8; 16], Refusal> {
    let refused = || ("22P02", format!("invalid input syntax for type uuid: \"{text}\""));
    let bytes = text.as_bytes();
    let mut rest = match bytes {
        [b'{', inside @ .., b'}'] => inside,
        other => other,
    };
    let mut uuid = [0; 16];
    for (index, byte) in uuid.iter_mut().enumerate() {
        if index > 0 && index % 2 == 0 {
            rest = rest.strip_prefix(b"-").unwrap_or(rest);
        }
        let [high, low, after @ ..] = rest else { return Err(refused()) };
        let digit = |c: u8| char::from(c).to_digit(16).map(|digit| digit as u8);
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(refused()) };
        *byte = high << 4 | low;
        rest = after;
    }
    if rest.is_empty() { Ok(uuid) } else { Err(refused()) }
}
