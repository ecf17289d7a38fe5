//! Windows of time: which of them a time belongs to, as Spark aligns them.
//!
//! ```text
//! slide   |-----|-----|-----|-----|        window(ts, 12 min, 5 min): a time belongs to as many windows as
//! windows [-----------)                    begin before it and end after it; the last of them to begin is
//!               [-----------)              the one that everything here starts from.
//!                  ^ a time
//! ```
//!
//! Times are microseconds since 1970 in UTC. A window holds its start and not its end. Windows begin at `start` plus any
//! multiple of the slide, also before 1970; days are 24 hours here, whatever a clock on a wall does.
//! [`calendar`] has the windows that follow a calendar, [`interval`] reads the texts of durations.
//!
//! What must stay true: no time and no window makes an overflow. At the ends of what 64 bits hold, bounds stay at
//! the ends.

use std::iter;

pub mod calendar;
pub mod interval;

pub use calendar::{Calendar, CalendarWindows};
pub use interval::Interval;

use self::interval::words;
use crate::error::{Error, Result, codes};

/// Most windows that one time may belong to. Each is a row of its own in update mode; Spark writes each into its plan,
/// and does not come to an end with so many.
const MOST_OVERLAPPING: i64 = 100_000;

/// The windows of `window(ts, size, slide, start)`; they tumble if the slide is the size.
///
/// Made by its constructors only, so the slide is positive, at most the size, and greater than the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Sliding {
    /// How long a window is.
    pub size_us: i64,
    /// From the start of a window to the start of the next.
    pub slide_us: i64,
    /// By how much all starts are moved from 1970-01-01 00:00 UTC.
    pub start_us: i64,
}

impl Sliding {
    /// Windows that follow each other without gap.
    ///
    /// # Errors
    /// As [`Sliding::new`].
    pub fn tumbling(size_us: i64) -> Result<Self> {
        Self::new(size_us, size_us, 0)
    }

    /// Windows of this size that begin at every slide, moved by `start_us`.
    ///
    /// # Errors
    /// What Spark refuses: a size or slide that is not positive, a slide above the size, a start that is not shorter than
    /// the slide. And a size so many times the slide that no plan could hold the windows of one time.
    pub fn new(size_us: i64, slide_us: i64, start_us: i64) -> Result<Self> {
        let refused =
            |message: String, hint: &str| Err(Error::new(&codes::SQL_PLAN, message).with_hint(hint));
        for (what, value) in [("length", size_us), ("slide", slide_us)] {
            if value <= 0 {
                let message = format!("the {what} of the window is {}", words(value));
                return refused(
                    message,
                    "It must be above zero, as in `window(ts, '10 minutes', '5 minutes')`.",
                );
            }
        }
        if slide_us > size_us {
            let (slide, size) = (words(slide_us), words(size_us));
            let message = format!("the window slides by {slide} and is only {size} long");
            return refused(message, "The slide is at most the length: between windows there are no gaps.");
        }
        if start_us.unsigned_abs() >= slide_us.unsigned_abs() {
            let (start, slide) = (words(start_us), words(slide_us));
            let message = format!("the window's start time is {start}, its slide {slide}");
            return refused(
                message,
                "The start time is shorter than the slide: `window(ts, '1 hour', '1 hour', '15 minutes')`.",
            );
        }
        if size_us / slide_us > MOST_OVERLAPPING {
            let message = format!("each time would belong to {} windows", size_us / slide_us);
            return refused(
                message,
                &format!("{MOST_OVERLAPPING} are possible; give the window a longer slide."),
            );
        }
        Ok(Self { size_us, slide_us, start_us })
    }

    /// The windows that Spark makes of these texts, such as `10 minutes`; without a slide they tumble.
    ///
    /// # Errors
    /// As [`Sliding::new`] and [`Interval::parse`]; months and years, because they have no fixed length.
    pub fn parse(size: &str, slide: Option<&str>, start: Option<&str>) -> Result<Self> {
        let micros = |text: &str| Interval::parse(text)?.fixed_micros(text);
        let size_us = micros(size)?;
        let slide_us = slide.map_or(Ok(size_us), micros)?;
        Self::new(size_us, slide_us, start.map_or(Ok(0), micros)?)
    }

    /// True if windows do not overlap.
    pub fn tumbles(&self) -> bool {
        self.size_us == self.slide_us
    }

    /// The start of the last window to begin at or before this time.
    #[inline]
    pub fn last_start(&self, ts_us: i64) -> i64 {
        let since = match ts_us.checked_sub(self.start_us) {
            Some(distance) => distance.rem_euclid(self.slide_us),
            // The slide is in 64 bits, so what is left of a division by it is too.
            None => {
                (i128::from(ts_us) - i128::from(self.start_us)).rem_euclid(i128::from(self.slide_us)) as i64
            }
        };
        ts_us.saturating_sub(since)
    }

    /// [`Sliding::last_start`] of each time. Times that stand beside each other mostly lie in one window, so most are
    /// compared with the window of the one before and not divided. What stands under a NULL gets some start: the
    /// column's validity is the caller's to keep.
    pub fn last_starts(&self, times_us: &[i64]) -> Vec<i64> {
        // The first compares with no window.
        let (mut start, mut width) = (0_i64, 0_u64);
        let each = times_us.iter().map(|&ts| {
            if ts < start || ts.wrapping_sub(start) as u64 >= width {
                start = self.last_start(ts);
                // A start that lies before what 64 bits hold says nothing of its neighbours.
                width = if start == i64::MIN { 0 } else { self.slide_us.unsigned_abs() };
            }
            start
        });
        each.collect()
    }

    /// The starts of all windows that hold this time, from the last to the first, as Spark numbers them. There may be
    /// none only where windows end beyond what 64 bits hold.
    pub fn starts(&self, ts_us: i64) -> impl Iterator<Item = i64> + use<> {
        let (size, slide) = (i128::from(self.size_us), self.slide_us);
        let holds = move |start: &i64| i128::from(ts_us) - i128::from(*start) < size;
        iter::successors(Some(self.last_start(ts_us)), move |start| start.checked_sub(slide))
            .take_while(holds)
    }

    /// The end of the window that begins here.
    #[inline]
    pub fn end(&self, start_us: i64) -> i64 {
        start_us.saturating_add(self.size_us)
    }

    /// The start of the window that ends here.
    #[inline]
    pub fn start_of(&self, end_us: i64) -> i64 {
        end_us.saturating_sub(self.size_us)
    }

    /// How long the pieces are of which every window is made: no window begins or ends within one.
    pub fn pane_us(&self) -> i64 {
        let (mut a, mut b) = (self.size_us, self.slide_us);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    }

    /// These pieces as windows that tumble. `panes().last_start(ts)` is the pane of a time, and
    /// [`Sliding::starts`] of a pane's start are the windows that it is a part of.
    pub fn panes(&self) -> Self {
        let pane = self.pane_us();
        Self { size_us: pane, slide_us: pane, start_us: self.start_us % pane }
    }
}

/// What `window_time` gives for a window: the last microsecond in it.
pub fn window_time(end_us: i64) -> i64 {
    end_us.saturating_sub(1)
}

#[cfg(test)]
mod tests;
