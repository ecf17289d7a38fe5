//! FROM: tables, views, common table expressions and subqueries become numbered tables with known columns.

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Query, Spanned, Statement, TableAlias, TableFactor, TableWithJoins,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use forebay_core::Error;
use forebay_core::error::codes;

use super::bounds::MAX_STACKED;
use super::record::keep_names;
use super::scope::{Column, Relation, Scope, Tables};
use super::{Found, Planner, Read, SOURCE, State, last_part, quoted, unknown_table};
use crate::plan::catalog::{Behind, SourceTime};
use crate::plan::parse::{self, Paths};
use crate::plan::provider::table_name;
use crate::plan::sql_error::SqlError;
use crate::plan::statics::source_is_at_rest;
use crate::plan::verify;

impl Planner<'_> {
    /// Resolves the items of a FROM clause and gives what they bring into scope.
    pub(super) fn from(
        &mut self,
        items: &mut [TableWithJoins],
        outer: Option<&Scope<'_>>,
    ) -> Result<Tables, SqlError> {
        let (mut tables, mut taken) = (Tables::default(), Vec::new());
        for item in items {
            let span = item.relation.span();
            tables.extend(self.joined(item, outer, &mut taken)?);
            self.refuse_two_streams(&tables, span)?;
        }
        Ok(tables)
    }

    fn joined(
        &mut self,
        item: &mut TableWithJoins,
        outer: Option<&Scope<'_>>,
        taken: &mut Vec<String>,
    ) -> Result<Tables, SqlError> {
        let mut tables = self.factor(&mut item.relation, outer, taken)?;
        for join in &mut item.joins {
            let span = join.relation.span();
            let right = self.factor(&mut join.relation, outer, taken)?;
            tables = self.join(&mut join.join_operator, tables, right, outer)?;
            self.refuse_two_streams(&tables, span)?;
        }
        Ok(tables)
    }

    /// Where nothing may be remembered, a join of two streams, at the second.
    fn refuse_two_streams(&self, tables: &Tables, span: Span) -> Result<(), SqlError> {
        if self.refuses_state() && tables.streams > 1 {
            return Err(SqlError::spanned(verify::JOIN.error(), span));
        }
        Ok(())
    }

    /// One table of a FROM clause. `taken` are the names that there are already.
    fn factor(
        &mut self,
        factor: &mut TableFactor,
        outer: Option<&Scope<'_>>,
        taken: &mut Vec<String>,
    ) -> Result<Tables, SqlError> {
        let (index, alias): (usize, TableAlias) = match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                version: None,
                sample: None,
                json_path: None,
                with_hints,
                ..
            } => {
                let clause = self.watermark_clause(with_hints)?;
                let (index, columns) = self.named(name, clause)?;
                let alias = match (alias.take(), last_part(name)) {
                    (Some(alias), _) => alias,
                    (None, Some(part)) => plain_alias(quoted(part.value.clone(), part)),
                    (None, None) => return Err(cannot_read("this table name")),
                };
                let mut alias = if alias.columns.is_empty() { with_columns(alias, columns) } else { alias };
                keep_names(&mut alias, &self.carried(index));
                (index, alias)
            }
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                let index = self.aside(std::mem::replace(subquery, empty_query()))?;
                let mut alias = alias
                    .take()
                    .unwrap_or_else(|| plain_alias(Ident::with_quote('`', format!("__q{index}"))));
                keep_names(&mut alias, &self.carried(index));
                (index, alias)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                return self.joined(table_with_joins, outer, taken);
            }
            TableFactor::Table { name, args: Some(_), .. } => {
                return Err(cannot_read(&format!("the table function {name}(…)")));
            }
            TableFactor::Table { version: Some(_), .. } => {
                return Err(cannot_read("an older version of a table"));
            }
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                return Err(cannot_read("TABLESAMPLE"));
            }
            TableFactor::Derived { .. } => return Err(cannot_read("LATERAL")),
            TableFactor::UNNEST { .. } => return Err(cannot_read("UNNEST")),
            _ => return Err(cannot_read("this kind of table")),
        };
        self.count_read(index)?;
        let is_at_rest = self.tables.get(index).is_some_and(|table| source_is_at_rest(table.as_ref()));
        let relation = relation(&alias, self.columns_in_from(index), is_at_rest)?;
        if taken.iter().any(|other| other.eq_ignore_ascii_case(&relation.qualifier)) {
            let error =
                Error::new(&codes::SQL_PLAN, format!("FROM has two tables named `{}`", relation.qualifier))
                    .with_hint("Give one of them another name: FROM a AS x JOIN a AS y.");
            return Err(SqlError::spanned(error, alias.name.span));
        }
        let qualifier = quoted(relation.qualifier.clone(), &alias.name);
        taken.push(relation.qualifier.clone());
        *factor = numbered(index, TableAlias { name: qualifier, ..alias });
        Ok(Tables::one(relation))
    }

    /// The table that a name stands for, with new names for its columns if a WITH gave them.
    fn named(
        &mut self,
        name: &ObjectName,
        clause: Option<SourceTime>,
    ) -> Result<(usize, Vec<Ident>), SqlError> {
        let found = self.lookup.find(name, self.views_before)?;
        if let (Some(_), Some(part)) = (&clause, last_part(name))
            && !matches!(found, Some(Found::Table { .. }))
        {
            let error = Error::new(&codes::NOT_YET, "WATERMARK is possible behind the name of a source only")
                .with_hint("Give the source that the view reads a `watermark` in the file.");
            return Err(SqlError::spanned(error, part.span));
        }
        if let [ObjectNamePart::Identifier(single)] = name.0.as_slice()
            && let Some((_, index, columns)) =
                self.ctes.iter().rev().find(|(cte, ..)| cte.eq_ignore_ascii_case(&single.value))
        {
            return Ok((*index, columns.clone()));
        }
        match found {
            Some(Found::Table { source, hidden, event_time }) => {
                self.lookup.reading(name)?;
                let mut index = self.add_table(source, SOURCE);
                self.reads.push(Read { name: name.to_string(), table: index, watermark: clause.clone() });
                self.hide(index, hidden.to_vec());
                let event_time = match clause {
                    Some(time) => {
                        let name = time.column.trim_matches('`').to_owned();
                        let columns = self.columns(index, &[]);
                        let is_column = columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name));
                        (!is_column).then_some(time.column)
                    }
                    None => event_time,
                };
                if let Some(sql) = event_time.filter(|_| self.state != State::Refused) {
                    index = self.with_event_time(index, &sql)?;
                }
                Ok((index, Vec::new()))
            }
            Some(Found::AtRest(table)) => Ok((self.add_table(table, SOURCE), Vec::new())),
            Some(Found::View { name, sql, index, behind }) => {
                let planned = self.view(&sql, index, behind.as_ref()).map_err(|error| {
                    let error = error.located(&sql);
                    // The place is one in the view's text; the reader looks at another text.
                    let place = error.place.map(|(line, column)| format!(", line {line}, column {column}"));
                    let error = match error.error.place() {
                        Some(_) => error.error,
                        None => error.error.at(format_args!("view {name}{}", place.unwrap_or_default())),
                    };
                    SqlError::from(error)
                })?;
                Ok((planned, Vec::new()))
            }
            None => Err(unknown_table(name, self.lookup)),
        }
    }

    /// Plans a view's text; it sees nothing of the query that uses it, and only the views before it.
    fn view(&mut self, sql: &str, index: usize, behind: Option<&Behind>) -> Result<usize, SqlError> {
        let Statement::Query(query) = parse::one_statement(sql, Paths::No)? else {
            return Err(Error::new(&codes::SQL_PLAN, "a view must be a SELECT").into());
        };
        if self.stacked == MAX_STACKED {
            let message = format!("views stand more than {MAX_STACKED} deep on each other");
            let hint = "Put several into one: WITH a AS (SELECT …), b AS (SELECT … FROM a) SELECT … FROM b.";
            return Err(Error::new(&codes::SQL_PLAN, message).with_hint(hint).into());
        }
        let outer_ctes = std::mem::take(&mut self.ctes);
        let views_before = std::mem::replace(&mut self.views_before, index);
        self.stacked += 1;
        let planned = self.aside_behind(query, behind);
        self.stacked -= 1;
        self.ctes = outer_ctes;
        self.views_before = views_before;
        planned
    }
}

