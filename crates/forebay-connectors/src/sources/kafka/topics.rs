//! Which topics are read, as last listed, and whether they are still those that the query's positions belong to.
//!
//! A topic that is deleted and made anew has its old name and other records at the same offsets. Only its id tells:
//! the checkpoint keeps the ids beside the positions. What must stay true: the ids move on only together with
//! positions that were handed out ([`TopicList::settle`]), so that a change is found again after any failure. A broker
//! that gives no ids is trusted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, Partition, PositionRange, Positions, TopicIds};
use tokio::time::Instant;
use uuid::Uuid;

use super::settings::{Edge, Edges, Subscription};
use super::transport::{FoundTopic, Transport};
use crate::kafka::Topics;

/// Most names that an error lists.
const SHOWN: usize = 30;

/// The topics of a source.
#[derive(Debug, Default)]
pub(super) struct TopicList {
    /// The partitions that are read, as last listed.
    pub(super) partitions: Vec<Partition>,
    listed: Option<Instant>,
    /// The topics as last listed.
    found: BTreeMap<Arc<str>, Option<Uuid>>,
    /// The topics that positions belong to.
    settled: BTreeMap<Arc<str>, Uuid>,
    /// Topics that were named and not there at some time since the source was made.
    absent: BTreeSet<Arc<str>>,
    /// Nothing at all was there at some time.
    nothing_yet: bool,
    /// Partitions that positions belong to and that are given up, until they are listed again.
    gone: BTreeSet<Partition>,
}

impl TopicList {
    /// Takes a list.
    pub(super) fn take(&mut self, subscription: &Subscription, found: BTreeMap<Arc<str>, FoundTopic>) {
        let all = found.iter().flat_map(|(name, topic)| {
            topic.partitions.iter().map(|index| Partition::new(Arc::clone(name), *index))
        });
        self.partitions = match subscription {
            Subscription::Assigned(wanted) => all.filter(|partition| wanted.contains(partition)).collect(),
            Subscription::Named(_) | Subscription::Pattern(_) => all.collect(),
        };
        self.found = found.into_iter().map(|(name, topic)| (name, topic.id)).collect();
        let there: BTreeSet<&Partition> = self.partitions.iter().collect();
        self.gone.retain(|partition| !there.contains(partition));
        self.listed = Some(Instant::now());
    }

    /// True if the list is younger than `max_age`, and neither it nor what the transport heard since names other topics
    /// than those that positions belong to.
    pub(super) fn is_fresh(&self, max_age: Duration, transport: &dyn Transport) -> bool {
        let is_young = self.listed.is_some_and(|listed| listed.elapsed() < max_age);
        is_young && !self.any_anew() && self.stands(transport)
    }

    /// True if there is a list, however old, and the transport heard of no other topics since.
    pub(super) fn stands(&self, transport: &dyn Transport) -> bool {
        let is_same = |(name, id): (&Arc<str>, &Option<Uuid>)| {
            let heard = transport.id_of(name);
            heard.zip(*id).is_none_or(|(heard, listed)| heard == listed)
        };
        self.listed.is_some() && self.found.iter().all(is_same)
    }

    /// The query goes on without this partition, should it not be listed.
    pub(super) fn give_up(&mut self, partition: &Partition) {
        if !self.partitions.contains(partition) {
            self.gone.insert(partition.clone());
        }
    }

    /// True if the query goes on without this partition.
    pub(super) fn is_given_up(&self, partition: &Partition) -> bool {
        self.gone.contains(partition)
    }

    /// True if all of these are listed or given up.
    pub(super) fn accounts_for(&self, positions: &Positions) -> bool {
        positions.keys().all(|partition| self.partitions.contains(partition) || self.is_given_up(partition))
    }

    /// Without the partitions that are given up.
    pub(super) fn without_gone(&self, positions: &Positions) -> Positions {
        let there = positions.iter().filter(|(partition, _)| !self.is_given_up(partition));
        there.map(|(partition, at)| (partition.clone(), *at)).collect()
    }

    /// When the list will be too old.
    pub(super) fn expires(&self, max_age: Duration) -> Instant {
        self.listed.unwrap_or_else(Instant::now) + max_age
    }

    /// Listing failed: what is known is good for as long as if it had just been listed.
    pub(super) fn keep(&mut self) {
        self.listed = Some(Instant::now());
    }

    /// True if positions in this topic belong to an older one of its name.
    pub(super) fn is_anew(&self, topic: &str) -> bool {
        let (now, before) = (self.found.get(topic).copied().flatten(), self.settled.get(topic));
        now.zip(before.copied()).is_some_and(|(now, before)| now != before)
    }

    /// True if positions in this topic are known to belong to the one that is there.
    pub(super) fn is_same(&self, topic: &str) -> bool {
        self.settled.contains_key(topic) && !self.is_anew(topic)
    }

