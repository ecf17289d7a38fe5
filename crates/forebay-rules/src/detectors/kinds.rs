//! Every kind of detector: its name, its settings with their bounds, and how it is made.
//!
//! One list, read from top to bottom by whoever adds a kind, by the reference, and by the check of a user's settings. A setting is a
//! number; an unknown one is an error that lists those there are.

use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::Detector;
use super::auto::Auto;
use super::baseline::Learning;
use super::chart::Chart;
use super::drift::{Cusum, PageHinkley};
use super::ewma::Ewma;
use super::gap::Gap;
use super::half_space::{Count, HalfSpace};
use super::holt_winters::HoltWinters;
use super::per_key::PerKey;
use super::robust::Robust;
use super::rows::MAX_INPUTS;
use super::seasonal::Seasonal;
use super::stuck::Stuck;
use super::z_score::ZScore;

/// A setting of a kind.
#[derive(Debug)]
pub struct Knob {
    /// Its name in a file or a call.
    pub name: &'static str,
    /// What it is where nobody says.
    pub default: f64,
    /// The least and the most it may be.
    pub bounds: (f64, f64),
    /// The values between them that it may have; any if there are none.
    pub only: &'static [f64],
    /// A sentence for the reference.
    pub about: &'static str,
}

/// A kind of detector.
#[derive(Debug)]
pub struct Kind {
    /// Its name: `z_score`.
    pub name: &'static str,
    /// A sentence for the reference.
    pub about: &'static str,
    /// True if it takes several inputs.
    pub several: bool,
    /// Its settings.
    pub knobs: &'static [Knob],
    make: fn(&Chosen<'_>) -> Box<dyn Detector>,
}

/// The settings of a detector, checked.
#[derive(Debug)]
struct Chosen<'a> {
    kind: &'a Kind,
    settings: &'a [(&'a str, f64)],
    inputs: usize,
    most_keys: u32,
}

impl Chosen<'_> {
    fn get(&self, name: &str) -> f64 {
        let default = || self.kind.knobs.iter().find(|knob| knob.name == name).map(|knob| knob.default);
        let chosen = self.settings.iter().rev().find(|(given, _)| *given == name).map(|(_, value)| *value);
        chosen.or_else(default).unwrap_or(0.0)
    }

    fn count(&self, name: &str) -> usize {
        self.get(name) as usize
    }

    fn micros(&self, name: &str, unit: f64) -> i64 {
        (self.get(name) * unit) as i64
    }

    fn learning(&self) -> Learning {
        Learning {
            warm_up: self.get("warm_up"),
            memory: self.get("memory").max(self.get("warm_up")),
            threshold: self.get("threshold"),
        }
    }

    fn boxed<M: super::per_key::Model + 'static>(&self, model: M) -> Box<dyn Detector> {
        Box::new(PerKey::new(model, self.most_keys))
    }
}

pub(super) const fn knob(name: &'static str, default: f64, bounds: (f64, f64), about: &'static str) -> Knob {
    Knob { name, default, bounds, only: &[], about }
}

const WARM_UP: Knob = knob("warm_up", 30.0, (2.0, 1e6), "Rows of a key before its first verdict.");
const MEMORY: Knob = knob("memory", 1_000.0, (2.0, 1e7), "Rows after which older ones begin to fade.");
const fn threshold(default: f64) -> Knob {
    knob("threshold", default, (0.1, 1e6), "Standard deviations beyond which a row is an anomaly.")
}
const fn outlier(default: f64) -> Knob {
    knob("threshold", default, (0.1, 1e6), "Standard deviations beyond which a row is not learned as it is.")
}
const OFFSET: Knob =
    knob("offset_hours", 0.0, (-14.0, 14.0), "Hours that the clocks of the place are before UTC.");
const SLACK: Knob = knob("slack", 0.5, (0.01, 100.0), "Standard deviations that do not count in each row.");

/// Half-space trees whose counts have room for their window.
fn half_space<C: Count>(chosen: &Chosen<'_>) -> HalfSpace<C> {
    HalfSpace::new(
        chosen.inputs,
        chosen.count("trees"),
        chosen.count("depth"),
        chosen.get("window"),
        chosen.get("chance"),
        chosen.count("seed") as u64,
    )
}

