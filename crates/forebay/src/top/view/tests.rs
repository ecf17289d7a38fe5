//! What a person sees, as text.

use serde_json::{Value, json};

use super::super::keys::Key;
use super::super::stream::Message;
use super::super::text::utc;
use super::super::words::{Remembers, Schema, Slice};
use super::*;

const NOON: i64 = 1_795_262_400_000;

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A plant with an alert, a quiet device and a name that would like to command the terminal.
fn plant() -> Model {
    let mut model = Model::new("http://127.0.0.1:8080", NOON);
    let field = |name: &str, role: &str, unit: Option<&str>| json!({ "name": name, "type": "DOUBLE", "kind": "number", "role": role, "unit": unit });
    let schema: Schema = read(
        json!({ "pipeline": "plant", "title": "Plant 7", "sources": [{ "name": "iot", "key": "device_id", "fields": [
        { "name": "device_id", "type": "STRING", "kind": "text", "role": "key" },
        field("temperature", "value", None), field("humidity", "value", Some("%")), field("timestamp", "time", None),
    ] }], "panels": [{ "source": "iot", "field": "temperature", "unit": "°C" }] }),
    );
    let alert = |id: &str, state: &str, opened: i64| {
        json!({ "id": id, "rule": "overheat", "key": id, "severity": "critical", "state": state, "openedAt": opened,
            "clearedAt": (state == "cleared").then_some(opened + 30_000), "message": format!("{id} has 75.5 °C") })
    };
    let alerts = read(json!([
        alert("device_2", "open", NOON - 180_000),
        alert("device_1", "cleared", NOON - 600_000)
    ]));
    model.apply(Message::Schema(schema.with_units()), NOON);
    model.apply(Message::Alerts(alerts), NOON);
    let query = |name: &str, kind: &str, waits: &str| {
        json!({ "name": name, "kind": kind, "state": "waiting", "epoch": 123, "lag": 0, "rate": 20.0, "latency": { "p50": 5, "p99": 9 },
            "error": null, "waitingFor": waits, "epochs": [{ "epoch": 123, "rows": 20, "ms": 3, "at": NOON }] })
    };
    let tick = json!({
        "now": NOON, "rate": 20.0, "lag": 0, "latency": { "p50": 9, "p99": 25 }, "status": "ok", "problems": [],
        "queries": [query("lake", "query", "its trigger, in 0.4 s"), query("hot", "query", "new records"), query("alerts/overheat", "alert", "new records")],
        "ledger": { "read": 1234, "emitted": 1200, "filtered": 30, "quarantined": 4, "balances": true },
        "alerts": { "open": 1, "bySeverity": { "critical": 1, "warning": 0, "info": 0 } },
        "quarantine": { "open": 4, "bytes": 1300 }, "devices": { "total": 3, "live": 2, "quiet": 1, "alerting": 1 },
        "followers": [{ "source": "iot", "lag": 0, "behind": false }],
    });
    model.apply(Message::Tick(Box::new(read(tick))), NOON);
    let device = |key: &str, state: &str, seen: i64, severity: Value, temperature: f64| {
        json!({ "key": key, "state": state, "lastSeen": seen, "rate": 6.7, "severity": severity,
            "values": { "temperature": temperature, "humidity": 50.0 } })
    };
    let devices = json!({ "total": 3, "offset": 0, "rows": [
        device("\u{1b}[2J\u{1b}]0;pwned\u{7}\u{202e}evil", "live", NOON, Value::Null, 45.25),
        device("device_2", "live", NOON - 4_000, "critical".into(), 78.125),
        device("device_3", "quiet", NOON - 185_000, Value::Null, 1234.5),
    ] });
    model.apply(Message::Devices(read(devices)), NOON);
    model
}

fn shown(model: &Model, size: (usize, usize)) -> Vec<String> {
    draw(model, size, utc).lines.iter().map(|line| line.text().trim_end().to_owned()).collect()
}

#[test]
fn a_plant_on_eighty_columns() {
    let shown = shown(&plant(), (80, 24));
    let expected = "\
\x20Forebay  Plant 7                             ● 12:00:00  http://127.0.0.1:8080
 ▲ 1 critical alert: device_2 has 75.5 °C since 11:57 · 3 devices · 20 events/s…
 events/s 20   behind 0   to stored p50 9 ms, p99 25 ms   quarantine 4 (1.3 KiB)
 3 ledgers balance   1234 read = 1200 emitted + 30 filtered + 4 quarantined
── Queries  2 · 1 alert rule ───────────────────────────────────────────────────
 query            state    epoch  records   p99  behind  waits for
 lake             waiting    123       20  9 ms       0  its trigger, in 0.4 s
 hot              waiting    123       20  9 ms       0  new records
 alerts/overheat  waiting    123       20  9 ms       0  new records
── Alerts  1 open ──────────────────────────────────────────────────────────────
 ▲ critical  since 11:57 (3 min)       device_2  overheat  device_2 has 75.5 °C
 ✓ critical  cleared 11:50 after 30 s  device_1  overheat  device_1 has 75.5 °C
━━ Devices  3 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
 device                 temperature °C  humidity %  events/s  seen
   �[2J�]0;pwned��evil            45.2        50.0       6.7  now
 ▲ device_2                       78.1        50.0       6.7  4 s ago
   device_3                    1,234.5        50.0       6.7  3 min ago






  q  quit  tab  section  ↑↓ PgUp PgDn  scroll  /  search";
    assert_eq!(shown.join("\n"), expected, "\n{}", shown.join("\n"));
}

