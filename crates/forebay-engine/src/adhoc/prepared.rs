//! The tables of one statement, found before it is planned: looking for them may wait, planning may not.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::sql::sqlparser::ast::ObjectName;
use forebay_core::Result;

use super::TableResolver;
use crate::plan::resolve::{Found, Lookup};
use crate::plan::{KAFKA_COLUMN, SqlError};

/// Kinds of tables that are named by a path, or by a topic.
const PATH_KINDS: [&str; 5] = ["delta", "parquet", "json", "csv", "kafka"];

/// The tables that a statement names, and the names that it could have used.
pub(super) struct Prepared {
    tables: Vec<(ObjectName, Arc<dyn TableProvider>)>,
    names: Vec<String>,
}

impl Prepared {
    /// Looks every name up once.
    pub async fn load(resolver: &dyn TableResolver, names: BTreeSet<ObjectName>) -> Result<Self> {
        let mut tables = Vec::with_capacity(names.len());
        for name in names {
            let (kind, text) = split(&name);
            if let Some(table) = resolver.resolve(kind.as_deref(), &text).await? {
                tables.push((name, table));
            }
        }
        Ok(Self { tables, names: resolver.names().await? })
    }

    /// The table of a name.
    pub fn table(&self, name: &ObjectName) -> Option<&Arc<dyn TableProvider>> {
        self.tables.iter().find(|(known, _)| known == name).map(|(_, table)| table)
    }
}

/// ``delta.`/path` `` is a kind and a path; everything else is one name with its dots.
fn split(name: &ObjectName) -> (Option<String>, String) {
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
    fn find(&self, name: &ObjectName, _: usize) -> Result<Option<Found>, SqlError> {
        Ok(self.table(name).map(|table| {
            let hides = table.schema().column_with_name(KAFKA_COLUMN).is_some();
            Found::Table {
                source: provider_as_source(Arc::clone(table)),
                hidden: if hides { &[KAFKA_COLUMN] } else { &[] },
            }
        }))
    }

    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn without_names(&self) -> &'static str {
        "Names are those of a pipeline (`forebay query --pipeline FILE`). Without one, write delta.`path` for a table \
         and kafka.`topic` for a topic."
    }
}
