//! Half-space trees: rows of several inputs that lie where few others do.
//!
//! Tan, Ting and Liu, Fast Anomaly Detection for Streaming Data, IJCAI 2011. Each tree halves the space `depth` times, each time in the middle
//! of one input drawn by chance; its nodes count the rows of a window. A row is judged by the counts of the window before: the mass of the
//! node where its way ends, times 2^depth there; a way ends at the depth or where the mass is a tenth of the window. When a window is
//! full its counts take the place of the old ones.
//!
//! The trees are drawn from the seed and shared by all keys; a key has its own counts. The first window of a key only finds the range of each
//! input; as in the paper a tree's range is wider and not centred, so that a value beyond what was seen falls into nodes with
//! little mass. The score is the root of how rare the place is, 1 for an even spread; its likelihood is by the tail of the recent scores of
//! the key ([`super::tail`]).
//!
//! ```text
//!  a key's numbers:  [ tree 0: rows of the window before, by leaf | tree 1 | … ][ tree 0: rows of this window, by leaf | tree 1 | … ]
//! ```
//!
//! A row counts in the leaf where its way ends, and nowhere else: a node's mass is the sum of the leaves below, which lie side by side. So a
//! row writes one number of each tree, and a key's numbers lie as they are saved, in a byte each while a window has no more than 255
//! rows ([`Count`]). Cost: trees × depth steps, some 1 µs a row for 25 trees of depth 6 and four inputs, and as much again where the state
//! comes out of the checkpoint's bytes and goes back; 2 bytes × trees × 2^depth a key.

use std::fmt;
use std::marker::PhantomData;

use forebay_core::Result;

use super::bytes::Tape;
use super::per_key::{Model, Row};
use super::random::Random;
use super::rows::MAX_INPUTS;
use super::tail::Tail;
use super::verdict::{Verdict, Why};

/// A way ends at a node with this share of the window.
const SMALL: f64 = 0.1;
/// Scores that the tail remembers, and before the first verdict.
const MEMORY: f64 = 5_000.0;
const WARM_UP: f64 = 100.0;
/// Until so many scores are known, the chance of an anomaly must be smaller, by the square of the share that is.
const SETTLED: f64 = 800.0;
/// The place of a row whose nodes are empty counts as this share of a row.
const EMPTY: f32 = 0.25;

/// How many rows of a window a leaf has.
pub(crate) trait Count: Copy + Default + fmt::Debug + Into<u32> + Send + Sync + 'static {
    /// A window has no more rows.
    const MOST: f64;

    /// One more.
    fn next(self) -> Self;

    /// Saves or loads.
    fn tape(counts: &mut [Self], tape: &mut Tape<'_>) -> Result<()>;
}

impl Count for u8 {
    const MOST: f64 = 255.0;

    fn next(self) -> Self {
        self.saturating_add(1)
    }

    fn tape(counts: &mut [Self], tape: &mut Tape<'_>) -> Result<()> {
        tape.bytes(counts)
    }
}

impl Count for u16 {
    const MOST: f64 = 65_535.0;

    fn next(self) -> Self {
        self.saturating_add(1)
    }

    fn tape(counts: &mut [Self], tape: &mut Tape<'_>) -> Result<()> {
        counts.iter_mut().try_for_each(|count| tape.u16(count))
    }
}

#[derive(Debug)]
pub(crate) struct HalfSpace<C> {
    counted: PhantomData<C>,
    inputs: usize,
    trees: usize,
    depth: usize,
    window: f64,
    chance: f64,
    /// Of each inner node of each tree: which input it halves, and where, as a share of the key's range of that input.
    nodes: Vec<(u32, f32)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Masses<C> {
    rows: f64,
    /// Windows that are full, up to 2.
    windows: u32,
    least: [f64; MAX_INPUTS],
    most: [f64; MAX_INPUTS],
    /// Rows by leaf: of the window before, then of this one.
    counts: Vec<C>,
    tail: Tail,
}

impl<C: Count> HalfSpace<C> {
    pub fn new(inputs: usize, trees: usize, depth: usize, window: f64, chance: f64, seed: u64) -> Self {
        let (mut random, inner) = (Random(seed), (1 << depth) - 1);
        let mut nodes = Vec::with_capacity(trees * inner);
        for _ in 0..trees {
            // The tree's own range of each input, around the key's range from 0 to 1: the paper's work range.
            let mut range = [(0.0, 1.0); MAX_INPUTS];
            for range in &mut range {
                let middle = random.unit();
                let reach = 2.0 * middle.max(1.0 - middle);
                *range = (middle - reach, middle + reach);
            }
            let mut ranges = vec![range; inner.max(1)];
            for node in 0..inner {
                let input = random.below(inputs);
                let mine = ranges.get(node).copied().unwrap_or(range);
                let (low, high) = mine.get(input).copied().unwrap_or((0.0, 1.0));
                let middle = f64::midpoint(low, high);
                nodes.push((u32::try_from(input).unwrap_or(0), middle as f32));
                for (child, part) in [(2 * node + 1, (low, middle)), (2 * node + 2, (middle, high))] {
                    if let Some(slot) = ranges.get_mut(child) {
                        *slot = mine;
                        if let Some(range) = slot.get_mut(input) {
                            *range = part;
                        }
                    }
                }
            }
        }
        Self { counted: PhantomData, inputs, trees, depth, window, chance, nodes }
    }

