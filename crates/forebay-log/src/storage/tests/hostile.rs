//! Bytes that are no batches, and batches that lie: refused, and the log goes on.

use proptest::prelude::*;

use super::*;
use crate::records::CRC_COVERS_FROM;

/// A valid batch with a few bytes changed, its crc made right again if asked.
fn mutated() -> impl Strategy<Value = Bytes> {
    let codec = prop::sample::select(vec![
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (codec, 1..20usize, changes, any::<bool>()).prop_map(|(codec, count, changes, mend)| {
        let mut batch = BatchBuilder::new(codec);
        for i in 0..count {
            batch.append(
                i as i64,
                Some(b"key"),
                Some(&vec![i as u8; i * 10]),
                &[("h", Some(b"v")), ("n", None)],
            );
        }
        let mut bytes = batch.build().unwrap().to_vec();
        for (at, with) in changes {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        if mend {
            let crc = crc32c::crc32c(&bytes[CRC_COVERS_FROM..]);
            bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        }
        bytes.into()
    })
}

/// Walks everything that can be walked.
fn walk(bytes: &Bytes) {
    let scratch = Scratch::new();
    for batch in Batches::new(bytes).flatten() {
        let _ = batch.verify_crc();
        let Ok(records) = batch.records(100_000, &scratch) else { continue };
        assert!(records.data.len() <= 100_000);
        for record in records.iter().flatten() {
            for range in [&record.key, &record.value].into_iter().flatten() {
                assert!(range.end as usize <= records.data.len() && range.start <= range.end);
            }
            let headers = crate::records::headers(&records.data, record.headers, record.header_count);
            assert_eq!(headers.count(), record.header_count as usize);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes_are_walked_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        walk(&bytes.into());
    }

    #[test]
    fn random_bytes_behind_a_header_are_walked_without_harm(
        codec in 0..8i16,
        count in any::<i32>(),
        last in any::<i32>(),
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let header = crate::records::BatchHeader {
            base_offset: i64::MAX, length: 61 + body.len(), leader_epoch: 0, crc: 0, attributes: codec,
            last_offset_delta: last, base_timestamp: i64::MAX, max_timestamp: i64::MAX, producer_id: 0,
            producer_epoch: 0, base_sequence: 0, record_count: if count % 2 == 0 { count } else { 3 },
        };
        walk(&[&header.to_bytes()[..], &body].concat().into());
    }

    #[test]
    fn mutated_batches_are_walked_without_harm(bytes in mutated()) {
        walk(&bytes);
    }
}

proptest! {
    // Each case syncs some twenty times and opens a log twice.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn mutated_batches_are_stored_as_sound_ones_or_not_at_all(
        batches in prop::collection::vec(mutated(), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fixture = Fixture::new();
        let log = fixture.with_topic();
        let mut next = 0;
        runtime.block_on(async {
            for bytes in batches {
                if let Ok(base_offset) = append(&log, bytes.clone()).await {
                    assert_eq!(base_offset, next);
                    next = log.offsets("t", 0).unwrap().latest;
                }
            }
        });
        drop(log);
        let log = fixture.open();
        assert_eq!(log.torn_bytes(), 0);
        assert_eq!(log.offsets("t", 0).unwrap().latest, next);
        if next > 0 {
            let fetched = log.read("t", 0, 0, 1 << 20, true, Isolation::Uncommitted).unwrap();
            for batch in Batches::new(&fetched.batches) {
                let batch = batch.unwrap();
                batch.verify_crc().unwrap();
                let records = batch.records(1 << 20, &Scratch::new()).unwrap();
                let found: Vec<_> = records.iter().map(|r| r.unwrap()).collect();
                assert_eq!(found.len(), records.len());
            }
        }
    }
}
