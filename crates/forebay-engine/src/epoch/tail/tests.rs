use forebay_core::Epoch;
use forebay_storage::Door;

use super::*;
use crate::late::LateTable;
use crate::operators::tests::join::{Full, Inner, Left, Maybe, On, maybe, pair, told};
use crate::operators::tests::schema;
use crate::plan::Rows;
use crate::plan::graph::{AggregateSpec, DeduplicateSpec, JoinKind, LimitSpec, Step as Planned};

/// Deduplicates by this column of these.
fn once(name: &str, input: arrow::datatypes::SchemaRef, key: usize) -> StepPlan {
    let name = name.to_owned();
    let (told, keys) = (Vec::new(), vec![key]);
    let spec = DeduplicateSpec { name, input, told, keys, event_time: Some(0), within_us: None };
    StepPlan::Deduplicate(Arc::new(spec))
}

/// The left side de-duplicated by its number, joined with the right; what comes out de-duplicated by its device.
fn tail(kind: JoinKind) -> Tail {
    let join = StepPlan::Join(Arc::new(On::near(kind).spec()));
    let steps = vec![
        Planned { plan: once("deduplicate-0", schema(), 2), from: vec![vec![Feed::Input(0)]] },
        Planned { plan: join, from: vec![vec![Feed::Step(0)], vec![Feed::Input(1)]] },
        Planned { plan: once("deduplicate-2", pair(), 1), from: vec![vec![Feed::Step(1)]] },
    ];
    Tail::new(&Graph { inputs: Vec::new(), steps, mode: OutputMode::Append }).unwrap().unwrap()
}

