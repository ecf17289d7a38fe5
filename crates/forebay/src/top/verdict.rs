//! The first line: is all well? if not, where? since when? Decided from what is known, in the order of urgency that
//! the page has too, and in its words (web/src/state/status.ts): who knows nothing must not say "all well"; a ledger
//! that does not add up outranks all, because data may be lost; behind a failing query alerts may be missing; an alert
//! outranks a query that somebody stopped, and that outranks a backlog, because it is the cause of one.

use forebay_core::config::Severity;

use super::line::Tone;
use super::model::{Link, Model};
use super::text::{Zone, clock, count, counted, many, millis, moment, rate};
use super::words::{Problem, Query, Tick};

/// A backlog below this many seconds of the present rate, or this many records, is not worth a word.
const LAG: (f64, u64) = (5.0, 100);

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
    if !tick.ledger.balances() {
        let problems = tick.problems.len() as u64;
        let trouble = (problems > 0).then(|| counted(problems, "query has trouble", "queries have trouble"));
        let parts = [trouble, alerts(open)].into_iter().flatten().collect();
        let hint = "Records may be lost or doubled. Keep the data folder as it is and report this.";
        let verdict = said(Tone::Bad, "The ledger does not balance".to_owned(), parts);
        return Verdict { hint: Some(hint.to_owned()), is_failure: true, ..verdict };
    }
    if let Some(first) = tick.problems.first() {
        return failing(tick, first, open, zone);
    }
    if tick.status == "failing" {
        let parts = alerts(open).into_iter().collect();
        return Verdict { is_failure: true, ..said(Tone::Bad, "Forebay is failing".to_owned(), parts) };
    }
    if open > 0 {
        return alerting(model, tick, open, zone);
    }
    calm(model, tick, zone)
}

fn failing(tick: &Tick, first: &Problem, open: u64, zone: Zone) -> Verdict {
    let since = millis(&first.since).map(|since| format!(" since {}", moment(since, tick.now, zone)));
    let headline = format!("{}{}", subject(first), since.unwrap_or_default());
    let what = first.error.as_ref().unwrap_or(&first.what);
    let code = first.code.as_ref().map(|code| format!("{code} ")).unwrap_or_default();
    let mut parts = vec![format!("{code}{what}")];
    let more = tick.problems.len() as u64 - 1;
    parts.extend((more > 0).then(|| counted(more, "more query has trouble", "more queries have trouble")));
    parts.extend(alerts(open));
    Verdict { hint: first.hint.clone(), is_failure: true, ..said(Tone::Bad, headline, parts) }
}

fn subject(problem: &Problem) -> String {
    match (&problem.query, &problem.source) {
        (Some(query), _) => format!("Query {query} is failing"),
        (None, Some(source)) => format!("The history of {source} is not saved"),
        (None, None) => "Forebay is failing".to_owned(),
    }
}

fn alerting(model: &Model, tick: &Tick, total: u64, zone: Zone) -> Verdict {
    let mut parts = sending(tick);
    parts.push(waits(tick));
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
        let parts = vec!["the first event will show here by itself".to_owned()];
        return said(Tone::Plain, "Ready, and nothing has been sent yet".to_owned(), parts);
    }
    let is_stopped = |query: &&Query| query.state == "stopped";
    let stopped: Vec<&Query> =
        tick.queries.iter().filter(is_stopped).filter(|query| !model.schema.ends(&query.name)).collect();
    if let Some(first) = stopped.first() {
        let headline = match stopped.len() {
            1 => match first.name.strip_prefix("alerts/") {
                Some(rule) => format!("Alert rule {rule} is stopped"),
                None => format!("Query {} is stopped", first.name),
            },
            more => format!("{more} queries and alert rules are stopped"),
        };
        parts.push("what comes meanwhile waits in the log".to_owned());
        return said(Tone::Warn, headline, parts);
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
        let parts = vec![format!("{} quiet", many(devices.quiet, "device")), waits(tick)];
        return said(Tone::Warn, "No device is sending".to_owned(), parts);
    }
    parts.extend((devices.quiet > 0).then(|| format!("{} quiet", count(devices.quiet))));
    parts.push(waits(tick));
    let cleared = model.alerts.iter().filter_map(|alert| alert.cleared_at).max();
    let since = cleared.unwrap_or_default().max(model.hello.started_at);
    let well = match since {
        0 => "All well".to_owned(),
        since => format!("All well since {}", moment(since, tick.now, zone)),
    };
    said(Tone::Good, well, parts)
}

fn alerts(open: u64) -> Option<String> {
    (open > 0).then(|| many(open, "open alert"))
}

/// Who sends, and how much; nothing in a run that shows no devices, for there nothing is known of them.
fn sending(tick: &Tick) -> Vec<String> {
    if tick.followers.is_empty() {
        return Vec::new();
    }
    vec![many(tick.devices.total, "device"), format!("{} events/s", rate(tick.rate))]
}

