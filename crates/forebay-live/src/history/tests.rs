use std::path::Path;
use std::time::Instant;

use super::*;
use crate::codec::{Decoder, Encoder, checked};
use crate::testing::{NOW, place};

const MINUTE: i64 = 60_000;

fn timeline(folder: &Path) -> Timeline {
    Timeline::new(2, 1 << 30, &place(folder))
}

/// What a question finds: begin of the bucket and stat, where there is one.
fn ask(history: &Timeline, range: Range, who: Who, field: usize, now: i64) -> Vec<(i64, Stat)> {
    let buckets = history.gather(field, range, 10_000, vec![who], now).read();
    let stats = buckets.series[0].iter().enumerate();
    let found = stats.map(|(index, stat)| (buckets.start + index as i64 * buckets.step, *stat));
    found.filter(|(_, stat)| stat.n > 0).collect()
}

fn total(found: &[(i64, Stat)]) -> Stat {
    let mut total = Stat::default();
    found.iter().for_each(|(_, stat)| total.merge(stat));
    total
}

/// The same clock for all seconds from `from` to `to`.
fn tidy(history: &mut Timeline, from: i64, to: i64) {
    for now in (from..=to).step_by(1000) {
        history.tidy(now).unwrap();
    }
}

fn saved(history: &mut Timeline) -> Vec<u8> {
    history.take_unsynced().iter().for_each(|file| file.lock().sync().unwrap());
    let mut encoder = Encoder::new(Vec::new());
    history.write(&mut encoder).unwrap();
    encoder.finish().unwrap().0
}

fn restored(bytes: &[u8], folder: &Path, now: i64) -> Timeline {
    let mut decoder = Decoder::new(checked(bytes).unwrap());
    let history = Timeline::new(2, 1 << 30, &place(folder)).read(&mut decoder, now).unwrap();
    history.remove_strangers().unwrap();
    history
}

#[test]
fn the_messages_of_the_last_quarter_of_an_hour_are_told_second_by_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = timeline(dir.path());
    let start = NOW / 1000 * 1000;
    assert!(history.messages(start).is_empty());
    for (second, messages) in [(-3, 2), (-1, 1), (0, 5)] {
        for _ in 0..messages {
            history.message(start + second * 1000, start);
        }
    }
    assert_eq!(history.messages(start - 1000), [2, 0, 1]);
    assert_eq!(history.messages(start + 2000), [2, 0, 1, 5, 0, 0]);
    assert_eq!(history.messages(start + WINDOW_MS - 1000).len(), 900, "from the second with five on");
}

#[test]
fn each_message_is_in_its_own_second_whenever_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = timeline(dir.path());
    for (late, value) in [(0, 1.0), (10_000, 2.0), (800_000, 3.0), (10_000, 4.0)] {
        history.add(NOW - late, 1, &[(0, value)], NOW);
    }
    let found = ask(&history, Range::Minutes15, Who::Device(1), 0, NOW);
    let second = |late: i64| (NOW - late).div_euclid(1000) * 1000;
    assert_eq!(
        found.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [second(800_000), second(10_000), second(0)]
    );
    assert_eq!(found[1].1, Stat { n: 2, mean: 3.0, min: 2.0, max: 4.0 });
    assert_eq!(ask(&history, Range::Minutes15, Who::All, 0, NOW), found);
    assert!(ask(&history, Range::Minutes15, Who::Device(2), 0, NOW).is_empty());
    assert!(ask(&history, Range::Minutes15, Who::Nobody, 0, NOW).is_empty());
    assert!(ask(&history, Range::Minutes15, Who::All, 1, NOW).is_empty());
}

#[test]
fn older_messages_count_in_the_wider_frames_and_those_of_before_yesterday_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = timeline(dir.path());
    for hours in [1, 5, 7, 23, 25, 1000] {
        history.message(NOW - hours * 60 * MINUTE, NOW);
        history.add(NOW - hours * 60 * MINUTE, 1, &[(0, hours as f64)], NOW);
    }
    history.message(-1, NOW);
    history.add(-1, 1, &[(0, 1.0)], NOW);
    assert_eq!(history.too_old(), 3);
    assert!(ask(&history, Range::Minutes15, Who::All, 0, NOW).is_empty());
    let means = |range| {
        ask(&history, range, Who::Device(1), 0, NOW).iter().map(|(_, stat)| stat.mean).collect::<Vec<_>>()
    };
    assert_eq!(means(Range::Hours6), [5.0, 1.0]);
    assert_eq!(means(Range::Hours24), [23.0, 7.0, 5.0, 1.0]);
}

