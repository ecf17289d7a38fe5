//! The watermark's arithmetic, beside Spark's rules written out once more.

use std::time::Duration;

use arrow::array::{Array, Int64Array};
use proptest::prelude::*;

use super::*;

fn rule(delay_ms: i64) -> Option<Rule> {
    Some(Rule { delay_ms, idle_ms: None })
}

fn idle(delay_ms: i64, idle_ms: i64) -> Option<Rule> {
    Some(Rule { delay_ms, idle_ms: Some(idle_ms) })
}

/// Runs an epoch that is planned at `now` and sees `seen`; gives its times.
fn epoch(tracker: &mut Tracker, now: i64, seen: &[Option<i64>]) -> (i64, i64) {
    let times = tracker.times().then(tracker.next(now, &[], None));
    tracker.observe(times, &Observed(seen.to_vec()), now);
    (times.late.0, times.evict.0)
}

#[test]
fn what_an_epoch_sees_is_the_watermark_of_the_next_and_late_in_the_one_after() {
    let mut tracker = Tracker::new([rule(10)], WatermarkPolicy::Min);
    let seen = [Some(15), Some(100), Some(40), None, Some(101)];
    let times: Vec<_> = seen.iter().map(|seen| epoch(&mut tracker, 0, &[*seen])).collect();
    assert_eq!(times, [(0, 0), (0, 5), (5, 90), (90, 90), (90, 90)]);
    assert_eq!(tracker.next(0, &[], None), Watermark(91));
}

#[test]
fn the_minimum_waits_for_an_input_that_has_shown_nothing_and_the_maximum_does_not() {
    for (policy, expected) in [(WatermarkPolicy::Min, 0), (WatermarkPolicy::Max, 90)] {
        let mut tracker = Tracker::new([rule(10), None, rule(0)], policy);
        epoch(&mut tracker, 0, &[Some(100), Some(999), None]);
        assert_eq!(tracker.next(0, &[], None), Watermark(expected), "{policy:?}");
    }
    let mut tracker = Tracker::new([rule(10), rule(0)], WatermarkPolicy::Min);
    epoch(&mut tracker, 0, &[Some(100), Some(70)]);
    assert_eq!(tracker.next(0, &[], None), Watermark(70));
}

#[test]
fn a_window_is_done_and_a_row_is_late_at_its_very_end() {
    let watermark = Watermark(10);
    assert!(watermark.has_passed(10_000) && !watermark.has_passed(10_001));
    assert!(Watermark::default().has_passed(0), "from the beginning on, what was before 1970 is late");
    assert!(Watermark(i64::MAX).has_passed(i64::MAX));
    assert_eq!(Watermark(1_481_741_124_873).to_string(), "2016-12-14T18:45:24.873Z");
}

#[test]
fn a_restart_changes_nothing() {
    let rules = || [rule(10), idle(5, 50)];
    for policy in [WatermarkPolicy::Min, WatermarkPolicy::Max] {
        let mut one = Tracker::new(rules(), policy);
        for (now, seen) in [(0, [Some(100), None]), (20, [None, Some(80)]), (40, [Some(300), None])] {
            epoch(&mut one, now, &seen);
            let mut other = Tracker::new(rules(), policy);
            other.restore(one.times(), &one.observed(), &one.quiet_since_ms());
            for now in [now, now + 49, now + 50, now + 1_000] {
                assert_eq!(other.next(now, &[], Some(500)), one.next(now, &[], Some(500)), "{policy:?}");
            }
            assert_eq!((other.observed(), other.quiet_since_ms()), (one.observed(), one.quiet_since_ms()));
        }
    }
    let mut never = Tracker::new([rule(1)], WatermarkPolicy::Min);
    epoch(&mut never, 0, &[Some(5)]);
    assert!(never.quiet_since_ms().is_empty(), "nothing is ever idle");
}

#[test]
fn an_idle_input_does_not_hold_the_others_back_until_it_speaks() {
    let mut tracker = Tracker::new([rule(10), idle(0, 50)], WatermarkPolicy::Min);
    epoch(&mut tracker, 1_000, &[Some(100), Some(20)]);
    assert_eq!(tracker.next(1_049, &[], None), Watermark(20));
    assert_eq!(tracker.next(1_050, &[], None), Watermark(90));
    assert_eq!(tracker.next(1_050, &[false, true], None), Watermark(20), "its records only wait to be read");
    assert_eq!((tracker.idle(1_049), tracker.idle(1_050)), (vec![], vec![1]));
    epoch(&mut tracker, 1_060, &[Some(200), Some(150)]);
    assert_eq!(tracker.next(1_061, &[], None), Watermark(150), "it counts again");
}

