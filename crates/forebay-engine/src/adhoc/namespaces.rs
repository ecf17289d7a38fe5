//! `SHOW CATALOGS`, `SHOW SCHEMAS | DATABASES [IN catalog]`, `SHOW TABLES [IN schema]`, each with a pattern if one is
//! wanted: what of it is there.
//!
//! What is listed is there: the default catalog always, a schema with its first table. A schema that is named need not be listed:
//! the default one is known, as in Spark. What a name behind IN means: a catalog if there
//! is one of that name, else a schema of the default catalog. A pattern is Spark's: `*` for any letters, `|` between
//! alternatives, case makes no difference.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::ObjectName;
use forebay_core::catalog::{DEFAULT_CATALOG, DEFAULT_SCHEMA, TableName};
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, Result};

use super::described::Words;
use crate::plan::SqlError;

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Catalogs,
    Schemas,
    Tables,
}

/// A statement that lists.
#[derive(Debug)]
pub(super) struct Show {
    pub kind: Kind,
    /// The parts of the name behind IN, in lower case.
    of: Vec<String>,
    like: Option<String>,
}

impl Show {
    /// What the words behind SHOW ask for; `None` where they list nothing.
    pub fn of(words: &mut Words<'_>) -> Option<Result<Self, SqlError>> {
        let kinds = [
            ("CATALOGS", Kind::Catalogs),
            ("SCHEMAS", Kind::Schemas),
            ("DATABASES", Kind::Schemas),
            ("NAMESPACES", Kind::Schemas),
            ("TABLES", Kind::Tables),
        ];
        let (_, kind) = kinds.into_iter().find(|(word, _)| words.eats(&[word]))?;
        Some(Self::read(kind, words))
    }

    fn read(kind: Kind, words: &mut Words<'_>) -> Result<Self, SqlError> {
        let hint = "Write SHOW TABLES IN catalog.schema LIKE 'pattern*'.";
        let most = match kind {
            Kind::Catalogs => 0,
            Kind::Schemas => 1,
            Kind::Tables => 2,
        };
        let mut of = Vec::new();
        if most > 0 && (words.eats(&["IN"]) || words.eats(&["FROM"])) {
            of = words.name().as_ref().map(parts).unwrap_or_default();
            if !(1..=most).contains(&of.len()) {
                let error = Error::new(&codes::NOT_YET, "this name behind IN is not supported in SHOW");
                return Err(error.with_hint(hint).into());
            }
        }
        let is_like = words.eats(&["LIKE"]);
        let like = words.text().map(|like| like.to_lowercase());
        if is_like && like.is_none() {
            return Err(words.unexpected("SHOW", hint));
        }
        words.ended("SHOW", hint)?;
        Ok(Self { kind, of, like })
    }

    /// The catalogs.
    pub fn catalogs(&self, tables: &[TableName]) -> Vec<String> {
        let mut found: BTreeSet<&str> = tables.iter().map(TableName::catalog).collect();
        found.insert(DEFAULT_CATALOG);
        found.into_iter().filter(|name| self.fits(name)).map(str::to_owned).collect()
    }

    /// The schemas of a catalog, without it; of all catalogs where none is named, as namespaces.
    pub fn schemas(&self, tables: &[TableName]) -> Result<Vec<String>> {
        let mut found: BTreeSet<String> = BTreeSet::new();
        match self.of.first() {
            None => {
                found.extend(tables.iter().map(TableName::namespace));
            }
            Some(catalog) => {
                known("catalog", catalog, catalogs(tables))?;
                let of_it = tables.iter().filter(|table| table.catalog() == catalog);
                found.extend(of_it.map(|table| table.schema().to_owned()));
            }
        }
        Ok(found.into_iter().filter(|name| self.fits(name)).collect())
    }

    /// Namespace and name of the tables; `own` are in no catalog and stand in no namespace.
    pub fn tables(&self, own: Vec<String>, tables: &[TableName]) -> Result<Vec<(String, String)>> {
        let row = |table: &TableName| (table.namespace(), table.table().to_owned());
        let is_catalog = |name: &str| catalogs(tables).contains(name);
        let of_schema = |catalog: &str, schema: &str| {
            known("catalog", catalog, catalogs(tables))?;
            let in_catalog: Vec<&TableName> =
                tables.iter().filter(|table| table.catalog() == catalog).collect();
            let mut schemas: BTreeSet<&str> = in_catalog.iter().map(|table| table.schema()).collect();
            if catalog == DEFAULT_CATALOG {
                schemas.insert(DEFAULT_SCHEMA);
            }
            known("schema", schema, schemas)?;
            Ok::<Vec<(String, String)>, Error>(
                in_catalog.into_iter().filter(|table| table.schema() == schema).map(row).collect(),
            )
        };
        let found: Vec<(String, String)> = match self.of.as_slice() {
            [] => own.into_iter().map(|name| (String::new(), name)).chain(tables.iter().map(row)).collect(),
            [catalog] if is_catalog(catalog) => {
                tables.iter().filter(|table| table.catalog() == catalog).map(row).collect()
            }
            [schema] => of_schema(DEFAULT_CATALOG, schema)?,
            [catalog, schema, ..] => of_schema(catalog, schema)?,
        };
        let mut found: Vec<_> = found.into_iter().filter(|(_, table)| self.fits(table)).collect();
        found.sort();
        Ok(found)
    }

