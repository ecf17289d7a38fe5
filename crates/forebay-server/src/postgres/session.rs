//! The state of a session that is no data: settings and the transaction, and the commands that are about them.
//!
//! A transaction is nothing here: every statement sees the tables as they are. What must stay true: a setting that a
//! client makes is what it reads back; one that would change what rows say, and that Forebay does not know how to heed
//! (another zone, another form of dates, another schema to look for tables first), is refused and not swallowed. Of what a
//! driver sends by itself when it starts (its machine's zone) nothing keeps it from coming in.

use std::time::Duration;

use forebay_engine::adhoc::postgres::{Piece, tells_of_tables};

use super::options;
use super::reply::{Column, Replies, Transaction};
use super::settings::{FIXED, SETTINGS};
use super::sqlstate::{
    BAD_VALUE, FAILED_TRANSACTION, NOT_SUPPORTED, READ_ONLY, Refusal, SYNTAX, UNKNOWN_SETTING,
};
use super::types::{PgType, TEXT};

/// Most settings of a client's own.
const MOST_OWN: usize = 100;

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    settings: Vec<(String, String)>,
    pub transaction: Transaction,
}

/// What a command did.
pub(super) enum Done {
    /// Nothing more than this.
    Tag(String),
    /// It answers a row.
    Row { column: String, value: String },
    /// Prepared statements are forgotten: all, or one.
    Deallocate(Option<String>),
    /// All that the session holds is forgotten.
    Discard,
}

impl Session {
    pub fn new(user: &str) -> Self {
        let own = |(name, value, _): &(&str, &str, bool)| {
            let value = if *name == "session_authorization" { user } else { value };
            ((*name).to_owned(), value.to_owned())
        };
        Self { settings: SETTINGS.iter().map(own).collect(), transaction: Transaction::None }
    }

    /// The settings with their values.
    pub fn settings(&self) -> Vec<(String, String)> {
        self.settings.clone()
    }

    /// Tells the client the settings that it should know.
    pub fn tell(&self, out: &mut Replies) {
        for (name, _, _) in SETTINGS.iter().filter(|(_, _, is_told)| *is_told) {
            out.parameter(name, self.get(name).unwrap_or_default());
        }
    }