#[test]
fn an_input_that_never_spoke_is_quiet_since_the_first_epoch() {
    let mut tracker = Tracker::new([rule(0), idle(0, 50)], WatermarkPolicy::Min);
    assert_eq!(tracker.next(99_999, &[], None), Watermark(0), "nothing was planned yet");
    epoch(&mut tracker, 1_000, &[Some(100), None]);
    assert_eq!(epoch(&mut tracker, 1_030, &[Some(110), None]), (0, 0));
    assert_eq!(tracker.next(1_050, &[], None), Watermark(110));
}

#[test]
fn when_all_inputs_are_idle_time_goes_on_as_far_as_what_is_held_needs_it() {
    let mut tracker = Tracker::new([idle(10, 50)], WatermarkPolicy::Min);
    epoch(&mut tracker, 1_000, &[Some(995)]);
    let next = |now, held| tracker.next(now, &[], held).0;
    assert_eq!(next(1_049, Some(1_020)), 985);
    assert_eq!(next(1_050, None), 985, "nothing waits for it");
    assert_eq!(next(1_050, Some(1_020)), 1_020, "the window is over by the clock too");
    assert_eq!(next(1_050, Some(2_000)), 1_040, "the window is not over yet: the present less the delay");
    assert_eq!(next(1_050, Some(500)), 985, "it never falls");
    assert_eq!(tracker.next(1_050, &[true], Some(1_020)).0, 985, "records wait");
    let mut old = Tracker::new([idle(10, 50)], WatermarkPolicy::Min);
    epoch(&mut old, 1_000_000, &[Some(995)]);
    assert_eq!(
        old.next(1_000_050, &[], Some(1_000)).0,
        1_000,
        "old records: no further than the last window"
    );
}

#[test]
fn with_several_idle_inputs_the_policy_chooses_among_their_delays() {
    for (policy, expected) in [(WatermarkPolicy::Min, 1_080), (WatermarkPolicy::Max, 1_100)] {
        let mut tracker = Tracker::new([idle(20, 50), idle(0, 100)], policy);
        epoch(&mut tracker, 1_000, &[Some(900), Some(950)]);
        assert_eq!(tracker.next(1_100, &[], Some(9_999)), Watermark(expected), "{policy:?}");
    }
}

#[test]
fn it_is_known_when_a_window_will_close_by_itself() {
    let mut tracker = Tracker::new([idle(10, 50)], WatermarkPolicy::Min);
    epoch(&mut tracker, 1_000, &[Some(995)]);
    assert_eq!(tracker.reaches_at(Watermark(985), 1_001), Some(1_001), "at once");
    assert_eq!(tracker.reaches_at(Watermark(1_020), 1_001), Some(1_050), "when the input is idle");
    assert_eq!(tracker.reaches_at(Watermark(1_100), 1_001), Some(1_110), "when the clock has passed it");
    let mut two = Tracker::new([rule(10), idle(0, 50)], WatermarkPolicy::Min);
    epoch(&mut two, 1_000, &[Some(995), Some(20)]);
    assert_eq!(two.reaches_at(Watermark(985), 1_001), Some(1_050), "when the other no longer counts");
    assert_eq!(two.reaches_at(Watermark(986), 1_001), None, "the input without idleTimeout holds it");
    assert_eq!(Tracker::new([None], WatermarkPolicy::Min).reaches_at(Watermark(1), 0), None);
}

#[test]
fn a_time_too_far_ahead_is_counted_and_moves_nothing() {
    let limit = future_limit_us(1_000, Some(Duration::from_secs(300)));
    assert_eq!(limit, 301_000_000);
    let seen = survey(&[5_000, limit, limit + 1, -1_500, i64::MAX], None, limit);
    assert_eq!((seen.count, seen.max_ms(), seen.min_ms()), (3, Some(301_000), Some(-2)));
    assert_eq!((seen.ahead, seen.furthest_us), (2, Some(i64::MAX)));
    assert_eq!(seen.avg_ms(), Some((5_000 + limit - 1_500) / 3 / 1_000));
    assert_eq!(survey(&[i64::MAX], None, future_limit_us(0, None)).ahead, 0);
    assert_eq!(future_limit_us(i64::MAX, Some(Duration::MAX)), i64::MAX);
    assert_eq!(survey(&[], None, limit), Survey::default());
    assert_eq!(Survey::default().avg_ms(), None);
}

