//! Sessions: who signed in on the page, until they sign out, or for twelve hours.
//!
//! They live in memory alone: a restart ends them. A session is found by the hash of its id, and who does not know an
//! id cannot choose its hash, so an ordinary map tells nothing by its timing.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::secret::Hash;

/// How long a session lasts, whatever happens in it: a shift.
pub(crate) const LASTS_SECONDS: i64 = 12 * 3600;
/// Most sessions of a token: the oldest of its own makes room, never one of somebody else.
const MOST_OF_A_TOKEN: usize = 16;

/// All sessions, by the hash of their id.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<Hash, Session>>);

struct Session {
    token: Hash,
    began_ms: i64,
    ended: CancellationToken,
}

impl Sessions {
    /// Begins one that ends at the latest with its token.
    pub fn begin(
        &self,
        id: Hash,
        token: Hash,
        token_ended: &CancellationToken,
        now_ms: i64,
    ) -> CancellationToken {
        let mut all = self.0.lock();
        let of_token = |session: &&Session| session.token == token;
        if all.values().filter(of_token).count() >= MOST_OF_A_TOKEN {
            let own = all.iter().filter(|(_, session)| session.token == token);
            let oldest = own.min_by_key(|(_, session)| session.began_ms).map(|(id, _)| *id);
            if let Some(session) = oldest.and_then(|oldest| all.remove(&oldest)) {
                session.ended.cancel();
            }
        }
        let ended = token_ended.child_token();
        all.insert(id, Session { token, began_ms: now_ms, ended: ended.clone() });
        ended
    }

    /// The token of a session that has not ended.
    pub fn find(&self, id: &Hash, now_ms: i64) -> Option<(Hash, CancellationToken)> {
        let all = self.0.lock();
        let session = all.get(id).filter(|session| !session.is_over(now_ms))?;
        Some((session.token, session.ended.clone()))
    }

    /// Ends one.
    pub fn end(&self, id: &Hash) {
        if let Some(session) = self.0.lock().remove(id) {
            session.ended.cancel();
        }
    }

    /// Forgets those that are over.
    pub fn sweep(&self, now_ms: i64) {
        self.0.lock().retain(|_, session| {
            let is_over = session.is_over(now_ms);
            if is_over {
                session.ended.cancel();
            }
            !is_over
        });
    }
}

impl Session {
    fn is_over(&self, now_ms: i64) -> bool {
        self.ended.is_cancelled() || now_ms - self.began_ms >= LASTS_SECONDS * 1000
    }
}
