//! Idempotency keys: which posts were there already, and what became of their messages.
//!
//! A client that got no answer sends its post again with the same key. What is known to be in the log is answered from here and not
//! sent again; what is not known is. Keys live in memory, for a time and to a number, the oldest going first; over a restart
//! nothing is known. But each record carries its key in a header, so whoever reads the log can tell repeats apart for ever.
//!
//! What must stay true: two posts of one key never run at once; a key stands for one post, told by a hash of topic, body and how
//! the body is split.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::{NotTaken, Split, Taken};
use crate::Place;

/// Most places that are remembered of all posts: some 64 MiB.
const MOST_PLACES: usize = 1_000_000;

/// The keys of one gateway.
#[derive(Debug)]
pub(super) struct Keys {
    state: Mutex<State>,
    most: usize,
    life_ms: i64,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<Arc<str>, Known>,
    /// Keys in the order in which they came, with when.
    order: VecDeque<(i64, Arc<str>)>,
    places: usize,
}

#[derive(Debug)]
struct Known {
    since: i64,
    hash: [u8; 32],
    is_under_way: bool,
    places: Vec<Option<Place>>,
}

/// A post that holds its key. Dropped unsettled, the key is free again and what was known stays known.
#[derive(Debug)]
pub(super) struct Claim<'k> {
    keys: &'k Keys,
    key: Arc<str>,
    places: Vec<Option<Place>>,
}

impl Keys {
    pub fn new(most: usize, life: Duration) -> Self {
        Self { state: Mutex::default(), most, life_ms: i64::try_from(life.as_millis()).unwrap_or(i64::MAX) }
    }

    /// Takes the key of a sender for this post.
    pub fn claim(
        &self,
        who: &str,
        key: &str,
        (topic, split, body): (&str, Split, &[u8]),
        now: i64,
    ) -> Result<Claim<'_>, NotTaken> {
        let mut hash = Sha256::new();
        hash.update([split as u8]);
        hash.update(topic.len().to_le_bytes());
        hash.update(topic);
        hash.update(body);
        let hash: [u8; 32] = hash.finalize().into();
        // Neither half can hold a line break.
        let key: Arc<str> = format!("{who}\n{key}").into();
        let mut state = self.state.lock();
        state.forget(now.saturating_sub(self.life_ms), self.most.saturating_sub(1));
        let places = match state.known.get_mut(&key) {
            Some(known) if known.hash != hash => return Err(NotTaken::OtherPost),
            Some(known) if known.is_under_way => return Err(NotTaken::UnderWay),
            Some(known) => {
                known.is_under_way = true;
                known.places.clone()
            }
            None => {
                let known = Known { since: now, hash, is_under_way: true, places: Vec::new() };
                state.known.insert(Arc::clone(&key), known);
                state.order.push_back((now, Arc::clone(&key)));
                Vec::new()
            }
        };
        drop(state);
        Ok(Claim { keys: self, key, places })
    }
}

impl State {
    /// Forgets what is older than `before`, and the oldest of more than `most`. A post that is under way keeps its key.
    fn forget(&mut self, before: i64, most: usize) {
        let mut left = self.order.len();
        while left > 0 {
            left -= 1;
            let Some((since, _)) = self.order.front() else { return };
            let is_over = *since < before || self.known.len() > most || self.places > MOST_PLACES;
            if !is_over {
                return;
            }
            let Some((since, key)) = self.order.pop_front() else { return };
            match self.known.get(&key) {
                Some(known) if known.is_under_way => self.order.push_back((since, key)),
                Some(known) if known.since == since => {
                    self.places -= known.places.len();
                    self.known.remove(&key);
                }
                _ => {}
            }
        }
    }
}

impl Claim<'_> {
    /// Where the message of this number is, if a post before has brought it there.
    pub fn known(&self, index: usize) -> Option<Place> {
        self.places.get(index).cloned().flatten()
    }

    /// Remembers what became of each message.
    pub fn settle(mut self, outcomes: &[Taken]) {
        let place = |outcome: &Taken| match outcome {
            Taken::There(place) | Taken::Known(place) => Some(place.clone()),
            _ => None,
        };
        self.places = outcomes.iter().map(place).collect();
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.keys.state.lock();
        let State { known, places, .. } = &mut *state;
        if let Some(known) = known.get_mut(&self.key) {
            known.is_under_way = false;
            *places = *places + self.places.len() - known.places.len();
            known.places = std::mem::take(&mut self.places);
        }
    }
}
