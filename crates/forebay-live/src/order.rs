//! Devices in the order of their keys, sorted once for all who look: `device_2` stands before `device_10`.
//!
//! What must stay true: the order is that of all devices as of one moment; who uses it asks each place whether the device is
//! still there.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use crate::devices::Devices;

/// A device's place and id.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub key: Arc<str>,
    pub place: usize,
    pub id: u32,
}

/// The order of a large fleet is kept for so many times the time that sorting took, also if devices come: however many
/// readers there are, sorting costs a tenth of a core.
const REUSED: u32 = 10;
const LARGE: usize = 1_000;

/// The order, kept while no device comes or goes.
#[derive(Debug, Default)]
pub(crate) struct Order(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    membership: u64,
    seats: Arc<Vec<Seat>>,
    /// When it was sorted, and how long that took.
    sorted: Option<(Instant, Duration)>,
}

impl Order {
    /// All devices by key. Sorts outside of the devices' lock; others who ask meanwhile wait for the one who sorts.
    pub fn by_key(&self, devices: &RwLock<Devices>) -> Arc<Vec<Seat>> {
        let mut kept = self.0.lock();
        let began = Instant::now();
        let (membership, mut seats) = {
            let devices = devices.read();
            let is_fresh = |(at, took): (Instant, Duration)| at.elapsed() < took * REUSED;
            let is_reused = kept.seats.len() > LARGE && kept.sorted.is_some_and(is_fresh);
            if devices.membership() == kept.membership || is_reused {
                return Arc::clone(&kept.seats);
            }
            let seat = |(place, row): (usize, &crate::devices::Row)| Seat {
                key: row.key.clone(),
                place,
                id: row.id,
            };
            (devices.membership(), devices.all().map(seat).collect::<Vec<Seat>>())
        };
        seats.sort_unstable_by(|a, b| natural(&a.key, &b.key));
        let sorted = Some((Instant::now(), began.elapsed()));
        *kept = Kept { membership, seats: Arc::new(seats), sorted };
        Arc::clone(&kept.seats)
    }
}

/// Compares texts with the numbers in them by their size; texts that differ are never equal.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        match (left.first(), right.first()) {
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (number, other) = (digits(left), digits(right));
                let by_size = plain(number).len().cmp(&plain(other).len());
                let order = by_size.then_with(|| plain(number).cmp(plain(other)));
                if order != Ordering::Equal {
                    return order;
                }
                (left, right) = (&left[number.len()..], &right[other.len()..]);
            }
            (Some(x), Some(y)) => {
                let order = x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase());
                if order != Ordering::Equal {
                    return order;
                }
                (left, right) = (&left[1..], &right[1..]);
            }
            (None, None) => return a.cmp(b),
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
        }
    }
}

fn digits(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

fn plain(digits: &[u8]) -> &[u8] {
    let start = digits.iter().position(|byte| *byte != b'0').unwrap_or(digits.len());
    &digits[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_keys_count_by_their_size() {
        let mut keys =
            vec!["device_10", "device_2", "Device_1", "device_002", "a", "", "device_2b", "9", "10"];
        keys.sort_by(|a, b| natural(a, b));
        assert_eq!(
            keys,
            ["", "9", "10", "a", "Device_1", "device_002", "device_2", "device_2b", "device_10"]
        );
    }

    #[test]
    fn the_order_is_one_also_for_huge_numbers_and_foreign_letters() {
        let keys =
            ["99999999999999999999999999", "100000000000000000000000000", "é1", "É2", "x", "X", "x0", "x00"];
        for a in keys {
            for b in keys {
                assert_eq!(natural(a, b), natural(b, a).reverse(), "{a} {b}");
                assert_eq!(natural(a, b) == Ordering::Equal, a == b);
            }
        }
    }
}