#[test]
fn seconds_that_leave_memory_are_found_in_files_and_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = timeline(dir.path());
    // Half an hour, a message a second, the clock beside it.
    for second in 0..1800 {
        let now = NOW + second * 1000;
        history.add(now, (second % 3) as u32, &[(0, second as f64), (1, 1e9 + second as f64)], now);
        history.tidy(now).unwrap();
    }
    let end = NOW + 1_799_000;
    assert_eq!(history.seconds.len(), 90);
    assert!(
        history.coarse().iter().all(|coarse| !coarse.files.is_empty()),
        "frames of each width were written"
    );
    for range in [Range::Hours6, Range::Hours24] {
        let all = total(&ask(&history, range, Who::All, 0, end));
        assert_eq!((all.n, all.min, all.max), (1800, 0.0, 1799.0), "{range:?}");
        let one = total(&ask(&history, range, Who::Device(2), 1, end));
        assert_eq!((one.n, one.min), (600, 1e9 + 2.0), "{range:?}");
        assert!((one.mean - (1e9 + 900.5)).abs() < 1e-3, "{}", one.mean - 1e9);
    }
    let minutes = ask(&history, Range::Hours24, Who::All, 0, end);
    assert!(minutes[1..minutes.len() - 1].iter().all(|(at, stat)| stat.n == 60 && at % MINUTE == 0));
    let seconds = ask(&history, Range::Minutes15, Who::All, 0, end);
    assert!(seconds.len() >= 900 && seconds.iter().rev().take(900).all(|(_, stat)| stat.n == 1));
}

#[test]
fn files_that_are_too_old_go_whole_and_only_after_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = timeline(dir.path());
    let files = || std::fs::read_dir(dir.path()).unwrap().count();
    history.add(NOW - 23 * 60 * MINUTE, 1, &[(0, 1.0)], NOW);
    history.add(NOW - 60 * MINUTE, 1, &[(0, 1.0)], NOW);
    tidy(&mut history, NOW, NOW + 10_000);
    assert_eq!(files(), 3, "one of ten seconds, two of minutes");
    let later = NOW + 2 * 60 * MINUTE;
    tidy(&mut history, later, later);
    assert_eq!(ask(&history, Range::Hours24, Who::All, 0, later).len(), 1);
    assert_eq!(files(), 3);
    let dropped = history.take_dropped();
    assert_eq!(dropped.len(), 1);
}

#[test]
fn the_oldest_seconds_leave_early_when_memory_is_at_its_bound() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = Timeline::new(2, 200_000, &place(dir.path()));
    for second in 0..600 {
        for id in 0..50 {
            history.add(NOW + second * 1000, id, &[(0, 1.0), (1, 2.0)], NOW + second * 1000);
        }
        history.tidy(NOW + second * 1000).unwrap();
    }
    let end = NOW + 599_000;
    assert!(history.bytes() <= 200_000 && history.seconds.len() < 200, "{}", history.bytes());
    assert_eq!(total(&ask(&history, Range::Hours6, Who::All, 0, end)).n, 30_000, "nothing is lost by it");
    let late = NOW + 1000;
    history.add(late, 7, &[(0, 1.0)], end);
    assert_eq!(total(&ask(&history, Range::Hours6, Who::All, 0, end)).n, 30_001, "nor what comes late");
}

#[test]
fn a_clock_that_jumped_ahead_and_back_does_not_empty_the_memory_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = timeline(dir.path());
    history.add(NOW, 1, &[(0, 1.0)], NOW);
    history.tidy(NOW + 48 * 60 * MINUTE).unwrap();
    history.add(NOW + 5_000, 1, &[(0, 2.0)], NOW + 5_000);
    assert_eq!(history.seconds.len(), 1, "what comes now is in memory");
    assert_eq!(total(&ask(&history, Range::Hours24, Who::All, 0, NOW + 5_000)).n, 2);
}

#[test]
fn a_quarter_of_an_hour_of_a_thousand_devices_needs_little_memory_and_is_answered_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = Timeline::new(4, usize::MAX, &place(dir.path()));
    let start = NOW.div_euclid(1000) * 1000;
    for second in 0..900 {
        let now = start + second * 1000;
        for message in 0..3 {
            for id in 0..1000 {
                let value = f64::from(id) + f64::from(message) * 0.1;
                history.add(now, id, &[(0, value), (1, value), (2, value), (3, value)], now);
            }
        }
        history.tidy(now).unwrap();
    }
    let bytes = history.bytes();
    println!("1,000 devices, 4 fields, 900 seconds, 3 messages a second each: {bytes} bytes");
    assert!(bytes < 16_000_000, "{bytes}");
    let began = Instant::now();
    let found = ask(&history, Range::Minutes15, Who::Device(777), 3, start + 899_999);
    println!("a quarter of an hour of one of them: {:?}", began.elapsed());
    assert_eq!((found.len(), total(&found).n), (900, 2700));
}

