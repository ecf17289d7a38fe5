use super::super::trained::{Model, Sample, Shape, Trained};
use super::super::{Words, columns};
use super::*;

/// Two clouds of 400 rows each, around (0, 0) and (10, 5), and the names of the columns.
fn clouds() -> [Vec<f64>; 2] {
    let mut random = Random(11);
    let mut columns = [Vec::new(), Vec::new()];
    for row in 0..800 {
        let far = f64::from(row % 2);
        columns[0].push(10.0 * far + random.normal());
        columns[1].push(5.0 * far + random.normal());
    }
    columns
}

fn models() -> Vec<Model> {
    let clouds = clouds();
    let columns = [&clouds[0][..], &clouds[1][..]];
    let sample = Sample { features: &["x", "y"], columns: &columns, range: (1_000, 2_000) };
    vec![
        Model::isolation_forest(&sample, 100, 256, 1).unwrap(),
        Model::k_means(&sample, 2, false, 1).unwrap(),
        Model::k_means(&sample, 2, true, 1).unwrap(),
    ]
}

fn judged(model: Model, x: &[f64], y: &[f64]) -> Verdicts {
    let mut verdicts = Verdicts::default();
    let (keys, at) = (vec![0; x.len()], vec![0; x.len()]);
    Trained::new(model, 0.995)
        .observe(&Rows { keys: &keys, at: &at, inputs: &[x, y] }, &mut verdicts)
        .unwrap();
    verdicts
}

#[test]
fn what_is_far_from_the_training_rows_is_odd_and_says_why() {
    for model in models() {
        let verdicts = judged(model, &[0.1, 10.2, -40.0, f64::NAN], &[-0.2, 5.1, 5.0, 0.0]);
        assert_eq!(verdicts.anomalous, [false, false, true, false]);
        assert!(verdicts.likelihoods[2] > 0.995 && verdicts.likelihoods[0] < 0.9, "{verdicts:?}");
        assert!(verdicts.scores[3].is_nan());
        let [.., reasons] = columns::verdicts(&verdicts, &Words::named(["x", "y"]));
        let reasons = arrow::array::AsArray::as_string::<i32>(&reasons).value(2).to_owned();
        assert!(reasons.starts_with("x -40, usually 5.0") && reasons.ends_with(" in training"), "{reasons}");
    }
}

#[test]
fn k_means_finds_the_two_clouds() {
    for model in models().into_iter().skip(1) {
        let Shape::KMeans(centres) = &model.shape else { panic!("not k-means") };
        let mut found = centres.centres();
        found.sort_by(|a, b| a[0].total_cmp(&b[0]));
        for (centre, truth) in found.iter().zip([[0.0, 0.0], [10.0, 5.0]]) {
            assert!(centre.iter().zip(truth).all(|(at, truth)| (at - truth).abs() < 0.2), "{found:?}");
        }
    }
}

#[test]
fn a_model_scores_alike_after_it_was_saved_and_in_batches_of_any_length() {
    let clouds = clouds();
    for model in models() {
        let saved = Model::from_json(&model.to_json().unwrap()).unwrap();
        assert_eq!((saved.features.len(), saved.range, saved.rows), (2, (1_000, 2_000), 800));
        let expected = judged(model, &clouds[0], &clouds[1]).scores;
        assert_eq!(expected, judged(saved.clone(), &clouds[0], &clouds[1]).scores);
        let alone =
            |row: usize| judged(saved.clone(), &clouds[0][row..=row], &clouds[1][row..=row]).scores[0];
        (0..9).for_each(|row| assert_eq!(expected[row].to_bits(), alone(row).to_bits()));
    }
}

#[test]
fn a_saved_model_that_does_not_fit_together_is_refused() {
    let text = models()[0].to_json().unwrap();
    let bad = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        Model::from_json(&changed).unwrap_err().code().id
    };
    assert_eq!(bad("\"version\":1", "\"version\":2"), "FB-6004");
    assert_eq!(bad("[\"x\",\"y\"]", "[\"x\"]"), "FB-1005");
    assert_eq!(bad("\"children\":[1,", "\"children\":[4000000,"), "FB-1005");
    assert_eq!(bad("\"roots\":[0,", "\"roots\":[9999999,"), "FB-1005");
    assert_eq!(bad("\"cuts\":\"", "\"cuts\":\"NaN "), "FB-1005");
    assert_eq!(bad("\"depth\":8", "\"depth\":4000000000"), "FB-1005");
    assert_eq!(bad("{", "["), "FB-1005");
}

#[test]
fn scores_that_are_no_longer_those_of_the_training_are_noticed() {
    let clouds = clouds();
    for model in models() {
        let mut trained = Trained::new(model, 0.995);
        assert_eq!(trained.drift(), None);
        let mut feed = |shift: f64| {
            let x: Vec<f64> = clouds[0].iter().map(|x| x + shift).collect();
            let rows = Rows { keys: &[0; 800], at: &[0; 800], inputs: &[&x, &clouds[1]] };
            trained.observe(&rows, &mut Verdicts::default()).unwrap();
            trained.drift().unwrap()
        };
        let same = feed(0.0);
        let moved = (0..4).map(|_| feed(3.0)).fold(0.0, f64::max);
        assert!(same < 0.05 && moved > 0.25, "{same} {moved}");
    }
}
