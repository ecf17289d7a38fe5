//! The first line: is all well? if not, where? since when? Decided from what is known, in the order of urgency that
//! the page has too, and in its words (web/src/state/status.ts): who knows nothing must not say "all well"; a ledger
//! that does not add up outranks all, because data may be lost; behind a failing query alerts may be missing; an alert
//! outranks a query that somebody stopped, that a changed file which was refused, that a table
//! which cannot be read, that rows which a sink refused, and that a backlog. What is stopped is
//! said at every level: behind it something is missing.

use std::collections::BTreeSet;

use forebay_core::config::Severity;

use super::bounds::Plain;
use super::line::Tone;
use super::model::{Link, Model};
use super::text::{Zone, clock, count, counted, many, millis, moment, rate, span};
use super::words::{BrokenTable, Follower, Problem, Query, RefusedRows, Tick};

/// A backlog below this many seconds of the present rate, or this many records, is not worth a word.
const LAG: (f64, u64) = (5.0, 100);

/// Rows that were refused longer ago than this are not what the first line is about; they are in the quarantine still.
const LATELY_MS: i64 = 24 * 3_600_000;

/// More sources than these are not told one by one.
const MOST_SOURCES: usize = 3;

/// How it stands, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How bad it is.
    pub tone: Tone,
    /// A sign for it, so that it is not told by colour alone.
    pub sign: &'static str,
    /// The answer in a few words.
    pub headline: String,
    /// What to know besides.
    pub parts: Vec<String>,
    /// What may help.
    pub hint: Option<String>,
    /// Whether something is wrong with Forebay itself: then the exit status of a snapshot is 1.
    pub is_failure: bool,
}

fn said(tone: Tone, headline: String, parts: Vec<String>) -> Verdict {
    let sign = match tone {
        Tone::Bad => "▲",
        Tone::Warn => "◆",
        Tone::Good => "✓",
        _ => "○",
    };
    Verdict { tone, sign, headline, parts, hint: None, is_failure: false }
}

/// The sign of a severity, and its tone.
pub fn of_severity(severity: Severity) -> (&'static str, Tone) {
    match severity {
        Severity::Critical => ("▲", Tone::Bad),
        Severity::Warning => ("◆", Tone::Warn),
        Severity::Info => ("●", Tone::Strong),
    }
}

/// How it stands.
pub fn verdict(model: &Model, zone: Zone) -> Verdict {
    let tick = match (&model.link, &model.tick) {
        (Link::Lost { since, why }, tick) => {
            let headline =
                format!("No word from Forebay since {}; it is asked again and again", clock(*since, zone));
            let mut parts = vec![why.detail().unwrap_or(why.message()).to_owned()];
            parts.extend(tick.is_some().then(|| "what stands below is from then".to_owned()));
            let hint = Some(why.hint().to_owned());
            return Verdict { hint, is_failure: true, ..said(Tone::Bad, headline, parts) };
        }
        (_, None) => return said(Tone::Plain, "Asking Forebay …".to_owned(), Vec::new()),
        (_, Some(tick)) => tick,
    };
    let open = model.open();
    if !tick.ledgers.balance() {
        let problems = tick.problems.len() as u64;
        let trouble = (problems > 0).then(|| counted(problems, "problem", "problems"));
        let parts = [stops(model, tick), trouble, alerts(open)].into_iter().flatten().collect();
        let hint = "Records may be lost or doubled. Keep the data folder as it is and report this.";
        let verdict = said(Tone::Bad, "The ledger does not balance".to_owned(), parts);
        return Verdict { hint: Some(hint.to_owned()), is_failure: true, ..verdict };
    }
    if let Some(first) = tick.problems.first() {
        return failing(model, tick, first, open, zone);
    }
    if tick.status == "failing" {
        let parts = [stops(model, tick), alerts(open)].into_iter().flatten().collect();
        return Verdict { is_failure: true, ..said(Tone::Bad, "Forebay is failing".to_owned(), parts) };
    }
    if open > 0 {
        return alerting(model, tick, open, zone);
    }
    calm(model, tick, zone)
}

