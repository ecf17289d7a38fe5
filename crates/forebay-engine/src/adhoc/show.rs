//! What SHOW and DESCRIBE answer, with Spark's columns, and the plans of EXPLAIN.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, MapBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use forebay_core::catalog::TableName;
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::described::{About, Commit};
use super::namespaces::{Kind, Show};
use crate::plan::words::type_name;

/// A line of DESCRIBE: a name, its type or what is known of it, and a remark.
type Line = (String, String, Option<String>);

/// What a SHOW lists: `catalog`, `namespace`, or `namespace`, `tableName` and `isTemporary`.
pub(super) fn listed(show: &Show, mut names: Vec<String>, catalog: Vec<TableName>) -> Result<RecordBatch> {
    match show.kind {
        Kind::Catalogs => one("catalog", show.catalogs(&catalog)),
        Kind::Schemas => one("namespace", show.schemas(&catalog)?),
        Kind::Tables => {
            names.retain(|name| catalog.iter().all(|table| table.to_string() != *name));
            let (namespaces, names): (Vec<String>, Vec<String>) =
                show.tables(names, &catalog)?.into_iter().unzip();
            let rows = names.len();
            rows_of(
                vec![
                    Field::new("namespace", DataType::Utf8, false),
                    Field::new("tableName", DataType::Utf8, false),
                    Field::new("isTemporary", DataType::Boolean, false),
                ],
                vec![
                    Arc::new(StringArray::from(namespaces)),
                    Arc::new(StringArray::from(names)),
                    Arc::new(BooleanArray::from(vec![false; rows])),
                ],
            )
        }
    }
}

fn one(name: &str, values: Vec<String>) -> Result<RecordBatch> {
    rows_of(vec![Field::new(name, DataType::Utf8, false)], vec![Arc::new(StringArray::from(values))])
}

/// `col_name` alone.
pub(super) fn column_names(schema: &Schema) -> Result<RecordBatch> {
    one("col_name", schema.fields().iter().map(|field| field.name().clone()).collect())
}

/// `col_name`, `data_type`, `comment`; with a name and what is known of it, that stands below the columns, as Spark has it.
pub(super) fn described(schema: &Schema, extended: Option<(&str, Option<&About>)>) -> Result<RecordBatch> {
    let mut rows: Vec<Line> = Vec::new();
    for field in schema.fields() {
        let comment = field.metadata().get(forebay_core::ddl::COMMENT).cloned();
        rows.push((field.name().clone(), type_name(field.data_type()).to_lowercase(), comment));
    }
    if let Some((name, about)) = extended {
        let mut row = |name: &str, value: &str| rows.push((name.to_owned(), value.to_owned(), None));
        row("", "");
        row("# Detailed Table Information", "");
        row("Name", name);
        if let Some(About { provider, location, is_managed }) = about {
            row(
                "Type",
                if provider == "view" {
                    "VIEW"
                } else if *is_managed {
                    "MANAGED"
                } else {
                    "EXTERNAL"
                },
            );
            row("Provider", provider);
            location.iter().for_each(|location| row("Location", location));
        }
    }
    let texts = |of: fn(&Line) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    rows_of(
        vec![
            Field::new("col_name", DataType::Utf8, false),
            Field::new("data_type", DataType::Utf8, false),
            Field::new("comment", DataType::Utf8, true),
        ],
        vec![texts(|row| Some(row.0.clone())), texts(|row| Some(row.1.clone())), texts(|row| row.2.clone())],
    )
}

/// `version`, `timestamp`, `operation`, `operationParameters`: the newest first, as they are told.
pub(super) fn history(commits: &[Commit]) -> Result<RecordBatch> {
    let micros = |commit: &Commit| commit.timestamp_ms.and_then(|ms| ms.checked_mul(1_000));
    let times: TimestampMicrosecondArray = commits.iter().map(micros).collect();
    let versions = commits.iter().map(|commit| i64::try_from(commit.version).ok());
    let mut parameters = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for commit in commits {
        for (name, value) in &commit.parameters {
            parameters.keys().append_value(name);
            parameters.values().append_value(value);
        }
        parameters.append(true).map_err(unfit)?;
    }
    let parameters = parameters.finish();
    let times = times.with_timezone("UTC");
    let operations = commits.iter().map(|commit| commit.operation.as_deref());
    rows_of(
        vec![
            Field::new("version", DataType::Int64, true),
            Field::new("timestamp", times.data_type().clone(), true),
            Field::new("operation", DataType::Utf8, true),
            Field::new("operationParameters", parameters.data_type().clone(), true),
        ],
        vec![
            Arc::new(versions.collect::<Int64Array>()),
            Arc::new(times),
            Arc::new(operations.collect::<StringArray>()),
            Arc::new(parameters),
        ],
    )
}

