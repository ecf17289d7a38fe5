//! What is told of which plant.

use super::super::bounds::Plain;
use super::super::stream::Message;
use super::super::text::utc;
use super::super::words::{
    Alert, BrokenTable, Clocks, Counts, Follower, Hello, OffClock, Planned, RefusedRows, Schema,
};
use super::*;
use forebay_core::Error;
use forebay_core::error::codes;

const NOON: i64 = 1_795_262_400_000;

/// A plant that is well.
fn plant() -> Model {
    let mut model = Model::new("http://x", 0);
    model.apply(Message::Hello(Hello { started_at: NOON - 600_000, ..Hello::default() }), NOON);
    let devices = Counts { total: 3, live: 3, quiet: 0 };
    let query = |name: &str, kind: &str| Query { name: name.into(), kind: kind.into(), ..Query::default() };
    let queries = vec![query("lake", "query"), query("hot", "query"), query("alerts/overheat", "alert")];
    let followers = vec![Follower { source: "iot".into(), lag: Some(0), ..Follower::default() }];
    let tick = Tick {
        now: NOON,
        rate: 20.0,
        status: "ok".into(),
        lag: Some(0),
        devices,
        queries: queries.into(),
        followers: followers.into(),
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

    let off = told(|_, tick| {
        let off = |key: &str, offset| OffClock { key: key.into(), offset };
        let worst = vec![off("press-17", 7_200_000), off("pump", -40_000)].into();
        tick.followers[0].clocks = Some(Clocks { ahead: 3, behind: 1, worst });
    });
    assert_eq!((off.tone, off.headline.as_str()), (Tone::Good, "All well since 11:50"));
    assert_eq!(off.parts[2], "3 clocks ahead, 1 clock behind: worst press-17, 2 h 00 min ahead");

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
            since: Plain((NOON - 3_600_000).into()),
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
        tick.ledgers.sum.read += 1;
    };
    let shown = told(lose);
    assert_eq!((shown.headline.as_str(), shown.is_failure), ("The ledger does not balance", true));
    assert_eq!(shown.parts, ["1 problem", "3 open alerts"]);

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
    let late = Follower { source: "iot".into(), lag: Some(5_000), behind: true, ..Follower::default() };
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
    assert_eq!(shown.headline, "2 queries and 1 alert rule are stopped");
    let shown = told(|model, tick| {
        stop(tick, &["lake", "hot"]);
        let ends = |name: &str| Planned { name: name.into(), trigger: Some("availableNow".into()) };
        model.schema = Schema { queries: vec![ends("lake"), ends("hot")].into(), ..Schema::default() };
        tick.lag = Some(0);
    });
    assert_eq!(shown.headline, "All well since 11:50", "they end by themselves");
    let shown = told(|_, tick| tick.lag = Some(4_000));
    assert_eq!(shown.headline, "Queries are 4,000 records behind", "nobody knows which");
}

#[test]
fn what_is_stopped_is_told_whatever_else_is_wrong() {
    let stopped = |change: fn(&mut Tick)| {
        told(|_, tick| {
            (tick.queries[1].state, tick.queries[1].lag) = ("stopped".into(), Some(0));
            change(tick);
        })
    };
    let is_failing = |tick: &mut Tick| {
        tick.problems = vec![Problem { query: Some("lake".into()), ..Problem::default() }].into();
    };
    let changes: [fn(&mut Tick); 5] = [
        |tick| tick.ledgers.sum.read += 1,
        is_failing,
        |tick| tick.status = "failing".into(),
        |tick| tick.alerts.open = 1,
        |tick| tick.devices = Counts::default(),
    ];
    for change in changes {
        let shown = stopped(change);
        assert!(shown.parts.contains(&"Query hot is stopped".to_owned()), "{shown:?}");
    }
    assert_eq!(stopped(changes[3]).parts.last().unwrap(), "the others keep up");
    let shown = stopped(|tick| tick.queries[1].lag = None);
    assert_eq!(shown.parts.last().unwrap(), "what comes meanwhile waits in the log, how much is not known");
}

#[test]
fn a_file_that_was_refused_is_told_where_nothing_is_worse() {
    let file = Problem {
        since: Plain(NOON.into()),
        error: Some("FB-1003 unknown key".into()),
        hint: Some("Did you mean `format`?".into()),
        ..Problem::default()
    };
    let shown = told(|_, tick| tick.refused_reload = Some(file.clone()));
    assert_eq!(
        (shown.tone, shown.headline.as_str()),
        (Tone::Warn, "The changed file is refused since 12:00")
    );
    assert_eq!(shown.parts, ["FB-1003 unknown key", "all goes on by the file before"]);
    assert_eq!(shown.hint.as_deref(), Some("Did you mean `format`?"));
    assert!(!shown.is_failure, "what runs is well");
}

