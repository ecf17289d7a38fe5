//! The three parts below the head: queries, alerts, devices.

use std::ops::Range;

use super::super::asked::shown;
use super::super::line::{Line, Tone};
use super::super::model::{Model, Section};
use super::super::text::{NOTHING, Zone, ago, bytes, count, decimals, many, moment, rate, span, value};
use super::super::verdict::of_severity;
use super::super::words::{Alert, Device, Field, Query, Tick};
use super::table::{Cell, Column, table};

/// Lines that a section takes beside its rows.
pub fn titles(model: &Model, section: Section) -> usize {
    1 + usize::from(section != Section::Alerts && model.rows(section) > 0)
}

/// A section with these of its rows.
pub fn section(model: &Model, section: Section, seen: Range<usize>, width: usize, zone: Zone) -> Vec<Line> {
    let total = model.rows(section);
    let seen = seen.start..seen.end.min(total);
    let is_focus = model.focus == section;
    let (name, facts, rows) = match section {
        Section::Queries => ("Queries", queries_title(model), queries(model, seen.clone(), width)),
        Section::Alerts => ("Alerts", alerts_title(model), alerts(model, seen.clone(), width, zone)),
        Section::Devices => ("Devices", devices_title(model), devices(model, seen.clone(), width)),
    };
    let mut facts = facts;
    if seen.len() < total {
        facts.push_str(&format!(" · {}–{} of {}", seen.start + 1, seen.end, count(total as u64)));
    }
    let mut title =
        Line::of(if is_focus { Tone::Strong } else { Tone::Dim }, if is_focus { "━━ " } else { "── " });
    title.push(Tone::Strong, name);
    title.push(Tone::Plain, &format!("  {facts} "));
    let rule = if is_focus { "━" } else { "─" };
    title.push(Tone::Dim, &rule.repeat(width.saturating_sub(title.width())));
    let mut lines = vec![title];
    lines.extend(rows);
    lines
}

/// A table, or a line that says why there is none.
fn rows_or(nothing: &str, columns: &[Column], rows: &[Vec<Cell>], width: usize) -> Vec<Line> {
    if rows.is_empty() {
        return vec![Line::of(Tone::Dim, &format!(" {nothing}"))];
    }
    let (titles, rows) = table(columns, rows, width);
    std::iter::once(titles).chain(rows).collect()
}

fn queries_title(model: &Model) -> String {
    let queries = || model.tick.iter().flat_map(|tick| &tick.queries);
    let rules = queries().filter(|query| query.kind == "alert").count();
    let own = count((queries().count() - rules) as u64);
    if rules == 0 { own } else { format!("{own} · {}", many(rules as u64, "alert rule")) }
}

fn queries(model: &Model, seen: Range<usize>, width: usize) -> Vec<Line> {
    let empty = Tick::default();
    let tick = model.tick.as_ref().unwrap_or(&empty);
    let mut columns = vec![
        Column::left("query", 0),
        Column::left("state", 0),
        Column::right("epoch", 2),
        Column::right("records", 3),
        Column::right("p99", 5),
        Column::right("behind", 4),
        Column::left("waits for", 0),
    ];
    let seen = tick.queries.get(seen).unwrap_or_default();
    let has_state = tick.queries.iter().any(|query| query.remembers.is_some());
    if has_state {
        let before_last = columns.len() - 1;
        columns.splice(before_last..before_last, [Column::right("late", 6), Column::right("held", 7)]);
    }
    let has_refused = tick.queries.iter().any(|query| query.rows_refused > 0);
    if has_refused {
        columns.insert(columns.len() - 1, Column::right("refused", 1));
    }
    let rows: Vec<Vec<Cell>> = seen.iter().map(|query| query_row(query, has_state, has_refused)).collect();
    rows_or("no word of them yet", &columns, &rows, width)
}

