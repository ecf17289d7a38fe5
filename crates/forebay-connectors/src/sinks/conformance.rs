//! The contract of every sink, as one test that each calls.
//!
//! It plays an engine that is interrupted at every step: epochs are begun, written, thrown away, left behind by a
//! dropped sink (as by a dead process), written again, committed, and come once more after that. At the end every
//! row is there: exactly once where the sink promises that, at least once where it does not.

use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use forebay_core::Epoch;
use forebay_core::sink::{Begun, EpochId, Guarantee, Part, Sink, Written};
use futures::future::BoxFuture;

/// A way to make one sink again and again, as restarts do, and to look at what stands behind it.
pub(crate) trait Subject {
    /// A new sink on the same storage.
    fn sink(&self) -> Box<dyn Sink>;

    /// All rows that are visible: `(lane, number)`, in any order.
    fn rows(&self) -> BoxFuture<'_, Vec<(i32, i64)>>;
}

const LANES: usize = 3;

/// `lane INT, n BIGINT`
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("lane", DataType::Int32, true),
        Field::new("n", DataType::Int64, true),
    ]))
}

/// The numbers of an epoch in a lane; lane 1 has none in odd epochs.
fn numbers(epoch: u64, lane: usize) -> Vec<i64> {
    if lane == 1 && epoch % 2 == 1 {
        return Vec::new();
    }
    let first = i64::try_from(epoch * 1_000 + lane as u64 * 100).unwrap();
    (first..first + 40).collect()
}

fn batch(lane: usize, numbers: &[i64]) -> RecordBatch {
    let lanes = Int32Array::from(vec![i32::try_from(lane).unwrap(); numbers.len()]);
    let numbers = Int64Array::from(numbers.to_vec());
    RecordBatch::try_new(schema(), vec![Arc::new(lanes), Arc::new(numbers)]).unwrap()
}

pub(crate) fn id(epoch: u64) -> EpochId {
    EpochId {
        query_id: "6d0f3a52-conformance".into(),
        query_name: "conformance".into(),
        epoch: Epoch(epoch),
        planned_at_ms: 1_700_000_000_000,
    }
}

/// Begins an epoch and writes its lanes in pieces, an empty piece among them; `None` if the sink has the epoch.
async fn write(sink: &mut dyn Sink, epoch: u64) -> Option<Vec<Part>> {
    let Begun::Writers(writers) = sink.begin(&id(epoch), LANES).await.unwrap() else { return None };
    assert_eq!(writers.len(), LANES, "one writer per lane");
    let mut parts = Vec::new();
    for (lane, mut writer) in writers.into_iter().enumerate() {
        for piece in numbers(epoch, lane).chunks(15) {
            writer.write(batch(lane, piece)).await.unwrap();
            writer.write(batch(lane, &[])).await.unwrap();
        }
        parts.push(writer.finish().await.unwrap());
    }
    Some(parts)
}

/// The contract.
pub(crate) async fn contract(subject: &dyn Subject) {
    let mut sink = subject.sink();
    let exactly_once = sink.guarantee() == Guarantee::ExactlyOnce;
    assert!(!sink.description().is_empty());
    sink.open(schema()).await.unwrap();
    assert!(subject.rows().await.is_empty());

    // Nothing is visible before the commit; everything is after it.
    let parts = write(&mut *sink, 0).await.unwrap();
    assert!(subject.rows().await.is_empty(), "rows were visible before the commit");
    let written = sink.commit(&id(0), parts).await.unwrap();
    assert_eq!(written.rows, 3 * 40);
    assert_eq!(subject.rows().await.len(), 3 * 40);

    // An epoch without rows, in lanes or altogether.
    let Begun::Writers(writers) = sink.begin(&id(1), LANES).await.unwrap() else { panic!("epoch 1 is new") };
    let mut parts = Vec::new();
    for writer in writers {
        parts.push(writer.finish().await.unwrap());
    }
    assert_eq!(sink.commit(&id(1), parts).await.unwrap(), Written::default());

    // A lane fails: what was begun is thrown away and the epoch comes again.
    drop(write(&mut *sink, 2).await.unwrap());
    sink.abort(&id(2)).await.unwrap();
    sink.abort(&id(2)).await.unwrap();
    assert_eq!(subject.rows().await.len(), 3 * 40, "an aborted epoch is not visible");
    let parts = write(&mut *sink, 2).await.unwrap();
    sink.commit(&id(2), parts).await.unwrap();
    sink.tidy().await.unwrap();

    // The process dies in an epoch, after the lanes; another one takes over.
    drop(write(&mut *sink, 3).await.unwrap());
    drop(sink);
    let mut sink = subject.sink();
    sink.open(schema()).await.unwrap();
    let parts = write(&mut *sink, 3).await.unwrap();
    let written = sink.commit(&id(3), parts).await.unwrap();
    assert_eq!(written.rows, 2 * 40);

    // The process dies after the commit and before the engine knows: the epoch comes again, to this sink and to a
    // new one.
    for fresh in [false, true] {
        if fresh {
            sink = subject.sink();
            sink.open(schema()).await.unwrap();
        }
        match write(&mut *sink, 3).await {
            None => {}
            Some(parts) => {
                assert!(!exactly_once, "a sink that promises exactly-once did not recognise the epoch");
                sink.commit(&id(3), parts).await.unwrap();
            }
        }
    }

    // Long since written epochs are recognised too, and the next one goes on.
    if exactly_once {
        assert!(write(&mut *sink, 0).await.is_none());
    }
    let parts = write(&mut *sink, 4).await.unwrap();
    sink.commit(&id(4), parts).await.unwrap();

    let mut expected = Vec::new();
    for epoch in [0, 2, 3, 4] {
        for lane in 0..LANES {
            expected.extend(numbers(epoch, lane).into_iter().map(|n| (i32::try_from(lane).unwrap(), n)));
        }
    }
    let mut found = subject.rows().await;
    found.sort_unstable();
    if !exactly_once {
        found.dedup();
    }
    expected.sort_unstable();
    assert_eq!(found, expected);
}
