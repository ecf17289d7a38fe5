//! The promises of the state machine, each told as a story with its own clock.

use super::state::Phase;
use super::*;
use std::collections::HashMap;

const SESSION: Millis = 10_000;
const REBALANCE: Millis = 60_000;

/// A group, the time, and what was answered so far.
struct Story {
    group: Group,
    now: Millis,
    last_ticket: Ticket,
    answers: HashMap<Ticket, Reply>,
}

impl Story {
    fn new() -> Self {
        Self::with_limits(Limits { max_members: 3, initial_delay: 0 })
    }

    fn with_limits(limits: Limits) -> Self {
        Self { group: Group::new(limits), now: 1, last_ticket: 0, answers: HashMap::new() }
    }

    fn collect(&mut self) {
        for (ticket, reply) in self.group.take_replies() {
            assert!(self.answers.insert(ticket, reply).is_none(), "ticket {ticket} answered twice");
        }
    }

    fn join_as(&mut self, member_id: &str, change: impl FnOnce(&mut Join)) -> Ticket {
        self.last_ticket += 1;
        let mut join = Join {
            member_id: member_id.into(),
            instance: None,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout: SESSION,
            rebalance_timeout: REBALANCE,
            protocol_type: "consumer".into(),
            protocols: vec![("range".into(), Bytes::from_static(b"topics"))],
        };
        change(&mut join);
        let fresh_id = format!("fresh-{}", self.last_ticket).into();
        self.group.join(join, fresh_id, self.last_ticket, self.now);
        self.collect();
        self.last_ticket
    }

    fn join(&mut self, member_id: &str) -> Ticket {
        self.join_as(member_id, |_| ())
    }

    /// First try, then the promised id.
    fn newcomer(&mut self) -> (Name, Ticket) {
        let refused = self.join("");
        let id = self.refused(refused, ResponseError::MemberIdRequired);
        let ticket = self.join(&id);
        (id, ticket)
    }

