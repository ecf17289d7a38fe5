use super::super::per_key::LATE_ROWS;
use super::*;

#[test]
fn verdicts_are_the_same_however_rows_are_cut_into_batches() {
    for seed in 1..=4 {
        let table = Table::awkward(seed, 900);
        for (mut whole, mut cut) in every_kind().into_iter().zip(every_kind()) {
            let mut random = Random(seed);
            let expected = table.judged(whole.as_mut(), || 900);
            let found = table.judged(cut.as_mut(), || 1 + random.below(40));
            assert_eq!(expected, found, "{} {seed}", whole.name());
            assert!(
                expected.iter().any(|verdict| !f64::from_bits(verdict.0).is_nan()),
                "{} says nothing",
                whole.name()
            );
        }
    }
}

#[test]
fn the_rows_of_other_keys_change_nothing() {
    let table = Table::awkward(5, 900);
    for (mut mixed, mut alone) in every_kind().into_iter().zip(every_kind()) {
        let all = table.judged(mixed.as_mut(), || 900);
        let of_key: Vec<_> =
            all.iter().zip(&table.keys).filter(|(_, key)| **key == 1).map(|(v, _)| v.clone()).collect();
        assert_eq!(of_key, table.of_key(1).judged(alone.as_mut(), || 7), "{}", mixed.name());
    }
}

#[test]
fn a_detector_goes_on_from_a_snapshot_as_if_nothing_had_happened() {
    for seed in 1..=3 {
        let table = Table::awkward(seed, 800);
        let cut = 100 + Random(seed).below(600);
        for ((mut first, mut second), mut by_key) in
            every_kind().into_iter().zip(every_kind()).zip(every_kind())
        {
            table.rows(0..cut).judged(first.as_mut(), || 50);
            second.restore(&first.snapshot()).unwrap();
            for key in 0..first.keys() {
                let mut state = Vec::new();
                first.save(key, &mut state);
                by_key.load(key, &state).unwrap();
            }
            let expected = table.rows(cut..800).judged(first.as_mut(), || 50);
            assert_eq!(expected, table.rows(cut..800).judged(second.as_mut(), || 50), "{}", first.name());
            assert_eq!(expected, table.rows(cut..800).judged(by_key.as_mut(), || 50), "{}", first.name());
            assert_eq!(first.snapshot(), second.snapshot(), "{}", first.name());
        }
    }
}

#[test]
fn half_space_trees_go_on_alike_whether_a_count_is_a_byte_or_two() {
    let table = Table::awkward(7, 2_500);
    for window in [255.0, 256.0] {
        let made = || detector("half_space_trees", 3, &[("window", window)], 3).unwrap();
        let (mut whole, mut first, mut second) = (made(), made(), made());
        let expected = table.judged(whole.as_mut(), || 2_500);
        table.rows(0..2_000).judged(first.as_mut(), || 50);
        second.restore(&first.snapshot()).unwrap();
        assert_eq!(expected[2_000..], table.rows(2_000..2_500).judged(second.as_mut(), || 50), "{window}");
        assert!(expected.iter().any(|verdict| !f64::from_bits(verdict.0).is_nan()), "{window} says nothing");
    }
}

#[test]
fn bytes_that_nobody_saved_are_refused() {
    let table = Table::awkward(6, 200);
    for mut known in every_kind() {
        table.judged(known.as_mut(), || 50);
        let snapshot = known.snapshot();
        let fresh = || every_kind().into_iter().find(|other| other.name() == known.name()).unwrap();
        for length in (0..snapshot.len()).step_by(1 + snapshot.len() / 200) {
            assert!(fresh().restore(&snapshot[..length]).is_err(), "{} {length}", known.name());
        }
        assert!(fresh().restore(&[&snapshot[..], &[0]].concat()).is_err());
        let mut other_version = snapshot.clone();
        other_version[3] = 9;
        assert_eq!(fresh().restore(&other_version).unwrap_err().code().id, "FB-6004");
        let other = if known.name() == "auto" { "gap" } else { "auto" };
        let refused = detector(other, 1, &[], 10).unwrap().restore(&snapshot).unwrap_err();
        assert_eq!(refused.code().id, "FB-6008", "{refused}");
        // Whatever a flipped bit does, it is no panic, neither now nor with the next rows.
        let mut random = Random(1);
        for _ in 0..40 {
            let (mut damaged, mut detector) = (snapshot.clone(), fresh());
            let at = random.below(damaged.len());
            damaged[at] ^= 1 << random.below(8);
            if detector.restore(&damaged).is_ok() {
                let inputs = [[1.0, 2.0]; 3];
                let inputs: Vec<&[f64]> =
                    inputs.iter().map(|column| &column[..]).take(detector.inputs()).collect();
                let rows = Rows { keys: &[0, 1], at: &[1, 2], inputs: &inputs };
                detector.observe(&rows, &mut Verdicts::default()).unwrap();
            }
        }
    }
}

