//! How long the sides of a join are held: what of the condition tells when no row of the other side can meet theirs any more.

use forebay_core::output_mode::OutputMode::Append;

use super::joins::drawn_in;

#[test]
fn state_watermarks_are_sparks() {
    let ends = |on: &str| ends_in("UTC", on);
    for (on, expected) in [
        ("rt BETWEEN lt AND lt + INTERVAL 10 SECONDS", "lt-10001 rt-1"),
        ("rt > lt AND rt < lt + INTERVAL 10 SECONDS", "lt-10000 rt+0"),
        ("lt <= rt AND lt >= rt - INTERVAL 1 MINUTE", "lt-60001 rt-1"),
        ("lt + INTERVAL 5 SECONDS > rt - INTERVAL 2 SECONDS", "lt-7000 -"),
        ("rt < lt AND rt < lt + INTERVAL 3 SECONDS", "lt-3000 -"),
        ("NOT (rt > lt)", "lt-1 -"),
        ("rt < lt - INTERVAL 10 SECONDS", "lt+10000 -"),
        ("lt = rt", "key key"),
        ("rt < lt + INTERVAL 1 MONTH", "- -"),
        ("rt < lt + INTERVAL 1 DAY", "lt-86400000 -"),
        ("rt < CASE WHEN a = 'x' THEN lt ELSE rt END", "- -"),
        ("rt <> lt", "- -"),
    ] {
        assert_eq!(ends(on), expected, "{on}");
    }
}

/// When rows of both sides of a join on this condition are forgotten.
fn ends_in(zone: &str, on: &str) -> String {
    let drawn = drawn_in(zone, &format!("SELECT id, b FROM l JOIN r ON id = rid AND {on}"), Append);
    let ends = |text: &str| {
        text.split(" ends ").nth(1).and_then(|it| it.split([' ', '|']).next()).unwrap_or("-").to_owned()
    };
    let (left, right) = drawn.split_once(" = (").unwrap_or_default();
    format!("{} {}", ends(left), ends(right))
}

/// In a zone what is added to a time is the calendar's, and a range is one all the same.
#[test]
fn rows_are_forgotten_in_every_zone() {
    for (zone, on, expected) in [
        ("Europe/Berlin", "rt BETWEEN lt AND lt + INTERVAL 10 SECONDS", "lt-10001 rt-1"),
        ("Europe/Berlin", "lt <= rt AND lt >= rt - INTERVAL 1 MINUTE", "lt-60001 rt-1"),
        ("Europe/Berlin", "rt > lt AND rt < lt + INTERVAL 1 MONTH", "- rt+0"),
        // A day may have 25 hours.
        ("Europe/Berlin", "rt BETWEEN lt AND lt + INTERVAL 1 DAY", "lt-93600001 rt-1"),
        ("Europe/Berlin", "rt < lt + INTERVAL 24 HOURS", "lt-93600000 -"),
        ("+02:00", "rt BETWEEN lt AND lt + INTERVAL 1 DAY", "lt-86400001 rt-1"),
    ] {
        assert_eq!(ends_in(zone, on), expected, "{zone}: {on}");
    }
    let outer = "SELECT id, b FROM l LEFT JOIN r ON id = rid AND rt BETWEEN lt AND lt + INTERVAL 1 MINUTE";
    assert!(drawn_in("Europe/Berlin", outer, Append).contains("join-0 Left "));
}
