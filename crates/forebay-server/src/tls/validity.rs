//! From when until when a certificate is valid, read out of its DER (RFC 5280, 4.1). Only for a warning: who decides
//! is the client.

use chrono::NaiveDateTime;

use super::der::{SEQUENCE, element, expect};

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which the first version left out.
const VERSION: u8 = 0xa0;

/// The two times as milliseconds since 1970; `None` if this is no certificate.
pub(super) fn of(der: &[u8]) -> Option<(i64, i64)> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (signed, _) = expect(certificate, SEQUENCE)?;
    let rest = match element(signed)? {
        (VERSION, _, rest) => rest,
        _ => signed,
    };
    let (_serial, rest) = expect(rest, INTEGER)?;
    let (_algorithm, rest) = expect(rest, SEQUENCE)?;
    let (_issuer, rest) = expect(rest, SEQUENCE)?;
    let (validity, _) = expect(rest, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (to, _) = time(rest)?;
    Some((from, to))
}

fn time(der: &[u8]) -> Option<(i64, &[u8])> {
    let (tag, content, rest) = element(der)?;
    let text = std::str::from_utf8(content).ok()?;
    let text = match (tag, text.get(..2)?.parse::<u32>().ok()?) {
        (GENERALIZED_TIME, _) => text.to_owned(),
        (UTC_TIME, 50..) => format!("19{text}"),
        (UTC_TIME, _) => format!("20{text}"),
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?;
    Some((time.and_utc().timestamp_millis(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_years_of_both_forms_are_read_and_nonsense_is_none() {
        let utc = |text: &str| [&[UTC_TIME, 13][..], text.as_bytes()].concat();
        assert_eq!(time(&utc("261121120000Z")).unwrap().0, 1_795_262_400_000);
        assert_eq!(time(&utc("500101000000Z")).unwrap().0, -631_152_000_000);
        let general = [&[GENERALIZED_TIME, 15][..], b"20610101000000Z"].concat();
        assert_eq!(time(&general).unwrap().0, 2_871_763_200_000);
        for bad in
            [&b""[..], b"\x17", b"\x17\x0d2611", b"\x30\x84\xff\xff\xff\xff", b"\x17\x02xx", b"\x30\xff\x01"]
        {
            assert!(time(bad).is_none() && of(bad).is_none(), "{bad:?}");
        }
    }
}
