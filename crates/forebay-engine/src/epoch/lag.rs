//! How many records wait in the source beyond what is committed: a query's lag.
//!
//! A look for data says where the source ends; between two looks the source may have heard of newer ends. What must
//! stay true: a source that did not answer the last look leaves the lag unknown rather than small.

use forebay_core::source::Available;
use forebay_core::{Position, Positions};

/// What is committed, and where the source ends as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    at: Positions,
    ends: Option<Positions>,
}

impl Lag {
    /// What is committed, of all partitions that are known.
    pub fn positions(&self) -> &Positions {
        &self.at
    }

    /// A look from these positions found this, or failed.
    pub fn looked(&mut self, from: &Positions, found: Option<&Available>) {
        self.at.clone_from(from);
        self.ends = found.map(|found| found.ends.clone());
        for (partition, at) in found.into_iter().flat_map(|found| found.new.iter().chain(&found.moved)) {
            self.at.insert(partition.clone(), *at);
        }
    }

    /// Ends that were heard of since the last look. While that failed they may be old, and count for nothing.
    pub fn heard(&mut self, heard: Option<Positions>) {
        let Some(ends) = &mut self.ends else { return };
        for (partition, end) in heard.into_iter().flatten() {
            let known = ends.entry(partition).or_insert(end);
            *known = end.max(*known);
        }
    }

    /// Everything before these positions is committed.
    pub fn committed(&mut self, at: &Positions) {
        self.at.clone_from(at);
    }

    /// How many records wait; `None` while nobody knows.
    pub fn records(&self) -> Option<u64> {
        let behind = |(partition, end): (_, &Position)| {
            let at = self.at.get(partition).map_or(0, |position| position.0);
            u64::try_from(end.0 - at).unwrap_or(0)
        };
        self.ends.as_ref().map(|ends| ends.iter().map(behind).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_core::Partition;

    fn at(offset: i64) -> Positions {
        Positions::from([(Partition::new("t", 0), Position(offset))])
    }

    #[test]
    fn the_lag_follows_the_newest_end_and_what_is_committed() {
        let mut lag = Lag::default();
        assert_eq!(lag.records(), None, "before the first look nobody knows");
        lag.heard(Some(at(9)));
        assert_eq!(lag.records(), None);
        lag.looked(&at(0), Some(&Available { ends: at(139), ..Available::default() }));
        assert_eq!(lag.records(), Some(139), "what is planned or fails waits until it is committed");
        lag.committed(&at(139));
        assert_eq!(lag.records(), Some(0));
        lag.heard(Some(at(200)));
        lag.heard(Some(at(150)));
        assert_eq!(lag.records(), Some(61));
        lag.looked(&at(139), None);
        lag.heard(Some(at(200)));
        assert_eq!(lag.records(), None, "a source that does not answer may have more");
    }

    #[test]
    fn a_partition_that_is_new_or_was_moved_waits_from_where_it_begins() {
        let mut lag = Lag::default();
        lag.looked(&Positions::new(), Some(&Available { ends: at(10), new: at(7), ..Available::default() }));
        assert_eq!(lag.records(), Some(3));
        lag.looked(&at(5), Some(&Available { ends: at(10), moved: at(8), ..Available::default() }));
        assert_eq!(lag.records(), Some(2));
    }
}
