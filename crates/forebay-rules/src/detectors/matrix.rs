//! Training rows as one block of numbers, and how a model's numbers are written.

use std::fmt;

use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::rows::MAX_INPUTS;
use super::trained::Sample;

/// Training rows, one after the other.
#[derive(Clone)]
pub(crate) struct Matrix {
    pub values: Vec<f64>,
    pub width: usize,
}

impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows of {}", self.rows(), self.width)
    }
}

impl Matrix {
    pub fn of(sample: &Sample<'_>) -> Result<Self> {
        let width = sample.columns.len();
        let rows = sample.columns.first().map_or(0, |column| column.len());
        let fits = (1..=MAX_INPUTS).contains(&width)
            && sample.features.len() == width
            && sample.columns.iter().all(|column| column.len() == rows);
        if !fits {
            let message = format!("a model takes 1 to {MAX_INPUTS} columns of one length, each with a name");
            return Err(Error::new(&codes::BAD_VALUE, message));
        }
        let mut values = Vec::with_capacity(rows * width);
        for row in 0..rows {
            values.extend(sample.columns.iter().map(|column| column.get(row).copied().unwrap_or(f64::NAN)));
            if values.iter().rev().take(width).any(|value| !value.is_finite()) {
                values.truncate(values.len() - width);
            }
        }
        if values.len() < 2 * width {
            return Err(Error::new(&codes::BAD_VALUE, "a model needs two rows at least")
                .with_hint("Rows with NULL or NaN in a feature do not count."));
        }
        Ok(Self { values, width })
    }

    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    pub fn row(&self, row: usize) -> &[f64] {
        self.values.get(row * self.width..(row + 1) * self.width).unwrap_or(&[])
    }

    /// Mean and standard deviation of each column.
    pub fn moments(&self) -> (Vec<f64>, Vec<f64>) {
        let (mut means, mut squares) = (vec![0.0; self.width], vec![0.0; self.width]);
        for (number, row) in self.values.chunks_exact(self.width).enumerate() {
            for ((value, mean), square) in row.iter().zip(&mut means).zip(&mut squares) {
                let off = value - *mean;
                *mean += off / (number + 1) as f64;
                *square += off * (value - *mean);
            }
        }
        let spreads = squares.iter().map(|square| (square / self.rows() as f64).sqrt()).collect();
        (means, spreads)
    }
}

/// Numbers as one text: shorter than a list, and every digit comes back, which JSON's readers do not promise.
pub(crate) mod numbers {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
        let texts: Vec<String> = values.iter().map(f64::to_string).collect();
        to.serialize_str(&texts.join(" "))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
        let text = String::deserialize(from)?;
        text.split_ascii_whitespace().map(|value| value.parse().map_err(D::Error::custom)).collect()
    }
}
