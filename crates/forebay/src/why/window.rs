//! `forebay why window`: why a window has not come out, and when it will.
//!
//! ```text
//! checkpoint: journal ─▶ how far each source has come ─▶ Tracker ─▶ watermark ─┐
//!             state   ─▶ the keys that are held for the window ────────────────┴▶ what it waits for
//! late table          ─▶ rows that missed it
//! ```
//!
//! What must stay true: nothing is guessed. The watermark is computed by the code that the query runs, from what its newest
//! committed epoch left; what the journal does not hold any more is said not to be known.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use forebay_core::checkpoint::{Entry, KnownTime, Plan, Recovery, decide};
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::config::QueryConfig;
use forebay_core::error::codes;
use forebay_core::event_time::{Rule, Tracker, Watermark, WatermarkPolicy};
use forebay_core::output_mode::OutputMode;
use forebay_core::progress::iso_millis;
use forebay_core::{Epoch, Error, Result};
use forebay_engine::checkpoint;
use forebay_engine::held::{Asked, Ends, Holder, Span};
use forebay_engine::late;
use forebay_engine::plan::StreamPlan;

use crate::cli::{Global, WhyWindowArgs};
use crate::commands::wrong_name;
use crate::definition::words;
use crate::work::{Work, sources_of};
use crate::{load, site, talk};

/// Keys of a window that are named.
const NAMED: usize = 8;

/// How often a checkpoint is read anew whose files go while it is read.
const ATTEMPTS: usize = 3;

pub fn run(global: &Global, args: &WhyWindowArgs) -> anyhow::Result<ExitCode> {
    let Some(loaded) = load::load_beside(&args.file, &global.data)? else { return Ok(ExitCode::FAILURE) };
    let file = &loaded.pipeline;
    let names = || file.queries.iter().map(|query| query.name.as_str());
    let mut both = file.queries.iter().zip(&loaded.plans);
    let Some((query, plan)) = both.find(|(query, _)| query.name == args.query) else {
        return Err(wrong_name("query", &args.query, names()).into());
    };
    let holders = plan.holders();
    if holders.is_empty() {
        let message = format!("the query `{}` remembers nothing: its rows come out at once", query.name);
        let hint = "Ask of a query with a window, another GROUP BY, DISTINCT or `deduplicate`; of rows tells `forebay why row`.";
        return Err(Error::new(&codes::WRONG_USE, message).with_hint(hint).into());
    }
    let sources = sources_of(&file.sources, plan)?;
    let rules = site::memory(Work::Query(query), plan, &sources, PathBuf::new()).rules;
    let folder = load::checkpoint_folder(&global.data, &file.name, query);
    let story = Story {
        query,
        plan,
        rules,
        now_ms: SystemClock.now_ms(),
        late: late::folder(&global.data, &file.name, &query.name),
    };
    talk::print(&story.told(&folder, &holders, args)?)?;
    Ok(ExitCode::SUCCESS)
}

struct Story<'a> {
    query: &'a QueryConfig,
    plan: &'a StreamPlan,
    rules: Vec<Option<Rule>>,
    now_ms: i64,
    /// The folder of its late rows.
    late: PathBuf,
}

/// What the journal says of time.
struct Past {
    /// The newest committed epoch.
    committed: Option<Epoch>,
    plans: Vec<Plan>,
    time: KnownTime,
}

