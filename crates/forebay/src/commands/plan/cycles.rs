//! Where the cycles of a query stand, as `forebay plan` tells it: by its journal, which is only read.

use std::path::Path;

use forebay_connectors::sinks::files::{self, Made};
use forebay_core::config::CycleConfig;
use forebay_core::cycle::{Cycle, Entry};

use crate::definition::words;
use crate::work::Work;

/// A line about a query that cycles; `None` for others.
pub(super) fn stand(work: &Work<'_>, checkpoint: &Path) -> Option<String> {
    let Work::Query(query) = work else { return None };
    let CycleConfig { cycle, .. } = query.cycle.as_ref()?;
    Some(match files::archives(checkpoint) {
        Ok(made) => told(cycle, &made),
        Err(error) => format!("its cycles: {error}; {}", error.hint()),
    })
}

fn told(cycle: &Cycle, made: &Made) -> String {
    let every = words(cycle.every);
    let of = cycle.repeat.map(|repeat| format!(" of {repeat}")).unwrap_or_default();
    let is_over = |number: u64| cycle.repeat.is_some_and(|repeat| number + 1 >= repeat);
    // People count from 1.
    let next = match &made.last {
        None => format!("cycle 1{of} begins"),
        Some(Entry::Begun { cycle, .. }) => format!("cycle {}{of} goes on", cycle + 1),
        Some(Entry::Cleaned { cycle: 0 }) if is_over(0) => {
            "its one cycle is over, so it ends at once".to_owned()
        }
        Some(Entry::Cleaned { cycle }) if is_over(*cycle) => {
            format!("all its {} cycles are over, so it ends at once", cycle + 1)
        }
        Some(Entry::Cleaned { cycle }) => format!("cycle {}{of} begins", cycle + 2),
        Some(Entry::Before { cycle, .. }) => format!("cycle {}{of} begins", cycle + 1),
        Some(Entry::Cut(cut)) => format!("cycle {}{of} is over and becomes an archive first", cut.cycle + 1),
        Some(Entry::Merged { cycle, .. } | Entry::Archived { cycle, .. }) => {
            format!("cycle {}{of} is over, and the end of its archiving comes first", cycle + 1)
        }
    };
    let archives = match made.sums().0 {
        0 => "no archive yet".to_owned(),
        1 => "1 archive".to_owned(),
        count => format!("{count} archives"),
    };
    format!("every {every} an archive {}: {next}; {archives}", cycle.archive.text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use forebay_core::Zone;
    use forebay_core::cycle::Template;

    use super::*;

    #[test]
    fn the_next_cycle_is_told_as_people_count() {
        let cycle = Cycle {
            every: Duration::from_secs(120),
            header: true,
            archive: Template::read("a_{yyyyMMddHHmmss}.csv").unwrap(),
            clean: true,
            repeat: Some(2),
            zone: Zone::UTC,
        };
        let told = |last: Option<Entry>| told(&cycle, &Made { last, ..Made::default() });
        assert_eq!(
            told(None),
            "every 120 seconds an archive a_{yyyyMMddHHmmss}.csv: cycle 1 of 2 begins; no archive yet"
        );
        assert!(told(Some(Entry::Begun { cycle: 0, at_ms: 0 })).contains("cycle 1 of 2 goes on"));
        assert!(told(Some(Entry::Cleaned { cycle: 0 })).contains("cycle 2 of 2 begins"));
        assert!(told(Some(Entry::Cleaned { cycle: 1 })).contains("all its 2 cycles are over"));
    }
}
