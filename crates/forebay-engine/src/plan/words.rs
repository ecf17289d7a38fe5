//! DataFusion's refusals in Spark's words, and where in the SQL text they belong.
//!
//! DataFusion speaks of `Utf8` and `Float64`, of coercion and signatures, and often does not say where. Here its
//! sentences lose their prefixes and their advice, types get the names that stand in a schema ([`type_name`]), and
//! [`place_of`] looks for what a message names in the text. What must stay true: a sentence that is not known comes
//! out as it is, but for its types; nothing is invented.

use arrow::datatypes::DataType;
use datafusion::common::DataFusionError;

/// What DataFusion says, as Forebay's primary line: no prefixes, no backtrace, lower case, no period.
pub(crate) fn words(error: &DataFusionError) -> String {
    let root = error.find_root().strip_backtrace();
    let text = spark_types(&unmarked(&reworded(without_prefixes(&innermost(&root)))));
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    let first = chars.next();
    let second_is_lower = text.chars().nth(1).is_some_and(char::is_lowercase);
    match first {
        // `CAST failed …` keeps its capitals, `Cannot cast …` does not.
        Some(first) if second_is_lower => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

/// What the budget of a statement puts around expressions in its plan.
pub(crate) const HELD: &str = "__held";

/// The text without that mark: nobody wrote it.
fn unmarked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(HELD) {
        out.push_str(before);
        let end = after.starts_with('(').then(|| closing(after)).flatten();
        rest = match end {
            Some(end) => {
                out.push_str(&unmarked(&after[1..end - 1]));
                &after[end..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

/// What an error of Arrow says that a reader of files put, as Rust writes it, into one of its own.
fn innermost(text: &str) -> String {
    let inner = text.split_once("ArrowError(").and_then(|(_, error)| error.split_once("(\""));
    match inner.and_then(|(_, said)| said.split_once("\")")) {
        Some((said, _)) => said.replace("\\\"", "\""),
        None => text.to_owned(),
    }
}

const PREFIXES: [&str; 12] = [
    "Error during planning: ",
    "Execution error: ",
    "Arrow error: ",
    "Schema error: ",
    "SQL error: ",
    "This feature is not implemented: ",
    "External error: ",
    "Compute error: ",
    "Cast error: ",
    "Parser error: ",
    "Invalid argument error: ",
    "type_coercion\ncaused by\n",
];

fn without_prefixes(mut text: &str) -> &str {
    // A few layers each add a prefix of their own.
    for _ in 0..4 {
        for prefix in PREFIXES {
            text = text.strip_prefix(prefix).unwrap_or(text);
        }
    }
    text
}

/// What begins and what ends a sentence, and what it says here.
const SENTENCES: [(&str, &str, &str); 3] = [
    ("Cannot coerce arithmetic expression ", " to valid types", "cannot compute "),
    ("Cannot infer common argument type for comparison operation ", "", "cannot compare "),
    ("Cannot infer common argument type for logical boolean operation ", "", "cannot compute "),
];

/// What DataFusion says when no signature of a function fits, between its own words for why and its candidates.
const NO_MATCH: &str = "No function matches the given name and argument types '";

fn reworded(text: &str) -> String {
    for (begin, end, ours) in SENTENCES {
        if let Some(rest) = text.strip_prefix(begin) {
            return format!("{ours}{}", rest.strip_suffix(end).unwrap_or(rest));
        }
    }
    if let Some((_, inner)) = text.split_once("user-defined coercion failed with: ") {
        let inner = inner.split(NO_MATCH).next().unwrap_or(inner).trim();
        return without_prefixes(inner).to_owned();
    }
    if let Some((_, rest)) = text.split_once(NO_MATCH)
        && let Some((call, rest)) = rest.split_once("'. You might need")
    {
        return format!("cannot call {call}{}", candidates(rest));
    }
    if let Some((predicate, found)) = text
        .strip_prefix("Cannot create filter with non-boolean predicate '")
        .and_then(|rest| rest.rsplit_once("' returning "))
    {
        return format!("the condition `{predicate}` is of type {found}, not BOOLEAN");
    }
    if text.contains("must appear in the GROUP BY clause")
        && let Some(column) = text.split('"').nth(1)
    {
        return format!("column `{column}` must stand in GROUP BY or inside of an aggregate function");
    }
    text.to_owned()
}

/// `; it takes f(A) or f(B)`, if DataFusion can say so in names of types.
fn candidates(text: &str) -> String {
    const VAGUE: [&str; 6] = ["UserDefined", "Numeric(", "Comparable", "Any", "Coercible", "element"];
    let Some((_, list)) = text.split_once("Candidate functions:") else { return String::new() };
    let list: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if list.is_empty() || list.iter().any(|line| VAGUE.iter().any(|vague| line.contains(vague))) {
        return String::new();
    }
    format!("; it takes {}", list.join(" or "))
}

/// The text with Arrow's names of types in Spark's spelling; what is a name in quotes, or stands behind a dot, is a
/// column's.
fn spark_types(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let found = if out.ends_with('.') { None } else { spark_type(rest, word) };
        let length = match &found {
            Some((_, length)) => *length,
            None if word == 0 => name_in_quotes(rest).unwrap_or(first.len_utf8()),
            None => word,
        };
        out.push_str(found.as_ref().map_or(&rest[..length], |(name, _)| name));
        rest = &rest[length..];
    }
    out
}

/// How long the name in quotes is that a text begins with, quotes and all.
fn name_in_quotes(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| QUOTES.contains(c))?;
    let name = text[1..].split(quote).next()?;
    let is_name = !name.is_empty() && name.chars().all(|c| is_word(c) || c == '.');
    (is_name && text[1 + name.len()..].starts_with(quote)).then_some(name.len() + 2)
}

/// The type that a text begins with, and how long its name is. `word` is the length of its first word.
fn spark_type(text: &str, word: usize) -> Option<(String, usize)> {
    if !text.starts_with(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    // The logical type that DataFusion has for all texts.
    if &text[..word] == "String" {
        return Some(("STRING".to_owned(), word));
    }
    let with_arguments = text[word..].starts_with('(').then(|| closing(&text[word..])).flatten();
    [with_arguments.map(|end| word + end), Some(word)]
        .into_iter()
        .flatten()
        .find_map(|length| Some((type_name(&text[..length].parse::<DataType>().ok()?), length)))
}

/// How long the parentheses are that a text begins with.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => open += 1,
            ')' => open = open.saturating_sub(1),
            _ => {}
        }
        if open == 0 {
            return Some(at + 1);
        }
    }
    None
}

/// What helps, where it is not what helps with most of SQL.
pub(super) fn hint_of(message: &str) -> Option<&'static str> {
    if message.ends_with("must stand in GROUP BY or inside of an aggregate function") {
        return Some(
            "Put it into GROUP BY too, or say which of a group's values is meant: max(…), first(…), any_value(…).",
        );
    }
    let takes = message.strip_suffix(" takes numbers and a percentage")?;
    Some(match takes {
        "percentile_approx" => "Write percentile_approx(column, 0.9), or with array(0.5, 0.9) for several.",
        "percentile" => "Write percentile(column, 0.9), or with array(0.5, 0.9) for several.",
        _ => {
            "Write it with the percentage, a number from 0 to 1: percentile_cont(0.9) WITHIN GROUP (ORDER BY column)."
        }
    })
}

/// Line and column (from 1) of what a message names in a SQL text: a text in quotes, a column, a function.
pub(super) fn place_of(sql: &str, message: &str) -> Option<(usize, usize)> {
    // What a condition names may stand in the SELECT list as well.
    let is_condition = message.starts_with("the condition `");
    let start = if is_condition { find_word(sql, "where").unwrap_or(0) } else { 0 };
    let searched = &sql[start..];
    let quoted = || QUOTES.into_iter().flat_map(|quote| quoted(message, quote));
    let named = quoted().find_map(|name| find_word(searched, name.rsplit('.').next().unwrap_or(name)));
    let called = || functions(message).find_map(|name| find_call(searched, name));
    let at = start + named.or_else(called).or_else(|| searched.find(operator(message)?))?;
    let before = &sql[..at];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    Some((before.matches('\n').count() + 1, before[line_start..].chars().count() + 1))
}

const QUOTES: [char; 3] = ['`', '\'', '"'];

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What stands between two of these quotes; an apostrophe that has a word on the wrong side is none.
fn quoted(message: &str, quote: char) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open = None;
    for (at, _) in message.match_indices(quote) {
        match open {
            None if !message[..at].ends_with(is_word) => open = Some(at + 1),
            Some(start) if !message[at + 1..].starts_with(is_word) => {
                found.push(&message[start..at]);
                open = None;
            }
            _ => {}
        }
    }
    found
}

