//! A pipeline file as a PySpark Structured Streaming job.
//!
//! ```text
//! sources ─▶ readStream … from_json … withWatermark … createOrReplaceTempView
//! tables  ─▶ read … createOrReplaceTempView
//! views   ─▶ spark.sql(…) [dropDuplicates] createOrReplaceTempView
//! queries ─▶ spark.sql(…) [dropDuplicates] writeStream … start
//! ```
//!
//! Names and SQL of a pipeline file are Spark's, so the job is the file once more in Python, in the file's order. What
//! Spark has not, and what means another thing there although it is written the same, is a [`Note`]: a line on stderr and a
//! comment in the job, at its place. The SQL is not planned here: Spark has the last word on it. Only the keys by which update
//! mode replaces the rows of a Delta table come from Forebay's plan.
//!
//! What must stay true: nothing of the file is left out without a note; no secret is in the job; no text of the file
//! becomes code.

use std::collections::BTreeMap;

use forebay_core::Error;
use forebay_core::config::{KeyLines, Pipeline};
use forebay_core::error::codes;
use forebay_rules::detectors::KINDS;
use forebay_rules::detectors::saved::TRAINED;

use crate::load::Loaded;

mod clause;
mod expect;
mod postgres;
mod python;
mod query;
mod select;
mod source;
mod sql;
pub mod submit;
mod table;
#[cfg(test)]
mod tests;
mod tokens;

use python::{comment, literal};

/// The Spark that a job is written for.
pub const SPARK: &str = "4.0.0";
/// The packages that a Spark installation does not bring.
const KAFKA_PACKAGE: &str = "org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0";
const DELTA_PACKAGE: &str = "io.delta:delta-spark_2.13:4.0.0";
const POSTGRES_PACKAGE: &str = "org.postgresql:postgresql:42.7.4";

/// A job and what is to be known of it.
pub struct Job {
    /// The Python text.
    pub text: String,
    /// In the order of the file.
    pub notes: Vec<Note>,
    /// Packages for `spark-submit --packages`.
    pub packages: Vec<&'static str>,
}

/// What Spark has not, or does otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The line of the file.
    pub line: usize,
    /// What it is, to follow `line 31: `.
    pub text: String,
    /// True if a query or a view is not in the job, or gives other rows than in Forebay.
    pub is_missing: bool,
}

/// What a job is made of.
pub struct File<'a> {
    /// Its name, for the job's first lines.
    pub name: &'a str,
    pub text: &'a str,
    pub pipeline: &'a Pipeline,
    /// The data folder, under which relative paths lie.
    pub data: &'a str,
    /// By which columns update mode replaces the rows of a query, by its name; those of queries that can be planned.
    pub row_keys: BTreeMap<String, Vec<String>>,
}

/// The [`File::row_keys`] of a pipeline that was planned.
pub fn row_keys(loaded: &Loaded) -> BTreeMap<String, Vec<String>> {
    loaded.queries().map(|(query, plan)| (query.name.clone(), plan.row_keys())).collect()
}

/// Refuses a pipeline with detectors, also those that are called in SQL, or with a source of invalid records: Spark has neither, and
/// a job without what reads them would be another pipeline.
pub fn refuse_detectors(pipeline: &Pipeline) -> Result<(), Error> {
    let invalid = pipeline.sources.iter().filter(|source| source.invalid.is_some());
    if let Some(first) = invalid.map(|source| &source.name).next() {
        let message =
            format!("the pipeline reads invalid records of a source as rows (`{first}`), which Spark cannot");
        let hint = format!(
            "Make the job of a copy of the file without `{first}` and without the queries that read it. In Spark a record that \
             cannot be read is a row of NULLs, and one that fails an expectation is filtered out: it keeps neither."
        );
        return Err(Error::new(&codes::NOT_IN_SPARK, message).with_hint(hint));
    }
    let detectors = pipeline.views.iter().filter(|view| view.detector.is_some());
    let mut names: Vec<String> = detectors.map(|view| format!("`{}`", view.name)).collect();
    let views = pipeline.views.iter().filter(|view| view.detector.is_none()).map(|view| &view.sql);
    let texts: Vec<&String> = views.chain(pipeline.queries.iter().map(|query| &query.sql)).collect();
    let kinds = KINDS.iter().map(|kind| kind.name).chain(TRAINED.iter().map(|kind| kind.name));
    let called = kinds.filter(|kind| texts.iter().any(|text| sql::calls(text, kind)));
    names.extend(called.map(|kind| format!("{kind}(…)")));
    if names.is_empty() {
        return Ok(());
    }
    let message = format!("the pipeline has detectors, which Spark has not: {}", names.join(", "));
    Err(Error::new(&codes::NOT_IN_SPARK, message))
}

