//! The lists of alerts, and when they are asked for anew.

use std::cmp::Reverse;
use std::collections::HashSet;

use forebay_core::Error;

use super::server::Server;
use super::stream::Message;
use super::words::{Alert, AlertList};

/// Open alerts that are asked for.
pub const OPEN: usize = 200;
/// Alerts that cleared, the newest.
pub const CLEARED: usize = 50;

/// Which open alerts a stream has told of, so that one that got lost is noticed.
#[derive(Debug, Default)]
pub struct Listed {
    /// None before they were asked for; beyond [`OPEN`] they are not told apart.
    open: Option<HashSet<String>>,
    /// Whether the last tick counted others.
    differed: bool,
}

impl Listed {
    /// Whether the alerts are to be asked for before this is told: first with the rows of a stream, for transitions that
    /// come before them are not in it.
    pub fn is_due(&mut self, message: &Message) -> bool {
        let Some(open) = &mut self.open else { return !matches!(message, Message::Hello(_)) };
        match message {
            Message::Alert(alert) if alert.is_open() => {
                if open.len() < OPEN {
                    open.insert(alert.id.clone());
                }
                false
            }
            Message::Alert(alert) => {
                open.remove(&alert.id);
                false
            }
            Message::Tick(tick) => {
                let differs = open.len() < OPEN && tick.alerts.open != open.len() as u64;
                // One tick alone may only be ahead of its events.
                std::mem::replace(&mut self.differed, differs) && differs
            }
            _ => false,
        }
    }

    /// Takes the alerts that were asked for.
    pub fn take(&mut self, alerts: &[Alert]) {
        let open = alerts.iter().filter(|alert| alert.is_open()).map(|alert| alert.id.clone());
        *self = Self { open: Some(open.collect()), differed: false };
    }

    /// Whether they were asked for with success.
    pub fn is_known(&self) -> bool {
        self.open.is_some()
    }
}

/// The newest alerts that are open and that cleared, newest first.
pub async fn alerts(server: &Server) -> Result<Vec<Alert>, Error> {
    let open = list(server, "open", OPEN).await?;
    Ok(joined(open, list(server, "cleared", CLEARED).await?))
}

async fn list(server: &Server, state: &str, limit: usize) -> Result<Vec<Alert>, Error> {
    let mut url = server.at("alerts");
    url.query_pairs_mut().append_pair("state", state).append_pair("limit", &limit.to_string());
    let mut list = server.get::<AlertList>(url).await?;
    list.alerts.truncate(limit);
    Ok(std::mem::take(&mut *list.alerts))
}

/// Both lists as one; an alert that cleared between them is in both.
fn joined(open: Vec<Alert>, mut alerts: Vec<Alert>) -> Vec<Alert> {
    let gone: HashSet<String> = alerts.iter().map(|alert| alert.id.clone()).collect();
    alerts.extend(open.into_iter().filter(|alert| !gone.contains(&alert.id)));
    alerts.sort_by_key(|alert| Reverse(alert.opened_at));
    alerts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_new_alerts_are_not_remembered_for_ever() {
        let mut listed = Listed::default();
        listed.take(&[]);
        for n in 0..10 * OPEN {
            let alert = Alert { id: n.to_string(), state: "open".into(), ..Alert::default() };
            assert!(!listed.is_due(&Message::Alert(alert)));
        }
        assert_eq!(listed.open.unwrap().len(), OPEN);
    }
}
