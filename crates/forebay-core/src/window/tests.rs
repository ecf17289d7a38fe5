//! Windows beside the rules of Spark's `TimeWindowing`, written out once more in 128 bits.

use chrono::{DateTime, Offset, TimeZone as _};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;
use crate::Zone;

const MINUTE: i64 = 60_000_000;

fn at(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}

fn windows(size: &str, slide: &str, start: &str, ts: &str) -> Vec<String> {
    let sliding = Sliding::parse(size, Some(slide), Some(start)).unwrap();
    let show = |us: i64| DateTime::from_timestamp_micros(us).unwrap().format("%H:%M").to_string();
    sliding.starts(at(ts)).map(|from| format!("{}-{}", show(from), show(sliding.end(from)))).collect()
}

#[test]
fn windows_are_those_of_sparks_own_example() {
    let noon = "2016-03-27T12:05:00Z";
    assert_eq!(
        windows("12 minutes", "5 minutes", "0 minutes", noon),
        ["12:05-12:17", "12:00-12:12", "11:55-12:07"]
    );
    assert_eq!(windows("12 minutes", "5 minutes", "2 minutes", noon), ["12:02-12:14", "11:57-12:09"]);
    assert_eq!(windows("10 minutes", "10 minutes", "-3 minutes", noon), ["11:57-12:07"]);
}

#[test]
fn a_window_holds_its_start_and_not_its_end_also_before_1970() {
    let tumbling = Sliding::tumbling(10).unwrap();
    assert!(tumbling.tumbles());
    let starts = [-11, -10, -1, 0, 9, 10].map(|ts| tumbling.last_start(ts));
    assert_eq!(starts, [-20, -10, -10, 0, 0, 10]);
    assert_eq!(window_time(tumbling.end(0)), 9);
    assert_eq!(tumbling.start_of(tumbling.end(-20)), -20);
}

#[test]
fn what_spark_refuses_is_refused() {
    let refused = |size, slide, start| Sliding::new(size, slide, start).unwrap_err().message().to_owned();
    assert!(refused(0, 0, 0).contains("length of the window is 0"));
    assert!(refused(-5, -5, 0).contains("length of the window is -5"));
    assert!(refused(5, 0, 0).contains("slide of the window is 0"));
    let too_far = refused(5_000_000, 20_000_000, 0);
    assert_eq!(too_far, "the window slides by 20 seconds and is only 5 seconds long");
    let moved = refused(MINUTE, MINUTE, 90_000_000);
    assert_eq!(moved, "the window's start time is 1 minute 30 seconds, its slide 1 minute");
    for start in [5, -5, i64::MIN, i64::MAX] {
        assert!(refused(5, 5, start).contains("start time"), "{start}");
    }
    assert!(refused(MINUTE, 1, 0).contains("60000000 windows"));
    assert!(Sliding::new(i64::MAX, i64::MAX, -(i64::MAX - 1)).is_ok());
    let months = Sliding::parse("1 month", None, None).unwrap_err();
    assert!(months.message().contains("months or years"), "{months}");
    assert!(Sliding::parse("1 minute", Some("1 year"), None).is_err());
    assert!(Sliding::parse("1 minute", None, Some("soon")).is_err());
    assert_eq!(Sliding::parse("1 day", None, None).unwrap().size_us, 1_440 * MINUTE);
}

#[test]
fn intervals_read_as_spark_reads_them() {
    let is = |text: &str, months, days, micros| {
        assert_eq!(Interval::parse(text).unwrap(), Interval { months, days, micros }, "{text}");
    };
    is("10 minutes", 0, 0, 10 * MINUTE);
    is("  INTERVAL  1 Hour 30 SECONDS ", 0, 0, 60 * MINUTE + 30_000_000);
    is("interval\t-1 week +2 days", 0, -5, 0);
    is("- 3 milliseconds 2 microsecond", 0, 0, -2_998);
    is("1 year 2 months", 14, 0, 0);
    is("1.5 seconds", 0, 0, 1_500_000);
    is("-.123456789 second", 0, 0, -123_456);
    is("1.000001 seconds", 0, 0, 1_000_001);
    is("9223372036854775807 microseconds", 0, 0, i64::MAX);
    is("-1 month 30 days", -1, 30, 0);
}

