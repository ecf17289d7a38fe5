//! A query whose state is another one is refused, saying what differs; a new name of a value is not a difference.

use forebay_core::Epoch;
use forebay_storage::Door;

use super::super::error::CHANGED;
use super::super::{MEANING, StateFiles, bears};
use super::files::{assert_both, filled, reopen};
use super::*;

const EPOCHS: u64 = 12;

fn changed(change: impl FnOnce(&mut Vec<Arc<Field>>, &mut Vec<Field>)) -> Named {
    let plain = layout();
    let mut keys = plain.keys.clone();
    let mut values: Vec<Field> = plain.values.fields().iter().map(|field| field.as_ref().clone()).collect();
    change(&mut keys, &mut values);
    ("first".to_owned(), Layout::new(keys, Arc::new(Schema::new(values))))
}

#[test]
fn values_may_have_other_names_and_tables_another_order() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), EPOCHS);
    let renamed = changed(|_, values| values[1] = Field::new("other", DataType::Utf8, true));
    let mut tables = reopen(dir.path(), &[named("second"), renamed], EPOCHS).unwrap();
    tables.reverse();
    assert_both(&tables, &busy_model(EPOCHS), "the same rows");
}

#[test]
fn another_layout_is_refused_and_says_what_differs() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), EPOCHS);
    let second = || named("second");
    let of_type = changed(|keys, _| keys[0] = Arc::new(Field::new("window", DataType::Utf8, true)));
    let of_name = changed(|keys, _| keys[1] = Arc::new(Field::new("plant", DataType::Utf8, true)));
    let more = changed(|_, values| values.push(Field::new("sum", DataType::Float64, true)));
    let other = changed(|_, values| values[0] = Field::new("n", DataType::Float64, false));
    for (tables, told) in [
        (
            vec![of_type, second()],
            "the key of `first` was (window Int64, device Utf8), is (window Utf8, device Utf8)",
        ),
        (
            vec![of_name, second()],
            "the key of `first` was (window Int64, device Utf8), is (window Int64, plant Utf8)",
        ),
        (vec![more, second()], "what `first` keeps of a key was (Int64, Utf8), is (Int64, Utf8, Float64)"),
        (vec![other, second()], "what `first` keeps of a key was (Int64, Utf8), is (Float64, Utf8)"),
        (vec![named("first")], "`second` is gone"),
        (vec![named("first"), second(), named("third")], "`third` is new"),
        (vec![named("third"), second()], "`first` is gone; `third` is new"),
        (vec![], "`first` is gone; `second` is gone"),
    ] {
        let error = reopen(dir.path(), &tables, EPOCHS).unwrap_err();
        assert_eq!((error.code(), error.detail()), (CHANGED, Some(told)));
        assert!(error.hint().contains("checkpointLocation"));
    }
    let tables = reopen(dir.path(), &[named("first"), second()], EPOCHS).unwrap();
    assert_both(&tables, &busy_model(EPOCHS), "nothing was lost by asking");
}

#[test]
fn other_computations_over_the_same_columns_are_refused() {
    let meaning = |text: &str| {
        let plain = layout();
        let values =
            plain.values.as_ref().clone().with_metadata([(MEANING.to_owned(), text.to_owned())].into());
        [("first".to_owned(), Layout::new(plain.keys.clone(), Arc::new(values)))]
    };
    let dir = tempfile::tempdir().unwrap();
    let (mut files, _) = StateFiles::open(dir.path(), Door::new(), &meaning("sum(a)"), None).unwrap();
    files.write(Epoch(0), &[Changes::default()]).unwrap();
    drop(files);
    let through = Some(Epoch(0));
    bears(dir.path(), through, &meaning("sum(a)")).unwrap();
    let error = bears(dir.path(), through, &meaning("sum(b)")).unwrap_err();
    assert_eq!((error.code(), error.detail()), (CHANGED, Some("`first`: sum(a) → sum(b)")));
    let error = bears(dir.path(), through, &[]).unwrap_err();
    assert_eq!(error.detail(), Some("`first` is gone"));
    bears(&dir.path().join("none"), through, &[]).unwrap();
    let error = bears(&dir.path().join("none"), through, &meaning("sum(a)")).unwrap_err();
    assert!(error.detail().unwrap().contains("its 1 epochs kept none"), "{error}");
    bears(dir.path(), None, &meaning("sum(b)")).unwrap();
}

#[test]
fn state_that_was_never_kept_is_not_empty_state() {
    let dir = tempfile::tempdir().unwrap();
    let error = reopen(dir.path(), &[named("first")], 3).unwrap_err();
    assert_eq!(error.code(), CHANGED);
    assert!(error.detail().unwrap().contains("its 3 epochs kept none"), "{error}");
}

#[test]
fn before_the_first_epoch_every_layout_will_do() {
    let dir = tempfile::tempdir().unwrap();
    assert!(reopen(dir.path(), &[named("first")], 0).unwrap()[0].is_empty());
    assert!(reopen(dir.path(), &[named("third")], 0).unwrap()[0].is_empty());
}
