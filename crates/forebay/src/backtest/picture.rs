//! What came of a backtest as one picture that needs nothing beside itself: SVG, or HTML with it inside.
//!
//! Each rule is a band over the axis of time: how many alerts were open, above its middle line of the rules that are tried, below it of
//! the present ones, both by one scale. What must stay true: names from files and data stay texts.

use std::fmt::Write;

use forebay_rules::backtest::{Episode, Tally};

use super::report::{Difference, OfRule, Report, moment, span, summary};

const WIDTH: f64 = 1_280.0;
/// Where the axis of time begins and ends.
const LEFT: f64 = 330.0;
const RIGHT: f64 = 1_250.0;
/// Of the words above the bands.
const TOP: f64 = 118.0;
/// Of one rule set in a band.
const HALF: f64 = 44.0;
/// Between two bands.
const GAP: f64 = 22.0;
/// Steps of a band: two points of the picture each.
const BINS: usize = 460;
/// Most rules that are drawn; the table tells of all.
const MOST_RULES: usize = 200;
/// Most marks on the axis.
const MOST_MARKS: i64 = 9;
/// Letters of a name that have room.
const NAME: usize = 34;

/// Distances of marks on the axis, seconds.
const STEPS: [i64; 24] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
    172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000,
];

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1f2937}.title{font-size:17px;font-weight:600}.name{font-weight:600}\
.small{font-size:11.5px;fill:#6b7280}.page{fill:#fff}.grid{stroke:#e5e7eb}.line{stroke:#9ca3af}.band{fill:#f8fafc}\
.new{fill:#2563eb}.present{fill:#d97706}\
@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.small{fill:#9ca3af}.page{fill:#111827}.grid{stroke:#374151}\
.band{fill:#1f2937}.new{fill:#60a5fa}.present{fill:#fbbf24}}";

/// The picture of a report; for a file of this name, HTML where it ends so.
pub fn of(report: &Report, file: &str) -> String {
    let svg = svg(report);
    let ending = file.rsplit('.').next().unwrap_or_default();
    if !ending.eq_ignore_ascii_case("html") && !ending.eq_ignore_ascii_case("htm") {
        return svg;
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Backtest on {}</title>\
         <style>body{{margin:0}}svg{{max-width:100%;height:auto}}</style></head><body>\n{svg}</body></html>\n",
        escaped(&report.on)
    )
}

fn svg(report: &Report) -> String {
    let rules = &report.rules[..report.rules.len().min(MOST_RULES)];
    let band = if report.is_compared { 2.0 * HALF } else { HALF };
    let bottom = TOP + rules.len() as f64 * (band + GAP);
    let height = bottom + 40.0;
    let scale = Scale::of(report);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\"><style>{STYLE}</style><rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    text(&mut out, (24.0, 32.0), "title", "start", &format!("Open alerts on {}", cut(&report.on, 90)));
    let about = format!(
        "{} rows from {} to {}, time: {}",
        report.rows,
        moment(report.from_ms),
        moment(report.to_ms),
        cut(&report.time, 60)
    );
    text(&mut out, (24.0, 52.0), "small", "start", &about);
    if report.is_compared {
        for (x, class, words) in [
            (24.0, "new", "new rules (above the line)"),
            (230.0, "present", "present rules (below the line)"),
        ] {
            let _ = writeln!(
                out,
                "<rect class=\"{class}\" x=\"{x}\" y=\"66\" width=\"12\" height=\"12\" rx=\"2\"/>"
            );
            text(&mut out, (x + 18.0, 76.0), "", "start", words);
        }
    }
    for index in 0..rules.len() {
        let top = TOP + index as f64 * (band + GAP);
        let width = RIGHT - LEFT;
        let _ = writeln!(
            out,
            "<rect class=\"band\" x=\"{LEFT}\" y=\"{top}\" width=\"{width}\" height=\"{band}\"/>"
        );
    }
    scale.axis(&mut out, bottom);
    for (index, rule) in rules.iter().enumerate() {
        draw(&mut out, rule, report, &scale, TOP + index as f64 * (band + GAP));
    }
    if report.rules.len() > rules.len() {
        let more = format!("and {} more rules", report.rules.len() - rules.len());
        text(&mut out, (24.0, height - 8.0), "small", "start", &more);
    }
    out.push_str("</svg>\n");
    out
}

/// Draws a rule into its band, which begins at `top`.
fn draw(out: &mut String, rule: &OfRule, report: &Report, scale: &Scale, top: f64) {
    let counts = |tally: &Option<Tally>| tally.as_ref().map(|tally| scale.counts(&tally.episodes));
    let (new, present) = (counts(&rule.new), counts(&rule.present));
    let most = new.iter().chain(&present).flatten().max().copied().unwrap_or(0);
    let middle = top + HALF;
    let height = if report.is_compared { 2.0 * HALF } else { HALF };
    out.push_str("<g>\n");
    for (counts, class, direction) in [(&new, "new", -1.0), (&present, "present", 1.0)] {
        if let Some(counts) = counts {
            let unit = direction * (HALF - 4.0) / f64::from(most.max(1));
            let _ = writeln!(out, "<path class=\"{class}\" d=\"{}\"/>", area(counts, middle, unit));
        }
    }
    let _ =
        writeln!(out, "<line class=\"line\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{middle}\" y2=\"{middle}\"/>");
    text(out, (24.0, top + 15.0), "name", "start", &cut(&rule.name, NAME));
    let words = |tally: &Option<Tally>| match tally {
        None => "not in this file".to_owned(),
        Some(tally) => {
            let summary = summary(tally, report.to_ms);
            let alerts = if summary.opened == 1 { "alert" } else { "alerts" };
            format!("{} {alerts} of {} keys, open {}", summary.opened, summary.keys, span(summary.open_ms))
        }
    };
    text(out, (24.0, top + 32.0), "small", "start", &words(&rule.new));
    if report.is_compared {
        let Difference { both, only_new, only_present } = rule.difference();
        let difference = format!("both {both}, only new {only_new}, only present {only_present}");
        text(out, (24.0, top + 49.0), "small", "start", &format!("present: {}", words(&rule.present)));
        text(out, (24.0, top + 66.0), "small", "start", &difference);
    }
    if most > 0 {
        text(out, (LEFT - 6.0, top + 11.0), "small", "end", &format!("{most}"));
        if report.is_compared {
            text(out, (LEFT - 6.0, top + height - 3.0), "small", "end", &format!("{most}"));
        }
    }
    text(out, (LEFT - 6.0, middle + 4.0), "small", "end", "0");
    out.push_str("</g>\n");
}

/// The path of steps above or below a line.
fn area(counts: &[u32], line: f64, unit: f64) -> String {
    let width = (RIGHT - LEFT) / BINS as f64;
    let mut path = format!("M{LEFT} {line:.1}");
    let mut before = 0;
    for (index, count) in counts.iter().enumerate() {
        if *count != before {
            let _ =
                write!(path, "H{:.1}V{:.1}", LEFT + index as f64 * width, line + f64::from(*count) * unit);
            before = *count;
        }
    }
    let _ = write!(path, "H{RIGHT}V{line:.1}Z");
    path
}

/// The axis of time.
struct Scale {
    from_ms: i64,
    to_ms: i64,
}

impl Scale {
    fn of(report: &Report) -> Self {
        Self { from_ms: report.from_ms, to_ms: report.to_ms.max(report.from_ms.saturating_add(1)) }
    }

    fn share(&self, ms: i64) -> f64 {
        let whole = self.to_ms.saturating_sub(self.from_ms).max(1) as f64;
        (ms.saturating_sub(self.from_ms) as f64 / whole).clamp(0.0, 1.0)
    }

    fn bin(&self, ms: i64) -> usize {
        ((self.share(ms) * BINS as f64) as usize).min(BINS - 1)
    }

    /// How many alerts were open at some time of each step.
    fn counts(&self, episodes: &[Episode]) -> Vec<u32> {
        let mut changes = vec![0_i64; BINS + 1];
        for episode in episodes {
            let (from, until) =
                (self.bin(episode.opened_at), self.bin(episode.cleared_at.unwrap_or(self.to_ms)));
            changes[from] += 1;
            changes[until.max(from) + 1] -= 1;
        }
        let mut open = 0;
        let count = |change: &i64| {
            open += change;
            u32::try_from(open).unwrap_or(0)
        };
        changes.iter().take(BINS).map(count).collect()
    }

    /// Marks with their times, above and below the bands.
    fn axis(&self, out: &mut String, bottom: f64) {
        let seconds = self.to_ms.saturating_sub(self.from_ms) / 1_000;
        let step =
            STEPS.iter().find(|step| seconds / **step <= MOST_MARKS).or(STEPS.last()).copied().unwrap_or(1);
        let form = match step {
            86_400.. => "%Y-%m-%d",
            60.. => "%m-%d %H:%M",
            _ => "%H:%M:%S",
        };
        let mut at = self.from_ms.div_euclid(step * 1_000) * step * 1_000;
        for _ in 0..=MOST_MARKS * 4 {
            if at > self.to_ms {
                break;
            }
            if at >= self.from_ms {
                let x = LEFT + self.share(at) * (RIGHT - LEFT);
                let _ = writeln!(
                    out,
                    "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\"/>",
                    TOP - 6.0,
                    bottom
                );
                let time = chrono::DateTime::from_timestamp_millis(at);
                let words = time.map_or_else(String::new, |time| time.format(form).to_string());
                text(out, (x, TOP - 10.0), "small", "middle", &words);
                text(out, (x, bottom + 12.0), "small", "middle", &words);
            }
            at = at.saturating_add(step * 1_000);
        }
        text(out, (LEFT - 44.0, TOP - 10.0), "small", "end", "UTC");
    }
}

fn text(out: &mut String, (x, y): (f64, f64), class: &str, anchor: &str, words: &str) {
    let words = escaped(words);
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{words}</text>"
    );
}

/// The beginning of a text.
fn cut(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crate::talk::one_line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{episode, report};
    use super::*;

    #[test]
    fn open_alerts_are_counted_step_by_step() {
        let scale = Scale { from_ms: 0, to_ms: 46_000 };
        let counts = scale.counts(&[
            episode("a", 0, Some(1_000)),
            episode("b", 500, Some(500)),
            episode("c", 45_000, None),
        ]);
        assert_eq!(counts.len(), BINS);
        assert_eq!((counts[0], counts[5], counts[10], counts[11]), (1, 2, 1, 0));
        assert_eq!((counts[449], counts[450], counts[459]), (0, 1, 1));
    }

    #[test]
    fn names_stay_texts_and_a_picture_needs_nothing_else() {
        let mut report = report();
        report.rules[0].name = "<script>\"&\u{7}".to_owned();
        report.on = "delta.`<b>`".to_owned();
        for file in ["x.svg", "x.HTML"] {
            let told = of(&report, file);
            assert!(!told.contains("<script") && !told.contains("<b>") && !told.contains('\u{7}'), "{told}");
            assert!(
                told.contains("&lt;script&gt;&quot;&amp;") && told.contains("delta.`&lt;b&gt;`"),
                "{told}"
            );
            assert!(!told.contains("href") && !told.contains("url("), "{told}");
            assert_eq!(told.starts_with("<!DOCTYPE html>"), file == "x.HTML");
            assert_eq!(told.matches("<path").count(), 3);
        }
    }

    #[test]
    fn the_axis_has_a_handful_of_marks_however_long_it_is() {
        for to_ms in [1, 999, 90_000, 7_290_000, 86_400_000 * 3, 86_400_000 * 400, i64::MAX / 4] {
            let mut out = String::new();
            Scale { from_ms: 0, to_ms }.axis(&mut out, 200.0);
            let marks = out.matches("<line").count();
            assert!((1..=40).contains(&marks), "{to_ms}: {marks}");
        }
    }

    #[test]
    fn a_picture_of_nothing_is_one_too() {
        let mut report = report();
        report.rules.clear();
        (report.from_ms, report.to_ms) = (5, 5);
        assert!(of(&report, "x.svg").ends_with("</svg>\n"));
    }
}
