//! How many wrong tokens an address may send: what is beyond is neither answered in full nor logged.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use parking_lot::Mutex;

/// Wrong tokens of an address in [`WINDOW_MS`] that are told as such.
const MOST: u32 = 10;
const WINDOW_MS: i64 = 60_000;
/// Addresses that are remembered.
const MOST_ADDRESSES: usize = 4_096;

/// Wrong tokens by address: when the first of them came, and how many there were since.
#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, (i64, u32)>>);

/// What becomes of a wrong token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is told, and logged.
    Told,
    /// There were too many.
    TooMany { wait_seconds: u64 },
}

impl Attempts {
    /// Counts one.
    pub fn wrong(&self, peer: IpAddr, now_ms: i64) -> Verdict {
        let peer = network(peer);
        let mut all = self.0.lock();
        if all.len() >= MOST_ADDRESSES && !all.contains_key(&peer) {
            all.retain(|_, (since, _)| now_ms - *since < WINDOW_MS);
            if all.len() >= MOST_ADDRESSES {
                let oldest = all.iter().min_by_key(|(_, (since, _))| *since).map(|(peer, _)| *peer);
                oldest.and_then(|oldest| all.remove(&oldest));
            }
        }
        let (since, count) = all.entry(peer).or_insert((now_ms, 0));
        // A clock that was set back must not keep anybody waiting for longer than the window.
        if !(0..WINDOW_MS).contains(&(now_ms - *since)) {
            (*since, *count) = (now_ms, 0);
        }
        *count = count.saturating_add(1);
        if *count <= MOST {
            return Verdict::Told;
        }
        let left = (*since + WINDOW_MS - now_ms).max(1);
        Verdict::TooMany { wait_seconds: u64::try_from(left).unwrap_or(1).div_ceil(1000) }
    }
}

/// Who has one address of an IPv6 network has all of it.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_in_a_minute_are_told_and_each_address_has_its_own() {
        let attempts = Attempts::default();
        let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        for n in 0..10 {
            assert_eq!(attempts.wrong(one, n * 1_000), Verdict::Told);
        }
        assert_eq!(attempts.wrong(one, 20_500), Verdict::TooMany { wait_seconds: 40 });
        assert_eq!(attempts.wrong(other, 20_500), Verdict::Told);
        assert_eq!(attempts.wrong(one, 60_000), Verdict::Told, "a minute later");
    }

    #[test]
    fn a_network_counts_as_one_and_what_is_remembered_is_bounded() {
        let attempts = Attempts::default();
        for n in 0..11u32 {
            let last = attempts.wrong(format!("2001:db8::{n:x}").parse().unwrap(), 0);
            assert_eq!(last == Verdict::Told, n < 10, "{n}");
        }
        for n in 0..10_000u32 {
            attempts.wrong(std::net::Ipv4Addr::from_bits(n).into(), i64::from(n));
        }
        assert_eq!(attempts.0.lock().len(), MOST_ADDRESSES);
    }
}
