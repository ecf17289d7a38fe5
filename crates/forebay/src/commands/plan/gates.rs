//! What `forebay plan` tells of gateways: those of the file beside those of the last start.
//!
//! A gateway keeps nothing that could be refused later, so what changes is told and never stands in the way of a start; but a
//! run that goes on takes no other gateways, which a person should know before a reload is tried.

use std::path::Path;

use forebay_core::config::{GatewayConfig, Pipeline};
use forebay_engine::checkpoint::definition::{self, Change};
use serde_json::{Value, json};

use crate::definition as current;

/// The gateways of a file.
pub(super) struct Gates<'a> {
    all: &'a [GatewayConfig],
    /// Those that are others than at the last start, by name. Where nothing was kept, none is.
    pub changes: Vec<Change>,
    is_known: bool,
}

impl<'a> Gates<'a> {
    pub fn of(data: &Path, file: &'a Pipeline) -> Self {
        let was = definition::recall(&current::gateways_folder(data, &file.name)).unwrap_or_default();
        let changes = was.as_ref().map(|was| was.changes(&current::of_gateways(file)));
        Self { all: &file.gateways, is_known: was.is_some(), changes: changes.unwrap_or_default() }
    }

    fn change(&self, name: &str) -> Option<&Change> {
        self.changes.iter().find(|change| change.what == name)
    }

    fn verdict(&self, name: &str) -> &'static str {
        match self.change(name) {
            _ if !self.is_known => "new",
            None => "unchanged",
            Some(Change { was: None, .. }) => "new",
            Some(Change { is: None, .. }) => "gone",
            Some(_) => "changed",
        }
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        for gateway in self.all {
            let (mark, what) = match self.verdict(&gateway.name) {
                "new" => ("+", "begins with the start"),
                "changed" => ("~", "is not what it was"),
                _ => ("=", "is what it was"),
            };
            out.push_str(&format!("  {mark} gateway {}: {what}: {}\n", gateway.name, reaches(gateway)));
        }
        for gone in self.changes.iter().filter(|change| change.is.is_none()) {
            out.push_str(&format!("  - gateway {}: is not in the file; nobody listens there\n", gone.what));
        }
        if !self.changes.is_empty() {
            out.push_str("  A run that goes on takes no other gateways: stop it and start it again.\n");
        }
        out
    }

    pub fn document(&self) -> Value {
        let of = |gateway: &GatewayConfig| {
            json!({
                "name": gateway.name,
                "format": gateway.format,
                "verdict": self.verdict(&gateway.name),
                "at": place(gateway),
                "topics": topics(gateway),
            })
        };
        let gone = self.changes.iter().filter(|change| change.is.is_none());
        let gone = gone.map(|change| json!({ "name": change.what, "verdict": "gone" }));
        self.all.iter().map(of).chain(gone).collect()
    }
}

/// What a gateway is, where it is and where its messages go, in a line.
pub fn reaches(gateway: &GatewayConfig) -> String {
    let topics = topics(gateway);
    let to = if topics.is_empty() { "nothing".to_owned() } else { topics.join(", ") };
    let routes = gateway.routes.len();
    let plural = if routes == 1 { "" } else { "s" };
    format!("{} at {}, {routes} route{plural} to {to}", gateway.format, place(gateway))
}

fn place(gateway: &GatewayConfig) -> String {
    let option = ["listen", "server", "port"].iter().find_map(|option| gateway.options.text(option));
    option.map_or_else(|| format!("/api/v1/ingest/{}", gateway.name), str::to_owned)
}

/// The topics of the log, each once.
fn topics(gateway: &GatewayConfig) -> Vec<&str> {
    let mut topics: Vec<&str> = Vec::new();
    for target in gateway.routes.iter().filter_map(|route| route.target.as_ref()) {
        if !topics.contains(&target.topic.as_str()) {
            topics.push(&target.topic);
        }
    }
    topics
}
