//! What `forebay why window` says.

use std::fmt::Write;

use forebay_core::event_time::{Watermark, WatermarkPolicy};
use forebay_core::output_mode::OutputMode;
use forebay_core::progress::iso_millis;
use forebay_core::window::interval;
use forebay_engine::held::{Ends, Holder, Holds, Span};

use super::Source;
use crate::cli::WhyWindowArgs;
use crate::talk;

/// Keys of a window that are named.
const NAMED: usize = 8;

/// Below this a length of time is told to the millisecond, from here on to the second.
const EXACT_MS: i64 = 60_000;

/// What comes out when, of a query that holds this.
pub(super) fn mode(mode: OutputMode, holders: &[Holder]) -> String {
    let is_side = |holder: &Holder| matches!(holder.holds, Holds::Side { .. });
    let has_groups = holders.iter().any(|holder| holder.holds == Holds::Groups);
    let what = match mode {
        _ if !has_groups && holders.iter().any(is_side) => {
            "rows that meet come out at once; the watermark ends a row's wait for others, and an outer join then gives it without one"
        }
        _ if !has_groups => "the first row of a key comes out at once; the watermark only forgets keys",
        OutputMode::Append => "a window comes out once, when the watermark has reached its end",
        OutputMode::Update => {
            "a window comes out with every epoch that changes it; the watermark only ends it"
        }
        OutputMode::Complete => "all windows come out with every epoch, and none ends",
    };
    format!("{}: {what}", mode.word())
}

/// How far a source has come.
pub(super) fn source(source: &Source<'_>) -> String {
    let Source { name, rule, highest_ms, .. } = source;
    let mut out = match (highest_ms, source.watermark_ms()) {
        (Some(highest), Some(watermark)) => format!(
            "    {name}: its latest event time is {}, less the delay of {}: {}\n",
            iso_millis(*highest),
            exact(rule.delay_ms),
            iso_millis(watermark)
        ),
        _ => format!("    {name}: has shown no event time yet\n"),
    };
    if let (Some(quiet), Some(idle)) = (source.quiet_since_ms, rule.idle_ms) {
        let _ = writeln!(
            out,
            "      idle since {}: no event time came for {} (`idleTimeout`)",
            iso_millis(quiet.saturating_add(idle)),
            exact(idle)
        );
    }
    out
}

/// Why the watermark is ahead of what the sources have shown; empty if it is not.
pub(super) fn ahead(watermark: Watermark, sources: &[Source<'_>], policy: WatermarkPolicy) -> &'static str {
    let shown = || sources.iter().map(|source| source.watermark_ms().unwrap_or(0));
    let (Some(slowest), Some(fastest)) = (shown().min(), shown().max()) else { return "" };
    let counts = if policy == WatermarkPolicy::Max { fastest } else { slowest };
    let may_be_idle = |source: &Source<'_>| source.rule.idle_ms.is_some();
    if watermark.0 <= counts.max(0) {
        ""
    } else if watermark.0 <= fastest && sources.iter().any(may_be_idle) {
        "    the watermark is ahead of the slowest: a source that is idle does not hold it back, and it never falls\n"
    } else if watermark.0 > fastest && sources.iter().all(may_be_idle) {
        "    the watermark is ahead of that: the clock moved it on while every source was idle, and it never falls\n"
    } else {
        "    the watermark is ahead of that, as it was before with another `delay` or `idleTimeout`: it never falls\n"
    }
}

/// What a stretch of time is, and from when to when; `are_several` if the query holds more than this holder.
pub(super) fn title(holder: &Holder, it: &Span, are_several: bool) -> String {
    let (what, start, end) = (noun(holder.ends), shown(it.start_us), shown(it.end_us));
    let of = match &holder.holds {
        Holds::Side { is_left, sources } => {
            let side = if *is_left { "left" } else { "right" };
            format!("{side} side (`{}`): ", sources.join("`, `"))
        }
        _ if are_several => format!("{}: ", holder.name),
        _ => String::new(),
    };
    match holder.ends {
        Ends::Time => format!("{of}{what} {end}\n"),
        _ => format!("{of}{what} {start} to {end}\n"),
    }
}

/// Of a holder with nothing to tell.
pub(super) fn nothing(holder: &Holder, args: &WhyWindowArgs) -> String {
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
pub(super) fn held(span: &Span) -> String {
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

/// A length of time as people read it.
pub(super) fn span(ms: i64) -> String {
    let ms = ms.max(0);
    exact(if ms < EXACT_MS { ms } else { ms - ms % 1_000 })
}

fn exact(ms: i64) -> String {
    interval::words(ms.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use forebay_core::event_time::Rule;

    use super::*;

    fn shows(highest_ms: Option<i64>, idle_ms: Option<i64>) -> Source<'static> {
        Source { name: "iot", rule: Rule { delay_ms: 10_000, idle_ms }, highest_ms, quiet_since_ms: None }
    }

    #[test]
    fn lengths_of_time_read_as_people_say_them() {
        let told = [-1, 320, 5_000, 13_027, 60_000, 529_250, 3_600_999].map(span);
        let expected = [
            "0 seconds",
            "320 milliseconds",
            "5 seconds",
            "13.027 seconds",
            "1 minute",
            "8 minutes 49 seconds",
            "1 hour",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_source_that_is_idle_says_since_when() {
        let quiet = Source { quiet_since_ms: Some(1_000), ..shows(Some(30_000), Some(90_500)) };
        let told = source(&quiet);
        assert!(told.contains("less the delay of 10 seconds: 1970-01-01T00:00:20.000Z\n"), "{told}");
        let since = "      idle since 1970-01-01T00:01:31.500Z: no event time came for 1 minute 30.5 seconds";
        assert!(told.contains(since), "{told}");
        assert!(!source(&shows(Some(30_000), Some(90_500))).contains("idle"));
    }

    #[test]
    fn a_watermark_that_is_ahead_of_the_sources_says_what_moved_it() {
        let (slow, fast) = (shows(Some(30_000), Some(1)), shows(Some(70_000), Some(1)));
        let never = shows(Some(30_000), None);
        let min = WatermarkPolicy::Min;
        for (watermark, sources, policy, expected) in [
            (20_000, vec![&slow], min, ""),
            (20_001, vec![&slow], min, "the clock moved it on while every source was idle"),
            (60_000, vec![&slow, &fast], min, "ahead of the slowest: a source that is idle"),
            (60_001, vec![&slow, &fast], min, "the clock moved it on"),
            (60_000, vec![&slow, &fast], WatermarkPolicy::Max, ""),
            (20_001, vec![&never], min, "another `delay`"),
            (0, vec![], min, ""),
        ] {
            let sources: Vec<Source<'_>> =
                sources.into_iter().map(|it| shows(it.highest_ms, it.rule.idle_ms)).collect();
            let told = ahead(Watermark(watermark), &sources, policy);
            let fits = if expected.is_empty() { told.is_empty() } else { told.contains(expected) };
            assert!(fits, "{watermark}: {told}");
        }
    }
}
