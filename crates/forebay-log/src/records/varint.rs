//! Zigzag varints, as records use them for lengths and deltas.

/// Reads a signed 32-bit varint at `at` and moves `at` behind it; `None` when it is cut off or too long.
#[inline(always)]
pub(crate) fn read_i32(bytes: &[u8], at: &mut usize) -> Option<i32> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(i32::from(first >> 1) ^ -i32::from(first & 1));
    }
    let raw = u32::try_from(read_raw(bytes, at, 5)?).ok()?;
    Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

/// Reads a signed 64-bit varint at `at` and moves `at` behind it; `None` when it is cut off or too long.
#[inline(always)]
pub(crate) fn read_i64(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let raw = read_raw(bytes, at, 10)?;
    Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

#[inline]
fn read_raw(bytes: &[u8], at: &mut usize, longest: usize) -> Option<u64> {
    let mut value = 0u64;
    for i in 0..longest {
        let byte = *bytes.get(*at + i)?;
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * i as u32;
        // The tenth byte has room for one bit only.
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            *at += i + 1;
            return Some(value);
        }
    }
    None
}

/// Appends a signed varint.
pub(crate) fn write(out: &mut Vec<u8>, value: i64) {
    let mut raw = zigzag(value);
    while raw >= 0x80 {
        out.push((raw & 0x7f) as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// Bytes that [`write`] would append.
pub(crate) fn length(value: i64) -> usize {
    let bits = 64 - zigzag(value).leading_zeros() as usize;
    bits.div_ceil(7).max(1)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_at_the_edges() {
        for value in [0, -1, 1, 63, 64, -64, -65, 8191, 1 << 20, i64::from(i32::MAX), i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write(&mut out, value);
            assert_eq!(out.len(), length(value));
            let mut at = 0;
            assert_eq!(read_i64(&out, &mut at), Some(value));
            assert_eq!(at, out.len());
            let mut at = 0;
            assert_eq!(read_i32(&out, &mut at), i32::try_from(value).ok(), "{value}");
        }
    }

    #[test]
    fn endless_and_cut_varints_are_refused() {
        assert_eq!(read_i64(&[0xff; 11], &mut 0), None);
        assert_eq!(read_i32(&[0xff; 11], &mut 0), None);
        assert_eq!(read_i64(&[0x80], &mut 0), None);
        assert_eq!(read_i32(&[], &mut 0), None);
    }
}
