//! One operator behind another, in append mode: rows of the first are a partial of the second.

use super::*;

/// Windows of 10 ms by device, then windows of 20 ms over those, at the first's `window_time`.
#[test]
fn a_window_of_windows_ends_in_the_epoch_in_which_it_is_complete() {
    let mut first = World::new(windowed(10, 10), Append, 0);
    let outer = Grouping { keys: vec![], window: Some((20, 20)), ..Grouping::default() };
    let mut second = World::new(outer.operator(), Append, 0);
    let mut given: Vec<Vec<String>> = Vec::new();
    let mut step = |rows: Option<&[Row<'_>]>| {
        let rows = match rows {
            Some(rows) => first.lanes(vec![vec![batch(rows)]]),
            None => first.settled(),
        };
        // Between the two stands a projection: `window_time(window)`, device, sum.
        let ends = rows.iter().flat_map(|rows| {
            let ends = rows
                .column(0)
                .as_struct()
                .column(1)
                .as_primitive::<TimestampMicrosecondType>()
                .values()
                .to_vec();
            let sums = rows.column(3).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec();
            ends.into_iter().zip(sums).collect::<Vec<_>>()
        });
        let (times, sums): (Vec<i64>, Vec<i64>) = ends.map(|(end, sum)| (end - 1, sum)).unzip();
        let devices = vec!["x"; times.len()];
        second.watermark = first.times.evict.0;
        let inner = raw(&times, &devices, &sums);
        second.watermark = first.times.evict.0;
        second.times.evict = first.times.late;
        given.push(lines(&second.lanes(vec![vec![inner]])));
    };
    step(Some(&[(1, "a", 1), (5, "b", 2), (12, "a", 3), (19, "b", 4)]));
    step(None);
    step(Some(&[(25, "a", 5)]));
    step(None);
    step(Some(&[(45, "a", 6)]));
    step(None);
    assert_eq!(
        given,
        [vec![], vec![], vec![], vec!["0-20 4 10 4".to_owned()], vec![], vec!["20-40 1 5 5".to_owned()]]
    );
    assert_eq!(second.counts.late, 0, "what the first puts out is never late at the second");
}
