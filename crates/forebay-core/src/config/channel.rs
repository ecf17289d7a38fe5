//! `channels: NAME:` who is told of alerts, of which, and how soon.

use std::time::Duration;

use super::alert::{duration, known_alerts, severity_of};
use super::parse::{Reading, bad_value};
use super::places::OptionPlaces;
use super::section::Section;
use super::source::{in_options, spec};
use super::yaml::Entry;
use super::{Severity, keys, raw_options, silence};
use crate::options::Options;

/// Up to so many transitions that are due at once are told one by one, if the file does not say: more is a storm.
const MOST_ALONE: usize = 10;

/// `channels: NAME: …`
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// Its name.
    pub name: String,
    /// By what it is told, `webhook`.
    pub format: String,
    /// Its options.
    pub options: Options,
    /// The alerts of which it hears; none: all of them.
    pub rules: Vec<String>,
    /// It hears of alerts that are, or have been, at least so bad.
    pub least: Severity,
    /// How long transitions wait for others.
    pub wait: Duration,
    /// Up to so many that are due at once are told one by one; more are told as one.
    pub most: usize,
    /// Where its options stand in the file.
    pub option_places: OptionPlaces,
    /// Where its name stands in the file.
    pub place: (usize, usize),
}

pub(super) fn read(entry: &Entry, what: &str, reading: &mut Reading<'_>) -> Option<ChannelConfig> {
    let section = Section::open(&entry.value, what, entry.key_span, &mut reading.problems)?;
    let connector = spec(&section, "format", "channel", reading.registry.channels, reading);
    section.check(what, &keys::CHANNEL, &mut reading.problems, |key| in_options(key, &[connector]));
    let (option_places, options) = raw_options::of_one(&section, entry.key_span, what, connector, reading);
    let rules = silence::list(&section, "rules", reading);
    known_alerts(&rules, reading);
    let least = severity_of(&section, reading).unwrap_or(Severity::Info);
    let wait = duration(&section, "wait", reading).unwrap_or_default();
    let most = section.text("most", &mut reading.problems).and_then(|text| {
        let most = text.text.trim().parse().ok().filter(|most| (1..=20).contains(most));
        if most.is_none() {
            reading.problems.report(text.span, bad_value("most", text.text, "a whole number from 1 to 20"));
        }
        most
    });
    Some(ChannelConfig {
        name: entry.key.clone(),
        format: connector.map(|connector| connector.name.to_owned()).unwrap_or_default(),
        options: options.unwrap_or_default(),
        rules: rules.into_iter().map(|text| text.text.to_owned()).collect(),
        least,
        wait,
        most: most.unwrap_or(MOST_ALONE),
        option_places,
        place: reading.problems.place(entry.key_span),
    })
}
