//! `forebay alerts silence`: makes, lists and ends silences at a running Forebay.
//!
//! What must stay true, as of the alerts: nothing that a person wrote reaches the terminal as anything but text.

use std::process::ExitCode;

use forebay_core::clock::{Clock, SystemClock, millis};
use serde::Deserialize;
use serde_json::{Value, json};

use super::escaped;
use crate::cli::{MakeArgs, SilenceCommand};
use crate::talk;
use crate::top::server::Server;
use crate::top::text::{here, moment, span};

/// What there is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    silences: Vec<Value>,
    of_file: Vec<Value>,
}

pub async fn run(server: &Server, command: &SilenceCommand) -> anyhow::Result<ExitCode> {
    match command {
        SilenceCommand::Make(args) => {
            let silence: Value = server.post(server.at("silences"), &asked(args)).await?;
            let (id, now) = (talk::one_line(text(&silence, "id")), SystemClock.now_ms());
            talk::say(&format!("silence {id}: {}, {}", about(&silence), lasting(&silence, now)));
            talk::print(&format!("{id}\n"))?;
        }
        SilenceCommand::List { all, json } => {
            let Listed { mut silences, of_file } = server.get_whole(server.at("silences")).await?;
            silences.retain(|silence| *all || text(silence, "state") != "expired");
            if *json {
                let lines = silences.iter().map(|silence| format!("{}\n", escaped(&silence.to_string())));
                talk::print(&lines.collect::<String>())?;
            } else if silences.is_empty() && of_file.is_empty() {
                talk::say("no silence");
            } else {
                talk::print(&table(&silences, &of_file, SystemClock.now_ms()))?;
            }
        }
        SilenceCommand::Expire { ids } => {
            for id in ids {
                let mut url = server.at("silences");
                // A number that is none is one part of the path all the same.
                if let Ok(mut parts) = url.path_segments_mut() {
                    parts.push(id);
                }
                let silence: Value = server.delete(url).await?;
                let by = silence["ended"]["by"].as_str();
                let how = by.map_or_else(|| "ended by itself".to_owned(), |by| format!("ended by {by}"));
                talk::say(&talk::printable(&format!("silence {id}: {how}")));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the server is asked for.
fn asked(args: &MakeArgs) -> Value {
    let MakeArgs { rules, keys, severities, all, length, until, from, comment } = args;
    let severities: Vec<&str> = severities.iter().map(|severity| severity.word()).collect();
    let length = length.map(|length| format!("{} ms", millis(length)));
    json!({
        "rules": rules, "keys": keys, "severities": severities, "all": all, "from": from, "until": until, "for": length,
        "comment": comment,
    })
}

/// A line for each, and one of who made it and why.
fn table(silences: &[Value], of_file: &[Value], now: i64) -> String {
    let mut out = String::new();
    for silence in silences {
        let id = talk::one_line(text(silence, "id"));
        out.push_str(&format!(
            "{id:>4}  {:<7}  {}  {}\n",
            text(silence, "state"),
            about(silence),
            lasting(silence, now)
        ));
        let made = &silence["made"];
        let comment =
            made["comment"].as_str().map_or_else(String::new, |why| format!(": {}", talk::one_line(why)));
        let mut said = format!("{}{comment}", talk::one_line(text(made, "by")));
        if let Some(by) = silence["ended"]["by"].as_str() {
            said.push_str(&format!("; ended by {}", talk::one_line(by)));
        }
        out.push_str(&format!("{:>4}  {:<7}  by {said}\n", "", ""));
    }
    for silence in of_file {
        let state = if silence["active"] == json!(true) { "active" } else { "rests" };
        let name = talk::one_line(text(silence, "name"));
        out.push_str(&format!("file  {state:<7}  {}  {name}\n", about(silence)));
    }
    out
}

/// Which alerts: `heat, press-*, critical`.
fn about(silence: &Value) -> String {
    let mut words: Vec<String> = Vec::new();
    for list in ["rules", "keys", "severities"] {
        let texts = silence[list].as_array().into_iter().flatten().filter_map(Value::as_str);
        words.extend(texts.map(talk::one_line));
    }
    match silence.get("key") {
        Some(Value::String(key)) => words.push(format!("exactly {}", talk::one_line(key))),
        Some(_) => words.push("NULL".to_owned()),
        None => {}
    }
    if words.is_empty() { "all alerts".to_owned() } else { words.join(", ") }
}

/// From when until when, seen from now.
fn lasting(silence: &Value, now: i64) -> String {
    let at = |name: &str| silence[name].as_i64().unwrap_or(now);
    let (from, until) = (at("from"), at("until"));
    let ends = format!("until {}", moment(until, now, here));
    match text(silence, "state") {
        "active" => format!("{ends}, {} left", span(until.saturating_sub(now))),
        "pending" => format!("from {} {ends}", moment(from, now, here)),
        _ => ends,
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::Least;

    #[test]
    fn what_is_asked_for_is_what_was_typed() {
        let args = MakeArgs {
            rules: vec!["heat".into()],
            keys: vec!["press-*".into()],
            severities: vec![Least::Info],
            all: false,
            length: Some(Duration::from_secs(90)),
            until: None,
            from: Some(5),
            comment: None,
        };
        assert_eq!(
            asked(&args),
            json!({
                "rules": ["heat"], "keys": ["press-*"], "severities": ["info"], "all": false, "from": 5, "until": null,
                "for": "90000 ms", "comment": null,
            })
        );
    }

    #[test]
    fn a_table_says_of_what_until_when_by_whom_and_moves_no_cursor() {
        let silence = json!({
            "id": "7", "state": "active", "rules": ["heat"], "keys": ["press-\u{1b}[2J*"], "severities": [], "from": 0, "until": 60_000,
            "made": { "at": 0, "by": "ana\nx", "comment": "new rolls" },
        });
        let mut over = silence.clone();
        over["state"] = json!("expired");
        over["ended"] = json!({ "at": 5, "by": "ben" });
        (over["rules"], over["keys"], over["key"]) = (json!([]), json!([]), Value::Null);
        let night = json!({ "name": "night", "rules": [], "keys": [], "severities": [], "active": false });
        let shown = table(&[silence, over], &[night], 30_000);
        assert_eq!(shown.lines().count(), 5, "{shown}");
        for part in
            ["heat, press-", "30 s left", "new rolls", "ended by ben", "NULL", "all alerts  night", "rests"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
}
