//! Statements that tell of tables and read none of their rows: SHOW, DESCRIBE and, to say what to write instead, USE.
//!
//! ```text
//! SHOW CATALOGS | SCHEMAS | TABLES …            the names that are there         namespaces
//! SHOW COLUMNS IN t · DESCRIBE [EXTENDED] t     columns, format, place           answer
//! DESCRIBE HISTORY t [LIMIT n]                  commits of a Delta table         answer
//! ```
//!
//! They are read word by word before a parser of SQL sees them, so both dialects, Spark's and PostgreSQL's, know the same ones
//! and answer alike; what is none of these goes on to the parser. What must stay true: they open no table that SELECT could not
//! read, and a history is bounded ([`MOST_COMMITS`]).

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart, Statement};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use forebay_core::Error;
use forebay_core::error::codes;

use super::namespaces::Show;
use super::prepared::{Prepared, split};
use super::{TableResolver, internal, show};
use crate::plan::deadline::Deadline;
use crate::plan::parse::{self, Paths};
use crate::plan::resolve::{Planner, unknown_table};
use crate::plan::session::{self, Purpose};
use crate::plan::{JsonDecoderFactory, SqlError};

/// Commits that DESCRIBE HISTORY tells where no LIMIT says how many: of a table that a stream writes there are thousands.
const COMMITS: usize = 100;
/// Most that it tells.
const MOST_COMMITS: usize = 10_000;

/// What is known of a table beside its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its format: `delta`, `kafka`, …
    pub provider: String,
    /// Its folder, file, address or topic, if it has one.
    pub location: Option<String>,
    /// True for a table of a catalog, which lies where the catalog says.
    pub is_managed: bool,
}

/// A commit of a table, as its log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The version that it made.
    pub version: u64,
    /// Milliseconds since 1970, if the log says when.
    pub timestamp_ms: Option<i64>,
    /// `STREAMING UPDATE`, `OPTIMIZE`, …
    pub operation: Option<String>,
    /// What the writer says of it.
    pub parameters: Vec<(String, String)>,
}

/// One of these statements.
#[derive(Debug)]
pub(super) enum Told {
    Show(Show),
    Columns(ObjectName),
    Describe { name: ObjectName, extended: bool },
    History { name: ObjectName, most: usize },
}

impl Told {
    /// `None` for a statement of another kind.
    pub fn read(tokens: &[TokenWithSpan]) -> Option<Result<Self, SqlError>> {
        let mut words = Words::new(tokens)?;
        if words.eats(&["SHOW"]) {
            return Self::shown(&mut words);
        }
        if words.eats(&["DESCRIBE"]) || words.eats(&["DESC"]) {
            return Self::described(&mut words);
        }
        words.eats(&["USE"]).then(|| {
            let error = Error::new(&codes::NOT_YET, "USE is not possible here: each statement stands alone");
            let hint = "Write the whole name: FROM catalog.schema.table. SHOW CATALOGS and SHOW SCHEMAS list what is there.";
            Err(error.with_hint(hint).into())
        })
    }

