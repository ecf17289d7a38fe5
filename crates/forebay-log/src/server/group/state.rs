//! The state of one group and its answers to its members: a pure machine, given the time.
//!
//! ```text
//!              join                 all joined, or time is up          leader syncs
//!   Empty ───────────▶ Preparing ───────────────────────────▶ Completing ──────────▶ Stable
//!     ▲                 ▲  ▲   │ nobody left                      │                     │
//!     └─────────────────┼──┼───┘                                  │                     │
//!                       │  └──────── a member comes or goes ──────┘                     │
//!                       └──────────── a member comes, goes, or has changed ─────────────┘
//! ```
//!
//! A join waits in *Preparing* until every member has come back, a sync waits in *Completing* until the leader has
//! brought everybody's assignment. Waiting requests are tickets here; an answer is put into [`Group::take_replies`]
//! and the caller hands it to whoever holds the ticket.
//!
//! What must stay true: each ticket is answered exactly once, and whoever is told a generation was a member of it.
//! The way through a rebalance is in `rebalance.rs`; the time a member may be silent is watched by [`Group::tick`].

use super::member::{Join, Member, have_common};
use super::{Assigned, Joined, Millis, Name, Refused, Reply, Ticket};
use bytes::Bytes;
use kafka_protocol::ResponseError;

/// Where a group is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No members; perhaps committed offsets.
    Empty,
    /// Waiting for members to join.
    Preparing,
    /// Waiting for the leader's assignment.
    Completing,
    /// Everybody has an assignment.
    Stable,
}

impl Phase {
    /// The name that the protocol shows to people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// What a promised id takes beside its text.
const PROMISE_BYTES: usize = 64;

/// The limits of a group; from the server's options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_members: usize,
    pub(crate) initial_delay: Millis,
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(super) phase: Phase,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<Name>,
    pub(super) protocol: Option<Name>,
    pub(super) leader: Option<Name>,
    /// In the order in which they joined.
    pub(super) members: Vec<Member>,
    /// Ids that were given out and not used yet, and when they lapse.
    pub(super) promised: Vec<(Name, Millis)>,
    /// End of the time to join (*Preparing*) or to sync (*Completing*).
    pub(super) deadline: Option<Millis>,
    /// A rebalance of a group that was empty does not complete before this.
    pub(super) not_before: Millis,
    pub(super) replies: Vec<(Ticket, Reply)>,
    pub(super) limits: Limits,
}

