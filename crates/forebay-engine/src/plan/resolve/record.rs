//! What a subquery or view hands on of its records: time, topic and partition, beside the columns that it selects.
//!
//! Only in a catalogue that asks for it ([`Catalog::carrying_records`](crate::plan::Catalog::carrying_records)). Every
//! SELECT below the outermost one gets three more columns, [`RECORD_COLUMNS`], which `*` leaves out and nobody can name;
//! only SQL of Forebay's own that reads a view ([`Catalog::naming_records`](crate::plan::Catalog::naming_records)) says
//! by them when its records were, whatever lies between view and source. What must stay true: a SELECT without one
//! source, view or subquery in FROM gets none of them, and so has no record.

use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, TableAlias, TableAliasColumnDef};

use super::expr::field_access;
use super::scope::{Column, Relation, Scope};
use super::{Planner, State, quoted};
use crate::plan::catalog::{EVENT_TIME_COLUMN, KAFKA_COLUMN, OFFSET_COLUMN, RECORD_COLUMNS, Records};

/// What is handed on, and where it is in the source's envelope. Only a query with state needs the last.
pub(in crate::plan) const IN_ENVELOPE: [(&str, &str); 4] = [
    (RECORD_COLUMNS[0], "timestamp"),
    (RECORD_COLUMNS[1], "topic"),
    (RECORD_COLUMNS[2], "partition"),
    (OFFSET_COLUMN, "offset"),
];

impl Planner<'_> {
    /// Adds what is handed on to the list of a SELECT that others read from: the event time of the source, where it
    /// is hidden, then the record's columns.
    pub(super) fn carry(&mut self, list: &mut Vec<SelectItem>, scope: &Scope<'_>) {
        self.carries_now.clear();
        // A table at rest that is joined has no record.
        let mut streams = scope.tables.relations.iter().filter(|relation| !relation.is_at_rest);
        let (Some(relation), None) = (streams.next(), streams.next()) else { return };
        if self.nested == 0 {
            return;
        }
        let like = Ident::new("");
        let column = |name: &str| {
            let parts = vec![quoted(relation.qualifier.clone(), &like), quoted(name, &like)];
            Expr::CompoundIdentifier(parts)
        };
        let mut carried = Vec::new();
        if self.state != State::Refused
            && has(relation, EVENT_TIME_COLUMN, true)
            && !names(list, EVENT_TIME_COLUMN)
        {
            carried.push((EVENT_TIME_COLUMN, column(EVENT_TIME_COLUMN)));
        }
        // What a join of streams gives is no single record.
        if self.carries != Records::Left && scope.tables.streams == 1 {
            let count = if self.state == State::Refused { RECORD_COLUMNS.len() } else { IN_ENVELOPE.len() };
            for (name, plain) in IN_ENVELOPE.into_iter().take(count) {
                let expr = if has(relation, name, true) {
                    column(name)
                } else if has(relation, KAFKA_COLUMN, true) {
                    field_access(column(KAFKA_COLUMN), plain, &like)
                } else if has(relation, "timestampType", false) && has(relation, plain, false) {
                    column(plain)
                } else {
                    break;
                };
                carried.push((name, expr));
            }
        }
        for (name, expr) in carried {
            self.carries_now.push(name);
            list.push(SelectItem::ExprWithAlias { expr, alias: quoted(name, &like) });
        }
    }

    /// The columns of a table in FROM, and which of them `*` leaves out.
    pub(super) fn columns_in_from(&self, index: usize) -> Vec<Column> {
        let mut hidden = self.carried(index);
        if self.carries == Records::Named && self.nested == 0 {
            hidden.retain(|name| !RECORD_COLUMNS.contains(name));
        }
        self.columns(index, &hidden)
    }

    /// The columns of a table that `*` leaves out.
    pub(super) fn carried(&self, index: usize) -> Vec<&'static str> {
        self.hidden.get(index).cloned().unwrap_or_default()
    }
}

/// True if this is the name of a column that is handed on.
pub(super) fn is_handed_on(name: &str) -> bool {
    IN_ENVELOPE.iter().any(|(handed_on, _)| *handed_on == name)
}

/// True if a SELECT list gives a column of this name.
fn names(list: &[SelectItem], name: &str) -> bool {
    list.iter().any(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => alias.value.eq_ignore_ascii_case(name),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
            parts.last().is_some_and(|part| part.value.eq_ignore_ascii_case(name))
        }
        _ => false,
    })
}

/// True if a relation has a column of this name that `*` leaves out, or shows.
fn has(relation: &Relation, name: &str, hidden: bool) -> bool {
    relation.columns.iter().any(|column| column.name == name && column.hidden == hidden)
}

/// Where new names for columns were given, those that `*` leaves out keep theirs.
pub(super) fn keep_names(alias: &mut TableAlias, carried: &[&str]) {
    if alias.columns.is_empty() {
        return;
    }
    let column = |name: &&str| TableAliasColumnDef { name: Ident::with_quote('`', *name), data_type: None };
    alias.columns.extend(carried.iter().map(column));
}