#[test]
fn a_length_is_told_in_words_that_are_read_as_the_same_length() {
    for (us, told) in [
        (0, "0 seconds"),
        (7, "7 microseconds"),
        (1_000, "1 millisecond"),
        (1_500, "1500 microseconds"),
        (529_250, "529250 microseconds"),
        (320_000, "320 milliseconds"),
        (1_000_000, "1 second"),
        (13_027_000, "13.027 seconds"),
        (20_000_000, "20 seconds"),
        (MINUTE, "1 minute"),
        (MINUTE + 1, "1 minute 0.000001 seconds"),
        (529_250_000, "8 minutes 49.25 seconds"),
        (-5 * MINUTE, "-5 minutes"),
        (-90 * MINUTE - 1_000_000, "-1 hour -30 minutes -1 second"),
        (36 * 60 * MINUTE, "1 day 12 hours"),
        (i64::MAX, "106751991 days 4 hours 54.775807 seconds"),
        (i64::MIN, "-106751991 days -4 hours -54.775808 seconds"),
    ] {
        assert_eq!(interval::words(us), told);
        assert_eq!(Interval::parse(told).and_then(|read| read.fixed_micros(told)).unwrap(), us, "{told}");
    }
}

#[test]
fn an_interval_is_told_as_it_is_read() {
    for text in [
        "10 seconds",
        "1 hour 30 seconds",
        "1 year 2 months 9 days",
        "-1 month 30 days -1 second",
        "1 minute 30.001002 seconds",
        "36 hours",
        "1 day 36 hours 0.5 seconds",
        "1500 microseconds",
        "-320 milliseconds",
        "0 seconds",
    ] {
        assert_eq!(Interval::parse(text).unwrap().to_string(), text);
    }
    let least = Interval { months: i32::MIN, days: i32::MIN, micros: i64::MIN };
    assert_eq!(Interval::parse(&least.to_string()).unwrap(), least);
}

#[test]
fn what_is_no_interval_says_which_word_is_wrong() {
    for (text, problem) in [
        ("", "it is empty"),
        ("interval", "it is empty"),
        ("interval5 minutes", "a blank stands after `interval`"),
        ("10minutes", "a blank stands between number and unit, in `10minutes`"),
        ("ten minutes", "expected a number, found `ten`"),
        ("10", "`10` has no unit"),
        ("10 parsecs", "`parsecs` is no unit"),
        ("10 minutess", "`minutess` is no unit"),
        ("1.5 minutes", "only seconds have a fraction"),
        ("1.0000000001 seconds", "more than nine digits"),
        (". seconds", "expected a number, found `.`"),
        ("1 minute -", "expected a number, found ``"),
        ("9223372036854775808 microseconds", "is too large"),
        ("9223372036854775807 seconds", "it is too long"),
        ("9999999999 years", "it is too long"),
        ("1 é", "`é` is no unit"),
    ] {
        let error = Interval::parse(text).unwrap_err();
        assert!(error.message().contains(problem), "{text}: {error}");
    }
    let long = Interval { months: 0, days: i32::MAX, micros: i64::MAX };
    assert!(long.fixed_micros("x").unwrap_err().message().contains("too long"));
}

fn zoned(period: Calendar, zone: Zone) -> CalendarWindows {
    CalendarWindows::new(period, zone).unwrap()
}