#[test]
fn what_came_too_late_and_what_is_held_stand_where_there_is_room() {
    let mut model = plant();
    let tick = model.tick.as_mut().unwrap();
    (tick.queries[0].remembers, tick.queries[0].state_bytes) = (Some(Remembers { late: 547 }), 12_288);
    let wide = shown(&model, (100, 24));
    assert!(wide[5].contains("behind  late      held  waits for"), "{}", wide[5]);
    assert!(
        wide[6].contains("  547  12.0 KiB  its trigger") && wide[7].contains("   –         –  new"),
        "{wide:#?}"
    );
    let narrow = shown(&model, (76, 24));
    assert!(narrow[5].contains("late") && !narrow[5].contains("held"), "{}", narrow[5]);
}

#[test]
fn no_size_breaks_it_and_no_line_is_wider_than_the_screen() {
    let mut model = plant();
    for focus in 0..3 {
        for size in [0, 1, 2, 3, 5, 9, 12, 17, 24, 41, 80, 200] {
            for height in [0, 1, 2, 4, 6, 7, 9, 13, 24, 60] {
                let frame = draw(&model, (size, height), utc);
                model.give_room(frame.room);
                assert_eq!(frame.lines.len(), height, "{size}×{height}");
                for line in &frame.lines {
                    assert!(line.width() <= size, "{size}×{height}: {}", line.text());
                    assert!(!line.text().chars().any(char::is_control), "{:?}", line.text());
                }
            }
        }
        assert_eq!(model.focus as usize, [2, 0, 1][focus]);
        model.press(Key::Tab);
    }
}

#[test]
fn where_there_is_little_room_what_is_scrolled_stays() {
    let mut model = plant();
    let seen = |model: &Model| {
        let text = shown(model, (80, 9)).join("\n");
        ["Queries", "Alerts", "Devices"].map(|name| text.contains(&format!("━━ {name}")))
    };
    assert_eq!(seen(&model), [false, false, true]);
    model.press(Key::Tab);
    assert_eq!(seen(&model), [true, false, false]);
    model.press(Key::Tab);
    assert_eq!(seen(&model), [false, true, false]);
}

#[test]
fn a_thousand_devices_are_scrolled_through() {
    let mut model = plant();
    let device = |n: usize| json!({ "key": format!("d{n}"), "state": "live", "values": {} });
    let slice = |offset: usize| {
        Message::Devices(read(
            json!({ "total": 1000, "offset": offset, "rows": (offset..offset + 100).map(device).collect::<Vec<_>>() }),
        ))
    };
    model.apply(slice(0), NOON);
    let room = draw(&model, (80, 24), utc).room;
    model.give_room(room);
    model.press(Key::PageDown);
    let text = shown(&model, (80, 24)).join("\n");
    let first = room[Section::Devices as usize];
    assert!(
        text.contains(&format!(" · {}–{} of 1,000", first + 1, 2 * first))
            && text.contains(&format!("  d{first} ")),
        "{text}"
    );
    model.press(Key::End);
    assert!(shown(&model, (80, 24)).join("\n").contains(" …"), "not there yet");
    model.apply(slice(model.view().offset), NOON);
    assert!(shown(&model, (80, 24)).join("\n").contains("  d999"));
}

