//! Looking up offsets by time, against a list.

use super::*;

#[tokio::test]
async fn lookups_agree_with_a_naive_search_through_restarts_and_retention() {
    let seed = 20_261_121;
    let mut random = fastrand::Rng::with_seed(seed);
    let fixture = Fixture::new();
    let options = LogOptions { segment_bytes: 4096, index_interval_bytes: 300, ..fixture.options() };
    let mut log = Log::open(options.clone(), Door::new()).unwrap();
    let config = TopicConfig::from_entries([("retention.bytes", "30000")]).unwrap();
    log.create_topic("t", 1, config).unwrap();
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let mut model: Vec<i64> = Vec::new();
    for round in 0..6 {
        for _ in 0..60 {
            let mut batch = BatchBuilder::new(codecs[random.usize(..5)]);
            for _ in 0..random.usize(1..8) {
                // Mostly rising, now and then far off.
                let timestamp = model.len() as i64 * 10 + random.i64(-200..200).max(-(model.len() as i64));
                let timestamp = timestamp.max(0);
                batch.append(timestamp, None, Some(&vec![b'x'; random.usize(0..100)]), &[]);
                model.push(timestamp);
            }
            append(&log, batch.build().unwrap()).await.unwrap();
        }
        match round {
            2 => {
                drop(log);
                log = Log::open(options.clone(), Door::new()).unwrap();
            }
            4 => log.retain(),
            _ => {}
        }
        let earliest = log.offsets("t", 0).unwrap().earliest;
        assert!(round < 4 || earliest > 0);
        let latest = model.iter().max().copied().unwrap();
        for timestamp in (-5..latest + 20).step_by(7) {
            let expected = (earliest..model.len() as i64)
                .map(|offset| (offset, model[offset as usize]))
                .find(|(_, found)| *found >= timestamp);
            let found = log.offset_for_timestamp("t", 0, timestamp).unwrap();
            assert_eq!(found, expected, "seed {seed}, round {round}, timestamp {timestamp}");
        }
    }
}