#[test]
fn devices_of_several_sources_are_not_added_up() {
    let follower = |source: &str, devices| Follower { source: source.into(), devices, ..Follower::default() };
    let shown = told(|_, tick| {
        tick.followers = vec![follower("readings", Some(4)), follower("states", Some(1))].into();
    });
    assert_eq!(shown.parts[0], "4 devices of readings, 1 of states");
    let shown = told(|_, tick| tick.followers = vec![follower("iot", Some(3))].into());
    assert_eq!(shown.parts[0], "3 devices");
    let shown = told(|_, tick| {
        tick.followers = (0..9).map(|n| follower(&format!("s{n}"), Some(n))).collect::<Vec<_>>().into();
    });
    assert_eq!(shown.parts[0], "9 sources");
}

#[test]
fn a_table_that_cannot_be_read_is_told_once_and_with_its_file() {
    let table = |name: &str| BrokenTable {
        name: name.into(),
        since: Plain(NOON.into()),
        error: Problem {
            code: Some("FB-2007".into()),
            message: Some("record 2 of a file has `many`".into()),
            place: Some("devices.csv:3".into()),
            hint: Some("Mend the file.".into()),
            ..Problem::default()
        },
    };
    let of_two_queries = || vec![table("devices"), table("devices")].into();
    let shown = told(|_, tick| tick.broken_tables = of_two_queries());
    assert_eq!(
        (shown.tone, shown.headline.as_str()),
        (Tone::Warn, "The table devices cannot be read since 12:00")
    );
    let why = "FB-2007 record 2 of a file has `many` (devices.csv:3)";
    assert_eq!(shown.parts, [why, "the version read before is used"]);
    assert_eq!((shown.hint.as_deref(), shown.is_failure), (Some("Mend the file."), false));
    let shown = told(|_, tick| tick.broken_tables = vec![table("devices"), table("sites")].into());
    assert_eq!(shown.headline, "2 tables cannot be read");
    let shown = told(|_, tick| {
        tick.broken_tables = of_two_queries();
        tick.alerts.open = 1;
    });
    assert_eq!(shown.parts[0], "The table devices cannot be read since 12:00");
}

#[test]
fn a_history_that_is_not_saved_is_no_query() {
    let unsaved = Problem {
        source: Some("iot".into()),
        since: Plain(NOON.into()),
        code: Some("FB-5005".into()),
        error: Some("the disk is full".into()),
        ..Problem::default()
    };
    let shown = told(|_, tick| {
        let more = Problem { query: Some("lake".into()), ..Problem::default() };
        tick.problems = vec![unsaved, more.clone(), more].into();
    });
    assert_eq!(shown.headline, "The history of iot is not saved since 12:00");
    assert_eq!(shown.parts, ["FB-5005 the disk is full", "2 more problems"]);
    assert!(shown.is_failure);
}

#[test]
fn all_is_well_since_the_last_alert_cleared() {
    let shown = told(|model, _| {
        let alert = Alert { cleared_at: Some(NOON - 60_000), state: "cleared".into(), ..Alert::default() };
        model.apply(Message::Alert(alert), NOON);
    });
    assert_eq!(shown.headline, "All well since 11:59");
}

#[test]
fn rows_that_a_sink_refused_lately_are_not_all_well() {
    let refuse = |newest: i64| {
        told(move |_, tick| {
            tick.quarantine.refused = vec![RefusedRows { query: "lake".into(), rows: 12, newest }].into();
        })
    };
    let shown = refuse(NOON - 60_000);
    let headline = "12 rows of query lake were refused by the sink, the last at 11:59";
    assert_eq!((shown.tone, shown.headline.as_str(), shown.is_failure), (Tone::Warn, headline, false));
    assert!(shown.hint.unwrap().contains("forebay quarantine ls"));
    assert_eq!(refuse(NOON - 25 * 3_600_000).tone, Tone::Good, "long ago");
}

#[test]
fn a_code_that_an_error_begins_with_is_told_once() {
    let shown = told(|_, tick| {
        tick.problems.push(Problem {
            query: Some("lake".into()),
            code: Some("FB-5001".into()),
            error: Some("FB-5001 the sink does not answer: connection refused".into()),
            ..Problem::default()
        });
    });
    assert_eq!(shown.parts[0], "FB-5001 the sink does not answer: connection refused");
}