/// How far the queries are behind. A few records wait at any moment: that is keeping up.
fn waits(tick: &Tick) -> String {
    match tick.lag {
        None => "what waits is not known".to_owned(),
        Some(lag) if lag_matters(tick) => format!("{} records wait", count(lag)),
        Some(_) => "queries keep up".to_owned(),
    }
}

fn lag_matters(tick: &Tick) -> bool {
    let (seconds, floor) = LAG;
    tick.lag.is_some_and(|lag| lag > floor && lag as f64 > tick.rate * seconds)
}

#[cfg(test)]
mod tests {
    use super::super::stream::Message;
    use super::super::text::utc;
    use super::super::words::{Alert, Counts, Follower, Hello, Planned, Schema};
    use super::*;
    use forebay_core::Error;
    use forebay_core::error::codes;

    const NOON: i64 = 1_795_262_400_000;

    /// A plant that is well.
    fn plant() -> Model {
        let mut model = Model::new("http://x", 0);
        model.apply(Message::Hello(Hello { started_at: NOON - 600_000, ..Hello::default() }), NOON);
        let devices = Counts { total: 3, live: 3, quiet: 0 };
        let query =
            |name: &str, kind: &str| Query { name: name.into(), kind: kind.into(), ..Query::default() };
        let queries = vec![query("lake", "query"), query("hot", "query"), query("alerts/overheat", "alert")];
        let followers = vec![Follower { source: "iot".into(), lag: Some(0), behind: false }];
        let tick = Tick {
            now: NOON,
            rate: 20.0,
            status: "ok".into(),
            lag: Some(0),
            devices,
            queries,
            followers,
            ..Tick::default()
        };
        model.apply(Message::Tick(Box::new(tick)), NOON);
        model
    }

    fn told(change: impl FnOnce(&mut Model, &mut Tick)) -> Verdict {
        let mut model = plant();
        let mut tick = model.tick.take().unwrap();
        change(&mut model, &mut tick);
        model.tick = Some(tick);
        verdict(&model, utc)
    }

    #[test]
    fn what_is_worse_is_told_first_and_since_when() {
        let well = told(|_, _| {});
        assert_eq!((well.tone, well.headline.as_str()), (Tone::Good, "All well since 11:50"));
        assert_eq!(well.parts, ["3 devices", "20 events/s", "queries keep up"]);

        let behind = |tick: &mut Tick| (tick.lag, tick.queries[0].lag) = (Some(4_000), Some(4_000));
        let shown = told(|_, tick| behind(tick));
        assert_eq!((shown.tone, shown.headline.as_str()), (Tone::Warn, "Query lake is 4,000 records behind"));

        let alert = |model: &mut Model, tick: &mut Tick| {
            behind(tick);
            let alert = |id: &str, severity, opened_at| Alert {
                id: id.into(),
                severity,
                opened_at,
                state: "open".into(),
                message: format!("{id} is hot."),
                ..Alert::default()
            };
            for alert in [
                alert("d1", Severity::Warning, NOON - 300_000),
                alert("d2", Severity::Critical, NOON - 120_000),
                alert("d3", Severity::Critical, NOON - 60_000),
            ] {
                model.apply(Message::Alert(alert), NOON);
            }
            tick.alerts.open = 3;
            tick.alerts.by_severity = [(Severity::Critical, 2), (Severity::Warning, 1)].into();
        };
        let shown = told(alert);
        assert_eq!(
            (shown.tone, shown.headline.as_str()),
            (Tone::Bad, "3 alerts, 2 critical: d2 is hot since 11:58")
        );
        assert!(shown.parts.contains(&"4,000 records wait".to_owned()) && !shown.is_failure, "{shown:?}");

        let fail = |model: &mut Model, tick: &mut Tick| {
            alert(model, tick);
            tick.status = "failing".into();
            tick.problems.push(Problem {
                query: Some("lake".into()),
                since: (NOON - 3_600_000).into(),
                code: Some("FB-5001".into()),
                error: Some("the sink does not answer".into()),
                hint: Some("Look at the disk.".into()),
                ..Problem::default()
            });
        };
        let shown = told(fail);
        assert_eq!(shown.headline, "Query lake is failing since 11:00");
        assert_eq!(shown.parts, ["FB-5001 the sink does not answer", "3 open alerts"]);
        assert_eq!((shown.hint.as_deref(), shown.is_failure), (Some("Look at the disk."), true));

        let lose = |model: &mut Model, tick: &mut Tick| {
            fail(model, tick);
            tick.ledger.read += 1;
        };
        let shown = told(lose);
        assert_eq!((shown.headline.as_str(), shown.is_failure), ("The ledger does not balance", true));
        assert_eq!(shown.parts, ["1 query has trouble", "3 open alerts"]);

        let shown = told(|model, tick| {
            lose(model, tick);
            let why = Error::new(&codes::NO_SERVER, "no server answers").with_detail("connection refused");
            model.link = Link::Lost { since: NOON + 1_000, why };
        });
        assert_eq!(shown.headline, "No word from Forebay since 12:00:01; it is asked again and again");
        assert_eq!(shown.parts, ["connection refused", "what stands below is from then"]);
        assert!(shown.is_failure);
    }

