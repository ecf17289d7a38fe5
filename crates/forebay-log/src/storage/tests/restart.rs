//! What a crash may leave, and what the next start makes of it.

use super::*;

#[tokio::test]
async fn a_torn_tail_is_cut_at_every_byte_and_nothing_else_is() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    append(&log, batch(1, &["a", "b"])).await.unwrap();
    let segment = fixture.partition().join("00000000000000000000.log");
    let kept = std::fs::metadata(&segment).unwrap().len();
    append(&log, batch(1, &["c", "d"])).await.unwrap();
    drop(log);
    let whole = std::fs::read(&segment).unwrap();
    for cut in kept..=whole.len() as u64 {
        std::fs::write(&segment, &whole[..cut as usize]).unwrap();
        let log = fixture.open();
        let torn = if cut == whole.len() as u64 { 0 } else { cut - kept };
        assert_eq!(log.torn_bytes(), torn, "cut at {cut}");
        let expected: &[&str] = if torn == 0 && cut > kept { &["a", "b", "c", "d"] } else { &["a", "b"] };
        assert_eq!(values(&log), expected, "cut at {cut}");
        let next = append(&log, batch(1, &["e"])).await.unwrap();
        assert_eq!(next, expected.len() as i64);
        assert_eq!(read_from(&log, next, 1 << 20), [(next, "e".to_owned())], "cut at {cut}");
    }
}

#[tokio::test]
async fn zeros_and_flipped_bits_at_the_tail_are_cut() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    append(&log, batch(1, &["a"])).await.unwrap();
    append(&log, batch(1, &["b"])).await.unwrap();
    drop(log);
    let segment = fixture.partition().join("00000000000000000000.log");
    let whole = std::fs::read(&segment).unwrap();
    let mut zeros = whole.clone();
    zeros.resize(whole.len() + 5000, 0);
    std::fs::write(&segment, &zeros).unwrap();
    assert_eq!(values(&fixture.open()), ["a", "b"]);
    for bit in 0..whole.len() / 2 * 8 {
        let mut flipped = whole.clone();
        flipped[whole.len() / 2 + bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&segment, &flipped).unwrap();
        let log = fixture.open();
        // The leader's epoch is the one field that neither the crc nor the chain of offsets covers.
        let expected: &[&str] = if (96..128).contains(&bit) { &["a", "b"] } else { &["a"] };
        assert_eq!(values(&log), expected, "bit {bit}");
    }
}

#[tokio::test]
async fn sound_batches_behind_damage_are_kept_aside() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    for value in ["a", "b", "c"] {
        append(&log, batch(1, &[value])).await.unwrap();
    }
    drop(log);
    let segment = fixture.partition().join("00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    let third = bytes.len() / 3;
    bytes[third + 30] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    assert_eq!(values(&fixture.open()), ["a"]);
    let kept = segment.with_extension(format!("cut-{third}"));
    assert_eq!(std::fs::read(kept).unwrap(), bytes[third..]);
}

#[tokio::test]
async fn whatever_is_damaged_of_a_batch_those_behind_it_are_kept_aside() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    for value in ["a", "b", "c", "d"] {
        append(&log, batch(1, &[value])).await.unwrap();
    }
    drop(log);
    let segment = fixture.partition().join("00000000000000000000.log");
    let sound = std::fs::read(&segment).unwrap();
    let second = sound.len() / 4;
    // Base offset, length, magic, crc, and a record; the length in each of its bytes.
    for byte in [7, 8, 9, 10, 11, 16, 17, 65] {
        for bit in [0x40, 0x01] {
            let mut bytes = sound.clone();
            bytes[second + byte] ^= bit;
            std::fs::write(&segment, &bytes).unwrap();
            assert_eq!(values(&fixture.open()), ["a"], "byte {byte}");
            let kept = segment.with_extension(format!("cut-{second}"));
            assert!(std::fs::read(&kept).unwrap() == bytes[second..], "byte {byte}");
            std::fs::remove_file(kept).unwrap();
        }
    }
}

#[tokio::test]
async fn offsets_and_producers_survive_any_way_of_ending() {
    for close in [true, false] {
        for lost in [None, Some("producers"), Some(".index")] {
            for damaged in [false, true] {
                survive(close, lost, damaged).await;
            }
        }
    }
}

/// Writes over several segments, ends, loses or damages a kind of file, and goes on.
async fn survive(close: bool, lost: Option<&str>, damaged: bool) {
    let fixture = Fixture::new();
    let options = LogOptions { segment_bytes: 4096, ..fixture.options() };
    let log = Log::open(options.clone(), Door::new()).unwrap();
    log.create_topic("t", 1, TopicConfig::default()).unwrap();
    for i in 0..100 {
        append(&log, numbered(i64::from(i % 3), 0, i / 3 * 10, 10)).await.unwrap();
    }
    let (id, _) = log.new_producer_id().unwrap();
    if close {
        log.close().await.unwrap();
    }
    let expected = read_from(&log, 0, 1 << 20);
    drop(log);
    let files: Vec<_> =
        std::fs::read_dir(fixture.partition()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 4, "several segments: {files:?}");
    for path in files.iter().filter(|path| lost.is_some_and(|lost| path.to_str().unwrap().ends_with(lost))) {
        if damaged {
            let mut bytes = std::fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
            std::fs::write(path, bytes).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }
    let log = Log::open(options, Door::new()).unwrap();
    assert_eq!(log.torn_bytes(), 0);
    assert_eq!(read_from(&log, 0, 700), expected);
    assert_eq!(expected.len(), 1000);
    // The last batch of producer 0 was the 100th: sequences 330..340 at offset 990.
    assert_eq!(append(&log, numbered(0, 0, 330, 10)).await.unwrap(), 990);
    assert!(append(&log, numbered(0, 0, 345, 1)).await.is_err());
    assert_eq!(append(&log, numbered(0, 0, 340, 1)).await.unwrap(), 1000);
    assert!(log.new_producer_id().unwrap().0 > id);
}

#[tokio::test]
async fn a_second_owner_is_refused_until_the_first_is_gone() {
    let fixture = Fixture::new();
    let first = fixture.open();
    let refused = Log::open(fixture.options(), Door::new()).unwrap_err();
    assert!(matches!(refused, LogError::Locked(_)));
    assert!(refused.to_string().contains("in use by another process"));
    first.close().await.unwrap();
    drop(fixture.open());
    drop(fixture.open());
}

#[tokio::test]
async fn an_older_copy_of_the_folder_opens_too() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    append(&log, numbered(1, 0, 0, 5)).await.unwrap();
    // A copy taken while the log is open is what a power cut would leave at this moment.
    let copy = tempfile::tempdir().unwrap();
    copy_dir(fixture.dir.path(), copy.path());
    append(&log, numbered(1, 0, 5, 5)).await.unwrap();
    let old = Log::open(LogOptions::new(copy.path()), Door::new()).unwrap();
    assert_eq!(values(&old), ["0", "1", "2", "3", "4"]);
    assert_eq!(append(&old, numbered(1, 0, 5, 5)).await.unwrap(), 5);
}