#[test]
fn a_day_of_a_thousand_devices_answers_in_much_less_than_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = Timeline::new(4, 1 << 30, &place(dir.path()));
    let start = (NOW - 23 * 60 * MINUTE).div_euclid(MINUTE) * MINUTE;
    for minute in 0..23 * 60 {
        let at = start + minute * MINUTE;
        for id in 0..1000 {
            for value in [1.0, f64::from(id)] {
                history.add(at, id, &[(0, value), (1, value), (2, value), (3, value)], NOW);
            }
        }
        history.tidy(NOW).unwrap();
    }
    tidy(&mut history, NOW, NOW + 6_000);
    assert!(history.minutes.open.len() < 30);
    for who in [Who::All, Who::Device(777)] {
        let began = Instant::now();
        let found = ask(&history, Range::Hours24, who, 3, NOW);
        let took = began.elapsed();
        println!("a day of 1,000 devices, {who:?}: {took:?}");
        assert_eq!(found.len(), 23 * 60);
        assert!(took.as_millis() < 500, "{took:?}");
    }
}

#[test]
fn a_damaged_frame_is_left_out_and_the_others_stand() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = timeline(dir.path());
    for minute in 0..10 {
        history.add(NOW - 60 * MINUTE + minute * MINUTE, 1, &[(0, 1.0)], NOW);
    }
    tidy(&mut history, NOW, NOW + 6_000);
    assert_eq!(ask(&history, Range::Hours24, Who::Device(1), 0, NOW).len(), 10);
    let file = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.to_str().unwrap().contains("60s-")).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = history.minutes.files[0].entries[4].at as usize + 9;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(ask(&history, Range::Hours24, Who::Device(1), 0, NOW).len(), 9);
    assert_eq!(ask(&history, Range::Hours24, Who::All, 0, NOW).len(), 9);
}

#[test]
fn a_snapshot_that_lacks_its_files_or_names_longer_ones_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = timeline(dir.path());
    history.add(NOW - 60 * MINUTE, 1, &[(0, 1.0)], NOW);
    tidy(&mut history, NOW, NOW + 6_000);
    let bytes = saved(&mut history);
    let read = |bytes: &[u8]| {
        Timeline::new(2, 1 << 30, &place(dir.path())).read(&mut Decoder::new(checked(bytes).unwrap()), NOW)
    };
    assert!(read(&bytes).is_ok());
    let path = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(read(&bytes).unwrap_err().kind(), io::ErrorKind::InvalidData);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read(&bytes).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

/// Random messages with a clock beside them; now and then the state is thrown away and what came since the last snapshot
/// comes again, later by the clock.
#[test]
fn whatever_moment_it_dies_at_the_history_has_no_gap_and_counts_nothing_twice() {
    let seed = std::env::var("FOREBAY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("FOREBAY_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut deaths = 0;
    for _ in 0..8 {
        let (steady_dir, dying_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut steady, mut dying) = (timeline(steady_dir.path()), timeline(dying_dir.path()));
        let mut messages: Vec<(i64, u32, f64)> = Vec::new();
        let (mut snapshot, mut since) = (saved(&mut dying), 0);
        let mut now = NOW;
        for _ in 0..400 {
            now += random.i64(0..20_000);
            for _ in 0..random.usize(0..5) {
                let late =
                    if random.u8(0..4) == 0 { random.i64(0..3 * 60 * MINUTE) } else { random.i64(0..2_000) };
                messages.push((now - late, random.u32(0..5), random.f64() * 100.0));
                let (at, id, value) = messages[messages.len() - 1];
                steady.add(at, id, &[(0, value)], now);
                dying.add(at, id, &[(0, value)], now);
            }
            steady.tidy(now).unwrap();
            dying.tidy(now).unwrap();
            match random.u8(0..20) {
                0 => (snapshot, since) = (saved(&mut dying), messages.len()),
                1 => {
                    drop(dying);
                    deaths += 1;
                    now += random.i64(0..40 * MINUTE);
                    dying = restored(&snapshot, dying_dir.path(), now);
                    for (at, id, value) in &messages[since..] {
                        dying.add(*at, *id, &[(0, *value)], now);
                    }
                }
                _ => {}
            }
        }
        steady.tidy(now).unwrap();
        dying.tidy(now).unwrap();
        for who in [Who::All, Who::Device(0), Who::Device(4)] {
            for range in [Range::Minutes15, Range::Hours6, Range::Hours24] {
                let (left, right) = (ask(&steady, range, who, 0, now), ask(&dying, range, who, 0, now));
                assert_eq!(left.len(), right.len());
                for ((at, left), (other, right)) in left.iter().zip(&right) {
                    assert_eq!((at, left.n), (other, right.n), "{who:?} {range:?}");
                    assert!((left.mean - right.mean).abs() < 1e-9, "{left:?} {right:?}");
                    assert!((left.min - right.min).abs() < 1e-4 && (left.max - right.max).abs() < 1e-4);
                }
            }
        }
        let kept = messages.iter().filter(|(at, ..)| *at >= now.div_euclid(MINUTE) * MINUTE - 1439 * MINUTE);
        assert_eq!(total(&ask(&dying, Range::Hours24, Who::All, 0, now)).n as usize, kept.count());
    }
    assert!(deaths > 20, "only {deaths} deaths");
}
