//! A table is its model, whatever was written, removed, evicted and compacted before; and it takes the memory that it says.

use arrow::array::{Float64Array, StringViewArray};
use proptest::prelude::*;

use super::*;

fn epochs() -> impl Strategy<Value = Vec<Epoch>> {
    let key = || (0..4i64, 0..40u64).prop_map(|(window, device)| super::key(window * 10, device));
    let row = || {
        let expires = prop_oneof![5 => 0..60i64, 1 => Just(NEVER)];
        (expires, any::<i64>(), proptest::option::of("[a-zé]{0,12}"))
    };
    let few = proptest::collection::btree_map(key(), row(), 0..30);
    // Enough to fill segments that are not small any more.
    let many = (0..3u64, 0..60i64).prop_map(|(third, expires)| {
        let rows =
            (0..4000).map(|n| (super::key(5, 1000 + third * 2000 + n), (expires + n as i64 % 7, 0, None)));
        rows.collect::<Model>()
    });
    let upserts = prop_oneof![12 => few, 1 => many];
    let epoch = (upserts, proptest::collection::vec(key(), 0..6), proptest::option::weighted(0.3, 0..60i64))
        .prop_map(|(upserts, removed, evict)| Epoch { upserts, removed, evict });
    proptest::collection::vec(epoch, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_table_is_its_model(epochs in epochs()) {
        let (mut table, mut model) = (Table::new(layout()).unwrap(), Model::new());
        for (number, epoch) in epochs.iter().enumerate() {
            let mut changes = epoch.changes();
            if let (0, Some(upserts)) = (number % 2, &changes.upserts) {
                changes.found = Some(table.find(&table.encode(&upserts.keys).unwrap()));
            }
            let applied = table.apply(&changes).unwrap();
            table.tidy();
            prop_assert_eq!(applied, epoch.apply(&mut model), "epoch {}", number);
            if number % 5 == 4 || model.len() < 200 {
                assert_same(&table, &model, &format!("after epoch {number}"));
            }
        }
        assert_same(&table, &model, "at the end");
        // What sparse segments are left of, epochs without a change clear away.
        (0..30).for_each(|_| table.tidy());
        assert_same(&table, &model, "tidied");
        let rows: usize = table.held.iter().map(|held| held.segment.len()).sum();
        prop_assert!(rows <= 2 * model.len(), "{} of {rows} rows count", model.len());
    }
}

fn wide(rows: std::ops::Range<u64>, expires: i64) -> Model {
    rows.map(|n| (key(0, n + 1), (expires, n as i64, Some(n.to_string())))).collect()
}

fn apply(table: &mut Table, epoch: &Epoch) {
    table.apply(&epoch.changes()).unwrap();
    table.tidy();
}

#[test]
fn more_rows_than_a_segment_holds() {
    let mut table = Table::new(layout()).unwrap();
    let model = wide(0..150_000, 5);
    apply(&mut table, &Epoch { upserts: model.clone(), ..Epoch::default() });
    assert_eq!(table.held.len(), 3);
    assert_same(&table, &model, "three segments");
    apply(&mut table, &Epoch { evict: Some(5), ..Epoch::default() });
    assert_same(&table, &Model::new(), "all evicted");
    assert!(table.bytes() < 200_000, "memory is given back: {}", table.bytes());
}

#[test]
fn many_small_epochs_leave_few_segments() {
    let mut table = Table::new(layout()).unwrap();
    for n in 0..3000 {
        apply(&mut table, &Epoch { upserts: wide(n * 4..n * 4 + 4, n as i64), ..Epoch::default() });
    }
    let segments = table.held.iter().filter(|held| held.alive() > 0).count();
    assert!(segments < 20, "{segments}");
    assert_eq!(table.len(), 12_000);
    assert_eq!(table.due(9).len(), 40);
}

#[test]
fn rows_that_do_not_change_stay_where_they_are() {
    let mut table = Table::new(layout()).unwrap();
    apply(&mut table, &Epoch { upserts: wide(0..60_000, 100), ..Epoch::default() });
    let still = table.find(&table.encode(&key_columns([key(0, 59_000)].iter())).unwrap());
    for n in 0..200 {
        apply(&mut table, &Epoch { upserts: wide(n * 100..n * 100 + 100, 100), ..Epoch::default() });
        let found = table.find(&table.encode(&key_columns([key(0, 59_000)].iter())).unwrap());
        assert_eq!(found, still, "epoch {n} changed a hundred rows of sixty thousand");
    }
}

#[test]
fn rows_that_go_everywhere_at_once_merge_by_and_by() {
    let mut table = Table::new(layout()).unwrap();
    for n in 0..12 {
        apply(&mut table, &Epoch { upserts: wide(n * 8_200..n * 8_200 + 8_200, 9), ..Epoch::default() });
    }
    // A tenth of each segment: all twelve are small from now on. What is changed is a segment that is not.
    let epoch = |number: u64| {
        let changed = (0..12 * 8_200).filter(|n| n % 10 == number).map(|n| key(0, n + 1));
        let upserts = changed.map(|key| (key, (9, number as i64, None))).collect();
        Epoch { upserts, ..Epoch::default() }
    };
    let small =
        |table: &Table| table.held.iter().filter(|held| (1_000..8_192).contains(&held.alive())).count();
    let mut left = 12;
    for number in 0..3 {
        apply(&mut table, &epoch(number));
        let now = small(&table);
        assert!(left - now <= 4, "epoch {number} moved {} segments", left - now);
        left = now;
    }
    assert_eq!((left, table.len()), (0, 12 * 8_200));
}

#[test]
fn a_key_that_comes_twice_in_one_batch_is_its_last_row() {
    let mut table = Table::new(layout()).unwrap();
    for epoch in 0..2 {
        let keys = [key(0, 1), key(0, 2), key(0, 1)];
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![epoch, 5, 10 + epoch]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; 3]));
        let expires = Int64Array::from(vec![1, 2, 3]);
        let upserts = Upserts { keys: key_columns(keys.iter()), expires, values: vec![numbers, texts] };
        table.apply(&Changes { upserts: Some(upserts), ..Changes::default() }).unwrap();
        let model = Model::from([(key(0, 1), (3, 10 + epoch, None)), (key(0, 2), (2, 5, None))]);
        assert_same(&table, &model, "twice");
    }
}

