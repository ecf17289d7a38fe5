//! Ranges are dealt out to lanes.

use forebay_core::PositionRange;

/// Deals ranges out so that all lanes have about the same to read: the largest first, each to the emptiest lane.
pub(super) fn balance(ranges: &[PositionRange], lanes: usize) -> Vec<Vec<PositionRange>> {
    let mut sorted: Vec<&PositionRange> = ranges.iter().filter(|range| !range.is_empty()).collect();
    sorted.sort_by_key(|range| std::cmp::Reverse(range.to.0.abs_diff(range.from.0)));
    let mut dealt: Vec<(u64, Vec<PositionRange>)> =
        vec![(0, Vec::new()); lanes.clamp(1, sorted.len().max(1))];
    for range in sorted {
        if let Some((load, lane)) = dealt.iter_mut().min_by_key(|(load, _)| *load) {
            *load = load.saturating_add(range.to.0.abs_diff(range.from.0));
            lane.push(range.clone());
        }
    }
    dealt.into_iter().map(|(_, lane)| lane).filter(|lane| !lane.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_core::{Partition, Position};

    #[test]
    fn lanes_get_about_the_same() {
        let range = |index, to| PositionRange {
            partition: Partition::new("t", index),
            from: Position(0),
            to: Position(to),
        };
        let ranges = [range(0, 10), range(1, 90), range(2, 40), range(3, 0), range(4, 45)];
        let lanes = balance(&ranges, 2);
        let loads: Vec<i64> = lanes.iter().map(|lane| lane.iter().map(|range| range.to.0).sum()).collect();
        assert_eq!(loads, [90, 95]);
        assert_eq!(balance(&ranges, 100).len(), 4);
        assert!(balance(&ranges[3..4], 4).is_empty());
    }
}
