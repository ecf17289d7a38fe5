//! What a user may do.

/// Names, and beginnings of names with `*` behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// Of these, each a name or a beginning with `*` behind it.
    pub fn new(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(patterns.into_iter().map(Into::into).collect())
    }

    /// True if a name is one of them.
    pub fn take(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        })
    }

    /// True if no name is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a user may do. Nothing, if nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Everything, whatever the lists say.
    pub admin: bool,
    /// With topics.
    pub topics: TopicRights,
    /// Consumer groups to be in, to look at and to delete.
    pub groups: Patterns,
    /// Transactional ids to write with.
    pub transactional_ids: Patterns,
}

/// Topics, by what may be done with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicRights {
    /// To read.
    pub read: Patterns,
    /// To write to.
    pub write: Patterns,
    /// To make.
    pub create: Patterns,
    /// To look at. As in Apache Kafka, who may read, write, alter or delete a topic may look at it.
    pub describe: Patterns,
    /// To change settings and partitions of.
    pub alter: Patterns,
    /// To delete.
    pub delete: Patterns,
}
