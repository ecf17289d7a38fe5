//! Tables as files: what each format reads, what it refuses, and what a new version is.

use std::fs;
use std::path::Path;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use forebay_core::config::{self, Lookup, Registry};
use forebay_core::table::{TableRows, TableVersion, Wanted};

use super::*;
use crate::{formats, sinks, sources};

mod written;

/// Opens a table that nobody writes.
async fn open(config: &TableConfig, data_dir: &Path) -> Result<Arc<dyn StaticTable>> {
    let none = Duration::ZERO;
    let patience = Patience { still: none, half: none, most: none };
    open_at(At { patience, ..At::new(config, data_dir) }, config, data_dir).await
}

fn table(section: &str) -> TableConfig {
    table_in("UTC", section)
}

/// A table of a pipeline with this `timeZone`.
fn table_in(zone: &str, section: &str) -> TableConfig {
    let text = format!(
        "pipeline: p\ntimeZone: \"{zone}\"\nsources:\n  s: {{ format: kafka, options: {{ kafka.bootstrap.servers: \"a:1\", subscribe: t }} }}\n\
         tables:\n  t: {{ {section} }}\nqueries:\n  q: {{ sql: SELECT 1, format: console }}\n"
    );
    let registry = Registry {
        sources: sources::SPECS,
        sinks: sinks::SPECS,
        formats: formats::SPECS,
        tables: SPECS,
        gateways: &[],
        channels: &[],
    };
    let lookup = Lookup { env: &|_| None, file: &|_| Err(String::new()) };
    let pipeline = config::parse(&text, "p.yaml", &registry, &lookup)
        .unwrap_or_else(|problems| panic!("{}", config::render(&problems, &text, "p.yaml", false)));
    pipeline.tables.into_iter().next().unwrap()
}

fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let rows = batches.iter().flat_map(|batch| {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        let row =
            |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
        (0..batch.num_rows()).map(row).collect::<Vec<_>>()
    });
    rows.collect()
}

async fn load(section: &str, folder: &Path) -> Result<TableRows> {
    open(&table(section), folder).await?.load(&Wanted::Newest).await
}

async fn rows(section: &str, folder: &Path) -> Vec<String> {
    lines(&load(section, folder).await.unwrap().batches)
}

async fn refusal(section: &str, folder: &Path) -> String {
    let error = load(section, folder).await.err().map(|error| error.message().to_owned());
    error.unwrap_or_else(|| "it was read".to_owned())
}

#[tokio::test]
async fn csv_is_read_by_sparks_options() {
    let dir = tempfile::tempdir().unwrap();
    let schema = "schema: \"id STRING, n INT, x DOUBLE, at TIMESTAMP, on DATE, b BOOLEAN, p DECIMAL(6,2)\"";
    let text = "id,n,x,at,on,b,p\na,1,1.5,2024-02-29T10:00:00Z,2024-02-29,true,1.50\n\"x, \"\"y\"\"\",,,2024-02-29 12:00:00,,false,\n";
    fs::write(dir.path().join("d.csv"), text).unwrap();
    let section = format!("format: csv, path: d.csv, {schema}, options: {{ header: true }}");
    let expected =
        ["a|1|1.5|2024-02-29T10:00:00Z|2024-02-29|true|1.50", "x, \"y\"|-|-|2024-02-29T12:00:00Z|-|false|-"];
    assert_eq!(rows(&section, dir.path()).await, expected);
    let odd = "#a comment\n'a;b';NA\n;2\n";
    fs::write(dir.path().join("odd.csv"), odd).unwrap();
    let section = "format: csv, path: odd.csv, schema: \"id STRING, n INT\", options: { sep: \";\", quote: \"'\", comment: \"#\", nullValue: NA }";
    assert_eq!(rows(section, dir.path()).await, ["a;b|-", "-|2"]);
}

