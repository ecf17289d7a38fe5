//! The keys of `dashboard`: what the page shows.

use super::{Section, key, required};

/// `dashboard:`
pub static DASHBOARD: Section = Section {
    path: "`dashboard`",
    doc: "The page that shows the pipeline. Without this section it follows from the schemas of the sources.",
    keys: &[
        key("title", "text", Some("the pipeline's name"), "The page's title."),
        key(
            "sources",
            "mapping of sources",
            None,
            "What names the devices of a source, and when they are quiet.",
        ),
        key(
            "views",
            "mapping of views",
            None,
            "Views whose rows are followed as those of sources are: where one event tells of several devices, a view makes a \
             row of each. The source below is then followed by itself only if it is named here too.",
        ),
        key(
            "panels",
            "list of panels",
            None,
            "The panels, in their order. Without it one for each number field, \
             a map where there are places, counts of states, and the devices.",
        ),
    ],
};

/// `dashboard: sources: NAME:`
pub static DASHBOARD_SOURCE: Section = Section {
    path: "`dashboard.sources.NAME`",
    doc: "How the devices of a source are told apart.",
    keys: &[
        key(
            "key",
            "field",
            Some("guessed, such as `device_id`"),
            "The field that names the device: a STRING or a whole number, nested ones with dots. Without it one of a \
             usual name; where only an `id` or nothing has one, the `key` of the source's alerts.",
        ),
        key(
            "quietAfter",
            "duration",
            Some("30 seconds, or ten times the device's usual gap"),
            "A device that sent nothing for so long is shown as quiet.",
        ),
        key(
            "labels",
            "list of columns",
            None,
            "Fields by whose values devices are told apart and rows are counted over time, such as a status or a customer: \
             four at most, each a STRING, a BOOLEAN or a whole number with few different values. A thousand \
             combinations of their values have a history of their own; what comes beyond them counts as others.",
        ),
    ],
};

/// `dashboard: views: NAME:`
pub static DASHBOARD_VIEW: Section = Section {
    path: "`dashboard.views.NAME`",
    doc: "A view whose rows the page follows. It reads one source, remembers nothing and joins no table: its rows are made \
          anew beside the queries, from the source.",
    keys: &[
        required(
            "key",
            "column",
            "The column that names the device: a STRING or a whole number, nested ones with dots.",
        ),
        key(
            "time",
            "column",
            None,
            "The TIMESTAMP column that says when it happened by the device's own clock. With it, devices are found that \
             are late or whose clock is off, by the watermark of the source.",
        ),
        key(
            "labels",
            "list of columns",
            None,
            "Fields by whose values devices are told apart and rows are counted over time, such as a status or a customer: \
             four at most, each a STRING, a BOOLEAN or a whole number with few different values. A thousand \
             combinations of their values have a history of their own; what comes beyond them counts as others.",
        ),
        key(
            "quietAfter",
            "duration",
            Some("30 seconds, or ten times the device's usual gap"),
            "A device that sent nothing for so long is shown as quiet.",
        ),
    ],
};

/// `dashboard: panels: -`
pub static PANEL: Section = Section {
    path: "`dashboard.panels`",
    doc: "One panel: `- { field: iot.temperature, chart: line, warn: 65 }`.",
    keys: &[
        required(
            "chart",
            "`line`, `bar`, `gauge`, `map`, `distribution`, `table` or `sql`",
            "How it is drawn: numbers over time, counts of values, the newest value, places, how values are spread, \
             devices in rows, or the rows of a SELECT.",
        ),
        key(
            "field",
            "`SOURCE.FIELD`",
            None,
            "What it shows, of a source or of a view that is followed; nested fields with dots. With one source also the \
             field alone.",
        ),
        key(
            "source",
            "name of a source or of a followed view",
            Some("the first"),
            "Whose devices a `map` or `table` shows. A `map` needs number fields named `lat` or `latitude`, and `lon`, \
             `lng`, `long` or `longitude`.",
        ),
        key("title", "text", Some("the field's name"), "Its title."),
        key("unit", "text", Some("the field's own"), "The unit beside its numbers."),
        key("min", "number", None, "The lower end of its scale."),
        key("max", "number", None, "The upper end of its scale, above `min`."),
        key("warn", "number", None, "From here on, upwards, values are marked."),
        key(
            "critical",
            "number",
            None,
            "From here on, upwards, values are marked as bad; not below `warn`. As Grafana's thresholds, both look \
             upwards: what is bad when it is low is an alert's, as in `when: level < 5`.",
        ),
        key("pin", "`true` or `false`", Some("false"), "It stays in view."),
        key("wide", "`true` or `false`", Some("false"), "It takes the whole width."),
        key(
            "sql",
            "SQL",
            None,
            "The SELECT of a panel `chart: sql`, over the tables that `forebay query` knows.",
        ),
        key(
            "as",
            "`table`, `bar`, `line` or `events`",
            Some("table"),
            "How the rows of the SELECT are drawn. `events` draws each as a mark on a timeline: its first column with a time \
             says when; put the newest first (`ORDER BY … DESC`).",
        ),
        key(
            "every",
            "duration",
            Some("10 seconds"),
            "How often the SELECT is asked again, at least every second.",
        ),
    ],
};