#[test]
fn a_day_has_as_many_hours_as_its_clocks_show() {
    let berlin = zoned(Calendar::Days(1), Zone::Region(Tz::Europe__Berlin));
    for (inside, from, to) in [
        ("2024-03-31T10:00:00Z", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"),
        ("2024-10-27T00:30:00Z", "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z"),
        ("2024-10-27T23:00:00Z", "2024-10-27T23:00:00Z", "2024-10-28T23:00:00Z"),
    ] {
        assert_eq!(berlin.bounds(at(inside)), (at(from), at(to)), "{inside}");
    }
}

#[test]
fn weeks_begin_on_monday_and_quarters_in_january() {
    let week = zoned(Calendar::Days(7), Zone::UTC);
    let sunday = at("2024-12-29T23:59:59Z");
    assert_eq!(week.bounds(sunday), (at("2024-12-23T00:00:00Z"), at("2024-12-30T00:00:00Z")));
    let quarter = zoned(Calendar::Months(3), Zone::Region(Tz::America__New_York));
    let bounds = quarter.bounds(at("1969-02-10T00:00:00Z"));
    assert_eq!(bounds, (at("1969-01-01T05:00:00Z"), at("1969-04-01T05:00:00Z")));
    let month = zoned(Calendar::Months(1), Zone::Region(Tz::Asia__Kolkata));
    let bounds = month.bounds(at("2024-02-29T19:00:00Z"));
    assert_eq!(bounds, (at("2024-02-29T18:30:00Z"), at("2024-03-31T18:30:00Z")));
}

#[test]
fn a_midnight_that_is_left_out_or_comes_twice_begins_one_day() {
    // The clocks of São Paulo went from 00:00 to 01:00, those of Havana from 01:00 to 00:00, those of St John's from 00:01
    // to 23:01 of the day before, and Samoa left 30 December out.
    for (zone, inside, from, to) in [
        (
            Zone::Region(Tz::America__Sao_Paulo),
            "2018-11-04T03:00:00Z",
            "2018-11-04T03:00:00Z",
            "2018-11-05T02:00:00Z",
        ),
        (
            Zone::Region(Tz::America__Sao_Paulo),
            "2018-11-04T02:59:59Z",
            "2018-11-03T03:00:00Z",
            "2018-11-04T03:00:00Z",
        ),
        (
            Zone::Region(Tz::America__Havana),
            "2024-11-03T05:30:00Z",
            "2024-11-03T04:00:00Z",
            "2024-11-04T05:00:00Z",
        ),
        (
            Zone::Region(Tz::America__St_Johns),
            "2006-10-29T03:00:00Z",
            "2006-10-29T02:30:00Z",
            "2006-10-30T03:30:00Z",
        ),
        (
            Zone::Region(Tz::Pacific__Apia),
            "2011-12-30T09:59:59Z",
            "2011-12-29T10:00:00Z",
            "2011-12-30T10:00:00Z",
        ),
        (
            Zone::Region(Tz::Pacific__Apia),
            "2011-12-30T10:00:00Z",
            "2011-12-30T10:00:00Z",
            "2011-12-31T10:00:00Z",
        ),
    ] {
        assert_eq!(zoned(Calendar::Days(1), zone).bounds(at(inside)), (at(from), at(to)), "{zone} {inside}");
    }
}

#[test]
fn a_calendar_window_has_a_length_that_a_calendar_has() {
    for period in
        [Calendar::Days(0), Calendar::Months(0), Calendar::Days(u32::MAX), Calendar::Months(u32::MAX)]
    {
        assert!(CalendarWindows::new(period, Zone::UTC).is_err(), "{period:?}");
    }
}

/// A window, and times to try it with.
fn any_sliding() -> impl Strategy<Value = Sliding> {
    let sizes = prop_oneof![1_i64..100, 1_i64..90_000_000_000, (i64::MAX - 5)..=i64::MAX];
    (sizes, any::<i64>(), any::<i64>()).prop_map(|(size, slide, start)| {
        let shortest = (size / 50).max(1);
        let slide = shortest + slide.rem_euclid(size - shortest + 1).min(size - shortest);
        Sliding::new(size, slide, start % slide).unwrap()
    })
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -1_000_i64..1_000, Just(i64::MIN), Just(i64::MAX), (i64::MIN..i64::MIN + 200)]
}

/// The starts of the windows of a time, by the comment on Spark's rule.
fn spark(sliding: &Sliding, ts: i64) -> Vec<i128> {
    let [size, slide, start] = [sliding.size_us, sliding.slide_us, sliding.start_us].map(i128::from);
    let remainder = (i128::from(ts) - start) % slide;
    let last = i128::from(ts) - if remainder < 0 { remainder + slide } else { remainder };
    let overlapping = (size + slide - 1) / slide;
    let all = (0..overlapping).map(|number| last - number * slide);
    all.filter(|from| *from <= i128::from(ts) && i128::from(ts) < from + size).collect()
}