    fn shown(words: &mut Words<'_>) -> Option<Result<Self, SqlError>> {
        if !words.eats(&["COLUMNS"]) {
            return Show::of(words).map(|show| show.map(Self::Show));
        }
        let hint = "Write SHOW COLUMNS IN table.";
        let read = |words: &mut Words<'_>| {
            let is_in = |words: &mut Words<'_>| words.eats(&["IN"]) || words.eats(&["FROM"]);
            let name = if is_in(words) { words.name() } else { None };
            let mut name = name.ok_or_else(|| words.unexpected("SHOW COLUMNS", hint))?;
            if is_in(words) {
                let schema = words.name().ok_or_else(|| words.unexpected("SHOW COLUMNS", hint))?;
                name.0.splice(0..0, schema.0);
            }
            words.ended("SHOW COLUMNS", hint)?;
            Ok(Self::Columns(name))
        };
        Some(read(words))
    }

    fn described(words: &mut Words<'_>) -> Option<Result<Self, SqlError>> {
        let hint = "Write DESCRIBE [EXTENDED] table, or DESCRIBE HISTORY table [LIMIT n].";
        // `DESCRIBE SELECT …` explains, as the parser knows it.
        if ["SELECT", "WITH", "VALUES", "INSERT", "DELETE", "UPDATE"].iter().any(|verb| words.is(verb)) {
            return None;
        }
        let other = ["DETAIL", "SCHEMA", "DATABASE", "NAMESPACE", "CATALOG", "FUNCTION", "QUERY"];
        if let Some(other) = other.iter().find(|other| words.is(other) && words.left() > 1) {
            let error = Error::new(&codes::NOT_YET, format!("DESCRIBE {other} is not supported"));
            return Some(Err(error.with_hint(hint).into()));
        }
        let read = |words: &mut Words<'_>| {
            // A table may have such a name itself.
            let is_history = words.left() > 1 && !words.is_dotted() && words.eats(&["HISTORY"]);
            if !is_history && words.left() > 1 && !words.is_dotted() {
                words.eats(&["TABLE"]);
            }
            let extended = !is_history
                && words.left() > 1
                && !words.is_dotted()
                && (words.eats(&["EXTENDED"]) || words.eats(&["FORMATTED"]));
            let name = words.name().ok_or_else(|| words.unexpected("DESCRIBE", hint))?;
            let mut most = COMMITS;
            if is_history && words.eats(&["LIMIT"]) {
                most = words.number().ok_or_else(|| words.unexpected("DESCRIBE HISTORY", hint))?;
            }
            words.ended("DESCRIBE", hint)?;
            Ok(match is_history {
                true => Self::History { name, most: most.min(MOST_COMMITS) },
                false => Self::Describe { name, extended },
            })
        };
        Some(read(words))
    }

    /// The name of the table that it is about.
    fn name(&mut self) -> Option<&mut ObjectName> {
        match self {
            Self::Show(_) => None,
            Self::Columns(name) | Self::Describe { name, .. } | Self::History { name, .. } => Some(name),
        }
    }

    /// Takes the database and the schema of the pipeline's own tables off a name, as PostgreSQL's tools write them.
    pub fn without(mut self, database: &str, schema: &str) -> Self {
        let Some(name) = self.name() else { return self };
        let is_it = |name: &ObjectName, what: &str| {
            let first = name.0.first().and_then(ObjectNamePart::as_ident);
            first.is_some_and(|first| first.value.eq_ignore_ascii_case(what))
        };
        if name.0.len() == 3 && is_it(name, database) {
            name.0.remove(0);
        }
        if name.0.len() == 2 && is_it(name, schema) {
            name.0.remove(0);
        }
        self
    }

    /// Its rows. Must be called inside of a tokio runtime.
    pub async fn answer(
        self,
        tables: &dyn TableResolver,
        json: Option<&dyn JsonDecoderFactory>,
        (now_ms, deadline): (i64, Option<Deadline>),
    ) -> Result<RecordBatch, SqlError> {
        let (name, extended) = match self {
            Self::Show(what) => {
                return Ok(show::listed(&what, tables.names().await?, tables.catalog().await?)?);
            }
            Self::History { name, most } => return history(tables, &name, most).await,
            Self::Columns(ref name) => (name.clone(), false),
            Self::Describe { ref name, extended } => (name.clone(), extended),
        };
        let prepared = Prepared::load(tables, [name.clone()].into()).await?;
        let (kind, text) = split(&name);
        let (schema, about) = match prepared.table(&name) {
            Some(table) => (table.schema(), tables.about(kind.as_deref(), &text).await?),
            None => {
                let Some((_, (view, _))) = prepared.view(&name) else {
                    return Err(unknown_table(&name, &prepared));
                };
                let columns = of_view(view, &prepared, (tables, json), now_ms, deadline)?;
                (columns, Some(About { provider: "view".to_owned(), location: None, is_managed: false }))
            }
        };
        Ok(match self {
            Self::Columns(_) => show::column_names(&schema)?,
            _ => show::described(&schema, extended.then_some((text.as_str(), about.as_ref())))?,
        })
    }
}

