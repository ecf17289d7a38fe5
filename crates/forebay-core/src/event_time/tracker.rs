//! The watermark of a query, from what its inputs have shown.

use super::{Observed, Times, Watermark, WatermarkPolicy};

/// How an input's event time becomes its watermark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// How late rows may be.
    pub delay_ms: i64,
    /// After how long without a row the input is idle; `None`: never.
    pub idle_ms: Option<i64>,
}

/// Follows the watermark of one query from epoch to epoch.
///
/// ```text
/// plan N:    evict = next(now, …)     times = times().then(evict)      durable with the plan
/// commit N:  observe(what N saw)      observed(), quiet_since()        durable with the commit
/// ```
#[derive(Clone, Debug)]
pub struct Tracker {
    policy: WatermarkPolicy,
    inputs: Vec<Input>,
    /// Of the newest epoch that was planned.
    times: Times,
}

#[derive(Clone, Copy, Debug)]
struct Input {
    /// `None`: it has no watermark, and counts for nothing.
    rule: Option<Rule>,
    highest_ms: Option<i64>,
    /// When the newest epoch was planned that saw an event time of it, or the query's first epoch.
    quiet_since_ms: Option<i64>,
}

impl Tracker {
    /// A new query over inputs of these rules.
    pub fn new(rules: impl IntoIterator<Item = Option<Rule>>, policy: WatermarkPolicy) -> Self {
        let input = |rule| Input { rule, highest_ms: None, quiet_since_ms: None };
        Self { policy, inputs: rules.into_iter().map(input).collect(), times: Times::default() }
    }

    /// Goes on after a restart: with the times of the newest plan, and what the newest commit holds.
    ///
    /// Spark forgets how far each input had come and keeps only the watermark; so after a restart its minimum waits for
    /// all inputs again.
    pub fn restore(&mut self, times: Times, observed: &Observed, quiet_since_ms: &[i64]) {
        self.times = times;
        for (input, highest) in self.inputs.iter_mut().zip(&observed.0) {
            input.highest_ms = *highest;
        }
        for (input, since) in self.inputs.iter_mut().zip(quiet_since_ms) {
            input.quiet_since_ms = Some(*since);
        }
    }

    /// The times of the newest epoch that was planned.
    pub fn times(&self) -> Times {
        self.times
    }

    /// Takes what a committed epoch of these times saw.
    pub fn observe(&mut self, times: Times, observed: &Observed, planned_at_ms: i64) {
        self.times = times;
        for (at, input) in self.inputs.iter_mut().enumerate() {
            let highest = observed.0.get(at).copied().flatten();
            input.highest_ms = input.highest_ms.max(highest);
            if highest.is_some() || input.quiet_since_ms.is_none() {
                input.quiet_since_ms = Some(planned_at_ms);
            }
        }
    }

    /// How far each input has come, for the commit.
    pub fn observed(&self) -> Observed {
        Observed(self.inputs.iter().map(|input| input.highest_ms).collect())
    }

    /// Since when each input is quiet, for the commit; empty if no input is ever idle.
    pub fn quiet_since_ms(&self) -> Vec<i64> {
        if self.inputs.iter().all(|input| input.rule.and_then(|rule| rule.idle_ms).is_none()) {
            return Vec::new();
        }
        self.inputs.iter().map_while(|input| input.quiet_since_ms).collect()
    }

    /// The watermark of an epoch that is planned now.
    ///
    /// `reads` says of which inputs the epoch has records to read: such an input is not idle, however long ago it was
    /// heard (the pipeline may have been down). `held_ms` is when the last of what the operators hold will be done,
    /// rounded up; `None` if they hold nothing.
    ///
    /// Inputs that are idle are left out of the minimum. If all are, event time is taken to go on with the clock: to the
    /// present less the delay. But no further than what is held needs: a source of old records that pauses has its
    /// windows closed, and its next records are not late for newer ones.
    pub fn next(&self, planned_at_ms: i64, reads: &[bool], held_ms: Option<i64>) -> Watermark {
        let with_rule = || {
            let inputs = self.inputs.iter().enumerate();
            inputs.filter_map(|(at, input)| Some((at, input, input.rule?)))
        };
        let reads = |at: usize| reads.get(at).copied().unwrap_or(false);
        let awake = with_rule().filter(|(at, input, _)| reads(*at) || !input.is_idle(planned_at_ms));
        let mut chosen = self.choose(awake.map(|(_, input, rule)| input.watermark_ms(rule)));
        if chosen.is_none() {
            let present = with_rule().map(|(_, _, rule)| planned_at_ms.saturating_sub(rule.delay_ms));
            let needed = self.choose(present).zip(held_ms).map(|(present, held)| present.min(held));
            let seen = self.choose(with_rule().map(|(_, input, rule)| input.watermark_ms(rule)));
            chosen = seen.max(needed);
        }
        self.times.evict.max(Watermark(chosen.unwrap_or(0)))
    }

    /// When, from `now_ms` on, the watermark reaches `due` if no more records come; `None`: never.
    pub fn reaches_at(&self, due: Watermark, now_ms: i64) -> Option<i64> {
        let of_input = |input: &Input| {
            let rule = input.rule?;
            let idle_at =
                rule.idle_ms.zip(input.quiet_since_ms).map(|(idle, since)| since.saturating_add(idle));
            Some([idle_at, Some(due.0.saturating_add(rule.delay_ms))])
        };
        let turns = self.inputs.iter().filter_map(of_input).flatten().flatten();
        let later = turns.filter(|at| *at > now_ms).chain([now_ms]);
        later.filter(|at| self.next(*at, &[], Some(due.0)) >= due).min()
    }

    /// The inputs that are idle at this time, if no records of them wait.
    pub fn idle(&self, now_ms: i64) -> Vec<usize> {
        let inputs = self.inputs.iter().enumerate();
        inputs.filter(|(_, input)| input.is_idle(now_ms)).map(|(at, _)| at).collect()
    }

    fn choose(&self, watermarks: impl Iterator<Item = i64>) -> Option<i64> {
        match self.policy {
            WatermarkPolicy::Min => watermarks.min(),
            WatermarkPolicy::Max => watermarks.max(),
        }
    }
}

impl Input {
    fn is_idle(&self, now_ms: i64) -> bool {
        let idle_ms = self.rule.and_then(|rule| rule.idle_ms);
        idle_ms.zip(self.quiet_since_ms).is_some_and(|(idle, since)| now_ms.saturating_sub(since) >= idle)
    }

    /// One that has shown nothing counts as 0, as in Spark; one that lies before 1970 cannot move what begins at 0.
    fn watermark_ms(&self, rule: Rule) -> i64 {
        self.highest_ms.map_or(0, |highest| highest.saturating_sub(rule.delay_ms))
    }
}
