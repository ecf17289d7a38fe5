//! The edges of what is read become offsets: where a query begins, and where it ends.

use std::collections::BTreeMap;

use forebay_core::error::codes;
use forebay_core::{Error, Partition, Position, Positions, Result};

use super::settings::{Edge, Edges};
use super::transport::Transport;
use crate::kafka::At;

/// Finds the offset of an edge in each of these partitions.
///
/// # Errors
/// `BAD_VALUE`, naming `option`, where the edges are not those of exactly these partitions, and where no record is as
/// late as a timestamp, unless `late_is_latest`.
pub(super) async fn resolve(
    transport: &dyn Transport,
    partitions: &[Partition],
    edges: &Edges,
    option: &str,
    late_is_latest: bool,
) -> Result<Positions> {
    let edge_of = |partition: &Partition| match edges {
        Edges::All(edge) => Some(*edge),
        Edges::Each(each) => each.get(partition).copied(),
    };
    if let Edges::Each(each) = edges {
        let missing = partitions.iter().find(|partition| !each.contains_key(partition));
        let unknown = each.keys().find(|partition| !partitions.contains(partition));
        if let Some(partition) = missing.or(unknown) {
            let what = if missing.is_some() { "does not name" } else { "names the unknown" };
            let message = format!("option `{option}` {what} partition {partition}");
            return Err(Error::new(&codes::BAD_VALUE, message).with_hint(
                "Name exactly the partitions that are read. -2 stands for the earliest, -1 for the latest.",
            ));
        }
    }
    let mut positions = Positions::new();
    let mut ask = BTreeMap::new();
    for partition in partitions {
        let at = match edge_of(partition) {
            Some(Edge::Offset(offset)) => {
                positions.insert(partition.clone(), Position(offset));
                continue;
            }
            Some(Edge::Earliest) => At::Earliest,
            Some(Edge::Timestamp(ms)) => At::Timestamp(ms),
            Some(Edge::Latest) | None => At::Latest,
        };
        ask.insert(partition.clone(), at);
    }
    let mut late = BTreeMap::new();
    for (partition, offset) in transport.offsets(&ask).await? {
        match offset {
            Some(offset) => drop(positions.insert(partition, Position(offset))),
            None if late_is_latest => drop(late.insert(partition, At::Latest)),
            None => {
                let message = format!("option `{option}`: {partition} has no record as late as that");
                return Err(Error::new(&codes::BAD_VALUE, message).with_hint(
                    "Choose an earlier time, or set `startingOffsetsByTimestampStrategy: latest`.",
                ));
            }
        }
    }
    if !late.is_empty() {
        let found = transport.offsets(&late).await?;
        positions.extend(found.into_iter().filter_map(|(p, offset)| Some((p, Position(offset?)))));
    }
    Ok(positions)
}
