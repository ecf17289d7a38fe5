//! `forebay backtest`: what rules would have done with the rows of a table.
//!
//! ```text
//! table at rest ─[table]─▶ batches ─[turn, sorted]─▶ in the order of event time ─[frame]─▶ what the source would have decoded
//!     ─[run]─▶ the rules' own plans and machines, in threads ─[report, picture]─▶ what opened and cleared, beside the present rules
//! ```
//!
//! Conditions are planned by the code that plans them for a run, and the machines are `forebay_rules`'s. What must stay true: nothing is
//! written below the data folder and nobody is told of anything; rows that are left out are counted and told.

use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_engine::lookup::{Held, Newest};

use crate::alerts::PlannedAlert;
use crate::commands::wrong_name;
use crate::load::Loaded;

mod csv;
mod frame;
pub mod picture;
pub mod report;
mod run;
mod sorted;
mod table;
mod turn;

pub use frame::Frame;
pub use run::{Piece, Trial, Workers};
pub use table::{Asked, Rest, source_time};

/// Which rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those that are tried.
    New,
    /// Those that they are compared with.
    Present,
}

/// The rules of a file that are tried, all of one source.
pub struct Chosen {
    pub source: String,
    pub rules: Vec<PlannedAlert>,
}

/// The rules of these names, or all; of this source, or of the only one that they watch. `is_strict`: a name that is not there is wrong.
pub fn chosen(loaded: &Loaded, names: &[String], source: Option<&str>, is_strict: bool) -> Result<Chosen> {
    let known = || loaded.alerts.iter().map(|alert| alert.config.name.as_str());
    let is = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    if let Some(name) = names.iter().find(|name| is_strict && !known().any(|it| is(it, name))) {
        return Err(wrong_name("alert", name, known()));
    }
    let sources = || loaded.pipeline.sources.iter().map(|it| it.name.as_str());
    if let Some(name) = source.filter(|name| is_strict && !sources().any(|it| is(it, name))) {
        return Err(wrong_name("source", name, sources()));
    }
    let is_named =
        |alert: &&PlannedAlert| names.is_empty() || names.iter().any(|it| is(it, &alert.config.name));
    let is_of = |alert: &&PlannedAlert| source.is_none_or(|it| alert.sources.iter().any(|of| is(of, it)));
    let rules: Vec<&PlannedAlert> = loaded.alerts.iter().filter(is_named).filter(is_of).collect();
    let first = rules.first().and_then(|alert| alert.sources.first());
    let Some(source) = first.cloned() else {
        if !is_strict {
            return Ok(Chosen { source: source.unwrap_or_default().to_owned(), rules: Vec::new() });
        }
        let error = Error::new(
            &codes::WRONG_USE,
            format!("the pipeline `{}` has no such alert", loaded.pipeline.name),
        );
        return Err(error.with_hint("A backtest tries what stands under `alerts:`."));
    };
    for alert in &rules {
        possible(alert, &source)?;
    }
    Ok(Chosen { source, rules: rules.into_iter().cloned().collect() })
}

/// Refuses a rule whose rows do not follow from one row of one source each.
fn possible(alert: &PlannedAlert, source: &str) -> Result<()> {
    let name = &alert.config.name;
    let on = alert.config.on.text.trim();
    let refused = |message: String, hint: &str| {
        Err(Error::new(&codes::NOT_YET, message).at(format_args!("alerts.{name}")).with_hint(hint))
    };
    if alert.plan.remembers() {
        return refused(
            format!(
                "the alert `{name}` watches `{on}`, which remembers earlier rows, and a backtest does not run that"
            ),
            "It takes rules over the rows of one source, or of views that filter, compute, explode or join tables at rest: choose them with --rule.",
        );
    }
    if alert.plan.inputs().len() > 1 {
        return refused(
            format!(
                "the alert `{name}` watches `{on}`, which reads several sources, and a backtest has the rows of one"
            ),
            "Choose the others with --rule.",
        );
    }
    if alert.sources.iter().any(|it| it != source) {
        return refused(
            format!("the alert `{name}` is of another source than `{source}`, and a table stands for one"),
            "Say which with --source, or choose rules with --rule.",
        );
    }
    Ok(())
}

/// The rules, ready to run; joined with the tables at rest as they are now.
pub async fn trials(chosen: &Chosen, side: Side, loaded: &Loaded, now_ms: i64) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for alert in &chosen.rules {
        let held: Arc<Held> = match alert.plan.tables().is_empty() {
            true => Arc::default(),
            false => {
                let mut newest = Newest::new(&alert.plan, &loaded.tables, &alert.config.name)?;
                newest.look(now_ms).await?
            }
        };
        trials.push(Trial::new(alert, side, loaded.alerts.len(), held)?);
    }
    Ok(trials)
}