impl File<'_> {
    /// The job of this file.
    pub fn job(&self) -> Job {
        let mut writer = Writer {
            keys: KeyLines::new(self.text),
            notes: Vec::new(),
            hidden: sql::Hidden::new(),
            times: Vec::new(),
            clauses: 0,
            row_keys: &self.row_keys,
        };
        let mut body = String::new();
        for it in &self.pipeline.sources {
            body.push_str(&writer.source(it, self.pipeline));
        }
        for it in &self.pipeline.tables {
            body.push_str(&writer.table(it));
        }
        for it in self.pipeline.views.iter().filter(|view| view.detector.is_none()) {
            body.push_str(&writer.view(it, self.pipeline));
        }
        for it in &self.pipeline.queries {
            body.push_str(&writer.query(it, self.pipeline));
        }
        body.push_str(&writer.absent(self.pipeline));
        let mut notes = writer.notes;
        notes.sort_by_key(|note| note.line);
        let is_kafka = self.pipeline.sources.iter().any(|it| it.format == "kafka");
        let is_delta = self.pipeline.queries.iter().any(|it| it.format == "delta")
            || self.pipeline.tables.iter().any(|it| it.format == "delta");
        let is_by_key = body.contains(".foreachBatch(by_key(");
        let is_postgres = is_by_key || body.contains(".foreachBatch(into_jdbc(");
        let packages =
            [(is_kafka, KAFKA_PACKAGE), (is_delta, DELTA_PACKAGE), (is_postgres, POSTGRES_PACKAGE)];
        let packages: Vec<_> =
            packages.into_iter().filter_map(|(is, package)| is.then_some(package)).collect();
        let text = self.head(&body, &packages, is_delta) + &body + TAIL;
        Job { text, notes, packages }
    }

    fn head(&self, body: &str, packages: &[&str], is_delta: bool) -> String {
        let with =
            if packages.is_empty() { String::new() } else { format!("--packages {} ", packages.join(",")) };
        let mut out = comment(&format!(
            "The pipeline `{}` as a Spark Structured Streaming job, written by",
            self.pipeline.name
        ));
        out.push_str(&comment(&format!("`forebay spark {}` for Spark {SPARK}. To run it:", self.name)));
        out.push_str(&format!("#     spark-submit {with}JOB.py\n#\n"));
        out.push_str(&comment(
            "It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.",
        ));
        out.push('\n');
        let needs_os =
            ["os.environ", "os.path"].iter().any(|word| body.contains(word)) || body.contains("CHECKPOINTS");
        if needs_os {
            out.push_str("import os\n\n");
        }
        out.push_str("from pyspark.sql import SparkSession\n");
        if body.contains("F.") || body.contains(".foreachBatch(by_key(") {
            out.push_str("from pyspark.sql import functions as F\n");
        }
        if body.contains("DATA") || body.contains("CHECKPOINTS") {
            out.push_str(&format!(
                "\n# Where relative paths lie, and what the queries need to go on where they were.\n\
                 DATA = os.environ.get(\"FOREBAY_DATA\", {})\nCHECKPOINTS = os.path.join(DATA, \"spark-checkpoints\", {})\n",
                literal(self.data),
                literal(&self.pipeline.name)
            ));
        }
        out.push_str(&format!(
            "\nspark = (\n    SparkSession.builder.appName({})\n",
            literal(&self.pipeline.name)
        ));
        let zone = literal(&self.pipeline.time_zone.to_string());
        out.push_str(&format!("    .config(\"spark.sql.session.timeZone\", {zone})\n"));
        if is_delta {
            for (name, value) in [
                ("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension"),
                ("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog"),
            ] {
                out.push_str(&format!("    .config({}, {})\n", literal(name), literal(value)));
            }
        }
        out.push_str("    .getOrCreate()\n)\n");
        if body.contains("secret_file(") {
            out.push_str(SECRET_FILE);
        }
        if body.contains(".foreachBatch(merged(") {
            out.push_str(MERGED);
        }
        if body.contains(".foreachBatch(into_jdbc(") {
            out.push_str(postgres::INTO_JDBC);
        }
        if body.contains(".foreachBatch(by_key(") {
            out.push_str(postgres::BY_KEY);
        }
        out.push_str("queries = []\n");
        out
    }
}

