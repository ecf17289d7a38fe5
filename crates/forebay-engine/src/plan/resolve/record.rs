//! What a subquery or view hands on of its records: time, topic and partition, beside the columns that it selects.
//!
//! Only in a catalogue that asks for it ([`Catalog::carrying_records`](crate::plan::Catalog::carrying_records)). Every
//! SELECT below the outermost one gets three more columns, [`RECORD_COLUMNS`], which `*` leaves out; so whoever reads
//! a view by name can also name when its records were, whatever lies between view and source. What must stay true: a
//! SELECT without one source, view or subquery in FROM gets none of them, and so has no record.

use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, TableAlias, TableAliasColumnDef};

use super::expr::field_access;
use super::scope::{Relation, Scope};
use super::{Planner, quoted};
use crate::plan::catalog::{KAFKA_COLUMN, RECORD_COLUMNS};

/// The same columns in the source's envelope, in the order of [`RECORD_COLUMNS`].
const IN_ENVELOPE: [&str; 3] = ["timestamp", "topic", "partition"];

impl Planner<'_> {
    /// Adds the record's columns to the list of a SELECT that others read from.
    pub(super) fn carry_record(&self, list: &mut Vec<SelectItem>, scope: &Scope<'_>) {
        let [relation] = scope.relations.as_slice() else { return };
        if !self.carries || self.nested == 0 {
            return;
        }
        let like = Ident::new("");
        for (name, plain) in RECORD_COLUMNS.into_iter().zip(IN_ENVELOPE) {
            let column = |name: &str| {
                let parts = vec![quoted(relation.qualifier.clone(), &like), quoted(name, &like)];
                Expr::CompoundIdentifier(parts)
            };
            let expr = if has(relation, name, true) {
                column(name)
            } else if has(relation, KAFKA_COLUMN, true) {
                field_access(column(KAFKA_COLUMN), plain, &like)
            } else if has(relation, "timestampType", false) && has(relation, plain, false) {
                column(plain)
            } else {
                return;
            };
            list.push(SelectItem::ExprWithAlias { expr, alias: quoted(name, &like) });
        }
    }

    /// The columns of a table that was put aside which `*` leaves out.
    pub(super) fn carried(&self, index: usize) -> &'static [&'static str] {
        let carries = self.carries
            && self.tables.get(index).is_some_and(|table| {
                table.schema().fields().iter().any(|field| RECORD_COLUMNS.contains(&field.name().as_str()))
            });
        if carries { &RECORD_COLUMNS } else { &[] }
    }
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
