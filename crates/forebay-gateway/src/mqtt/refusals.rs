//! Refusals that somebody must see, told so that no client can flood the log.
//!
//! A run is what one client is refused for one reason, without a pause of [`INTERVAL`]. Its first is told whole, with client, user and
//! topic; then one in each interval, with the number of those between. All clients together are told of [`MOST`] times in an interval.
//! What is not told is in the counters. What must stay true: memory is bounded, whoever is refused.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::broker::Broker;
use super::session::Session;

/// Ten minutes, in milliseconds: a device that is wrong is told of six times an hour, however often it tries.
const INTERVAL: i64 = 600_000;
/// Lines of all clients together in an interval.
const MOST: u32 = 100;
/// Runs that are remembered.
const RUNS: usize = 1_000;

/// What is remembered of refusals.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By client and what was refused with which reason.
    runs: HashMap<(Arc<str>, &'static str, u8), Run>,
    since: i64,
    told: u32,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    last: i64,
    /// When it was told last.
    told: Option<i64>,
    untold: u64,
}

fn is_within(now: i64, since: i64) -> bool {
    // A clock that was put back silences nothing.
    (since..since.saturating_add(INTERVAL)).contains(&now)
}

impl Refusals {
    /// `Some` if this one is to be told, with the number of those of its run that were not.
    fn may_tell(&self, client: &Arc<str>, what: &'static str, reason: u8, now: i64) -> Option<u64> {
        let mut state = self.0.lock();
        if !is_within(now, state.since) {
            (state.since, state.told) = (now, 0);
            state.runs.retain(|_, run| is_within(now, run.last));
        }
        let key = (client.clone(), what, reason);
        let full = state.told >= MOST;
        if state.runs.len() >= RUNS && !state.runs.contains_key(&key) {
            return None;
        }
        let run = state.runs.entry(key).or_insert(Run { last: now, told: None, untold: 0 });
        run.last = now;
        if full || run.told.is_some_and(|told| is_within(now, told)) {
            run.untold += 1;
            return None;
        }
        run.told = Some(now);
        let untold = std::mem::take(&mut run.untold);
        state.told += 1;
        Some(untold)
    }
}

/// Tells that something of a client was refused: `what` it was, its topic or filter, MQTT's reason code, and why.
pub(super) fn tell(
    broker: &Broker,
    session: &Session,
    what: &'static str,
    topic: &str,
    (reason, why): (u8, &str),
) {
    let (gateway, client, user) = (&*broker.options.name, &*session.client, &*session.who.0);
    match broker.refusals.may_tell(&session.client, what, reason, broker.now()) {
        Some(0) => tracing::warn!(gateway, client, user, topic, reason, why, "{what} was refused"),
        Some(more) => {
            tracing::warn!(
                gateway,
                client,
                user,
                topic,
                reason,
                why,
                more,
                "{what} was refused, as others before"
            );
        }
        None => tracing::debug!(gateway, client, user, topic, reason, why, "{what} was refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_run_is_told_and_a_flood_is_bounded() {
        let (refusals, uno): (_, Arc<str>) = (Refusals::default(), "uno".into());
        let tell = |client: &Arc<str>, what, now| refusals.may_tell(client, what, 0x87, now);
        assert_eq!(tell(&uno, "a message", 5), Some(0));
        assert_eq!(tell(&uno, "a message", 6), None);
        assert_eq!(tell(&uno, "a subscription", 6), Some(0), "another run");
        assert_eq!(tell(&"due".into(), "a message", 6), Some(0), "another client");
        assert_eq!(tell(&uno, "a message", 4 + INTERVAL), None);
        assert_eq!(tell(&uno, "a message", 5 + INTERVAL), Some(2), "with those between");
        assert_eq!(tell(&uno, "a message", 0), Some(0), "the clock was put back");
        let many: Vec<Arc<str>> = (0..5_000).map(|n| format!("c{n}").into()).collect();
        let told = many.iter().filter(|client| tell(client, "a message", 1).is_some()).count();
        assert_eq!(told, MOST as usize - 1);
        assert!(refusals.0.lock().runs.len() <= RUNS);
        assert_eq!(tell(&uno, "a message", 2 * INTERVAL), Some(0), "after a pause it is another run");
    }
}