/// The columns that a view gives.
fn of_view(
    name: &str,
    prepared: &Prepared,
    (tables, json): (&dyn TableResolver, Option<&dyn JsonDecoderFactory>),
    now_ms: i64,
    deadline: Option<Deadline>,
) -> Result<SchemaRef, SqlError> {
    let (purpose, runtime) = (Purpose::Batch { now_ms, deadline }, Arc::new(RuntimeEnv::default()));
    let state = session::session(purpose, tables.time_zone(), runtime).map_err(internal)?;
    let name = Ident::with_quote('`', name);
    parse::with_room(|| {
        let Statement::Query(query) = parse::one_statement(&format!("SELECT * FROM {name}"), Paths::No)?
        else {
            return Err(Error::new(&codes::INTERNAL, "the SELECT of a view is none").into());
        };
        let plan = Planner::new(&state, prepared, json, false).until(deadline).plan(query)?;
        let analyzed = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {});
        Ok(Arc::clone(analyzed.map_err(SqlError::planning)?.schema().inner()))
    })
}

async fn history(
    tables: &dyn TableResolver,
    name: &ObjectName,
    most: usize,
) -> Result<RecordBatch, SqlError> {
    let (kind, text) = split(name);
    if let Some(commits) = tables.history(kind.as_deref(), &text, most).await? {
        return Ok(show::history(&commits)?);
    }
    // A name is looked at, and no topic opened for it.
    let is_it = |known: &String| known.eq_ignore_ascii_case(&text);
    let is_name = kind.is_none()
        && (tables.names().await?.iter().any(is_it) || tables.views().iter().any(|(view, _)| is_it(view)));
    if !is_name {
        let prepared = Prepared::load(tables, [name.clone()].into()).await?;
        if prepared.table(name).is_none() && prepared.view(name).is_none() {
            return Err(unknown_table(name, &prepared));
        }
    }
    let error = Error::new(&codes::SQL_PLAN, format!("`{text}` has no history: it is no Delta table"));
    Err(error
        .with_hint("DESCRIBE HISTORY takes Delta tables; DESCRIBE EXTENDED says what a table is.")
        .into())
}

/// The words of a statement, read one after the other.
pub(super) struct Words<'t> {
    left: Vec<&'t TokenWithSpan>,
    at: usize,
}

impl<'t> Words<'t> {
    /// `None` where a second statement follows.
    fn new(tokens: &'t [TokenWithSpan]) -> Option<Self> {
        let is_word = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
        let mut left: Vec<&TokenWithSpan> = tokens.iter().filter(is_word).collect();
        while left.pop_if(|last| last.token == Token::SemiColon).is_some() {}
        left.iter().all(|word| word.token != Token::SemiColon).then_some(Self { left, at: 0 })
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.left.len().saturating_sub(self.at)
    }

