//! A transition as a record of its own: what goes to a topic of Kafka or of MQTT.
//!
//! What must stay true: the same transition is the same bytes under the same `id`, whenever it is sent.

use forebay_rules::{Line, Notice};
use serde_json::json;

/// The name of a transition for its receiver: what was seen under it before is a repeat.
pub fn id(notice: &Notice, line: &Line) -> String {
    format!("{}/{}", notice.channel, line.transition)
}

/// One JSON object.
pub fn of(pipeline: &str, notice: &Notice, line: &Line) -> Vec<u8> {
    let body = json!({
        "id": id(notice, line),
        "pipeline": pipeline,
        "channel": notice.channel,
        "transition": line.transition,
        "alert": line.alert,
        "rule": line.rule,
        "key": line.key,
        "event": line.event.word(),
        "at": line.at,
        "severity": line.severity.word(),
        "worst": line.worst.word(),
        "message": line.message,
    });
    body.to_string().into_bytes()
}

/// How many transitions of a storm are told as a number only.
pub fn unlisted(notice: &Notice) -> u64 {
    notice.count.saturating_sub(notice.lines.len() as u64)
}

/// What is said of those.
pub fn of_unlisted(pipeline: &str, notice: &Notice) -> Option<(String, Vec<u8>)> {
    let (count, last) = (unlisted(notice), notice.lines.last()?);
    let id = format!("{}#more", id(notice, last));
    let body = json!({
        "id": id, "pipeline": pipeline, "channel": notice.channel, "rule": last.rule, "event": "more", "count": count,
    });
    (count > 0).then(|| (id, body.to_string().into_bytes()))
}

#[cfg(test)]
pub mod tests {
    use forebay_core::config::Severity;
    use forebay_rules::Event;

    use super::*;

    pub fn line(key: Option<&str>, event: Event) -> Line {
        Line {
            transition: "hot/press-1/5#1".into(),
            alert: "hot/press-1/5".into(),
            rule: "hot".into(),
            key: key.map(str::to_owned),
            event,
            at: 5,
            severity: Severity::Critical,
            worst: Severity::Critical,
            message: "hot: press-1, temperature 71.5".into(),
        }
    }

    pub fn notice(lines: Vec<Line>, count: u64) -> Notice {
        Notice { id: "bus/hot/press-1/5#1".into(), channel: "bus".into(), lines, count }
    }

    #[test]
    fn a_transition_is_the_same_record_whenever_it_is_sent_and_what_is_not_listed_is_counted() {
        let notice = notice(vec![line(Some("press-1"), Event::Opened)], 3);
        let record = of("plant", &notice, &notice.lines[0]);
        assert_eq!(record, of("plant", &notice, &notice.lines[0]));
        let told: serde_json::Value = serde_json::from_slice(&record).unwrap();
        assert_eq!((&told["id"], &told["event"]), (&json!("bus/hot/press-1/5#1"), &json!("opened")));
        assert_eq!((&told["key"], &told["severity"]), (&json!("press-1"), &json!("critical")));
        let (id, more) = of_unlisted("plant", &notice).unwrap();
        let more: serde_json::Value = serde_json::from_slice(&more).unwrap();
        assert_eq!((id.as_str(), &more["count"]), ("bus/hot/press-1/5#1#more", &json!(2)));
    }
}
