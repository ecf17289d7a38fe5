//! The numbers by which the catalogue knows tables: a hash of their names, so that they are the same at every start and
//! in every session, whatever else is there.

use std::collections::{BTreeMap, BTreeSet};

use crate::shown::sql::Relation;

/// The first number that is not PostgreSQL's own.
const FIRST: u32 = 16_384;
/// The numbers of schemas: those that PostgreSQL has, and two of ours.
const SCHEMAS: [(&str, i32); 5] = [
    ("pg_catalog", 11),
    ("public", 2_200),
    ("information_schema", 13_000),
    ("late", 16_385),
    ("forebay", 16_386),
];
/// The owner of everything, as in every PostgreSQL.
pub(super) const OWNER: i32 = 10;
/// The database.
pub(super) const DATABASE: i32 = 5;

/// The numbers of tables, by schema and name.
#[derive(Debug, Default)]
pub(super) struct Oids(BTreeMap<(String, String), i32>);

impl Oids {
    pub fn new(relations: &[Relation]) -> Self {
        let mut names: BTreeSet<(&str, &str)> =
            relations.iter().map(|it| (it.schema.as_str(), it.name.as_str())).collect();
        // Schemas of catalogs, as what has no name in them.
        names.extend(
            relations.iter().map(|it| (it.schema.as_str(), "")).filter(|(name, _)| fixed(name).is_none()),
        );
        let (mut taken, mut numbers) = (BTreeSet::new(), BTreeMap::new());
        for (schema, name) in names {
            let mut number = hash(schema, name);
            while !taken.insert(number) {
                number = number.wrapping_add(1) & 0x3fff_ffff | FIRST;
            }
            numbers.insert((schema.to_owned(), name.to_owned()), number.cast_signed());
        }
        Self(numbers)
    }

    /// Of a schema.
    pub fn schema(&self, name: &str) -> Option<i32> {
        fixed(name).or_else(|| self.of(name, ""))
    }

    /// All schemas.
    pub fn schemas(&self) -> Vec<(&str, i32)> {
        let of_catalogs = self.0.iter().filter(|((_, table), _)| table.is_empty());
        let of_catalogs = of_catalogs.map(|((schema, _), number)| (schema.as_str(), *number));
        SCHEMAS.into_iter().chain(of_catalogs).collect()
    }

    /// Of a table.
    pub fn of(&self, schema: &str, name: &str) -> Option<i32> {
        self.0.get(&(schema.to_owned(), name.to_owned())).copied()
    }
}

/// FNV-1a, kept below 2^30 and above PostgreSQL's own.
fn hash(schema: &str, name: &str) -> u32 {
    let bytes = schema.bytes().chain([0]).chain(name.bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // The lowest numbers are those of schemas.
    (hash & 0x3fff_ffff).max(FIRST + 16)
}

/// The number of a schema that is there always.
fn fixed(name: &str) -> Option<i32> {
    SCHEMAS.iter().find(|(own, _)| *own == name).map(|(_, oid)| *oid)
}
