//! Columns by their names: which one a path means, and which ones a condition names.
//!
//! As in SQL a dot leads into a struct, and a name with a dot of its own stands in backquotes. Where nothing else is meant the
//! backquotes may be left out: `{a.b}` in a message is the column `a.b` of a schema whose `a` has no field `b`.

use arrow::datatypes::{DataType, Fields, Schema};

/// A column that a text means.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its names from the top down, as the schema spells them.
    pub parts: Vec<String>,
    /// Its name for people: the parts with dots between, in backquotes where that could mean another column.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

/// The column that a path such as `device.id` means, without regard to case.
pub fn find(schema: &Schema, path: &str) -> Option<Column> {
    let parts = split(path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    find_parts(schema, &parts).or_else(|| {
        let (parts, data_type) = undivided(schema.fields(), path.trim())?;
        Some(column(schema, parts, data_type))
    })
}

fn find_parts(schema: &Schema, parts: &[&str]) -> Option<Column> {
    let (parts, data_type) = walk(schema.fields(), parts)?;
    Some(column(schema, parts, data_type))
}

fn column(schema: &Schema, parts: Vec<String>, data_type: DataType) -> Column {
    let plain = parts.join(".");
    let split: Vec<&str> = plain.split('.').collect();
    let is_another = split.len() != parts.len() && walk(schema.fields(), &split).is_some();
    let name = if is_another { in_quotes(&parts) } else { plain };
    Column { parts, name, data_type }
}

fn walk(fields: &Fields, parts: &[&str]) -> Option<(Vec<String>, DataType)> {
    let (first, rest) = parts.split_first()?;
    let field = fields.iter().find(|field| field.name().eq_ignore_ascii_case(first))?;
    match (rest, field.data_type()) {
        ([], data_type) => Some((vec![field.name().clone()], data_type.clone())),
        (rest, DataType::Struct(inside)) => Some(below(field.name(), walk(inside, rest)?)),
        _ => None,
    }
}

/// The same of a text whose dots may belong to names.
fn undivided(fields: &Fields, text: &str) -> Option<(Vec<String>, DataType)> {
    fields.iter().find_map(|field| {
        let name = field.name();
        if name.eq_ignore_ascii_case(text) {
            return Some((vec![name.clone()], field.data_type().clone()));
        }
        let DataType::Struct(inside) = field.data_type() else { return None };
        let begins = text.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
        let rest = text.get(name.len()..).filter(|_| begins)?.strip_prefix('.')?;
        Some(below(name, undivided(inside, rest)?))
    })
}

fn below(name: &str, (mut parts, data_type): (Vec<String>, DataType)) -> (Vec<String>, DataType) {
    parts.insert(0, name.to_owned());
    (parts, data_type)
}

/// The parts of a path: divided by dots, or in backquotes, where two of them stand for one.
fn split(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut rest = path.trim().chars().peekable();
    while let Some(c) = rest.next() {
        let Some(part) = parts.last_mut() else { break };
        match c {
            '`' if quoted && rest.next_if_eq(&'`').is_some() => part.push('`'),
            '`' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            c => part.push(c),
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
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

/// A column of a table as SQL.
pub fn quoted(table: &str, parts: &[String]) -> String {
    format!("{}.{}", in_quotes(&[table.to_owned()]), in_quotes(parts))
}

/// A column as SQL, without its table.
pub fn in_quotes(parts: &[String]) -> String {
    parts.iter().map(|part| format!("`{}`", part.replace('`', "``"))).collect::<Vec<_>>().join(".")
}

/// The columns that a condition names, as the schema spells them, in the order in which it first does. `table` is what
/// may stand before a column.
pub fn named(condition: &str, table: &str, schema: &Schema) -> Vec<Column> {
    let mut found: Vec<Column> = Vec::new();
    for path in paths(condition) {
        let qualified = path.len() > 1 && path[0].eq_ignore_ascii_case(table);
        let whole = (1..=path.len()).rev().find_map(|end| {
            let parts = |from: usize| path[from..end].iter().map(String::as_str).collect::<Vec<_>>();
            let inside = || (qualified && end > 1).then(|| find_parts(schema, &parts(1))).flatten();
            find_parts(schema, &parts(0)).or_else(inside)
        });
        found.extend(whole.filter(|column| !found.contains(column)));
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
            let named: Vec<String> =
                named(condition, "iot", &schema).into_iter().map(|column| column.name).collect();
            assert_eq!(named, expected, "{condition}");
        }
        assert_eq!(names(&schema), ["device_id", "Temperature", "site.hall", "site.pos.lat", "odd name"]);
        let hall = find(&schema, "SITE.hall").unwrap();
        assert_eq!(quoted("iot", &hall.parts), "`iot`.`site`.`hall`");
    }

    #[test]
    fn a_dot_in_a_name_is_told_from_one_between_names() {
        let of = |ddl: &str, path: &str| {
            let column = find(&ddl::parse(ddl).unwrap(), path)?;
            Some((quoted("t", &column.parts), column.name))
        };
        let told = |sql: &str, name: &str| Some((sql.to_owned(), name.to_owned()));
        let both = "a STRUCT<b: STRING>, `a.b` INT";
        assert_eq!(of(both, "a.b"), told("`t`.`a`.`b`", "a.b"), "as in SQL");
        assert_eq!(of(both, "`a.b`"), told("`t`.`a.b`", "`a.b`"));
        assert_eq!(of("`a.b` INT", "A.B"), told("`t`.`a.b`", "a.b"), "nothing else can be meant");
        assert_eq!(of("s STRUCT<`a.b`: INT>", "s.a.b"), told("`t`.`s`.`a.b`", "s.a.b"));
        assert_eq!(of("s STRUCT<`a.b`: INT>", "s.`a.b`"), told("`t`.`s`.`a.b`", "s.a.b"));
        assert_eq!(of("`it``s` INT", "`it``s`"), told("`t`.`it``s`", "it`s"));
        assert_eq!(
            (of("a STRUCT<b: INT>", "`a.b`"), of("a INT", "a.b"), of("a INT", "")),
            (None, None, None)
        );
    }
}
