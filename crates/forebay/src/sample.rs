//! Some records to learn from: the oldest of each partition of a topic, or the lines of a file.
//!
//! What must stay true: bounded in records, bytes and time, and the same topic gives the same sample: of each partition
//! as many records, in the order of partitions and offsets, whatever way they arrived. Only where time runs out it may
//! be another, which is said.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use arrow::array::{Array, BinaryViewArray, BinaryViewBuilder};
use forebay_connectors::sources;
use forebay_core::error::codes;
use forebay_core::source::{Source, Wanted};
use forebay_core::{Error, Partition, Position, Positions, Result};
use futures::StreamExt;

use crate::cli::{BrokerArgs, Global};
use crate::{broker, talk};

/// How long to read, or to wait for the first record of an empty topic.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most bytes of a sample.
const MOST_BYTES: usize = 64 << 20;

/// A topic as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// `HOST:PORT,…` if it was said.
    pub servers: Option<String>,
    /// Its name.
    pub name: String,
}

impl Topic {
    /// Reads `kafka://HOST:PORT/TOPIC`, or a bare name.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Error::new(&codes::WRONG_USE, format!("`{text}` {what}"))
                .with_hint("Write kafka://HOST:PORT/TOPIC, such as kafka://localhost:9092/iot_topic.")
        };
        let (servers, name) = match text.split_once("://") {
            None => (None, text),
            Some(("kafka", rest)) => {
                let (servers, name) = rest.split_once('/').ok_or_else(|| wrong("names no topic"))?;
                (Some(servers.to_owned()), name)
            }
            Some(_) => return Err(wrong("is not the address of a topic")),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(wrong("is not the name of a topic"));
        }
        if servers.as_ref().is_some_and(|servers| !servers.contains(':')) {
            return Err(wrong("names no port"));
        }
        Ok(Self { servers, name: name.to_owned() })
    }
}

/// At most `most` records of a topic.
pub async fn of_topic(
    global: &Global,
    args: &BrokerArgs,
    topic: &str,
    most: u32,
) -> anyhow::Result<BinaryViewArray> {
    let mut raw = BTreeMap::from([
        ("kafka.bootstrap.servers".to_owned(), broker::bootstrap(global, args)),
        ("subscribe".to_owned(), topic.to_owned()),
        ("startingOffsets".to_owned(), "earliest".to_owned()),
        ("failOnDataLoss".to_owned(), "false".to_owned()),
    ]);
    raw.extend(broker::given(args)?);
    let options = broker::source_options("kafka", &raw)?;
    let mut source = sources::build("kafka", &options, Wanted::default(), None)?;
    let start = talk::patiently(&broker::bootstrap(global, args), source.start(true)).await;
    let start = start.map_err(|error| broker::for_command(error, args))?;
    let mut read = BTreeMap::new();
    let reading = async {
        while !read_from(&mut *source, &start, most, &mut read).await? {
            source.wait(&start).await?;
        }
        Ok::<_, Error>(())
    };
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(done) => done?,
        Err(_) if read.is_empty() => {
            let message =
                format!("the topic `{topic}` has no record, and none came in {} seconds", PATIENCE.as_secs());
            return Err(Error::new(&codes::SOURCE_UNAVAILABLE, message)
                .with_hint("Start what sends to it, and try again.")
                .into());
        }
        Err(_) => talk::say(&format!(
            "note: after {} seconds {} record(s) are read; another time it may be others",
            PATIENCE.as_secs(),
            read.len()
        )),
    }
    source.close().await;
    Ok(gathered(read.into_values(), most))
}

/// Reads the first records of each partition, as many of each; false if there are none yet.
async fn read_from(
    source: &mut dyn Source,
    start: &Positions,
    most: u32,
    read: &mut BTreeMap<(Partition, i64), Option<Vec<u8>>>,
) -> Result<bool> {
    let available = source.available(start).await?;
    let mut from = start.clone();
    from.extend(available.new.iter().chain(&available.moved).map(|(partition, at)| (partition.clone(), *at)));
    let mut ranges = available.ranges(&from);
    if ranges.is_empty() {
        return Ok(false);
    }
    let each = i64::from(most).div_euclid(ranges.len() as i64).max(1);
    for range in &mut ranges {
        range.to = range.to.min(Position(range.from.0.saturating_add(each)));
    }
    let mut bytes = 0;
    for mut lane in source.read(&ranges, 1).await? {
        while let Some(envelope) = lane.next().await {
            let envelope = envelope?;
            for (row, offset) in envelope.offsets.iter().enumerate() {
                let value = envelope.values.is_valid(row).then(|| envelope.values.value(row).to_vec());
                bytes += value.as_ref().map_or(0, Vec::len);
                read.insert((envelope.partition.clone(), *offset), value);
            }
            if bytes > MOST_BYTES {
                return Ok(true);
            }
        }
    }
    Ok(true)
}

/// At most `most` lines of a file, or of stdin if it is `-`; empty lines are none.
pub fn of_file(path: &Path, most: u32) -> Result<BinaryViewArray> {
    let unreadable = |error: std::io::Error| {
        Error::new(&codes::FILE_UNREADABLE, "the records cannot be read").at(path.display()).caused_by(error)
    };
    let input: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(path).map_err(unreadable)?),
    };
    let mut lines = BufReader::new(input.take(MOST_BYTES as u64)).split(b'\n');
    let filled = |line: &Vec<u8>| !line.trim_ascii().is_empty();
    let mut read = Vec::new();
    while let Some(line) = lines.next().transpose().map_err(unreadable)? {
        read.extend(Some(line).filter(filled).map(Some));
        if read.len() >= most as usize {
            break;
        }
    }
    Ok(gathered(read, most))
}

fn gathered(records: impl IntoIterator<Item = Option<Vec<u8>>>, most: u32) -> BinaryViewArray {
    let mut values = BinaryViewBuilder::new();
    for record in records.into_iter().take(most as usize) {
        values.append_option(record);
    }
    values.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_a_name_or_an_address() {
        let topic = |text: &str| Topic::parse(text).map(|topic| (topic.servers, topic.name));
        assert_eq!(topic("iot_topic").unwrap(), (None, "iot_topic".to_owned()));
        let found = topic("kafka://a:9092,b:9092/x.y-z").unwrap();
        assert_eq!(found, (Some("a:9092,b:9092".to_owned()), "x.y-z".to_owned()));
        assert_eq!(topic("kafka://[::1]:9092/t").unwrap().0.as_deref(), Some("[::1]:9092"));
        for wrong in ["kafka://a:9092", "kafka://a:9092/", "kafka://a/t", "mqtt://a:1/t", "a/b", ""] {
            assert_eq!(topic(wrong).unwrap_err().code(), &codes::WRONG_USE, "{wrong}");
        }
    }

    #[test]
    fn of_a_file_the_first_lines_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lines");
        #[allow(clippy::disallowed_methods, reason = "a test makes its files by hand")]
        std::fs::write(&file, "{\"a\":1}\n\n  \r\n{\"a\":2}\n{\"a\":3}").unwrap();
        let read = |most| of_file(&file, most).unwrap().iter().flatten().map(<[u8]>::len).collect::<Vec<_>>();
        assert_eq!((read(2), read(10)), (vec![7, 7], vec![7, 7, 7]));
        assert_eq!(of_file(&dir.path().join("none"), 1).unwrap_err().code(), &codes::FILE_UNREADABLE);
    }
}
