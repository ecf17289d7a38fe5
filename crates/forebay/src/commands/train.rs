//! `forebay train`: makes the saved model of a detector from a table.
//!
//! ```text
//! detector of the file (kind, columns, settings) + rows of a table ─▶ model ─▶ the file that its `model` names, under --data
//! ```
//!
//! What must stay true: the file is there whole or as it was, since a run may read it at any moment.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use forebay_connectors::tables;
use forebay_core::config::{DetectorConfig, OptionPlaces, TableConfig};
use forebay_core::error::codes;
use forebay_core::options::{Options, unknown_name};
use forebay_core::table::Wanted;
use forebay_core::{Error, Result, ddl};
use forebay_rules::detectors::saved::{self, Training};
use forebay_rules::detectors::trained::{Model, Sample};
use forebay_rules::detectors::{NO_TIME, columns};
use forebay_storage::Door;

use super::wrong_name;
use crate::cli::{Global, TrainArgs};
use crate::{load, talk};

/// Most bytes that the rows of the table may take: a model of more is a matter for a larger machine.
const MOST_BYTES: u64 = 4 << 30;

/// The longest line of names that is read from a CSV file.
const LONGEST_HEADER: u64 = 1 << 16;

pub async fn run(global: &Global, args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let Some((pipeline, _)) = load::parse_file(&args.file)? else { return Ok(ExitCode::FAILURE) };
    let detectors: Vec<&DetectorConfig> =
        pipeline.views.iter().filter_map(|view| view.detector.as_ref()).collect();
    let Some(config) = detectors.iter().find(|it| it.name.eq_ignore_ascii_case(&args.name)) else {
        let names = detectors.iter().map(|it| it.name.as_str());
        return Err(wrong_name("detector", &args.name, names).into());
    };
    let Some(model) = &config.model else {
        let error = Error::new(&codes::WRONG_USE, format!("the detector `{}` has no `model`", config.name));
        return Err(error
            .with_hint("Trained are detectors of a kind that needs it: isolation_forest, k_means.")
            .into());
    };
    let settings: Vec<(&str, f64)> =
        config.settings.iter().map(|(name, value)| (name.text.as_str(), *value)).collect();
    let training = Training::of(config.kind.text.trim(), &settings)?;
    let rows = Rows::of(global, config, &args.on).await?;
    let features: Vec<String> = config.columns.iter().map(|column| column.text.clone()).collect();
    let made = tokio::task::spawn_blocking(move || rows.train(&training, &features)).await??;
    let path = global.data.join(model.text.trim());
    write(&path, &made)?;
    talk::say(&format!("wrote {}: {}", path.display(), saved::words(&made)));
    talk::say("a start reads it, and so does a reload of a pipeline that runs: `kill -HUP PID`");
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, model: &Model) -> Result<()> {
    let door = Door::new();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), |folder| door.create_dir_all(folder));
    let text = model.to_json()?;
    made.and_then(|()| door.write_atomic(path, text.as_bytes())).map_err(|error| {
        Error::new(&codes::STORAGE, "the model cannot be written").at(path.display()).caused_by(error)
    })
}

/// What a model is trained with.
struct Rows {
    columns: Vec<Vec<f64>>,
    /// First and last time; 0 if no column says it.
    range: (i64, i64),
}

impl Rows {
    async fn of(global: &Global, config: &DetectorConfig, on: &str) -> Result<Self> {
        let table = table(&global.data, config, on)?;
        let opened = tables::open(&table, &global.data).await?;
        let schema = opened.schema();
        let inputs = config.columns.iter().map(|column| found(&schema, &column.text, on));
        let inputs = inputs.collect::<Result<Vec<usize>>>()?;
        let is_time = |field: &Arc<Field>| matches!(field.data_type(), DataType::Timestamp(_, _));
        let time = match &config.time {
            Some(time) => {
                schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(time.text.trim()))
            }
            None => schema.fields().iter().position(is_time),
        };
        let time = time.filter(|index| schema.fields().get(*index).is_some_and(is_time));
        if time.is_none() {
            talk::say(
                "note: the table has no column of type TIMESTAMP for it, so the model does not say of when its rows are",
            );
        }
        let loaded = opened.load(&Wanted::Newest).await?;
        let mut rows = Self { columns: vec![Vec::new(); inputs.len()], range: (i64::MAX, i64::MIN) };
        loaded.batches.iter().try_for_each(|batch| rows.take(batch, &inputs, time))?;
        if rows.range.0 > rows.range.1 {
            rows.range = (0, 0);
        }
        Ok(rows)
    }

    fn take(&mut self, batch: &RecordBatch, inputs: &[usize], time: Option<usize>) -> Result<()> {
        for (into, index) in self.columns.iter_mut().zip(inputs) {
            into.extend(columns::numbers(batch.column(*index))?);
        }
        if let Some(time) = time {
            for at in columns::times(batch.column(time))?.into_iter().filter(|at| *at != NO_TIME) {
                self.range = (self.range.0.min(at), self.range.1.max(at));
            }
        }
        Ok(())
    }

    fn train(&self, training: &Training, features: &[String]) -> Result<Model> {
        let features: Vec<&str> = features.iter().map(String::as_str).collect();
        let columns: Vec<&[f64]> = self.columns.iter().map(Vec::as_slice).collect();
        training.train(&Sample { features: &features, columns: &columns, range: self.range })
    }
}