    fn leaves(&self) -> usize {
        1 << self.depth
    }

    /// How dense the place of a row is: 1 for an even spread. Adds the row to this window's counts.
    fn pass(&self, key: &mut Masses<C>, shares: &[f32; MAX_INPUTS], learn: bool) -> f64 {
        let leaves = self.leaves();
        let (before, now) = key.counts.split_at_mut(self.trees * leaves);
        let small = (SMALL * self.window) as u32;
        let all = if key.windows > 1 { self.window.ceil() as u32 } else { 0 };
        let mut total = 0.0;
        let trees = before.chunks_exact(leaves).zip(now.chunks_exact_mut(leaves));
        for ((before, now), nodes) in trees.zip(self.nodes.chunks_exact(leaves - 1)) {
            // Numbered from 1 on, the node above n is n / 2.
            let mut node = 1;
            for _ in 0..self.depth {
                let Some((input, at)) = nodes.get(node - 1) else { break };
                let share = shares.get(*input as usize).copied().unwrap_or(0.0);
                node = 2 * node + usize::from(share >= *at);
            }
            let leaf = node - leaves;
            if learn && let Some(count) = now.get_mut(leaf) {
                *count = count.next();
            }
            // From the root down, until there is little mass.
            let (mut level, mut mass) = (0, all);
            while mass > small && level < self.depth {
                level += 1;
                let width = leaves >> level;
                let below = before.get(leaf / width * width..).unwrap_or(&[]);
                mass = below.iter().take(width).map(|count| (*count).into()).sum();
            }
            total += (mass as f32).max(EMPTY) * (1_u32 << level) as f32;
        }
        f64::from(total) / (self.trees as f64 * self.window)
    }
}

impl<C: Count> Model for HalfSpace<C> {
    const NAME: &'static str = "half_space_trees";
    const VERSION: u32 = 3;
    type Key = Masses<C>;

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn fresh(&self) -> Masses<C> {
        Masses {
            rows: 0.0,
            windows: 0,
            least: [f64::INFINITY; MAX_INPUTS],
            most: [f64::NEG_INFINITY; MAX_INPUTS],
            counts: vec![C::default(); 2 * self.trees * self.leaves()],
            tail: Tail::FRESH,
        }
    }

    fn step(&self, key: &mut Masses<C>, row: Row<'_>) -> Verdict {
        if key.windows == 0 {
            if row.late {
                return Verdict::SILENT;
            }
            for ((x, least), most) in row.all.iter().zip(&mut key.least).zip(&mut key.most) {
                (*least, *most) = (least.min(*x), most.max(*x));
            }
            key.rows += 1.0;
            if key.rows >= self.window {
                (key.windows, key.rows) = (1, 0.0);
            }
            return Verdict::SILENT;
        }
        let mut shares = [0.0_f32; MAX_INPUTS];
        for (index, (x, share)) in row.all.iter().zip(&mut shares).enumerate() {
            let (least, most) = (key.least[index], key.most[index]);
            let width = (most - least).max(least.abs() * 1e-9).max(1e-12);
            let part = ((x - least) / width).clamp(-1e6, 1e6) as f32;
            *share = part;
        }
        let density = self.pass(key, &shares, !row.late);
        if !row.late {
            key.rows += 1.0;
        }
        let known = key.windows > 1;
        if key.rows >= self.window {
            let (before, now) = key.counts.split_at_mut(self.trees * self.leaves());
            before.copy_from_slice(now);
            now.fill(C::default());
            (key.windows, key.rows) = (2, 0.0);
        }
        if !known {
            return Verdict::SILENT;
        }
        let score = density.max(1e-6).sqrt().recip();
        let odd = key.tail.beyond(score);
        let ready = key.tail.taken >= WARM_UP;
        let limit = self.chance * (key.tail.taken / SETTLED).min(1.0).powi(2);
        let times = score / key.tail.at(0.5).max(1e-9);
        if !row.late {
            key.tail.learn(score.min(2.0 * key.tail.at(self.chance)), MEMORY);
        }
        if !ready {
            return Verdict::SILENT;
        }
        Verdict { score, likelihood: 1.0 - odd, anomalous: odd < limit, why: Why::Far { times } }
    }

    fn tape(&self, key: &mut Masses<C>, tape: &mut Tape<'_>) -> Result<()> {
        tape.f64(&mut key.rows)?;
        tape.u32(&mut key.windows)?;
        tape.f64s(key.least.get_mut(..self.inputs).unwrap_or(&mut []))?;
        tape.f64s(key.most.get_mut(..self.inputs).unwrap_or(&mut []))?;
        if key.windows > 0 {
            C::tape(&mut key.counts, tape)?;
        }
        key.tail.tape(tape)
    }

    fn heap_per_key(&self) -> usize {
        2 * self.trees * self.leaves() * size_of::<C>()
    }
}