proptest! {
    #[test]
    fn windows_are_those_that_spark_makes(sliding in any_sliding(), ts in any_time()) {
        let ours: Vec<i128> = sliding.starts(ts).map(i128::from).collect();
        let theirs = spark(&sliding, ts);
        let held: Vec<i128> = theirs.iter().copied().filter(|start| *start >= i128::from(i64::MIN)).collect();
        if held.len() == theirs.len() {
            prop_assert_eq!(&ours, &theirs);
        } else {
            // What begins before 64 bits do begins with them.
            prop_assert_eq!(&ours[..held.len()], &held[..]);
        }
        prop_assert_eq!(ours.first().copied(), Some(i128::from(sliding.last_start(ts))));
    }

    #[test]
    fn a_column_of_times_gives_what_each_gives(
        sliding in any_sliding(),
        times in proptest::collection::vec((any_time(), 1_usize..4, 0_i64..50), 0..20),
    ) {
        let times: Vec<i64> = times
            .into_iter()
            .flat_map(|(ts, count, step)| (0..count as i64).map(move |at| ts.saturating_add(at * step)))
            .collect();
        let each: Vec<i64> = times.iter().map(|ts| sliding.last_start(*ts)).collect();
        prop_assert_eq!(sliding.last_starts(&times), each);
    }

    #[test]
    fn a_pane_lies_in_the_windows_of_each_of_its_times(sliding in any_sliding(), ts in -1_000_000_000_i64..1_000_000_000) {
        let panes = sliding.panes();
        let pane = panes.last_start(ts);
        prop_assert!(pane <= ts && ts < panes.end(pane));
        let of_pane: Vec<i64> = sliding.starts(pane).collect();
        prop_assert_eq!(of_pane, sliding.starts(ts).collect::<Vec<_>>());
        prop_assert_eq!(sliding.size_us % sliding.pane_us(), 0);
    }

    #[test]
    fn no_text_makes_the_reader_of_intervals_panic(
        text in prop_oneof![any::<String>(), "(interval )?([-+]? ?[0-9.]{0,20} ?(second|minutes|years|é)? ?){0,3}"],
    ) {
        if let Ok(interval) = Interval::parse(&text) {
            let _ = interval.fixed_micros(&text);
        }
    }

    #[test]
    fn calendar_windows_follow_each_other_and_begin_where_a_date_does(
        zone in 0..chrono_tz::TZ_VARIANTS.len(),
        days in any::<bool>(),
        count in prop_oneof![Just(1_u32), 1_u32..40, Just(120_000)],
        ts in prop_oneof![
            at("1840-01-01T00:00:00Z")..at("2100-01-01T00:00:00Z"), any::<i64>(), Just(i64::MIN), Just(i64::MAX),
        ],
    ) {
        let zone = chrono_tz::TZ_VARIANTS[zone];
        let windows = zoned(if days { Calendar::Days(count) } else { Calendar::Months(count) }, Zone::Region(zone));
        let (from, to) = windows.bounds(ts);
        prop_assert!(from <= ts && (ts < to || to == i64::MAX), "{from} {ts} {to}");
        prop_assert_eq!(windows.bounds(from), (from, to));
        prop_assert_eq!(windows.bounds(to - 1), (from, to));
        if to < i64::MAX {
            prop_assert_eq!(windows.bounds(to).0, to);
        }
        // Across a start the date of the clocks goes on, unless they were put back there.
        let local = |us: i64| DateTime::from_timestamp_micros(us).map(|utc| {
            utc.naive_utc() + zone.offset_from_utc_datetime(&utc.naive_utc()).fix()
        });
        if let (Some(before), Some(start)) = (local(from.saturating_sub(1)), local(from)) {
            prop_assert!(before.date() <= start.date() || before.date() == start.date() + chrono::Days::new(1));
            prop_assert!(before.date() != start.date() || from == i64::MIN || start < before, "{before} {start}");
        }
    }
}