impl Story<'_> {
    /// Everything, read again if the query removes files meanwhile.
    fn told(&self, folder: &Path, holders: &[Holder], args: &WhyWindowArgs) -> Result<String> {
        let mut attempt = 1;
        loop {
            let told = self.read(folder, holders, args);
            match told {
                Err(error) if attempt < ATTEMPTS && error.code() != &codes::CHECKPOINT_NOT_FOUND => {
                    attempt += 1
                }
                told => return told,
            }
        }
    }

    fn read(&self, folder: &Path, holders: &[Holder], args: &WhyWindowArgs) -> Result<String> {
        let past = Past::read(folder)?;
        let tracker = past.tracker(&self.rules, self.query.watermark_policy);
        let mut out = self.heading(&past, &tracker);
        let asked = Asked {
            at_us: args.at.map(|ms| ms.saturating_mul(1_000)),
            past_us: tracker.times().evict.micros(),
            key: args.key.as_deref(),
            most: args.windows as usize,
        };
        for holder in holders {
            let past_us = asked.past_us.saturating_sub(holder.behind_ms.saturating_mul(1_000));
            let spans = holder.held(folder, past.committed, Asked { past_us, ..asked })?;
            if spans.is_empty() {
                out.push_str(&nothing(holder, args));
            }
            for span in &spans {
                out.push_str(&self.span(holder, span, &past, &tracker)?);
            }
        }
        Ok(out)
    }

    /// What the query does with windows, and how far its watermark has come.
    fn heading(&self, past: &Past, tracker: &Tracker) -> String {
        let mode = match self.plan.output_mode() {
            OutputMode::Append => "append: a window comes out once, when the watermark has reached its end",
            OutputMode::Update => {
                "update: a window comes out with every epoch that changes it; the watermark only ends it"
            }
            OutputMode::Complete => "complete: all windows come out with every epoch, and none ends",
        };
        let mut out = format!("query `{}`, mode {mode}\n", self.query.name);
        let after = match past.committed {
            Some(epoch) => format!("after epoch {epoch}"),
            None => "no epoch is committed yet".to_owned(),
        };
        let watermark = tracker.times().evict;
        let _ = match watermark {
            _ if self.rules.iter().all(Option::is_none) => writeln!(out, "  no source of it has a watermark"),
            Watermark(0) => writeln!(out, "  watermark  none yet ({after})"),
            watermark => writeln!(out, "  watermark  {watermark} ({after})"),
        };
        for (name, rule, highest) in self.inputs(past) {
            let delay = words(std::time::Duration::from_millis(rule.delay_ms.unsigned_abs()));
            let _ = match highest {
                Some(ms) => writeln!(
                    out,
                    "    {name}: its latest event time is {}, less the delay of {delay}: {}",
                    iso_millis(ms),
                    iso_millis(ms.saturating_sub(rule.delay_ms))
                ),
                None => writeln!(out, "    {name}: has shown no event time yet"),
            };
        }
        out
    }

    /// The sources with a watermark, and how far each has come.
    fn inputs(&self, past: &Past) -> Vec<(&str, Rule, Option<i64>)> {
        let with_rule = self.plan.inputs().into_iter().zip(&self.rules).enumerate();
        let known = |at: usize| past.time.observed.0.get(at).copied().flatten();
        with_rule.filter_map(|(at, (name, rule))| Some((name, (*rule)?, known(at)))).collect()
    }

    /// One window: what is held for it, and what it waits for.
    fn span(&self, holder: &Holder, span: &Span, past: &Past, tracker: &Tracker) -> Result<String> {
        let (what, start, end) = (noun(holder.ends), shown(span.start_us), shown(span.end_us));
        let mut out = match holder.ends {
            Ends::Time => format!("{what} {end}\n"),
            _ => format!("{what} {start} to {end}\n"),
        };
        // Behind a join the query's watermark must go so much further.
        let behind_us = holder.behind_ms.saturating_mul(1_000);
        let end_us = span.end_us.saturating_add(behind_us);
        let due = Watermark(ceil_ms(end_us));
        let mode = self.plan.output_mode();
        if mode == OutputMode::Complete {
            out.push_str(&held(span));
        } else if tracker.times().evict.has_passed(end_us) {
            let _ = writeln!(out, "  over: {}", past.closed(end_us));
        } else {
            out.push_str(&held(span));
            out.push_str(&self.waits(due, past, tracker));
        }
        if let Ends::Window(_) | Ends::Column(_) = holder.ends {
            let late = missed(&self.late, span)?;
            if late > 0 {
                let _ = writeln!(
                    out,
                    "  {late} row(s) came too late for it: SELECT * FROM late.{}",
                    self.query.name
                );
            }
        }
        Ok(out)
    }

    /// What must come for the watermark to reach this.
    fn waits(&self, due: Watermark, past: &Past, tracker: &Tracker) -> String {
        let short = due.0.saturating_sub(tracker.times().evict.0);
        let mut out = match tracker.times().evict {
            Watermark(0) => String::new(),
            _ => format!("  the watermark is {} before its end\n", span_words(short)),
        };
        if tracker.next(self.now_ms, &[], Some(due.0)) >= due {
            out.push_str("  the next epoch ends it\n");
            return out;
        }
        let all = self.inputs(past);
        let is_behind = |(_, rule, highest): &&(&str, Rule, Option<i64>)| {
            highest.is_none_or(|highest| highest.saturating_sub(rule.delay_ms) < due.0)
        };
        let each =
            if self.query.watermark_policy == WatermarkPolicy::Max { "any of these is enough: " } else { "" };
        for (name, rule, highest) in all.iter().filter(is_behind) {
            let needed = due.0.saturating_add(rule.delay_ms);
            let more = match highest {
                Some(highest) => {
                    format!(", {} later than it has", span_words(needed.saturating_sub(*highest)))
                }
                None => String::new(),
            };
            let _ = writeln!(
                out,
                "  {each}`{name}` must show an event time of {} or later{more}",
                iso_millis(needed)
            );
        }
        let _ = match tracker.reaches_at(due, self.now_ms) {
            Some(at) => {
                writeln!(out, "  if nothing more comes, it ends at {} (`idleTimeout`)", iso_millis(at))
            }
            None => writeln!(out, "  if nothing more comes, it stays open: no `idleTimeout` ends it"),
        };
        out
    }
}