/// As Spark's readers of files have it: the session's zone, unless the option or the text names another.
#[tokio::test]
async fn times_without_a_zone_are_those_of_the_pipelines() {
    let dir = tempfile::tempdir().unwrap();
    let texts = ["2024-07-01 12:00:00", "2024-07-01T12:00:00Z", "2024-01-01"];
    fs::write(dir.path().join("d.csv"), texts.join("\n")).unwrap();
    let objects = texts.map(|text| format!("{{\"at\":\"{text}\"}}"));
    fs::write(dir.path().join("d.json"), objects.join("\n")).unwrap();
    let in_zone = |hour: &str, winter: &str| {
        [format!("2024-07-01T{hour}:00:00Z"), "2024-07-01T12:00:00Z".to_owned(), winter.to_owned()]
    };
    for format in ["csv", "json"] {
        for (zone, options, expected) in [
            ("UTC", "", in_zone("12", "2024-01-01T00:00:00Z")),
            ("America/New_York", "", in_zone("16", "2024-01-01T05:00:00Z")),
            ("America/New_York", "timeZone: \"+02:00\"", in_zone("10", "2023-12-31T22:00:00Z")),
        ] {
            let section =
                format!("format: {format}, path: d.{format}, schema: at TIMESTAMP, options: {{ {options} }}");
            let opened = open(&table_in(zone, &section), dir.path()).await.unwrap();
            let rows = lines(&opened.load(&Wanted::Newest).await.unwrap().batches);
            assert_eq!(rows, expected, "{format} {zone} {options}");
        }
    }
    fs::write(dir.path().join("own.csv"), "01.07.2024 12:00,2.7.24\n").unwrap();
    let section = "format: csv, path: own.csv, schema: \"at TIMESTAMP, on DATE\", \
                   options: { timestampFormat: \"dd.MM.yyyy HH:mm\", dateFormat: d.M.yy, timeZone: Europe/Berlin }";
    assert_eq!(rows(section, dir.path()).await, ["2024-07-01T10:00:00Z|2024-07-02"]);
}

#[tokio::test]
async fn a_cell_that_does_not_fit_is_told_with_its_place_or_as_spark_has_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("d.csv"), "a,1\nb,many\nc,3\n").unwrap();
    let section = |options: &str| {
        format!("format: csv, path: d.csv, schema: \"id STRING, n INT\", options: {{ {options} }}")
    };
    let told = refusal(&section("header: false"), dir.path()).await;
    assert_eq!(told, "record 2 of a file has `many` where the schema has `n INT`");
    assert_eq!(rows(&section("mode: PERMISSIVE"), dir.path()).await, ["a|1", "b|-", "c|3"]);
    assert_eq!(rows(&section("mode: dropMalformed"), dir.path()).await, ["a|1", "c|3"]);
    let told = refusal(&section("header: true, enforceSchema: false"), dir.path()).await;
    assert_eq!(told, "the header has `a` where the schema has `id`");
    fs::write(dir.path().join("d.csv"), "a,1\nb\n").unwrap();
    assert_eq!(refusal(&section("header: false"), dir.path()).await, "a file of the table is no CSV");
}

#[tokio::test]
async fn a_record_that_does_not_fit_is_told_with_the_line_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("d.csv");
    let section = "format: csv, path: d.csv, schema: \"id STRING, n INT\", options: { header: true }";
    for (text, line) in [
        ("id,n\na,1\n\nb,many\n", 4),
        ("id,n\n\"a\nb\",1\nb,many\n", 4),
        ("id,n\na,1\n\"b,2\nc,3\n", 3),
        ("id,n\n\na,1\nb\n", 4),
        ("id,n\na,1\nb,\"2\n", 3),
    ] {
        fs::write(&file, text).unwrap();
        let told = load(section, dir.path()).await.err().unwrap();
        assert_eq!(told.place().unwrap(), format!("{}:{line}", file.display()), "{text:?}: {told}");
    }
}

#[tokio::test]
async fn times_without_a_zone_are_read_in_the_pipelines() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("d.csv"), "2024-07-01 12:00:00\n2024-07-01T12:00:00Z\n").unwrap();
    fs::write(
        dir.path().join("d.json"),
        "{\"at\":\"2024-07-01 12:00:00\"}\n{\"at\":\"2024-07-01T12:00:00Z\"}\n",
    )
    .unwrap();
    for (section, first) in [
        ("format: csv, path: d.csv, schema: at TIMESTAMP", "2024-07-01T10:00:00Z"),
        ("format: json, path: d.json, schema: at TIMESTAMP", "2024-07-01T10:00:00Z"),
        (
            "format: csv, path: d.csv, schema: at TIMESTAMP, options: { timeZone: \"+05:30\" }",
            "2024-07-01T06:30:00Z",
        ),
    ] {
        let opened = open(&table_in("Europe/Berlin", section), dir.path()).await.unwrap();
        let rows = opened.load(&Wanted::Newest).await.unwrap();
        assert_eq!(lines(&rows.batches), [first, "2024-07-01T12:00:00Z"], "{section}");
    }
    let told = check(&table("format: csv, path: d, schema: at TIMESTAMP, options: { timeZone: Berlin }"))
        .unwrap_err();
    assert_eq!(told.message(), "option `timeZone` is `Berlin`, which is no time zone");
}