    fn peek(&self) -> Option<&'t Token> {
        self.left.get(self.at).map(|word| &word.token)
    }

    /// True if this word is next, without quotes.
    pub fn is(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(next)) if next.quote_style.is_none() && next.value.eq_ignore_ascii_case(word))
    }

    /// True if a dot follows the next word, which is a part of a name then.
    fn is_dotted(&self) -> bool {
        self.left.get(self.at + 1).is_some_and(|word| word.token == Token::Period)
    }

    /// Takes these words, or none.
    pub fn eats(&mut self, words: &[&str]) -> bool {
        let start = self.at;
        for word in words {
            if !self.is(word) {
                self.at = start;
                return false;
            }
            self.at += 1;
        }
        true
    }

    /// Takes a name of one or more parts.
    pub fn name(&mut self) -> Option<ObjectName> {
        let mut parts = Vec::new();
        loop {
            let word = self.left.get(self.at)?;
            let Token::Word(part) = &word.token else { return None };
            self.at += 1;
            parts.push(Ident { value: part.value.clone(), quote_style: Some('`'), span: word.span });
            if self.peek() != Some(&Token::Period) {
                return Some(ObjectName::from(parts));
            }
            self.at += 1;
        }
    }

    /// Takes a text in quotes.
    pub fn text(&mut self) -> Option<String> {
        let (Token::SingleQuotedString(text) | Token::DoubleQuotedString(text)) = self.peek()? else {
            return None;
        };
        self.at += 1;
        Some(text.clone())
    }

    fn number(&mut self) -> Option<usize> {
        let Token::Number(number, _) = self.peek()? else { return None };
        self.at += 1;
        number.parse().ok()
    }

    /// Refuses what is left.
    pub fn ended(&self, statement: &str, hint: &str) -> Result<(), SqlError> {
        if self.left() == 0 { Ok(()) } else { Err(self.unexpected(statement, hint)) }
    }

    /// The error for the next word, at its place.
    pub fn unexpected(&self, statement: &str, hint: &str) -> SqlError {
        let Some(word) = self.left.get(self.at) else {
            return Error::new(&codes::SQL_SYNTAX, format!("{statement} ends too early"))
                .with_hint(hint)
                .into();
        };
        let message = format!("`{}` is not supported in {statement}", word.token);
        SqlError::spanned(Error::new(&codes::SQL_SYNTAX, message).with_hint(hint), word.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a statement asks, in words; `other` for one of another kind.
    fn told(sql: &str) -> String {
        match Told::read(&parse::words(sql).unwrap()) {
            None => "other".to_owned(),
            Some(Err(error)) => format!("{} {}", error.error.message(), error.error.hint()),
            Some(Ok(Told::Show(show))) => format!("show {:?}", show.kind),
            Some(Ok(Told::Columns(name))) => format!("columns {name}"),
            Some(Ok(Told::Describe { name, extended })) => format!("describe {name} {extended}"),
            Some(Ok(Told::History { name, most })) => format!("history {name} {most}"),
        }
    }

    #[test]
    fn statements_about_tables_are_told_from_others() {
        for (sql, expected) in [
            ("show tables;", "show Tables"),
            ("SHOW COLUMNS IN a.b.c", "columns `a`.`b`.`c`"),
            ("SHOW COLUMNS FROM c IN a.b", "columns `a`.`b`.`c`"),
            ("DESC t", "describe `t` false"),
            ("DESCRIBE TABLE EXTENDED `a b`.t ; ", "describe `a b`.`t` true"),
            ("DESCRIBE EXTENDED delta.`/x/y`", "describe `delta`.`/x/y` true"),
            ("DESCRIBE FORMATTED t", "describe `t` true"),
            ("DESCRIBE history", "describe `history` false"),
            ("DESCRIBE table", "describe `table` false"),
            ("DESCRIBE extended.t", "describe `extended`.`t` false"),
            ("DESCRIBE HISTORY t", "history `t` 100"),
            ("DESCRIBE HISTORY a.b.c LIMIT 5", "history `a`.`b`.`c` 5"),
            ("DESCRIBE HISTORY t LIMIT 99999999", "history `t` 10000"),
            ("DESCRIBE SELECT 1", "other"),
            ("SHOW TimeZone", "other"),
            ("SHOW", "other"),
            ("SELECT 1", "other"),
            ("SHOW TABLES; SELECT 1", "other"),
        ] {
            assert_eq!(told(sql), expected, "{sql}");
        }
        for (sql, words) in [
            ("USE data_pipelines.kafka_table", "FROM catalog.schema.table"),
            ("DESCRIBE DETAIL t", "DESCRIBE DETAIL is not supported"),
            ("DESCRIBE t PARTITION (a = 1)", "`PARTITION` is not supported"),
            ("DESCRIBE", "ends too early"),
            ("SHOW COLUMNS t", "Write SHOW COLUMNS IN table."),
            ("DESCRIBE HISTORY t LIMIT x", "`x` is not supported"),
        ] {
            assert!(told(sql).contains(words), "{sql}: {}", told(sql));
        }
    }
}
