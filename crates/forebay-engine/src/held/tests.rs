use std::sync::Arc;

use arrow::array::{Array, Int64Array, StringArray, StructArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};

use super::*;
use crate::state::{Changes, Layout, Upserts};

fn row(start_us: i64, end_us: i64, name: &str) -> Row {
    Row { start_us, end_us, name: name.to_owned() }
}

fn told((spans, _): &(Vec<Span>, u64)) -> Vec<(i64, i64, String)> {
    let keys = |span: &Span| span.keys.iter().cloned().collect::<Vec<_>>().join(" ");
    spans.iter().map(|span| (span.start_us, span.end_us, keys(span))).collect()
}

fn asked(at_us: Option<i64>, most: usize) -> Asked<'static> {
    Asked { at_us, past_us: -5, key: None, most }
}

#[test]
fn the_windows_of_a_time_are_told_whether_rows_are_held_for_them_or_not() {
    let sliding = Sliding::new(10, 5, 0).unwrap();
    let rows = [row(0, 10, "a"), row(5, 15, "a"), row(5, 15, "b")];
    let text = |text: &str| text.to_owned();
    let at_7 = windows(sliding, &rows, asked(Some(7), 9));
    assert_eq!(told(&at_7), [(0, 10, text("a b")), (5, 15, text("a b"))]);
    let at_22 = windows(sliding, &rows, asked(Some(22), 9));
    assert_eq!(told(&at_22), [(15, 25, text("")), (20, 30, text(""))]);
    let first = windows(sliding, &rows, asked(None, 2));
    assert_eq!(told(&first), [(-5, 5, text("a")), (0, 10, text("a b"))], "those that end first");
    let open = windows(sliding, &rows, Asked { past_us: 5, ..asked(None, 2) });
    assert_eq!(told(&open), [(0, 10, text("a b")), (5, 15, text("a b"))], "one is over");
    assert_eq!([at_7.1, at_22.1, first.1, open.1], [0, 0, 1, 0], "(5, 15) is one more than two");
    assert_eq!(windows(sliding, &rows, asked(Some(7), 1)).1, 1);
}

#[test]
fn windows_that_are_not_told_are_counted() {
    let panes = [-40, -35, 0, 5, 10, 60, i64::MIN + 20, i64::MAX - 20];
    let rows: Vec<Row> = panes.iter().map(|pane| row(*pane, pane + 5, "a")).collect();
    for (size, slide, start) in [(10, 10, 0), (10, 5, 0), (35, 5, 3), (12, 5, -2)] {
        let sliding = Sliding::new(size, slide, start).unwrap();
        for past_us in [-100, -37, -5, 0, 7, 12, 63] {
            let all: BTreeSet<i64> = panes.iter().flat_map(|pane| sliding.starts(*pane)).collect();
            let open = all.iter().filter(|start| sliding.end(**start) > past_us).count();
            for most in [0, 1, 3, 99] {
                let (spans, more) = windows(sliding, &rows, Asked { past_us, ..asked(None, most) });
                let told = spans.len() as u64 + more;
                assert_eq!((spans.len(), told), (most.min(open), open as u64), "{sliding:?} {past_us}");
            }
        }
    }
}

#[test]
fn windows_that_are_a_key_are_told_with_their_start() {
    let bounds = |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, None), true);
    let times = |micros: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(micros)) as ArrayRef;
    let window = StructArray::from(vec![
        (Arc::new(bounds("start")), times(vec![1, 2])),
        (Arc::new(bounds("end")), times(vec![5, 6])),
    ]);
    let field = Arc::new(Field::new("day", window.data_type().clone(), true));
    let plain = Arc::new(bounds("at"));
    assert_eq!(ends_by(&[Arc::clone(&plain), field], 1), Ends::Column(1));
    assert_eq!(ends_by(&[plain], 0), Ends::Time);
    assert_eq!(start_of(&(Arc::new(window) as ArrayRef)).unwrap(), Some(vec![1, 2]));
}

#[test]
fn sessions_and_times_are_told_where_they_are_held() {
    let rows = [row(0, 10, "a"), row(0, 10, "b"), row(4, 12, "c"), row(5, NEVER, "d")];
    let text = |text: &str| text.to_owned();
    assert_eq!(told(&each(&rows, asked(Some(3), 9))), [(0, 10, text("a b"))]);
    assert_eq!(told(&each(&rows, asked(None, 9))), [(0, 10, text("a b")), (4, 12, text("c"))]);
    let first = each(&rows, asked(None, 1));
    assert_eq!((told(&first), first.1), (vec![(0, 10, text("a b"))], 1), "the one without end is none");
    assert_eq!(each(&rows, asked(None, 0)).1, 2);
    let moments = [row(7, 7, "a")];
    assert_eq!(told(&each(&moments, asked(Some(7), 9))), [(7, 7, text("a"))]);
    assert_eq!(each(&moments, asked(Some(8), 9)), (Vec::new(), 0));
}

#[test]
fn rows_of_a_join_are_told_by_their_key_and_from_when_to_when_they_may_be_met() {
    let text = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
    let number = Arc::new(Field::new("number", DataType::Int64, false));
    let layout = Layout::new(vec![text("device"), number], Arc::new(Schema::empty()));
    let mut table = Table::new(layout).unwrap();
    let keys: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(vec!["a", "a", "b"])), Arc::new(Int64Array::from(vec![0, 1, 0]))];
    let upserts = Upserts { keys, expires: vec![40, 40, 90].into(), values: Vec::new() };
    table.apply(&Changes { upserts: Some(upserts), ..Changes::default() }).unwrap();
    let name = || "join-0".to_owned();
    let holder = Holder {
        name: name(),
        holds: Holds::Side { is_left: true, sources: Vec::new() },
        ends: Ends::Unmet(10),
        behind_ms: 0,
        table: name(),
        is_numbered: true,
    };
    let rows = holder.rows(&table, None).unwrap();
    let told = told(&each(&rows, asked(None, 9)));
    assert_eq!(told, [(30, 40, "a".to_owned()), (80, 90, "b".to_owned())]);
}
