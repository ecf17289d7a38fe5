//! How devices are spread over the values of labels, now: by the newest that each said.
//!
//! What must stay true: a label's own choice does not narrow what is told of it, so that one can choose another value; the
//! choices of all other labels do.

use std::collections::HashMap;

use serde::Serialize;

use crate::source::SourceLive;
use crate::tally::by_name;
use crate::value::Value;
use crate::view::{Ask, Fitting};

/// Values of a label that are told; the rarer ones are counted together.
const MOST_VALUES: usize = 200;

/// Labels whose counts are worked out beside each other cost this many different values each, at most.
const MOST_KNOWN: usize = 10_000;

/// The devices that fit a question, by the values of their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// Devices that fit.
    pub total: u64,
    /// Those of them of which nothing was heard for long.
    pub quiet: u64,
    /// Those of them whose event times are behind what the watermark waits for.
    pub late: u64,
    /// Rows of those that fit which came later than the watermark waits, since their history began.
    pub late_rows: u64,
    /// One for each label, in the order of the layout's.
    pub labels: Vec<Facet>,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// Its index in the layout.
    pub field: usize,
    /// Its values, by name.
    pub values: Vec<FacetValue>,
    /// Devices with other values: the rarest, where there are more than 200.
    pub others: u64,
}

/// A value of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FacetValue {
    /// The value as a text; `None`: the device never said one.
    pub value: Option<String>,
    /// Devices that said it last.
    pub devices: u64,
}

impl SourceLive {
    /// How the devices of a question are spread. Looks at every device: some ten milliseconds for 100,000.
    pub fn facets(&self, ask: &Ask) -> Facets {
        let labels = &self.layout().labels;
        let fitting = Fitting::new(ask, self.now_ms());
        let mut facets = Facets::default();
        let mut counts: Vec<(HashMap<Value, u64>, u64)> = vec![Default::default(); labels.len()];
        {
            let devices = self.devices.read();
            for (place, row) in devices.all() {
                let values = devices.values(place);
                // The one condition that it does not fit may be that of a label itself.
                let Some(unfit) = fitting.unfit(&devices, row, values) else { continue };
                if unfit.is_none() {
                    facets.total += 1;
                    facets.quiet += u64::from(devices.is_quiet(row, self.now_ms()));
                    facets.late += u64::from(devices.is_late(row));
                    facets.late_rows += devices.clock(row).map_or(0, |clock| clock.behind);
                }
                for (label, (known, others)) in labels.iter().zip(&mut counts) {
                    if unfit.is_some_and(|field| field != *label) {
                        continue;
                    }
                    let Some(value) = values.get(*label) else { continue };
                    if let Some(count) = known.get_mut(value) {
                        *count += 1;
                    } else if known.len() < MOST_KNOWN {
                        known.insert(value.clone(), 1);
                    } else {
                        *others += 1;
                    }
                }
            }
        }
        let told = labels.iter().zip(counts).map(|(field, (known, others))| told(*field, known, others));
        facets.labels = told.collect();
        facets
    }
}

/// The commonest values, by name.
fn told(field: usize, known: HashMap<Value, u64>, mut others: u64) -> Facet {
    let mut all: Vec<(Value, u64)> = known.into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| by_name(&a.0, &b.0)));
    others += all.split_off(MOST_VALUES.min(all.len())).iter().map(|(_, devices)| devices).sum::<u64>();
    all.sort_by(|a, b| by_name(&a.0, &b.0));
    let values = all.into_iter().map(|(value, devices)| FacetValue { value: value.words(), devices });
    Facet { field, values: values.collect(), others }
}

#[cfg(test)]
mod tests;
