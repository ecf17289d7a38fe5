//! Jobs as golden files: `tests/data/spark/NAME.yaml` gives `NAME.py` and, on stderr, `NAME.notes`. With
//! `FOREBAY_WRITE=1` they are written anew; then look at what changed.

use std::path::{Path, PathBuf};
use std::process::Command;

use forebay_core::config::{self, Lookup};
use forebay_storage::Door;

use super::*;
use crate::registry::registry;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "yaml")).collect();
    files.sort();
    files
}

fn job_of(path: &Path) -> Job {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let lookup =
        Lookup { env: &|_| Some("s3cret-value".to_owned()), file: &|_| Ok("s3cret-value\n".to_owned()) };
    let pipeline = config::parse(&text, &name, &registry(), &lookup)
        .unwrap_or_else(|problems| panic!("{}", config::render(&problems, &text, &name, false)));
    let row_keys = crate::load::load(&text, &name, None).map(|loaded| row_keys(&loaded)).unwrap_or_default();
    File { name: &name, text: &text, pipeline: &pipeline, data: "./forebay-data", row_keys }.job()
}

fn notes(job: &Job) -> String {
    let line = |note: &Note| {
        format!("line {}: {}{}\n", note.line, note.text, if note.is_missing { " [missing]" } else { "" })
    };
    job.notes.iter().map(line).collect()
}

/// Compares with a golden file, or writes it.
fn golden(path: &Path, text: &str) {
    if std::env::var_os("FOREBAY_WRITE").is_some() {
        Door::new().write_atomic(path, text.as_bytes()).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, expected, "{} is not what it was; FOREBAY_WRITE=1 writes it anew", path.display());
}

/// Python takes each of them for a program.
fn compiles(files: &[PathBuf]) {
    let cache = tempfile::tempdir().unwrap();
    let mut python = Command::new("python3");
    python.args(["-m", "py_compile"]).args(files).env("PYTHONPYCACHEPREFIX", cache.path());
    let said = python.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn a_file_becomes_the_job_that_stands_beside_it() {
    let files = yaml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/spark"));
    assert!(files.len() >= 8, "{files:?}");
    for file in &files {
        let job = job_of(file);
        golden(&file.with_extension("py"), &job.text);
        golden(&file.with_extension("notes"), &notes(&job));
        assert!(!job.text.contains("s3cret-value"), "{} holds a secret", file.display());
    }
    compiles(&files.iter().map(|file| file.with_extension("py")).collect::<Vec<_>>());
}

#[test]
fn every_example_becomes_a_job() {
    let copies = crate::load::tests::examples();
    let examples = yaml_files(copies.path());
    assert!(!examples.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    for example in &examples {
        // Spark has no rows of what it cannot read: `forebay spark` refuses such a file.
        if std::fs::read_to_string(example).unwrap().contains("    invalidOf: ") {
            continue;
        }
        let job = job_of(example);
        let missing = job.notes.iter().find(|note| note.is_missing);
        assert_eq!(missing.map(|note| &note.text), None, "{}", example.display());
        let path = folder.path().join(example.with_extension("py").file_name().unwrap());
        Door::new().write_new(&path, job.text.as_bytes()).unwrap();
        written.push(path);
    }
    compiles(&written);
}

#[test]
fn a_source_of_invalid_records_is_refused_with_what_to_leave_out() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/fleet.yaml");
    let lookup = Lookup { env: &|_| Some("secret".to_owned()), file: &|_| Err(String::new()) };
    let text = std::fs::read_to_string(path).unwrap();
    let pipeline = config::parse(&text, "fleet.yaml", &registry(), &lookup).unwrap();
    let error = refuse_detectors(&pipeline).unwrap_err();
    assert_eq!(error.code().id, "FB-1012");
    assert!(error.message().contains("(`invalid`)"), "{}", error.message());
    assert!(
        error.hint().contains("without `invalid` and without the queries that read it"),
        "{}",
        error.hint()
    );
}

#[test]
fn a_query_whose_keys_are_not_known_is_left_out_and_told() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/spark/update.yaml");
    let text =
        std::fs::read_to_string(path).unwrap().replace("FROM iot GROUP BY device_id", "FROM iot GROUP BY x");
    let lookup = Lookup { env: &|_| None, file: &|_| Err(String::new()) };
    let pipeline = config::parse(&text, "p.yaml", &registry(), &lookup).ok().unwrap();
    let row_keys =
        crate::load::load(&text, "p.yaml", None).map(|loaded| row_keys(&loaded)).unwrap_or_default();
    let job = File { name: "p.yaml", text: &text, pipeline: &pipeline, data: ".", row_keys }.job();
    let told: Vec<usize> = job.notes.iter().filter(|note| note.is_missing).map(|note| note.line).collect();
    assert_eq!(told, [14, 21], "{:?}", job.notes);
    assert!(
        !job.text.contains("merged(")
            && job.notes.iter().any(|note| note.text.contains("`forebay validate`"))
    );
}

#[test]
fn alerts_are_told_at_their_lines() {
    let job = job_of(&root().join("examples/plant.yaml"));
    let text = std::fs::read_to_string(root().join("examples/plant.yaml")).unwrap();
    let line = text.lines().position(|line| line.trim() == "overheat:").unwrap() + 1;
    let told = job.notes.iter().find(|note| note.text.contains("overheat")).unwrap();
    assert_eq!(
        (told.line, told.text.as_str()),
        (line, "alert `overheat`: alerts have no counterpart in Spark")
    );
}

#[test]
fn a_table_of_a_catalog_is_written_by_its_name() {
    let job = job_of(&root().join("examples/arduino.yaml"));
    let told = notes(&job);
    for words in [
        "spark.sql(\"CREATE SCHEMA IF NOT EXISTS `data_pipelines`.`kafka_table`\")",
        ".toTable(\"data_pipelines.kafka_table.pir_stream_test\")",
    ] {
        assert!(job.text.contains(words), "{words}\n{}", job.text);
    }
    assert!(!job.text.contains(".option(\"path\"") && !job.text.contains("warehouse"), "{}", job.text);
    assert!(told.contains("needs a catalog `data_pipelines`"), "{told}");
}

#[test]
fn what_spark_does_not_do_with_files_and_devices_is_told() {
    let cycle = job_of(&root().join("examples/csv-cycle.yaml"));
    let told = cycle.notes.iter().find(|note| note.text.contains("`cycle`"));
    assert!(told.is_some_and(|note| note.line > 1), "{}", notes(&cycle));
    let devices = notes(&job_of(&root().join("examples/arduino.yaml")));
    assert!(devices.contains("`gateways`"), "{devices}");
}