fn failing(model: &Model, tick: &Tick, first: &Problem, open: u64, zone: Zone) -> Verdict {
    let headline = format!("{}{}", subject(first), since(&first.since, tick, zone));
    let what = first.error.as_ref().unwrap_or(&first.what);
    // An error as a text begins with its code.
    let code = first.code.as_ref().filter(|code| !what.starts_with(code.as_str()));
    let mut parts = vec![code.map_or_else(|| what.clone(), |code| format!("{code} {what}"))];
    let more = tick.problems.len() as u64 - 1;
    parts.extend((more > 0).then(|| counted(more, "more problem", "more problems")));
    parts.extend(stops(model, tick));
    parts.extend(tables(tick, zone));
    parts.extend(rows_refused(tick, zone));
    parts.extend(alerts(open));
    Verdict { hint: first.hint.clone(), is_failure: true, ..said(Tone::Bad, headline, parts) }
}

/// ` since 14:03`, or nothing where that is not known.
fn since(since: &Plain, tick: &Tick, zone: Zone) -> String {
    millis(&since.0).map_or_else(String::new, |at| format!(" since {}", moment(at, tick.now, zone)))
}

fn subject(problem: &Problem) -> String {
    match (&problem.query, &problem.gateway, &problem.source) {
        (Some(query), _, _) => format!("Query {query} is failing"),
        (None, Some(gateway), _) => format!("Gateway {gateway} has no connection"),
        (None, None, Some(source)) => format!("The history of {source} is not saved"),
        (None, None, None) => "Forebay is failing".to_owned(),
    }
}

fn alerting(model: &Model, tick: &Tick, total: u64, zone: Zone) -> Verdict {
    let mut parts: Vec<String> = stops(model, tick).into_iter().collect();
    let stopped = !parts.is_empty();
    parts.extend(tables(tick, zone));
    parts.extend(rows_refused(tick, zone));
    parts.extend(sending(tick));
    parts.push(waits(tick, stopped));
    // The worst, and of those the one that is open for longest.
    let open = model.alerts.iter().filter(|alert| alert.is_open());
    let Some(first) = open.min_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.opened_at)) else {
        let worst =
            tick.alerts.by_severity.iter().filter(|(_, count)| **count > 0).map(|(severity, _)| *severity);
        let (_, tone) = of_severity(worst.max().unwrap_or_default());
        return said(tone, many(total, "open alert"), parts);
    };
    let (_, tone) = of_severity(first.severity);
    let critical = tick.alerts.by_severity.get(&Severity::Critical).copied().unwrap_or_default();
    let lead = match (total, first.severity) {
        (1, Severity::Critical) => "1 critical alert".to_owned(),
        (1, Severity::Info) => "1 notice".to_owned(),
        (1, Severity::Warning) => "1 alert".to_owned(),
        _ if critical > 0 && critical < total => {
            format!("{}, {} critical", many(total, "alert"), count(critical))
        }
        _ => many(total, "alert"),
    };
    let what = first.words();
    let what = what.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    let since = moment(first.opened_at, tick.now, zone);
    said(tone, format!("{lead}: {what} since {since}"), parts)
}

