//! The keys by which a client ends its own statement from another connection.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

/// All keys, by the number of the connection.
#[derive(Debug, Default)]
pub(super) struct Keys {
    all: Mutex<HashMap<i32, (i32, Now)>>,
}

/// What ends the statement of a connection.
type Now = Arc<Mutex<CancellationToken>>;

/// The key of a connection, as long as there is one.
#[derive(Debug)]
pub(super) struct Key {
    pub pid: i32,
    pub secret: i32,
    now: Now,
    keys: Arc<Keys>,
}

impl Keys {
    /// A new one.
    pub fn make(self: &Arc<Self>) -> Key {
        let now = Arc::new(Mutex::new(CancellationToken::new()));
        let mut all = self.all.lock();
        loop {
            let random = random_bits();
            let pid = ((random >> 32) as i32 & 0x7fff_ffff).max(1);
            let secret = random as i32;
            if let Entry::Vacant(free) = all.entry(pid) {
                free.insert((secret, Arc::clone(&now)));
                return Key { pid, secret, now, keys: Arc::clone(self) };
            }
        }
    }

    /// Ends the statement of whoever has this key.
    pub fn cancel(&self, pid: i32, secret: i32) {
        if let Some((own, now)) = self.all.lock().get(&pid)
            && bool::from(own.to_be_bytes().ct_eq(&secret.to_be_bytes()))
        {
            now.lock().cancel();
        }
    }
}

/// 64 random bits of the system's.
fn random_bits() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut bytes = [0; 8];
    let random = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider().secure_random;
    match random.fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        // Without the system's there is the one that maps are keyed with.
        Err(_) => std::collections::hash_map::RandomState::new().build_hasher().finish(),
    }
}

impl Key {
    /// Cancelled when the statement that begins now is to end.
    pub fn begin(&self) -> CancellationToken {
        let mut now = self.now.lock();
        *now = CancellationToken::new();
        now.clone()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.keys.all.lock().remove(&self.pid);
    }
}