/// All kinds.
pub static KINDS: &[Kind] = &[
    Kind {
        name: "auto",
        about: "Needs no tuning: asks the questions of the others and believes the least likely answer.",
        several: false,
        knobs: &[knob("chance", 2e-5, (1e-12, 0.1), "How often a usual row may be called an anomaly.")],
        make: |chosen| chosen.boxed(Auto { chance: chosen.get("chance") }),
    },
    Kind {
        name: "z_score",
        about: "Standard deviations from the mean of the rows before.",
        several: false,
        knobs: &[threshold(4.0), WARM_UP, MEMORY],
        make: |chosen| chosen.boxed(ZScore(chosen.learning())),
    },
    Kind {
        name: "robust_z",
        about: "Distance from the median of a sliding window, in median absolute deviations.",
        several: false,
        knobs: &[
            threshold(5.0),
            knob("warm_up", 30.0, (2.0, 4_096.0), "Rows of a key before its first verdict."),
            knob("window", 256.0, (3.0, 4_096.0), "Rows of the window."),
        ],
        make: |chosen| {
            let window = chosen.count("window");
            let warm_up = chosen.count("warm_up").min(window);
            chosen.boxed(Robust { window, warm_up, threshold: chosen.get("threshold") })
        },
    },
    Kind {
        name: "ewma",
        about: "Distance from the exponentially weighted mean of the rows just before.",
        several: false,
        knobs: &[
            threshold(5.0),
            knob("lambda", 0.05, (1e-6, 0.5), "The weight of the newest row."),
            knob("warm_up", 20.0, (2.0, 1e6), "Rows of a key before its first verdict."),
        ],
        make: |chosen| {
            chosen.boxed(Ewma::new(chosen.get("lambda"), chosen.get("threshold"), chosen.get("warm_up")))
        },
    },
    Kind {
        name: "ewma_chart",
        about: "The EWMA control chart: a mean that has moved a little.",
        several: false,
        knobs: &[
            knob("limit", 5.0, (0.1, 1e3), "Standard deviations of the smoothed value that are an anomaly."),
            knob("lambda", 0.2, (1e-6, 1.0), "The weight of the newest row."),
            outlier(6.0),
            knob("warm_up", 60.0, (2.0, 1e6), "Rows of a key before its first verdict."),
            MEMORY,
        ],
        make: |chosen| {
            let (lambda, limit) = (chosen.get("lambda"), chosen.get("limit"));
            chosen.boxed(Chart { learning: chosen.learning(), lambda, limit })
        },
    },
    Kind {
        name: "holt_winters",
        about: "Level, trend and a season of a fixed number of rows.",
        several: false,
        knobs: &[
            threshold(5.0),
            knob("period", 24.0, (2.0, 4_096.0), "Rows of a season; they are equally spaced."),
            knob("alpha", 0.2, (0.0, 1.0), "How fast the level follows."),
            knob("beta", 0.01, (0.0, 1.0), "How fast the trend follows."),
            knob("gamma", 0.2, (0.0, 1.0), "How fast the season follows."),
        ],
        make: |chosen| {
            chosen.boxed(HoltWinters {
                period: chosen.count("period"),
                alpha: chosen.get("alpha"),
                beta: chosen.get("beta"),
                gamma: chosen.get("gamma"),
                threshold: chosen.get("threshold"),
            })
        },
    },
    Kind {
        name: "seasonal",
        about: "Distance from what is usual at this hour of the week, or of the day.",
        several: false,
        knobs: &[
            threshold(6.0),
            Knob {
                only: &[1.0, 7.0],
                ..knob("days", 7.0, (1.0, 7.0), "Days of a season: 7 for a week, 1 for a day.")
            },
            knob("gamma", 0.2, (0.0, 1.0), "The least weight of an hour's newest visit."),
            OFFSET,
        ],
        make: |chosen| {
            chosen.boxed(Seasonal {
                slots: 24 * chosen.count("days"),
                gamma: chosen.get("gamma"),
                threshold: chosen.get("threshold"),
                offset_us: chosen.micros("offset_hours", 3.6e9),
            })
        },
    },
    Kind {
        name: "cusum",
        about: "Small deviations to one side that add up.",
        several: false,
        knobs: &[
            knob("limit", 12.0, (0.1, 1e6), "The sum that is an anomaly, in standard deviations."),
            SLACK,
            outlier(6.0),
            knob("warm_up", 60.0, (2.0, 1e6), "Rows of a key before its first verdict."),
            MEMORY,
        ],
        make: |chosen| {
            let (slack, limit) = (chosen.get("slack"), chosen.get("limit"));
            chosen.boxed(Cusum { learning: chosen.learning(), slack, limit })
        },
    },
    Kind {
        name: "page_hinkley",
        about: "The Page-Hinkley test: a mean that has changed since the last alarm.",
        several: false,
        knobs: &[
            knob("limit", 15.0, (0.1, 1e6), "The sum that is an anomaly, in standard deviations."),
            SLACK,
            outlier(6.0),
            knob("warm_up", 60.0, (2.0, 1e6), "Rows of a key before its first verdict."),
            knob("memory", 1e5, (2.0, 1e7), "Rows after which older ones begin to fade."),
        ],
        make: |chosen| {
            let (slack, limit) = (chosen.get("slack"), chosen.get("limit"));
            chosen.boxed(PageHinkley { learning: chosen.learning(), slack, limit })
        },
    },
    Kind {
        name: "half_space_trees",
        about: "Half-space trees: rows of several inputs where few others lie.",
        several: true,
        knobs: &[
            knob("chance", 1e-4, (1e-12, 0.1), "How often a usual row may be called an anomaly."),
            knob("trees", 25.0, (1.0, 200.0), "How many trees."),
            knob("depth", 6.0, (1.0, 12.0), "How often a tree halves the space."),
            knob(
                "window",
                250.0,
                (10.0, <u16 as Count>::MOST),
                "Rows after which what was learned takes the place of what was known.",
            ),
            knob("seed", 1.0, (0.0, 9e15), "What the trees are drawn from."),
        ],
        make: |chosen| {
            if chosen.get("window") <= <u8 as Count>::MOST {
                chosen.boxed(half_space::<u8>(chosen))
            } else {
                chosen.boxed(half_space::<u16>(chosen))
            }
        },
    },
    Kind {
        name: "stuck",
        about: "A value that no longer changes.",
        several: false,
        knobs: &[
            knob("rows", 10.0, (1.0, 1e9), "Repeats that are an anomaly, if they do not come by chance."),
            knob("seconds", 0.0, (0.0, 1e9), "How long they must last."),
            knob("tolerance", 0.0, (0.0, 1e300), "How far values may differ and count as one."),
        ],
        make: |chosen| {
            let (rows, tolerance) = (chosen.get("rows"), chosen.get("tolerance"));
            chosen.boxed(Stuck { rows, tolerance, lasting_us: chosen.micros("seconds", 1e6) })
        },
    },
    Kind {
        name: "gap",
        about: "Rows that come much later than usual.",
        several: false,
        knobs: &[
            threshold(6.0),
            knob("factor", 5.0, (1.0, 1e9), "How many times the usual interval is an anomaly."),
            WARM_UP,
            MEMORY,
        ],
        make: |chosen| chosen.boxed(Gap { learning: chosen.learning(), factor: chosen.get("factor") }),
    },
];

