//! `cycle:` of a query: how long it collects, and what becomes of what it collected.

use super::parse::{Reading, bad_value};
use super::section::Section;
use super::{CycleConfig, keys};
use crate::Zone;
use crate::cycle::{Cycle, Template};
use crate::error::{Error, codes};
use crate::options::parse_duration;

const WITH_HEADER: &str = "one file with header";
const PLAIN: &str = "one file";

pub(super) fn read(section: &Section<'_>, reading: &mut Reading<'_>) -> Option<CycleConfig> {
    let entry = section.get("cycle")?;
    let section = Section::open(&entry.value, "`cycle`", entry.key_span, &mut reading.problems)?;
    section.check("`cycle`", &keys::CYCLE, &mut reading.problems, |_| None);
    let every = section.text("every", &mut reading.problems).and_then(|text| {
        let every = parse_duration(text.text).filter(|every| every.as_secs() > 0);
        if every.is_none() {
            let expected = "a duration of a second at least, such as `2 minutes`";
            let error = bad_value("every", text.text, expected)
                .with_hint("How long a cycle collects, before what it wrote becomes an archive.");
            reading.problems.report(text.span, error);
        }
        every
    });
    let header = match section.text("merge", &mut reading.problems) {
        None => true,
        Some(text) if text.text.trim() == WITH_HEADER => true,
        Some(text) => {
            if text.text.trim() != PLAIN {
                let expected = format!("`{WITH_HEADER}` or `{PLAIN}`");
                reading.problems.report(text.span, bad_value("merge", text.text, &expected));
            }
            false
        }
    };
    let archive =
        section.text("archive", &mut reading.problems).and_then(|text| match Template::read(text.text) {
            Ok(template) => Some(template),
            Err(why) => {
                let error = Error::new(&codes::BAD_VALUE, format!("`archive` is `{}`: {why}", text.text))
                    .with_hint("Write a path such as `backup/{name}_{yyyyMMdd_HHmmss}.csv`.");
                reading.problems.report(text.span, error);
                None
            }
        });
    let clean = match section.text("clean", &mut reading.problems) {
        None => true,
        Some(text) => match text.text.to_ascii_lowercase().as_str() {
            "true" => true,
            "false" => false,
            other => {
                reading.problems.report(text.span, bad_value("clean", other, "`true` or `false`"));
                true
            }
        },
    };
    let repeat = match section.text("repeat", &mut reading.problems) {
        None => None,
        Some(text) if text.text == "forever" => None,
        Some(text) => {
            let times = text.text.parse::<u64>().ok().filter(|times| *times > 0);
            if times.is_none() {
                reading
                    .problems
                    .report(text.span, bad_value("repeat", text.text, "`forever` or a whole number from 1"));
            }
            times
        }
    };
    let zone = section.text("zone", &mut reading.problems).and_then(|text| {
        let zone = Zone::read(text.text.trim()).ok();
        if zone.is_none() {
            reading
                .problems
                .report(text.span, bad_value("zone", text.text, "a time zone such as `Europe/Berlin`"));
        }
        zone
    });
    let cycle =
        Cycle { every: every?, header, archive: archive?, clean, repeat, zone: zone.unwrap_or(Zone::UTC) };
    Some(CycleConfig { cycle, place: reading.problems.place(entry.key_span) })
}
