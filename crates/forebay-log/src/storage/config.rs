//! What a topic may set for itself, under Kafka's names.

use serde::{Deserialize, Serialize};

use super::options::{MAX_APPEND_BYTES, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES};
use super::{LogOptions, is_default};
use crate::LogError;

/// Who stamps a topic's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TimestampType {
    /// The producer.
    #[default]
    CreateTime,
    /// The log, when it appends; the producer's timestamps are replaced.
    LogAppendTime,
}

/// A topic's own settings; `None` follows the log's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicConfig {
    /// `retention.bytes`; -1: no limit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retention_bytes: Option<i64>,
    /// `retention.ms`; -1: for ever.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retention_ms: Option<i64>,
    /// `segment.bytes`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub segment_bytes: Option<u64>,
    /// `max.message.bytes`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_message_bytes: Option<usize>,
    /// `message.timestamp.type`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timestamp_type: Option<TimestampType>,
}

/// One setting as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Kafka's name of it.
    pub name: &'static str,
    /// The value in force.
    pub value: String,
    /// True where the topic does not set it itself.
    pub is_default: bool,
    /// True where it cannot be changed.
    pub read_only: bool,
}

/// Every setting a topic knows, in the order they are listed.
pub const TOPIC_SETTINGS: &[&str] = &[
    "cleanup.policy",
    "compression.type",
    "max.message.bytes",
    "message.timestamp.type",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
];

impl TopicConfig {
    /// Reads settings as a client sends them.
    ///
    /// # Errors
    /// An unknown name lists the known ones; `cleanup.policy=compact` is refused.
    pub fn from_entries<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, LogError> {
        let mut config = Self::default();
        for (name, value) in entries {
            config.set(name, Some(value))?;
        }
        Ok(config)
    }

    /// Sets one setting, or with `None` returns it to the log's default.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), LogError> {
        match name {
            "retention.bytes" => self.retention_bytes = parse(name, value, -1, i64::MAX)?,
            "retention.ms" => self.retention_ms = parse(name, value, -1, i64::MAX)?,
            "segment.bytes" => self.segment_bytes = parse(name, value, MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES)?,
            "max.message.bytes" => self.max_message_bytes = parse(name, value, 0, MAX_APPEND_BYTES)?,
            "message.timestamp.type" => {
                self.timestamp_type = match value {
                    None => None,
                    Some("CreateTime") => Some(TimestampType::CreateTime),
                    Some("LogAppendTime") => Some(TimestampType::LogAppendTime),
                    Some(other) => return Err(refused(name, other, "it is CreateTime or LogAppendTime")),
                }
            }
            "cleanup.policy" => match value {
                None | Some("delete") => {}
                Some(other) => {
                    return Err(refused(
                        name,
                        other,
                        "the embedded log deletes by age and size; it does not compact",
                    ));
                }
            },
            "compression.type" => match value {
                None | Some("producer") => {}
                Some(other) => {
                    return Err(refused(name, other, "batches are kept as the producer compressed them"));
                }
            },
            other => {
                let known = TOPIC_SETTINGS.join(", ");
                return Err(LogError::InvalidConfig(format!("unknown setting `{other}`; known are {known}")));
            }
        }
        Ok(())
    }

    /// All settings with the values in force.
    pub fn entries(&self, defaults: &LogOptions) -> Vec<ConfigEntry> {
        let effective = Effective::new(self, defaults);
        let entry =
            |name, value: String, is_default| ConfigEntry { name, value, is_default, read_only: false };
        let unlimited = |value: Option<u64>| value.map_or_else(|| "-1".to_owned(), |n| n.to_string());
        let timestamp_type = match effective.timestamp_type {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        };
        vec![
            ConfigEntry { read_only: true, ..entry("cleanup.policy", "delete".to_owned(), true) },
            ConfigEntry { read_only: true, ..entry("compression.type", "producer".to_owned(), true) },
            entry(
                "max.message.bytes",
                effective.max_message_bytes.to_string(),
                self.max_message_bytes.is_none(),
            ),
            entry("message.timestamp.type", timestamp_type.to_owned(), self.timestamp_type.is_none()),
            entry("retention.bytes", unlimited(effective.retention_bytes), self.retention_bytes.is_none()),
            entry("retention.ms", unlimited(effective.retention_ms), self.retention_ms.is_none()),
            entry("segment.bytes", effective.segment_bytes.to_string(), self.segment_bytes.is_none()),
        ]
    }
}

/// The settings in force for one topic: its own where it has any, else the log's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effective {
    pub retention_bytes: Option<u64>,
    pub retention_ms: Option<u64>,
    pub segment_bytes: u64,
    pub max_message_bytes: usize,
    pub timestamp_type: TimestampType,
}

impl Effective {
    pub fn new(config: &TopicConfig, defaults: &LogOptions) -> Self {
        // A negative number, which is always -1, means: no limit.
        let limit = |own: Option<i64>, default: Option<u64>| own.map_or(default, |n| u64::try_from(n).ok());
        let default_ms = defaults.retention.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        Self {
            retention_bytes: limit(config.retention_bytes, defaults.retention_bytes),
            retention_ms: limit(config.retention_ms, default_ms),
            segment_bytes: config.segment_bytes.unwrap_or(defaults.segment_bytes),
            max_message_bytes: config.max_message_bytes.unwrap_or(defaults.max_message_bytes),
            timestamp_type: config.timestamp_type.unwrap_or_default(),
        }
    }
}

fn parse<T>(name: &str, value: Option<&str>, least: T, most: T) -> Result<Option<T>, LogError>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let Some(text) = value else { return Ok(None) };
    match text.parse::<T>() {
        Ok(number) if number >= least && number <= most => Ok(Some(number)),
        _ => Err(refused(name, text, &format!("it is a whole number from {least} to {most}"))),
    }
}

fn refused(name: &str, value: &str, why: &str) -> LogError {
    LogError::InvalidConfig(format!("{name}={value}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compaction_and_unknown_settings_are_refused_in_plain_words() {
        let error = TopicConfig::from_entries([("cleanup.policy", "compact")]).unwrap_err();
        assert!(error.to_string().contains("does not compact"), "{error}");
        let error = TopicConfig::from_entries([("retention.hours", "1")]).unwrap_err();
        assert!(error.to_string().contains("retention.ms"), "{error}");
        let error = TopicConfig::from_entries([("retention.ms", "-2")]).unwrap_err();
        assert!(error.to_string().contains("-1 to"), "{error}");
    }

    #[test]
    fn minus_one_lifts_the_default_limit() {
        let config = TopicConfig::from_entries([("retention.ms", "-1")]).unwrap();
        let options = LogOptions::new("x");
        assert_eq!(Effective::new(&config, &options).retention_ms, None);
        assert_eq!(Effective::new(&TopicConfig::default(), &options).retention_ms, Some(604_800_000));
    }

    #[test]
    fn every_known_setting_is_listed() {
        let names: Vec<_> =
            TopicConfig::default().entries(&LogOptions::new("x")).iter().map(|e| e.name).collect();
        assert_eq!(names, TOPIC_SETTINGS);
    }
}
