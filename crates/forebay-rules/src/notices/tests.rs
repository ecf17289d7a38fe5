use super::*;
use crate::life::Remark;
use crate::silences::{End, Wish};
use crate::tests::rule;

fn alert(key: &str, at: i64) -> Alert {
    Alert::open((&rule(0), "iot"), key, at, &[], 0, None)
}

fn channel(wait_ms: i64, most: usize) -> Notices {
    let channel = Channel { name: "ops".into(), least: Severity::Info, wait_ms, most, listed: MOST_LINES };
    Notices { channels: vec![channel], ..Notices::default() }
}

fn lines(count: i64) -> Vec<Line> {
    (0..count).map(|at| Line::of(&alert(&format!("d{at}"), at), Event::Opened)).collect()
}

fn told(outbox: &Outbox) -> Vec<(String, usize, u64)> {
    outbox.due().iter().map(|it| (it.id.clone(), it.lines.len(), it.count)).collect()
}

#[test]
fn a_storm_is_one_notice_and_a_few_are_one_each() {
    let (notices, mut outbox) = (channel(0, 3), Outbox::default());
    outbox.take(notices.tell(&outbox, &lines(3), 1));
    let expected = ["ops/overheat/d0/0#1", "ops/overheat/d1/1#1", "ops/overheat/d2/2#1"];
    assert_eq!(told(&outbox), expected.map(|id| (id.to_owned(), 1, 1)));
    outbox.deliver(&expected.map(str::to_owned));
    assert!(outbox.is_empty());
    outbox.take(notices.tell(&outbox, &lines(500), 2));
    assert_eq!(told(&outbox), [("ops/overheat/d0/0#1".to_owned(), MOST_LINES, 500)]);
}

#[test]
fn a_storm_for_programs_lists_each() {
    let (mut notices, mut outbox) = (channel(0, 3), Outbox::default());
    notices.channels[0].listed = MOST_RECORDS;
    outbox.take(notices.tell(&outbox, &lines(500), 1));
    assert_eq!(told(&outbox), [("ops/overheat/d0/0#1".to_owned(), 500, 500)]);
}

#[test]
fn transitions_wait_for_others_as_long_as_the_channel_says() {
    let (notices, mut outbox) = (channel(100, 1), Outbox::default());
    outbox.take(notices.tell(&outbox, &lines(1), 1_000));
    outbox.take(notices.tell(&outbox, &lines(2)[1..], 1_099));
    assert_eq!((told(&outbox), notices.next_due(&outbox)), (vec![], Some(1_100)));
    assert_eq!(notices.tell(&outbox, &[], 1_050), Telling::default(), "nothing changes, nothing is written");
    outbox.take(notices.tell(&outbox, &[], 1_100));
    assert_eq!(told(&outbox), [("ops/overheat/d0/0#1".to_owned(), 2, 2)]);
    outbox.take(notices.tell(&outbox, &lines(1), 2_000));
    outbox.take(Notices::default().tell(&outbox, &[], 2_001));
    assert_eq!(notices.next_due(&outbox), None, "a channel that is gone waits for nothing");
}

#[test]
fn a_channel_that_is_down_costs_no_more_than_its_bound() {
    let (notices, mut outbox) = (channel(0, 10), Outbox::default());
    for at in 0..1_000 {
        outbox.take(notices.tell(&outbox, &lines(2)[1..], at));
    }
    assert_eq!(outbox.due().len(), MOST_DUE);
    assert_eq!((outbox.waiting["ops"].count, outbox.waiting["ops"].lines.len()), (900, MOST_LINES));
    assert_eq!(notices.next_due(&outbox), None, "an epoch would change nothing");
    let all: Vec<String> = outbox.due().iter().map(|notice| notice.id.clone()).collect();
    outbox.deliver(&all);
    outbox.take(notices.tell(&outbox, &[], 2_000));
    assert_eq!(outbox.due().iter().map(|notice| notice.count).sum::<u64>(), 900);
}

#[test]
fn what_was_muted_is_told_when_nothing_mutes_it_and_never_twice() {
    let notices = Notices { inhibited_by: vec!["stopped".into()], ..channel(0, 10) };
    let silences = Silences::default();
    let around = |now, is_open| Around { silences: &silences, now, is_open };
    let (yes, no) = (around(5, &|_| true), around(9, &|_| false));
    let mut muted = alert("d1", 5);
    assert!(notices.hear(&mut muted, &yes).is_none());
    assert_eq!(muted.life.muted.as_deref(), Some("inhibited by stopped"));
    assert!(notices.release(&muted, &yes).is_none());
    let (free, line) = notices.release(&muted, &no).unwrap();
    assert_eq!((line.event, line.transition.as_str()), (Event::Opened, "overheat/d1/5#1"));
    assert!(notices.release(&free, &no).is_none());
    let mut unheard = muted.clear(&rule(0), 9, &[], 0);
    assert!(notices.hear(&mut unheard, &no).is_none(), "nobody knows of it");
    let mut heard = free.clear(&rule(0), 9, &[], 0);
    assert_eq!(notices.hear(&mut heard, &yes).unwrap().event, Event::Cleared);
}

#[test]
fn what_a_person_silenced_is_told_when_that_ends_if_it_is_still_open() {
    let (notices, silences) = (channel(0, 10), Silences::default());
    let said = |at| Remark { at, by: "ana".into(), comment: None };
    let end = Some(End::At(100));
    let wish = Wish { keys: vec!["d*".into()], end, ..Wish::default() };
    let made = silences.make(wish, said(10)).unwrap();
    let around = |now| Around { silences: &silences, now, is_open: &|_| false };
    let mut before = alert("d1", 5);
    assert!(notices.hear(&mut before, &around(9)).is_some());
    // What was told of before is told of to its end; that it is worse now is not.
    let mut worse = before.change(&rule(0), Severity::Critical, 20, &[], 0);
    assert!(notices.hear(&mut worse, &around(20)).is_none());
    assert!(notices.hear(&mut before.clear(&rule(0), 30, &[], 0), &around(30)).is_some());
    let mut late = alert("d2", 5);
    assert!(notices.hear(&mut late, &around(50)).is_none(), "what comes while it lasts is muted");
    assert_eq!(late.life.muted.as_deref(), Some("silence #1"));
    assert!(notices.hear(&mut alert("e1", 50), &around(50)).is_some(), "of another key");
    assert!(notices.release(&late, &around(99)).is_none());
    assert!(notices.release(&late, &around(100)).is_some());
    silences.end(&made.id, said(60)).unwrap();
    assert!(notices.release(&late, &around(60)).is_some(), "as soon as somebody ends it");
}

#[test]
fn a_channel_hears_of_what_is_or_was_bad_enough() {
    let mut notices = channel(0, 10);
    notices.channels[0].least = Severity::Critical;
    let events = |severities: &[Severity]| {
        let around = Around { silences: &Silences::default(), now: 1, is_open: &|_| false };
        let mut alert = alert("d1", 0).first_at(Severity::Warning);
        let mut lines = vec![notices.hear(&mut alert, &around).unwrap()];
        for severity in severities {
            alert = alert.change(&rule(0), *severity, 1, &[], 0);
            lines.extend(notices.hear(&mut alert, &around));
        }
        let notices = notices.tell(&Outbox::default(), &lines, 0).notices;
        notices.into_iter().map(|notice| notice.lines[0].event).collect::<Vec<_>>()
    };
    assert_eq!(events(&[Severity::Info]), []);
    assert_eq!(events(&[Severity::Critical, Severity::Info]), [Event::Raised, Event::Lowered]);
}
