//! How likely is a score so high? The recent scores of a detector, and what lies beyond them.
//!
//! Scores are counted in bins of equal ratio, and old ones fade. Below the tail the likelihood is the share of the counts. What is beyond,
//! the highest few per cent or less, follows a generalised Pareto distribution (Pickands, Statistical Inference Using Extreme Order
//! Statistics, Annals of Statistics 1975): `P(s > x) = share · (1 + ξ (x - t) / σ)^(-1 / ξ)`. Scale σ and shape ξ are estimated by
//! probability-weighted moments (Hosking and Wallis, Parameter and Quantile Estimation for the Generalized Pareto Distribution,
//! Technometrics 1987) and drawn towards usual ones while few scores are known. So a detector needs no threshold in its own measure,
//! and noise with heavy tails teaches its own. Likelihood before threshold: Ahmad, Lavin, Purdy and Agha, Unsupervised Real-Time Anomaly
//! Detection for Streaming Data, Neurocomputing 2017; a fitted tail: Siffer et al., Anomaly Detection in Streams with Extreme Value
//! Theory, KDD 2017. Cost: a logarithm and a power, some 40 ns, and a fit every 16 scores; 440 bytes.

use forebay_core::Result;

use super::bytes::Tape;

/// Bins of an octave, and how many there are: from 1/8 to 512.
const PER_OCTAVE: f64 = 8.0;
const BINS: usize = 96;
const LOWEST_OCTAVE: f64 = -3.0;
/// The share of scores that makes the tail: so many scores, but between these shares. Deeper is truer and needs more of them.
const SHARES: (f64, f64) = (0.004, 0.03);
const TAIL_SCORES: f64 = 20.0;
/// What is believed of a tail before it is seen (the mean excess as a share of where it begins, the shape), and how many scores
/// that belief is worth. A normal distribution has 0.14 and some -0.1 beyond its highest 3 %, an exponential one 0.28 and 0.
const USUAL_EXCESS: f64 = 0.2;
const USUAL_SHAPE: f64 = 0.15;
const BELIEF: f64 = 8.0;
/// Shapes are kept within these: lighter than exponential is never believed.
const SHAPES: (f64, f64) = (0.05, 0.6);
/// A fit holds for so many scores.
const REFIT: u32 = 16;

/// The distribution of a score. Scores are not negative.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    bins: [f32; BINS],
    /// What the next score counts: later ones count more, which is the same as older ones fading.
    weight: f32,
    /// Where the tail begins, its share, and the scale and shape of what is beyond.
    pub begins: f64,
    share: f64,
    scale: f64,
    shape: f64,
    until_fit: u32,
    /// How many scores were taken, up to the memory.
    pub taken: f64,
}

impl Tail {
    /// Nothing is known.
    pub const FRESH: Self = Self {
        bins: [0.0; BINS],
        weight: 1.0,
        begins: 4.0,
        share: SHARES.1,
        scale: 1.0,
        shape: USUAL_SHAPE,
        until_fit: 0,
        taken: 0.0,
    };

    fn bin(score: f64) -> usize {
        (((score.max(1e-9).log2() - LOWEST_OCTAVE) * PER_OCTAVE).max(0.0) as usize).min(BINS - 1)
    }

    /// Takes a score; `memory` is how many are remembered.
    pub fn learn(&mut self, score: f64, memory: f64) {
        if let Some(bin) = self.bins.get_mut(Self::bin(score)) {
            *bin += self.weight;
        }
        self.taken = (self.taken + 1.0).min(memory);
        // The first scores are made while all is unsettled: they fade sooner.
        self.weight *= 1.0 + (self.taken + 20.0).min(memory).recip() as f32;
        if self.weight > 1e4 {
            let fade = self.weight.recip();
            self.bins.iter_mut().for_each(|bin| *bin *= fade);
            self.weight = 1.0;
        }
        if self.until_fit == 0 {
            self.fit();
            self.until_fit = REFIT;
        }
        self.until_fit -= 1;
    }