impl Group {
    /// A group without members.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            phase: Phase::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: Vec::new(),
            promised: Vec::new(),
            deadline: None,
            not_before: 0,
            replies: Vec::new(),
            limits,
        }
    }

    /// A member wants in, or comes back. `fresh_id` is the id it gets if it needs one.
    pub(crate) fn join(&mut self, join: Join, fresh_id: Name, ticket: Ticket, now: Millis) {
        if let Err(refused) = self.admit(join, fresh_id, ticket, now) {
            self.replies.push((ticket, Reply::Join(Err(refused))));
        }
    }

    fn admit(&mut self, join: Join, fresh_id: Name, ticket: Ticket, now: Millis) -> Result<(), Refused> {
        let refuse = |error, member_id: &Name| Err(Refused { error, member_id: member_id.clone() });
        let known = self.members.iter().position(|member| member.is_of(&join));
        let others =
            self.members.iter().enumerate().filter(|(at, _)| Some(*at) != known).map(|(_, other)| other);
        let same_type =
            others.clone().next().is_none() || self.protocol_type.as_ref() == Some(&join.protocol_type);
        let empty = join.protocol_type.is_empty() || join.protocols.is_empty();
        if empty || !same_type || !have_common(&join.protocols, others) {
            return refuse(ResponseError::InconsistentGroupProtocol, &join.member_id);
        }
        let is_full = self.members.len() + self.promised.len() >= self.limits.max_members;
        let promise = self.promised.iter().position(|(id, _)| *id == join.member_id);

        match (join.member_id.is_empty(), known, promise) {
            (true, Some(at), _) => self.replace_static(at, join, fresh_id, ticket, now),
            (true, None, _) if is_full => return refuse(ResponseError::GroupMaxSizeReached, &join.member_id),
            (true, None, _) if join.instance.is_some() => self.add(fresh_id, join, ticket, now),
            (true, None, _) => {
                self.promised.push((fresh_id.clone(), now + join.session_timeout));
                return refuse(ResponseError::MemberIdRequired, &fresh_id);
            }
            (false, None, Some(promise)) => {
                self.promised.swap_remove(promise);
                let id = join.member_id.clone();
                self.add(id, join, ticket, now);
            }
            (false, None, None) => return refuse(ResponseError::UnknownMemberId, &join.member_id),
            (false, Some(at), _) if self.members[at].id != join.member_id => {
                return refuse(ResponseError::FencedInstanceId, &join.member_id);
            }
            (false, Some(at), _) if self.members[at].instance != join.instance => {
                return refuse(ResponseError::UnknownMemberId, &join.member_id);
            }
            (false, Some(at), _) => self.rejoin(at, join, ticket, now),
        }
        Ok(())
    }

    fn add(&mut self, id: Name, join: Join, ticket: Ticket, now: Millis) {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        let mut member = Member::new(id, join, now);
        member.joining = Some(ticket);
        self.members.push(member);
        if self.phase == Phase::Preparing {
            self.extend_deadline(now);
            self.complete_if_all_joined(now);
        } else {
            self.prepare(now);
        }
    }

    fn rejoin(&mut self, at: usize, join: Join, ticket: Ticket, now: Millis) {
        let member = &mut self.members[at];
        let is_leader = self.leader.as_ref() == Some(&member.id);
        let is_changed = member.protocols != join.protocols;
        member.update(join, now);
        match self.phase {
            // The answer to its join was lost, perhaps: it gets the same again.
            Phase::Completing if !is_changed => self.tell_joined(at, ticket, now),
            Phase::Stable if !is_changed && !is_leader => self.tell_joined(at, ticket, now),
            Phase::Preparing => {
                self.wait_to_join(at, ticket);
                self.complete_if_all_joined(now);
            }
            Phase::Completing | Phase::Stable | Phase::Empty => {
                self.wait_to_join(at, ticket);
                self.prepare(now);
            }
        }
    }

    /// A static member's new process takes its place: the old one is fenced. A follower whose subscription is as it
    /// was gets its assignment back without a rebalance; that is what static membership is for.
    fn replace_static(&mut self, at: usize, join: Join, fresh_id: Name, ticket: Ticket, now: Millis) {
        let fenced =
            Refused { error: ResponseError::FencedInstanceId, member_id: self.members[at].id.clone() };
        self.answer_waiting(at, &fenced);
        if self.leader.as_ref() == Some(&self.members[at].id) {
            self.leader = None;
            self.members[at].id = fresh_id;
            self.members[at].update(join, now);
            self.wait_to_join(at, ticket);
            return match self.phase {
                Phase::Preparing => self.complete_if_all_joined(now),
                _ => self.prepare(now),
            };
        }
        self.members[at].id = fresh_id;
        self.rejoin(at, join, ticket, now);
    }

    fn wait_to_join(&mut self, at: usize, ticket: Ticket) {
        let again =
            Refused { error: ResponseError::RebalanceInProgress, member_id: self.members[at].id.clone() };
        self.answer_waiting(at, &again);
        self.members[at].joining = Some(ticket);
    }

    /// Answers whatever the member still waits for with a refusal.
    pub(super) fn answer_waiting(&mut self, at: usize, refused: &Refused) {
        if let Some(ticket) = self.members[at].joining.take() {
            self.replies.push((ticket, Reply::Join(Err(refused.clone()))));
        }
        if let Some(ticket) = self.members[at].syncing.take() {
            self.replies.push((ticket, Reply::Sync(Err(refused.error))));
        }
    }

    /// Tells one member the generation it is in. The leader also hears who else is.
    pub(super) fn tell_joined(&mut self, at: usize, ticket: Ticket, now: Millis) {
        let protocol = self.protocol.clone().unwrap_or_default();
        let leader = self.leader.clone().unwrap_or_default();
        self.members[at].touch(now);
        let member_id = self.members[at].id.clone();
        let members = if leader == member_id { self.roll(&protocol) } else { Vec::new() };
        let joined = Joined { generation: self.generation, protocol, leader, member_id, members };
        self.replies.push((ticket, Reply::Join(Ok(joined))));
    }

    fn roll(&self, protocol: &str) -> Vec<(Name, Option<Name>, Bytes)> {
        let entry = |member: &Member| (member.id.clone(), member.instance.clone(), member.metadata(protocol));
        self.members.iter().map(entry).collect()
    }

    /// A member asks for its assignment; the leader brings everybody's.
    pub(crate) fn sync(
        &mut self,
        from: &Identity,
        assignments: Vec<(Name, Bytes)>,
        ticket: Ticket,
        now: Millis,
    ) {
        let at = match self.identify(from) {
            Ok(at) => at,
            Err(error) => return self.replies.push((ticket, Reply::Sync(Err(error)))),
        };
        self.members[at].touch(now);
        match self.phase {
            Phase::Empty => self.replies.push((ticket, Reply::Sync(Err(ResponseError::UnknownMemberId)))),
            Phase::Preparing => {
                self.replies.push((ticket, Reply::Sync(Err(ResponseError::RebalanceInProgress))));
            }
            Phase::Stable => {
                let assigned = Assigned { assignment: self.members[at].assignment.clone() };
                self.replies.push((ticket, Reply::Sync(Ok(assigned))));
            }
            Phase::Completing => {
                let again =
                    Refused { error: ResponseError::RebalanceInProgress, member_id: from.member_id.clone() };
                self.answer_waiting(at, &again);
                self.members[at].syncing = Some(ticket);
                if self.leader.as_ref() == Some(&self.members[at].id) {
                    self.settle(assignments, now);
                }
            }
        }
    }

    /// A sign of life; the answer tells whether to come back for a rebalance.
    pub(crate) fn heartbeat(&mut self, from: &Identity, now: Millis) -> Result<(), ResponseError> {
        let at = self.identify(from)?;
        self.members[at].touch(now);
        match self.phase {
            Phase::Preparing => Err(ResponseError::RebalanceInProgress),
            Phase::Empty | Phase::Completing | Phase::Stable => Ok(()),
        }
    }

    /// A member says goodbye.
    pub(crate) fn leave(&mut self, member_id: &str, now: Millis) -> Result<(), ResponseError> {
        if let Some(promise) = self.promised.iter().position(|(id, _)| id.as_ref() == member_id) {
            self.promised.swap_remove(promise);
            self.complete_if_all_joined(now);
            return Ok(());
        }
        let at = self.members.iter().position(|member| member.id.as_ref() == member_id);
        self.remove(at.ok_or(ResponseError::UnknownMemberId)?, now);
        Ok(())
    }

    /// May these offsets be committed? A member must be of the current generation; who is no member may commit only
    /// while the group is empty (tools, and consumers that choose their partitions themselves).
    pub(crate) fn check_commit(&mut self, from: &Identity, now: Millis) -> Result<(), ResponseError> {
        if from.generation < 0 && from.member_id.is_empty() && from.instance.is_none() {
            return match self.phase {
                Phase::Empty => Ok(()),
                _ => Err(ResponseError::UnknownMemberId),
            };
        }
        let at = self.identify(from)?;
        self.members[at].touch(now);
        match self.phase {
            Phase::Completing => Err(ResponseError::RebalanceInProgress),
            Phase::Empty | Phase::Preparing | Phase::Stable => Ok(()),
        }
    }

    /// Where the member of that identity is, if it is one of the current generation.
    pub(super) fn identify(&self, from: &Identity) -> Result<usize, ResponseError> {
        if let Some(instance) = &from.instance {
            let holder = self.members.iter().find(|member| member.instance.as_ref() == Some(instance));
            if holder.ok_or(ResponseError::UnknownMemberId)?.id != from.member_id {
                return Err(ResponseError::FencedInstanceId);
            }
        }
        let at = self.members.iter().position(|member| member.id == from.member_id);
        let at = at.ok_or(ResponseError::UnknownMemberId)?;
        if from.generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        Ok(at)
    }

    /// The answers that came about since the last call.
    pub(crate) fn take_replies(&mut self) -> Vec<(Ticket, Reply)> {
        std::mem::take(&mut self.replies)
    }

    /// Where the group is.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// The members in the order in which they joined.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// `consumer`, `connect` …; empty for a group that never had members.
    pub(crate) fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    /// The protocol of the current generation; empty without one.
    pub(crate) fn protocol(&self) -> &str {
        self.protocol.as_deref().unwrap_or_default()
    }

    /// Bytes that its members brought and were given, and that its promised ids take.
    pub(super) fn bytes(&self) -> usize {
        let promised: usize = self.promised.iter().map(|(id, _)| PROMISE_BYTES + id.len()).sum();
        promised + self.members.iter().map(Member::bytes).sum::<usize>()
    }

    /// Nothing would be lost with it: no members, no promised ids.
    pub(crate) fn is_vacant(&self) -> bool {
        self.phase == Phase::Empty && self.promised.is_empty()
    }
}

/// Who a member says it is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) member_id: Name,
    pub(crate) instance: Option<Name>,
    pub(crate) generation: i32,
}