#[test]
fn what_fails_is_told_with_its_remedy_and_a_break_is_never_taken_for_well() {
    let mut model = plant();
    let mut tick = model.tick.clone().unwrap();
    tick.status = "failing".to_owned();
    tick.problems = read(
        json!([{ "query": "lake", "what": "failed", "since": "2026-11-21T11:00:00.000Z", "code": "FB-5001",
        "error": "the sink does not answer", "hint": "Look at the disk. ".repeat(12) }]),
    );
    tick.queries[0].state = "retrying".to_owned();
    tick.queries[0].error =
        Some(read(json!({ "code": "FB-5001", "message": "the sink does not answer", "hint": "" })));
    tick.ledgers.sum.read += 1;
    model.apply(Message::Tick(Box::new(tick.clone())), NOON);
    let text = shown(&model, (80, 24)).join("\n");
    assert!(text.contains("▲ The ledger does not balance · 1 problem · 1 open alert"), "{text}");
    assert!(text.contains("3 ledgers DO NOT BALANCE   1235 read = 1200 emitted"), "{text}");
    tick.ledgers.sum.read -= 1;
    model.apply(Message::Tick(Box::new(tick)), NOON);
    let text = shown(&model, (80, 24)).join("\n");
    assert!(
        text.contains("▲ Query lake is failing since 11:00 · FB-5001 the sink does not answer"),
        "{text}"
    );
    assert_eq!(text.matches("Look at the disk.").count(), 7, "two lines of what helps\n{text}");
    assert!(text.contains("lake             retrying"), "{text}");
    let why = forebay_core::Error::new(&forebay_core::error::codes::NO_SERVER, "no server answers")
        .with_detail("connection refused");
    model.apply(Message::Lost(why), NOON + 2_000);
    let text = shown(&model, (120, 24)).join("\n");
    assert!(
        text.contains(
            "▲ No word from Forebay since 12:00:02; it is asked again and again · connection refused"
        ),
        "{text}"
    );
    assert!(text.contains("○ reconnecting") && text.contains("device_2"), "{text}");
}

#[test]
fn a_run_without_devices_says_nothing_of_them() {
    let mut model = plant();
    let tick = json!({ "now": NOON, "lag": null, "status": "ok" });
    model.apply(Message::Tick(Box::new(read(tick))), NOON);
    model.apply(Message::Alerts(Vec::new()), NOON);
    model.apply(Message::Devices(Slice::default()), NOON);
    let text = shown(&model, (100, 24)).join("\n");
    for part in
        ["✓ All well · what waits is not known", "events/s –", "behind –", "this run shows no devices"]
    {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
    assert!(!text.contains("sent"), "{text}");
}

#[test]
fn an_alert_of_null_is_shown_as_such() {
    let mut model = plant();
    let alert = json!({ "id": "n", "rule": "overheat", "key": null, "state": "open", "openedAt": NOON, "message": "" });
    model.apply(Message::Alert(read(alert)), NOON);
    let text = shown(&model, (100, 24)).join("\n");
    assert!(text.contains("NULL      overheat  overheat on NULL") && text.contains("2 open"), "{text}");
}

#[test]
fn a_snapshot_has_all_queries_and_open_alerts() {
    let mut model = plant();
    for n in 0..50 {
        let alert = json!({ "id": format!("n{n}"), "state": "open", "severity": "warning", "openedAt": NOON + n, "message": format!("number {n}.") });
        model.apply(Message::Alert(read(alert)), NOON);
    }
    let text = snapshot(&model, 120, utc)
        .iter()
        .map(|line| line.text().trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n");
    for part in ["number 0.", "number 49.", "alerts/overheat", "device_3", "its trigger, in 0.4 s"] {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
    assert!(!text.contains("quit"), "there are no keys to press\n{text}");
}

#[test]
fn that_something_was_left_out_is_in_sight() {
    let mut model = plant();
    let told = "◆ not all that the server sent is kept; left out are devices";
    assert!(!shown(&model, (100, 24)).join("\n").contains("left out"));
    let devices: Vec<Value> = (0..500).map(|n| json!({ "key": format!("d{n}") })).collect();
    model.apply(Message::Devices(read(json!({ "total": 500, "rows": devices }))), NOON);
    assert!(shown(&model, (100, 24)).join("\n").contains(told));
    let printed: Vec<String> = snapshot(&model, 100, utc).iter().map(Line::text).collect();
    assert!(printed.join("\n").contains(told), "{printed:?}");
}

#[test]
fn a_reason_is_not_cut_off_and_records_are_called_so() {
    let mut model = plant();
    let mut tick = model.tick.clone().unwrap();
    tick.status = "failing".to_owned();
    let long = "FB-5001 cannot open a connection in PostgreSQL at db.plant.example:5432/plant (lake): error connecting to server: \
                Connection refused (os error 111)";
    tick.problems = read(json!([{ "query": "lake", "code": "FB-5001", "error": long, "hint": "Start it." }]));
    tick.queries = read(
        json!([{ "name": "lake", "kind": "query", "state": "running", "rowsRefused": 7, "epochs": [{ "rows": 9 }] }]),
    );
    model.apply(Message::Tick(Box::new(tick)), NOON);
    let text = shown(&model, (80, 24)).join("\n");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("Connection refused (os error 111)"), "{text}");
    assert!(text.lines().any(|line| line.contains("records") && line.contains("refused")), "{text}");
    assert!(
        text.lines().any(|line| line.contains(" lake ") && line.contains(" 9 ") && line.contains(" 7 ")),
        "{text}"
    );
}
