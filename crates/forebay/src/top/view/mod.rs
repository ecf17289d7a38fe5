//! The screen as lines: a pure function of what is known and how much room there is.
//!
//! ```text
//!  Forebay  plant                                    ● 14:03:22  http://127.0.0.1:8080
//!  ✓ All well since 13:50 · 3 devices · 20 events/s · queries keep up
//!  events/s 20 · behind 0 · to stored p50 9 ms, p99 25 ms · quarantine 3 (1.2 KiB)
//!  3 ledgers balance   1234 read = 1230 emitted + 4 quarantined
//! ── Queries 2 · 1 alert rule ──────────  state, epoch, rows, what each waits for
//! ── Alerts 1 open ──────  open ones first, the newest on top
//! ── Devices 3 ──────────  newest values, as many columns as fit
//!  q quit  tab section  ↑↓ scroll  / search
//! ```
//!
//! The section that keys scroll gets the room that the others leave; where there is not room for all, it stays.

mod sections;
mod table;

use std::ops::Range;

use super::line::{Line, Tone, wrapped};
use super::model::{Link, Model, Section};
use super::text::{NOTHING, Zone, bytes, clock, count, rate, span};
use super::verdict::verdict;
use crate::standing;

/// A drawn screen.
#[derive(Clone, Debug)]
pub struct Frame {
    /// From top to bottom, as many as there is room for.
    pub lines: Vec<Line>,
    /// Rows of each section that are seen.
    pub room: [usize; 3],
}

/// Rows that every section is given before one gets the rest.
const FAIR: usize = 4;
/// Rows below which a section is not worth its title.
const LEAST: usize = 1;
/// Lines of a hint that are shown.
const HINT: usize = 2;
/// Lines that a reason gets below its first.
const REASON: usize = 3;
/// Devices in a snapshot.
const SNAPSHOT_DEVICES: usize = 20;
/// Alerts in a snapshot, beside those that are open.
const SNAPSHOT_CLEARED: usize = 5;

/// The screen, `width` by `height`.
pub fn draw(model: &Model, (width, height): (usize, usize), zone: Zone) -> Frame {
    let mut lines = head(model, width, zone);
    let left = height.saturating_sub(lines.len() + 1);
    let room = shared(model, left);
    for section in Section::ALL {
        let seen = room[section as usize];
        if seen > 0 {
            let top = model.top(section);
            lines.extend(sections::section(model, section, top..top + seen, width, zone));
        }
    }
    lines.truncate(height.saturating_sub(1));
    lines.resize(height.saturating_sub(1), Line::new());
    lines.push(foot(model));
    Frame { lines: lines.into_iter().map(|line| line.cut(width)).take(height).collect(), room }
}

/// All of it at once, to be printed.
pub fn snapshot(model: &Model, width: usize, zone: Zone) -> Vec<Line> {
    let mut lines = head(model, width, zone);
    let open = model.alerts.iter().filter(|alert| alert.is_open()).count();
    for (section, most) in [
        (Section::Queries, usize::MAX),
        (Section::Alerts, open + SNAPSHOT_CLEARED),
        (Section::Devices, SNAPSHOT_DEVICES),
    ] {
        let seen: Range<usize> = 0..model.rows(section).clamp(1, most.max(1));
        lines.extend(sections::section(model, section, seen, width, zone));
    }
    lines.into_iter().map(|line| line.cut(width)).collect()
}

/// How many rows each section gets of `left` lines.
fn shared(model: &Model, left: usize) -> [usize; 3] {
    let wanted = Section::ALL.map(|section| model.rows(section).max(LEAST));
    let costs = Section::ALL.map(|section| sections::titles(model, section));
    // The chosen section first, then what is most urgent.
    let mut order = vec![model.focus];
    order.extend(
        [Section::Alerts, Section::Queries, Section::Devices].iter().filter(|it| **it != model.focus),
    );
    let (mut room, mut left) = ([0; 3], left);
    for section in order.iter().map(|section| *section as usize) {
        if left >= costs[section] + LEAST {
            left -= costs[section] + LEAST;
            room[section] = LEAST;
        }
    }
    for most in [FAIR, usize::MAX] {
        for section in order.iter().map(|section| *section as usize).filter(|it| costs[*it] > 0) {
            if room[section] > 0 {
                let more = wanted[section].min(most).saturating_sub(room[section]).min(left);
                room[section] += more;
                left -= more;
            }
        }
    }
    room
}