#[test]
fn a_missing_value_has_no_verdict_and_teaches_nothing() {
    let mut usual = Table::default();
    let mut random = Random(9);
    for row in 0..600 {
        usual.keys.push(0);
        usual.at.push(row * 60_000_000 * 30);
        usual.columns.iter_mut().for_each(|column| column.push(random.normal()));
    }
    let mut holes = usual.clone();
    for row in (0..600).step_by(3).rev() {
        let at = holes.at[row];
        holes.keys.insert(row, 0);
        holes.at.insert(row, at);
        let missing = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][row % 3];
        holes.columns.iter_mut().for_each(|column| column.insert(row, missing));
    }
    for (mut without, mut with) in every_kind().into_iter().zip(every_kind()) {
        let expected = usual.judged(without.as_mut(), || 600);
        let found = holes.judged(with.as_mut(), || 800);
        let (missing, kept): (Vec<_>, Vec<_>) =
            found.into_iter().zip(&holes.columns[0]).partition(|(_, value)| !value.is_finite());
        assert!(missing.iter().all(|(verdict, _)| f64::from_bits(verdict.0).is_nan() && !verdict.2));
        assert_eq!(
            expected,
            kept.into_iter().map(|(verdict, _)| verdict).collect::<Vec<_>>(),
            "{}",
            with.name()
        );
    }
}

#[test]
fn late_rows_are_not_learned_until_they_are_too_many() {
    let one = |detector: &mut dyn Detector, at: i64, x: f64| {
        let mut verdicts = Verdicts::default();
        let column = [x];
        let inputs = vec![&column[..]; detector.inputs()];
        detector.observe(&Rows { keys: &[0], at: &[at], inputs: &inputs }, &mut verdicts).unwrap();
        verdicts.scores[0]
    };
    for mut known in every_kind() {
        let mut random = Random(2);
        (0..400).for_each(|row| {
            one(known.as_mut(), row * 3_600_000_000, random.normal());
        });
        let state = |detector: &mut dyn Detector| {
            let mut state = Vec::new();
            detector.save(0, &mut state);
            // The version, then the key's newest time and its late rows in a row; what is learned stands behind.
            state.split_off(16)
        };
        let before = state(known.as_mut());
        for row in 0..i64::from(LATE_ROWS) - 1 {
            one(known.as_mut(), row * 1_000, 50.0);
            assert_eq!(before, state(known.as_mut()), "{} learned late row {row}", known.name());
        }
        one(known.as_mut(), 1_000_000, 50.0);
        one(known.as_mut(), 9_000_000, 50.0);
        assert_ne!(before, state(known.as_mut()), "{}: a clock that was set back counts again", known.name());
    }
    let mut z = detector("z_score", 1, &[], 1).unwrap();
    (0..100_i32).for_each(|row| {
        one(z.as_mut(), i64::from(row) * 1_000, f64::from(row % 7));
    });
    assert!(one(z.as_mut(), 5_000, 1_000.0) > 100.0, "a late row is judged");
}

#[test]
fn a_forgotten_key_is_as_good_as_new_and_too_many_are_refused() {
    let table = Table::awkward(3, 300);
    for (mut known, mut fresh) in every_kind().into_iter().zip(every_kind()) {
        table.judged(known.as_mut(), || 300);
        (0..3).for_each(|key| known.forget(key));
        assert_eq!(
            table.judged(fresh.as_mut(), || 300),
            table.judged(known.as_mut(), || 300),
            "{}",
            known.name()
        );
        assert!(known.bytes_per_key() > 0 && known.bytes_per_key() < 20_000, "{}", known.bytes_per_key());
        let columns = vec![&[1.0][..]; known.inputs()];
        let refused =
            known.observe(&Rows { keys: &[100], at: &[0], inputs: &columns }, &mut Verdicts::default());
        assert_eq!(refused.unwrap_err().code().id, "FB-4006");
    }
}

#[test]
fn what_lasts_is_usual() {
    for name in ["z_score", "ewma", "ewma_chart", "cusum", "page_hinkley", "robust_z", "auto", "holt_winters"]
    {
        let mut detector = detector(name, 1, &[], 1).unwrap();
        let (mut random, mut verdicts) = (Random(4), Verdicts::default());
        let mut told = [0, 0];
        for row in 0..6_000_i64 {
            let level = if row < 2_000 { 10.0 } else { 60.0 };
            let column = [level + random.normal()];
            let rows = Rows { keys: &[0], at: &[row * 60_000_000], inputs: &[&column] };
            detector.observe(&rows, &mut verdicts).unwrap();
            let phase = if row < 2_300 { 0 } else { 1 };
            told[phase] += u32::from(verdicts.anomalous[0]);
        }
        assert!(told[0] > 0, "{name} does not see the step");
        assert!(told[1] <= 3, "{name} goes on to alarm: {told:?}");
    }
}

#[test]
fn settings_are_checked_before_anything_runs() {
    let refused = |name: &str, inputs: usize, settings: &[(&str, f64)]| {
        let error = detector(name, inputs, settings, 1).err().unwrap();
        (error.code().id, error.hint().to_owned())
    };
    assert!(refused("zscore", 1, &[]).1.contains("`z_score`"));
    let (code, hint) = refused("z_score", 1, &[("treshold", 3.0)]);
    assert!(code == "FB-1003" && hint.contains("`threshold`"), "{code} {hint}");
    assert_eq!(refused("z_score", 1, &[("threshold", f64::NAN)]).0, "FB-1005");
    assert_eq!(refused("robust_z", 1, &[("window", 1e9)]).0, "FB-1005");
    assert_eq!(refused("z_score", 2, &[]).0, "FB-1005");
    assert_eq!(refused("half_space_trees", 33, &[]).0, "FB-1005");
}
