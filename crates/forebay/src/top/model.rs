//! What is known of a server, and what the person looks at. Messages and keys change it, nothing else does.

use std::collections::VecDeque;

use forebay_core::Error;

use super::asked::View;
use super::keys::Key;
use super::listed::{CLEARED, OPEN};
use super::stream::Message;
use super::words::{Alert, Device, Hello, Schema, Slice, Source, Tick, Values};

/// Alerts that are remembered: as many as are asked for.
const MOST_ALERTS: usize = OPEN + CLEARED;
/// Devices are asked for in pages that overlap, so that scrolling seldom needs another one.
const PAGE: usize = 50;
/// Most devices of a view.
pub const MOST_DEVICES: usize = 200;
/// Longest text to search for.
const LONGEST_SEARCH: usize = 100;

/// How the connection stands.
#[derive(Clone, Debug)]
pub enum Link {
    /// No word yet, since this time.
    Asking(i64),
    /// What is shown is what is.
    Live,
    /// It broke, or cannot be made, since this time.
    Lost {
        /// Since when.
        since: i64,
        /// Why.
        why: Error,
    },
}

/// A part of the screen that can be scrolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Section {
    Queries,
    Alerts,
    Devices,
}

impl Section {
    /// From the top of the screen to its foot.
    pub const ALL: [Self; 3] = [Self::Queries, Self::Alerts, Self::Devices];
}

/// What a key asks of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Wish {
    Nothing,
    End,
}

/// All of it.
#[derive(Debug)]
pub struct Model {
    /// The server's address.
    pub server: String,
    /// How the connection stands.
    pub link: Link,
    /// The first event of the newest connection.
    pub hello: Hello,
    /// Sources and fields.
    pub schema: Schema,
    /// How everything stood last; none before the first word.
    pub tick: Option<Tick>,
    /// Devices as they were sent, from [`Slice::offset`] on.
    pub slice: Slice,
    /// Alerts, newest first; those that are open are all there, unless there are more than [`OPEN`].
    pub alerts: VecDeque<Alert>,
    /// The part that keys scroll.
    pub focus: Section,
    /// What is typed behind `/`, while it is.
    pub typing: Option<String>,
    /// What the devices are searched for.
    pub search: String,
    /// The source whose devices are looked at, by its place in the schema.
    chosen: usize,
    /// The first row that is seen, by section.
    scroll: [usize; 3],
    /// Rows that are seen at once, by section; the drawing says so.
    room: [usize; 3],
}

impl Model {
    /// Nothing is known yet.
    pub fn new(server: &str, now: i64) -> Self {
        Self {
            server: server.to_owned(),
            link: Link::Asking(now),
            hello: Hello::default(),
            schema: Schema::default(),
            tick: None,
            slice: Slice::default(),
            alerts: VecDeque::new(),
            focus: Section::Devices,
            typing: None,
            search: String::new(),
            chosen: 0,
            scroll: [0; 3],
            room: [PAGE; 3],
        }
    }

    /// Takes in what became known at `now`.
    pub fn apply(&mut self, message: Message, now: i64) {
        match message {
            Message::Schema(schema) => {
                if schema != self.schema {
                    (self.chosen, self.slice) = (0, Slice::default());
                }
                self.schema = schema;
            }
            Message::Alerts(alerts) => self.alerts = alerts.into(),
            Message::Hello(hello) => self.hello = hello,
            Message::Tick(tick) => {
                self.link = Link::Live;
                self.tick = Some(*tick);
            }
            Message::Devices(slice) => self.slice = slice,
            Message::Values(values) => self.change(values),
            Message::Alert(alert) => self.told(alert),
            Message::Lost(why) => {
                let since = match &self.link {
                    Link::Asking(since) | Link::Lost { since, .. } => *since,
                    Link::Live => now,
                };
                self.link = Link::Lost { since, why };
            }
        }
    }

    fn change(&mut self, mut values: Values) {
        for (index, last_seen, rate, values) in std::mem::take(&mut *values.rows) {
            let Some(Device { last_seen: seen, rate: pace, state, values: known, .. }) =
                self.slice.rows.get_mut(index)
            else {
                continue;
            };
            if last_seen > *seen {
                *seen = last_seen;
                "live".clone_into(state);
            }
            *pace = rate;
            known.merge(values);
        }
    }

    /// What opened is news only once, and never after it cleared: lists may be ahead of events.
    fn told(&mut self, alert: Alert) {
        if alert.is_open() && self.alerts.iter().any(|known| known.id == alert.id) {
            return;
        }
        self.alerts.retain(|known| known.id != alert.id);
        let place = self.alerts.iter().position(|known| known.opened_at <= alert.opened_at);
        self.alerts.insert(place.unwrap_or(self.alerts.len()), alert);
        while self.alerts.len() > MOST_ALERTS {
            let oldest = self.alerts.iter().rposition(|alert| !alert.is_open()).unwrap_or(MOST_ALERTS);
            self.alerts.remove(oldest);
        }
    }

    /// How many alerts are open, listed or not.
    pub fn open(&self) -> u64 {
        let listed = self.alerts.iter().filter(|alert| alert.is_open()).count() as u64;
        self.tick.as_ref().map_or(0, |tick| tick.alerts.open).max(listed)
    }