impl Past {
    /// Reads a journal; one that is not there yet has no past.
    fn read(folder: &Path) -> Result<Self> {
        let shown = checkpoint::show(folder)?;
        let ends = shown.ends();
        let committed = ends.commit.as_ref().map(|commit| commit.epoch);
        let time = match decide(ends.plan, ends.outcome, ends.commit, committed)? {
            Recovery::Fresh => KnownTime::default(),
            Recovery::Replay { time, .. } | Recovery::Continue { time, .. } => time,
        };
        let plan = |entry| if let Entry::Plan(plan) = entry { Some(plan) } else { None };
        Ok(Self { committed, plans: shown.entries.into_iter().filter_map(plan).collect(), time })
    }

    fn tracker(&self, rules: &[Option<Rule>], policy: WatermarkPolicy) -> Tracker {
        let mut tracker = Tracker::new(rules.iter().copied(), policy);
        tracker.restore(self.time.times, &self.time.observed, &self.time.quiet_since_ms);
        tracker
    }

    /// Which epoch ended what ends at this time.
    fn closed(&self, end_us: i64) -> String {
        let passed = |plan: &&Plan| plan.times.is_some_and(|times| times.evict.has_passed(end_us));
        match self.plans.iter().find(passed) {
            Some(plan) if plan.times.is_some_and(|times| !times.late.has_passed(end_us)) => {
                format!("epoch {}, at {}, ended it", plan.epoch, iso_millis(plan.planned_at_ms))
            }
            Some(plan) => format!(
                "an epoch before {}, the oldest that its checkpoint still holds, ended it",
                plan.epoch
            ),
            None => "which epoch ended it is not known".to_owned(),
        }
    }
}

/// Of a holder with nothing to tell.
fn nothing(holder: &Holder, args: &WhyWindowArgs) -> String {
    let of = args.key.as_ref().map_or_else(String::new, |key| format!(" of key `{key}`"));
    match (holder.ends, args.at) {
        (Ends::Never, _) => format!("`{}` ends nothing by time: what it holds stays\n", holder.name),
        (_, None) => format!("`{}` holds nothing{of} that is open\n", holder.name),
        (_, Some(_)) => {
            format!("`{}` holds nothing{of} for that time: no row came, or what came is over\n", holder.name)
        }
    }
}

/// The keys that are held for it.
fn held(span: &Span) -> String {
    let count = span.keys.len();
    if count == 0 {
        return "  open: nothing is held for it, so nothing would come out\n".to_owned();
    }
    let mut named: Vec<&str> =
        span.keys.iter().map(String::as_str).filter(|key| !key.is_empty()).take(NAMED).collect();
    if named.is_empty() {
        return "  open: rows are held for it\n".to_owned();
    }
    if count > named.len() {
        named.push("…");
    }
    format!("  open: {count} key(s) held for it: {}\n", talk::one_line(&named.join("; ")))
}

/// Rows that came too late for a window.
fn missed(folder: &Path, span: &Span) -> Result<u64> {
    let Some((_, batches)) = late::rows(folder)? else { return Ok(0) };
    let mut count = 0;
    for batch in batches {
        count += missed_in(&batch?, span).unwrap_or(0);
    }
    Ok(count)
}

fn missed_in(batch: &RecordBatch, span: &Span) -> Option<u64> {
    let window = batch.column_by_name(late::LATE_COLUMN)?.as_struct_opt()?.column_by_name("window")?;
    let window = window.as_struct_opt()?;
    let bound = |name: &str| window.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>();
    let (starts, ends) = (bound("start")?, bound("end")?);
    let is_it = |row: &usize| {
        window.is_valid(*row) && (starts.value(*row), ends.value(*row)) == (span.start_us, span.end_us)
    };
    Some((0..window.len()).filter(is_it).count() as u64)
}

fn noun(ends: Ends) -> &'static str {
    match ends {
        Ends::Window(_) | Ends::Column(_) => "window",
        Ends::Session => "session",
        Ends::Time => "event time",
        Ends::Within(_) => "known key, from",
        Ends::Unmet(_) => "row that may yet meet another, from",
        Ends::Never => "key",
    }
}

/// Microseconds as people read them.
fn shown(us: i64) -> String {
    iso_millis(us.div_euclid(1_000))
}

/// The first millisecond at which the watermark has reached this.
fn ceil_ms(us: i64) -> i64 {
    us.div_euclid(1_000).saturating_add(i64::from(us.rem_euclid(1_000) > 0))
}

fn span_words(ms: i64) -> String {
    words(std::time::Duration::from_millis(ms.max(0).unsigned_abs()))
}
