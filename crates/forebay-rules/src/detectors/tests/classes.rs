//! Who must find what, on series made from seeds that nothing was tuned on.

use super::super::trial::made::{USUAL, Usual, WRONG, Wrong, series};
use super::super::trial::{Tally, judge};
use super::*;

const SEEDS: [u64; 3] = [1_001, 1_002, 1_003];

fn total(name: &str, settings: &[(&str, f64)], usual: Usual, wrong: Option<Wrong>) -> Tally {
    let mut detector = detector(name, 1, settings, 1).unwrap();
    let made: Vec<_> = SEEDS.iter().map(|seed| series(usual, wrong, *seed)).collect();
    judge(detector.as_mut(), &made).unwrap().total()
}

#[test]
fn each_detector_finds_the_classes_it_is_for_and_leaves_clean_series_alone() {
    use Wrong::{Drift, Gap, LevelShift, Noise, Season, Spike, Stuck};
    type Case = (&'static str, &'static [(&'static str, f64)], Usual, &'static [Wrong]);
    let cases: [Case; 11] = [
        ("z_score", &[], Usual::Noise, &[Spike, LevelShift, Drift, Noise]),
        ("robust_z", &[], Usual::Noise, &[Spike, LevelShift, Noise]),
        ("ewma", &[], Usual::Noise, &[Spike, LevelShift, Noise]),
        ("ewma_chart", &[], Usual::Noise, &[LevelShift, Drift]),
        ("cusum", &[], Usual::Noise, &[LevelShift, Drift]),
        ("page_hinkley", &[], Usual::Noise, &[LevelShift, Drift]),
        ("seasonal", &[], Usual::Traffic, &[Season]),
        ("holt_winters", &[("period", 144.0)], Usual::Temperature, &[Spike, LevelShift, Noise]),
        ("stuck", &[], Usual::Temperature, &[Stuck]),
        ("stuck", &[], Usual::Sparse, &[]),
        ("gap", &[], Usual::OnOff, &[Gap]),
    ];
    for (name, settings, usual, wrongs) in cases {
        for wrong in wrongs {
            let tally = total(name, settings, usual, Some(*wrong));
            assert_eq!(tally.missed, 0, "{name} misses {wrong:?} in {usual:?}: {tally:?}");
        }
        let clean = total(name, settings, usual, None);
        assert!(clean.false_flags <= 2, "{name} on clean {usual:?}: {clean:?}");
    }
}

#[test]
fn auto_finds_most_of_everything_and_seldom_cries_wolf() {
    let mut sum = Tally::default();
    let mut add = |tally: Tally| {
        sum.hits += tally.hits;
        sum.missed += tally.missed;
        sum.false_flags += tally.false_flags;
    };
    let mut clean_flags = 0;
    for usual in USUAL {
        for wrong in WRONG {
            let tally = total("auto", &[], usual, Some(wrong));
            let sure = match wrong {
                Wrong::Gap => true,
                // Zeros are what is usual there.
                Wrong::Stuck => usual != Usual::Sparse,
                Wrong::Spike => !matches!(usual, Usual::Traffic | Usual::Spiky),
                Wrong::LevelShift => {
                    matches!(usual, Usual::Noise | Usual::Temperature | Usual::Walk | Usual::HeavyTailed)
                }
                Wrong::Noise => {
                    matches!(usual, Usual::Noise | Usual::Temperature | Usual::Walk)
                }
                Wrong::Season => matches!(usual, Usual::Traffic | Usual::Nightly),
                Wrong::Drift => false,
            };
            assert!(!sure || tally.missed == 0, "{wrong:?} in {usual:?}: {tally:?}");
            add(tally);
        }
        let clean = total("auto", &[], usual, None);
        assert!(clean.false_flags <= if usual == Usual::Spiky { 4 } else { 3 }, "clean {usual:?}: {clean:?}");
        clean_flags += clean.false_flags;
    }
    assert!(sum.recall() > 0.82 && sum.precision() > 0.78, "{} {} {sum:?}", sum.recall(), sum.precision());
    // 33 series of some 3,000 rows.
    assert!(clean_flags <= 8, "{clean_flags}");
}

#[test]
fn a_series_is_the_same_for_the_same_seed_and_usual_up_to_its_window() {
    for usual in USUAL {
        let (one, two) = (series(usual, Some(Wrong::Spike), 5), series(usual, Some(Wrong::Spike), 5));
        assert_eq!((one.at, one.values), (two.at, two.values.clone()));
        let clean = series(usual, None, 5);
        let first = two.windows[0].0;
        for row in 0..clean.at.len() {
            let same = clean.values[row].to_bits() == two.values[row].to_bits();
            assert!(same || clean.at[row] >= first, "{usual:?} {row}");
        }
        assert_ne!(series(usual, None, 6).values, clean.values);
    }
}

#[test]
fn half_space_trees_find_rows_where_no_others_lie() {
    let mut trees = detector("half_space_trees", 2, &[("chance", 0.002)], 1).unwrap();
    let (mut random, mut verdicts) = (Random(8), Verdicts::default());
    let (mut found, mut wrong) = (0, 0);
    for row in 0..8_000_i64 {
        // Rows lie along a line; every 400th has usual values which do not go together.
        let odd = row > 3_000 && row % 400 == 0;
        let x = 6.0 * random.unit();
        let y = if odd { if x > 3.0 { -0.5 } else { 6.5 } } else { x + 0.3 * random.normal() };
        trees.observe(&Rows { keys: &[0], at: &[row], inputs: &[&[x], &[y]] }, &mut verdicts).unwrap();
        found += u32::from(odd && verdicts.anomalous[0]);
        wrong += u32::from(!odd && verdicts.anomalous[0]);
    }
    assert!(found >= 9 && wrong <= 40, "of 12 {found} are found, {wrong} are wrong");
}