/// What stands behind it would be a part of its value.
#[tokio::test]
async fn a_quote_that_does_not_end_swallows_no_rows() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("d.csv");
    for mode in ["FAILFAST", "PERMISSIVE", "DROPMALFORMED"] {
        let section = |header| {
            format!(
                "format: csv, path: d.csv, schema: \"id STRING, site STRING\", options: {{ mode: {mode}, header: {header} }}"
            )
        };
        fs::write(&file, "a,north\nb,\"south\nc,east\nd,west\n").unwrap();
        let told = "record 2 of a file has a quote that does not end";
        assert_eq!(refusal(&section("false"), dir.path()).await, told, "{mode}");
        fs::write(&file, "id,\"site\na,north\n").unwrap();
        let told = "the header of a file has a quote that does not end";
        assert_eq!(refusal(&section("true"), dir.path()).await, told, "{mode}");
        fs::write(&file, "id,site\n\"a\",\"no\nrth\"\nb,\"\"\"south\"").unwrap();
        assert_eq!(rows(&section("true"), dir.path()).await, ["a|no\nrth", "b|\"south"], "{mode}");
        for (header, empty) in [("true", "id,site"), ("true", "id,site\n\n"), ("false", ""), ("false", "\n")]
        {
            fs::write(&file, empty).unwrap();
            assert!(rows(&section(header), dir.path()).await.is_empty(), "{mode}: {empty:?}");
        }
        for no_header in ["", "\n", "\u{feff}"] {
            fs::write(&file, no_header).unwrap();
            let told = refusal(&section("true"), dir.path()).await;
            assert_eq!(told, "a file of the table has no header line", "{mode}: {no_header:?}");
        }
    }
}

#[tokio::test]
async fn the_mark_of_the_byte_order_is_no_part_of_the_first_value() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("d.csv"), "\u{feff}a,1\nb,2\n").unwrap();
    fs::write(dir.path().join("d.json"), "\u{feff}{\"id\":\"a\",\"n\":1}\n{\"id\":\"b\",\"n\":2}\n").unwrap();
    for format in ["csv", "json"] {
        let section = format!("format: {format}, path: d.{format}, schema: \"id STRING, n INT\"");
        assert_eq!(rows(&section, dir.path()).await, ["a|1", "b|2"]);
    }
}

#[tokio::test]
async fn only_sparks_words_are_booleans() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("d.csv"), "TRUE\nfalse\n1\nyes\n").unwrap();
    let section = "format: csv, path: d.csv, schema: b BOOLEAN, options: { mode: PERMISSIVE }";
    assert_eq!(rows(section, dir.path()).await, ["true", "false", "-", "-"]);
}

#[tokio::test]
async fn a_folder_of_which_only_a_part_would_be_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("d");
    fs::create_dir_all(folder.join("archive")).unwrap();
    fs::write(folder.join("1.csv"), "a\n").unwrap();
    let section = "format: csv, path: d, schema: id STRING";
    assert_eq!(rows(section, dir.path()).await, ["a"], "as in Spark, what lies deeper is not read");
    fs::create_dir(folder.join("site=north")).unwrap();
    let told = "the folder is divided into others, such as `site=north`";
    assert_eq!(refusal(section, dir.path()).await, told);
    fs::remove_dir(folder.join("site=north")).unwrap();
    fs::create_dir(folder.join("_delta_log")).unwrap();
    assert_eq!(refusal(section, dir.path()).await, "the folder is a Delta table");
}

#[tokio::test]
async fn json_is_read_line_by_line_from_all_files_of_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("1.jsonl"), "{\"id\":\"a\",\"l\":{\"low\":1}}\n\n{\"id\":\"b\"}").unwrap();
    fs::write(folder.join("2.jsonl"), "{\"l\":{\"low\":3}}\r\n").unwrap();
    fs::write(folder.join("_SUCCESS"), "no JSON").unwrap();
    fs::write(folder.join(".part"), "no JSON").unwrap();
    let section = "format: json, path: d, schema: \"id STRING, l STRUCT<low: INT>\"";
    assert_eq!(rows(section, dir.path()).await, ["a|{low: 1}", "b|-", "-|{low: 3}"]);
    fs::write(folder.join("3.jsonl"), "{\"id\":\"a\"}\n{\"id\":").unwrap();
    let told = refusal(section, dir.path()).await;
    assert!(told.starts_with("line 2 of a file does not fit the schema"), "{told}");
}