    /// True if any topic was made anew.
    pub(super) fn any_anew(&self) -> bool {
        self.found.keys().any(|topic| self.is_anew(topic))
    }

    /// Positions were handed out that belong to the topics as listed.
    pub(super) fn settle(&mut self) {
        let known = self.found.iter().filter_map(|(name, id)| Some((Arc::clone(name), (*id)?)));
        self.settled.extend(known);
    }

    /// The topics that positions belong to, for the checkpoint.
    pub(super) fn settled(&self) -> TopicIds {
        self.settled.iter().map(|(name, id)| (name.to_string(), id.to_string())).collect()
    }

    /// Positions from a checkpoint belong to these.
    pub(super) fn resume(&mut self, topics: &TopicIds) {
        let known = topics.iter().filter_map(|(name, id)| Some((name.as_str().into(), id.parse().ok()?)));
        self.settled = known.collect();
    }

    /// The error for positions in a topic that was made anew.
    pub(super) fn made_anew(&self, topic: &str, place: impl Display) -> Error {
        let text = |id: Option<&Uuid>| id.map(Uuid::to_string).unwrap_or_default();
        let before = text(self.settled.get(topic));
        let now = text(self.found.get(topic).and_then(Option::as_ref));
        Error::new(&codes::DATA_LOSS, format!("topic `{topic}` was deleted and made anew"))
            .at(place)
            .with_detail(format!(
                "the checkpoint's positions belong to topic id {before}, the topic there now has {now}; what the old one held after them is gone"
            ))
            .with_hint(
                "Set `failOnDataLoss: false` to read the new topic from its beginning; once that is done it may be `true` again. Or give the query a new checkpoint.",
            )
    }

    /// The topics of these ranges, as far as it is known which ones they are; of an empty range nothing is read.
    pub(super) fn to_confirm(&self, ranges: &[PositionRange]) -> Vec<String> {
        let read = ranges.iter().filter(|range| !range.is_empty()).map(|range| &range.partition.topic);
        let topics: BTreeSet<_> = read.filter(|topic| self.settled.contains_key(*topic)).collect();
        topics.into_iter().map(ToString::to_string).collect()
    }

    /// Ranges of topics that are still those they were planned for, and the error for those that are not: it names
    /// all of them.
    pub(super) fn part(&self, ranges: &[PositionRange]) -> (Vec<PositionRange>, Option<Error>) {
        let (gone, there): (Vec<_>, Vec<_>) =
            ranges.iter().cloned().partition(|range| self.is_anew(&range.partition.topic));
        let what = gone.first().map(|first| {
            let places: Vec<String> = gone
                .iter()
                .map(|PositionRange { partition, from, to }| format!("{partition} at offsets {from} to {to}"))
                .collect();
            self.made_anew(&first.partition.topic, places.join(", "))
        });
        (there, what)
    }

    /// What the options name and is not there, as the error for it; `None` if it is all there. A pattern names nothing,
    /// but a query that does not end is told while it waits for its first topic.
    pub(super) async fn missing(
        &mut self,
        subscription: &Subscription,
        transport: &dyn Transport,
        ends: bool,
    ) -> Option<Error> {
        let missing = self.find_missing(subscription);
        let is_pattern = matches!(subscription, Subscription::Pattern(_));
        if missing.is_empty() && (!self.partitions.is_empty() || (is_pattern && ends)) {
            return None;
        }
        // Only for the hint: that it cannot be listed is the next attempt's trouble.
        let existing = transport.topics(&Topics::All).await.unwrap_or_default();
        Some(no_topic(subscription, &missing, &existing.into_keys().collect::<Vec<_>>()))
    }

    /// In the words of the options. Remembers what was missed, for [`TopicList::start`].
    fn find_missing(&mut self, subscription: &Subscription) -> Vec<String> {
        let there = |topic: &str| self.found.contains_key(topic);
        let (topics, words): (Vec<Arc<str>>, Vec<String>) = match subscription {
            Subscription::Named(names) => names
                .iter()
                .filter(|name| !there(name))
                .map(|name| (name.as_str().into(), name.clone()))
                .unzip(),
            Subscription::Assigned(wanted) => wanted
                .iter()
                .filter(|partition| !self.partitions.contains(partition))
                .map(|partition| (Arc::clone(&partition.topic), partition.to_string()))
                .unzip(),
            Subscription::Pattern(_) => Default::default(),
        };
        self.nothing_yet |= self.partitions.is_empty();
        let absent: Vec<Arc<str>> = topics.into_iter().filter(|topic| !there(topic)).collect();
        self.absent.extend(absent);
        words
    }

    /// Where a new query starts in what is listed: `latest` is what arrives from now on, so a topic that appeared while
    /// the query waited for it counts from its first record.
    pub(super) fn start(&self, edges: &Edges) -> Edges {
        let appeared = |partition: &Partition| self.nothing_yet || self.absent.contains(&partition.topic);
        if *edges != Edges::All(Edge::Latest) || !self.partitions.iter().any(appeared) {
            return edges.clone();
        }
        let edge = |partition: &Partition| if appeared(partition) { Edge::Earliest } else { Edge::Latest };
        Edges::Each(self.partitions.iter().map(|partition| (partition.clone(), edge(partition))).collect())
    }
}