    /// One that begins with these parameters of a start.
    ///
    /// # Errors
    /// What a person asked for, in `options` or as a `search_path`, and cannot have.
    pub fn started(user: &str, parameters: &[(String, String)]) -> Result<Self, Refusal> {
        let mut session = Self::new(user);
        for (name, value) in parameters {
            match name.as_str() {
                "options" => {
                    for (name, value) in options::read(value)? {
                        session.set(&name, &value)?;
                    }
                }
                "search_path" => session.set(name, value)?,
                // What a driver sends by itself.
                _ => drop(session.set(name, value)),
            }
        }
        Ok(session)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.settings.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// How long a statement may take, if the session says less than the server.
    pub fn statement_timeout(&self) -> Option<Duration> {
        let text = self.get("statement_timeout")?.trim();
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let millis = match unit.trim() {
            "" | "ms" => 1,
            "s" => 1_000,
            "min" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        (number > 0).then(|| Duration::from_millis(number.saturating_mul(millis)))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let refused = |hint: &str| {
            let message = format!("invalid value for parameter \"{name}\": \"{value}\"");
            Err(Refusal::new(BAD_VALUE, message).hint(hint))
        };
        let fixed = FIXED.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        if let Some((own, values)) = fixed {
            return match values.contains(&value.to_ascii_lowercase().as_str()) {
                true => Ok(()),
                false if *own == "TimeZone" => refused(
                    "Times are sent in UTC. Write t AT TIME ZONE 'Europe/Berlin' for what clocks show there.",
                ),
                false => refused(&format!("Only {} is possible.", self.get(own).unwrap_or_default())),
            };
        }
        if name.eq_ignore_ascii_case("search_path") && !options::is_public_first(value) {
            return refused(
                "Tables without a schema are those of public. Write the schema before the others: late.NAME.",
            );
        }
        let known = SETTINGS.iter().find(|(own, ..)| own.eq_ignore_ascii_case(name));
        let value = match (value, known) {
            ("default", Some((_, default, _))) => default,
            _ => value,
        };
        let is_full = self.settings.len() >= SETTINGS.len() + MOST_OWN;
        match self.settings.iter_mut().find(|(own, _)| own.eq_ignore_ascii_case(name)) {
            _ if value.len() > 1_000 || name.len() > 200 => {
                return refused("A setting is shorter than that.");
            }
            Some((_, now)) => value.clone_into(now),
            None if is_full => return refused("A session has room for a hundred settings of its own."),
            None => self.settings.push((name.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    /// Does a command. `None` if these are not the words of one.
    pub fn command(&mut self, words: &[Piece], out: &mut Replies) -> Option<Result<Done, Refusal>> {
        let first = match words.first()? {
            Piece::Word(first) => first.as_str(),
            _ => return None,
        };
        if tells_of_tables(words) {
            return None;
        }
        let ends = matches!(first, "COMMIT" | "END" | "ROLLBACK" | "ABORT");
        let known = [
            "SET",
            "SHOW",
            "RESET",
            "BEGIN",
            "START",
            "COMMIT",
            "END",
            "ROLLBACK",
            "ABORT",
            "SAVEPOINT",
            "RELEASE",
            "DISCARD",
            "DEALLOCATE",
            "UNLISTEN",
        ];
        if !known.contains(&first) {
            return None;
        }
        if self.transaction == Transaction::Failed && !ends {
            return Some(Err(failed_transaction()));
        }
        let is_to_savepoint = ends && words.iter().any(|word| word.is("TO"));
        Some(match first {
            "BEGIN" | "START" => {
                self.transaction = Transaction::Open;
                Ok(Done::Tag(if first == "BEGIN" { "BEGIN" } else { "START TRANSACTION" }.to_owned()))
            }
            "ROLLBACK" | "ABORT" if is_to_savepoint => {
                self.transaction = Transaction::Open;
                Ok(Done::Tag("ROLLBACK".to_owned()))
            }
            "COMMIT" | "END" if self.transaction != Transaction::Failed => {
                self.transaction = Transaction::None;
                Ok(Done::Tag("COMMIT".to_owned()))
            }
            "COMMIT" | "END" | "ROLLBACK" | "ABORT" => {
                self.transaction = Transaction::None;
                Ok(Done::Tag("ROLLBACK".to_owned()))
            }
            "SAVEPOINT" | "RELEASE" | "UNLISTEN" => Ok(Done::Tag(first.to_owned())),
            "DISCARD" => {
                let user = self.get("session_authorization").unwrap_or_default().to_owned();
                if words.get(1).is_some_and(|word| word.is("ALL")) {
                    *self = Self { transaction: self.transaction, ..Self::new(&user) };
                    self.tell(out);
                }
                Ok(Done::Discard)
            }
            "DEALLOCATE" => {
                let name = words.iter().skip(1).find(|word| !word.is("PREPARE"));
                let name = name.filter(|name| !name.is("ALL")).map(Piece::text);
                Ok(Done::Deallocate(name))
            }
            "RESET" => self.reset(words.get(1), out),
            "SHOW" => self.show(words),
            _ => self.set_words(words, out).map(|()| Done::Tag("SET".to_owned())),
        })
    }

    fn reset(&mut self, name: Option<&Piece>, out: &mut Replies) -> Result<Done, Refusal> {
        match name {
            Some(name) if name.is("ALL") => {
                let user = self.get("session_authorization").unwrap_or_default().to_owned();
                *self = Self { transaction: self.transaction, ..Self::new(&user) };
                self.tell(out);
            }
            Some(name) => {
                self.set(&name.text(), "default")?;
                self.told(&name.text(), out);
            }
            None => return Err(Refusal::new(SYNTAX, "RESET names a setting, or ALL")),
        }
        Ok(Done::Tag("RESET".to_owned()))
    }

    /// Tells the client of a setting that it made, if it is one of those.
    fn told(&self, name: &str, out: &mut Replies) {
        let known = SETTINGS.iter().find(|(own, _, is_told)| *is_told && own.eq_ignore_ascii_case(name));
        if let Some((own, _, _)) = known {
            out.parameter(own, self.get(own).unwrap_or_default());
        }
    }

    fn show(&self, words: &[Piece]) -> Result<Done, Refusal> {
        let name = shown_name(words);
        match self.settings.iter().find(|(own, _)| own.eq_ignore_ascii_case(&name)) {
            Some((own, value)) => Ok(Done::Row { column: own.clone(), value: value.clone() }),
            None => {
                let error = format!("unrecognized configuration parameter \"{name}\"");
                Err(Refusal::new(UNKNOWN_SETTING, error)
                    .hint("SELECT name, setting FROM pg_settings lists those that are there. SHOW TABLES, SHOW SCHEMAS and SHOW COLUMNS IN table list tables."))
            }
        }
    }

    /// `SET [SESSION | LOCAL] name {= | TO} value, …` and its older forms.
    fn set_words(&mut self, words: &[Piece], out: &mut Replies) -> Result<(), Refusal> {
        let mut rest = words.get(1..).unwrap_or_default();
        if let [scope, more @ ..] = rest
            && (scope.is("SESSION") || scope.is("LOCAL"))
            && !more.first().is_some_and(|word| word.is("AUTHORIZATION"))
        {
            rest = more;
        }
        let (name, values) = match rest {
            [first, ..] if first.is("TRANSACTION") || first.is("CHARACTERISTICS") => {
                // What it may say changes nothing here but for one thing.
                let is_write = rest.windows(2).any(|two| two[0].is("READ") && two[1].is("WRITE"));
                return match is_write {
                    true => Err(Refusal::new(READ_ONLY, "transactions can only read here")),
                    false => Ok(()),
                };
            }
            [time, zone, values @ ..] if time.is("TIME") && zone.is("ZONE") => {
                ("TimeZone".to_owned(), values)
            }
            [names, values @ ..] if names.is("NAMES") => ("client_encoding".to_owned(), values),
            [role, ..] if role.is("ROLE") => return Ok(()),
            [session, ..] if session.is("SESSION") => {
                return Err(Refusal::new(NOT_SUPPORTED, "nobody can become somebody else here"));
            }
            [name, rest @ ..] => {
                let is_sign =
                    |word: &Piece| word.is("TO") || matches!(word, Piece::Mark(mark) if mark == "=");
                let at = rest.iter().position(is_sign);
                let Some(at) = at else { return Err(Refusal::new(SYNTAX, "SET takes a name and a value")) };
                // A name of two parts has a point in it.
                let parts: String = rest.iter().take(at).map(Piece::text).collect();
                (format!("{}{parts}", name.text()), rest.get(at + 1..).unwrap_or_default())
            }
            [] => return Err(Refusal::new(SYNTAX, "SET takes a name and a value")),
        };
        let value: String = values
            .iter()
            .map(Piece::text)
            .map(|text| if text == "," { ", ".to_owned() } else { text })
            .collect();
        self.set(&name, &value)?;
        self.told(&name, out);
        Ok(())
    }
}

/// The setting that `SHOW …` asks for.
pub(super) fn shown_name(words: &[Piece]) -> String {
    let name: Vec<String> = words.iter().skip(1).map(Piece::text).collect();
    match name.join(" ").to_lowercase().as_str() {
        "transaction isolation level" => "transaction_isolation".to_owned(),
        "time zone" => "TimeZone".to_owned(),
        "session authorization" => "session_authorization".to_owned(),
        other => other.replace(" . ", ".").replace(' ', ""),
    }
}

/// The one column of an answer to SHOW.
pub(super) fn shown_column(name: &str) -> Column {
    Column { name: name.to_owned(), pg: PgType { oid: TEXT, length: -1, modifier: -1 } }
}

/// A statement in a transaction of which one has failed.
pub(super) fn failed_transaction() -> Refusal {
    let message = "current transaction is aborted, commands ignored until end of transaction block";
    Refusal::new(FAILED_TRANSACTION, message)
}

#[cfg(test)]
mod tests {
    use forebay_engine::adhoc::postgres::split;

    use super::*;

    fn run(session: &mut Session, sql: &str) -> Result<String, &'static str> {
        let words = split(sql).unwrap()[0].pieces();
        match session.command(&words, &mut Replies::default()).expect("a command") {
            Ok(Done::Tag(tag)) => Ok(tag),
            Ok(Done::Row { column, value }) => Ok(format!("{column}={value}")),
            Ok(Done::Deallocate(name)) => Ok(format!("DEALLOCATE {name:?}")),
            Ok(Done::Discard) => Ok("DISCARD".to_owned()),
            Err(refusal) => Err(refusal.state),
        }
    }

    #[test]
    fn what_is_set_is_what_is_shown() {
        let mut session = Session::new("ana");
        for (sql, expected) in [
            ("SET extra_float_digits = 3", Ok("SET")),
            ("SHOW extra_float_digits", Ok("extra_float_digits=3")),
            ("set application_name to 'Grafana'", Ok("SET")),
            ("SHOW application_name", Ok("application_name=Grafana")),
            ("SET search_path TO public, late", Ok("SET")),
            ("SHOW search_path", Ok("search_path=public, late")),
            ("SHOW TRANSACTION ISOLATION LEVEL", Ok("transaction_isolation=read committed")),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Ok("SET")),
            ("SET TRANSACTION READ WRITE", Err(READ_ONLY)),
            ("SET TIME ZONE 'UTC'", Ok("SET")),
            ("SET TimeZone = 'Europe/Berlin'", Err(BAD_VALUE)),
            ("SHOW TimeZone", Ok("TimeZone=UTC")),
            ("SHOW time zone", Ok("TimeZone=UTC")),
            ("SHOW nothing", Err(UNKNOWN_SETTING)),
            ("SET my.own = 'x'", Ok("SET")),
            ("SHOW my.own", Ok("my.own=x")),
            ("DISCARD ALL", Ok("DISCARD")),
            ("SHOW application_name", Ok("application_name=")),
            ("DEALLOCATE ALL", Ok("DEALLOCATE None")),
            ("DEALLOCATE \"_pg3_0\"", Ok("DEALLOCATE Some(\"_pg3_0\")")),
        ] {
            assert_eq!(run(&mut session, sql), expected.map(str::to_owned), "{sql}");
        }
        run(&mut session, "SET statement_timeout = '2min'").unwrap();
        assert_eq!(session.statement_timeout(), Some(Duration::from_secs(120)));
    }

    #[test]
    fn a_show_of_tables_is_no_setting() {
        for sql in ["SHOW TABLES", "show schemas like 'p*'", "SHOW COLUMNS IN lake", "SHOW CATALOGS"] {
            let words = split(sql).unwrap()[0].pieces();
            assert!(Session::new("ana").command(&words, &mut Replies::default()).is_none(), "{sql}");
        }
    }

    #[test]
    fn a_failed_transaction_takes_nothing_but_its_end() {
        let mut session = Session::new("ana");
        assert_eq!(run(&mut session, "BEGIN READ ONLY"), Ok("BEGIN".to_owned()));
        session.transaction = Transaction::Failed;
        assert_eq!(run(&mut session, "SET a = 1"), Err(FAILED_TRANSACTION));
        assert_eq!(run(&mut session, "COMMIT"), Ok("ROLLBACK".to_owned()));
        assert_eq!(session.transaction, Transaction::None);
    }
}
