//! `forebay plan`: what `forebay run` would do with each query and alert, before anything is done.
//!
//! Reads the file, the checkpoints, what gateways there were, and the heads of the tables under the data folder, works beside a pipeline that runs,
//! and touches nothing. What the verdicts mean stands in [`crate::foresight`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use forebay_core::config::{Pipeline, Problem, SourceConfig};
use forebay_core::{Error, Positions, Result};
use forebay_engine::checkpoint::definition::{self, Change};
use forebay_rules::Recalled;
use serde_json::{Value, json};

use crate::cli::{Global, PlanArgs, PlanFormat};
use crate::foresight::{Foreseen, Verdict};
use crate::load::Loaded;
use crate::runnable::Run;
use crate::work::{self, Chosen, Work};
use crate::{alerts, definition as current, facts, load, talk};

mod cycles;
mod gates;

use gates::Gates;
pub use gates::reaches;

pub async fn run(global: &Global, args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let run = Run { data: &global.data, trigger: None, needs_tables: false, only: &[] };
    let Some(loaded) = load::load_or_explain(&args.file, Some(run))? else { return Ok(ExitCode::FAILURE) };
    let plan = Plan::of(&global.data, &loaded).await?;
    talk::print(&match args.format {
        PlanFormat::Text => plan.text(),
        PlanFormat::Json => format!("{:#}\n", plan.document()),
    })?;
    Ok(if plan.is_safe() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What would become of everything.
struct Plan<'a> {
    data: &'a Path,
    file: &'a Pipeline,
    /// Queries, then alerts, in the order of the file.
    all: Vec<Planned<'a>>,
    /// Checkpoints of this pipeline that nothing of the file has, by name of the query.
    left: BTreeMap<String, PathBuf>,
    /// Other pipelines that have checkpoints, told where this one has none: its name may have changed.
    others: Vec<String>,
    /// Why tables at rest cannot be read, for which `forebay run` refuses the file.
    absent: &'a [Problem],
    /// What the page would show otherwise; `None` if it is not known what it showed.
    page: Option<Vec<Change>>,
    gateways: Gates<'a>,
}

struct Planned<'a> {
    it: Chosen<'a>,
    foreseen: Foreseen,
    /// Alerts that it has open.
    open: usize,
    /// Where its cycles stand, if it has some.
    cycle: Option<String>,
}

impl<'a> Plan<'a> {
    async fn of(data: &'a Path, loaded: &'a Loaded) -> Result<Self> {
        let file = &loaded.pipeline;
        let mut all = Vec::new();
        for it in work::chosen(loaded, &[])? {
            let foreseen = facts::gather(data, loaded, &it).await?.foresee();
            let checkpoint = it.work.checkpoint(data, &file.name);
            let (open, cycle) = (open_alerts(&checkpoint), cycles::stand(&it.work, &checkpoint));
            all.push(Planned { it, foreseen, open, cycle });
        }
        let folder = current::page_folder(data, &file.name);
        let shown = definition::recall(&folder).unwrap_or_default();
        let page = shown.map(|was| was.changes(&current::of_page(&file.dashboard)));
        let (left, others) = (left(data, loaded), other_pipelines(data, file));
        let gateways = Gates::of(data, file);
        Ok(Self { data, file, all, left, others, absent: &loaded.absent, page, gateways })
    }

    fn is_safe(&self) -> bool {
        self.absent.is_empty() && self.all.iter().all(Planned::is_safe)
    }

    /// True if a start would go on with everything as it was.
    fn is_same(&self) -> bool {
        let is_unchanged = |planned: &Planned<'_>| planned.foreseen.verdict == Verdict::Unchanged;
        let is_same_page = self.page.as_ref().is_some_and(Vec::is_empty);
        self.all.iter().all(is_unchanged)
            && self.left.is_empty()
            && is_same_page
            && self.gateways.changes.is_empty()
    }

    fn text(&self) -> String {
        let mut out = format!("pipeline `{}` against {}\n", self.file.name, self.data.display());
        self.all.iter().for_each(|planned| out.push_str(&planned.text()));
        out.push_str(&self.gateways.text());
        for (name, folder) in &self.left {
            let alerts = match open_alerts(folder) {
                0 => String::new(),
                open => format!("; the {} that it has open end", counted(open)),
            };
            out.push_str(&format!(
                "  - {name}: is not in the file; nothing reads its checkpoint {}, which stays{alerts}\n",
                folder.display()
            ));
        }
        if let Some(changes) = self.page.as_ref().filter(|changes| !changes.is_empty()) {
            let parts: Vec<&str> = changes.iter().map(|change| change.what.as_str()).collect();
            out.push_str(&format!("  ~ dashboard: is not what it was: {}\n", parts.join(", ")));
        }
        if !self.others.is_empty() {
            out.push_str(&format!(
                "  This pipeline has no checkpoint here; there are some of {}. Did its name change?\n",
                self.others.join(", ")
            ));
        }
        let refused = self.all.iter().filter(|planned| !planned.is_safe()).count();
        out.push_str(&match refused {
            0 if !self.absent.is_empty() => {
                "`forebay run` would refuse the file: a table is not there.\n".to_owned()
            }
            0 => "`forebay run` refuses none of these.\n".to_owned(),
            refused => format!("`forebay run` would refuse {refused} of these {}.\n", self.all.len()),
        });
        out
    }