const SECRET_FILE: &str = "

def secret_file(path):
    \"\"\"A secret from a file, without the line break at its end.\"\"\"
    with open(path, encoding=\"utf-8\") as file:
        return file.read().removesuffix(\"\\n\").removesuffix(\"\\r\")


";

/// What update mode does to a Delta table. SQL and not the Python package, which comes by other ways than the jars.
const MERGED: &str = "

def merged(path, keys, partition_by=(), **properties):
    \"\"\"Each row takes the place of the one with the same keys. Delta's own sink takes no rows of update mode.\"\"\"
    same = \" AND \".join(f\"old.{key} <=> new.{key}\" for key in keys)
    table = path if \"://\" in path else os.path.abspath(path)

    def write(rows, epoch):
        if epoch == 0:
            nothing = rows.limit(0).write.format(\"delta\").mode(\"ignore\")
            nothing.partitionBy(*partition_by).options(**properties).save(table)
        rows.createOrReplaceTempView(\"new\")
        rows.sparkSession.sql(
            f\"MERGE INTO delta.`{table}` AS old USING new ON {same} \"
            \"WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *\"
        )

    return write


";

/// A query that fails is seen at once, whichever others run on.
const TAIL: &str = "
if __name__ == \"__main__\":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
";

/// What is known while the job is written.
struct Writer<'a> {
    keys: KeyLines<'a>,
    notes: Vec<Note>,
    hidden: sql::Hidden,
    /// Event times that are expressions, as the sources have them.
    times: Vec<String>,
    /// How many clauses of SQL became views.
    clauses: usize,
    /// As in [`File::row_keys`].
    row_keys: &'a BTreeMap<String, Vec<String>>,
}

impl Writer<'_> {
    /// The line of a key; 1 if the file does not have it.
    fn line(&self, path: &[&str]) -> usize {
        self.keys.of(path).unwrap_or(1)
    }

    /// Takes a note and gives the comment that says it.
    fn note(&mut self, line: usize, text: String) -> String {
        let said = comment(&text);
        self.notes.push(Note { line, text, is_missing: false });
        said
    }

    /// The same for what is not in the job, or means something else there.
    fn missing(&mut self, line: usize, text: String) -> String {
        let said = comment(&text);
        self.notes.push(Note { line, text, is_missing: true });
        said
    }

    /// What of a file no Spark has.
    fn absent(&mut self, pipeline: &Pipeline) -> String {
        let mut out = String::new();
        for alert in &pipeline.alerts {
            let line = self.line(&["alerts", &alert.name]);
            out.push_str(
                &self.note(line, format!("alert `{}`: alerts have no counterpart in Spark", alert.name)),
            );
        }
        for (key, what) in [
            (
                "gateways",
                "Spark takes nothing from devices: something else has to bring their messages to the topics",
            ),
            ("quarantine", "the quarantine has no counterpart in Spark"),
            ("dashboard", "the page has no counterpart in Spark"),
        ] {
            if let Some(line) = self.keys.of(&[key]) {
                out.push_str(&self.note(line, format!("`{key}`: {what}")));
            }
        }
        if out.is_empty() { out } else { format!("\n{out}") }
    }
}

/// A duration as Spark reads intervals.
fn interval(duration: std::time::Duration) -> String {
    let ms = duration.as_millis();
    let units =
        [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"), (1, "millisecond")];
    let (size, unit) =
        units.into_iter().find(|(size, _)| ms > 0 && ms.is_multiple_of(*size)).unwrap_or((1_000, "second"));
    let count = ms / size;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
