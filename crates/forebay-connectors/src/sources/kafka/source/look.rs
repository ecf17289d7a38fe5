//! Asking the broker what there is, and judging positions that lie outside of it.
//!
//! What must stay true: records that are gone are an error, or are told, and no record of a topic that was made anew
//! is taken for one of the topic before it.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_core::source::Available;
use forebay_core::{Partition, Position, Positions, Result};

use super::super::lane::data_loss;
use super::KafkaSource;
use crate::kafka::At;

/// How often, and after what pause, a partition that is missing is looked for before it counts as gone.
pub(super) const MISSING_LOOKS: u32 = 4;
pub(super) const MISSING_PAUSE: Duration = Duration::from_millis(500);

impl KafkaSource {
    /// Lists topics; asks again while one of `from` is missing: a broker that has just started may not know all yet.
    async fn list_patiently(&mut self, from: &Positions) -> Result<()> {
        self.list().await?;
        for _ in 0..MISSING_LOOKS {
            if self.topics.accounts_for(from) {
                break;
            }
            tokio::time::sleep(MISSING_PAUSE).await;
            self.list().await?;
        }
        Ok(())
    }

    async fn offsets(&self, at: At) -> Result<BTreeMap<Partition, i64>> {
        let places = self.topics.partitions.iter().map(|partition| (partition.clone(), at)).collect();
        let found = self.transport.offsets(&places).await?;
        Ok(found.into_iter().filter_map(|(partition, offset)| Some((partition, offset?))).collect())
    }

    /// What to make of a position that is outside of what is there: an error, or where to go on.
    fn judge(&self, partition: &Partition, from: Position, to: i64, why: &str) -> Result<Position> {
        if self.settings.fail_on_data_loss {
            return Err(data_loss(partition, from.0.min(to), from.0.max(to)).with_detail(why));
        }
        tracing::warn!(%partition, from = from.0, to, why, "records are gone; going on after them");
        Ok(Position(to))
    }

    /// Where to go on in a topic that was made anew: at its first offset, or not at all.
    fn judge_anew(&self, partition: &Partition, from: Position, first: i64) -> Result<Position> {
        let what = self.topics.made_anew(&partition.topic, format_args!("{partition} at offset {}", from.0));
        // Of a topic of which nothing was read it is not known that anything is gone.
        if self.settings.fail_on_data_loss && from.0 > 0 {
            return Err(what);
        }
        tracing::warn!(%partition, from = from.0, to = first, why = %what, "going on at the beginning of the new topic");
        Ok(Position(first))
    }

    /// The same as [`Source::available`], by asking.
    pub(super) async fn ask_available(&mut self, from: &Positions) -> Result<Available> {
        self.list_patiently(from).await?;
        let earliest = self.offsets(At::Earliest).await?;
        let latest = self.offsets(At::Latest).await?;
        let mut found = Available::default();
        for partition in &self.topics.partitions {
            let (Some(first), Some(last)) = (earliest.get(partition), latest.get(partition)) else {
                continue;
            };
            let mut end = Position(*last);
            match from.get(partition) {
                None => {
                    if *first > 0 && (self.began || !from.is_empty()) {
                        let why = "the partition is new to the query, and its first records are gone already";
                        self.judge(partition, Position(0), *first, why)?;
                    }
                    found.new.insert(partition.clone(), Position(*first));
                }
                Some(at) if self.topics.is_anew(&partition.topic) => {
                    found.moved.insert(partition.clone(), self.judge_anew(partition, *at, *first)?);
                }
                Some(at) if at.0 < *first => {
                    let at = self.judge(partition, *at, *first, "retention removed them")?;
                    found.moved.insert(partition.clone(), at);
                }
                Some(at) if at.0 > *last => {
                    // What is left of the same topic was read already.
                    let (what, to) = match self.topics.is_same(&partition.topic) {
                        true => ("it was cut", *last),
                        false => ("the topic was made anew, or cut", *first),
                    };
                    let why = format!("the partition ends at offset {last}: {what}");
                    let at = self.judge(partition, *at, to, &why)?;
                    found.moved.insert(partition.clone(), at);
                }
                Some(at) => end = end.max(*at),
            }
            found.ends.insert(partition.clone(), end);
        }
        for (partition, at) in from {
            if found.ends.contains_key(partition) {
                continue;
            }
            let mut end = *at;
            if self.topics.is_anew(&partition.topic) {
                // The new topic has fewer partitions; should it get this one later, it begins there.
                end = self.judge_anew(partition, *at, 0)?;
                found.moved.insert(partition.clone(), end);
            } else if !self.topics.is_given_up(partition) {
                self.judge(partition, *at, at.0, "the partition is not there any more")?;
                self.topics.give_up(partition);
            }
            found.ends.insert(partition.clone(), end);
        }
        Ok(found)
    }
}
