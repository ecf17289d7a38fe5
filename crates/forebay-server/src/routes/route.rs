//! What is said of a route, and on which listener it is.

use crate::access::{Proof, Role};
use crate::ask::{Handler, Patience};
use crate::params::Parameter;

/// A route.
pub(crate) struct Route {
    pub verb: Verb,
    pub path: &'static str,
    pub role: Role,
    /// Whether it does more than look.
    pub changes: bool,
    pub patience: Patience,
    /// What it answers, in a line.
    pub summary: &'static str,
    pub parameters: &'static [Parameter],
    /// The schema of its body, if it takes one.
    pub body: Option<&'static str>,
    pub answer: Answer,
    pub handler: Handler,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Delete,
}

impl Verb {
    /// The word of HTTP.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// What a route answers when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// JSON of this schema.
    Json(&'static str),
    /// JSON of this schema that seldom changes: it has a tag, and who has it already gets status 304.
    Tagged(&'static str),
    /// JSON of this schema, with status 202: it will be done.
    Accepted(&'static str),
    /// JSON of this schema, with status 503 while something is wrong.
    Health(&'static str),
    /// Something else, of this media type.
    Other(&'static str),
    /// Nothing, with status 204.
    Nothing,
}

/// Which routes a listener has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// Health and metrics.
    Monitor,
    /// What is left where those have a listener of their own.
    WithoutMonitor,
}

impl Part {
    pub fn has(self, route: &Route) -> bool {
        let is_monitors = matches!(route.path, "/health" | "/metrics");
        match self {
            Self::All => true,
            Self::Monitor => is_monitors,
            Self::WithoutMonitor => !is_monitors,
        }
    }

    /// What to try instead of a path that is not there.
    pub fn hint(self) -> &'static str {
        match self {
            Self::All => "GET /api/v1 lists what there is.",
            Self::Monitor => "Here are /health and /metrics; the rest is at the address of `--http`.",
            Self::WithoutMonitor => {
                "GET /api/v1 lists what there is; /health and /metrics are at the address of `--monitor`."
            }
        }
    }
}

/// What declares no other role needs a viewer.
pub(super) const fn get(
    path: &'static str,
    summary: &'static str,
    answer: Answer,
    handler: Handler,
) -> Route {
    Route {
        verb: Verb::Get,
        path,
        role: Role::Viewer,
        changes: false,
        patience: Patience::Short,
        summary,
        parameters: &[],
        body: None,
        answer,
        handler,
    }
}

pub(super) const fn post(
    path: &'static str,
    role: Role,
    summary: &'static str,
    body: Option<&'static str>,
    answer: Answer,
    handler: Handler,
) -> Route {
    Route { verb: Verb::Post, role, changes: role.changes(), body, ..get(path, summary, answer, handler) }
}

impl Route {
    /// What a browser must show to ask for it.
    pub fn proof(&self) -> Proof {
        match self.verb {
            _ if self.changes => Proof::Meant,
            Verb::Get => Proof::Nothing,
            Verb::Post | Verb::Delete => Proof::Origin,
        }
    }

    /// The path with what it needs behind it, as a person would try it.
    pub fn as_asked(&self) -> String {
        let needed: Vec<String> = self
            .parameters
            .iter()
            .filter(|parameter| parameter.required)
            .map(|parameter| format!("{}=", parameter.name))
            .collect();
        let needed = if needed.is_empty() { String::new() } else { format!("?{}", needed.join("&")) };
        match self.verb {
            Verb::Get => format!("{}{needed}", self.path),
            verb => format!("{} {}", verb.word(), self.path),
        }
    }
}