/// What is always in sight.
fn head(model: &Model, width: usize, zone: Zone) -> Vec<Line> {
    let mut lines = vec![title(model, width, zone)];
    let verdict = verdict(model, zone);
    let mut first = Line::of(verdict.tone, &format!(" {} {}", verdict.sign, verdict.headline));
    let parts: String = verdict.parts.iter().map(|part| format!(" · {part}")).collect();
    first.push(Tone::Plain, &parts);
    if first.width() <= width || !verdict.is_failure {
        lines.push(first);
    } else {
        // A reason that is cut off helps nobody.
        let mut told = wrapped(&format!("{}{parts}", verdict.headline), width.saturating_sub(4)).into_iter();
        let head = told.next().unwrap_or_default();
        let (headline, rest) = head.split_at_checked(verdict.headline.len()).unwrap_or((&head, ""));
        lines.push(Line::of(verdict.tone, &format!(" {} {headline}", verdict.sign)).with(Tone::Plain, rest));
        lines.extend(told.take(REASON).map(|line| Line::of(Tone::Plain, &format!("   {line}"))));
    }
    if let Some(hint) = &verdict.hint {
        let lines_of_hint = wrapped(hint, width.saturating_sub(4)).into_iter().take(HINT);
        lines.extend(lines_of_hint.map(|line| Line::of(Tone::Dim, &format!("   {line}"))));
    }
    lines.extend(numbers(model));
    let left_out = model.left_out();
    if !left_out.is_empty() {
        let told = format!(" ◆ not all that the server sent is kept; left out are {}", left_out.join(", "));
        lines.push(Line::of(Tone::Warn, &told));
    }
    lines
}

fn title(model: &Model, width: usize, zone: Zone) -> Line {
    let name = model.schema.title.as_deref().unwrap_or(&model.hello.pipeline);
    let mut line = Line::of(Tone::Strong, " Forebay  ").with(Tone::Plain, name);
    let now = model.tick.as_ref().map(|tick| clock(tick.now, zone)).unwrap_or_default();
    let state = match model.link {
        Link::Live => Line::of(Tone::Good, "● ").with(Tone::Plain, &now),
        Link::Asking(_) => Line::of(Tone::Dim, "○ asking"),
        Link::Lost { .. } => Line::of(Tone::Bad, "○ reconnecting"),
    };
    let right = state.with(Tone::Dim, &format!("  {} ", model.server));
    let room = width.saturating_sub(right.width());
    if line.width() < room {
        line.to(room);
        line.append(right);
    }
    line
}

fn numbers(model: &Model) -> Vec<Line> {
    let Some(tick) = &model.tick else { return Vec::new() };
    let unknown = || NOTHING.to_owned();
    let pace = if tick.followers.is_empty() { unknown() } else { rate(tick.rate) };
    let latency =
        tick.latency.map_or_else(unknown, |it| format!("p50 {}, p99 {}", span(it.p50), span(it.p99)));
    let quarantine = match tick.quarantine.open {
        0 => "empty".to_owned(),
        open => format!("{} ({})", count(open), bytes(tick.quarantine.bytes)),
    };
    let mut facts = Line::new();
    for (name, value, tone) in [
        ("events/s", pace, Tone::Strong),
        ("behind", tick.lag.map_or_else(unknown, count), Tone::Strong),
        ("to stored", latency, Tone::Strong),
        ("quarantine", quarantine, if tick.quarantine.open > 0 { Tone::Warn } else { Tone::Strong }),
    ] {
        facts.push(Tone::Dim, &format!("{}{name} ", if facts.width() == 0 { " " } else { "   " }));
        facts.push(tone, &value);
    }
    // The sum of all: a record that three queries read is in it three times.
    let (whose, balance, do_not) = match tick.queries.len() {
        0 | 1 => (" ledger ".to_owned(), "balances", "DOES NOT BALANCE"),
        several => (format!(" {} ledgers ", count(several as u64)), "balance", "DO NOT BALANCE"),
    };
    let (tone, word) = if tick.ledgers.balance() { (Tone::Strong, balance) } else { (Tone::Bad, do_not) };
    let ledger = Line::of(Tone::Dim, &whose).with(tone, word);
    let ledger = ledger.with(Tone::Plain, &format!("   {}", standing::sum(&tick.ledgers.sum)));
    vec![facts, ledger]
}

fn foot(model: &Model) -> Line {
    if let Some(typed) = &model.typing {
        return Line::of(Tone::Strong, &format!(" / {typed}▏"))
            .with(Tone::Dim, "   enter searches the devices, esc leaves");
    }
    let mut keys = vec![("q", "quit"), ("tab", "section"), ("↑↓ PgUp PgDn", "scroll"), ("/", "search")];
    keys.extend((model.schema.sources.len() > 1).then_some(("s", "source")));
    keys.extend((!model.search.is_empty()).then_some(("esc", "all devices")));
    let mut line = Line::new();
    for (key, what) in keys {
        line.push(Tone::Plain, " ");
        line.push(Tone::Turned, &format!(" {key} "));
        line.push(Tone::Dim, &format!(" {what}"));
    }
    line
}

#[cfg(test)]
mod tests;
