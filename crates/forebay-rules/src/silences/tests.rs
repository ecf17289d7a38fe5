//! Silences that are made at run time, in memory and in their file.

use std::fs;
use std::time::Duration;

use super::wish::LATEST_MS;
use super::*;

const HOUR: i64 = 3_600_000;

fn by(at: i64) -> Remark {
    Remark { at, by: "ana".into(), comment: Some("new bearing".into()) }
}

fn wish(rule: &str) -> Wish {
    let end = Some(End::After(Duration::from_secs(3_600)));
    Wish { rules: vec![rule.into()], end, ..Wish::default() }
}

fn opened(dir: &Path) -> Silences {
    let silences = Silences::default();
    silences.open(dir, Door::new()).unwrap();
    silences
}

fn muting(silences: &Silences, key: Option<&str>, at: i64, now: i64) -> Option<String> {
    silences.muting(("heat", key, Severity::Warning), at, now)
}

#[test]
fn a_silence_mutes_what_its_time_has_and_what_comes_while_it_lasts() {
    let silences = Silences::default();
    let made = silences.make(wish("HEAT"), by(1_000)).unwrap();
    assert_eq!((made.id.as_str(), made.from, made.until), ("1", 1_000, 1_000 + HOUR));
    let is = |at, now| muting(&silences, Some("d1"), at, now).is_some();
    // A record of before that comes now; one of its time that comes late; one of after; one of before, before.
    let found = [is(10, 2_000), is(2_000, HOUR * 9), is(HOUR * 8, HOUR * 9), is(10, 999)];
    assert_eq!(found, [true, true, false, false]);
    assert_eq!(muting(&silences, None, 1_000, 1_000).as_deref(), Some("silence #1"));
    assert!(silences.muting(("dry", None, Severity::Warning), 1_000, 1_000).is_none());
}

#[test]
fn a_key_is_meant_as_it_is_and_a_pattern_as_a_pattern() {
    let about = |wish: Wish, key: Option<&str>| {
        let silences = Silences::default();
        silences.make(wish, by(0)).unwrap();
        muting(&silences, key, 1, 1).is_some()
    };
    let exact = |key: Option<&str>| Wish { key: Some(key.map(str::to_owned)), ..wish("heat") };
    let like = |pattern: &str| Wish { keys: vec![pattern.into()], ..wish("heat") };
    for (wish, key, is) in [
        (exact(Some("*")), Some("*"), true),
        (exact(Some("*")), Some("d1"), false),
        (exact(None), None, true),
        (exact(None), Some(""), false),
        (exact(Some("")), Some(""), true),
        (like("d*"), Some("d1"), true),
        (like("d*"), Some("e1"), false),
        (like("*"), None, false),
        (wish("heat"), None, true),
    ] {
        assert_eq!(about(wish.clone(), key), is, "{wish:?} {key:?}");
    }
    let mild = Wish { severities: vec![Severity::Info, Severity::Critical], ..wish("heat") };
    assert!(!about(mild, Some("d1")), "of another severity");
    let all = Wish { rules: Vec::new(), all: true, ..wish("") };
    assert!(about(all, None));
}

#[test]
fn what_would_silence_by_mistake_is_refused() {
    let silences = Silences::default();
    let refused = |change: &dyn Fn(&mut Wish)| {
        let mut wish = wish("heat");
        change(&mut wish);
        let error = silences.make(wish, by(HOUR)).unwrap_err();
        assert_eq!(error.code(), &codes::BAD_VALUE);
        error.to_string()
    };
    for (change, word) in [
        (&(|it: &mut Wish| it.rules.clear()) as &dyn Fn(&mut Wish), "of what"),
        (&|it| it.all = true, "names some"),
        (&|it| it.rules = vec!["a".into(); MOST_NAMES + 1], "more than 20"),
        (&|it| it.rules = vec![" ".into()], "empty"),
        (&|it| it.keys = vec!["ä".repeat(LONGEST_NAME + 1)], "251 characters"),
        (&|it| it.key = Some(Some("x".repeat(LONGEST_NAME + 1))), "251 characters"),
        (&|it| (it.key, it.keys) = (Some(None), vec!["a".into()]), "both"),
        (&|it| it.severities = vec![Severity::Info; 4], "twice"),
        (&|it| it.end = None, "when it ends"),
        (&|it| it.end = Some(End::At(HOUR)), "before it begins"),
        (&|it| (it.from, it.end) = (Some(9 * HOUR), Some(End::At(8 * HOUR))), "before it begins"),
        (&|it| it.end = Some(End::After(Duration::ZERO)), "before it begins"),
        (&|it| it.end = Some(End::After(Duration::MAX)), "too long"),
        (&|it| it.end = Some(End::At(i64::MAX)), "too long"),
    ] {
        let said = refused(change);
        assert!(said.contains(word), "{word}: {said}");
    }
    let long = Remark { comment: Some("x".repeat(1_001)), ..by(0) };
    assert!(silences.make(wish("heat"), long).is_err() && silences.all(HOUR).is_empty());
}

