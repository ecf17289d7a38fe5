//! One model, many keys: the loop over the rows of a batch.
//!
//! [`PerKey`] holds the state of each key in an array by the key's number and calls the model's `step`, which the compiler knows
//! and puts into the loop. What must stay true: a key's verdicts depend on its own rows alone. So all that could differ between
//! batches is decided here, once for all models: what is missing, what is late, what is a key's time.

use std::fmt;

use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::Detector;
use super::bytes::Tape;
use super::rows::{MAX_INPUTS, NO_TIME, Rows};
use super::verdict::{Verdict, Verdicts};

/// After so many rows of a key in a row that lie behind its newest time, that time was wrong: a device's clock was set back, or one row
/// came from the future. Fewer would take a burst of late rows for that.
pub const LATE_ROWS: u32 = 32;

/// A row as a model sees it. All its inputs are finite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// Microseconds since 1970.
    pub at: i64,
    /// Since the row before, not below 0; 0 for the first.
    pub since: i64,
    /// The first input.
    pub x: f64,
    /// All inputs.
    pub all: &'a [f64],
    /// Behind the key's time: to be judged, not learned.
    pub late: bool,
}

/// What is learned of one key, and how.
pub(crate) trait Model: Send + Sync + fmt::Debug {
    /// The name of its kind.
    const NAME: &'static str;
    /// Changes when [`Model::tape`] does.
    const VERSION: u32;
    /// What is remembered of a key.
    type Key: Clone + fmt::Debug + Send + Sync;

    /// How many numbers a row has.
    fn inputs(&self) -> usize {
        1
    }

    /// A key of which nothing is known.
    fn fresh(&self) -> Self::Key;

    /// Judges a row and learns it, unless it is late.
    fn step(&self, key: &mut Self::Key, row: Row<'_>) -> Verdict;

    /// Saves or loads a key.
    fn tape(&self, key: &mut Self::Key, tape: &mut Tape<'_>) -> Result<()>;

    /// Memory of a key beside `size_of::<Self::Key>()`.
    fn heap_per_key(&self) -> usize {
        0
    }
}

/// A key's time.
#[derive(Clone, Copy, Debug)]
struct Clock {
    newest: i64,
    late_rows: u32,
}

impl Clock {
    const FRESH: Self = Self { newest: NO_TIME, late_rows: 0 };

    /// The row's time, that since the row before, and whether it is late.
    #[inline]
    fn take(&mut self, at: i64) -> (i64, i64, bool) {
        let before = self.newest;
        if at == NO_TIME {
            return (before.max(0), 0, false);
        }
        if before == NO_TIME || at >= before {
            *self = Self { newest: at, late_rows: 0 };
            let since = if before == NO_TIME { 0 } else { at.saturating_sub(before) };
            return (at, since, false);
        }
        self.late_rows += 1;
        if self.late_rows < LATE_ROWS {
            return (at, 0, true);
        }
        *self = Self { newest: at, late_rows: 0 };
        (at, 0, false)
    }
}

/// A model and what it knows of each key.
#[derive(Debug)]
pub(crate) struct PerKey<M: Model> {
    model: M,
    clocks: Vec<Clock>,
    keys: Vec<M::Key>,
    most_keys: u32,
}

impl<M: Model> PerKey<M> {
    /// Knows nothing; refuses key numbers from `most_keys` on.
    pub fn new(model: M, most_keys: u32) -> Self {
        Self { model, clocks: Vec::new(), keys: Vec::new(), most_keys }
    }

    fn reach(&mut self, key: u32) -> Result<()> {
        if key >= self.most_keys {
            let message = format!("a detector has more than {} keys", self.most_keys);
            return Err(Error::new(&codes::STATE_LIMIT, message));
        }
        let count = key as usize + 1;
        if count > self.keys.len() {
            self.clocks.resize(count, Clock::FRESH);
            self.keys.resize_with(count, || self.model.fresh());
        }
        Ok(())
    }
}

impl<M: Model> Detector for PerKey<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn inputs(&self) -> usize {
        self.model.inputs()
    }

    fn observe(&mut self, rows: &Rows<'_>, out: &mut Verdicts) -> Result<()> {
        rows.check(self.model.inputs())?;
        out.begin(rows.len());
        let Some(highest) = rows.keys.iter().max() else { return Ok(()) };
        self.reach(*highest)?;
        let mut gathered = [0.0; MAX_INPUTS];
        for (row, (&key, &at)) in rows.keys.iter().zip(rows.at).enumerate() {
            let mut finite = true;
            for (slot, column) in gathered.iter_mut().zip(rows.inputs) {
                *slot = column.get(row).copied().unwrap_or(f64::NAN);
                finite &= slot.is_finite();
            }
            let known = self.keys.get_mut(key as usize).zip(self.clocks.get_mut(key as usize));
            let verdict = match known {
                Some((state, clock)) if finite => {
                    let (at, since, late) = clock.take(at);
                    let all = gathered.get(..rows.inputs.len()).unwrap_or(&[]);
                    self.model.step(state, Row { at, since, x: gathered[0], all, late })
                }
                _ => Verdict::SILENT,
            };
            out.push(verdict);
        }
        Ok(())
    }

    fn save(&mut self, key: u32, out: &mut Vec<u8>) {
        let index = key as usize;
        let mut clock = self.clocks.get(index).copied().unwrap_or(Clock::FRESH);
        let (mut fresh, mut version) = (None, M::VERSION);
        let state = match self.keys.get_mut(index) {
            Some(state) => state,
            None => fresh.insert(self.model.fresh()),
        };
        let mut tape = Tape::Save(out);
        // Saving cannot fail.
        let _ = tape
            .u32(&mut version)
            .and_then(|()| tape.i64(&mut clock.newest))
            .and_then(|()| tape.u32(&mut clock.late_rows))
            .and_then(|()| self.model.tape(state, &mut tape));
    }

    fn load(&mut self, key: u32, bytes: &[u8]) -> Result<()> {
        let (mut clock, mut state, mut version) = (Clock::FRESH, self.model.fresh(), 0);
        let mut tape = Tape::Load(bytes);
        tape.u32(&mut version)?;
        if version != M::VERSION {
            let message = format!("the state of the detector `{}` is of another version", M::NAME);
            return Err(Error::new(&codes::CHECKPOINT_VERSION, message));
        }
        tape.i64(&mut clock.newest)?;
        tape.u32(&mut clock.late_rows)?;
        self.model.tape(&mut state, &mut tape)?;
        tape.end()?;
        let index = key as usize;
        if index == self.keys.len() && key < self.most_keys {
            // Keys mostly come in order: none is made only to be replaced.
            self.clocks.push(clock);
            self.keys.push(state);
            return Ok(());
        }
        self.reach(key)?;
        if let Some((to_clock, to_state)) = self.clocks.get_mut(index).zip(self.keys.get_mut(index)) {
            (*to_clock, *to_state) = (clock, state);
        }
        Ok(())
    }

    fn forget(&mut self, key: u32) {
        let index = key as usize;
        if let Some((clock, state)) = self.clocks.get_mut(index).zip(self.keys.get_mut(index)) {
            (*clock, *state) = (Clock::FRESH, self.model.fresh());
        }
    }

    fn keys(&self) -> u32 {
        u32::try_from(self.keys.len()).unwrap_or(u32::MAX)
    }

    fn bytes_per_key(&self) -> usize {
        size_of::<Clock>() + size_of::<M::Key>() + self.model.heap_per_key()
    }
}