/// `has_state`: whether any query has, so that there are columns for what came too late and for what is held; `has_refused`:
/// whether a sink refused rows of any.
fn query_row(query: &Query, has_state: bool, has_refused: bool) -> Vec<Cell> {
    let number = |number: Option<u64>| (Tone::Plain, number.map_or_else(|| NOTHING.to_owned(), count));
    let tone = match query.state.as_str() {
        "failed" | "retrying" => Tone::Bad,
        "stopped" => Tone::Warn,
        _ => Tone::Plain,
    };
    let waits = match (&query.error, &query.waiting_for) {
        (Some(error), _) => {
            let words = error.error.as_ref().or(error.message.as_ref());
            let code = error.code.as_deref().unwrap_or_default();
            let detail = error.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
            (Tone::Bad, format!("{code} {}{detail}", words.map_or("", String::as_str)))
        }
        (None, Some(what)) => (Tone::Dim, what.clone()),
        (None, None) => (Tone::Plain, NOTHING.to_owned()),
    };
    let p99 = query.latency.map_or_else(|| NOTHING.to_owned(), |latency| span(latency.p99));
    let mut cells = vec![
        (tone, query.name.clone()),
        (tone, query.state.clone()),
        number(query.epoch),
        number(query.epochs.last().map(|epoch| epoch.rows)),
        (Tone::Plain, p99),
        number(query.lag),
    ];
    if has_state {
        let late = query.remembers.map(|it| it.late);
        let held = query.remembers.map_or_else(|| NOTHING.to_owned(), |_| bytes(query.state_bytes));
        cells.push((if late > Some(0) { Tone::Warn } else { Tone::Plain }, number(late).1));
        cells.push((Tone::Plain, held));
    }
    if has_refused {
        let tone = if query.rows_refused > 0 { Tone::Warn } else { Tone::Plain };
        cells.push((tone, count(query.rows_refused)));
    }
    cells.push(waits);
    cells
}

fn alerts_title(model: &Model) -> String {
    match model.open() {
        0 => "none open".to_owned(),
        open => format!("{} open", count(open)),
    }
}

fn alerts(model: &Model, seen: Range<usize>, width: usize, zone: Zone) -> Vec<Line> {
    let now = model.tick.as_ref().map_or(0, |tick| tick.now);
    let columns = [
        Column::left("", 0),
        Column::left("", 1),
        Column::left("", 2),
        Column::left("", 3),
        Column::left("", 0),
    ];
    let seen = model.feed().skip(seen.start).take(seen.len());
    let rows: Vec<Vec<Cell>> = seen.map(|alert| alert_row(alert, now, zone).to_vec()).collect();
    let mut lines = rows_or("nothing has opened an alert", &columns, &rows, width);
    if !rows.is_empty() {
        // The columns speak for themselves.
        lines.remove(0);
    }
    lines
}

fn alert_row(alert: &Alert, now: i64, zone: Zone) -> [Cell; 5] {
    let (sign, tone) = of_severity(alert.severity);
    let opened = moment(alert.opened_at, now, zone);
    let (sign, tone, rest, when) = match alert.cleared_at.filter(|_| !alert.is_open()) {
        None => (
            sign,
            tone,
            Tone::Plain,
            format!("since {opened} ({})", span(now.saturating_sub(alert.opened_at))),
        ),
        Some(cleared) => (
            "✓",
            Tone::Dim,
            Tone::Dim,
            format!(
                "cleared {} after {}",
                moment(cleared, now, zone),
                span(cleared.saturating_sub(alert.opened_at))
            ),
        ),
    };
    [
        (tone, format!("{sign} {}", alert.severity.word())),
        (rest, when),
        (rest, alert.about().to_owned()),
        (rest, alert.rule.clone()),
        (rest, alert.words()),
    ]
}

fn devices_title(model: &Model) -> String {
    let mut facts = count(model.slice.total as u64);
    if let Some(source) = model.source().filter(|_| model.schema.sources.len() > 1) {
        facts = format!("{facts} of {}", source.name);
    }
    if !model.search.is_empty() {
        facts.push_str(&format!(" with \"{}\"", model.search));
    }
    let name = model.source().map(|source| source.name.as_str());
    let followers = model.tick.iter().flat_map(|tick| &tick.followers);
    let mut behind = followers.filter(|follower| follower.behind && Some(follower.source.as_str()) == name);
    if let Some(follower) = behind.next() {
        let lag = follower.lag.map_or_else(|| NOTHING.to_owned(), count);
        facts.push_str(&format!(" · shown {lag} records behind"));
    }
    facts
}