/// What EXPLAIN gives, a row for each line of a plan: the kind of plan stands in the first one.
pub(super) fn line_by_line(plans: &RecordBatch) -> Result<RecordBatch> {
    let [kinds, texts] = plans.columns() else { return Ok(plans.clone()) };
    let (Some(kinds), Some(texts)) = (kinds.as_string_opt::<i32>(), texts.as_string_opt::<i32>()) else {
        return Ok(plans.clone());
    };
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for (kind, text) in kinds.iter().flatten().zip(texts.iter().flatten()) {
        let kind = std::iter::once(kind).chain(std::iter::repeat(""));
        lines.extend(kind.zip(text.trim_end().lines()));
    }
    let kinds = StringArray::from_iter_values(lines.iter().map(|(kind, _)| kind));
    let lines = StringArray::from_iter_values(lines.iter().map(|(_, line)| line));
    RecordBatch::try_new(plans.schema(), vec![Arc::new(kinds), Arc::new(lines)])
        .map_err(|error| Error::new(&codes::INTERNAL, "a plan does not fit its schema").caused_by(error))
}

/// Lines of a plan in which of a file's path only the folder of its table is left, and what lies below it.
pub(super) fn without_folders(lines: &ArrayRef) -> Option<ArrayRef> {
    let lines = lines.as_string_opt::<i32>()?;
    let lines = lines.iter().map(|line| line.map(hidden));
    Some(Arc::new(lines.collect::<StringArray>()))
}

/// What a list of files begins and ends with in the line of a scan.
const FILES: (&str, char) = ("file_groups={", '}');

fn hidden(line: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(line.len()), line);
    while let Some(start) = rest.find(FILES.0) {
        let end = rest[start..].find(FILES.1).map_or(rest.len(), |end| start + end);
        let (before, files) = (&rest[..start], &rest[start..end]);
        out.push_str(&without_urls(before));
        for piece in files.split_inclusive(['[', ',']) {
            let path = piece.trim_start();
            out.push_str(&piece[..piece.len() - path.len()]);
            out.push_str(of_table(path));
        }
        rest = &rest[end..];
    }
    out.push_str(&without_urls(rest));
    out
}

/// A path from its table's folder on: above it are neither files nor folders of partitions.
fn of_table(path: &str) -> &str {
    let file = path.rfind('/').map_or(0, |slash| slash + 1);
    let mut from = file;
    while let Some(above) = path[..from].strip_suffix('/') {
        let start = above.rfind('/').map_or(0, |slash| slash + 1);
        from = start;
        if !above[start..].contains('=') {
            break;
        }
    }
    &path[from..]
}

/// A text in which of a file's URL only its name is left.
fn without_urls(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find("file://") {
        out.push_str(&rest[..start]);
        let url = &rest[start..];
        let end = url.find([' ', ',', ')', ']', '}', '"', '\'']).unwrap_or(url.len());
        out.push_str(url[..end].trim_end_matches('/').rsplit('/').next().unwrap_or_default());
        rest = &url[end..];
    }
    out.push_str(rest);
    out
}

fn rows_of(fields: Vec<Field>, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(unfit)
}

fn unfit(error: ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "a listing does not fit its schema").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::hidden;

    #[test]
    fn a_plan_shows_the_tables_folder_and_none_above_it() {
        for (line, shown) in [
            (
                "  DataSourceExec: file_groups={2 groups: [[srv/plant/lake/day=2026-01-01/a b=1/part-0.parquet:0..9, \
                 srv/my plant/lake/p.parquet], [srv/plant/lake/q.parquet]]}, predicate=t@1 = srv/plant",
                "  DataSourceExec: file_groups={2 groups: [[lake/day=2026-01-01/a b=1/part-0.parquet:0..9, lake/p.parquet], \
                 [lake/q.parquet]]}, predicate=t@1 = srv/plant",
            ),
            ("DeltaScan: file:///srv/plant/lake/, x", "DeltaScan: lake, x"),
            ("file_groups={1 group: [[a.parquet]]}", "file_groups={1 group: [[a.parquet]]}"),
            ("FilterExec: t = 'plant/line/1' AND a / b > 1", "FilterExec: t = 'plant/line/1' AND a / b > 1"),
        ] {
            assert_eq!(hidden(line), shown);
        }
    }
}
