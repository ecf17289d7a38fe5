//! What is read of what the server says.

use super::*;

fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

#[test]
fn an_alert_is_about_what_its_key_is() {
    for (alert, about, words) in [
        (r#"{"rule": "hot", "key": null, "message": ""}"#, "NULL", "hot on NULL"),
        (r#"{"rule": "hot", "key": ""}"#, "(empty name)", "hot on (empty name)"),
        (r#"{"rule": "hot", "key": "d1", "message": "d1 burns"}"#, "d1", "d1 burns"),
    ] {
        let alert: Alert = read(alert);
        assert_eq!((alert.about(), alert.words().as_str()), (about, words));
    }
}

#[test]
fn what_one_query_has_too_few_is_not_made_up_for_by_what_another_has_too_many() {
    for (text, balance) in [
        (r#"{"read": 3, "emitted": 3, "balances": true}"#, true),
        (r#"{"read": 3, "emitted": 3}"#, true),
        (r#"{"read": 3, "emitted": 3, "balances": false}"#, false),
        (r#"{"read": 3, "emitted": 2, "balances": true}"#, false),
    ] {
        assert_eq!(read::<Ledgers>(text).balance(), balance, "{text}");
    }
}

#[test]
fn some_queries_end_by_themselves() {
    let schema: Schema = read(
        r#"{"queries": [{"name": "all", "trigger": "availableNow"}, {"name": "lake", "trigger": "1 second"}, {"name": "hot", "trigger": null}]}"#,
    );
    assert_eq!(["all", "lake", "hot", "gone"].map(|name| schema.ends(name)), [true, false, false, false]);
}