fn devices(model: &Model, seen: Range<usize>, width: usize) -> Vec<Line> {
    let now = model.tick.as_ref().map_or(0, |tick| tick.now);
    let slice = &model.slice;
    let of = |row: usize| row.checked_sub(slice.offset).and_then(|index| slice.rows.get(index));
    let fields: Vec<&Field> = match model.source() {
        None => Vec::new(),
        Some(source) => {
            let sent = |field: &&Field| slice.rows.iter().any(|row| row.values.contains_key(&field.name));
            shown(source).filter_map(|field| source.fields.get(field)).filter(sent).collect()
        }
    };
    let mut columns = vec![Column::left("device", 0)];
    for (index, field) in fields.iter().enumerate() {
        let unit = field.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
        let rank = u8::try_from(index + 3).unwrap_or(u8::MAX);
        let title = format!("{}{unit}", field.name);
        columns.push(Column { title, is_right: field.kind == "number", rank });
    }
    columns.push(Column::right("events/s", 2));
    columns.push(Column::left("seen", 1));
    let places: Vec<usize> = fields.iter().map(|field| places(field, seen.clone().filter_map(of))).collect();
    let rows: Vec<Vec<Cell>> = seen
        .map(|row| {
            let Some(device) = of(row) else { return vec![(Tone::Dim, "…".to_owned())] };
            let (tone, name) = named(model, device);
            let rest = if device.state == "quiet" { Tone::Dim } else { Tone::Plain };
            let mut cells = vec![(tone, name)];
            let values = fields.iter().zip(&places).map(|(field, places)| {
                (
                    rest,
                    device
                        .values
                        .get(&field.name)
                        .map_or_else(|| NOTHING.to_owned(), |it| value(it, *places)),
                )
            });
            cells.extend(values);
            cells.push((rest, rate(device.rate)));
            cells.push((rest, ago(device.last_seen, now)));
            cells
        })
        .collect();
    let nothing = match (&model.tick, model.search.is_empty()) {
        (None, _) => "no word of them yet",
        (Some(tick), _) if tick.followers.is_empty() => "this run shows no devices",
        (Some(_), true) => "none has sent anything yet",
        (Some(_), false) => "none is found",
    };
    rows_or(nothing, &columns, &rows, width)
}

/// A device's name with the sign of its worst alert. The only device of a source without a key bears its name.
fn named(model: &Model, device: &Device) -> Cell {
    let source = model.source().filter(|source| source.key.is_none());
    let name = match (device.key.as_str(), source) {
        ("", Some(source)) => source.name.clone(),
        ("", None) => "(empty name)".to_owned(),
        (key, _) => key.to_owned(),
    };
    match device.severity.map(of_severity) {
        Some((sign, tone)) => (tone, format!("{sign} {name}")),
        None if device.state == "quiet" => (Tone::Dim, format!("  {name}")),
        None => (Tone::Plain, format!("  {name}")),
    }
}

/// Decimals of a field: the same down a column.
fn places<'a>(field: &Field, devices: impl Iterator<Item = &'a Device>) -> usize {
    let whole = ["tinyint", "smallint", "int", "bigint", "long", "short", "byte"];
    let of = field.data_type.to_ascii_lowercase();
    if whole.iter().any(|name| of.starts_with(name)) {
        return 0;
    }
    match (field.role.as_str(), field.unit.as_deref()) {
        ("lat" | "lon", _) => 4,
        (_, Some("°C" | "°F" | "K" | "%")) => 1,
        _ => {
            let sizes = devices.filter_map(|device| device.values.get(&field.name)?.as_f64()).map(f64::abs);
            decimals(sizes.fold(0.0, f64::max))
        }
    }
}
