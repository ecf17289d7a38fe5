//! One member of a group, and the choice of the protocol that all members speak.

use super::{Millis, Name, Ticket};
use bytes::Bytes;

/// What a member brings when it joins.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    /// Empty at the first try of a member without a static identity.
    pub(crate) member_id: Name,
    /// The identity that outlives the member's process, if the user gave one.
    pub(crate) instance: Option<Name>,
    /// What the client calls itself; for people only.
    pub(crate) client_id: Name,
    /// Where it came from; for people only.
    pub(crate) client_host: Name,
    /// Without a sign of life for this long, the member is gone.
    pub(crate) session_timeout: Millis,
    /// The time it may take to come back when a rebalance begins.
    pub(crate) rebalance_timeout: Millis,
    /// `consumer`, `connect` …: members of one group agree on it.
    pub(crate) protocol_type: Name,
    /// Names and metadata of the protocols it speaks, best first.
    pub(crate) protocols: Vec<(Name, Bytes)>,
}

/// What a member takes beside texts and metadata, about.
const MEMBER_BYTES: usize = 512;

impl Join {
    /// Bytes that a member made of it will take.
    pub(super) fn bytes(&self) -> usize {
        weight(&self.member_id, self.instance.as_deref(), &self.client_id, &self.protocols)
    }
}

/// What a member takes before it is given anything.
fn weight(id: &str, instance: Option<&str>, client_id: &str, protocols: &[(Name, Bytes)]) -> usize {
    let spoken: usize = protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum();
    MEMBER_BYTES + id.len() + instance.map_or(0, str::len) + client_id.len() + spoken
}

/// One member, as the group remembers it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: Name,
    pub(crate) instance: Option<Name>,
    pub(crate) client_id: Name,
    pub(crate) client_host: Name,
    pub(crate) session_timeout: Millis,
    pub(crate) rebalance_timeout: Millis,
    pub(crate) protocols: Vec<(Name, Bytes)>,
    /// What the leader gave it in this generation.
    pub(crate) assignment: Bytes,
    /// When its session ends, unless it waits for an answer of ours.
    pub(crate) expires: Millis,
    /// The join that waits for the rebalance to complete.
    pub(crate) joining: Option<Ticket>,
    /// The sync that waits for the leader's assignment.
    pub(crate) syncing: Option<Ticket>,
}

impl Member {
    /// A member made of its join. It has not been told anything yet.
    pub(crate) fn new(id: Name, join: Join, now: Millis) -> Self {
        Self {
            id,
            instance: join.instance,
            client_id: join.client_id,
            client_host: join.client_host,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols,
            assignment: Bytes::new(),
            expires: now + join.session_timeout,
            joining: None,
            syncing: None,
        }
    }

    /// Takes over what may change from one join to the next.
    pub(crate) fn update(&mut self, join: Join, now: Millis) {
        self.client_id = join.client_id;
        self.client_host = join.client_host;
        self.session_timeout = join.session_timeout;
        self.rebalance_timeout = join.rebalance_timeout;
        self.protocols = join.protocols;
        self.touch(now);
    }

    /// A sign of life.
    pub(crate) fn touch(&mut self, now: Millis) {
        self.expires = now + self.session_timeout;
    }

    /// It waits for us, so its silence is ours.
    pub(crate) fn is_waiting(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }

    /// True if this join comes from it: by its id, or by the identity that outlives its process.
    pub(super) fn is_of(&self, join: &Join) -> bool {
        self.id == join.member_id || (join.instance.is_some() && self.instance == join.instance)
    }

    /// Its metadata for one protocol; empty if it does not speak it.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let spoken = self.protocols.iter().find(|(name, _)| name.as_ref() == protocol);
        spoken.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    /// Bytes that it takes, with what it brought and was given.
    pub(super) fn bytes(&self) -> usize {
        weight(&self.id, self.instance.as_deref(), &self.client_id, &self.protocols) + self.assignment.len()
    }

    fn speaks(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name.as_ref() == protocol)
    }
}

/// True if at least one of `protocols` is spoken by all `members`.
pub(crate) fn have_common<'a>(
    protocols: &[(Name, Bytes)],
    members: impl Iterator<Item = &'a Member> + Clone,
) -> bool {
    protocols.iter().any(|(name, _)| members.clone().all(|member| member.speaks(name)))
}

/// The protocol of a generation: of those that all members speak, the one that most members like best; among
/// equals, the one that the first member likes better.
pub(crate) fn choose_protocol(members: &[Member]) -> Option<Name> {
    let first = members.first()?;
    let common: Vec<&Name> = first
        .protocols
        .iter()
        .map(|(name, _)| name)
        .filter(|name| members.iter().all(|member| member.speaks(name)))
        .collect();
    let votes = |candidate: &Name| {
        let favourite = |member: &&Member| {
            let best = member.protocols.iter().map(|(name, _)| name).find(|name| common.contains(name));
            best == Some(candidate)
        };
        members.iter().filter(favourite).count()
    };
    // `max_by_key` takes the last of equals, and the first member's best stands first.
    common.iter().rev().max_by_key(|candidate| votes(candidate)).map(|name| Name::clone(name))
}
