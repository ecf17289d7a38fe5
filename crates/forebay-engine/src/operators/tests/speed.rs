//! How long a row takes; run by hand, in a release build: `--ignored --nocapture`.

use std::time::Instant;

use datafusion::functions_aggregate::average::avg_udaf;

use super::*;

/// Rows of a thousand devices, as many a second, times in order.
fn batches(rows: usize, per_second: usize) -> Vec<RecordBatch> {
    let devices: Vec<String> = (0..1_000).map(|i| format!("device_{i}")).collect();
    let row = |i: usize| {
        ((i / per_second * 1_000_000) as i64, devices[i * 7_919 % 1_000].as_str(), (i % 97) as i64)
    };
    (0..rows)
        .collect::<Vec<_>>()
        .chunks(8_192)
        .map(|chunk| {
            let rows: Vec<(i64, &str, i64)> = chunk.iter().map(|i| row(*i)).collect();
            let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
            let (devices, numbers): (Vec<&str>, Vec<i64>) = rows.iter().map(|row| (row.1, row.2)).unzip();
            raw(&times, &devices, &numbers)
        })
        .collect()
}

#[test]
#[ignore = "a measurement"]
fn a_row_of_a_window() {
    let rows = 2_000_000;
    for per_second in [100, 1_000, 20_000] {
        let input = batches(rows, per_second);
        for (size, slide) in [(10_000, 10_000), (600_000, 10_000)] {
            let aggregates = vec![
                call(avg_udaf(), vec![column("x")], "avg"),
                call(max_udaf(), vec![column("x")], "max"),
                call(count_udaf(), vec![column("n")], "count"),
            ];
            let grouping = Grouping { window: Some((size, slide)), aggregates, ..Grouping::default() };
            let mut world = World::new(grouping.operator(), Append, 0);
            let times = world.times;
            let (mut lane, mut late) = (world.operator.partial(0, &times).unwrap(), Late::default());
            let begun = Instant::now();
            for batch in &input {
                lane.push(batch.clone(), &mut late).unwrap();
            }
            let pushed = begun.elapsed();
            let partial = lane.finish().unwrap();
            let finished = begun.elapsed() - pushed;
            let groups: usize = partial.iter().map(RecordBatch::num_rows).sum();
            let step = world.operator.run(&world.tables, [partial, Vec::new()], &times).unwrap();
            world.tables[0].apply(&step.changes[0]).unwrap();
            let ran = begun.elapsed() - pushed - finished;
            world.watermark = i64::MAX / 2_000;
            let given: usize = world.lanes(Vec::new()).iter().map(RecordBatch::num_rows).sum();
            let ended = begun.elapsed() - pushed - finished - ran;
            println!(
                "{per_second:>6} rows/s, {size} by {slide}: push {:.0} ns a row; {groups} groups: finish {:.0} ns, run and apply {:.0} ns a group; {given} windows: {:.0} ns each; in all {:.0} ns a row",
                pushed.as_nanos() as f64 / rows as f64,
                finished.as_nanos() as f64 / groups as f64,
                ran.as_nanos() as f64 / groups as f64,
                ended.as_nanos() as f64 / given as f64,
                begun.elapsed().as_nanos() as f64 / rows as f64,
            );
        }
    }
}

/// Rows of a thousand devices on both sides, each of which meets one other or a few; as many a second, in epochs of 100,000.
#[test]
#[ignore = "a measurement"]
fn a_row_of_a_join() {
    use super::join::{Full, Inner, LeftSemi, Meet, On};
    for kind in [Inner, Full, LeftSemi] {
        let mut meet = Meet::new(On::near(kind));
        let input: Vec<RecordBatch> = batches(1_000_000, 50_000);
        let begun = Instant::now();
        let (mut pairs, mut most) = (0, 0);
        for (number, epoch) in input.chunks(12).enumerate() {
            let watermark = number as i64 * 12 * 8_192 / 50_000 * 1_000 - 1_000;
            let rows = meet.lanes(watermark.max(0), [epoch.to_vec(), epoch.to_vec()]);
            pairs += rows.iter().map(RecordBatch::num_rows).sum::<usize>();
            most = most.max(meet.held().0 + meet.held().1);
        }
        let nanos = begun.elapsed().as_nanos() as f64;
        println!(
            "{kind:?}: {:.0} ns a row, {:.0} ns a row that comes out; {pairs} come out, {most} are held at most",
            nanos / 2_000_000.0,
            nanos / pairs.max(1) as f64
        );
    }
}
