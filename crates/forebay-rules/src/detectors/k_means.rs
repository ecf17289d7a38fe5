//! k-means: the distance from the nearest of a few centres.
//!
//! Centres are found by Lloyd's steps (Least Squares Quantization in PCM, IEEE Trans. Information Theory 1982) from beginnings by k-means++
//! (Arthur and Vassilvitskii, SODA 2007), with the best of a few candidates for each centre. Of many
//! beginnings the best go on to their end, and the best of those is kept. Distances are Euclidean, over the inputs as they are or divided by their standard deviations. Cost: k × inputs
//! multiplications, some 40 ns a row for two centres of four inputs.

use serde::{Deserialize, Serialize};

use super::matrix::{Matrix, numbers};
use super::random::Random;

/// Beginnings, and the steps of each; the best of them go on, for so many steps at most.
const BEGINNINGS: usize = 40;
const FIRST_STEPS: usize = 6;
const FINALISTS: usize = 8;
const STEPS: usize = 300;

/// The centres.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Centres {
    k: usize,
    /// What each input is multiplied with before distances are taken.
    #[serde(with = "numbers")]
    scales: Vec<f64>,
    /// One after the other, scaled.
    #[serde(with = "numbers")]
    centres: Vec<f64>,
    /// The sum of squared distances of the training rows.
    pub inertia: f64,
}

impl Centres {
    pub(crate) fn train(matrix: &Matrix, k: usize, standardise: bool, seed: u64) -> Self {
        let one = |spread: &f64| if standardise && *spread > 0.0 { spread.recip() } else { 1.0 };
        let scales: Vec<f64> = matrix.moments().1.iter().map(one).collect();
        let mut scaled = matrix.clone();
        for row in scaled.values.chunks_exact_mut(matrix.width) {
            row.iter_mut().zip(&scales).for_each(|(value, scale)| *value *= scale);
        }
        let mut random = Random(seed);
        let mut best = Self { k, scales, centres: Vec::new(), inertia: f64::INFINITY };
        let mut begun: Vec<(Vec<f64>, f64)> =
            (0..BEGINNINGS).map(|_| lloyd(&scaled, begin(&scaled, k, &mut random), FIRST_STEPS)).collect();
        begun.sort_by(|one, other| one.1.total_cmp(&other.1));
        for (centres, _) in begun.into_iter().take(FINALISTS) {
            let (centres, inertia) = lloyd(&scaled, centres, STEPS);
            if inertia < best.inertia || best.centres.is_empty() {
                (best.centres, best.inertia) = (centres, inertia);
            }
        }
        best
    }

    pub(crate) fn judge(&self, rows: &[f64], width: usize, scores: &mut [f64]) {
        for (row, score) in rows.chunks_exact(width).zip(scores) {
            let mut nearest = f64::INFINITY;
            for centre in self.centres.chunks_exact(width) {
                let mut sum = 0.0;
                for ((value, scale), at) in row.iter().zip(&self.scales).zip(centre) {
                    let off = value * scale - at;
                    sum += off * off;
                }
                nearest = nearest.min(sum);
            }
            *score = nearest.sqrt();
        }
    }

    /// The centres in the measure of the inputs.
    pub fn centres(&self) -> Vec<Vec<f64>> {
        let back = |centre: &[f64]| centre.iter().zip(&self.scales).map(|(at, scale)| at / scale).collect();
        self.centres.chunks_exact(self.scales.len().max(1)).map(back).collect()
    }

    pub(crate) fn sane(&self, width: usize) -> bool {
        let finite = |list: &[f64]| list.iter().all(|value| value.is_finite());
        (1..=1_000).contains(&self.k)
            && self.scales.len() == width
            && self.k.checked_mul(width) == Some(self.centres.len())
            && finite(&self.scales)
            && self.scales.iter().all(|scale| *scale > 0.0)
            && finite(&self.centres)
    }
}

fn square(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// k-means++: each next centre is a row drawn by its squared distance from those there are; of a few, the one that helps most.
fn begin(matrix: &Matrix, k: usize, random: &mut Random) -> Vec<f64> {
    let mut centres = matrix.row(random.below(matrix.rows())).to_vec();
    let mut far: Vec<f64> = (0..matrix.rows()).map(|row| square(matrix.row(row), &centres)).collect();
    let candidates = 2 + k.ilog2() as usize;
    for _ in 1..k {
        let total: f64 = far.iter().sum();
        let mut best: Option<(f64, Vec<f64>, usize)> = None;
        for _ in 0..candidates {
            let mut mark = random.unit() * total;
            let drawn = far.iter().position(|far| {
                mark -= far;
                mark < 0.0
            });
            let row = drawn.unwrap_or(matrix.rows() - 1);
            let nearer = far
                .iter()
                .enumerate()
                .map(|(other, far)| far.min(square(matrix.row(other), matrix.row(row))));
            let nearer: Vec<f64> = nearer.collect();
            let sum = nearer.iter().sum();
            if best.as_ref().is_none_or(|(least, _, _)| sum < *least) {
                best = Some((sum, nearer, row));
            }
        }
        if let Some((_, nearer, row)) = best {
            far = nearer;
            centres.extend_from_slice(matrix.row(row));
        }
    }
    centres
}

/// Centres that no step moves any more, or after so many steps, and the sum of squared distances from them.
fn lloyd(matrix: &Matrix, mut centres: Vec<f64>, steps: usize) -> (Vec<f64>, f64) {
    let width = matrix.width;
    let k = centres.len() / width;
    let mut inertia = f64::INFINITY;
    for _ in 0..steps {
        let (mut sums, mut counts) = (vec![0.0; centres.len()], vec![0_u64; k]);
        let mut total = 0.0;
        for row in matrix.values.chunks_exact(width) {
            let distances = centres.chunks_exact(width).map(|centre| square(row, centre)).enumerate();
            let (nearest, distance) =
                distances.fold((0, f64::INFINITY), |best, next| if next.1 < best.1 { next } else { best });
            total += distance;
            counts[nearest] += 1;
            sums[nearest * width..(nearest + 1) * width]
                .iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value);
        }
        for ((centre, sum), count) in centres
            .chunks_exact_mut(width)
            .zip(sums.chunks_exact(width))
            .zip(&counts)
            .filter(|(_, count)| **count > 0)
        {
            // A centre without rows stays where it is.
            centre.iter_mut().zip(sum).for_each(|(at, sum)| *at = sum / *count as f64);
        }
        let done = total >= inertia * (1.0 - 1e-9);
        inertia = total;
        if done {
            break;
        }
    }
    (centres, inertia)
}
