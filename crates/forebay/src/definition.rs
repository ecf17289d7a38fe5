//! What a query of the file is, for the definition that its checkpoint keeps.

use std::path::Path;

use forebay_core::config::{Pipeline, QueryConfig, SourceConfig, ViewConfig};
use forebay_core::ddl;
use forebay_engine::checkpoint::definition::{self, Definition};
use forebay_storage::Door;

use crate::load;

/// What decides which rows this query makes.
pub fn of(pipeline: &Pipeline, query: &QueryConfig, source: &SourceConfig) -> Definition {
    let used = used_views(&pipeline.views, &query.sql);
    Definition {
        sql: query.sql.trim().to_owned(),
        views: used.iter().map(|view| (view.name.clone(), view.sql.trim().to_owned())).collect(),
        // As a schema is printed: blanks and line breaks of the file are no change.
        schema: source
            .value
            .as_ref()
            .map(|value| ddl::to_ddl(&value.schema).unwrap_or_else(|_| value.ddl.clone())),
        decoder: source
            .value
            .as_ref()
            .map(|value| format!("{} in mode {:?} with {:?}", value.format, value.mode, value.options)),
    }
}

/// Keeps what this query is in its checkpoint. That it could not be kept costs only what `forebay plan` says.
pub fn remember(data: &Path, door: &Door, pipeline: &Pipeline, query: &QueryConfig, source: &SourceConfig) {
    let folder = load::checkpoint_folder(data, &pipeline.name, query);
    if let Err(error) = definition::remember(&folder, door, &of(pipeline, query, source)) {
        tracing::warn!(query = query.name, %error, "what the query is could not be kept; `forebay plan` will not know it");
    }
}

/// The views that a SELECT names, and those that they name. A view uses only views above it.
fn used_views<'a>(views: &'a [ViewConfig], sql: &str) -> Vec<&'a ViewConfig> {
    let names = |sql: &str, view: &ViewConfig| {
        let words = sql.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')));
        words.into_iter().any(|word| word.eq_ignore_ascii_case(&view.name))
    };
    let mut used: Vec<&ViewConfig> = Vec::new();
    for view in views.iter().rev() {
        if names(sql, view) || used.iter().any(|user| names(&user.sql, view)) {
            used.push(view);
        }
    }
    used.reverse();
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_count_as_far_as_the_query_reaches_them() {
        let view =
            |name: &str, sql: &str| ViewConfig { name: name.to_owned(), sql: sql.to_owned(), place: (1, 1) };
        let views = [
            view("base", "SELECT * FROM iot"),
            view("other", "SELECT * FROM iot"),
            view("hot", "SELECT * FROM Base WHERE x"),
        ];
        let used =
            |sql: &str| used_views(&views, sql).iter().map(|view| view.name.clone()).collect::<Vec<_>>();
        assert_eq!(used("SELECT * FROM hot"), ["base", "hot"]);
        assert_eq!(used("SELECT hotter FROM iot"), Vec::<String>::new());
    }
}