/// A detector of this kind, of which nothing is learned yet. Errors: no such kind, an unknown setting, one out of its bounds, a number of
/// inputs that the kind does not take.
pub fn detector(
    name: &str,
    inputs: usize,
    settings: &[(&str, f64)],
    most_keys: u32,
) -> Result<Box<dyn Detector>> {
    let kind = KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let hint = format!("Detectors are {}.", list(KINDS.iter().map(|kind| kind.name)));
        Error::new(&codes::UNKNOWN_KEY, format!("there is no detector `{name}`")).with_hint(hint)
    })?;
    let most = if kind.several { MAX_INPUTS } else { 1 };
    if !(1..=most).contains(&inputs) {
        let message = format!("the detector `{name}` takes 1 to {most} inputs, not {inputs}");
        return Err(Error::new(&codes::BAD_VALUE, message));
    }
    check(name, kind.knobs, settings)?;
    Ok((kind.make)(&Chosen { kind, settings, inputs, most_keys }))
}

/// Refuses settings that are none of these, or out of their bounds.
fn check(name: &str, knobs: &[Knob], settings: &[(&str, f64)]) -> Result<()> {
    for (given, value) in settings {
        let knob = knobs.iter().find(|knob| knob.name == *given).ok_or_else(|| {
            let hint = format!("Its settings are {}.", list(knobs.iter().map(|knob| knob.name)));
            Error::new(&codes::UNKNOWN_KEY, format!("the detector `{name}` has no setting `{given}`"))
                .with_hint(hint)
        })?;
        let (least, most) = knob.bounds;
        let wanted = match knob.only {
            [] => format!("a number from {least} to {most}"),
            only => only.iter().map(f64::to_string).collect::<Vec<_>>().join(" or "),
        };
        if !(least..=most).contains(value) || !(knob.only.is_empty() || knob.only.contains(value)) {
            let message = format!("`{given}` of the detector `{name}` is {value}");
            return Err(
                Error::new(&codes::BAD_VALUE, message).with_hint(format!("Write {wanted}. {}", knob.about))
            );
        }
    }
    Ok(())
}

/// What each of these is: as it was set, else its default. Errors: an unknown setting, one out of its bounds.
pub(super) fn chosen(
    name: &str,
    knobs: &'static [Knob],
    settings: &[(&str, f64)],
) -> Result<Vec<(&'static str, f64)>> {
    check(name, knobs, settings)?;
    let given =
        |knob: &Knob| settings.iter().rev().find(|(given, _)| *given == knob.name).map(|(_, value)| *value);
    Ok(knobs.iter().map(|knob| (knob.name, given(knob).unwrap_or(knob.default))).collect())
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
