//! The way through a rebalance: who is waited for, how long, and what happens to those who do not come.
//!
//! Members that do not come back within the longest rebalance timeout of the group are dropped (static members keep
//! their place until their session ends). Members that joined and then do not sync in the same time are dropped too,
//! and the rebalance starts again without them. A dropped or leaving member always frees the others from waiting.

use super::member::{Member, choose_protocol};
use super::state::{Group, Phase};
use super::{Assigned, Millis, Name, Refused, Reply};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use std::collections::HashMap;

impl Group {
    /// Starts a rebalance. Members that wait for an assignment are sent back to join.
    pub(super) fn prepare(&mut self, now: Millis) {
        let was_empty = self.phase == Phase::Empty;
        for at in 0..self.members.len() {
            if let Some(ticket) = self.members[at].syncing.take() {
                self.members[at].touch(now);
                self.replies.push((ticket, Reply::Sync(Err(ResponseError::RebalanceInProgress))));
            }
        }
        self.phase = Phase::Preparing;
        self.not_before = if was_empty { now + self.limits.initial_delay } else { now };
        self.deadline = Some(now + self.patience());
        self.complete_if_all_joined(now);
    }

    /// A newcomer may have a longer rebalance timeout than those who were there.
    pub(super) fn extend_deadline(&mut self, now: Millis) {
        let patience = now + self.patience();
        self.deadline = self.deadline.map(|deadline| deadline.max(patience));
    }

    /// The longest time that any member may take to come back.
    fn patience(&self) -> Millis {
        self.members.iter().map(|member| member.rebalance_timeout).max().unwrap_or(0)
    }

    pub(super) fn complete_if_all_joined(&mut self, now: Millis) {
        let all_joined = self.members.iter().all(|member| member.joining.is_some());
        // Who holds a promised id is about to join: waiting for it saves a rebalance.
        let settled = self.promised.is_empty() || self.members.is_empty();
        if self.phase == Phase::Preparing && all_joined && settled && now >= self.not_before {
            self.complete(now);
        }
    }

    /// Closes the doors: who has joined is the new generation.
    fn complete(&mut self, now: Millis) {
        self.members.retain(|member| member.joining.is_some() || member.instance.is_some());
        let first_joined = self.members.iter().find(|member| member.joining.is_some());
        let Some(first_joined) = first_joined else {
            return self.complete_without_joins(now);
        };
        let stays = |leader: &Name| self.members.iter().any(|m| m.id == *leader && m.joining.is_some());
        if !self.leader.as_ref().is_some_and(stays) {
            self.leader = Some(first_joined.id.clone());
        }
        self.protocol = choose_protocol(&self.members);
        self.next_generation();
        self.phase = Phase::Completing;
        self.deadline = Some(now + self.patience());
        for at in 0..self.members.len() {
            self.members[at].assignment = Bytes::new();
            if let Some(ticket) = self.members[at].joining.take() {
                self.tell_joined(at, ticket, now);
            }
        }
    }

    /// Nobody came. Without members the group is empty; static members that are away keep it waiting until they
    /// return or their sessions end.
    fn complete_without_joins(&mut self, now: Millis) {
        if !self.members.is_empty() {
            self.deadline = Some(now + self.patience().max(1));
            return;
        }
        self.next_generation();
        self.phase = Phase::Empty;
        self.deadline = None;
        self.leader = None;
        self.protocol = None;
    }

    fn next_generation(&mut self) {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
    }

    /// The leader has spoken: everybody gets its share, who was forgotten an empty one.
    pub(super) fn settle(&mut self, assignments: Vec<(Name, Bytes)>, now: Millis) {
        let mut assignments: HashMap<Name, Bytes> = assignments.into_iter().collect();
        for member in &mut self.members {
            if let Some(assignment) = assignments.remove(&member.id) {
                member.assignment = assignment;
            }
        }
        self.phase = Phase::Stable;
        self.deadline = None;
        for member in &mut self.members {
            if let Some(ticket) = member.syncing.take() {
                member.touch(now);
                let assigned = Assigned { assignment: member.assignment.clone() };
                self.replies.push((ticket, Reply::Sync(Ok(assigned))));
            }
        }
    }

    /// Drops a member; the others go on without it.
    pub(super) fn remove(&mut self, at: usize, now: Millis) {
        let gone = Refused { error: ResponseError::UnknownMemberId, member_id: self.members[at].id.clone() };
        self.answer_waiting(at, &gone);
        let member = self.members.remove(at);
        if self.leader.as_ref() == Some(&member.id) {
            self.leader = None;
        }
        match self.phase {
            Phase::Preparing => self.complete_if_all_joined(now),
            Phase::Completing | Phase::Stable => self.prepare(now),
            Phase::Empty => {}
        }
    }

    /// Lets time pass: sessions, promised ids and deadlines run out.
    pub(crate) fn tick(&mut self, now: Millis) {
        self.promised.retain(|(_, lapses)| *lapses > now);
        let is_lost = |member: &Member| !member.is_waiting() && member.expires <= now;
        while let Some(at) = self.members.iter().position(is_lost) {
            self.remove(at, now);
        }
        self.complete_if_all_joined(now);
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        match self.phase {
            Phase::Preparing => self.complete(now),
            Phase::Completing => self.drop_unsynced(now),
            Phase::Empty | Phase::Stable => self.deadline = None,
        }
    }

    fn drop_unsynced(&mut self, now: Millis) {
        self.members.retain(|member| member.syncing.is_some());
        let leader_stays = self.members.iter().any(|member| self.leader.as_ref() == Some(&member.id));
        if !leader_stays {
            self.leader = None;
        }
        self.prepare(now);
    }

    /// When [`Group::tick`] has something to do next. What is due now and could not be done yet is waiting for
    /// something else than time.
    pub(crate) fn next_tick(&self, now: Millis) -> Option<Millis> {
        let promises = self.promised.iter().map(|(_, lapses)| *lapses);
        let sessions = self.members.iter().filter(|member| !member.is_waiting()).map(|member| member.expires);
        let hold = (self.phase == Phase::Preparing).then_some(self.not_before);
        promises.chain(sessions).chain(self.deadline).chain(hold).filter(|at| *at > now).min()
    }
}
