//! What was typed becomes what it means: which partitions, where to begin, where to end.

use std::collections::BTreeMap;

use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::{Error, Partition, Result};
use regex::Regex;

use crate::kafka::{Topics, legal_topic};

/// Which partitions are read.
#[derive(Clone, Debug)]
pub(super) enum Subscription {
    /// All partitions of these topics.
    Named(Vec<String>),
    /// All partitions of the topics that match, also of later ones.
    Pattern(Regex),
    /// These.
    Assigned(Vec<Partition>),
}

/// An edge of what is read, of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Earliest,
    Latest,
    Offset(i64),
    /// The first record that is as late as this.
    Timestamp(i64),
}

/// An edge of what is read, of all partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edges {
    /// The same for each.
    All(Edge),
    /// One for each; none may be missing.
    Each(BTreeMap<Partition, Edge>),
}

/// The source's options, understood.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) subscription: Subscription,
    pub(super) start: Edges,
    /// A timestamp that no record reaches starts at the latest instead of failing.
    pub(super) late_start_is_latest: bool,
    /// `None` if the query may run for ever.
    pub(super) end: Option<Edges>,
    pub(super) fail_on_data_loss: bool,
    pub(super) group: Option<String>,
    pub(super) max_batch_bytes: usize,
}

impl Settings {
    /// Understands checked options.
    ///
    /// # Errors
    /// `MISSING_KEY` and `BAD_VALUE` with the name of the option.
    pub(super) fn new(options: &Options) -> Result<Self> {
        let subscription = subscription(options)?;
        let start = match by_time(options, "startingTimestamp", "startingOffsetsByTimestamp")? {
            Some(edges) => edges,
            None => offsets("startingOffsets", options.text("startingOffsets").unwrap_or("latest"))?,
        };
        let end = match by_time(options, "endingTimestamp", "endingOffsetsByTimestamp")? {
            Some(edges) => Some(edges),
            None => options.text("endingOffsets").map(|text| offsets("endingOffsets", text)).transpose()?,
        };
        let earliest = |edges: &Edges| match edges {
            Edges::All(edge) => *edge == Edge::Earliest,
            Edges::Each(each) => each.values().any(|edge| *edge == Edge::Earliest),
        };
        if end.as_ref().is_some_and(earliest) {
            return Err(bad("endingOffsets", "a query cannot end at the earliest offset"));
        }
        only_subscribed(&subscription, &start, "startingOffsets")?;
        end.iter().try_for_each(|end| only_subscribed(&subscription, end, "endingOffsets"))?;
        let group_named = options.passed_on().get("kafka.group.id").cloned();
        let group = group_named.or_else(|| {
            let prefix = options.text("groupIdPrefix")?;
            Some(format!("{prefix}-{}", subscription.words()))
        });
        Ok(Self {
            subscription,
            start,
            late_start_is_latest: options.text("startingOffsetsByTimestampStrategy") == Some("latest"),
            end,
            fail_on_data_loss: options.bool("failOnDataLoss"),
            group,
            max_batch_bytes: options
                .size("maxBatchBytes")
                .map_or(64 << 20, |bytes| bytes.min(1 << 30) as usize),
        })
    }
}

impl Subscription {
    /// The topics that are asked for.
    pub(super) fn topics(&self) -> Topics {
        match self {
            Self::Named(names) => Topics::Named(names.clone()),
            Self::Pattern(pattern) => Topics::Pattern(pattern.clone()),
            Self::Assigned(partitions) => {
                let mut names: Vec<String> = partitions.iter().map(|p| p.topic.to_string()).collect();
                names.dedup();
                Topics::Named(names)
            }
        }
    }

