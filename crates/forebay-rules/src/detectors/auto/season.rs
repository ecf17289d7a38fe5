//! What is usual at this time of the day, or of the week.
//!
//! A profile holds the usual value of each slot and a shift that all of them share at present. A row is compared with the line between the
//! slots around it, so that a steep morning is no surprise, or with its own slot alone, if that has been the better forecast (a
//! job that begins on the hour) or the neighbour is not known. A slot learns
//! the mean of a visit when the visit ends, so a row is always compared with other days.

use forebay_core::Result;

use super::super::bytes::Tape;

/// The newest visit of a slot weighs at least this much.
const NEWEST_VISIT: f32 = 0.15;
/// The weight of a row in the shift and in the spread of its slot.
const SHIFT: f64 = 1.0 / 256.0;
/// And in the comparison of line and slot.
const ERRORS: f64 = 1.0 / 512.0;
const NEWEST_ROW: f32 = 1.0 / 32.0;

/// The state of one profile.
#[derive(Clone, Debug)]
pub(crate) struct Season {
    usual: Vec<f32>,
    spread: Vec<f32>,
    visits: Vec<f32>,
    shift: f64,
    /// How far off the line between slots was on average, and the slot alone.
    errors: [f64; 2],
    /// The visit that goes on.
    slot: usize,
    rows: f64,
    sum: f64,
}

/// Where a time lies in a profile: its slot, the neighbour on its side, and how far it is on the way there, 0 to 0.5.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    slot: usize,
    neighbour: usize,
    way: f64,
}

impl Place {
    /// The place of a time; a slot lasts `slot_us`.
    pub fn of(at: i64, slots: usize, slot_us: i64) -> Self {
        let number = at.div_euclid(slot_us);
        let within = at.rem_euclid(slot_us) as f64 / slot_us as f64 - 0.5;
        let index =
            |number: i64| usize::try_from(number.rem_euclid(i64::try_from(slots).unwrap_or(1))).unwrap_or(0);
        let neighbour = if within < 0.0 { number - 1 } else { number.saturating_add(1) };
        Self { slot: index(number), neighbour: index(neighbour), way: within.abs() }
    }
}

impl Season {
    pub fn fresh(slots: usize) -> Self {
        let zeros = vec![0.0; slots];
        Self {
            usual: zeros.clone(),
            spread: zeros.clone(),
            visits: zeros,
            shift: 0.0,
            errors: [0.0; 2],
            slot: 0,
            rows: 0.0,
            sum: 0.0,
        }
    }

    /// What is usual there and how far rows are from it on average; `None` before the slot was visited `visits` times.
    pub fn usual(&self, place: Place, visits: f32) -> Option<(f64, f64)> {
        let of = |list: &[f32], slot: usize| list.get(slot).copied().unwrap_or(0.0);
        if of(&self.visits, place.slot) < visits {
            return None;
        }
        let [line, step] = self.forecasts(place);
        let usual = if self.errors[0] <= self.errors[1] { line } else { step };
        Some((usual, f64::from(of(&self.spread, place.slot))))
    }

    /// What the line between slots says, and what the slot alone says.
    fn forecasts(&self, place: Place) -> [f64; 2] {
        let of = |list: &[f32], slot: usize| f64::from(list.get(slot).copied().unwrap_or(0.0));
        let step = of(&self.usual, place.slot) + self.shift;
        if of(&self.visits, place.neighbour) == 0.0 {
            return [step; 2];
        }
        [step + (of(&self.usual, place.neighbour) + self.shift - step) * place.way, step]
    }

    /// Learns a row: its value, and its distance from what was usual as far as it is to be believed.
    pub fn learn(&mut self, place: Place, x: f64, rest: Option<f64>) {
        if place.slot != self.slot {
            self.close();
            self.slot = place.slot;
        }
        let believed = match (rest, self.usual(place, 1.0)) {
            (Some(rest), Some((usual, _))) => {
                let forecasts = self.forecasts(place);
                if let Some(spread) = self.spread.get_mut(place.slot) {
                    *spread += (rest.abs() as f32 - *spread) * if *spread == 0.0 { 1.0 } else { NEWEST_ROW };
                }
                for (error, forecast) in self.errors.iter_mut().zip(forecasts) {
                    *error += ERRORS * ((x - forecast).abs() - *error);
                }
                let value = usual + rest - self.shift;
                self.shift += SHIFT * rest;
                value
            }
            _ => x - self.shift,
        };
        self.rows += 1.0;
        self.sum += believed;
    }

    /// All of it is so much higher now.
    pub fn move_by(&mut self, by: f64) {
        self.shift += by;
    }

    fn close(&mut self) {
        let slot = self.slot;
        if let (Some(usual), Some(visits)) = (self.usual.get_mut(slot), self.visits.get_mut(slot))
            && self.rows > 0.0
        {
            let mean = (self.sum / self.rows) as f32;
            *visits = (*visits + 1.0).min(1e6);
            *usual += (mean - *usual) * visits.recip().max(NEWEST_VISIT);
        }
        (self.rows, self.sum) = (0.0, 0.0);
    }

    pub fn finite(&self) -> bool {
        self.shift.is_finite() && self.sum.is_finite()
    }

    pub fn tape(&mut self, tape: &mut Tape<'_>) -> Result<()> {
        tape.sparse(&mut self.usual)?;
        tape.sparse(&mut self.spread)?;
        tape.sparse(&mut self.visits)?;
        tape.f64(&mut self.shift)?;
        tape.f64s(&mut self.errors)?;
        let slots = self.usual.len();
        tape.below(&mut self.slot, slots)?;
        tape.f64(&mut self.rows)?;
        tape.f64(&mut self.sum)
    }
}
