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
use crate::work::{Work, sources_of};
use crate::{load, site, talk};

mod words;

/// How often a checkpoint is read anew whose files go while it is read.
const ATTEMPTS: usize = 3;

pub fn run(global: &Global, args: &WhyWindowArgs) -> anyhow::Result<ExitCode> {
    let Some(loaded) = load::load_beside(&args.file, &global.data)? else { return Ok(ExitCode::FAILURE) };
    let file = &loaded.pipeline;
    let names = || file.queries.iter().map(|query| query.name.as_str());
    let Some((query, plan)) = loaded.queries().find(|(query, _)| query.name == args.query) else {
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

/// A source with a watermark.
struct Source<'a> {
    name: &'a str,
    rule: Rule,
    /// Its latest event time.
    highest_ms: Option<i64>,
    /// If it is idle: when its latest event time came, or the first epoch was.
    quiet_since_ms: Option<i64>,
}

impl Source<'_> {
    /// Its own watermark.
    fn watermark_ms(&self) -> Option<i64> {
        self.highest_ms.map(|highest| highest.saturating_sub(self.rule.delay_ms))
    }
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
        let mut out = self.heading(holders, &past, &tracker);
        let asked = Asked {
            at_us: args.at.map(|ms| ms.saturating_mul(1_000)),
            past_us: tracker.times().evict.micros(),
            key: args.key.as_deref(),
            most: args.windows as usize,
        };
        let (mut told, mut more) = (Vec::new(), 0);
        for holder in holders {
            let past_us = asked.past_us.saturating_sub(holder.behind_ms.saturating_mul(1_000));
            let (spans, others) = holder.held(folder, past.committed, Asked { past_us, ..asked })?;
            if spans.is_empty() {
                out.push_str(&words::nothing(holder, args));
            }
            more += others;
            told.extend(spans.into_iter().map(|span| (holder, span)));
        }
        // Of all of them those that end first.
        told.sort_by_key(|(holder, span)| holder.end_us(span));
        more += told.len().saturating_sub(asked.most) as u64;
        told.truncate(asked.most);
        let are_several = holders.len() > 1;
        for (holder, span) in &told {
            out.push_str(&words::title(holder, span, are_several));
            out.push_str(&self.span(holder, span, &past, &tracker)?);
        }
        if more > 0 {
            let _ = writeln!(out, "… and {more} more; `-n` tells of more");
        }
        Ok(out)
    }

    /// What comes out when, and how far the watermark has come.
    fn heading(&self, holders: &[Holder], past: &Past, tracker: &Tracker) -> String {
        let mode = words::mode(self.plan.output_mode(), holders);
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
        let sources = self.sources(past, tracker);
        sources.iter().for_each(|source| out.push_str(&words::source(source)));
        let shown = self.shown(tracker);
        if shown > watermark {
            let _ = writeln!(out, "    the next epoch moves the watermark on, to {shown}");
        }
        out.push_str(words::ahead(watermark, &sources, self.query.watermark_policy));
        out
    }

    /// What the next epoch moves the watermark to at least, by what its sources have shown.
    fn shown(&self, tracker: &Tracker) -> Watermark {
        let all_speak = vec![true; self.rules.len()];
        tracker.next(self.now_ms, &all_speak, None).min(tracker.next(self.now_ms, &[], None))
    }

    /// The sources with a watermark, and how far each has come.
    fn sources(&self, past: &Past, tracker: &Tracker) -> Vec<Source<'_>> {
        let idle = tracker.idle(self.now_ms);
        let with_rule = self.plan.inputs().into_iter().zip(&self.rules).enumerate();
        let source = |(at, (name, rule)): (usize, (_, &Option<Rule>))| {
            let quiet_since_ms = past.time.quiet_since_ms.get(at).copied();
            Some(Source {
                name,
                rule: (*rule)?,
                highest_ms: past.time.observed.0.get(at).copied().flatten(),
                quiet_since_ms: quiet_since_ms.filter(|_| idle.contains(&at)),
            })
        };
        with_rule.filter_map(source).collect()
    }

    /// One window: what is held for it, and what it waits for.
    fn span(&self, holder: &Holder, span: &Span, past: &Past, tracker: &Tracker) -> Result<String> {
        let mut out = String::new();
        let end_us = holder.end_us(span);
        let due = Watermark(ceil_ms(end_us));
        let mode = self.plan.output_mode();
        if mode == OutputMode::Complete {
            out.push_str(&words::held(span));
        } else if tracker.times().evict.has_passed(end_us) {
            let _ = writeln!(out, "  over: {}", past.closed(end_us));
        } else {
            out.push_str(&words::held(span));
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
        let far = match tracker.times().evict {
            Watermark(0) => "there is no watermark yet".to_owned(),
            watermark => {
                format!("the watermark is {} before its end", words::span(due.0.saturating_sub(watermark.0)))
            }
        };
        if self.shown(tracker) >= due {
            return format!("  {far}; what its sources have shown is beyond it, so the next epoch ends it\n");
        }
        if tracker.next(self.now_ms, &[], Some(due.0)) >= due {
            let idle = "idle sources hold it back no more, so the next epoch ends it if nothing comes before";
            return format!("  {far}; {idle}\n");
        }
        let mut out = format!("  {far}\n");
        let all = self.sources(past, tracker);
        let is_behind = |source: &&Source<'_>| source.watermark_ms().is_none_or(|ms| ms < due.0);
        let each =
            if self.query.watermark_policy == WatermarkPolicy::Max { "any of these is enough: " } else { "" };
        for source in all.iter().filter(is_behind) {
            let needed = due.0.saturating_add(source.rule.delay_ms);
            let more = source.highest_ms.map_or_else(String::new, |highest| {
                format!(", {} later than it has", words::span(needed.saturating_sub(highest)))
            });
            let _ = writeln!(
                out,
                "  {each}`{}` must show an event time of {} or later{more}",
                source.name,
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

/// The first millisecond at which the watermark has reached this.
fn ceil_ms(us: i64) -> i64 {
    us.div_euclid(1_000).saturating_add(i64::from(us.rem_euclid(1_000) > 0))
}
