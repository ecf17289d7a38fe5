//! What a new file says about watching: an alert, and what the page is told. From the schema alone: names that need
//! quotes anywhere are left out, so that what is written always loads.

use std::fmt::Write as _;

use forebay_core::{ddl, fields::Kind};
use forebay_live::{Layout, Role};

/// Panels of a topic whose meaning is not known.
const PANELS: usize = 4;

/// The sections `alerts` and `dashboard`.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// The column that names the device, the number that is watched, and whether its limits are known.
    alert: Option<(String, String, bool)>,
    /// The panels' lines.
    panels: Vec<String>,
}

impl Watched {
    /// The plant: what is too hot is known.
    pub fn plant() -> Self {
        let alert = ("device_id".to_owned(), "temperature".to_owned(), true);
        let temperature = "{ field: events.temperature, chart: line, unit: °C, warn: 65, critical: 75 }";
        let humidity = "{ field: events.humidity, chart: line, unit: \"%\" }";
        Self { alert: Some(alert), panels: vec![temperature.to_owned(), humidity.to_owned()] }
    }

    /// Columns that nobody has said anything about: what is measured can be watched, but not beyond which limit.
    pub fn of(ddl: &str) -> Self {
        let Ok(schema) = ddl::parse(ddl) else { return Self::default() };
        let layout = Layout::new(&schema, None, &[]);
        let measured =
            || layout.fields.iter().filter(|field| field.is_measured() && field.role == Role::Value);
        let names = measured().map(|field| field.name.as_str()).filter(|name| name.split('.').all(is_plain));
        let panels =
            names.take(PANELS).map(|name| format!("{{ field: events.{name}, chart: line }}")).collect();
        let text = || layout.fields.iter().find(|field| field.kind == Kind::Text && is_plain(&field.name));
        let key =
            layout.key.and_then(|key| layout.fields.get(key)).filter(|key| is_plain(&key.name)).or_else(text);
        let number = measured().find(|field| is_plain(&field.name));
        let alert = key.zip(number).map(|(key, number)| (key.name.clone(), number.name.clone(), false));
        Self { alert, panels }
    }

    /// The sections as they stand in the file.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if let Some((key, number, true)) = &self.alert {
            let _ = write!(
                out,
                "\n# What somebody must know of: a condition opens an alert for a device, another one clears it.\nalerts:\n  \
                 overheat:\n    on: events\n    key: {key}\n    when: {number} > 75\n    clear: {number} < 65\n    \
                 # Only if it lasts:\n    # for: 10 seconds\n    severity: critical\n    \
                 message: \"{{{key}}} has {{{number}}} °C\"\n"
            );
        } else if let Some((key, number, _)) = &self.alert {
            let _ = write!(
                out,
                "\n# What somebody must know of. Without the `#` this opens an alert for a device and clears it; put limits of\n\
                 # your own, and `for: 10 seconds` if only what lasts counts.\n\
                 # alerts:\n#   high_{number}:\n#     on: events\n#     key: {key}\n#     when: {number} > 100\n\
                 #     clear: {number} < 90\n#     severity: warning\n#     message: \"{{{key}}}: {number} is {{{number}}}\"\n"
            );
        }
        if !self.panels.is_empty() {
            out.push_str(
                "\n# The page, http://127.0.0.1:8080, is drawn from the schema; this names its charts, units and limits.\n\
                 dashboard:\n  panels:\n",
            );
            self.panels.iter().for_each(|panel| {
                let _ = writeln!(out, "    - {panel}");
            });
        }
        out
    }
}

/// A name that needs no quotes in SQL, in YAML and in a message.
fn is_plain(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_measured_and_needs_no_quotes_is_watched() {
        let text =
            Watched::of("id STRING, at TIMESTAMP, `a b` DOUBLE, v DOUBLE, site STRUCT<heat: DOUBLE>").text();
        for part in [
            "#     key: id\n",
            "#     when: v > 100\n",
            "- { field: events.v, chart: line }",
            "events.site.heat",
        ] {
            assert!(text.contains(part), "`{part}` is missing in\n{text}");
        }
        assert!(!text.contains("a b"), "{text}");
        assert_eq!(Watched::of("id STRING, at TIMESTAMP").text(), "");
        assert!(
            Watched::of("v DOUBLE").text().starts_with("\n# The page"),
            "nobody knows whose values they are"
        );
    }
}
