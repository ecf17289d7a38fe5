//! `forebay alerts`: what is open, and what people do with it, from a terminal or a script.
//!
//! It asks a running Forebay, as the page does; what is durable there is when it answers. What must stay true: nothing that a key or a
//! message holds reaches the terminal as anything but text.

use std::process::ExitCode;

use forebay_core::clock::{Clock, SystemClock, millis};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::{AlertsArgs, AlertsCommand, AlertsState, Global, Least, ListArgs};
use crate::talk;
use crate::top::server::{Server, TOKEN};
use crate::top::text::{here, moment};

mod silence;

/// Alerts that are asked for at once.
const PAGE: &str = "500";

/// Most requests of one list: beyond it somebody opens alerts faster than they are read.
const MOST_PAGES: usize = 100;

/// A page of the list.
#[derive(Deserialize)]
struct Page {
    alerts: Vec<Value>,
    next: Option<String>,
}

pub async fn run(global: &Global, args: &AlertsArgs) -> anyhow::Result<ExitCode> {
    let token = std::env::var(TOKEN).ok();
    let server = Server::new(args.server.as_deref(), global.http, token.as_deref())?;
    match &args.command {
        None => list(&server, &args.list).await,
        Some(AlertsCommand::Ack { ids, comment }) => {
            for id in ids {
                let said = json!({ "id": id, "comment": comment });
                let alert: Value = server.post(server.at("alerts/acknowledge"), &said).await?;
                let by = alert["acknowledged"]["by"].as_str().unwrap_or_default();
                talk::say(&talk::printable(&format!("{id}: acknowledged by {by}")));
            }
            Ok(ExitCode::SUCCESS)
        }
        Some(AlertsCommand::Comment { id, comment }) => {
            let said = json!({ "id": id, "comment": comment });
            let _: Value = server.post(server.at("alerts/comment"), &said).await?;
            talk::say(&talk::printable(&format!("{id}: the comment is kept")));
            Ok(ExitCode::SUCCESS)
        }
        Some(AlertsCommand::Silence(args)) => silence::run(&server, &args.command).await,
    }
}

