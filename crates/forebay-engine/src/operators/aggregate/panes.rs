//! Panes: the pieces of which sliding windows are made, so that a row is aggregated once and not once for each window.
//!
//! ```text
//! slide    |-------|-------|-------|-------|
//! windows  [-----------------)                   two whole slides and a rest
//!                  [-----------------)
//! panes    |-|-----|-|-----|-|-----|-|-----|     head (as long as the rest) and body of each slide
//! ```
//!
//! A window is so many whole slides and then the head of the next; where the slide divides the size there are no heads
//! and a pane is a slide. So a slide has two panes at most, however odd the size is.

use forebay_core::window::Sliding;

/// How the windows of a query are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panes {
    pub sliding: Sliding,
    /// Slides that a window holds as a whole, at least one.
    pub whole: i64,
    /// How far it reaches into the next.
    rest_us: i64,
}

impl Panes {
    pub fn new(sliding: Sliding) -> Self {
        let (whole, rest_us) = (sliding.size_us / sliding.slide_us, sliding.size_us % sliding.slide_us);
        Self { sliding, whole, rest_us }
    }

    /// True if each window ends with a head.
    pub fn has_heads(&self) -> bool {
        self.rest_us > 0
    }

    /// The pane of a time: its start, and how long it is; 0 if that is not known, at the end of what 64 bits hold.
    #[inline]
    pub fn at(&self, ts_us: i64) -> (i64, u64) {
        let slide = self.sliding.last_start(ts_us);
        let width = |width: i64| if slide == i64::MIN { 0 } else { width.unsigned_abs() };
        if !self.has_heads() {
            return (slide, width(self.sliding.slide_us));
        }
        if ts_us.checked_sub(slide).is_some_and(|into| into < self.rest_us) {
            (slide, width(self.rest_us))
        } else {
            (self.body(slide), width(self.sliding.slide_us - self.rest_us))
        }
    }

    /// The start of the slide that the pane belongs to.
    pub fn slide(&self, pane: i64) -> i64 {
        self.sliding.last_start(pane)
    }

    /// The pane of a slide behind its head; the only one if there are no heads.
    pub fn body(&self, slide: i64) -> i64 {
        slide.saturating_add(self.rest_us)
    }

    /// True if the pane is a head: a part of one window more than the body is.
    pub fn is_head(&self, pane: i64) -> bool {
        self.has_heads() && self.slide(pane) == pane
    }

    /// The end of the last window that holds the pane.
    #[inline]
    pub fn last_end(&self, pane: i64) -> i64 {
        self.sliding.end(self.slide(pane))
    }

    /// The starts of the first and the last window that hold the pane.
    pub fn windows(&self, pane: i64) -> (i64, i64) {
        let last = self.slide(pane);
        let before = if self.is_head(pane) { self.whole } else { self.whole - 1 };
        (last.saturating_sub(self.sliding.slide_us.saturating_mul(before)), last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sliding(size: i64, slide: i64, start: i64) -> Sliding {
        Sliding::new(size, slide, start).unwrap()
    }

    #[test]
    fn a_window_that_its_slide_does_not_divide_has_two_panes_a_slide() {
        let panes = Panes::new(sliding(10, 4, 0));
        let starts: Vec<_> = (0..9).map(|ts| panes.at(ts).0).collect();
        assert_eq!(starts, [0, 0, 2, 2, 4, 4, 6, 6, 8]);
        assert_eq!(panes.windows(4), (-4, 4), "the head of a slide is a part of three windows");
        assert_eq!(panes.windows(6), (0, 4), "its body of two");
        assert_eq!(panes.last_end(6), 14);
    }

    proptest! {
        #[test]
        fn a_time_and_its_pane_belong_to_the_same_windows(
            ts in prop_oneof![-200_i64..200, Just(i64::MIN), Just(i64::MAX)],
            slide in 1_i64..20, more in 0_i64..40, start in -19_i64..20,
        ) {
            let sliding = sliding(slide + more, slide, start % slide);
            let panes = Panes::new(sliding);
            let (pane, width) = panes.at(ts);
            prop_assert!(pane <= ts);
            prop_assert!(width == 0 || ts.abs_diff(pane) < width);
            if ts.unsigned_abs() < 1_000 {
                let (first, last) = panes.windows(pane);
                let windows: Vec<i64> = sliding.starts(ts).collect();
                prop_assert_eq!(windows.first(), Some(&last));
                prop_assert_eq!(windows.last(), Some(&first));
                prop_assert_eq!(panes.last_end(pane), sliding.end(last));
            }
        }
    }
}