fn calm(model: &Model, tick: &Tick, zone: Zone) -> Verdict {
    let (devices, shows_devices) = (tick.devices, !tick.followers.is_empty());
    let mut parts = sending(tick);
    if shows_devices && devices.total == 0 {
        let mut parts: Vec<String> = stops(model, tick).into_iter().collect();
        parts.push("the first event will show here by itself".to_owned());
        return said(Tone::Plain, "Ready, and nothing has been sent yet".to_owned(), parts);
    }
    if let Some(headline) = stops(model, tick) {
        let is_unknown = stopped(model, tick).any(|query| query.lag.is_none());
        let unknown = if is_unknown { ", how much is not known" } else { "" };
        parts.push(format!("what comes meanwhile waits in the log{unknown}"));
        return said(Tone::Warn, headline, parts);
    }
    if let Some(file) = &tick.refused_reload {
        let headline = format!("The changed file is refused{}", since(&file.since, tick, zone));
        let why = file.error.clone().unwrap_or_else(|| file.what.clone());
        let parts = vec![why, "all goes on by the file before".to_owned()];
        return Verdict { hint: file.hint.clone(), ..said(Tone::Warn, headline, parts) };
    }
    if let Some(table) = tick.broken_tables.first() {
        return unreadable(tick, table, zone);
    }
    if let Some(headline) = rows_refused(tick, zone) {
        let hint = "`forebay quarantine ls` tells each with the sink's words. Mend what they name, put the rows in by hand, then `forebay quarantine drop` them.";
        let parts = vec!["all other rows are written".to_owned()];
        return Verdict { hint: Some(hint.to_owned()), ..said(Tone::Warn, headline, parts) };
    }
    if lag_matters(tick) {
        let worst = tick.queries.iter().filter(|query| query.lag > Some(0)).max_by_key(|query| query.lag);
        let who = worst.map_or_else(|| "Queries are".to_owned(), |query| format!("Query {} is", query.name));
        let behind = count(worst.and_then(|query| query.lag).or(tick.lag).unwrap_or_default());
        return said(Tone::Warn, format!("{who} {behind} records behind"), parts);
    }
    if let Some(late) = tick.followers.iter().find(|follower| follower.behind) {
        let behind =
            late.lag.map_or_else(|| "behind".to_owned(), |lag| format!("{} records behind", count(lag)));
        parts.push("queries are not held up by it".to_owned());
        return said(Tone::Warn, format!("What is shown here is {behind}"), parts);
    }
    if shows_devices && devices.live == 0 {
        let parts = vec![format!("{} quiet", many(devices.quiet, "device")), waits(tick, false)];
        return said(Tone::Warn, "No device is sending".to_owned(), parts);
    }
    parts.extend((devices.quiet > 0).then(|| format!("{} quiet", count(devices.quiet))));
    parts.extend(tick.followers.iter().filter_map(clocks));
    parts.push(waits(tick, false));
    let cleared = model.alerts.iter().filter_map(|alert| alert.cleared_at).max();
    let since = cleared.unwrap_or_default().max(model.hello.started_at);
    let well = match since {
        0 => "All well".to_owned(),
        since => format!("All well since {}", moment(since, tick.now, zone)),
    };
    said(Tone::Good, well, parts)
}

/// A table at rest of which a newer version cannot be read: the epochs go on with the one before.
fn unreadable(tick: &Tick, table: &BrokenTable, zone: Zone) -> Verdict {
    let Problem { code, message, place, hint, .. } = &table.error;
    let why = [code, message].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    let place = place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    let parts = vec![format!("{why}{place}"), "the version read before is used".to_owned()];
    let headline = tables(tick, zone).unwrap_or_default();
    Verdict { hint: hint.clone(), ..said(Tone::Warn, headline, parts) }
}

/// The tables that cannot be read, in one part; none if all can. A table is told once, however many queries read it.
fn tables(tick: &Tick, zone: Zone) -> Option<String> {
    let first = tick.broken_tables.first()?;
    let names: BTreeSet<&str> = tick.broken_tables.iter().map(|table| table.name.as_str()).collect();
    if names.len() > 1 {
        return Some(format!("{} cannot be read", many(names.len() as u64, "table")));
    }
    Some(format!("The table {} cannot be read{}", first.name, since(&first.since, tick, zone)))
}

/// Rows that sinks refused lately and that nobody has dealt with, in one part; none if there are none.
fn rows_refused(tick: &Tick, zone: Zone) -> Option<String> {
    let lately = |of: &&RefusedRows| of.rows > 0 && tick.now.saturating_sub(of.newest) < LATELY_MS;
    let newest = tick.quarantine.refused.iter().filter(lately).max_by_key(|of| of.newest)?;
    let all: u64 = tick.quarantine.refused.iter().filter(lately).map(|of| of.rows).sum();
    let several = tick.quarantine.refused.iter().filter(lately).count() > 1;
    let who = if several { "several queries".to_owned() } else { format!("query {}", newest.query) };
    let (rows, were) = (many(all, "row"), if all == 1 { "was" } else { "were" });
    Some(format!(
        "{rows} of {who} {were} refused by the sink, the last at {}",
        moment(newest.newest, tick.now, zone)
    ))
}