/// The error for what is named and not there. `existing` are the topics that are, for "did you mean".
fn no_topic(subscription: &Subscription, missing: &[String], existing: &[Arc<str>]) -> Error {
    let message = match (subscription, missing) {
        (Subscription::Pattern(_), _) => {
            format!("there is nothing to read: {} finds no topic", subscription.description())
        }
        (Subscription::Assigned(_), _) => format!("there is no partition {}", missing.join(", ")),
        (Subscription::Named(_), [one]) => format!("there is no topic `{one}`"),
        (Subscription::Named(_), several) => format!("there are no topics `{}`", several.join("`, `")),
    };
    let error = Error::new(&codes::NO_TOPIC, message);
    let shown = existing.iter().take(SHOWN).map(|name| &**name);
    let guess = match (missing.first(), existing.len()) {
        (_, 0) => String::new(),
        (Some(name), 1..=SHOWN) => format!("{} ", unknown_name("topic", name, shown).hint()),
        (_, all) => format!("There are {all} topics, such as {}. ", shown.collect::<Vec<_>>().join(", ")),
    };
    let remedy = error.hint().to_owned();
    error.with_hint(guess + &remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_core::Position;

    fn found(id: Option<Uuid>) -> BTreeMap<Arc<str>, FoundTopic> {
        [("t".into(), FoundTopic { id, partitions: vec![0, 1] })].into()
    }

    fn named(names: &[&str]) -> Subscription {
        Subscription::Named(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn only_another_id_makes_a_topic_anew_and_only_until_positions_follow() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut list = TopicList::default();
        list.take(&named(&["t"]), found(Some(one)));
        assert!(!list.any_anew(), "nothing was known: the id is learned");
        list.settle();
        let kept = list.settled();
        for unknown in [found(None), BTreeMap::new(), found(Some(one))] {
            list.take(&named(&["t"]), unknown);
            assert!(!list.any_anew());
            list.settle();
            assert_eq!(list.settled(), kept, "what says nothing changes nothing");
        }
        let mut resumed = TopicList::default();
        resumed.resume(&kept);
        resumed.take(&named(&["t"]), found(Some(two)));
        resumed.take(&named(&["t"]), found(Some(two)));
        assert!(resumed.is_anew("t"), "it stays so until positions follow");
        let range = |topic, index| PositionRange {
            partition: Partition::new(topic, index),
            from: Position(1),
            to: Position(2),
        };
        let (there, gone) = resumed.part(&[range("t", 0), range("u", 0), range("t", 1)]);
        assert_eq!(there, [range("u", 0)]);
        let gone = gone.unwrap().to_string();
        assert!(gone.contains("t-0 at offsets 1 to 2, t-1 at offsets 1 to 2"), "{gone}");
        resumed.settle();
        assert!(!resumed.any_anew());
    }

    #[test]
    fn what_is_missing_is_named_with_what_was_meant() {
        let mut list = TopicList::default();
        list.take(&named(&["t", "iot"]), found(None));
        assert_eq!(list.find_missing(&named(&["t", "iot"])), ["iot"]);
        let assigned = Subscription::Assigned(vec![Partition::new("t", 1), Partition::new("t", 7)]);
        assert_eq!(list.find_missing(&assigned), ["t-7"]);
        let existing: Vec<Arc<str>> = vec!["iot_topic".into(), "other".into()];
        let error = no_topic(&named(&["iot_topik"]), &["iot_topik".to_owned()], &existing);
        assert!(error.message().contains("`iot_topik`"), "{error}");
        assert!(error.hint().contains("Did you mean `iot_topic`?"), "{error:?}");
        assert!(error.hint().contains("forebay log topics"), "{error:?}");
    }

    #[test]
    fn latest_is_what_came_since_the_query_began_to_wait() {
        let latest = Edges::All(Edge::Latest);
        let mut list = TopicList::default();
        list.take(&named(&["t", "iot"]), found(None));
        list.find_missing(&named(&["t", "iot"]));
        assert_eq!(list.start(&latest), latest);
        let mut more = found(None);
        more.insert("iot".into(), FoundTopic { id: None, partitions: vec![0] });
        list.take(&named(&["t", "iot"]), more);
        let edges = [("iot", 0, Edge::Earliest), ("t", 0, Edge::Latest), ("t", 1, Edge::Latest)]
            .map(|(t, i, edge)| (Partition::new(t, i), edge));
        assert_eq!(list.start(&latest), Edges::Each(edges.into()));
        assert_eq!(list.start(&Edges::All(Edge::Timestamp(7))), Edges::All(Edge::Timestamp(7)));
    }
}
