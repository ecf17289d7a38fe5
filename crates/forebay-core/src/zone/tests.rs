//! Zones beside what Java says of the same times.

use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> Zone {
    Zone::read(name).unwrap()
}

/// Microseconds of a time as if it were UTC.
fn at(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(&format!("{text}Z")).unwrap().timestamp_micros()
}

#[test]
fn offsets_in_all_their_forms() {
    for (text, expected) in [
        ("Z", 0),
        ("+1", 3600),
        ("-01", -3600),
        ("+0130", 5400),
        ("+01:30", 5400),
        ("+1:30", 5400),
        ("+01:3", 3780),
        ("+013015", 5415),
        ("-18:00", -64_800),
        ("UTC+2", 7200),
        ("GMT-03:30", -12_600),
        ("EST", -18_000),
    ] {
        assert!(matches!(Zone::read(text), Ok(Zone::Offset(offset)) if offset == expected), "{text}");
    }
    for text in [
        "",
        "z",
        "+",
        "+1a",
        "+01:60x",
        "+012",
        "01:00",
        "Mars/Olympus",
        "+01:30:1",
        "\u{fc}+1",
        "+\u{fc}\u{fc}",
    ] {
        assert_eq!(Zone::read(text).err(), Some(ZoneFault::Unknown), "{text}");
    }
    for text in ["+19:00", "+18:01", "+01:60"] {
        assert_eq!(Zone::read(text).err(), Some(ZoneFault::Range), "{text}");
    }
}

#[test]
fn the_nights_on_which_clocks_change_are_javas() {
    // Local time, and the instant that Java's `ZonedDateTime.of` gives.
    for (name, local, instant) in [
        ("Europe/Berlin", "2024-03-31T01:59:59", "2024-03-31T00:59:59"),
        ("Europe/Berlin", "2024-03-31T02:30:00", "2024-03-31T01:30:00"),
        ("Europe/Berlin", "2024-03-31T03:00:00", "2024-03-31T01:00:00"),
        ("Europe/Berlin", "2024-10-27T02:30:00", "2024-10-27T00:30:00"),
        ("Europe/Berlin", "2024-10-27T03:00:00", "2024-10-27T02:00:00"),
        ("America/New_York", "2024-03-10T02:30:00", "2024-03-10T07:30:00"),
        ("America/New_York", "2024-11-03T01:30:00", "2024-11-03T05:30:00"),
        ("America/New_York", "2024-11-03T02:00:00", "2024-11-03T07:00:00"),
        ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T22:00:00"),
        ("+05:30", "2024-01-01T00:00:00", "2023-12-31T18:30:00"),
        ("-00:30", "2024-01-01T00:00:00", "2024-01-01T00:30:00"),
    ] {
        assert_eq!(zone(name).instant(at(local)), at(instant), "{name} {local}");
    }
    let berlin = zone("Europe/Berlin");
    let twice = at("2024-10-27T02:30:00");
    assert_eq!(berlin.instant_near(twice, Some(3600)), at("2024-10-27T01:30:00"), "the later one");
    assert_eq!(berlin.instant_near(twice, Some(0)), at("2024-10-27T00:30:00"), "neither");
    assert_eq!(berlin.local(at("2024-10-27T01:30:00")), twice);
}

#[test]
fn a_day_begins_at_its_first_instant() {
    let day = |text: &str| at(text).div_euclid(86_400_000_000);
    for (name, of, start) in [
        ("Europe/Berlin", "2024-03-31T00:00:00", "2024-03-30T23:00:00"),
        ("America/Sao_Paulo", "2018-11-04T00:00:00", "2018-11-04T03:00:00"),
        ("America/Havana", "2024-11-03T00:00:00", "2024-11-03T04:00:00"),
        ("Pacific/Apia", "2011-12-30T00:00:00", "2011-12-30T10:00:00"),
        ("Pacific/Apia", "2011-12-31T00:00:00", "2011-12-30T10:00:00"),
        ("+02:00", "1969-12-31T00:00:00", "1969-12-30T22:00:00"),
    ] {
        assert_eq!(zone(name).day_start(day(of)), at(start), "{name} {of}");
    }
}

#[test]
fn a_zone_is_told_as_it_is_read() {
    for name in ["Europe/Berlin", "+02:00", "-03:30", "+05:30:15", "UTC", "Etc/UTC"] {
        assert_eq!(zone(name).to_string(), name);
    }
    assert_eq!(zone("UTC+2").to_string(), "+02:00");
    assert!(["UTC", "Z", "GMT", "+00:00", "Etc/UTC"].iter().all(|name| zone(name).is_utc()));
    assert!(!zone("Europe/London").is_utc());
}

proptest! {
    #[test]
    fn what_is_remembered_of_offsets_is_right(
        zone in 0..chrono_tz::TZ_VARIANTS.len(),
        times in proptest::collection::vec(
            prop_oneof![at("1840-01-01T00:00:00")..at("2100-01-01T00:00:00"), any::<i64>()], 1..20),
        steps in proptest::collection::vec(0_i64..20_000_000_000, 1..20),
    ) {
        let zone = Zone::Region(chrono_tz::TZ_VARIANTS[zone]);
        let mut offsets = Offsets::new(zone);
        for time in times {
            let mut time = time;
            for step in &steps {
                prop_assert_eq!(offsets.local(time), zone.local(time));
                time = time.saturating_add(*step);
            }
        }
    }

    #[test]
    fn clocks_show_the_time_that_was_asked_for_or_a_later_one(
        zone in 0..chrono_tz::TZ_VARIANTS.len(), local in any::<i64>(),
    ) {
        let zone = Zone::Region(chrono_tz::TZ_VARIANTS[zone]);
        let _ = (zone.instant(local), zone.day_start(local), zone.day_start(local / 86_400_000_000));
        let local = local % at("2100-01-01T00:00:00");
        let shown = zone.local(zone.instant(local));
        prop_assert!(shown == local || (shown > local && shown - local <= 26 * 3_600_000_000), "{shown} {local}");
    }
}
