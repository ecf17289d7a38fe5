//! The keys of `alerts`, `silences` and `channels`.

use super::{Section, key, required};

/// `alerts: NAME:`
pub static ALERT: Section = Section {
    path: "`alerts.NAME`",
    doc: "A condition that is watched for each key by itself: it opens an alert, and later clears it. An alert runs for \
          ever, as a query of its own, named `alerts/NAME`, with a checkpoint of its own; each transition \
          is there once, whatever dies when. Time is that of the records (`_kafka.timestamp`): what no record tells does \
          not happen, so a device that falls silent keeps its alert (`noData` tells of the silence). A condition that is NULL says \
          nothing. At most \
          100,000 keys of an alert wait or are open at a time, and at least 100 cleared alerts of each are kept, \
          10,000 where there are few alerts.",
    keys: &[
        required(
            "on",
            "name of a source or view",
            "Whose records are watched; a view may put those of several sources together, with `UNION ALL`.",
        ),
        required(
            "key",
            "column",
            "Which column tells the watched things apart, such as `device_id` or `device.id` (a name with a dot of its \
             own stands in backquotes): a text or a whole number. Records in which it is NULL are one thing together. Best \
             is the column by which the topic is partitioned: then the records of a key come in order.",
        ),
        key(
            "when",
            "SQL condition",
            None,
            "What opens an alert, such as `temperature > 70`. The columns that it names are kept with the alert. Needed, unless there \
             are `levels` or `noData`.",
        ),
        key(
            "clear",
            "SQL condition",
            Some("`when` is false"),
            "What clears it, such as `temperature < 65`. While `when` holds nothing clears.",
        ),
        key(
            "for",
            "duration",
            Some("0 seconds"),
            "How long `when` must hold before an alert opens, by the time of the records; one for which it is false begins \
             it anew.",
        ),
        key("severity", "`info`, `warning` or `critical`", Some("warning"), "How bad it is."),
        key(
            "levels",
            "mapping of severities",
            None,
            "In place of `when`, `clear` and `severity`: a condition for each of two or three severities. It is one alert, that is \
             raised and lowered.",
        ),
        key(
            "matches",
            "N of M, or N within a duration",
            None,
            "How many records must match: so many of the newest M (at most 64), such as `3 of 5`, or so many within a time \
             (at most 1,000), such as `10 within 1 minute`. Records for which `when` is NULL do not count. Without `clear` it clears when they are \
             fewer. Once it has cleared the counting begins anew.",
        ),
        key(
            "cooldown",
            "duration",
            Some("0 seconds"),
            "How long after it has cleared an alert does not open again, by the time of the records. `when` may begin to hold in it.",
        ),
        key(
            "noData",
            "duration or mapping",
            None,
            "Tells of a key of which no record came for longer than this, as an alert of its own. It opens at the time of the last \
             record plus this duration, and clears with the next record. It is noticed with the first epoch after that.",
        ),
        key(
            "inhibitedBy",
            "list of alerts",
            None,
            "Alerts of which an open one for the same key makes that nobody is told of this one.",
        ),
        key(
            "message",
            "text with `{column}`",
            Some("name, key and values"),
            "What is told of it, with the values of the record that opens it. `{{` stands for a `{`, `}}` for a `}`. In \
             YAML a text that begins with `{` stands in quotes.",
        ),
    ],
};

/// `levels: SEVERITY:` of an alert.
pub static LEVEL: Section = Section {
    path: "`alerts.NAME.levels.SEVERITY`",
    doc: "One level of an alert, under the name of its severity. An alert opens at the worst level whose `when` has held for long \
          enough, and is raised to it. Where the `clear` of its level holds it is lowered to the worst level below whose `clear` \
          does not hold too, or clears.",
    keys: &[
        required(
            "when",
            "SQL condition",
            "What opens the alert at this level, or raises it, such as `temperature > 90`.",
        ),
        key(
            "clear",
            "SQL condition",
            Some("`when` is false"),
            "What lowers it from this level, such as `temperature < 85`.",
        ),
        key("for", "duration", Some("`for` of the alert"), "How long `when` must hold."),
    ],
};

/// `noData:` of an alert when it is a mapping.
pub static NO_DATA: Section = Section {
    path: "`alerts.NAME.noData`",
    doc: "What is watched for silence. `noData: 5 minutes` is short for `noData: { after: 5 minutes }`. A key is watched from its first record \
          on.",
    keys: &[
        required("after", "duration", "For longer than this nothing may come."),
        key(
            "fields",
            "list of columns",
            None,
            "Columns that are watched in place of the key's records: of each, that it is not NULL. Each silence is an alert of its own.",
        ),
        key(
            "keys",
            "list of texts",
            None,
            "Keys that are watched though no record of them ever came: from the first epoch of the alert on.",
        ),
    ],
};

/// `silences: NAME:`
pub static SILENCE: Section = Section {
    path: "`silences.NAME`",
    doc: "When nobody is told of alerts: once, from one moment to another; or every day or week, between two times of the day. Alerts \
          open and clear all the same. One that is still open at the end is told then. What counts is the time of the \
          record that makes the transition.",
    keys: &[
        key("rules", "list of alerts", Some("all"), "Whose alerts."),
        key(
            "keys",
            "list of patterns",
            Some("all"),
            "Of which keys; `*` stands for any text, as in `press-*`.",
        ),
        key("severity", "list of severities", Some("all"), "Of which severities."),
        key(
            "from",
            "moment or time of the day",
            Some("00:00"),
            "When it begins: `2026-11-21T08:00:00+01:00`, or `22:00`.",
        ),
        key(
            "until",
            "moment or time of the day",
            Some("24:00"),
            "When it ends. A time of the day that is not later than `from` is one of the next day.",
        ),
        key("days", "list of days", Some("every day"), "On which days it begins, such as `[sat, sun]`."),
        key("zone", "time zone", Some("`timeZone` of the file"), "Whose clocks show these times."),
    ],
};

/// `channels: NAME:`
pub static CHANNEL: Section = Section {
    path: "`channels.NAME`",
    doc: "Who is told of alerts that open, get worse or milder, are acknowledged, or clear. Each transition is told once to each channel, in \
          their order, also after a crash: a notice is in the alert's journal together with its transitions, under an id that is \
          sent with it. Until it is taken it is repeated, with growing pauses; up to 100 notices of an alert wait for a channel \
          that is down, and what comes then is told as one.",
    keys: &[
        required("format", "name of a channel", "By what it is told."),
        key("options", "mapping", None, "Its options."),
        key("rules", "list of alerts", Some("all"), "Of which alerts it hears."),
        key(
            "severity",
            "`info`, `warning` or `critical`",
            Some("info"),
            "It hears of alerts that are, or have been, at least so bad.",
        ),
        key(
            "wait",
            "duration",
            Some("0 seconds"),
            "How long a transition waits for others of the same alert, to be told with them.",
        ),
        key(
            "most",
            "number",
            Some("10"),
            "Up to so many transitions of an alert that are due at once are told one by one (20 at most); more are told as one notice, \
             with the first 20 (`kafka` and `mqtt`: 1,000) and their number.",
        ),
    ],
};