    fn document(&self) -> Value {
        let of = |is_alert: bool| -> Vec<Value> {
            let chosen = self.all.iter().filter(|planned| planned.is_alert() == is_alert);
            chosen.map(|planned| planned.document(self.data, &self.file.name)).collect()
        };
        let left = self.left.iter().map(|(name, folder)| json!({ "name": name, "checkpoint": folder }));
        json!({
            "pipeline": self.file.name,
            "safe": self.is_safe(),
            "same": self.is_same(),
            "queries": of(false),
            "alerts": of(true),
            "absentTables": self.absent.iter().map(|problem| told(&problem.error)).collect::<Vec<_>>(),
            "left": left.collect::<Vec<_>>(),
            "dashboard": self.page,
            "gateways": self.gateways.document(),
            "otherPipelines": self.others,
        })
    }
}

impl Planned<'_> {
    fn is_safe(&self) -> bool {
        self.foreseen.verdict != Verdict::Refused
    }

    fn is_alert(&self) -> bool {
        matches!(self.it.work, Work::Alert(_))
    }

    fn text(&self) -> String {
        let Self { it, foreseen, open, cycle } = self;
        let stay = match open {
            0 => String::new(),
            open => format!("; the {} that it has open stay", counted(*open)),
        };
        let goes_on = || goes_on(foreseen) + &stay;
        let (mark, what) = match foreseen.verdict {
            Verdict::New => {
                ("+", format!("is new: it begins where the options of {} say", sources(&it.sources)))
            }
            Verdict::Unchanged => ("=", goes_on()),
            Verdict::Unknown => ("=", goes_on() + "; what it was when it last ran is not known"),
            Verdict::Changed => ("~", goes_on() + ", and is not what it was"),
            Verdict::Refused => ("!", "would be refused".to_owned()),
        };
        let mut out = format!("  {mark} {}: {what}\n", it.work.name());
        out.extend(cycle.iter().map(|cycle| format!("      {cycle}\n")));
        for change in &foreseen.changes {
            let shown = |text: &Option<String>| match text {
                Some(text) => text.lines().map(str::trim).collect::<Vec<_>>().join(" "),
                None => "(nothing)".to_owned(),
            };
            out.push_str(&format!(
                "      {}\n        was  {}\n        is   {}\n",
                change.what,
                shown(&change.was),
                shown(&change.is)
            ));
        }
        if let Some(error) = &foreseen.error {
            out.push_str(&format!("      {error}\n      {}\n", error.hint()));
        }
        out
    }

    fn document(&self, data: &Path, pipeline: &str) -> Value {
        let Foreseen { verdict, epoch, again, positions, changes, error } = &self.foreseen;
        let places = positions.iter().map(|(partition, at)| {
            let mut place =
                json!({ "topic": &*partition.topic, "partition": partition.index, "offset": at.0 });
            if partition.input > 0 {
                place["input"] = partition.input.into();
            }
            place
        });
        json!({
            "name": self.it.work.name(),
            "verdict": verdict,
            "checkpoint": self.it.work.checkpoint(data, pipeline),
            "epoch": epoch.map(|epoch| epoch.0),
            "again": again,
            "positions": places.collect::<Vec<_>>(),
            "changes": changes,
            "cycle": self.cycle,
            "error": error.as_ref().map(told),
        })
    }
}

fn told(error: &Error) -> Value {
    json!({ "code": error.code().id, "message": error.message(), "hint": error.hint() })
}

/// Open alerts in the folder of a checkpoint; none where nothing says so.
fn open_alerts(folder: &Path) -> usize {
    Recalled::read(folder).map_or(0, |recalled| recalled.open())
}

fn counted(alerts: usize) -> String {
    if alerts == 1 { "1 alert".to_owned() } else { format!("{alerts} alerts") }
}

fn goes_on(foreseen: &Foreseen) -> String {
    let epoch = foreseen.epoch.map_or_else(String::new, |epoch| epoch.to_string());
    let places = places(&foreseen.positions);
    let at = if places.is_empty() { String::new() } else { format!(" at {}", places.join(", ")) };
    match foreseen.again {
        true => format!("goes on with epoch {epoch}, which was begun, once more{at}"),
        false => format!("goes on with epoch {epoch}{at}"),
    }
}

/// `source `l`` or `sources `l` and `r``.
fn sources(sources: &[&SourceConfig]) -> String {
    let names: Vec<String> = work::distinct(sources).iter().map(|it| format!("`{}`", it.name)).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("source{plural} {}", names.join(" and "))
}

fn places(positions: &Positions) -> Vec<String> {
    positions.iter().map(|(partition, at)| format!("{partition} {at}")).collect()
}

/// Checkpoints of this pipeline that no query and no alert of the file has.
fn left(data: &Path, loaded: &Loaded) -> BTreeMap<String, PathBuf> {
    let name = &loaded.pipeline.name;
    let is_used = |folder: &Path| work::all(loaded).any(|(work, _)| work.checkpoint(data, name) == folder);
    let folders = children(&current::page_folder(data, name)).into_iter();
    let left = folders.filter(|(_, folder)| folder.join("metadata").exists() && !is_used(folder));
    left.map(|(name, folder)| (alerts::query_of(&name), folder)).collect()
}

fn other_pipelines(data: &Path, file: &Pipeline) -> Vec<String> {
    let all = children(&data.join("checkpoints"));
    if all.contains_key(&file.name) { Vec::new() } else { all.into_keys().collect() }
}

/// The folders in a folder, by name; none if it cannot be read.
fn children(folder: &Path) -> BTreeMap<String, PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect()
}