async fn list(server: &Server, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let found = find(server, args, SystemClock.now_ms()).await?;
    if args.json {
        talk::print(
            &found.iter().map(|alert| format!("{}\n", escaped(&alert.to_string()))).collect::<String>(),
        )?;
    } else if found.is_empty() {
        talk::say("no such alert");
    } else {
        talk::print(&table(&found, SystemClock.now_ms()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// JSON whose control characters beyond ASCII's, which it lets stand, are escaped too: a terminal takes some as orders.
fn escaped(json: &str) -> String {
    let shown = |c: char| match c {
        '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(c)),
        other => other.to_string(),
    };
    json.chars().map(shown).collect()
}

/// The newest alerts that are wanted.
async fn find(server: &Server, args: &ListArgs, now: i64) -> anyhow::Result<Vec<Value>> {
    let state = match args.state {
        AlertsState::All => "all",
        AlertsState::Cleared => "cleared",
        AlertsState::Open | AlertsState::Unacknowledged | AlertsState::Acknowledged => "open",
    };
    let (limit, mut found, mut cursor) = (args.limit as usize, Vec::new(), None::<String>);
    for _ in 0..MOST_PAGES {
        let mut url = server.at("alerts");
        let named = [("rule", &args.rule), ("key", &args.key), ("cursor", &cursor)];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        url.query_pairs_mut().append_pair("state", state).append_pair("limit", PAGE).extend_pairs(named);
        let Page { alerts, next } = server.get_whole(url).await?;
        found.extend(alerts.into_iter().filter(|alert| is_wanted(alert, args, now)));
        cursor = next.filter(|_| found.len() < limit);
        if cursor.is_none() {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// What the server does not choose by.
fn is_wanted(alert: &Value, args: &ListArgs, now: i64) -> bool {
    let is_acknowledged = alert["acknowledged"].is_object();
    let is_in_state = match args.state {
        AlertsState::Acknowledged => is_acknowledged,
        AlertsState::Unacknowledged => !is_acknowledged,
        _ => true,
    };
    let severity = match alert["severity"].as_str() {
        Some("critical") => Least::Critical,
        Some("warning") => Least::Warning,
        _ => Least::Info,
    };
    let newest = alert["clearedAt"].as_i64().or(alert["openedAt"].as_i64()).unwrap_or(i64::MIN);
    is_in_state
        && args.severity.is_none_or(|least| severity >= least)
        && args.since.is_none_or(|since| newest >= now.saturating_sub(millis(since)))
}

/// A line for each, and one for its id, which `ack` takes.
fn table(alerts: &[Value], now: i64) -> String {
    let mut out = String::new();
    for alert in alerts {
        let text = |name: &str| talk::one_line(alert[name].as_str().unwrap_or_default());
        let opened = alert["openedAt"].as_i64().map_or_else(String::new, |at| moment(at, now, here));
        let state = match (&alert["clearedAt"], alert["acknowledged"]["by"].as_str()) {
            (Value::Number(at), _) => {
                format!("cleared {}", at.as_i64().map_or_else(String::new, |at| moment(at, now, here)))
            }
            (_, Some(by)) => format!("acknowledged by {}", talk::one_line(by)),
            (_, None) => "open".to_owned(),
        };
        let muted = alert["muted"]
            .as_str()
            .map_or_else(String::new, |by| format!(", muted by {}", talk::one_line(by)));
        out.push_str(&format!("{:<8}  {opened}  {}\n", text("severity"), text("message")));
        out.push_str(&format!("{:<8}  {state}{muted}  id {}\n", "", text("id")));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn args() -> ListArgs {
        let (rule, severity, key, since) = (None, None, None, None);
        ListArgs { state: AlertsState::Open, rule, severity, key, since, limit: 10, json: false }
    }

    fn alert() -> Value {
        json!({
            "id": "heat/press-1/1000", "severity": "warning", "message": "heat: press-1\u{1b}[2J, 71.5", "openedAt": 1_000,
            "clearedAt": null,
        })
    }

    #[test]
    fn what_the_server_does_not_choose_by_is_chosen_here() {
        let wanted = |change: &dyn Fn(&mut ListArgs), alert: &Value| {
            let mut args = args();
            change(&mut args);
            is_wanted(alert, &args, 61_000)
        };
        let mut taken = alert();
        taken["acknowledged"] = json!({ "by": "ana" });
        assert!(wanted(&|_| (), &alert()) && wanted(&|_| (), &taken));
        for (state, of_open, of_taken) in
            [(AlertsState::Acknowledged, false, true), (AlertsState::Unacknowledged, true, false)]
        {
            let set = |args: &mut ListArgs| args.state = state;
            assert_eq!((wanted(&set, &alert()), wanted(&set, &taken)), (of_open, of_taken));
        }
        for (least, is) in [(Least::Info, true), (Least::Warning, true), (Least::Critical, false)] {
            assert_eq!(wanted(&|args| args.severity = Some(least), &alert()), is, "{least:?}");
        }
        for (seconds, is) in [(59, false), (60, true)] {
            assert_eq!(wanted(&|args| args.since = Some(Duration::from_secs(seconds)), &alert()), is);
        }
    }

    #[test]
    fn a_table_shows_how_each_stands_and_nothing_that_moves_the_cursor() {
        let mut taken = alert();
        taken["acknowledged"] = json!({ "by": "ana\nx" });
        taken["muted"] = json!("silence nights");
        let shown = table(&[alert(), taken], 2_000);
        assert_eq!(shown.lines().count(), 4, "{shown}");
        assert!(shown.contains("id heat/press-1/1000") && shown.contains("acknowledged by ana"), "{shown}");
        assert!(shown.contains("muted by silence nights") && !shown.contains('\u{1b}'), "{shown}");
    }
}
