//! What becomes of transactions and their ids over time and over restarts of the log.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A log on a clock that stands where the test puts it.
async fn timed(dir: tempfile::TempDir, time: &Arc<AtomicI64>, options: ServerOptions) -> Served {
    let read = Arc::clone(time);
    let clock = Clock::new(move || read.load(Ordering::SeqCst));
    let log = LogOptions {
        clock,
        max_timestamp_ahead: Duration::from_secs(1 << 40),
        ..LogOptions::new(dir.path())
    };
    Served::start_at(dir, log, options).await
}

#[tokio::test]
async fn time_ends_what_its_producer_does_not() {
    let time = Arc::new(AtomicI64::new(1_000_000));
    let served = timed(tempfile::tempdir().unwrap(), &time, ServerOptions::default()).await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let mut a = Producer::start(&served, "a").await;
    a.add("plant", &[0]).await;
    assert_eq!(a.write("plant", 0, &["late"]).await, 0);
    time.fetch_add(59_999, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(ends(&mut client, 1).await, 0, "not yet");
    time.fetch_add(1, Ordering::SeqCst);
    for _ in 0..100 {
        if ends(&mut client, 1).await == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ends(&mut client, 1).await, 2);
    assert_eq!((a.end(true).await, a.write("plant", 0, &["x"]).await), (47, 47));
    assert!(committed(&mut client, "plant", 0).await.is_empty());
    assert_eq!(a.init(60_000).await, 0);
    a.add("plant", &[0]).await;
    assert_eq!((a.write("plant", 0, &["in time"]).await, a.end(true).await), (0, 0));
    assert_eq!(committed(&mut client, "plant", 0).await, ["in time"]);
    served.stop().await;
}

#[tokio::test]
async fn a_producer_goes_on_after_a_restart_of_the_log() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let mut a = Producer::start(&served, "a").await;
    a.add("plant", &[0]).await;
    assert_eq!(a.write("plant", 0, &["before"]).await, 0);
    let served = Served::start_in(served.stop().await, ServerOptions::default()).await;
    let mut client = served.client().await;
    a.client = served.client().await;
    assert_eq!(ends(&mut client, 1).await, 0, "it is still open");
    assert_eq!(a.write("plant", 0, &["after"]).await, 0);
    assert_eq!(a.end(true).await, 0);
    assert_eq!(committed(&mut client, "plant", 0).await, ["before", "after"]);
    served.stop().await;
}

/// The store was lost: nobody will ever end what is open, so the log does.
#[tokio::test]
async fn a_transaction_that_nobody_knows_is_aborted_at_the_start() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let mut a = Producer::start(&served, "a").await;
    a.add("plant", &[0]).await;
    assert_eq!(a.write("plant", 0, &["void"]).await, 0);
    let dir = served.stop().await;
    std::fs::remove_file(dir.path().join("groups")).unwrap();
    let served = Served::start_in(dir, ServerOptions::default()).await;
    let mut client = served.client().await;
    assert_eq!((ends(&mut client, 0).await, ends(&mut client, 1).await), (2, 2));
    assert!(committed(&mut client, "plant", 0).await.is_empty());
    a.client = served.client().await;
    assert_eq!(a.end(true).await, 49);
    served.stop().await;
}

#[tokio::test]
async fn idle_ids_are_forgotten_and_make_room() {
    let time = Arc::new(AtomicI64::new(1_000_000));
    let options = ServerOptions { max_transactional_ids: 1, ..Default::default() };
    let served = timed(tempfile::tempdir().unwrap(), &time, options).await;
    let mut a = Producer::start(&served, "a").await;
    time.fetch_add(3_600_001, Ordering::SeqCst);
    let b = Producer::start(&served, "b").await;
    assert_eq!(a.end(true).await, 49, "it went for the other one");
    time.fetch_add(8 * 24 * 3_600_000, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let again = Producer::start(&served, "b").await;
    assert_ne!(again.producer_id, b.producer_id);
    served.stop().await;
}