#[test]
fn one_is_ended_once_and_one_that_is_to_come_never_begins() {
    let silences = Silences::default();
    let later = Wish { from: Some(5 * HOUR), ..wish("heat") };
    let (present, later) =
        (silences.make(wish("heat"), by(0)).unwrap(), silences.make(later, by(0)).unwrap());
    assert_eq!(later.until, 6 * HOUR);
    let states = |now| silences.all(now).iter().map(|it| it.state(now)).collect::<Vec<_>>();
    assert_eq!(states(1), [SilenceState::Active, SilenceState::Pending]);
    let ended = silences.end(&present.id, by(9)).unwrap();
    assert_eq!((ended.until, ended.ended.as_ref().map(|it| it.at)), (9, Some(9)));
    assert_eq!(silences.end(&present.id, by(99)).unwrap(), ended, "nothing changes");
    silences.end(&later.id, by(9)).unwrap();
    assert!(muting(&silences, None, 5 * HOUR, 5 * HOUR).is_none());
    assert!(muting(&silences, None, 8, 20).is_some(), "what it had it has");
    assert_eq!(states(10), [SilenceState::Expired, SilenceState::Expired]);
    assert_eq!(silences.end("7", by(0)).unwrap_err().code(), &codes::NO_RESOURCE);
}

#[test]
fn the_next_run_finds_them_and_gives_no_number_twice() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a/silences.made");
    let silences = opened(&folder);
    assert!(!folder.exists(), "nothing is made before there is something to keep");
    let null = Wish { key: Some(None), ..wish("heat") };
    let first = silences.make(null, by(1)).unwrap();
    let second = silences.make(wish("dry"), by(2)).unwrap();
    silences.end(&second.id, by(3)).unwrap();
    let again = opened(&folder);
    assert_eq!(again.all(4), silences.all(4));
    assert!(again.all(4).contains(&first));
    let long_after = 30 * 24 * HOUR;
    assert!(again.all(long_after).is_empty());
    assert_eq!(again.make(wish("heat"), by(long_after)).unwrap().id, "3");
    assert_eq!(opened(&folder).make(wish("heat"), by(long_after)).unwrap().id, "4");
    // Made by the other in the meantime.
    assert_eq!(again.make(wish("heat"), by(long_after)).unwrap().id, "5");
    assert_eq!(again.all(long_after).len(), 3, "none of them is lost");
}

#[test]
fn a_file_that_is_damaged_or_held_is_refused_in_words_that_help() {
    let dir = tempfile::tempdir().unwrap();
    let silences = opened(dir.path());
    silences.make(wish("heat"), by(1)).unwrap();
    let held = SilencesFile::new(dir.path(), Door::new()).hold().unwrap();
    assert_eq!(silences.make(wish("heat"), by(1)).unwrap_err().code(), &codes::CHECKPOINT_LOCKED);
    drop(held);
    let path = dir.path().join("silences");
    let bytes = fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Silences::default().open(dir.path(), Door::new()).unwrap_err()
    };
    for cut in 0..bytes.len() {
        let error = refused(&bytes[..cut]);
        assert_eq!(error.code(), &codes::CHECKPOINT_DAMAGED, "{cut}");
        assert!(error.hint().contains("remove it"), "{error}");
    }
    let newer = [b"forebay-silences v2\n", &bytes[20..]].concat();
    assert_eq!(refused(&newer).code(), &codes::CHECKPOINT_VERSION);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(opened(dir.path()).all(2).len(), 1);
}

#[test]
fn what_is_kept_is_bounded() {
    let silences = Silences::default();
    for at in 0..MOST {
        silences.make(wish("heat"), by(at as i64)).unwrap();
    }
    let error = silences.make(wish("heat"), by(MOST as i64)).unwrap_err();
    assert_eq!(error.code(), &codes::CONFLICT);
    for (at, silence) in silences.all(600).into_iter().enumerate() {
        silences.end(&silence.id, by(1_000 + at as i64)).unwrap();
    }
    let all = silences.all(2_000);
    assert_eq!(all.len(), MOST_ENDED);
    assert!(all.windows(2).all(|two| two[0].until > two[1].until) && all[0].id == MOST.to_string());
}

#[test]
fn of_many_that_end_at_once_a_hundred_are_kept() {
    let silences = Silences::default();
    let ids: Vec<String> = (0..MOST_ENDED + 5)
        .map(|_| silences.make(Wish { end: Some(End::At(50)), ..wish("heat") }, by(10)).unwrap().id)
        .collect();
    silences.make(wish("heat"), by(60)).unwrap();
    let mut ended: Vec<String> =
        silences.all(60).into_iter().filter(|it| it.until == 50).map(|it| it.id).collect();
    ended.sort_by_key(|id| id.parse::<u32>().unwrap());
    assert_eq!(ended, ids[5..]);
}

#[test]
fn no_silence_is_later_than_a_time_can_be_told() {
    let far = |from: i64| Wish { from: Some(from), ..wish("heat") };
    assert!(Silences::default().make(far(LATEST_MS - HOUR), by(1)).is_ok());
    for from in [LATEST_MS, i64::MAX - 7] {
        let error = Silences::default().make(far(from), by(1)).unwrap_err();
        assert!(error.message().contains("9999"), "{error}");
    }
}
