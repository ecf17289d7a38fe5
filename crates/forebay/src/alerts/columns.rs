//! Columns by their names: which one a path means, and which ones a condition names.

use arrow::datatypes::{DataType, Fields, Schema};

/// The column that a path such as `device.id` means, without regard to case: its name as the schema spells it, and its
/// type.
pub fn find(schema: &Schema, path: &str) -> Option<(String, DataType)> {
    let parts: Vec<&str> = path.split('.').map(|part| part.trim().trim_matches('`')).collect();
    find_parts(schema.fields(), &parts)
}

fn find_parts(fields: &Fields, parts: &[&str]) -> Option<(String, DataType)> {
    let (first, rest) = parts.split_first()?;
    let field = fields.iter().find(|field| field.name().eq_ignore_ascii_case(first))?;
    match (rest, field.data_type()) {
        ([], data_type) => Some((field.name().clone(), data_type.clone())),
        (rest, DataType::Struct(inside)) => {
            let (name, data_type) = find_parts(inside, rest)?;
            Some((format!("{}.{name}", field.name()), data_type))
        }
        _ => None,
    }
}

/// Every column that can be named, nested ones with dots.
pub fn names(schema: &Schema) -> Vec<String> {
    fn add(fields: &Fields, before: &str, names: &mut Vec<String>) {
        for field in fields {
            let name = format!("{before}{}", field.name());
            match field.data_type() {
                DataType::Struct(inside) => add(inside, &format!("{name}."), names),
                _ => names.push(name),
            }
        }
    }
    let mut names_of = Vec::new();
    add(schema.fields(), "", &mut names_of);
    names_of
}

/// A column's name as SQL, its parts in quotes.
pub fn quoted(table: &str, column: &str) -> String {
    let parts = std::iter::once(table).chain(column.split('.'));
    parts.map(|part| format!("`{}`", part.replace('`', "``"))).collect::<Vec<_>>().join(".")
}

/// The columns that a condition names, as the schema spells them, in the order in which it first does. `table` is what
/// may stand before a column.
pub fn named(condition: &str, table: &str, schema: &Schema) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for path in paths(condition) {
        let qualified = path.len() > 1 && path[0].eq_ignore_ascii_case(table);
        let whole = (1..=path.len()).rev().find_map(|end| {
            let parts = |from: usize| path[from..end].iter().map(String::as_str).collect::<Vec<_>>();
            let inside = || (qualified && end > 1).then(|| find_parts(schema.fields(), &parts(1))).flatten();
            find_parts(schema.fields(), &parts(0)).or_else(inside)
        });
        if let Some((name, _)) = whole.filter(|(name, _)| !found.contains(name)) {
            found.push(name);
        }
    }
    found
}

/// The paths of names in SQL text, those of functions left out.
fn paths(sql: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '\'' | '"' => after_text(rest, first),
            '-' if rest.starts_with("--") => &rest[rest.find('\n').unwrap_or(rest.len())..],
            '/' if rest.starts_with("/*") => rest.find("*/").map_or("", |end| &rest[end + 2..]),
            '`' | '_' => after_path(rest, &mut paths),
            c if c.is_alphabetic() => after_path(rest, &mut paths),
            c if c.is_ascii_digit() => {
                rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '.' || c == '_')
            }
            c => &rest[c.len_utf8()..],
        };
    }
    paths
}

/// What stands after the text in quotes with which `rest` begins.
fn after_text(rest: &str, quote: char) -> &str {
    let mut escaped = true;
    for (at, c) in rest.char_indices() {
        match c {
            c if c == quote && !escaped => return &rest[at + c.len_utf8()..],
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    ""
}

/// Takes the path with which `rest` begins, unless it is a function's name; gives what stands after it.
fn after_path<'s>(rest: &'s str, paths: &mut Vec<Vec<String>>) -> &'s str {
    let mut parts = Vec::new();
    let mut at = rest;
    loop {
        let (part, after) = match at.strip_prefix('`') {
            Some(inside) => inside.split_once('`').unwrap_or((inside, "")),
            None => {
                let end = at.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(at.len());
                at.split_at(end)
            }
        };
        parts.push(part.to_owned());
        at = after;
        match at.strip_prefix('.') {
            Some(more) if more.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '`') => at = more,
            _ => break,
        }
    }
    if !at.trim_start().starts_with('(') {
        paths.push(parts);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_core::ddl;

    #[test]
    fn a_condition_names_its_columns_whatever_stands_around_them() {
        let ddl = "device_id STRING, Temperature DOUBLE, site STRUCT<hall: STRING, pos: STRUCT<lat: DOUBLE>>, `odd name` INT";
        let schema = ddl::parse(ddl).unwrap();
        for (condition, expected) in [
            ("temperature > 70", &["Temperature"][..]),
            ("TEMPERATURE > 70 OR iot.temperature < 1e5", &["Temperature"]),
            ("site.pos.lat > 3 AND Site.Hall = 'device_id'", &["site.pos.lat", "site.hall"]),
            ("upper (device_id) = \"temperature\\\"site\" -- site.hall", &["device_id"]),
            (
                "`odd name` IN (1, 2) /* temperature */ AND iot.`device_id` IS NOT NULL",
                &["odd name", "device_id"],
            ),
            ("site.pos IS NULL", &["site.pos"]),
            ("_kafka.offset > 5 AND now() > 3", &[]),
            ("'", &[]),
            ("`", &[]),
        ] {
            assert_eq!(named(condition, "iot", &schema), expected, "{condition}");
        }
        assert_eq!(names(&schema), ["device_id", "Temperature", "site.hall", "site.pos.lat", "odd name"]);
        assert_eq!(quoted("iot", "site.hall"), "`iot`.`site`.`hall`");
    }
}