/// Devices of a source whose clocks are off, and which is furthest off; none while all are right.
fn clocks(follower: &Follower) -> Option<String> {
    let clocks = follower.clocks.as_ref()?;
    let worst = clocks.worst.first()?;
    let behind = (clocks.behind > 0).then(|| format!("{} behind", many(clocks.behind, "clock")));
    let ahead = (clocks.ahead > 0).then(|| format!("{} ahead", many(clocks.ahead, "clock")));
    let counted: Vec<String> = ahead.into_iter().chain(behind).collect();
    let way = if worst.offset > 0 { "ahead" } else { "behind" };
    let off = span(i64::try_from(worst.offset.unsigned_abs()).unwrap_or(i64::MAX));
    Some(format!("{}: worst {}, {off} {way}", counted.join(", "), worst.key))
}

fn alerts(open: u64) -> Option<String> {
    (open > 0).then(|| many(open, "open alert"))
}

/// Who sends, and how much; nothing in a run that shows no devices, for there nothing is known of them.
fn sending(tick: &Tick) -> Vec<String> {
    if tick.followers.is_empty() {
        return Vec::new();
    }
    vec![devices(tick), format!("{} events/s", rate(tick.rate))]
}

/// How many devices there are: of each source by itself, for one key in two sources may be one device.
fn devices(tick: &Tick) -> String {
    let of = |follower: &Follower| Some((follower.source.clone(), follower.devices?));
    match tick.followers.iter().map(of).collect::<Option<Vec<_>>>() {
        Some(all) if all.len() > MOST_SOURCES => many(all.len() as u64, "source"),
        Some(all) if all.len() > 1 => {
            let (first, others) = (&all[0], &all[1..]);
            let first = format!("{} of {}", many(first.1, "device"), first.0);
            let others = others.iter().map(|(source, devices)| format!("{} of {source}", count(*devices)));
            std::iter::once(first).chain(others).collect::<Vec<_>>().join(", ")
        }
        _ => many(tick.devices.total, "device"),
    }
}

/// Queries and alert rules that somebody stopped.
fn stopped<'a>(model: &'a Model, tick: &'a Tick) -> impl Iterator<Item = &'a Query> {
    let is_stopped = |query: &&Query| query.state == "stopped" && !model.schema.ends(&query.name);
    tick.queries.iter().filter(is_stopped)
}

/// What is stopped, in one part; none if nothing is.
fn stops(model: &Model, tick: &Tick) -> Option<String> {
    let all: Vec<&Query> = stopped(model, tick).collect();
    let rules = all.iter().filter(|query| query.kind == "alert").count();
    match all[..] {
        [] => None,
        [one] => Some(match one.name.strip_prefix("alerts/") {
            Some(rule) => format!("Alert rule {rule} is stopped"),
            None => format!("Query {} is stopped", one.name),
        }),
        _ => {
            let (own, rules) = ((all.len() - rules) as u64, rules as u64);
            let queries = (own > 0).then(|| counted(own, "query", "queries"));
            let rules = (rules > 0).then(|| many(rules, "alert rule"));
            let kinds: Vec<String> = queries.into_iter().chain(rules).collect();
            Some(format!("{} are stopped", kinds.join(" and ")))
        }
    }
}

/// How far the queries are behind, or those that run. A few records wait at any moment: that is keeping up.
fn waits(tick: &Tick, others: bool) -> String {
    match tick.lag {
        None => "what waits is not known".to_owned(),
        Some(lag) if lag_matters(tick) => format!("{} records wait", count(lag)),
        Some(_) if others => "the others keep up".to_owned(),
        Some(_) => "queries keep up".to_owned(),
    }
}

fn lag_matters(tick: &Tick) -> bool {
    let (seconds, floor) = LAG;
    tick.lag.is_some_and(|lag| lag > floor && lag as f64 > tick.rate * seconds)
}

#[cfg(test)]
mod tests;
