//! The isolation forest: how few random cuts set a row apart from the others.
//!
//! Liu, Ting and Zhou, Isolation Forest, ICDM 2008. Each tree takes ψ rows by chance and cuts them, at a random place of a random
//! input, until each is alone or the depth log2 ψ is reached; with n rows left a way counts for `c(n)` more,
//! `c(n) = 2 (ln(n - 1) + 0.5772) - 2 (n - 1) / n`. The score is `2^(-mean way / c(ψ))`: near 1 is odd, below 0.5 is usual.
//!
//! Nodes lie in arrays, tree after tree, a node's children beside each other; a leaf is its own child, so every way has the same number of steps
//! and no branch to guess. A chunk of rows passes one tree after the other, which then stays in the nearest cache. Cost: trees × depth
//! steps, some 1.3 µs a row for 100 trees of 256 rows.

use serde::{Deserialize, Serialize};

use super::matrix::{Matrix, numbers};
use super::random::Random;

/// Deeper than this no tree is.
const DEEPEST: u32 = 16;
/// Most nodes of a forest that is loaded.
const MOST_NODES: usize = 1 << 24;

/// The trees.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Forest {
    /// Rows of each tree.
    sample: usize,
    depth: u32,
    /// The first node of each tree.
    roots: Vec<u32>,
    /// Which input a node cuts.
    features: Vec<u16>,
    /// The left child; the right one is behind it. A leaf's is itself.
    children: Vec<u32>,
    /// Where a node cuts: below goes left. Of a leaf it is how long its way counts.
    #[serde(with = "numbers")]
    cuts: Vec<f64>,
}

/// What the rest of a way counts where n rows are left.
fn rest(rows: usize) -> f64 {
    let n = rows as f64;
    match rows {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => 2.0 * ((n - 1.0).ln() + 0.577_215_664_901_532_9) - 2.0 * (n - 1.0) / n,
    }
}

impl Forest {
    pub(crate) fn train(matrix: &Matrix, trees: usize, sample: usize, seed: u64) -> Self {
        let sample = sample.min(matrix.rows());
        let depth = (usize::BITS - (sample - 1).leading_zeros()).clamp(1, DEEPEST);
        let mut forest = Self {
            sample,
            depth,
            roots: Vec::new(),
            features: Vec::new(),
            children: Vec::new(),
            cuts: Vec::new(),
        };
        let mut random = Random(seed);
        let mut order: Vec<usize> = (0..matrix.rows()).collect();
        for _ in 0..trees {
            // The first rows of a shuffle.
            for index in 0..sample {
                let other = index + random.below(order.len() - index);
                order.swap(index, other);
            }
            forest.grow(matrix, order.get_mut(..sample).unwrap_or(&mut []), &mut random);
        }
        forest
    }

    fn push(&mut self) -> usize {
        let node = self.cuts.len();
        self.features.push(0);
        self.children.push(u32::try_from(node).unwrap_or(u32::MAX));
        self.cuts.push(0.0);
        node
    }

    fn grow(&mut self, matrix: &Matrix, rows: &mut [usize], random: &mut Random) {
        let root = self.push();
        self.roots.push(u32::try_from(root).unwrap_or(u32::MAX));
        // Parts of the rows that are still to be cut: node, first row, one past the last, depth.
        let mut open = vec![(root, 0, rows.len(), 0)];
        while let Some((node, first, after, depth)) = open.pop() {
            let part = rows.get_mut(first..after).unwrap_or(&mut []);
            let cut = if depth < self.depth && part.len() > 1 { choose(matrix, part, random) } else { None };
            let Some((feature, cut)) = cut else {
                self.cuts[node] = f64::from(depth) + rest(part.len());
                continue;
            };
            let value = |row: usize| matrix.row(row).get(feature).copied().unwrap_or(0.0);
            let mut left = 0;
            for index in 0..part.len() {
                if value(part[index]) < cut {
                    part.swap(index, left);
                    left += 1;
                }
            }
            let child = self.push();
            self.push();
            self.features[node] = u16::try_from(feature).unwrap_or(0);
            self.cuts[node] = cut;
            self.children[node] = u32::try_from(child).unwrap_or(u32::MAX);
            open.push((child, first, first + left, depth + 1));
            open.push((child + 1, first + left, after, depth + 1));
        }
    }

    pub(crate) fn judge(&self, rows: &[f64], width: usize, scores: &mut [f64]) {
        scores.fill(0.0);
        // Four rows side by side: while one waits for a node, the others go on.
        for root in &self.roots {
            let quads = rows.chunks_exact(4 * width);
            let rest_of_rows = quads.remainder();
            for (four, scores) in quads.zip(scores.chunks_mut(4)) {
                let mut nodes = [*root as usize; 4];
                for _ in 0..self.depth {
                    for (lane, node) in nodes.iter_mut().enumerate() {
                        *node = self.step(*node, &four[lane * width..(lane + 1) * width]);
                    }
                }
                for (score, node) in scores.iter_mut().zip(nodes) {
                    *score += self.cuts.get(node).copied().unwrap_or(0.0);
                }
            }
            let done = scores.len() / 4 * 4;
            for (row, score) in
                rest_of_rows.chunks_exact(width).zip(scores.get_mut(done..).unwrap_or(&mut []))
            {
                let mut node = *root as usize;
                for _ in 0..self.depth {
                    node = self.step(node, row);
                }
                *score += self.cuts.get(node).copied().unwrap_or(0.0);
            }
        }
        let scale = (self.roots.len() as f64 * rest(self.sample).max(1e-9)).recip();
        scores.iter_mut().for_each(|score| *score = (-*score * scale).exp2());
    }

    /// The next node of a way; a leaf leads to itself.
    #[inline]
    fn step(&self, node: usize, row: &[f64]) -> usize {
        let child = self.children[node] as usize;
        let value = row[usize::from(self.features[node])];
        // A leaf's way goes nowhere.
        child + usize::from(child != node && value >= self.cuts[node])
    }

    /// True if every way stays within the nodes and ends.
    pub(crate) fn sane(&self, width: usize) -> bool {
        let nodes = self.cuts.len();
        let child_is_behind = |(node, child): (usize, &u32)| {
            let child = *child as usize;
            child == node || (child > node && child + 1 < nodes)
        };
        nodes <= MOST_NODES
            && (2..=65_536).contains(&self.sample)
            && self.roots.len() <= 1_000
            && (1..=DEEPEST).contains(&self.depth)
            && !self.roots.is_empty()
            && self.features.len() == nodes
            && self.children.len() == nodes
            && self.cuts.iter().all(|cut| cut.is_finite())
            && self.roots.iter().all(|root| (*root as usize) < nodes)
            && self.features.iter().all(|feature| usize::from(*feature) < width)
            && self.children.iter().enumerate().all(child_is_behind)
    }
}

/// An input that differs among these rows, and a place between its least and its most; `None` if the rows are all alike.
fn choose(matrix: &Matrix, part: &[usize], random: &mut Random) -> Option<(usize, f64)> {
    let mut left: Vec<usize> = (0..matrix.width).collect();
    while !left.is_empty() {
        let feature = left.swap_remove(random.below(left.len()));
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for row in part {
            let value = matrix.row(*row).get(feature).copied().unwrap_or(0.0);
            (least, most) = (least.min(value), most.max(value));
        }
        let cut = least + (most - least) * random.unit();
        if least < most {
            // Below the cut lies the least, from it on the most.
            return Some((feature, if cut > least && cut.is_finite() { cut } else { most }));
        }
    }
    None
}