    fn sync(&mut self, id: &str, generation: i32, assignments: &[(&str, &'static [u8])]) -> Ticket {
        self.last_ticket += 1;
        let assignments =
            assignments.iter().map(|(id, given)| ((*id).into(), Bytes::from_static(given))).collect();
        self.group.sync(&who(id, generation), assignments, self.last_ticket, self.now);
        self.collect();
        self.last_ticket
    }

    fn wait(&mut self, time: Millis) {
        self.now += time;
        self.group.tick(self.now);
        self.collect();
    }

    fn is_waiting(&self, ticket: Ticket) -> bool {
        !self.answers.contains_key(&ticket)
    }

    fn joined(&self, ticket: Ticket) -> &Joined {
        match self.answers.get(&ticket) {
            Some(Reply::Join(Ok(joined))) => joined,
            other => panic!("not joined: {other:?}"),
        }
    }

    fn refused(&self, ticket: Ticket, error: ResponseError) -> Name {
        match self.answers.get(&ticket) {
            Some(Reply::Join(Err(refused))) if refused.error == error => refused.member_id.clone(),
            other => panic!("not refused with {error:?}: {other:?}"),
        }
    }

    fn assigned(&self, ticket: Ticket) -> &[u8] {
        match self.answers.get(&ticket) {
            Some(Reply::Sync(Ok(assigned))) => &assigned.assignment,
            other => panic!("not assigned: {other:?}"),
        }
    }

    fn not_synced(&self, ticket: Ticket) -> ResponseError {
        match self.answers.get(&ticket) {
            Some(Reply::Sync(Err(error))) => *error,
            other => panic!("synced: {other:?}"),
        }
    }

    /// Two members in a stable group of generation 2; the first leads.
    fn stable_pair() -> (Self, Name, Name) {
        let mut story = Self::new();
        let (first, _) = story.newcomer();
        story.sync(&first, 1, &[(&first, b"all")]);
        let (second, _) = story.newcomer();
        assert_eq!(
            story.group.heartbeat(&who(&first, 1), story.now),
            Err(ResponseError::RebalanceInProgress)
        );
        story.join(&first);
        story.sync(&second, 2, &[]);
        story.sync(&first, 2, &[(&first, b"one"), (&second, b"two")]);
        assert_eq!(story.group.phase(), Phase::Stable);
        (story, first, second)
    }
}

fn who(id: &str, generation: i32) -> Identity {
    Identity { member_id: id.into(), instance: None, generation }
}

#[test]
fn one_member_joins_syncs_and_leaves() {
    let mut story = Story::new();
    let (id, ticket) = story.newcomer();
    let joined = story.joined(ticket);
    assert_eq!((joined.generation, &joined.leader, joined.protocol.as_ref()), (1, &id, "range"));
    assert_eq!(joined.members, [(id.clone(), None, Bytes::from_static(b"topics"))]);
    let sync = story.sync(&id, 1, &[(&id, b"mine")]);
    assert_eq!(story.assigned(sync), b"mine");
    assert_eq!(story.group.heartbeat(&who(&id, 1), story.now), Ok(()));
    assert_eq!(story.group.leave(&id, story.now), Ok(()));
    assert_eq!(story.group.phase(), Phase::Empty);
    assert!(story.group.is_vacant());
}

#[test]
fn a_second_member_makes_everybody_join_again() {
    let mut story = Story::new();
    let (first, _) = story.newcomer();
    story.sync(&first, 1, &[(&first, b"all")]);
    let (second, waiting) = story.newcomer();
    assert!(story.is_waiting(waiting));
    assert_eq!(story.group.heartbeat(&who(&first, 1), story.now), Err(ResponseError::RebalanceInProgress));
    let again = story.join(&first);
    assert_eq!(story.joined(again).members.len(), 2);
    assert_eq!((story.joined(waiting).generation, story.joined(waiting).members.len()), (2, 0));
    assert_eq!(story.joined(waiting).leader, first);

    let follower = story.sync(&second, 2, &[]);
    assert!(story.is_waiting(follower));
    let leader = story.sync(&first, 2, &[(&first, b"one"), (&second, b"two")]);
    assert_eq!((story.assigned(leader), story.assigned(follower)), (&b"one"[..], &b"two"[..]));
}

#[test]
fn a_silent_member_is_dropped_after_its_session() {
    let (mut story, first, second) = Story::stable_pair();
    story.wait(SESSION - 1);
    assert_eq!(story.group.heartbeat(&who(&first, 2), story.now), Ok(()));
    story.wait(1);
    assert_eq!(story.group.phase(), Phase::Preparing);
    assert_eq!(story.group.heartbeat(&who(&second, 2), story.now), Err(ResponseError::UnknownMemberId));
    let again = story.join(&first);
    assert_eq!((story.joined(again).generation, story.joined(again).members.len()), (3, 1));
}

#[test]
fn who_waits_for_us_is_not_silent() {
    let (mut story, first, _) = Story::stable_pair();
    let (_, waiting) = story.newcomer();
    for _ in 0..3 {
        story.wait(SESSION - 1);
        let _ = story.group.heartbeat(&who(&first, 2), story.now);
    }
    // The second member, silent, is gone by now; the newcomer, far over its session, still waits for the first.
    assert!(story.is_waiting(waiting));
    assert_eq!(story.group.members().len(), 2);
}

#[test]
fn who_does_not_come_back_in_time_is_left_behind() {
    let (mut story, first, second) = Story::stable_pair();
    let (third, waiting) = story.newcomer();
    story.join(&first);
    // The second sends heartbeats, and never joins.
    for _ in 0..(REBALANCE / (SESSION / 2)) {
        story.wait(SESSION / 2);
        let _ = story.group.heartbeat(&who(&second, 2), story.now);
    }
    assert_eq!(story.joined(waiting).generation, 3);
    let members: Vec<_> = story.group.members().iter().map(|member| member.id.clone()).collect();
    assert_eq!(members, [first, third]);
}

#[test]
fn a_leader_that_does_not_sync_is_replaced() {
    let mut story = Story::new();
    let (first, _) = story.newcomer();
    story.sync(&first, 1, &[(&first, b"all")]);
    let (second, _) = story.newcomer();
    story.join(&first);
    let stuck = story.sync(&second, 2, &[]);
    for _ in 0..(REBALANCE / (SESSION / 2)) {
        story.wait(SESSION / 2);
        let _ = story.group.heartbeat(&who(&first, 2), story.now);
    }
    assert_eq!(story.not_synced(stuck), ResponseError::RebalanceInProgress);
    let again = story.join(&second);
    assert_eq!(story.joined(again).leader, second);
}

#[test]
fn a_leaving_member_frees_those_who_wait() {
    let (mut story, first, second) = Story::stable_pair();
    let (_, waiting) = story.newcomer();
    story.join(&first);
    assert!(story.is_waiting(waiting));
    story.group.leave(&second, story.now).unwrap();
    story.collect();
    assert_eq!(story.joined(waiting).generation, 3);
}

#[test]
fn old_generations_and_strangers_are_turned_away() {
    let (mut story, first, _) = Story::stable_pair();
    assert_eq!(story.group.heartbeat(&who(&first, 1), story.now), Err(ResponseError::IllegalGeneration));
    assert_eq!(story.group.heartbeat(&who("nobody", 2), story.now), Err(ResponseError::UnknownMemberId));
    assert_eq!(story.group.leave("nobody", story.now), Err(ResponseError::UnknownMemberId));
    let sync = story.sync(&first, 1, &[]);
    assert_eq!(story.not_synced(sync), ResponseError::IllegalGeneration);
    let stranger = story.join("nobody");
    story.refused(stranger, ResponseError::UnknownMemberId);
}

#[test]
fn commits_need_the_generation_or_an_empty_group() {
    let (mut story, first, _) = Story::stable_pair();
    let now = story.now;
    assert_eq!(story.group.check_commit(&who(&first, 2), now), Ok(()));
    assert_eq!(story.group.check_commit(&who(&first, 1), now), Err(ResponseError::IllegalGeneration));
    assert_eq!(story.group.check_commit(&who("", -1), now), Err(ResponseError::UnknownMemberId));
    // A rebalance has begun: what was read under the old assignment may still be committed …
    let (_, _) = story.newcomer();
    assert_eq!(story.group.check_commit(&who(&first, 2), now), Ok(()));
    assert_eq!(Group::new(story.group.limits).check_commit(&who("", -1), now), Ok(()));
}

#[test]
fn commits_between_join_and_sync_wait_for_the_assignment() {
    let mut story = Story::new();
    let (id, _) = story.newcomer();
    assert_eq!(story.group.check_commit(&who(&id, 1), 1), Err(ResponseError::RebalanceInProgress));
}

#[test]
fn the_protocol_is_one_that_all_speak_and_most_like() {
    let mut story = Story::new();
    let protocols = |names: &[&str]| -> Vec<(Name, Bytes)> {
        names.iter().map(|name| ((*name).into(), Bytes::copy_from_slice(name.as_bytes()))).collect()
    };
    let mut ids = Vec::new();
    for names in [&["range", "sticky", "robin"][..], &["robin", "sticky"], &["robin", "sticky", "other"]] {
        let refused = story.join_as("", |join| join.protocols = protocols(names));
        let id = story.refused(refused, ResponseError::MemberIdRequired);
        story.join_as(&id, |join| join.protocols = protocols(names));
        ids.push(id);
    }
    story.join_as(&ids[0], |join| join.protocols = protocols(&["range", "sticky", "robin"]));
    let last = story.join_as(&ids[1], |join| join.protocols = protocols(&["robin", "sticky"]));
    assert_eq!(story.joined(last).protocol.as_ref(), "robin");

    story.group.leave(&ids[2], story.now).unwrap();
    story.collect();
    let odd = story.join_as("", |join| join.protocols = protocols(&["unheard"]));
    story.refused(odd, ResponseError::InconsistentGroupProtocol);
    let other_type = story.join_as("", |join| join.protocol_type = "connect".into());
    story.refused(other_type, ResponseError::InconsistentGroupProtocol);
}

#[test]
fn a_group_has_a_limit_and_promised_ids_count() {
    let mut story = Story::new();
    for _ in 0..3 {
        let ticket = story.join("");
        story.refused(ticket, ResponseError::MemberIdRequired);
    }
    let full = story.join("");
    story.refused(full, ResponseError::GroupMaxSizeReached);
    // Ids that nobody uses lapse.
    story.wait(SESSION);
    let ticket = story.join("");
    story.refused(ticket, ResponseError::MemberIdRequired);
}

#[test]
fn a_repeated_join_answers_the_first() {
    let (mut story, first, _) = Story::stable_pair();
    let (third, waiting) = story.newcomer();
    let again = story.join(&third);
    story.refused(waiting, ResponseError::RebalanceInProgress);
    assert!(story.is_waiting(again));
    // Its answer lost, a member in the middle of a rebalance asks again and hears the same.
    let mut fresh = Story::new();
    let (id, ticket) = fresh.newcomer();
    let repeated = fresh.join(&id);
    assert_eq!(fresh.joined(repeated).generation, fresh.joined(ticket).generation);
    drop(first);
}

#[test]
fn a_static_follower_comes_back_without_a_rebalance() {
    let mut story = Story::new();
    let (leader, _) = story.newcomer();
    story.sync(&leader, 1, &[(&leader, b"all")]);
    let ticket = story.join_as("", |join| join.instance = Some("pump".into()));
    story.join(&leader);
    let old = story.joined(ticket).member_id.clone();
    let synced = |id: &Name| Identity { member_id: id.clone(), instance: Some("pump".into()), generation: 2 };
    story.sync(&leader, 2, &[(&leader, b"one"), (&old, b"two")]);

    let back = story.join_as("", |join| join.instance = Some("pump".into()));
    let new = story.joined(back).member_id.clone();
    assert_eq!((story.group.phase(), story.joined(back).generation), (Phase::Stable, 2));
    assert_ne!(old, new);
    assert_eq!(story.group.heartbeat(&synced(&old), story.now), Err(ResponseError::FencedInstanceId));
    assert_eq!(story.group.heartbeat(&synced(&new), story.now), Ok(()));
    story.last_ticket += 1;
    story.group.sync(&synced(&new), Vec::new(), story.last_ticket, story.now);
    story.collect();
    assert_eq!(story.assigned(story.last_ticket), b"two");
}

#[test]
fn an_initial_delay_gathers_members_into_one_rebalance() {
    let mut story = Story::with_limits(Limits { max_members: 3, initial_delay: 3_000 });
    let (_, first) = story.newcomer();
    let (_, second) = story.newcomer();
    assert!(story.is_waiting(first) && story.is_waiting(second));
    assert_eq!(story.group.next_tick(story.now), Some(story.now + 3_000));
    story.wait(3_000);
    assert_eq!((story.joined(first).generation, story.joined(second).generation), (1, 1));
}

/// Whatever happens in whatever order: tickets are answered once (checked as they are collected), time always has
/// something to do while somebody waits, and in the end nobody is left waiting.
#[test]
fn random_stories_end_well() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..300 {
        let mut story = Story::new();
        let mut ids: Vec<Name> = vec!["".into(), "stranger".into()];
        for _ in 0..60 {
            let id = ids[random.usize(..ids.len())].clone();
            let generation = story.group.generation - random.i32(0..2);
            match random.u8(0..8) {
                0..3 => {
                    let is_static = random.u8(0..4) == 0;
                    let ticket = story.join_as(&id, |join| join.instance = is_static.then(|| "pump".into()));
                    if let Some(Reply::Join(Err(Refused {
                        error: ResponseError::MemberIdRequired,
                        member_id,
                    }))) = story.answers.get(&ticket)
                    {
                        ids.push(member_id.clone());
                    }
                }
                3..5 => drop(story.sync(&id, generation, &[(&id, b"x")])),
                5 => drop(story.group.heartbeat(&who(&id, generation), story.now)),
                6 => drop(story.group.leave(&id, story.now)),
                _ => story.wait(random.u64(0..SESSION)),
            }
            story.collect();
            let somebody_waits = story.group.members().iter().any(|member| member.is_waiting());
            assert!(!somebody_waits || story.group.next_tick(story.now).is_some(), "seed {seed}: stuck");
        }
        for _ in 0..200 {
            story.wait(SESSION);
        }
        let unanswered = (1..=story.last_ticket).filter(|ticket| story.is_waiting(*ticket)).count();
        assert_eq!(unanswered, 0, "seed {seed}");
        assert!(story.group.is_vacant(), "seed {seed}: {:?}", story.group);
    }
}