fn found(schema: &SchemaRef, name: &str, on: &str) -> Result<usize> {
    let fields = schema.fields();
    let position = fields.iter().position(|field| field.name().eq_ignore_ascii_case(name.trim_matches('`')));
    position.ok_or_else(|| {
        let unknown = unknown_name("column", name, fields.iter().map(|field| field.name().as_str()));
        Error::new(&codes::TABLE_UNREADABLE, unknown.message()).at(on).with_hint(unknown.hint())
    })
}

/// The table of a path: a folder with `_delta_log` is Delta, files by their ending.
fn table(data: &Path, config: &DetectorConfig, on: &str) -> Result<TableConfig> {
    let path = data.join(on);
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        _ if path.join("_delta_log").is_dir() || on.contains("://") => "delta",
        Some(ending) if ending.eq_ignore_ascii_case("csv") => "csv",
        Some(ending) if ending.eq_ignore_ascii_case("parquet") => "parquet",
        _ if path.is_dir() => "parquet",
        _ => {
            let error =
                Error::new(&codes::WRONG_USE, "this is no table that can be trained with").at(path.display());
            return Err(error.with_hint(
                "Name the folder of a Delta table, a Parquet file or a folder of them, or a CSV file with a line of names. Relative paths lie under `--data`.",
            ));
        }
    };
    let mut raw = vec![("path".to_owned(), on.to_owned())];
    let schema = (format == "csv").then(|| header(&path, config)).transpose()?;
    if schema.is_some() {
        raw.push(("header".to_owned(), "true".to_owned()));
    }
    let missing = || Error::new(&codes::INTERNAL, "a format of tables is not there");
    let spec = tables::SPECS.iter().find(|spec| spec.name == format).ok_or_else(missing)?;
    let refused =
        |problems: Vec<(String, Error)>| problems.into_iter().next().map_or_else(missing, |(_, error)| error);
    Ok(TableConfig {
        name: on.to_owned(),
        format: format.to_owned(),
        options: Options::parse(spec, &raw.into_iter().collect()).map_err(refused)?,
        decoder_options: Options::default(),
        schema,
        max_memory: MOST_BYTES,
        option_places: OptionPlaces::none(),
        place: (1, 1),
        of_catalog: None,
    })
}

/// The columns of a CSV file: those that the model reads are numbers, its time a time, the others texts.
fn header(path: &Path, config: &DetectorConfig) -> Result<(SchemaRef, String)> {
    let unreadable = |error| {
        Error::new(&codes::FILE_UNREADABLE, "the table cannot be read").at(path.display()).caused_by(error)
    };
    let mut line = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    BufReader::new(file.take(LONGEST_HEADER)).read_line(&mut line).map_err(unreadable)?;
    let is = |name: &str, of: &str| name.eq_ignore_ascii_case(of.trim().trim_matches('`'));
    let time = config.time.as_ref().map_or("timestamp", |time| time.text.as_str());
    let field = |name: &str| {
        let name = name.trim().trim_matches('"').trim_start_matches('\u{feff}');
        let data_type = match () {
            () if config.columns.iter().any(|column| is(name, &column.text)) => DataType::Float64,
            () if is(name, time) => ddl::timestamp(),
            () => DataType::Utf8View,
        };
        Field::new(name, data_type, true)
    };
    let schema = Arc::new(Schema::new(line.trim_end().split(',').map(field).collect::<Vec<_>>()));
    let text = ddl::to_ddl(&schema)?;
    Ok((schema, text))
}
