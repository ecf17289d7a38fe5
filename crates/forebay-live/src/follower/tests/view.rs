//! A view's rows, where a record makes several.

use arrow::array::{Array, ArrayRef, Float64Array, StringArray};
use arrow::buffer::BooleanBuffer;

use futures::FutureExt;

use super::*;
use crate::tally::SharesAsk;

/// A record `name,t,u` is two devices, `name/a` with the number t and `name/b` with u; one whose name begins with `bad` cannot be
/// computed.
fn make() -> Box<Make> {
    Box::new(|envelope, decoded, take| {
        let column = |index: usize| decoded.rows.column(index).as_primitive::<Float64Type>();
        let names = decoded.rows.column(0).as_string::<i32>();
        let (mut keys, mut states, mut numbers, mut at) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in 0..decoded.rows.num_rows() {
            if names.value(row).starts_with("bad") {
                return Err(Error::new(&forebay_core::error::codes::QUERY_FAILED, "it cannot be computed"));
            }
            let record = decoded.kept.as_ref().map_or(row, |kept| kept[row] as usize);
            for (index, part) in [(1, "a"), (2, "b")] {
                if column(index).is_null(row) {
                    continue;
                }
                keys.push(format!("{}/{part}", names.value(row)));
                states.push(if column(index).value(row) < 0.0 { "ERROR" } else { "SUCCESS" });
                numbers.push(column(index).value(row));
                at.push((envelope.timestamps[record], part == "b" && !column(1).is_null(row)));
            }
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(keys)),
            Arc::new(Float64Array::from(numbers)),
            Arc::new(StringArray::from(states)),
        ];
        let rows = RecordBatch::try_new(columns_of_view(), columns).unwrap();
        let repeats = Some(at.iter().map(|(_, repeats)| *repeats).collect::<BooleanBuffer>());
        let at = at.into_iter().map(|(at, _)| at).collect();
        take(ViewRows { rows, at, times: None, repeats });
        Ok(())
    })
}

fn columns_of_view() -> SchemaRef {
    forebay_core::ddl::parse("device STRING, number DOUBLE, state STRING").unwrap()
}

fn follow(plant: &Plant) -> Follow {
    let (source, schema) = ("events".to_owned(), columns_of_view());
    let view = ViewOf { source, schema, bounds: None, prepare: None, make: make() };
    Follow {
        view: Some(view),
        key: Some("device".to_owned()),
        labels: vec!["state".to_owned()],
        ..plant.follow()
    }
}

async fn states(live: &SourceLive) -> Vec<(Option<String>, u64)> {
    let ask = SharesAsk { label: 2, range: Range::Hours24, points: 10, only: Vec::new() };
    let shares = live.shares(&ask).await.unwrap().shares;
    shares.into_iter().map(|share| (share.value, share.count.iter().sum())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_of_a_view_are_devices_with_history_and_labels_also_after_a_restart() {
    let plant = Plant::new(1);
    let both = |key: &str, t: f64, u: f64| Event { u: Some(u), ..event(NOW - 2_000, key, t) };
    plant.topic.send(0, &both("x", 1.0, -2.0));
    plant.topic.send(0, &both("y", 3.0, 4.0));
    plant.topic.send(0, &Event { t: None, ..event(NOW - 2_000, "nobody", 0.0) });
    for run in 0..2 {
        let follower = follow(&plant).start();
        let live = follower.live();
        eventually("all", || live.follower().read == 3 + run).await;
        assert_eq!((live.name(), live.reads(), live.counts().total), ("s", "events", 4));
        let number = |key: &str| live.device(key, None).map(|device| device.values[1].clone());
        assert_eq!(number("x/b"), Some(Value::Number(-2.0)));
        assert_eq!(counted(&live, &["x/a", "x/b", "y/a", "y/b"]).await, 4 + run);
        let success = 3 + run;
        assert_eq!(
            states(&live).await,
            [(Some("ERROR".to_owned()), 1), (Some("SUCCESS".to_owned()), success)]
        );
        assert_eq!(live.rates().iter().sum::<u64>(), 2 + run, "records that gave rows, not rows");
        plant.topic.send(0, &event(NOW - 1_000, "x", 5.0));
        eventually("one more", || live.follower().read == 4 + run).await;
        assert_eq!(number("x/a"), Some(Value::Number(5.0)));
        follower.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_whose_rows_cannot_be_computed_takes_none_of_its_neighbours_with_it() {
    let plant = Plant::new(1);
    for (index, key) in ["x", "bad", "y"].into_iter().enumerate() {
        plant.topic.send(0, &event(NOW - 3_000 + index as i64, key, 1.0));
    }
    let follower = follow(&plant).start();
    let live = follower.live();
    eventually("all", || live.follower().read == 3).await;
    assert_eq!((live.counts().total, live.follower().skipped), (2, 1));
    assert_eq!(counted(&live, &["x/a", "y/a"]).await, 2);
    follower.stop().await;
}

/// A table that rows are joined with may not be there yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_before_what_rows_are_made_with_is_there() {
    let plant = Plant::new(1);
    plant.topic.send(0, &event(NOW - 3_000, "x", 1.0));
    let is_there = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut follow = follow(&plant);
    let seen = Arc::clone(&is_there);
    let prepare = move || {
        let answer = match seen.load(std::sync::atomic::Ordering::Relaxed) {
            true => Ok(()),
            false => Err(Error::new(&forebay_core::error::codes::TABLE_UNREADABLE, "there is no such file")),
        };
        std::future::ready(answer).boxed()
    };
    follow.view.as_mut().unwrap().prepare = Some(Box::new(prepare));
    let follower = follow.start();
    let live = follower.live();
    eventually("told", || live.follower().error.is_some()).await;
    assert_eq!(live.follower().read, 0);
    is_there.store(true, std::sync::atomic::Ordering::Relaxed);
    eventually("all", || live.follower().read == 1).await;
    eventually("well", || live.follower().error.is_none()).await;
    assert_eq!(live.counts().total, 1);
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_labels_begin_a_history_of_their_own() {
    let plant = Plant::new(1);
    plant.topic.send(0, &event(NOW - 3_000, "x", 1.0));
    for labels in [vec!["state".to_owned()], Vec::new(), vec!["state".to_owned()]] {
        let has_labels = !labels.is_empty();
        let follower = Follow { labels, ..follow(&plant) }.start();
        let live = follower.live();
        eventually("all", || live.follower().read == 1).await;
        let ask = SharesAsk { label: 2, range: Range::Hours24, points: 10, only: Vec::new() };
        assert_eq!(live.shares(&ask).await.is_ok(), has_labels);
        assert_eq!(counted(&live, &["x/a"]).await, 1);
        follower.stop().await;
    }
}
