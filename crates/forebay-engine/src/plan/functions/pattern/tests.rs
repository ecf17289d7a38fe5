//! Patterns beside what Java makes of them.

use super::*;

#[test]
fn patterns_write_and_read_as_java_does() {
    let at = 1_709_216_409_123_456; // 2024-02-29 14:20:09.123456 UTC, a Thursday
    for (pattern, text) in [
        ("yyyy-MM-dd HH:mm:ss", "2024-02-29 14:20:09"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "2024-02-29T14:20:09.123456Z"),
        ("dd/MM/yy hh:mm a", "29/02/24 02:20 PM"),
        ("EEEE, d MMMM yyyy", "Thursday, 29 February 2024"),
        ("E MMM D", "Thu Feb 60"),
        ("yyyyMMddHHmmss", "20240229142009"),
        ("HH 'o''clock' xx", "14 o'clock +0000"),
    ] {
        let read = Pattern::parse(pattern, Zone::UTC).unwrap();
        let mut written = String::new();
        assert!(read.format(at, 0, Zone::UTC, &mut written));
        assert_eq!(written, text, "{pattern}");
    }
    let read = |pattern: &str, text: &str| Pattern::parse(pattern, Zone::UTC).unwrap().read(text, Zone::UTC);
    assert_eq!(read("yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "2024-02-29T15:20:09.123456+01:00"), Some(at));
    assert_eq!(read("yyyyMMddHHmmss", "20240229142009"), Some(at / 1_000_000 * 1_000_000));
    assert_eq!(read("d/M/yyyy h:mm a", "29/2/2024 2:20 PM"), Some(1_709_216_400_000_000));
    for bad in
        ["2023-02-29 00:00:00", "2024-2-29 00:00:00", "2024-02-29 24:00:00", "2024-02-29 00:00:00x", "", "é"]
    {
        assert_eq!(read("yyyy-MM-dd HH:mm:ss", bad), None, "{bad}");
    }
    for bad in ["yyyy-MM-dd[ HH]", "G", "YYYY", "'open", "ddd"] {
        assert!(Pattern::parse(bad, Zone::UTC).is_err(), "{bad}");
    }
}

#[test]
fn patterns_tell_the_zone_as_java_does() {
    let zone = Zone::read("Asia/Kolkata").unwrap();
    let at = 1_709_216_409_000_000; // 2024-02-29 14:20:09 UTC
    for (pattern, text) in [
        ("yyyy-MM-dd HH:mm:ss XXX", "2024-02-29 19:50:09 +05:30"),
        ("yyyy-MM-dd HH:mm:ss X", "2024-02-29 19:50:09 +0530"),
        ("yyyy-MM-dd HH:mm:ss Z", "2024-02-29 19:50:09 +0530"),
        ("yyyy-MM-dd HH:mm:ss VV", "2024-02-29 19:50:09 Asia/Kolkata"),
    ] {
        let read = Pattern::parse(pattern, zone).unwrap();
        let mut written = String::new();
        assert!(read.format(zone.local(at), zone.offset_at(at / 1_000_000), zone, &mut written));
        assert_eq!(written, text, "{pattern}");
        assert_eq!(read.read(text, Zone::UTC), Some(at), "{pattern}");
    }
    assert!(Pattern::parse("HH z", zone).unwrap_err().contains("Asia/Kolkata"));
}