    /// As Spark prints it.
    pub(super) fn description(&self) -> String {
        match self {
            Self::Named(_) => format!("Subscribe[{}]", self.words()),
            Self::Pattern(_) => format!("SubscribePattern[{}]", self.words()),
            Self::Assigned(_) => format!("Assign[{}]", self.words()),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Named(names) => names.join(", "),
            Self::Pattern(pattern) => pattern.to_string(),
            Self::Assigned(partitions) => {
                partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

fn bad(name: &str, expected: &str) -> Error {
    Error::new(&codes::BAD_VALUE, format!("option `{name}`: {expected}"))
}

fn subscription(options: &Options) -> Result<Subscription> {
    let (subscribe, pattern, assign) =
        (options.text("subscribe"), options.text("subscribePattern"), options.text("assign"));
    let needed = "exactly one of `subscribe`, `subscribePattern` and `assign` is needed";
    match (subscribe, pattern, assign) {
        (Some(text), None, None) => {
            let mut names: Vec<String> =
                text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
            names.sort();
            names.dedup();
            if names.is_empty() {
                return Err(bad("subscribe", "it names no topic"));
            }
            names.iter().try_for_each(|name| legal("subscribe", name))?;
            Ok(Subscription::Named(names))
        }
        (None, Some(text), None) => {
            // Whole names must match; a group keeps alternatives together.
            let pattern = Regex::new(&format!("^(?:{text})$"))
                .map_err(|error| bad("subscribePattern", "it is no regular expression").caused_by(error))?;
            Ok(Subscription::Pattern(pattern))
        }
        (None, None, Some(text)) => {
            let topics: BTreeMap<String, Vec<i32>> = serde_json::from_str(text).map_err(|error| {
                bad("assign", "expected JSON such as {\"topicA\":[0,1]}").caused_by(error)
            })?;
            topics.keys().try_for_each(|name| legal("assign", name))?;
            let mut partitions: Vec<Partition> = topics
                .iter()
                .flat_map(|(topic, numbers)| numbers.iter().map(|n| Partition::new(topic.as_str(), *n)))
                .collect();
            partitions.sort();
            partitions.dedup();
            if partitions.is_empty() {
                return Err(bad("assign", "it names no partition"));
            }
            Ok(Subscription::Assigned(partitions))
        }
        (None, None, None) => Err(Error::new(&codes::MISSING_KEY, needed)),
        _ => Err(Error::new(&codes::BAD_VALUE, needed)),
    }
}

/// No broker can have a topic of another name, so asking for one is a slip of the pen.
fn legal(option: &str, name: &str) -> Result<()> {
    if legal_topic(name) {
        return Ok(());
    }
    Err(bad(option, &format!("`{name}` is no name of a topic"))
        .with_hint("A topic's name has letters, digits, `.`, `_` and `-`, and at most 249 of them."))
}

/// An edge of what is not read would be refused when the query starts, whatever the brokers have.
fn only_subscribed(subscription: &Subscription, edges: &Edges, option: &str) -> Result<()> {
    let Edges::Each(each) = edges else { return Ok(()) };
    let is_read = |partition: &&Partition| match subscription {
        Subscription::Named(names) => names.iter().any(|name| **name == *partition.topic),
        Subscription::Pattern(pattern) => pattern.is_match(&partition.topic),
        Subscription::Assigned(partitions) => partitions.contains(partition),
    };
    let Some(stranger) = each.keys().find(|partition| !is_read(partition)) else { return Ok(()) };
    let by_time = matches!(each.get(stranger), Some(Edge::Timestamp(_)));
    let option = if by_time { format!("{option}ByTimestamp") } else { option.to_owned() };
    Err(bad(&option, &format!("it names {stranger}, which is not read"))
        .with_hint("Name exactly the partitions that are read; the subscription says of which topics."))
}

/// The edges by timestamp, if either option is given.
fn by_time(options: &Options, global: &str, each: &str) -> Result<Option<Edges>> {
    if let Some(text) = options.text(global) {
        let ms = text.trim().parse::<i64>().ok().filter(|ms| *ms >= 0);
        let ms = ms.ok_or_else(|| bad(global, "expected milliseconds since 1970"))?;
        return Ok(Some(Edges::All(Edge::Timestamp(ms))));
    }
    let Some(text) = options.text(each) else { return Ok(None) };
    let edges = per_partition(each, text, |ms| (ms >= 0).then_some(Edge::Timestamp(ms)))?;
    Ok(Some(Edges::Each(edges)))
}

fn offsets(name: &str, text: &str) -> Result<Edges> {
    match text.trim().to_ascii_lowercase().as_str() {
        "earliest" => Ok(Edges::All(Edge::Earliest)),
        "latest" => Ok(Edges::All(Edge::Latest)),
        json if json.starts_with('{') => {
            let edges = per_partition(name, text, |offset| match offset {
                -2 => Some(Edge::Earliest),
                -1 => Some(Edge::Latest),
                offset if offset >= 0 => Some(Edge::Offset(offset)),
                _ => None,
            })?;
            Ok(Edges::Each(edges))
        }
        _ => Err(bad(name, "expected `earliest`, `latest` or JSON such as {\"topicA\":{\"0\":23,\"1\":-2}}")),
    }
}

fn per_partition(
    name: &str,
    text: &str,
    understand: impl Fn(i64) -> Option<Edge>,
) -> Result<BTreeMap<Partition, Edge>> {
    let expected = "expected JSON such as {\"topicA\":{\"0\":23,\"1\":42}}";
    let topics: BTreeMap<String, BTreeMap<String, i64>> =
        serde_json::from_str(text).map_err(|error| bad(name, expected).caused_by(error))?;
    let mut edges = BTreeMap::new();
    for (topic, partitions) in &topics {
        for (index, number) in partitions {
            let index = index.parse::<i32>().ok().filter(|index| *index >= 0);
            let partition = Partition::new(topic.as_str(), index.ok_or_else(|| bad(name, expected))?);
            let edge = understand(*number)
                .ok_or_else(|| bad(name, &format!("{number} is not possible for {partition}")))?;
            edges.insert(partition, edge);
        }
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::kafka::SPEC;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Error> {
        let raw = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::new(&Options::parse(&SPEC, &raw).unwrap())
    }

    #[test]
    fn exactly_one_subscription() {
        assert!(read(&[]).is_err());
        assert!(read(&[("subscribe", "a"), ("assign", "{\"a\":[0]}")]).is_err());
        assert!(read(&[("subscribe", " , ")]).is_err());
        assert!(read(&[("assign", "[0]")]).is_err());
        for illegal in ["t/../x", "..", "a b", &"a".repeat(250)] {
            assert!(read(&[("subscribe", illegal)]).is_err(), "{illegal}");
            assert!(read(&[("assign", &format!("{{\"{illegal}\":[0]}}"))]).is_err(), "{illegal}");
        }
        assert!(read(&[("subscribePattern", "(")]).is_err());
        assert_eq!(read(&[("subscribe", "b, a")]).unwrap().subscription.description(), "Subscribe[a, b]");
        let assigned = read(&[("assign", "{\"a\":[1,0]}")]).unwrap();
        assert_eq!(assigned.subscription.description(), "Assign[a-0, a-1]");
    }

    #[test]
    fn an_edge_of_what_is_not_read_is_refused() {
        let each = "{\"other\":{\"0\":5}}";
        for subscription in [("subscribe", "a"), ("subscribePattern", "a.*"), ("assign", "{\"a\":[0]}")] {
            for option in
                ["startingOffsets", "startingOffsetsByTimestamp", "endingOffsets", "endingOffsetsByTimestamp"]
            {
                let refused = read(&[subscription, (option, each)]).err().unwrap();
                assert!(refused.message().contains(&format!("`{option}`")), "{refused:?}");
                assert!(refused.message().contains("other-0"), "{refused:?}");
                assert!(read(&[subscription, (option, &each.replace("other", "a"))]).is_ok());
            }
        }
    }

    #[test]
    fn a_new_query_starts_at_the_latest_unless_told() {
        assert_eq!(read(&[("subscribe", "a")]).unwrap().start, Edges::All(Edge::Latest));
        let each =
            read(&[("subscribe", "A"), ("startingOffsets", "{\"A\":{\"0\":5,\"1\":-1,\"2\":-2}}")]).unwrap();
        let expected = [(0, Edge::Offset(5)), (1, Edge::Latest), (2, Edge::Earliest)];
        let expected = expected.map(|(index, edge)| (Partition::new("A", index), edge)).into();
        assert_eq!(each.start, Edges::Each(expected));
    }

    #[test]
    fn a_timestamp_wins_over_offsets() {
        let settings = read(&[
            ("subscribe", "a"),
            ("startingOffsets", "earliest"),
            ("startingOffsetsByTimestamp", "{\"a\":{\"0\":7}}"),
            ("startingTimestamp", "1000"),
        ]);
        assert_eq!(settings.unwrap().start, Edges::All(Edge::Timestamp(1000)));
    }

    #[test]
    fn nonsense_is_refused() {
        for (name, value) in [
            ("startingOffsets", "first"),
            ("startingOffsets", "{\"a\":{\"0\":-3}}"),
            ("startingOffsets", "{\"a\":{\"x\":1}}"),
            ("startingTimestamp", "yesterday"),
            ("startingTimestamp", "-5"),
            ("endingOffsets", "earliest"),
            ("endingOffsets", "{\"a\":{\"0\":-2}}"),
        ] {
            assert!(read(&[("subscribe", "a"), (name, value)]).is_err(), "{name}={value}");
        }
    }
}
