//! Numbers for panes and for groups, given as rows come.

use datafusion::common::HashMap;
use forebay_core::event_time::Watermark;

use super::panes::Panes;

/// The number of every pane that is late.
pub(super) const LATE: u32 = u32::MAX;

/// No group.
const NONE: u32 = u32::MAX;

/// Numbers panes from 0.
pub(super) struct PaneNumbers {
    panes: Panes,
    late: Option<Watermark>,
    starts: Vec<i64>,
    known: HashMap<i64, u32>,
    /// Start, width and number of the pane of the row before.
    newest: (i64, u64, u32),
}

impl PaneNumbers {
    pub fn new(panes: Panes, late: Option<Watermark>) -> Self {
        Self { panes, late, starts: Vec::new(), known: HashMap::default(), newest: (0, 0, 0) }
    }

    /// Adds the number of the pane of each time; true if one is [`LATE`].
    pub fn number(&mut self, times: &[i64], numbers: &mut Vec<u32>) -> bool {
        let mut any_late = false;
        let (mut start, mut width, mut number) = self.newest;
        for ts in times {
            if ts.wrapping_sub(start) as u64 >= width {
                (start, width) = self.panes.at(*ts);
                number = self.look_up(start);
            }
            any_late |= number == LATE;
            numbers.push(number);
        }
        self.newest = (start, width, number);
        any_late
    }

    fn look_up(&mut self, start: i64) -> u32 {
        // All windows that hold the pane have ended if the last one has.
        if self.late.is_some_and(|late| late.has_passed(self.panes.last_end(start))) {
            return LATE;
        }
        *self.known.entry(start).or_insert_with(|| {
            self.starts.push(start);
            self.starts.len() as u32 - 1
        })
    }

    /// Where a pane begins.
    pub fn start(&self, number: u32) -> i64 {
        self.starts.get(number as usize).copied().unwrap_or(0)
    }
}

/// Numbers pairs of key and pane from 0.
#[derive(Default)]
pub(super) struct Members {
    /// Key and pane of each group.
    pub each: Vec<(u32, u32)>,
    known: HashMap<u64, u32>,
    /// Pane and group of the row before of each key.
    newest: Vec<(u32, u32)>,
}

impl Members {
    /// The group of each row.
    pub fn number(&mut self, keys: &[usize], total_keys: usize, panes: &[u32]) -> Vec<usize> {
        self.newest.resize(total_keys, (NONE, NONE));
        let mut groups = Vec::with_capacity(keys.len());
        for (key, pane) in keys.iter().zip(panes) {
            let Some(newest) = self.newest.get_mut(*key) else { continue };
            if newest.0 != *pane {
                let pair = (*key as u64) << 32 | u64::from(*pane);
                let group = *self.known.entry(pair).or_insert_with(|| {
                    self.each.push((*key as u32, *pane));
                    self.each.len() as u32 - 1
                });
                *newest = (*pane, group);
            }
            groups.push(newest.1 as usize);
        }
        groups
    }
}