/// An epoch of rows in lanes, each of an input.
fn epoch(tail: &Tail, tables: &mut [Table], times: Times, lanes: &[(usize, &[Maybe<'_>])]) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let late = LateTable::open(dir.path().to_owned(), Door::new(), "q").unwrap();
    let gather = |(number, (input, rows)): (usize, &(usize, &[Maybe<'_>]))| {
        let mut intake = tail.intake(*input, times, late.lane(Epoch(0), number)).unwrap();
        intake.take(maybe(rows).into()).unwrap();
        intake.finish().unwrap()
    };
    let gathered: Vec<Gathered> = lanes.iter().enumerate().map(gather).collect();
    let held = Arc::default();
    let ran =
        tail.run(tables, gathered, (times, 0), |number| late.lane(Epoch(0), 9 + number), &held).unwrap();
    assert_eq!(ran.changes.len(), tables.len());
    tables.iter_mut().zip(&ran.changes).for_each(|(table, changes)| {
        table.apply(changes).unwrap();
    });
    ran
}

fn tables(tail: &Tail) -> Vec<Table> {
    tail.tables.iter().map(|(_, layout)| Table::new(Arc::clone(layout)).unwrap()).collect()
}

#[test]
fn each_step_takes_the_rows_of_its_feeds_and_every_record_has_one_fate() {
    let tail = tail(Inner);
    let names: Vec<&str> = tail.tables.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["deduplicate-0.0", "join-0.0", "join-0.1", "join-0.2", "join-0.3", "deduplicate-2.0"];
    assert_eq!(names, expected);
    let mut tables = tables(&tail);
    let times = |late, evict| Times { late: Watermark(late), evict: Watermark(evict) };
    let row = |ms, device, n| (Some(ms), Some(device), n);
    let lefts = [row(100, "a", 1), row(100, "b", 2), (Some(100), None, 9)];
    let ran = epoch(
        &tail,
        &mut tables,
        times(0, 50),
        &[(1, &[row(101, "a", 3), row(25, "a", 4)]), (0, &lefts), (0, &[row(102, "a", 1), row(99, "a", 5)])],
    );
    assert_eq!(told(&ran.rows), ["100 1 101 3"], "the first of its device");
    let ledger = ran.ledger;
    let fates = (ledger.aggregated, ledger.deduplicated, ledger.unmatched, ledger.late, ledger.emitted);
    assert_eq!(fates, (4, 1, 2, 0, 0), "without a key, and past its time");
    assert_eq!(ledger.rows_out, 1);
    let ran = epoch(&tail, &mut tables, times(50, 60), &[(0, &[row(50, "b", 7)]), (1, &[row(103, "b", 8)])]);
    assert_eq!(told(&ran.rows), ["100 2 103 8"]);
    assert_eq!((ran.ledger.late, ran.ledger.aggregated, ran.ledger.unmatched), (1, 1, 0));
}

#[test]
fn behind_a_join_the_watermark_is_held_back() {
    let tail = tail(Full);
    let at = |late, evict| {
        let times = tail.times(Times { late: Watermark(late), evict: Watermark(evict) });
        times.into_iter().map(|times| (times.late.0, times.evict.0)).collect::<Vec<_>>()
    };
    assert_eq!(at(100, 500), [(100, 500), (100, 500), (80, 480)]);
    assert_eq!(at(0, 15), [(0, 15), (0, 15), (0, 0)], "to 1970 and not further");
    assert_eq!(tail.behind_ms(), [0, 0, 0, 0, 0, 20]);
}

#[test]
fn what_is_late_for_the_query_is_not_late_behind_a_join() {
    let tail = tail(Left);
    let mut tables = tables(&tail);
    let times = |late, evict| Times { late: Watermark(late), evict: Watermark(evict) };
    let row = |ms, device, n| (Some(ms), Some(device), n);
    epoch(&tail, &mut tables, times(0, 100), &[(0, &[row(105, "a", 1)])]);
    epoch(&tail, &mut tables, times(100, 114), &[]);
    let ran = epoch(&tail, &mut tables, times(114, 120), &[]);
    assert_eq!(told(&ran.rows), ["105 1 NULL NULL"], "its time is before 114, but not before 94");
    assert_eq!(ran.ledger.late, 0);
}

/// Of two inputs, the second de-duplicated by its number: all of it de-duplicated by its device, or as it is.
fn united(of_groups: bool, behind: StepPlan) -> Tail {
    let first = if of_groups { distinct(schema()) } else { once("deduplicate-0", schema(), 2) };
    let steps = vec![
        Planned { plan: first, from: vec![vec![Feed::Input(1)]] },
        Planned { plan: behind, from: vec![vec![Feed::Input(0), Feed::Step(0)]] },
    ];
    Tail::new(&Graph { inputs: Vec::new(), steps, mode: OutputMode::Append }).unwrap().unwrap()
}

/// DISTINCT of all columns: what comes out is no record any more.
fn distinct(input: arrow::datatypes::SchemaRef) -> StepPlan {
    let keys = input.fields().iter().enumerate();
    let keys = keys.map(|(index, field)| {
        let column = datafusion::physical_expr::expressions::Column::new(field.name(), index);
        Arc::new(column) as Arc<dyn datafusion::physical_expr::PhysicalExpr>
    });
    StepPlan::Aggregate(Arc::new(AggregateSpec {
        name: "aggregate-0".to_owned(),
        keys: keys.collect(),
        key_fields: input.fields().iter().cloned().collect(),
        output: Arc::clone(&input),
        input,
        told: Vec::new(),
        sets: Vec::new(),
        window: None,
        event_key: Some(0),
        aggregates: Vec::new(),
        filters: Vec::new(),
        watermarked: true,
    }))
}

#[test]
fn a_union_gives_the_rows_of_all_and_counts_records_once() {
    let row = |ms, device, n| (Some(ms), Some(device), n);
    let times = |late, evict| Times { late: Watermark(late), evict: Watermark(evict) };
    let rows = |ran: &Ran| ran.rows.iter().map(RecordBatch::num_rows).sum::<usize>();
    // Records all of them: those that count once are told apart, and the rest comes out as a record.
    let tail = united(false, StepPlan::Union);
    let mut state = tables(&tail);
    let lanes: [(usize, &[Maybe<'_>]); 3] = [
        (0, &[row(100, "a", 1), row(100, "a", 1)]),
        (1, &[row(100, "a", 1)]),
        (1, &[row(101, "b", 1), row(9, "c", 2)]),
    ];
    let ran = epoch(&tail, &mut state, times(10, 10), &lanes);
    assert_eq!(rows(&ran), 3);
    let ledger = ran.ledger;
    let fates = (ledger.emitted, ledger.aggregated, ledger.deduplicated, ledger.late, ledger.rows_out);
    assert_eq!(fates, (3, 0, 1, 1, 3));
    // Beside groups a record is out, and a group is none.
    let tail = united(true, StepPlan::Union);
    let mut state = tables(&tail);
    let ran = epoch(&tail, &mut state, times(10, 100), &lanes);
    assert_eq!(rows(&ran), 3, "both records, and the group that is done");
    let ledger = ran.ledger;
    let fates = (ledger.emitted, ledger.aggregated, ledger.deduplicated, ledger.late, ledger.rows_out);
    assert_eq!(fates, (2, 2, 0, 1, 3));
}

#[test]
fn a_union_under_an_operator_feeds_it_whatever_its_parts_are() {
    let row = |ms, device, n| (Some(ms), Some(device), n);
    let times = |late, evict| Times { late: Watermark(late), evict: Watermark(evict) };
    let lanes: [(usize, &[Maybe<'_>]); 2] = [
        (0, &[row(100, "a", 1), row(101, "a", 2), row(5, "z", 2)]),
        (1, &[row(100, "a", 3), row(100, "b", 3), row(8, "x", 3)]),
    ];
    let told = |of_groups, evict| {
        let tail = united(of_groups, once("deduplicate-1", schema(), 1));
        let mut state = tables(&tail);
        let ran = epoch(&tail, &mut state, times(10, evict), &lanes);
        let ledger = ran.ledger;
        let rows = ran.rows.iter().map(RecordBatch::num_rows).sum::<usize>();
        (rows, ledger.emitted, ledger.aggregated, ledger.deduplicated, ledger.late)
    };
    // By number the second row of input 1 has been seen; by device all but the first of `a`.
    assert_eq!(told(false, 10), (1, 1, 0, 3, 2));
    // What of the operator's rows were records is not told: they have come to something.
    assert_eq!(told(true, 100), (2, 0, 3, 1, 2));
}

/// Runs records, each of several rows, in epochs of these numbers of records.
fn exploded(plan: StepPlan, records: &[Vec<Maybe<'_>>], cuts: &[usize]) -> (Vec<String>, Ledger) {
    let steps = vec![Planned { plan, from: vec![vec![Feed::Input(0)]] }];
    let tail = Tail::new(&Graph { inputs: Vec::new(), steps, mode: OutputMode::Append }).unwrap().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let late = LateTable::open(dir.path().to_owned(), Door::new(), "q").unwrap();
    let (mut tables, mut rows, mut ledger) = (tables(&tail), Vec::new(), Ledger::default());
    let (times, mut left) = (Times::default(), records);
    for cut in cuts {
        let (epoch, rest) = left.split_at(*cut);
        left = rest;
        let repeats = epoch.iter().flat_map(|record| (0..record.len()).map(|row| row > 0)).collect();
        let mut intake = tail.intake(0, times, late.lane(Epoch(0), 0)).unwrap();
        intake.take(Rows { batch: maybe(&epoch.concat()), repeats: Some(repeats) }).unwrap();
        let gathered = vec![intake.finish().unwrap()];
        let ran = tail.run(&tables, gathered, (times, 0), |n| late.lane(Epoch(0), 9 + n), &Arc::default());
        let ran = ran.unwrap();
        for (table, changes) in tables.iter_mut().zip(&ran.changes) {
            table.apply(changes).unwrap();
        }
        rows.extend(told(&ran.rows));
        ledger.aggregated += ran.ledger.aggregated;
        ledger.deduplicated += ran.ledger.deduplicated;
        ledger.filtered += ran.ledger.filtered;
    }
    (rows, ledger)
}

#[test]
fn exploded_rows_are_the_first_in_their_order_however_epochs_are_cut() {
    let row = |ms, device, n| (Some(ms), Some(device), n);
    let records = [
        vec![row(1, "a", 1), row(2, "b", 2), row(3, "a", 3)],
        vec![row(4, "b", 4), row(5, "c", 5)],
        vec![row(6, "d", 6)],
        vec![row(7, "d", 7), row(8, "e", 8), row(9, "c", 9)],
    ];
    let of = |plan: fn() -> StepPlan| {
        let mut told = None;
        // Each way to cut four records into epochs.
        for cuts in 0..8_u32 {
            let mut epochs = vec![1];
            for at in 0..3 {
                match cuts & (1 << at) {
                    0 => *epochs.last_mut().unwrap() += 1,
                    _ => epochs.push(1),
                }
            }
            let (rows, ledger) = exploded(plan(), &records, &epochs);
            assert_eq!(told.get_or_insert_with(|| rows.clone()), &rows, "{epochs:?}");
            assert_eq!(ledger.aggregated + ledger.deduplicated + ledger.filtered, 4, "each record once");
        }
        told.unwrap().join(", ")
    };
    let once = || {
        let spec = DeduplicateSpec {
            name: "deduplicate-0".to_owned(),
            input: schema(),
            told: Vec::new(),
            keys: vec![1],
            event_time: None,
            within_us: None,
        };
        StepPlan::Deduplicate(Arc::new(spec))
    };
    assert_eq!(of(once), "1 1, 2 2, 5 5, 6 6, 8 8");
    let first = || StepPlan::Limit(Arc::new(LimitSpec { name: "limit-0".to_owned(), most: 4 }));
    assert_eq!(of(first), "1 1, 2 2, 3 3, 4 4");
}
