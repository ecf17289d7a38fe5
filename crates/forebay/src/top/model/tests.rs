//! What messages and keys do to what is known.

use forebay_core::error::codes;

use super::*;

fn device(key: usize) -> Device {
    Device { key: format!("d{key}"), state: "quiet".into(), last_seen: 10, ..Device::default() }
}

fn many() -> Model {
    let mut model = Model::new("http://x", 0);
    model.give_room([5; 3]);
    let rows: Vec<Device> = (0..110).map(device).collect();
    model.apply(Message::Devices(Slice { total: 1_000, offset: 0, rows: rows.into() }), 1);
    model
}

#[test]
fn what_changed_in_a_row_changes_it_and_nothing_else() {
    let mut model = many();
    let values = r#"{"rows": [[1, 20, 2.5, {"t": 7}], [4000, 20, 1.0, {}]]}"#;
    model.apply(Message::Values(serde_json::from_str(values).unwrap()), 2);
    model.apply(Message::Values(serde_json::from_str(r#"{"rows": [[1, 15, 3.0, {"h": 1}]]}"#).unwrap()), 3);
    let changed = &model.slice.rows[1];
    assert_eq!((changed.last_seen, changed.rate, changed.state.as_str()), (20, 3.0, "live"));
    assert_eq!(serde_json::json!(*changed.values), serde_json::json!({"t": 7, "h": 1}));
    assert_eq!(model.slice.rows[0], device(0));
}

#[test]
fn a_break_is_as_old_as_the_last_word() {
    let mut model = Model::new("http://x", 5);
    let lost = || Message::Lost(Error::new(&codes::HTTP, "no"));
    model.apply(lost(), 9);
    assert!(matches!(model.link, Link::Lost { since: 5, .. }), "{:?}", model.link);
    model.apply(Message::Tick(Box::default()), 20);
    assert!(matches!(model.link, Link::Live));
    model.apply(lost(), 30);
    model.apply(lost(), 40);
    assert!(matches!(model.link, Link::Lost { since: 30, .. }), "{:?}", model.link);
    assert!(model.tick.is_some(), "what was known last stays in sight");
}

#[test]
fn an_alert_is_there_once_as_it_stands_and_the_newest_first() {
    let mut model = Model::new("http://x", 0);
    let alert = |id: &str, opened_at: i64, state: &str| {
        Message::Alert(Alert { id: id.into(), opened_at, state: state.into(), ..Alert::default() })
    };
    let shown = |model: &Model| model.feed().map(|alert| alert.id.clone()).collect::<Vec<_>>().join(" ");
    for message in [alert("a", 1, "open"), alert("c", 3, "open"), alert("b", 2, "open")] {
        model.apply(message, 5);
    }
    assert_eq!(shown(&model), "c b a");
    model.apply(alert("c", 3, "cleared"), 6);
    assert_eq!(shown(&model), "b a c");
    model.apply(alert("c", 3, "open"), 6);
    assert_eq!(shown(&model), "b a c", "a list was ahead of this event");
    assert_eq!(model.open(), 2);
    for n in 0..500 {
        model.apply(alert(&format!("n{n}"), n + 10, "cleared"), 7);
    }
    assert_eq!(model.alerts.len(), MOST_ALERTS);
    assert!(shown(&model).starts_with("b a n499 "), "open ones are never forgotten");
    let listed = Alert { id: "z".into(), state: "open".into(), ..Alert::default() };
    model.apply(Message::Alerts(vec![listed]), 8);
    assert_eq!((shown(&model).as_str(), model.open()), ("z", 1), "a list is all there is");
    let tick = r#"{"alerts": {"open": 7}}"#;
    model.apply(Message::Tick(serde_json::from_str(tick).unwrap()), 9);
    assert_eq!(model.open(), 7);
}

#[test]
fn keys_scroll_within_what_is_there_and_ask_for_the_rest() {
    let mut model = many();
    assert_eq!(model.view(), View { source: None, search: String::new(), offset: 0, limit: 150 });
    for (key, top) in [
        (Key::Up, 0),
        (Key::Down, 1),
        (Key::PageDown, 6),
        (Key::Char('k'), 5),
        (Key::End, 995),
        (Key::Down, 995),
        (Key::Char('k'), 994),
        (Key::Home, 0),
    ] {
        assert_eq!(model.press(key), Wish::Nothing);
        assert_eq!(model.top(Section::Devices), top, "{key:?}");
        let view = model.view();
        assert!(view.offset <= top && top + 5 <= view.offset + view.limit, "{key:?} {view:?}");
    }
    model.press(Key::Tab);
    assert_eq!(model.focus, Section::Queries);
    model.press(Key::Down);
    assert_eq!(model.top(Section::Devices), 0, "another section is scrolled");
    model.press(Key::BackTab);
    assert_eq!(model.focus, Section::Devices);
    assert_eq!((model.press(Key::Char('q')), model.press(Key::Break)), (Wish::End, Wish::End));
}

#[test]
fn a_search_is_typed_and_given_up() {
    let mut model = many();
    let press = |model: &mut Model, text: &str| {
        text.chars().for_each(|c| assert_eq!(model.press(Key::Char(c)), Wish::Nothing, "{c}"));
    };
    press(&mut model, "/quz");
    model.press(Key::Backspace);
    assert_eq!((model.typing.as_deref(), model.view().search.as_str()), (Some("qu"), ""));
    model.press(Key::Enter);
    assert_eq!((model.typing.as_deref(), model.view().search.as_str()), (None, "qu"));
    press(&mut model, "/x");
    model.press(Key::Escape);
    assert_eq!(model.view().search, "qu", "what was typed last is forgotten");
    model.press(Key::Escape);
    assert_eq!(model.view().search, "");
}

#[test]
fn what_a_server_says_without_end_is_kept_within_bounds_and_told_as_left_out() {
    let mut model = many();
    assert!(model.left_out().is_empty());
    let field = |n: usize| format!(r#"{{"name": "f{n}"}}"#);
    let panel = |n: usize| format!(r#"{{"source": "iot", "field": "f{n}", "unit": "u{n}"}}"#);
    let list =
        |item: &dyn Fn(usize) -> String, count: usize| (0..count).map(item).collect::<Vec<_>>().join(",");
    let schema = format!(
        r#"{{"sources": [{{"name": "iot", "fields": [{}]}}], "panels": [{}]}}"#,
        list(&field, 20_000),
        list(&panel, 20_000)
    );
    let schema: Schema = serde_json::from_str(&schema).unwrap();
    model.apply(Message::Schema(schema.with_units()), 2);
    let fields = &model.schema.sources[0].fields;
    assert_eq!((fields.len(), fields[999].unit.as_deref()), (1_000, Some("u999")));
    assert_eq!(model.left_out(), ["fields", "panels"]);
    let devices = format!(r#"{{"total": 9, "rows": [{}]}}"#, list(&|_| "{}".to_owned(), 1_000));
    model.apply(Message::Devices(serde_json::from_str(&devices).unwrap()), 3);
    for n in 0..1_000 {
        let values = format!(r#"{{"rows": [[0, 1, 1.0, {{"new{n}": 1}}]]}}"#);
        model.apply(Message::Values(serde_json::from_str(&values).unwrap()), 4);
    }
    assert_eq!((model.slice.rows.len(), model.slice.rows[0].values.len()), (MOST_DEVICES, 32));
    let queries = format!(r#"{{"queries": [{}]}}"#, list(&|_| "{}".to_owned(), 2_000));
    model.apply(Message::Tick(serde_json::from_str(&queries).unwrap()), 5);
    assert_eq!(model.left_out(), ["fields", "panels", "queries", "devices", "values"]);
}