#[test]
fn rows_that_die_everywhere_at_once_are_cleared_away_by_and_by() {
    let mut table = Table::new(layout()).unwrap();
    for n in 0..10 {
        apply(&mut table, &Epoch { upserts: wide(n * 20_000..n * 20_000 + 20_000, 9), ..Epoch::default() });
    }
    let segments = |table: &Table| table.held.iter().filter(|held| held.dead() > held.alive()).count();
    let removed: Vec<Key> = (0..200_000).filter(|n| n % 3 > 0).map(|n| key(0, n + 1)).collect();
    // All of them in one epoch move at most some times as many rows; epochs without a change do the rest.
    apply(&mut table, &Epoch { removed: removed[..66_000].to_vec(), ..Epoch::default() });
    apply(&mut table, &Epoch { removed: removed[66_000..].to_vec(), ..Epoch::default() });
    let still = segments(&table);
    for _ in 0..still {
        apply(&mut table, &Epoch::default());
    }
    assert_eq!(segments(&table), 0, "{still} were left");
    let model = wide(0..200_000, 9).into_iter().filter(|(_, row)| row.1 % 3 == 0).collect();
    assert_same(&table, &model, "a third is left");
}

#[test]
fn what_waits_for_the_same_row_is_its_newest() {
    let mut table = Table::new(layout()).unwrap();
    for number in 0..500 {
        let upserts = Model::from([(key(0, 1), (number, number, None))]);
        apply(&mut table, &Epoch { upserts, ..Epoch::default() });
    }
    assert_eq!((table.len(), table.due(498).len(), table.due(499).len()), (1, 0, 1));
    assert!(table.bytes() < 20_000, "{}", table.bytes());
}

#[test]
fn a_slice_of_a_large_batch_does_not_keep_it() {
    let fields = vec![Field::new("text", DataType::Utf8View, true)];
    let keys = vec![Arc::new(Field::new("n", DataType::Int64, true))];
    let mut table = Table::new(Layout::new(keys, Arc::new(Schema::new(fields)))).unwrap();
    let long = "a text that is too long to lie within a view";
    let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(long, 50_000)));
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..50_000));
    let upserts = Upserts {
        keys: vec![keys.slice(7, 2)],
        expires: Int64Array::from(vec![1, 2]),
        values: vec![texts.slice(7, 2)],
    };
    table.apply(&Changes { upserts: Some(upserts), ..Changes::default() }).unwrap();
    assert!(table.bytes() < 10_000, "{}", table.bytes());
    assert_eq!(table.values(&table.all()).unwrap()[0].as_string_view().value(1), long);
}

#[test]
fn columns_that_do_not_fit_are_refused_and_change_nothing() {
    let mut table = Table::new(layout()).unwrap();
    let model = wide(0..3, 9);
    apply(&mut table, &Epoch { upserts: model.clone(), ..Epoch::default() });
    let good = upserts(&wide(5..7, 1));
    let mut of_other_type = good.clone();
    of_other_type.values[0] = Arc::new(Float64Array::from(vec![1.0, 2.0]));
    let mut key_of_other_type = good.clone();
    key_of_other_type.keys[0] = Arc::new(Float64Array::from(vec![1.0, 2.0]));
    let mut too_short = good.clone();
    too_short.expires = Int64Array::from(vec![1]);
    let mut too_few = good.clone();
    too_few.values.pop();
    let mut null_expiry = good.clone();
    null_expiry.expires = Int64Array::from(vec![Some(1), None]);
    for upserts in [of_other_type, key_of_other_type, too_short, too_few, null_expiry] {
        let changes = Changes { upserts: Some(upserts), evict_through: Some(100), ..Changes::default() };
        assert!(table.apply(&changes).is_err());
        let removed = Some(vec![good.keys[0].clone()]);
        assert!(table.apply(&Changes { removed, ..Changes::default() }).is_err(), "a key without a column");
        assert_same(&table, &model, "refused");
    }
    assert!(Table::new(Layout::new(Vec::new(), layout().values.clone())).is_err(), "no key");
}

#[test]
fn tables_without_values_are_sets() {
    let keys = layout().keys.clone();
    let mut table = Table::new(Layout::new(keys, Arc::new(Schema::empty()))).unwrap();
    let mut only_keys = upserts(&wide(0..10_000, 4));
    only_keys.values.clear();
    for _ in 0..3 {
        let changes = Changes { upserts: Some(only_keys.clone()), ..Changes::default() };
        table.apply(&changes).unwrap();
    }
    assert_eq!((table.len(), table.values(&table.all()).unwrap().len()), (10_000, 0));
}

#[test]
fn a_table_can_be_looked_at_from_many_threads() {
    fn of<T: Send + Sync>() {}
    of::<Table>();
}