    #[test]
    fn who_knows_nothing_says_so() {
        let shown = verdict(&Model::new("http://x", 0), utc);
        assert_eq!((shown.tone, shown.headline.as_str()), (Tone::Plain, "Asking Forebay …"));
        let shown = told(|_, tick| tick.devices = Counts::default());
        assert_eq!(shown.headline, "Ready, and nothing has been sent yet");
        let shown = told(|_, tick| tick.devices = Counts { total: 3, live: 0, quiet: 3 });
        assert_eq!((shown.tone, shown.headline.as_str()), (Tone::Warn, "No device is sending"));
        let late = Follower { source: "iot".into(), lag: Some(5_000), behind: true };
        let shown = told(|_, tick| tick.followers.push(late));
        assert_eq!(shown.headline, "What is shown here is 5,000 records behind");
        let shown = told(|_, tick| tick.lag = None);
        assert_eq!(shown.headline, "All well since 11:50");
        assert_eq!(shown.parts, ["3 devices", "20 events/s", "what waits is not known"]);
    }

    #[test]
    fn a_run_that_shows_no_devices_does_not_wait_for_them() {
        let alone = |tick: &mut Tick| {
            tick.followers.clear();
            (tick.devices, tick.rate) = (Counts::default(), 0.0);
        };
        let shown = told(|_, tick| alone(tick));
        assert_eq!((shown.tone, shown.headline.as_str()), (Tone::Good, "All well since 11:50"));
        assert_eq!(shown.parts, ["queries keep up"]);
        let shown = told(|_, tick| {
            alone(tick);
            tick.alerts.open = 2;
        });
        assert_eq!((shown.headline.as_str(), shown.parts.len()), ("2 open alerts", 1));
    }

    #[test]
    fn a_query_that_somebody_stopped_is_told_before_the_backlog_it_causes() {
        let stop = |tick: &mut Tick, names: &[&str]| {
            for query in tick.queries.iter_mut().filter(|query| names.contains(&query.name.as_str())) {
                (query.state, query.lag) = ("stopped".into(), Some(4_000));
            }
            tick.lag = Some(4_000);
        };
        let shown = told(|_, tick| stop(tick, &["lake"]));
        assert_eq!((shown.tone, shown.headline.as_str()), (Tone::Warn, "Query lake is stopped"));
        assert_eq!(shown.parts[2], "what comes meanwhile waits in the log");
        assert!(!shown.is_failure, "somebody wanted it");
        let shown = told(|_, tick| stop(tick, &["lake", "hot", "alerts/overheat"]));
        assert_eq!(shown.headline, "3 queries and alert rules are stopped");
        let shown = told(|model, tick| {
            stop(tick, &["lake", "hot"]);
            let ends = |name: &str| Planned { name: name.into(), trigger: Some("availableNow".into()) };
            model.schema = Schema { queries: vec![ends("lake"), ends("hot")], ..Schema::default() };
            tick.lag = Some(0);
        });
        assert_eq!(shown.headline, "All well since 11:50", "they end by themselves");
        let shown = told(|_, tick| tick.lag = Some(4_000));
        assert_eq!(shown.headline, "Queries are 4,000 records behind", "nobody knows which");
    }

    #[test]
    fn a_history_that_is_not_saved_is_no_query() {
        let unsaved = Problem {
            source: Some("iot".into()),
            since: NOON.into(),
            code: Some("FB-5005".into()),
            error: Some("the disk is full".into()),
            ..Problem::default()
        };
        let shown = told(|_, tick| {
            let more = Problem { query: Some("lake".into()), ..Problem::default() };
            tick.problems = vec![unsaved, more.clone(), more];
        });
        assert_eq!(shown.headline, "The history of iot is not saved since 12:00");
        assert_eq!(shown.parts, ["FB-5005 the disk is full", "2 more queries have trouble"]);
        assert!(shown.is_failure);
    }

    #[test]
    fn all_is_well_since_the_last_alert_cleared() {
        let shown = told(|model, _| {
            let alert =
                Alert { cleared_at: Some(NOON - 60_000), state: "cleared".into(), ..Alert::default() };
            model.apply(Message::Alert(alert), NOON);
        });
        assert_eq!(shown.headline, "All well since 11:59");
    }
}