fn relation(alias: &TableAlias, mut columns: Vec<Column>, is_at_rest: bool) -> Result<Relation, SqlError> {
    if !alias.columns.is_empty() {
        if alias.columns.len() != columns.len() {
            let error = Error::new(
                &codes::SQL_PLAN,
                format!(
                    "`{}` names {} columns, but there are {}",
                    alias.name.value,
                    alias.columns.len(),
                    columns.len()
                ),
            );
            return Err(SqlError::spanned(error, alias.name.span));
        }
        for (column, name) in columns.iter_mut().zip(&alias.columns) {
            column.name.clone_from(&name.name.value);
        }
    }
    Ok(Relation { qualifier: alias.name.value.clone(), columns, is_at_rest })
}

/// A table of the planner's, by its number.
pub(super) fn numbered(index: usize, alias: TableAlias) -> TableFactor {
    TableFactor::Table {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('`', table_name(index)))]),
        alias: Some(alias),
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

fn plain_alias(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

fn with_columns(mut alias: TableAlias, columns: Vec<Ident>) -> TableAlias {
    alias.columns = columns
        .into_iter()
        .map(|name| datafusion::sql::sqlparser::ast::TableAliasColumnDef { name, data_type: None })
        .collect();
    alias
}

pub(super) fn cannot_read(what: &str) -> SqlError {
    Error::new(&codes::NOT_YET, format!("FROM cannot read {what}"))
        .with_hint("FROM reads tables, views and subqueries by name.")
        .into()
}

/// What stays behind when a subquery is taken out of the tree.
fn empty_query() -> Box<Query> {
    use datafusion::sql::sqlparser::ast::{SetExpr, Values};
    let values = Values { explicit_row: false, value_keyword: false, rows: Vec::new() };
    Box::new(Query {
        with: None,
        body: Box::new(SetExpr::Values(values)),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    })
}
