//! Columns of Arrow and folders of series.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int32Array, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::Float64Type;

use super::super::trial::folder;
use super::super::{Words, columns};
use super::*;

#[test]
fn null_goes_in_as_missing_and_comes_out_as_null() {
    let values: ArrayRef =
        Arc::new(Int32Array::from_iter((0..200).map(|row| (row != 150).then_some(row % 5))));
    let mut values = columns::numbers(&values).unwrap();
    values[199] = 1e6;
    let at: ArrayRef =
        Arc::new(TimestampMillisecondArray::from_iter((0..200).map(|row| (row > 0).then_some(row))));
    let at = columns::times(&at).unwrap();
    assert_eq!((at[0], at[199]), (NO_TIME, 199_000));
    let mut z = detector("z_score", 1, &[], 1).unwrap();
    let mut verdicts = Verdicts::default();
    z.observe(&Rows { keys: &[0; 200], at: &at, inputs: &[&values] }, &mut verdicts).unwrap();
    let [score, likelihood, anomalous, reason] = columns::verdicts(&verdicts, &Words::named(["speed"]));
    for column in [&score, &likelihood, &anomalous] {
        assert!(column.is_null(0) && column.is_null(150) && column.is_valid(151), "{column:?}");
    }
    assert!(score.as_primitive::<Float64Type>().value(199) > 1e3);
    assert!(anomalous.as_boolean().value(199) && !anomalous.as_boolean().value(198));
    assert!(reason.is_null(198));
    assert_eq!(reason.as_string::<i32>().value(199), "speed 1000000, usually 2 ± 1.41");
}

#[test]
fn what_is_no_number_is_refused() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let error = columns::numbers(&texts).unwrap_err();
    assert!(error.hint().contains("CAST"), "{error:?}");
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    assert_eq!(columns::times(&floats).unwrap_err().code().id, "FB-1005");
}

#[test]
fn a_folder_of_labelled_series_is_read_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("inner")).unwrap();
    let csv =
        "timestamp,value\n2014-02-14 14:30:00,1.5\n2014-02-14T14:35:00Z,\n2014-02-14 14:40:00.250,-2e3\n";
    std::fs::write(path("inner/a.csv"), csv).unwrap();
    std::fs::write(path("b.csv"), "timestamp,value\n2014-02-14 00:00:00,0\n").unwrap();
    let labels =
        r#"{"inner/a.csv": [["2014-02-14 14:35:00.000000", "2014-02-14 14:45:00.000000"]], "b.csv": []}"#;
    std::fs::write(path("labels.json"), labels).unwrap();
    let read = || folder::read(folder.path(), Some(&path("labels.json")));
    let all = read().unwrap();
    assert_eq!(all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["b.csv", "inner/a.csv"]);
    assert_eq!(all[1].at, [1_392_388_200_000_000, 1_392_388_500_000_000, 1_392_388_800_250_000]);
    assert!(all[1].values[1].is_nan() && all[1].values[2] == -2_000.0);
    assert_eq!(all[1].windows, [(1_392_388_500_000_000, 1_392_389_100_000_000)]);
    for bad in [
        "timestamp,value\nyesterday,1\n",
        "timestamp,value\n2014-02-14 00:00:00\n",
        "timestamp,value\n2014-02-14 00:00:00,x\n",
    ] {
        std::fs::write(path("b.csv"), bad).unwrap();
        let error = read().unwrap_err();
        assert_eq!(error.place(), Some("b.csv, line 2"), "{error}");
    }
    std::fs::write(path("b.csv"), "timestamp,value\n").unwrap();
    std::fs::write(path("labels.json"), r#"{"b.csv": [["2014-02-14 00:00:00"]]}"#).unwrap();
    assert_eq!(read().unwrap_err().place(), Some("b.csv"));
}
