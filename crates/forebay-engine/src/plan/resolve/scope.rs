//! Which names mean which columns at one place of a query.
//!
//! Spark compares names without regard to case; DataFusion compares them exactly. Everything that finds a name here
//! answers with the spelling that the schema has, and that spelling is what DataFusion reads.

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::Ident;
use forebay_core::Error;
use forebay_core::error::codes;

use super::record::is_handed_on;
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

impl Column {
    /// False if it was put there by the planner for itself.
    pub fn can_be_named(&self) -> bool {
        !self.hidden || !is_handed_on(&self.name)
    }
}

/// One item of a FROM clause.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    /// Its alias, or the last part of its name.
    pub qualifier: String,
    pub columns: Vec<Column>,
    /// True if it reads tables at rest and nothing else, or is made of arrays.
    pub is_at_rest: bool,
}

impl Relation {
    /// The names of its columns, for hints.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        let columns = self.columns.iter().map(|column| column.name.as_str());
        columns.filter(|name| !is_handed_on(name))
    }
}

/// A column that `*` gives, and that its bare name means.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub name: String,
    pub data_type: DataType,
    /// Left out by `*`.
    pub hidden: bool,
    /// The relation's qualifier and its column; of several, which `USING` has made one, the first that is not NULL.
    pub of: Vec<(String, String)>,
}

/// What a FROM clause, or a part of it, brings into scope.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub relations: Vec<Relation>,
    /// In the order of `*`.
    pub given: Vec<Given>,
    /// How many streams are joined in it, those without names behind the join among them.
    pub streams: usize,
}

impl Tables {
    /// One relation.
    pub fn one(relation: Relation) -> Self {
        let given = relation.columns.iter().filter(|column| column.can_be_named()).map(|column| Given {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            hidden: column.hidden,
            of: vec![(relation.qualifier.clone(), column.name.clone())],
        });
        let streams = usize::from(!relation.is_at_rest);
        Self { given: given.collect(), relations: vec![relation], streams }
    }

    pub fn extend(&mut self, other: Self) {
        self.relations.extend(other.relations);
        self.given.extend(other.given);
        self.streams += other.streams;
    }

    /// The column that a bare name means.
    pub fn named(&self, name: &Ident) -> Result<Option<&Given>, SqlError> {
        let fitting: Vec<&Given> =
            self.given.iter().filter(|given| given.name.eq_ignore_ascii_case(&name.value)).collect();
        let relation = |given: &&Given| match given.of.as_slice() {
            [(qualifier, _)] => Some(qualifier.clone()),
            _ => None,
        };
        match fitting.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            // Of one relation's columns that differ by case only, the exact one.
            [first, others @ ..]
                if relation(first).is_some() && others.iter().all(|it| relation(it) == relation(first)) =>
            {
                match fitting.iter().filter(|it| it.name == name.value).collect::<Vec<_>>().as_slice() {
                    [exact] => Ok(Some(exact)),
                    _ => Err(ambiguous(name, &fitting.iter().map(|it| it.name.clone()).collect::<Vec<_>>())),
                }
            }
            several => {
                let of = several.iter().flat_map(|given| &given.of);
                let names: Vec<String> =
                    of.map(|(qualifier, column)| format!("{qualifier}.{column}")).collect();
                Err(ambiguous(name, &names))
            }
        }
    }
}

/// The names that an expression can use.
#[derive(Debug)]
pub(crate) struct Scope<'p> {
    pub tables: Tables,
    /// The query around this one, for correlated subqueries.
    pub parent: Option<&'p Scope<'p>>,
}

/// A path such as `a.b.c`, understood.
#[derive(Debug)]
pub(crate) struct Path {
    /// The relation's qualifier and its column; see [`Given`].
    pub of: Vec<(String, String)>,
    /// Names of nested fields, outermost first.
    pub fields: Vec<String>,
    /// The type at the end of the path.
    pub data_type: DataType,
}

impl Scope<'_> {
    /// The relation that a qualifier names.
    pub fn relation(&self, qualifier: &str) -> Option<&Relation> {
        self.tables.relations.iter().find(|relation| relation.qualifier.eq_ignore_ascii_case(qualifier))
    }

    /// What a path of names means: first `relation.column.field…`, then `column.field…`, then the same in the query
    /// around. `Ok(None)` if nothing fits.
    pub fn path(&self, parts: &[Ident]) -> Result<Option<Path>, SqlError> {
        if let [qualifier, column, fields @ ..] = parts
            && let Some(relation) = self.relation(&qualifier.value)
            && let Some(found) =
                pick(relation.columns.iter().filter(|c| c.can_be_named()), column, |c| &c.name)?
        {
            return finish(vec![(relation.qualifier.clone(), found.name.clone())], &found.data_type, fields)
                .map(Some);
        }
        let [column, fields @ ..] = parts else { return Ok(None) };
        match (self.tables.named(column)?, self.parent) {
            (Some(given), _) => finish(given.of.clone(), &given.data_type, fields).map(Some),
            (None, Some(parent)) => parent.path(parts),
            (None, None) => Ok(None),
        }
    }

    /// Every name that could have been meant, for hints.
    pub fn known(&self) -> Vec<&str> {
        let here = self.tables.relations.iter().flat_map(|relation| relation.known());
        here.chain(self.parent.into_iter().flat_map(Scope::known)).collect()
    }
}

fn finish(of: Vec<(String, String)>, data_type: &DataType, rest: &[Ident]) -> Result<Path, SqlError> {
    let mut path = Path { of, fields: Vec::with_capacity(rest.len()), data_type: data_type.clone() };
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
        DataType::Struct(fields) => match pick(fields.iter(), part, |f| f.name())? {
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

/// The one item of this name without regard to case; of several that differ by case only, the exact one.
fn pick<'a, T>(
    items: impl Iterator<Item = &'a T>,
    name: &Ident,
    of: impl Fn(&T) -> &String,
) -> Result<Option<&'a T>, SqlError> {
    let fitting: Vec<&T> = items.filter(|item| of(item).eq_ignore_ascii_case(&name.value)).collect();
    if let [] | [_] = fitting.as_slice() {
        return Ok(fitting.first().copied());
    }
    let mut exact = fitting.iter().filter(|item| *of(item) == name.value);
    match (exact.next(), exact.next()) {
        (Some(one), None) => Ok(Some(one)),
        _ => {
            let names: Vec<String> = fitting.iter().map(|item| of(item).clone()).collect();
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