/// The functions that a message may name: words before a parenthesis (but types, which are in capitals), and what it
/// begins with.
fn functions(message: &str) -> impl Iterator<Item = &str> {
    let called = message.match_indices('(').filter_map(|(at, _)| {
        let start = message[..at].rfind(|c| !is_word(c)).map_or(0, |end| end + 1);
        message.get(start..at).filter(|name| name.contains(char::is_lowercase))
    });
    called.chain(message.split(|c| !is_word(c)).next())
}

/// The sign in a message such as `cannot compare INT = BINARY`.
fn operator(message: &str) -> Option<&str> {
    message.split(' ').find(|part| !part.is_empty() && part.chars().all(|c| "=<>!+-*/%|&^".contains(c)))
}

/// Where a word stands in a text, without regard to case; in quotes if it does.
fn find_word(sql: &str, name: &str) -> Option<usize> {
    let (sql, name) = (sql.to_ascii_lowercase(), name.to_ascii_lowercase());
    sql.find(&format!("'{name}'")).or_else(|| whole_words(&sql, &name).next())
}

/// Where a function is called: a keyword of its name is not meant.
fn find_call(sql: &str, name: &str) -> Option<usize> {
    let (sql, name) = (sql.to_ascii_lowercase(), name.to_ascii_lowercase());
    whole_words(&sql, &name).find(|at| sql[at + name.len()..].trim_start().starts_with('('))
}

