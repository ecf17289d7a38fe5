//! The tables of one statement, found before it is planned: looking for them may wait, planning may not.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::sql::sqlparser::ast::{ObjectName, Statement};
use datafusion::sql::sqlparser::tokenizer::Span;
use forebay_core::Result;
use forebay_core::detect::Functions;
use parking_lot::Mutex;

use super::checked::{Known, without_rows};
use super::{TableResolver, lanes};
use crate::plan::parse::{self, Paths};
use crate::plan::resolve::{Found, Lookup};
use crate::plan::{KAFKA_COLUMN, SqlError};

/// Kinds of tables that are named by a path, or by a topic.
const PATH_KINDS: [&str; 5] = ["delta", "parquet", "json", "csv", "kafka"];

/// The tables that a statement names, itself or in a view, and the names that it could have used.
pub(super) struct Prepared {
    tables: Vec<(ObjectName, Arc<dyn TableProvider>)>,
    views: Vec<(String, String)>,
    names: Vec<String>,
    /// Those of the tables that a statement can read once, and that it reads.
    read: Mutex<BTreeSet<ObjectName>>,
    detectors: Option<Arc<dyn Functions>>,
}

impl Prepared {
    /// Looks every name up once.
    pub async fn load(resolver: &dyn TableResolver, names: BTreeSet<ObjectName>) -> Result<Self> {
        let views = resolver.views();
        let mut tables = Vec::with_capacity(names.len());
        let mut left: Vec<ObjectName> = names.iter().rev().cloned().collect();
        let mut seen = names;
        while let Some(name) = left.pop() {
            let (kind, text) = split(&name);
            if let Some(table) = resolver.resolve(kind.as_deref(), &text).await? {
                tables.push((name, table));
            } else if let Some((_, sql)) = views.iter().find(|(view, _)| view.eq_ignore_ascii_case(&text)) {
                left.extend(named_in(sql).into_iter().filter(|name| seen.insert(name.clone())));
            }
        }
        let (names, detectors) = (resolver.names().await?, resolver.detectors());
        Ok(Self { tables, views, names, read: Mutex::default(), detectors })
    }

    /// The same over columns alone.
    pub fn of_columns(known: &Known, names: BTreeSet<ObjectName>) -> Result<Self> {
        let Known { tables, views, unreadable, .. } = known;
        let mut found = Vec::with_capacity(names.len());
        let mut left: Vec<ObjectName> = names.iter().rev().cloned().collect();
        let mut seen = names;
        while let Some(name) = left.pop() {
            let (None, text) = split(&name) else { continue };
            let is_it = |other: &str| other.eq_ignore_ascii_case(&text);
            if let Some((_, schema)) = tables.iter().find(|(table, _)| is_it(table)) {
                found.push((name, without_rows(schema)));
            } else if let Some((_, sql)) = views.iter().find(|(view, _)| is_it(view)) {
                left.extend(named_in(sql).into_iter().filter(|name| seen.insert(name.clone())));
            } else if let Some((_, error)) = unreadable.iter().find(|(name, _)| is_it(name)) {
                return Err(error.clone());
            }
        }
        let names = tables.iter().map(|(name, _)| name).chain(views.iter().map(|(name, _)| name));
        Ok(Self {
            tables: found,
            views: views.clone(),
            names: names.cloned().collect(),
            read: Mutex::default(),
            detectors: known.detectors.clone(),
        })
    }

    /// The table of a name.
    pub fn table(&self, name: &ObjectName) -> Option<&Arc<dyn TableProvider>> {
        self.tables.iter().find(|(known, _)| known == name).map(|(_, table)| table)
    }

    /// The view of a name, with its place among the views.
    pub fn view(&self, name: &ObjectName) -> Option<(usize, &(String, String))> {
        let (None, text) = split(name) else { return None };
        self.views.iter().enumerate().find(|(_, (view, _))| view.eq_ignore_ascii_case(&text))
    }
}

/// The names in a view's FROM clauses. What is wrong with its text is told when it is planned.
fn named_in(sql: &str) -> BTreeSet<ObjectName> {
    let named = parse::with_room(|| match parse::one_statement(sql, Paths::No)? {
        Statement::Query(query) => Ok(super::relations(&query)),
        _ => Ok(BTreeSet::new()),
    });
    named.unwrap_or_default()
}

/// ``delta.`/path` `` is a kind and a path; everything else is one name with its dots.
pub(super) fn split(name: &ObjectName) -> (Option<String>, String) {
    let parts: Vec<&str> =
        name.0.iter().filter_map(|part| part.as_ident()).map(|i| i.value.as_str()).collect();
    if let [kind, path] = parts.as_slice()
        && let Some(kind) = PATH_KINDS.iter().find(|known| known.eq_ignore_ascii_case(kind))
    {
        return (Some((*kind).to_owned()), (*path).to_owned());
    }
    (None, parts.join("."))
}

impl Lookup for Prepared {
    fn find(&self, name: &ObjectName, views_before: usize) -> Result<Option<Found>, SqlError> {
        if let Some(table) = self.table(name) {
            let hides = table.schema().column_with_name(KAFKA_COLUMN).is_some();
            return Ok(Some(Found::Table {
                source: provider_as_source(Arc::clone(table)),
                hidden: if hides { &[KAFKA_COLUMN] } else { &[] },
                event_time: None,
            }));
        }
        let view = self.view(name).filter(|(index, _)| *index < views_before);
        Ok(view.map(|(index, (name, sql))| Found::View {
            name: name.clone(),
            sql: sql.clone(),
            index,
            behind: None,
        }))
    }

    fn reading(&self, name: &ObjectName) -> Result<(), SqlError> {
        let is_once = self.table(name).is_some_and(lanes::can_be_read_once);
        if !is_once || self.read.lock().insert(name.clone()) {
            return Ok(());
        }
        let place = name.0.first().and_then(|part| part.as_ident()).map(|ident| ident.span);
        Err(SqlError::spanned(lanes::read_twice(&split(name).1), place.unwrap_or_else(Span::empty)))
    }

    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn without_names(&self) -> &'static str {
        "Names are those of a pipeline (`forebay query --pipeline FILE`). Without one, write delta.`path` for a table \
         and kafka.`topic` for a topic."
    }

    fn detectors(&self) -> Option<Arc<dyn Functions>> {
        self.detectors.clone()
    }
}
