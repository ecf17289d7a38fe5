//! Tails of the normal distribution.

use std::f64::consts::FRAC_1_SQRT_2;

/// The share of a normal distribution that is nearer to its mean than `z` standard deviations.
pub(crate) fn within(z: f64) -> f64 {
    (1.0 - erfc(z.abs() * FRAC_1_SQRT_2)).clamp(0.0, 1.0)
}

/// The complementary error function for `x ≥ 0`: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26; the error is
/// below 1.5e-7 everywhere.
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = t
        * (0.254_829_592
            + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    series * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tails_are_those_of_the_tables() {
        for (z, share) in [(0.0, 0.0), (1.0, 0.682_689), (1.96, 0.950_004), (-3.0, 0.997_300), (40.0, 1.0)] {
            assert!((within(z) - share).abs() < 1e-6, "{z}: {}", within(z));
        }
    }
}
