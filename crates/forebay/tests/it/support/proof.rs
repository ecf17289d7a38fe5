//! Events that carry their own proof, and what a table has of them.

use std::collections::BTreeMap;

use serde_json::Value;

/// Events that carry their own proof: device, sequence number and a hash of both.
pub fn proof_events(count: u64) -> Vec<String> {
    (0..count)
        .map(|seq| {
            let device = format!("d{}", seq % 7);
            format!("{{\"device\": \"{device}\", \"seq\": {seq}, \"hash\": \"{}\"}}", proof(&device, seq))
        })
        .collect()
}

/// The hash that an event of this device and number carries (FNV-1a).
pub fn proof(device: &str, seq: u64) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in device.bytes().chain(seq.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

/// The schema of [`proof_events`].
pub const PROOF_SCHEMA: &str = "device STRING NOT NULL, seq BIGINT NOT NULL, hash STRING NOT NULL";

/// Rows compared with the events they must come from: what is lost, doubled or altered.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub lost: u64,
    pub doubled: u64,
    pub altered: u64,
    pub compared: u64,
}

/// Compares the rows of a table with the first `count` events.
pub fn compare(rows: &[Value], count: u64) -> Verdict {
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let mut verdict = Verdict { compared: rows.len() as u64, ..Verdict::default() };
    for row in rows {
        let (device, seq) =
            (row["device"].as_str().unwrap_or_default(), row["seq"].as_u64().unwrap_or(u64::MAX));
        if row["hash"].as_str() != Some(&proof(device, seq)) || seq >= count {
            verdict.altered += 1;
        }
        *seen.entry(seq).or_default() += 1;
    }
    verdict.lost = (0..count).filter(|seq| !seen.contains_key(seq)).count() as u64;
    verdict.doubled = seen.values().map(|times| times - 1).sum();
    verdict
}

/// All of `count` events once, unaltered.
pub fn assert_exactly_once(rows: &[Value], count: u64, context: &str) {
    assert!(count > 0 && !rows.is_empty(), "{context}: nothing was compared");
    let expected = Verdict { compared: count, ..Verdict::default() };
    assert_eq!(compare(rows, count), expected, "{context}");
}
