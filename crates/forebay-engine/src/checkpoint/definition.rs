//! What a query was when it last ran: the file `definition` beside the journal.
//!
//! SQL and schema may change while a checkpoint lives, so they are no part of its identity; they are kept here only so
//! that a change can be told before it takes effect. What must stay true: nothing that a query does depends on this
//! file. A checkpoint without it, or whose file cannot be read, is as good as any other.

use std::fs;
use std::io;
use std::path::Path;

use forebay_core::Result;
use forebay_storage::{Door, lines};
use serde::{Deserialize, Serialize};

use super::{bad_lines, damaged, failed, to_text};

const KIND: &str = "forebay-checkpoint-definition";

/// What decides which rows a query makes of its records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// The SELECT; empty where the file says none, as of an alert.
    pub sql: String,
    /// The views that it reads, in the order of the file: name and SQL.
    pub views: Vec<(String, String)>,
    /// The columns of a value as Spark DDL; `None` if values are not decoded.
    pub schema: Option<String>,
    /// The decoder with its mode and options.
    pub decoder: Option<String>,
    /// What else the file says, by name, such as the conditions of an alert.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<(String, String)>,
}

/// One thing that differs between two definitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `sql`, `view NAME`, `schema`, `decoder` or the name of a part.
    pub what: String,
    /// As it was; `None` if it was not there.
    pub was: Option<String>,
    /// As it is; `None` if it is gone.
    pub is: Option<String>,
}

impl Definition {
    /// What is different now.
    pub fn changes(&self, now: &Self) -> Vec<Change> {
        let text = |text: &str| Some(text.to_owned());
        let view = |of: &Self, name: &str| {
            of.views.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, sql)| sql.clone())
        };
        let mut pairs = vec![("sql".to_owned(), text(&self.sql), text(&now.sql))];
        let gone = self.views.iter().filter(|(name, _)| view(now, name).is_none());
        for (name, _) in gone.chain(&now.views) {
            pairs.push((format!("view {name}"), view(self, name), view(now, name)));
        }
        pairs.push(("schema".to_owned(), self.schema.clone(), now.schema.clone()));
        pairs.push(("decoder".to_owned(), self.decoder.clone(), now.decoder.clone()));
        let part = |of: &Self, name: &str| {
            of.parts.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone())
        };
        let gone = self.parts.iter().filter(|(name, _)| part(now, name).is_none());
        for (name, _) in gone.chain(&now.parts) {
            pairs.push((name.clone(), part(self, name), part(now, name)));
        }
        let differs = |(what, was, is)| (was != is).then_some(Change { what, was, is });
        pairs.into_iter().filter_map(differs).collect()
    }
}

/// Keeps what a query is, if something else is kept. Durable on return.
pub fn remember(dir: &Path, door: &Door, definition: &Definition) -> Result<()> {
    if recall(dir).is_ok_and(|kept| kept.as_ref() == Some(definition)) {
        return Ok(());
    }
    let mut bytes = lines::header(KIND).into_bytes();
    lines::push_line(&mut bytes, &to_text(definition)?);
    let path = dir.join("definition");
    door.write_atomic(&path, &bytes).map_err(|e| failed(&path, "write", e))
}

/// What the query was when it last ran; `None` if that was not kept.
pub fn recall(dir: &Path) -> Result<Option<Definition>> {
    let path = dir.join("definition");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(damaged(&path, e)),
    };
    let lines = lines::read(KIND, &bytes).map_err(|e| bad_lines(&path, e))?;
    let text = lines.texts.first().ok_or_else(|| damaged(&path, "the file holds no record"))?;
    serde_json::from_str(text).map(Some).map_err(|e| damaged(&path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Definition {
        Definition {
            sql: "SELECT * FROM hot".to_owned(),
            views: vec![("hot".to_owned(), "SELECT * FROM iot".to_owned())],
            schema: Some("a INT".to_owned()),
            decoder: None,
            parts: vec![("when".to_owned(), "a > 1".to_owned()), ("for".to_owned(), "1 second".to_owned())],
        }
    }

    #[test]
    fn a_definition_is_kept_until_another_takes_its_place() {
        let (dir, door) = (tempfile::tempdir().unwrap(), Door::new());
        assert_eq!(recall(dir.path()).unwrap(), None);
        remember(dir.path(), &door, &definition()).unwrap();
        let other = Definition { sql: "SELECT 1".to_owned(), ..definition() };
        remember(dir.path(), &door, &other).unwrap();
        assert_eq!(recall(dir.path()).unwrap(), Some(other));
        fs::write(dir.path().join("definition"), b"").unwrap();
        recall(dir.path()).unwrap_err();
        remember(dir.path(), &door, &definition()).unwrap();
        assert_eq!(recall(dir.path()).unwrap(), Some(definition()), "a damaged one is written anew");
    }

    #[test]
    fn each_difference_is_told_with_what_was_and_what_is() {
        assert_eq!(definition().changes(&definition()), []);
        let now = Definition {
            views: vec![("warm".to_owned(), "SELECT 2".to_owned())],
            schema: Some("a BIGINT".to_owned()),
            parts: vec![("when".to_owned(), "a > 2".to_owned()), ("clear".to_owned(), "a < 1".to_owned())],
            ..definition()
        };
        let changes = definition().changes(&now);
        let told: Vec<_> =
            changes.iter().map(|it| (it.what.as_str(), it.was.as_deref(), it.is.as_deref())).collect();
        let expected = [
            ("view hot", Some("SELECT * FROM iot"), None),
            ("view warm", None, Some("SELECT 2")),
            ("schema", Some("a INT"), Some("a BIGINT")),
            ("for", Some("1 second"), None),
            ("when", Some("a > 1"), Some("a > 2")),
            ("clear", None, Some("a < 1")),
        ];
        assert_eq!(told, expected);
    }
}
