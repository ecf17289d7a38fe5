//! What is kept, how it is found again, and what of it comes into memory.

use super::*;

#[test]
fn a_key_with_many_rows_comes_out_in_small_batches() {
    let condition = Some(binary(of_pair("n"), Op::Eq, of_pair("r_n")));
    let never = [SideEnds::Never; 2];
    let mut meet = Meet::new(On { condition, ends: never, ..On::near(Left) });
    let many: Vec<Maybe<'_>> = (0..20_000).map(|n| row(100, "a", n)).collect();
    meet.lanes(0, [vec![], vec![maybe(&many)]]);
    let some: Vec<Maybe<'_>> = (19_900..20_100).map(|n| row(100, "a", n)).collect();
    assert_eq!(
        meet.lanes(0, [vec![maybe(&some)], vec![]]).iter().map(RecordBatch::num_rows).sum::<usize>(),
        100
    );
    let mut all = Meet::new(On { condition: None, ends: never, ..On::near(Inner) });
    all.lanes(0, [vec![], vec![maybe(&many)]]);
    let rows = all.lanes(0, [vec![maybe(&some[..5])], vec![]]);
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 100_000);
    assert!(rows.iter().all(|rows| rows.num_rows() <= 8_192));
}

#[test]
fn what_went_is_not_looked_for_again_and_again() {
    let mut meet = Meet::new(On::near(Full));
    // One row of the key stays for ever; the others come and go.
    meet.epoch(0, &[(None, Some("a"), -1)], &[]);
    for step in 0..40 {
        let at = 100 + step * 100;
        let many: Vec<Maybe<'_>> = (0..50).map(|n| row(at, "a", n)).collect();
        let given = meet.epoch(at - 1, &many, &[row(at, "a", step)]);
        assert_eq!(given.len(), 50, "epoch {step}");
        if step % 7 == 0 {
            meet.restart();
        }
    }
    let bounds = meet.tables[2].values(&meet.tables[2].all()).unwrap();
    let [first, next] = [0, 1].map(|at| bounds[at].as_primitive::<arrow::datatypes::Int64Type>().value(0));
    assert!(next > 2_000 && next - first < 250, "{first} to {next}");
    assert_eq!(meet.held(), (51, 1));
    assert_eq!(meet.epoch(1_000_000, &[], &[]), [""; 0], "all but the one have met");
    assert_eq!(meet.held(), (1, 0));
}

/// The other side comes once in a long time: it must not look for every row that there ever was.
#[test]
fn what_went_unmet_is_not_looked_for() {
    let mut meet = Meet::new(On::near(Left));
    for step in 0..200 {
        let at = 100 + step * 10;
        let many: Vec<Maybe<'_>> = (0..20).map(|n| row(at, "a", n)).collect();
        meet.epoch(at - 1, &many, &[]);
        if step % 9 == 0 {
            meet.restart();
        }
    }
    let bounds = meet.tables[2].values(&meet.tables[2].all()).unwrap();
    let [first, next] = [0, 1].map(|at| bounds[at].as_primitive::<arrow::datatypes::Int64Type>().value(0));
    assert_eq!(next, 4_000);
    assert!(next - first < 150, "{first} to {next}: {:?} are held", meet.held());
    assert_eq!(meet.epoch(2_089, &[], &[row(2_095, "a", 1)]).len(), 20);
}

#[test]
fn rows_that_came_out_of_a_semi_join_leave_nothing_to_look_through() {
    let mut meet = Meet::new(On { condition: None, ends: [SideEnds::Never; 2], ..On::near(LeftSemi) });
    let many: Vec<Maybe<'_>> = (0..500).map(|n| row(100, "a", n)).collect();
    meet.epoch(0, &many, &[]);
    assert_eq!(meet.epoch(0, &[], &[row(100, "a", 1)]).len(), 500);
    meet.epoch(0, &[], &[row(100, "a", 2)]);
    let bounds = meet.tables[2].values(&meet.tables[2].all()).unwrap();
    assert_eq!(bounds[0].to_data(), bounds[1].to_data(), "no number is left");
}

#[test]
fn hidden_columns_serve_the_late_rows_and_do_not_come_out() {
    let mut spec = On::near(Inner).spec();
    let mut fields: Vec<Field> = schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.push(Field::new("__topic", DataType::Int64, true));
    let input = Arc::new(Schema::new(fields));
    spec.left.input = Arc::clone(&input);
    let mut meet = Meet::new(On::near(Inner));
    meet.operator = Arc::new(Join::new(Arc::new(spec)).unwrap());
    let with = |rows: &[Maybe<'_>]| {
        let mut columns = maybe(rows).columns().to_vec();
        columns.push(Arc::new(Int64Array::from(vec![7; rows.len()])));
        RecordBatch::try_new(Arc::clone(&input), columns).unwrap()
    };
    meet.lanes(50, [vec![], vec![]]);
    let rows =
        meet.lanes(50, [vec![with(&[row(100, "a", 1), row(20, "a", 2)])], vec![maybe(&[row(100, "a", 3)])]]);
    assert_eq!(told(&rows), ["100 1 100 3"]);
    assert_eq!(meet.late[0].rows.schema(), input);
}

#[test]
fn another_join_does_not_take_the_state_of_this_one() {
    let told = |on: On| on.join().layouts();
    let this = told(On::near(Left));
    assert_eq!(this, told(On::near(Left)));
    for other in [
        On { condition: None, ..On::near(Left) },
        On { keys: vec!["n"], ..On::near(Left) },
        On { ends: [SideEnds::Never; 2], ..On::near(Left) },
        On::near(Full),
    ] {
        assert!(told(other).iter().zip(&this).all(|(other, this)| other != this));
    }
}

#[test]
fn what_is_written_follows_from_what_changed() {
    let devices: Vec<String> = (0..2_000).map(|i| format!("a device with quite a long name {i}")).collect();
    let all: Vec<Maybe<'_>> = devices.iter().map(|device| row(100, device, 1)).collect();
    let mut meet = Meet::new(On::near(Full));
    meet.epoch(0, &all, &[]);
    let mut of_one = meet.operator.partial(1, &meet.times).unwrap();
    let one = maybe(&all).slice(7, 1);
    of_one.push(one, &mut Late::default()).unwrap();
    let partials = [Vec::new(), of_one.finish().unwrap()];
    let step = meet.operator.run(&meet.tables, partials, &meet.times).unwrap();
    assert_eq!(told(&step.rows), ["100 1 100 1"]);
    let bytes: Vec<usize> = step.changes.iter().map(Changes::bytes).collect();
    assert!(bytes[0] > 0 && bytes.iter().sum::<usize>() < 10_000, "{bytes:?}");
}