    /// Of what the server sent more than is kept; of nothing, if it is ours.
    pub fn left_out(&self) -> Vec<&'static str> {
        let (schema, rows) = (&self.schema, &self.slice.rows);
        let tick = self.tick.as_ref();
        let found = [
            ("sources", schema.sources.is_part() || tick.is_some_and(|tick| tick.followers.is_part())),
            ("fields", schema.sources.iter().any(|source| source.fields.is_part())),
            ("panels", schema.panels.is_part()),
            ("queries", schema.queries.is_part() || tick.is_some_and(|tick| tick.queries.is_part())),
            ("problems", tick.is_some_and(|tick| tick.problems.is_part())),
            ("devices", rows.is_part()),
            ("values", rows.iter().any(|device| device.values.is_part())),
        ];
        found.into_iter().filter(|(_, is_part)| *is_part).map(|(what, _)| what).collect()
    }

    /// The source whose devices are looked at.
    pub fn source(&self) -> Option<&Source> {
        self.schema.sources.get(self.chosen)
    }

    /// Open alerts, newest first, then those that cleared.
    pub fn feed(&self) -> impl Iterator<Item = &Alert> {
        let open = self.alerts.iter().filter(|alert| alert.is_open());
        open.chain(self.alerts.iter().filter(|alert| !alert.is_open()))
    }

    /// How many rows a section has.
    pub fn rows(&self, section: Section) -> usize {
        match section {
            Section::Queries => self.tick.as_ref().map_or(0, |tick| tick.queries.len()),
            Section::Alerts => self.alerts.len(),
            Section::Devices => self.slice.total,
        }
    }

    /// The first row of a section that is seen.
    pub fn top(&self, section: Section) -> usize {
        let last = self.rows(section).saturating_sub(self.room[section as usize]);
        self.scroll[section as usize].min(last)
    }

    /// Says how many rows of each section are seen at once; true if they are others than before.
    pub fn give_room(&mut self, room: [usize; 3]) -> bool {
        std::mem::replace(&mut self.room, room) != room
    }

    /// Which devices are to be asked for, so that those in sight are there.
    pub fn view(&self) -> View {
        let (top, room) = (self.top(Section::Devices), self.room[Section::Devices as usize]);
        // The first source needs no name, so that learning it asks for nothing anew.
        let chosen = self.source().filter(|_| self.chosen > 0);
        View {
            source: chosen.map(|source| source.name.clone()),
            search: self.search.clone(),
            offset: top.saturating_sub(PAGE / 2) / PAGE * PAGE,
            limit: (room.div_ceil(PAGE) * PAGE + 2 * PAGE).min(MOST_DEVICES),
        }
    }

    /// What a key does.
    pub fn press(&mut self, key: Key) -> Wish {
        if key == Key::Break {
            return Wish::End;
        }
        match (self.typing.take(), key) {
            (None, key) => return self.command(key),
            (Some(text), Key::Enter) => {
                self.search = text;
                self.scroll[Section::Devices as usize] = 0;
            }
            (Some(_), Key::Escape) => {}
            (Some(mut text), Key::Backspace) => {
                text.pop();
                self.typing = Some(text);
            }
            (Some(mut text), Key::Char(c)) => {
                if text.chars().count() < LONGEST_SEARCH {
                    text.push(c);
                }
                self.typing = Some(text);
            }
            (typed, _) => self.typing = typed,
        }
        Wish::Nothing
    }

    fn command(&mut self, key: Key) -> Wish {
        let page = self.room[self.focus as usize].max(1);
        match key {
            Key::Char('q') => return Wish::End,
            Key::Up | Key::Char('k') => self.go(|top| top.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.go(|top| top + 1),
            Key::PageUp => self.go(|top| top.saturating_sub(page)),
            Key::PageDown | Key::Char(' ') => self.go(|top| top + page),
            Key::Home | Key::Char('g') => self.go(|_| 0),
            Key::End | Key::Char('G') => self.go(|_| usize::MAX),
            Key::Tab => self.focus = self.beside(1),
            Key::BackTab => self.focus = self.beside(Section::ALL.len() - 1),
            Key::Char('/') => (self.typing, self.focus) = (Some(String::new()), Section::Devices),
            Key::Char('s') if self.schema.sources.len() > 1 => {
                self.chosen = (self.chosen + 1) % self.schema.sources.len();
                self.scroll[Section::Devices as usize] = 0;
                self.slice = Slice::default();
            }
            Key::Escape => {
                self.search.clear();
                self.scroll[Section::Devices as usize] = 0;
            }
            _ => {}
        }
        Wish::Nothing
    }

    fn beside(&self, steps: usize) -> Section {
        Section::ALL[(self.focus as usize + steps) % Section::ALL.len()]
    }

    fn go(&mut self, to: impl Fn(usize) -> usize) {
        self.scroll[self.focus as usize] = to(self.top(self.focus));
        // Never beyond the end: the next key up must be seen at once.
        self.scroll[self.focus as usize] = self.top(self.focus);
    }
}

#[cfg(test)]
mod tests;
