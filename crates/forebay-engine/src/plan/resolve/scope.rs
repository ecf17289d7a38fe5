//! Which names mean which columns at one place of a query.
//!
//! Spark compares names without regard to case; DataFusion compares them exactly. Everything that finds a name here
//! answers with the spelling that the schema has, and that spelling is what DataFusion reads.

use arrow::datatypes::{DataType, Fields};
use datafusion::sql::sqlparser::ast::Ident;
use forebay_core::Error;
use forebay_core::error::codes;

use crate::plan::sql_error::SqlError;
use crate::plan::words::type_name;

/// A column of a relation.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub name: String,
    pub data_type: DataType,
    /// Left out by `*`.
    pub hidden: bool,
}

/// One item of a FROM clause.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    /// Its alias, or the last part of its name.
    pub qualifier: String,
    pub columns: Vec<Column>,
    /// Columns that a `USING` has merged: their bare name is not ambiguous.
    pub merged: Vec<String>,
}

/// The names that an expression can use.
#[derive(Debug)]
pub(crate) struct Scope<'p> {
    pub relations: Vec<Relation>,
    /// The query around this one, for correlated subqueries.
    pub parent: Option<&'p Scope<'p>>,
}

/// A path such as `a.b.c`, understood.
#[derive(Debug)]
pub(crate) struct Path {
    /// The relation's qualifier; `None` for a merged column, whose bare name must stay.
    pub qualifier: Option<String>,
    pub column: String,
    /// Names of nested fields, outermost first.
    pub fields: Vec<String>,
    /// The type at the end of the path.
    pub data_type: DataType,
}

impl Scope<'_> {
    /// The relation that a qualifier names.
    pub fn relation(&self, qualifier: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.qualifier.eq_ignore_ascii_case(qualifier))
    }

    /// What a path of names means: first `relation.column.field…`, then `column.field…`, then the same in the query
    /// around. `Ok(None)` if nothing fits.
    pub fn path(&self, parts: &[Ident]) -> Result<Option<Path>, SqlError> {
        if let [qualifier, column, fields @ ..] = parts
            && let Some(relation) = self.relation(&qualifier.value)
            && let Some(found) = pick(&relation.columns, column, |c| &c.name)?
        {
            return finish(Some(relation.qualifier.clone()), found, fields).map(Some);
        }
        let [column, fields @ ..] = parts else { return Ok(None) };
        let mut holders = Vec::new();
        for relation in &self.relations {
            if let Some(found) = pick(&relation.columns, column, |c| &c.name)? {
                holders.push((relation, found));
            }
        }
        match holders.as_slice() {
            [(relation, found)] => finish(Some(relation.qualifier.clone()), found, fields).map(Some),
            [] => match self.parent {
                Some(parent) => parent.path(parts),
                None => Ok(None),
            },
            [(_, found), others @ ..]
                if others.iter().all(|(relation, _)| {
                    relation.merged.iter().any(|merged| merged.eq_ignore_ascii_case(&column.value))
                }) =>
            {
                finish(None, found, fields).map(Some)
            }
            several => {
                let names: Vec<String> = several
                    .iter()
                    .map(|(relation, found)| format!("{}.{}", relation.qualifier, found.name))
                    .collect();
                Err(ambiguous(column, &names))
            }
        }
    }

    /// Every name that could have been meant, for hints.
    pub fn known(&self) -> Vec<&str> {
        let here =
            self.relations.iter().flat_map(|relation| relation.columns.iter().map(|c| c.name.as_str()));
        here.chain(self.parent.into_iter().flat_map(Scope::known)).collect()
    }
}

fn finish(qualifier: Option<String>, column: &Column, rest: &[Ident]) -> Result<Path, SqlError> {
    let mut path = Path {
        qualifier,
        column: column.name.clone(),
        fields: Vec::with_capacity(rest.len()),
        data_type: column.data_type.clone(),
    };
    for part in rest {
        let (name, data_type) = nested_field(&path.data_type, part)?;
        path.fields.push(name);
        path.data_type = data_type;
    }
    Ok(path)
}

/// The field of a struct type (or the key of a map) that a name means: its exact name and its type.
pub(crate) fn nested_field(data_type: &DataType, part: &Ident) -> Result<(String, DataType), SqlError> {
    match data_type {
        DataType::Struct(fields) => match pick(fields_slice(fields), part, |f| f.name())? {
            Some(field) => Ok((field.name().clone(), field.data_type().clone())),
            None => {
                let known: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
                Err(unknown("field", part, &known))
            }
        },
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                Ok((part.value.clone(), pair[1].data_type().clone()))
            }
            _ => Err(no_field(part, data_type)),
        },
        _ => Err(no_field(part, data_type)),
    }
}

fn fields_slice(fields: &Fields) -> &[arrow::datatypes::FieldRef] {
    fields
}

/// The one item of this name without regard to case; of several that differ by case only, the exact one.
fn pick<'a, T>(items: &'a [T], name: &Ident, of: impl Fn(&T) -> &String) -> Result<Option<&'a T>, SqlError> {
    let mut fitting = items.iter().filter(|item| of(item).eq_ignore_ascii_case(&name.value));
    let Some(first) = fitting.next() else { return Ok(None) };
    if fitting.next().is_none() {
        return Ok(Some(first));
    }
    let mut exact = items.iter().filter(|item| *of(item) == name.value);
    match (exact.next(), exact.next()) {
        (Some(one), None) => Ok(Some(one)),
        _ => {
            let names: Vec<String> = items
                .iter()
                .filter(|item| of(item).eq_ignore_ascii_case(&name.value))
                .map(|item| of(item).clone())
                .collect();
            Err(ambiguous(name, &names))
        }
    }
}

fn ambiguous(name: &Ident, candidates: &[String]) -> SqlError {
    let error = Error::new(&codes::SQL_PLAN, format!("column `{}` is ambiguous", name.value))
        .with_hint(format!("Write one of: {}.", candidates.join(", ")));
    SqlError::spanned(error, name.span)
}

fn no_field(part: &Ident, data_type: &DataType) -> SqlError {
    let error = Error::new(
        &codes::SQL_PLAN,
        format!("there is no field `{}` in a value of type {}", part.value, type_name(data_type)),
    )
    .with_hint("Only STRUCT and MAP values have fields.");
    SqlError::spanned(error, part.span)
}

/// An unknown name: the nearest known one, then all of them.
pub(crate) fn unknown(what: &str, name: &Ident, known: &[&str]) -> SqlError {
    let error = Error::new(&codes::SQL_PLAN, format!("unknown {what} `{}`", name.value))
        .with_hint(forebay_core::options::unknown_name(what, &name.value, known.iter().copied()).hint());
    SqlError::spanned(error, name.span)
}
