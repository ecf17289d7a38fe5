//! Times at which nobody is told of alerts: the pure part of `silences:`.
//!
//! Two kinds: from one moment to another, and every week on some days between two times of the day, as the clocks of a
//! zone show them. A window that ends before it begins goes on past midnight and belongs to the day on which it began; one
//! that ends when it begins lasts until the same time of the next day. What must stay true: the clock on the wall decides. In
//! the night in which it goes back, an hour that it shows twice is silent twice; where it goes forward, an hour that it leaves
//! out is no time at all.

use crate::Zone;
use crate::config::Severity;

/// Minutes of a day.
pub const DAY_MINUTES: u32 = 24 * 60;

/// `silences: NAME: …`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceConfig {
    /// Its name.
    pub name: String,
    /// The alerts' rules; none: all of them.
    pub rules: Vec<String>,
    /// Patterns of keys, in which `*` stands for any text; none: all keys, also NULL.
    pub keys: Vec<String>,
    /// Severities; none: all.
    pub severities: Vec<Severity>,
    /// When.
    pub time: SilenceTime,
}

/// When a silence holds. Ends do not belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SilenceTime {
    /// Once.
    Once {
        /// Milliseconds since 1970.
        from_ms: i64,
        /// Milliseconds since 1970.
        until_ms: i64,
    },
    /// Every week.
    Weekly(Weekly),
}

/// Every week on some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// On which days it begins, Monday first.
    pub days: [bool; 7],
    /// When it begins: minutes of the day, less than [`DAY_MINUTES`].
    pub from: u32,
    /// When it ends: minutes of that day or, where it is not later than `from`, of the next; at most [`DAY_MINUTES`].
    pub until: u32,
    /// Whose clocks.
    pub zone: Zone,
}

impl SilenceConfig {
    /// True if a transition of such an alert at this time (milliseconds since 1970) is not told.
    pub fn holds(&self, rule: &str, key: Option<&str>, severity: Severity, at_ms: i64) -> bool {
        let of_key = || key.is_some_and(|key| self.keys.iter().any(|pattern| is_like(pattern, key)));
        (self.rules.is_empty() || self.rules.iter().any(|name| name.eq_ignore_ascii_case(rule)))
            && (self.severities.is_empty() || self.severities.contains(&severity))
            && (self.keys.is_empty() || of_key())
            && self.time.holds(at_ms)
    }
}

impl SilenceTime {
    /// True if this time (milliseconds since 1970) is within.
    pub fn holds(&self, at_ms: i64) -> bool {
        match self {
            Self::Once { from_ms, until_ms } => (*from_ms..*until_ms).contains(&at_ms),
            Self::Weekly(weekly) => weekly.holds(at_ms),
        }
    }
}

impl Weekly {
    fn holds(&self, at_ms: i64) -> bool {
        let at = at_ms.div_euclid(1000);
        let local = at.saturating_add(self.zone.offset_at(at));
        let minute = local.rem_euclid(86_400) / 60;
        // 1970-01-01 was a Thursday.
        let day = local.div_euclid(86_400).saturating_add(3).rem_euclid(7);
        let begins_on =
            |day: i64| usize::try_from(day).ok().and_then(|day| self.days.get(day)) == Some(&true);
        let (from, until) = (i64::from(self.from), i64::from(self.until));
        if from < until {
            return begins_on(day) && (from..until).contains(&minute);
        }
        (begins_on(day) && minute >= from) || (begins_on((day + 6) % 7) && minute < until)
    }
}

/// True if a text is like a pattern, in which `*` stands for any text.
pub fn is_like(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return text.ends_with(piece);
        }
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::moment_us;

    fn weekly(days: &[usize], from: u32, until: u32) -> SilenceTime {
        let mut all = [false; 7];
        days.iter().for_each(|day| all[*day] = true);
        let zone = Zone::read("Europe/Berlin").unwrap();
        SilenceTime::Weekly(Weekly { days: all, from, until, zone })
    }

    fn holds(time: &SilenceTime, at: &str) -> bool {
        time.holds(moment_us(at, 0).unwrap() / 1_000)
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        // From Friday 22:00 until Saturday 06:00, in summer.
        let night = weekly(&[4], 22 * 60, 6 * 60);
        for (at, expected) in [
            ("2026-07-03T21:59:59.999+02:00", false),
            ("2026-07-03T22:00:00+02:00", true),
            ("2026-07-04T05:59:59.999+02:00", true),
            ("2026-07-04T06:00:00+02:00", false),
            ("2026-07-03T05:00:00+02:00", false),
            ("2026-07-04T22:00:00+02:00", false),
        ] {
            assert_eq!(holds(&night, at), expected, "{at}");
        }
        let sunday = weekly(&[6], 0, DAY_MINUTES);
        assert!(holds(&sunday, "2026-07-04T22:00:00Z") && holds(&sunday, "2026-07-05T21:59:59Z"));
        assert!(!holds(&sunday, "2026-07-04T21:59:59Z") && !holds(&sunday, "2026-07-05T22:00:00Z"));
        let round = weekly(&[0], 480, 480);
        assert!(holds(&round, "2026-07-06T06:00:00Z") && holds(&round, "2026-07-07T05:59:59Z"));
        assert!(!holds(&round, "2026-07-07T06:00:00Z"), "until the same time of the next day");
    }

    #[test]
    fn where_clocks_change_the_wall_decides() {
        let early = weekly(&[6], 120, 180);
        // 2026-10-25: 02:00 to 03:00 comes twice.
        for (at, expected) in
            [("23:59:59", false), ("00:00:00", true), ("01:59:59", true), ("02:00:00", false)]
        {
            let day = if at.starts_with("23") { 24 } else { 25 };
            assert_eq!(holds(&early, &format!("2026-10-{day}T{at}Z")), expected, "{at}");
        }
        // 2026-03-29: it is left out.
        for at in ["00:59:59", "01:00:00", "01:30:00"] {
            assert!(!holds(&early, &format!("2026-03-29T{at}Z")), "{at}");
        }
    }

    #[test]
    fn a_silence_is_for_those_that_it_names() {
        let all = SilenceConfig {
            name: "s".into(),
            rules: Vec::new(),
            keys: Vec::new(),
            severities: Vec::new(),
            time: SilenceTime::Once { from_ms: 10, until_ms: 20 },
        };
        let is = |silence: &SilenceConfig, key, at| silence.holds("hot", key, Severity::Warning, at);
        let at: Vec<_> = [9, 10, 19, 20].into_iter().map(|at| is(&all, None, at)).collect();
        assert_eq!(at, [false, true, true, false]);
        let some = SilenceConfig { keys: vec!["press-*".into(), "*7*b".into()], ..all.clone() };
        let keys =
            [Some("press-1"), Some("press-"), Some("a7xb"), Some("7"), Some("xpress-1"), Some(""), None];
        let found: Vec<_> = keys.into_iter().map(|key| is(&some, key, 15)).collect();
        assert_eq!(found, [true, true, true, false, false, false, false]);
        assert!(is_like("*", "") && is_like("a*", "a") && !is_like("a*a", "a") && is_like("a**b", "ab"));
        let critical = SilenceConfig { severities: vec![Severity::Critical], ..all.clone() };
        assert!(!is(&critical, None, 15));
        let other = SilenceConfig { rules: vec!["dry".into(), "HOT".into()], ..all };
        assert!(is(&other, None, 15) && !other.holds("wet", None, Severity::Info, 15));
    }
}
