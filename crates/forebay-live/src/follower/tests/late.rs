//! What is read late.

use super::*;

/// The page loads its charts again by it: what ticks told of the seconds between lacks what was read late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_a_follower_has_caught_up_is_told() {
    let plant = Plant::new(1);
    let (follower, live) = plant.start();
    eventually("the end of what was there", || live.follower().caught_up_ms == Some(NOW)).await;
    plant.clock.advance(30_000);
    plant.topic.send(0, &event(NOW, "a", 1.0));
    eventually("a record after silence", || live.follower().read == 1).await;
    assert_eq!(live.follower().caught_up_ms, Some(NOW), "it is read at once");
    *plant.topic.fails.lock() = true;
    plant.topic.send(0, &event(NOW, "a", 2.0));
    eventually("the error", || live.follower().error.is_some()).await;
    plant.clock.advance(5_000);
    *plant.topic.fails.lock() = false;
    eventually("caught up", || live.follower().caught_up_ms == Some(NOW + 35_000)).await;
    assert_eq!(live.follower().read, 2, "with all that it lacked");
    follower.stop().await;
}