#[test]
fn what_was_seen_in_lanes_adds_up() {
    let mut all = Observed::nothing(1);
    all.merge(&Observed(vec![Some(-5), None]));
    all.merge(&Observed(vec![None, Some(3)]));
    assert_eq!(all, Observed(vec![Some(-5), Some(3)]));
}

#[test]
fn policies_read_in_any_case() {
    assert_eq!(WatermarkPolicy::parse("MAX"), Some(WatermarkPolicy::Max));
    assert_eq!(WatermarkPolicy::parse("min").map(WatermarkPolicy::word), Some("min"));
    assert_eq!(WatermarkPolicy::parse("mean"), None);
}

/// Spark's `WatermarkTracker` as its code reads: the state of each input is a map entry that is made 0 if nothing came.
fn spark(delays: &[i64], policy: WatermarkPolicy, epochs: &[Vec<Option<i64>>]) -> Vec<i64> {
    let mut inputs: Vec<Option<i64>> = vec![None; delays.len()];
    let mut global = 0;
    let mut watermarks = vec![0];
    for epoch in epochs {
        for ((input, seen), delay) in inputs.iter_mut().zip(epoch).zip(delays) {
            match seen.map(|seen| seen - delay) {
                Some(new) if input.is_none_or(|old| new > old) => *input = Some(new),
                None if input.is_none() => *input = Some(0),
                _ => {}
            }
        }
        let values = inputs.iter().flatten();
        let chosen = if policy == WatermarkPolicy::Min { values.min() } else { values.max() };
        global = global.max(chosen.copied().unwrap_or(0));
        watermarks.push(global);
    }
    watermarks
}

proptest! {
    #[test]
    fn the_arithmetic_is_sparks(
        delays in proptest::collection::vec(0_i64..50, 1..4),
        max in any::<bool>(),
        seen in proptest::collection::vec(proptest::collection::vec(proptest::option::of(-100_i64..200), 3), 0..12),
    ) {
        let policy = if max { WatermarkPolicy::Max } else { WatermarkPolicy::Min };
        let mut tracker = Tracker::new(delays.iter().map(|delay| rule(*delay)), policy);
        let mut ours: Vec<i64> = seen.iter().map(|seen| epoch(&mut tracker, 0, seen).1).collect();
        ours.push(tracker.next(0, &[], None).0);
        prop_assert_eq!(ours, spark(&delays, policy, &seen));
    }

    #[test]
    fn it_never_falls_and_no_number_overflows(
        steps in proptest::collection::vec((any::<i64>(), proptest::option::of(any::<i64>()), proptest::option::of(any::<i64>())), 0..10),
        delay in any::<i64>(),
        timeout in any::<i64>(),
    ) {
        let mut tracker = Tracker::new([idle(delay, timeout), rule(delay)], WatermarkPolicy::Max);
        let mut before = Watermark(0);
        for (now, seen, held) in steps {
            let next = tracker.next(now, &[], held);
            prop_assert!(next >= before);
            before = next;
            tracker.observe(tracker.times().then(next), &Observed(vec![seen]), now);
            if let Some(at) = tracker.reaches_at(Watermark(held.unwrap_or(0)), now) {
                prop_assert!(at >= now);
            }
        }
    }

    #[test]
    fn a_survey_of_a_batch_is_that_of_its_rows(
        rows in proptest::collection::vec(proptest::option::weighted(0.8, prop_oneof![any::<i64>(), -5_000_i64..5_000]), 0..40),
        limit in prop_oneof![any::<i64>(), Just(i64::MAX), 0_i64..5_000],
    ) {
        let column = Int64Array::from(rows.clone());
        let whole = survey(column.values(), column.nulls(), limit);
        let mut sum = Survey::default();
        for ts in rows.iter().flatten() {
            sum.merge(&survey(&[*ts], None, limit));
        }
        prop_assert_eq!(whole, sum);
        let good: Vec<i64> = rows.iter().flatten().copied().filter(|ts| *ts <= limit).collect();
        prop_assert_eq!(whole.count, good.len() as u64);
        prop_assert_eq!(whole.max_us, good.iter().max().copied());
        prop_assert_eq!(whole.min_us, good.iter().min().copied());
        let mean = good.iter().map(|ts| i128::from(*ts)).sum::<i128>().div_euclid(good.len().max(1) as i128);
        prop_assert_eq!(whole.avg_ms().map(i128::from), (!good.is_empty()).then(|| mean.div_euclid(1_000)));
    }
}