    fn fit(&mut self) {
        let total: f64 = self.bins.iter().map(|bin| f64::from(*bin)).sum();
        let weight = f64::from(self.weight);
        let share = (TAIL_SCORES * weight / total.max(1e-9)).clamp(SHARES.0, SHARES.1);
        let (mut above, mut first) = (0.0, BINS);
        for (index, bin) in self.bins.iter().enumerate().rev() {
            let with = above + f64::from(*bin);
            if with > total * share && above > 0.0 {
                break;
            }
            (above, first) = (with, index);
        }
        let score_of = |bins: f64| (LOWEST_OCTAVE + bins / PER_OCTAVE).exp2();
        let begins = score_of(first as f64);
        // Probability-weighted moments: the mean excess, and the mean of each times the share of those above it.
        let (mut sum, mut weighted, mut over) = (0.0, 0.0, above);
        for (index, bin) in self.bins.iter().enumerate().skip(first) {
            let (excess, bin) = (score_of(index as f64 + 0.5) - begins, f64::from(*bin));
            sum += bin * excess;
            weighted += bin * excess * (over - 0.5 * bin).max(0.0) / above.max(1e-9);
            over -= bin;
        }
        let (count, sum, weighted) = (above / weight, sum / weight, weighted / weight);
        let mean = (sum + BELIEF * USUAL_EXCESS * begins) / (count + BELIEF);
        let spare = (sum - 2.0 * weighted).max(1e-9);
        let seen = (2.0 - sum / spare).clamp(-1.0, 1.0);
        let shape = (seen * count + BELIEF * USUAL_SHAPE) / (count + BELIEF);
        self.shape = shape.clamp(SHAPES.0, SHAPES.1);
        // The mean excess of the distribution is scale / (1 - shape).
        self.scale = mean * (1.0 - self.shape);
        self.share = (above / total.max(1e-9)).clamp(1e-3, 1.0);
        self.begins = begins;
    }

    /// The share of scores that are higher than this one.
    pub fn beyond(&self, score: f64) -> f64 {
        if score >= self.begins {
            let excess = (score - self.begins) / self.scale;
            return self.share * (1.0 + self.shape * excess).powf(-self.shape.recip());
        }
        let at = Self::bin(score);
        let total: f32 = self.bins.iter().sum();
        let above: f32 = self.bins.iter().skip(at + 1).sum();
        if total <= 0.0 { 1.0 } else { f64::from(above / total).clamp(self.share, 1.0) }
    }

    /// The score of which this share is beyond, in the tail.
    pub fn at(&self, share: f64) -> f64 {
        self.begins + self.scale / self.shape * ((self.share / share).powf(self.shape) - 1.0)
    }

    /// Saves or loads.
    pub fn tape(&mut self, tape: &mut Tape<'_>) -> Result<()> {
        tape.sparse(&mut self.bins)?;
        tape.f32(&mut self.weight)?;
        tape.f64(&mut self.begins)?;
        tape.f64(&mut self.share)?;
        tape.f64(&mut self.scale)?;
        tape.f64(&mut self.shape)?;
        tape.u32(&mut self.until_fit)?;
        tape.f64(&mut self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    /// How far beyond the 10,000th part the tail puts what truly is beyond it.
    fn tail_of(draw: impl Fn(&mut Random) -> f64) -> Tail {
        let (mut random, mut tail) = (Random(3), Tail::FRESH);
        (0..20_000).for_each(|_| tail.learn(draw(&mut random), 5_000.0));
        tail
    }

    #[test]
    fn the_tail_is_right_in_the_middle_and_careful_beyond() {
        let normal = tail_of(|random| random.normal().abs());
        assert!((normal.beyond(1.0) - 0.317).abs() < 0.06, "{}", normal.beyond(1.0));
        assert!((1e-6..1e-3).contains(&normal.beyond(5.0)), "{}", normal.beyond(5.0));
        assert!(normal.beyond(12.0) < 1e-6);
        let heavy = tail_of(|random| (1.0 - random.unit()).powf(-0.5));
        // Of 20 scores in the tail no better can be known.
        assert!((3e-6..1e-3).contains(&heavy.beyond(100.0)), "1e-4 is right: {}", heavy.beyond(100.0));
    }
}