#[tokio::test]
async fn parquet_and_delta_bring_their_columns() {
    let dir = tempfile::tempdir().unwrap();
    let (schema, batch) = {
        let config = table("format: csv, path: x, schema: \"id STRING, n INT, at TIMESTAMP\"");
        fs::write(dir.path().join("x"), "a,1,2024-02-29T10:00:00Z\nb,2,\n").unwrap();
        let rows = open(&config, dir.path()).await.unwrap();
        (rows.schema(), rows.load(&Wanted::Newest).await.unwrap().batches.remove(0))
    };
    let file = fs::File::create(dir.path().join("t.parquet")).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, Arc::clone(&schema), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let opened = open(&table("format: parquet, path: t.parquet"), dir.path()).await.unwrap();
    assert_eq!(opened.schema(), schema);
    assert_eq!(rows("format: parquet, path: t.parquet", dir.path()).await, lines(&[batch]));
    fs::write(dir.path().join("t.parquet"), "no longer").unwrap();
    let told = opened.load(&Wanted::Newest).await.unwrap_err();
    assert_eq!(
        (told.code(), told.message()),
        (&codes::TABLE_UNREADABLE, "a file of the table is no Parquet")
    );
    let told = open(&table("format: delta, path: lake"), dir.path()).await.err().unwrap();
    assert_eq!((told.code(), told.message()), (&codes::TABLE_UNREADABLE, "there is no Delta table"));
}

#[tokio::test]
async fn another_file_is_another_version_and_the_same_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.csv");
    let config = table("format: csv, path: d.csv, schema: \"id STRING\"");
    let told = open(&config, dir.path()).await.err().unwrap();
    assert_eq!((told.code(), told.message()), (&codes::TABLE_UNREADABLE, "there is no such file or folder"));
    fs::write(&path, "a\n").unwrap();
    let table = open(&config, dir.path()).await.unwrap();
    let first = table.version().await.unwrap();
    assert_eq!(table.version().await.unwrap(), first);
    assert_eq!(table.load(&Wanted::Exact(TableVersion("other".to_owned()))).await.unwrap().version, first);
    fs::write(dir.path().join("new"), "b\n").unwrap();
    fs::rename(dir.path().join("new"), &path).unwrap();
    assert_ne!(table.version().await.unwrap(), first, "another file of the same length");
    fs::remove_file(&path).unwrap();
    assert_eq!(table.version().await.unwrap_err().code(), &codes::TABLE_UNREADABLE);
}

/// Whoever sets a file's time back, as copying programs do, does not set back the inode's.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_written_over_with_its_old_time_is_another_version() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.csv");
    fs::write(&path, "a\n").unwrap();
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let table = open(&table("format: csv, path: d.csv, schema: \"id STRING\""), dir.path()).await.unwrap();
    let first = table.version().await.unwrap();
    // The time of a file may be as coarse as that.
    tokio::time::sleep(Duration::from_millis(20)).await;
    fs::write(&path, "b\n").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
    assert_ne!(table.version().await.unwrap(), first);
}

#[tokio::test]
async fn the_bound_on_memory_is_held() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("d.csv"), "some text\n".repeat(20_000)).unwrap();
    let told = load("format: csv, path: d.csv, schema: \"id STRING\", maxMemory: 64KiB", dir.path()).await;
    let told = told.err().unwrap();
    assert_eq!(told.code(), &codes::TABLE_TOO_LARGE);
    assert_eq!(told.message(), "the rows of the table `t` take more than 65536 bytes of memory");
}

#[test]
fn options_that_do_not_fit_are_refused_before_anything_is_read() {
    for (section, told) in [
        (
            "format: csv, path: d, schema: id STRING, options: { sep: \"::\" }",
            "option `sep` takes one character of ASCII",
        ),
        ("format: csv, path: d, schema: id STRING, options: { quote: \"\" }", "option `quote` is empty"),
        (
            "format: csv, path: d, schema: id STRING, options: { timeZone: Mars }",
            "option `timeZone` is `Mars`, which is no time zone",
        ),
        (
            "format: csv, path: d, schema: \"id ARRAY<INT>\"",
            "the column `id` is nested, and CSV has only plain values",
        ),
    ] {
        assert_eq!(check(&table(section)).unwrap_err().message(), told, "{section}");
    }
}
