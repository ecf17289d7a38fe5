//! A key, or a field of it, of which nothing came for longer than it may: the pure machine of `noData`.
//!
//! ```text
//!          no record for longer than `after`: opened at seen + after
//!   seen ─────────────────────────────────────────────────────────────▶ silent
//!    ▲ a newer record                                     a newer record │
//!    └───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! What must stay true: whether an epoch's time or the next record tells of the silence, the same opens and clears; a record that is no
//! newer than the newest one says nothing. One that comes late, from within a silence that was told, ends it, and the
//! silence after it is a new one.

/// How one of them stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Silence {
    /// The time of the newest record, or since when it is watched.
    pub seen: Option<i64>,
    /// When the silence opened that is told.
    pub open: Option<i64>,
}

/// What a record ends: when the silence opened, if it was not told before, and when it cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub opened: Option<i64>,
    pub cleared: i64,
}

impl Silence {
    /// Takes a record of this time; `has` says whether it has what is watched. `is_whole`: records lay between it and
    /// the one before, without a gap.
    pub fn take(&mut self, after_ms: i64, at: i64, has: bool, is_whole: bool) -> Option<Ended> {
        let Some(seen) = self.seen else {
            self.seen = Some(at);
            return None;
        };
        if !has || at <= seen {
            return None;
        }
        self.seen = Some(at);
        if let Some(open) = self.open.take() {
            return Some(Ended { opened: None, cleared: at.max(open) });
        }
        let is_gap = at.saturating_sub(seen) > after_ms && !is_whole;
        is_gap.then(|| Ended { opened: Some(seen.saturating_add(after_ms)), cleared: at })
    }

    /// The epoch's time is this: when the silence opened, if one does.
    pub fn tick(&mut self, after_ms: i64, now: i64) -> Option<i64> {
        let seen = self.seen.filter(|seen| self.open.is_none() && now.saturating_sub(*seen) > after_ms)?;
        self.open = Some(seen.saturating_add(after_ms));
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_the_same_whether_time_or_a_record_tells_of_it() {
        let mut told = Silence::default();
        assert_eq!(told.take(300, 1_000, true, false), None);
        assert_eq!(
            (told.tick(300, 1_300), told.tick(300, 1_301), told.tick(300, 9_000)),
            (None, Some(1_300), None)
        );
        assert_eq!(told.take(300, 2_000, true, false), Some(Ended { opened: None, cleared: 2_000 }));
        let mut found = Silence { seen: Some(1_000), open: None };
        assert_eq!(found.take(300, 1_300, true, false), None, "just in time");
        assert_eq!(found.take(300, 1_601, true, false), Some(Ended { opened: Some(1_600), cleared: 1_601 }));
    }

    #[test]
    fn a_late_record_ends_a_silence_that_was_told_and_never_before_it_opened() {
        let mut silence = Silence { seen: Some(0), open: Some(300) };
        assert_eq!(silence.take(300, 0, true, false), None, "no newer than the newest");
        assert_eq!(silence.take(300, 200, true, false), Some(Ended { opened: None, cleared: 300 }));
        assert_eq!(silence.tick(300, 501), Some(500));
    }

    #[test]
    fn a_field_is_watched_from_the_first_record_of_its_key() {
        let mut silence = Silence::default();
        assert_eq!(silence.take(300, 100, false, false), None);
        assert_eq!(silence.take(300, 350, false, false), None);
        assert_eq!(silence.tick(300, 401), Some(400));
    }
}