    fn fits(&self, name: &str) -> bool {
        let Some(like) = &self.like else { return true };
        let name = name.to_lowercase();
        like.split('|').any(|pattern| glob(pattern.trim(), &name))
    }
}

fn catalogs(tables: &[TableName]) -> BTreeSet<&str> {
    tables.iter().map(TableName::catalog).chain([DEFAULT_CATALOG]).collect()
}

fn known(what: &str, name: &str, names: BTreeSet<&str>) -> Result<()> {
    if names.contains(name) {
        return Ok(());
    }
    let error = unknown_name(what, name, names.into_iter());
    Err(Error::new(&codes::SQL_PLAN, error.message()).with_hint(error.hint()))
}

fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.to_lowercase()).collect()
}

/// True if a text is that of a pattern, in which `*` stands for any letters.
fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some((_, behind)) = rest.split_once(piece) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::super::described::Told;
    use super::*;
    use crate::plan::parse;

    const TABLES: [&str; 4] = ["plant.iot.hot", "plant.iot.cold", "iot.hot", "t"];

    /// What a statement lists, or its error, in one text.
    fn told(sql: &str) -> String {
        told_of(sql, &TABLES)
    }

    fn told_of(sql: &str, tables: &[&str]) -> String {
        let tables: Vec<TableName> = tables.iter().map(|name| TableName::parse(name).unwrap()).collect();
        let listed = || -> Result<String, SqlError> {
            let read = Told::read(&parse::words(sql)?).unwrap_or_else(|| panic!("{sql} lists nothing"))?;
            let Told::Show(show) = read else { panic!("{sql} is {read:?}") };
            Ok(match show.kind {
                Kind::Catalogs => show.catalogs(&tables).join(" "),
                Kind::Schemas => show.schemas(&tables)?.join(" "),
                Kind::Tables => {
                    let rows = show.tables(vec!["lake".to_owned()], &tables)?;
                    rows.iter().map(|(space, table)| format!("{space}/{table}")).collect::<Vec<_>>().join(" ")
                }
            })
        };
        listed().unwrap_or_else(|error| format!("{} {}", error.error.message(), error.error.hint()))
    }

    #[test]
    fn show_lists_what_is_there() {
        for (sql, expected) in [
            ("SHOW CATALOGS", "plant spark_catalog"),
            ("SHOW CATALOGS LIKE 'PL*'", "plant"),
            ("SHOW SCHEMAS", "default iot plant.iot"),
            ("SHOW DATABASES IN Plant", "iot"),
            ("SHOW SCHEMAS IN spark_catalog", "default iot"),
            ("SHOW SCHEMAS FROM plant LIKE 'x*'", ""),
            ("SHOW TABLES", "/lake default/t iot/hot plant.iot/cold plant.iot/hot"),
            ("SHOW TABLES IN iot", "iot/hot"),
            ("SHOW TABLES IN `default`", "default/t"),
            ("SHOW TABLES IN plant.IOT", "plant.iot/cold plant.iot/hot"),
            ("SHOW TABLES IN plant", "plant.iot/cold plant.iot/hot"),
            ("SHOW TABLES IN plant.iot LIKE 'c*|x'", "plant.iot/cold"),
            ("SHOW TABLES FROM plant.iot 'h*'", "plant.iot/hot"),
        ] {
            assert_eq!(told(sql), expected, "{sql}");
        }
        for (sql, words) in [
            ("SHOW TABLES IN plnt.iot", "Did you mean `plant`?"),
            ("SHOW TABLES IN plant.iott", "Did you mean `iot`?"),
            ("SHOW SCHEMAS IN plnt", "Did you mean `plant`?"),
            ("SHOW TABLES IN a.b.c", "not supported in SHOW"),
            ("SHOW SCHEMAS IN a.b", "not supported in SHOW"),
            ("SHOW TABLES WHERE x", "`WHERE` is not supported in SHOW"),
            ("SHOW TABLES LIKE x", "`x` is not supported in SHOW"),
            ("SHOW CATALOGS IN a", "`IN` is not supported in SHOW"),
        ] {
            assert!(told(sql).contains(words), "{sql}: {}", told(sql));
        }
    }

    #[test]
    fn a_schema_without_tables_is_not_listed_but_may_be_named() {
        let tables = ["plant.iot.hot"];
        for (sql, expected) in [
            ("SHOW SCHEMAS", "plant.iot"),
            ("SHOW SCHEMAS IN spark_catalog", ""),
            ("SHOW TABLES IN `default`", ""),
            ("SHOW TABLES IN default", ""),
        ] {
            assert_eq!(told_of(sql, &tables), expected, "{sql}");
        }
    }

    #[test]
    fn a_pattern_has_stars() {
        for (pattern, text, fits) in [
            ("pir*", "pir_stream", true),
            ("*stream", "pir_stream", true),
            ("p*_*m", "pir_stream", true),
            ("pir", "pir_stream", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }
}
