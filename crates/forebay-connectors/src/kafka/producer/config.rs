//! How a producer gathers and sends.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_core::{Error, Result};
use forebay_log::records::Compression;

use super::super::options::{ClientConfig, bad};

/// How a [`Producer`](super::Producer) gathers and sends.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// How long a batch that is not full waits for more records. 5 ms, as in Kafka 4.
    pub linger: Duration,
    /// Uncompressed bytes at which a batch is full. 256 KiB: large enough to compress well and to cost little per
    /// record, a quarter of what brokers accept by default.
    pub batch_bytes: usize,
    /// How batches are compressed. LZ4: it costs less than the network and the disk it saves.
    pub compression: Compression,
    /// Bytes that may wait to be sent; beyond, [`send`](super::Producer::send) waits. 32 MiB, as in Kafka.
    pub buffer_bytes: usize,
    /// How long a batch is tried before its records fail. 2 minutes, as in Kafka.
    pub delivery_timeout: Duration,
    /// How long a transaction may be open before the broker aborts it. 5 minutes where Java has 1: an epoch that catches
    /// up takes long, and one that is aborted is written again. Brokers allow 15 by default.
    pub transaction_timeout: Duration,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            linger: Duration::from_millis(5),
            batch_bytes: 256 << 10,
            compression: Compression::Lz4,
            buffer_bytes: 32 << 20,
            delivery_timeout: Duration::from_secs(120),
            transaction_timeout: Duration::from_secs(300),
        }
    }
}

impl ProducerConfig {
    /// The defaults, changed by the `kafka.*` options that the client was made with (`linger.ms`, `batch.size`,
    /// `compression.type`, `buffer.memory`, `delivery.timeout.ms`, `transaction.timeout.ms`).
    ///
    /// # Errors
    /// `BAD_VALUE` for what cannot be read, and for settings under which records could be lost or doubled.
    pub fn from_client(client: &ClientConfig) -> Result<Self> {
        let given = &client.producer;
        let defaults = Self::default();
        for (name, safe) in [("acks", &["all", "-1"][..]), ("enable.idempotence", &["true"])] {
            if let Some(text) = given.get(name).filter(|text| !safe.contains(&text.as_str())) {
                return Err(bad(name, text, safe[0])
                    .with_hint("Forebay writes each record once or says that it could not."));
            }
        }
        let compression = match given.get("compression.type").map(String::as_str) {
            None => defaults.compression,
            Some("none") => Compression::None,
            Some("gzip") => Compression::Gzip,
            Some("snappy") => Compression::Snappy,
            Some("lz4") => Compression::Lz4,
            Some("zstd") => Compression::Zstd,
            Some(other) => {
                return Err(bad("compression.type", other, "one of none, gzip, snappy, lz4, zstd"));
            }
        };
        let millis = |name, default| number(given, name).map(|ms| ms.map_or(default, Duration::from_millis));
        let bytes = |name, default| number(given, name).map(|n| n.map_or(default, |n| n.max(1) as usize));
        Ok(Self {
            linger: millis("linger.ms", defaults.linger)?,
            batch_bytes: bytes("batch.size", defaults.batch_bytes)?,
            compression,
            buffer_bytes: bytes("buffer.memory", defaults.buffer_bytes)?,
            delivery_timeout: millis("delivery.timeout.ms", defaults.delivery_timeout)?,
            transaction_timeout: millis("transaction.timeout.ms", defaults.transaction_timeout)?,
        })
    }
}

fn number(given: &BTreeMap<String, String>, name: &str) -> Result<Option<u64>, Error> {
    match given.get(name) {
        None => Ok(None),
        Some(text) => match text.parse::<u32>() {
            Ok(number) => Ok(Some(number.into())),
            Err(_) => Err(bad(name, text, "a whole number")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<ProducerConfig> {
        let options = BTreeMap::from([
            ("kafka.bootstrap.servers".to_owned(), "a:1".to_owned()),
            (format!("kafka.{name}"), value.to_owned()),
        ]);
        ProducerConfig::from_client(&ClientConfig::from_options(&options).unwrap())
    }

    #[test]
    fn what_could_lose_or_double_records_is_refused() {
        for (name, value) in
            [("acks", "1"), ("acks", "0"), ("enable.idempotence", "false"), ("linger.ms", "soon")]
        {
            assert!(read(name, value).is_err(), "{name}={value}");
        }
        assert!(read("acks", "all").is_ok());
        assert_eq!(read("compression.type", "zstd").unwrap().compression, Compression::Zstd);
        assert_eq!(read("linger.ms", "20").unwrap().linger, Duration::from_millis(20));
    }
}
