//! The leaves of a schema: what a person sees as its fields, by dotted names.
//!
//! `id STRING, site STRUCT<pos: STRUCT<lat: DOUBLE>>` has the leaves `id` and `site.pos.lat`. Arrays, maps and binary
//! values are no fields: a page cannot show them in a cell. What must stay true: a leaf's `path` leads to its column in
//! every batch of the schema.

use arrow::datatypes::{DataType, FieldRef, Schema};

/// One leaf.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The names from the column down, divided by dots.
    pub name: String,
    /// The indices from the column down, never empty.
    pub path: Vec<usize>,
    /// The leaf itself.
    pub field: FieldRef,
}

impl Leaf {
    /// Its own name, without those above it.
    pub fn last_name(&self) -> &str {
        self.field.name()
    }

    /// What its values are.
    pub fn kind(&self) -> Kind {
        kind_of(self.field.data_type()).unwrap_or(Kind::Text)
    }

    /// Which coordinate its values are by its own name, if any.
    pub fn coordinate(&self) -> Option<Coordinate> {
        let is_one_of = |names: &[&str]| names.contains(&plain_name(self.last_name()).as_str());
        match self.kind() {
            Kind::Number if is_one_of(&["lat", "latitude"]) => Some(Coordinate::Latitude),
            Kind::Number if is_one_of(&["lon", "lng", "long", "longitude"]) => Some(Coordinate::Longitude),
            _ => None,
        }
    }

    /// True if its values can tell devices apart: texts, whole numbers, truths.
    pub fn can_be_label(&self) -> bool {
        self.kind() == Kind::Bool || self.can_be_key()
    }

    /// True if its values can name a device: texts and whole numbers.
    pub fn can_be_key(&self) -> bool {
        self.kind() == Kind::Text || plain(self.field.data_type()).is_integer()
    }
}

/// A number that says where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinate {
    /// Degrees north.
    Latitude,
    /// Degrees east.
    Longitude,
}

/// A name in lower case, without what divides words.
pub fn plain_name(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ')).flat_map(char::to_lowercase).collect()
}

/// What the values of a leaf are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers, floating point, decimals.
    Number,
    /// Texts.
    Text,
    /// True or false.
    Bool,
    /// Dates and timestamps.
    Time,
}

impl Kind {
    /// The word for it: `number`, `text`, `bool`, `time`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Text => "text",
            Self::Bool => "bool",
            Self::Time => "time",
        }
    }
}

/// The leaves of a schema, in its order. Where two have the same dotted name only the first counts.
pub fn leaves(schema: &Schema) -> Vec<Leaf> {
    let mut found = Vec::new();
    let mut names = std::collections::HashSet::new();
    for (index, field) in schema.fields().iter().enumerate() {
        gather(&mut found, &mut names, field, field.name().clone(), vec![index]);
    }
    found
}

/// Walks down; a schema's depth is bounded ([`MAX_DEPTH`](crate::ddl::MAX_DEPTH)).
fn gather(
    found: &mut Vec<Leaf>,
    names: &mut std::collections::HashSet<String>,
    field: &FieldRef,
    name: String,
    path: Vec<usize>,
) {
    if let DataType::Struct(fields) = field.data_type() {
        for (index, inner) in fields.iter().enumerate() {
            let mut inner_path = path.clone();
            inner_path.push(index);
            gather(found, names, inner, format!("{name}.{}", inner.name()), inner_path);
        }
    } else if kind_of(field.data_type()).is_some() && names.insert(name.clone()) {
        found.push(Leaf { name, path, field: field.clone() });
    }
}

fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn kind_of(data_type: &DataType) -> Option<Kind> {
    match plain(data_type) {
        DataType::Boolean => Some(Kind::Bool),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Kind::Text),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Some(Kind::Time),
        other if other.is_numeric() => Some(Kind::Number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl;

    fn names(text: &str) -> Vec<String> {
        leaves(&ddl::parse(text).unwrap()).into_iter().map(|leaf| leaf.name).collect()
    }

    #[test]
    fn structs_are_flattened_and_lists_maps_and_bytes_are_no_fields() {
        let text = "id STRING, tags MAP<STRING, STRING>, list ARRAY<INT>, raw BINARY, \
                    site STRUCT<name: STRING, pos: STRUCT<lat: DOUBLE, lon: DOUBLE>>, ok BOOLEAN";
        assert_eq!(names(text), ["id", "site.name", "site.pos.lat", "site.pos.lon", "ok"]);
    }

    #[test]
    fn paths_lead_to_the_columns() {
        let schema = ddl::parse("a INT, b STRUCT<c: INT, d: STRUCT<e: STRING>>").unwrap();
        for leaf in leaves(&schema) {
            let mut field = schema.fields()[leaf.path[0]].clone();
            for index in &leaf.path[1..] {
                let DataType::Struct(fields) = field.data_type().clone() else { panic!("{}", leaf.name) };
                field = fields[*index].clone();
            }
            assert_eq!(field, leaf.field);
        }
    }

    #[test]
    fn of_two_leaves_with_the_same_dotted_name_the_first_counts() {
        let found = leaves(&ddl::parse("`a.b` INT, a STRUCT<b: STRING>").unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].kind(), Kind::Number);
    }

    #[test]
    fn the_deepest_schema_that_can_be_written_has_its_leaf() {
        let depth = ddl::MAX_DEPTH - 1;
        let text = format!("x {}v INT{}", "STRUCT<a: ".repeat(depth - 1) + "STRUCT<", ">".repeat(depth));
        let found = leaves(&ddl::parse(&text).unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path.len(), depth + 1);
    }
}
