//! FROM: tables, views, common table expressions and subqueries become numbered tables with known columns.

use datafusion::sql::sqlparser::ast::{
    Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, Statement, TableAlias,
    TableFactor, TableWithJoins,
};
use forebay_core::Error;
use forebay_core::error::codes;

use super::bounds::MAX_STACKED;
use super::record::keep_names;
use super::scope::{Column, Relation, Scope};
use super::{Found, Planner, SOURCE, State, last_part, quoted, unknown_table};
use crate::plan::catalog::{Deduplicate, SourceTime};
use crate::plan::parse::{self, Paths};
use crate::plan::provider::table_name;
use crate::plan::sql_error::SqlError;

impl Planner<'_> {
    /// Resolves the items of a FROM clause and gives the relations they bring into scope.
    pub(super) fn from(
        &mut self,
        items: &mut [TableWithJoins],
        outer: Option<&Scope<'_>>,
    ) -> Result<Vec<Relation>, SqlError> {
        let mut relations = Vec::new();
        for item in items {
            self.joined(item, outer, &mut relations)?;
        }
        Ok(relations)
    }

    fn joined(
        &mut self,
        item: &mut TableWithJoins,
        outer: Option<&Scope<'_>>,
        relations: &mut Vec<Relation>,
    ) -> Result<(), SqlError> {
        self.factor(&mut item.relation, outer, relations)?;
        for join in &mut item.joins {
            self.factor(&mut join.relation, outer, relations)?;
            self.constraint(join, outer, relations)?;
        }
        Ok(())
    }

    fn factor(
        &mut self,
        factor: &mut TableFactor,
        outer: Option<&Scope<'_>>,
        relations: &mut Vec<Relation>,
    ) -> Result<(), SqlError> {
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
                return self.joined(table_with_joins, outer, relations);
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
        let relation = relation(&alias, self.columns(index, &self.carried(index)))?;
        if relations.iter().any(|other| other.qualifier.eq_ignore_ascii_case(&relation.qualifier)) {
            let error =
                Error::new(&codes::SQL_PLAN, format!("FROM has two tables named `{}`", relation.qualifier))
                    .with_hint("Give one of them another name: FROM a AS x JOIN a AS y.");
            return Err(SqlError::spanned(error, alias.name.span));
        }
        let qualifier = quoted(relation.qualifier.clone(), &alias.name);
        relations.push(relation);
        *factor = TableFactor::Table {
            name: ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('`', table_name(index)))]),
            alias: Some(TableAlias { name: qualifier, ..alias }),
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        };
        Ok(())
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
                self.reads.push(name.to_string());
                let mut index = self.add_table(source, SOURCE);
                self.hide(index, hidden.to_vec());
                let event_time = match clause {
                    Some(time) => {
                        let name = time.column.trim_matches('`');
                        let columns = self.columns(index, &[]);
                        let is_column = columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
                        let sql = (!is_column).then(|| time.column.clone());
                        self.watermark = Some(time);
                        sql
                    }
                    None => event_time,
                };
                if let Some(sql) = event_time.filter(|_| self.state != State::Refused) {
                    index = self.with_event_time(index, &sql)?;
                }
                Ok((index, Vec::new()))
            }
            Some(Found::View { name, sql, index, deduplicate }) => {
                let planned = self.view(&sql, index, deduplicate.as_ref()).map_err(|error| {
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
    fn view(
        &mut self,
        sql: &str,
        index: usize,
        deduplicate: Option<&Deduplicate>,
    ) -> Result<usize, SqlError> {
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
        let planned = self.aside_once(query, deduplicate);
        self.stacked -= 1;
        self.ctes = outer_ctes;
        self.views_before = views_before;
        planned
    }

    fn constraint(
        &mut self,
        join: &mut Join,
        outer: Option<&Scope<'_>>,
        relations: &mut Vec<Relation>,
    ) -> Result<(), SqlError> {
        let constraint = match &mut join.join_operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::CrossJoin(constraint)
            | JoinOperator::Semi(constraint)
            | JoinOperator::LeftSemi(constraint)
            | JoinOperator::RightSemi(constraint)
            | JoinOperator::Anti(constraint)
            | JoinOperator::LeftAnti(constraint)
            | JoinOperator::RightAnti(constraint)
            | JoinOperator::StraightJoin(constraint) => constraint,
            _ => return Err(cannot_read("this kind of join")),
        };
        match constraint {
            JoinConstraint::On(condition) => {
                let scope = Scope { relations: std::mem::take(relations), parent: outer };
                let resolved = self.expr(condition, &scope);
                *relations = scope.relations;
                resolved
            }
            JoinConstraint::Using(names) => {
                for name in names {
                    let Some(ident) = last_part(name).cloned() else { continue };
                    let mut spelling = None;
                    for relation in relations.iter_mut() {
                        let column =
                            relation.columns.iter().find(|c| c.name.eq_ignore_ascii_case(&ident.value));
                        if let Some(column) = column {
                            spelling.get_or_insert_with(|| column.name.clone());
                            relation.merged.push(column.name.clone());
                        }
                    }
                    let spelling = spelling.unwrap_or_else(|| ident.value.clone());
                    *name = ObjectName(vec![ObjectNamePart::Identifier(quoted(spelling, &ident))]);
                }
                Ok(())
            }
            JoinConstraint::Natural => {
                let [earlier @ .., last] = relations.as_mut_slice() else { return Ok(()) };
                for column in &last.columns {
                    for relation in
                        earlier.iter_mut().filter(|r| r.columns.iter().any(|c| c.name == column.name))
                    {
                        relation.merged.push(column.name.clone());
                    }
                    last.merged.push(column.name.clone());
                }
                Ok(())
            }
            JoinConstraint::None => Ok(()),
        }
    }
}

fn relation(alias: &TableAlias, mut columns: Vec<Column>) -> Result<Relation, SqlError> {
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
    Ok(Relation { qualifier: alias.name.value.clone(), columns, merged: Vec::new() })
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

fn cannot_read(what: &str) -> SqlError {
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