fn whole_words<'a>(sql: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let found = sql.match_indices(name).map(|(at, _)| at).filter(|_| !name.is_empty());
    found.filter(|at| !sql[..*at].ends_with(is_word) && !sql[at + name.len()..].starts_with(is_word))
}

/// A type as Spark writes it, for messages and `DESCRIBE`.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "BINARY".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP_NTZ".to_owned(),
        DataType::Interval(_) => "INTERVAL".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("DECIMAL({precision},{scale})")
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            format!("ARRAY<{}>", type_name(item.data_type()))
        }
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{}: {}", field.name(), type_name(field.data_type())))
                .collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("MAP<{}, {}>", type_name(pair[0].data_type()), type_name(pair[1].data_type()))
            }
            other => other.to_string(),
        },
        other => other.to_string().to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_as_schemas_write_them() {
        for (theirs, ours) in [
            ("value of Int32 type", "value of INT type"),
            ("Float64 AND Utf8View", "DOUBLE AND STRING"),
            ("Int32 = List(Int64, field: 'element')", "INT = ARRAY<BIGINT>"),
            ("Timestamp(µs, \"UTC\") or Timestamp(µs) or Date32", "TIMESTAMP or TIMESTAMP_NTZ or DATE"),
            ("Decimal128(10, 2)/Float32", "DECIMAL(10,2)/FLOAT"),
            ("upper(String), not Int", "upper(STRING), not Int"),
            ("List (of", "List (of"),
            ("öffne Int64(", "öffne BIGINT("),
            (
                "column 'Binary' or \"t.Date32\" of `Binary` + Int64(1)",
                "column 'Binary' or \"t.Date32\" of `Binary` + BIGINT(1)",
            ),
            ("iot.Date32 isn't Date32", "iot.Date32 isn't DATE"),
            ("predicate `n + Int64(1)`", "predicate `n + BIGINT(1)`"),
        ] {
            assert_eq!(spark_types(theirs), ours);
        }
    }

    #[test]
    fn marks_of_the_plan_are_not_told() {
        let text = "\"__held(CAST(__held(a) AS STRING))\" and (__held(b)), __held, __held(";
        assert_eq!(unmarked(text), "\"CAST(a AS STRING)\" and (b), , (");
    }

    #[test]
    fn an_error_inside_of_a_readers_error_is_told_alone() {
        let text = r#"Parquet error: External: Compute error: Error evaluating filter predicate: ArrowError(CastError("Cannot cast string 'a\"b' to value of Int64 type"), Some(""))"#;
        let error = DataFusionError::External(text.into());
        assert_eq!(words(&error), "cannot cast string 'a\"b' to value of BIGINT type");
    }

    #[test]
    fn a_place_is_that_of_what_is_named() {
        let sql = "SELECT n, upper(1)\n  FROM iot WHERE device_id = 'x' AND upper_case";
        for (message, place) in [
            ("cannot call upper(BIGINT)", Some((1, 11))),
            ("the condition `iot.DEVICE_ID` is of type STRING, not BOOLEAN", Some((2, 18))),
            ("the condition `iot.n` is of type STRING, not BOOLEAN", None),
            ("cannot cast string 'x' to value of INT type", Some((2, 30))),
            ("cannot compare BIGINT = STRING", Some((2, 28))),
            ("DECIMAL(10,2) does not fit", None),
            ("nothing is named", None),
            ("where is it", None),
            ("it won't do.FROM'll fail", None),
            ("it isn't there: 'DEVICE_ID', nor's another", Some((2, 18))),
        ] {
            assert_eq!(place_of(sql, message), place, "{message}");
        }
    }
}
