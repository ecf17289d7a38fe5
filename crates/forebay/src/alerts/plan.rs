//! The query of each alert, planned; or what is wrong with its pieces, each at its place in the file.
//!
//! Each condition is planned alone first, on lines of its own inside of parentheses, so that a place in the SQL is a
//! place in the condition and everything that is wrong is told at once. What must stay true: a piece of the file
//! stays one piece of the SELECT; one that would become several columns is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use forebay_connectors::sources;
use forebay_core::Error;
use forebay_core::clock::millis;
use forebay_core::config::{
    AlertConfig, ChannelConfig, Draft, LevelConfig, Pipeline, Placed, Problem, Severity, SourceConfig,
};
use forebay_core::error::codes;
use forebay_core::fields;
use forebay_core::options::unknown_name;
use forebay_core::trigger::Trigger;
use forebay_engine::plan::{self, Catalog, KAFKA_COLUMN, RECORD_COLUMNS, SqlError, StreamPlan};
use forebay_rules::{Channel, Notices, Readings, ValueColumn, columns as named_so};

use super::PlannedAlert;
use super::columns::{self, Column};
use super::together;
use crate::channels;
use crate::json::FromJson;
use crate::load;
use crate::runnable::Run;

/// The file that is read, for places.
pub struct File<'a> {
    pub text: &'a str,
    pub name: &'a str,
}

/// Plans every alert, as far as it can be planned.
pub fn planned(
    catalog: &Catalog,
    draft: &Draft,
    pipeline: &Pipeline,
    file: &File<'_>,
    run: Option<Run<'_>>,
    problems: &mut Vec<Problem>,
) -> Vec<PlannedAlert> {
    let (mut alerts, mut lists) = (Vec::new(), Vec::new());
    for config in &pipeline.alerts {
        let mut planner = Planner { catalog, draft, file, alert: config, found: Vec::new() };
        let planned = planner.plan(pipeline);
        problems.append(&mut planner.found);
        let Some((alert, list)) = planned else { continue };
        let sources = alert.sources.iter();
        problems.extend(sources.filter_map(|source| endless(run?, pipeline, source, file.name)));
        alerts.push(alert);
        lists.push(list);
    }
    together::share(catalog, &mut alerts, &lists);
    alerts
}

/// Where a source of the alert should end although the alert does not.
fn endless(run: Run<'_>, pipeline: &Pipeline, source: &str, name: &str) -> Option<Problem> {
    let source = pipeline.sources.iter().find(|it| it.name == source)?;
    let trigger = run.trigger.unwrap_or(Trigger::Default);
    source.option_places.problem(sources::check_trigger(&source.options, trigger).err()?, name)
}

/// Plans one alert.
struct Planner<'a> {
    catalog: &'a Catalog,
    draft: &'a Draft,
    file: &'a File<'a>,
    alert: &'a AlertConfig,
    found: Vec<Problem>,
}

impl Planner<'_> {
    /// The alert, and what its SELECT lists.
    fn plan(&mut self, pipeline: &Pipeline) -> Option<(PlannedAlert, Vec<Item>)> {
        let on = self.alert.on.text.trim();
        let alert = self.alert;
        let table = format!("`{on}`");
        let schema = self.columns(&table);
        let levels = levels(alert);
        for Level { when, clear, .. } in &levels {
            self.check("when", when, schema.is_some());
            clear.iter().for_each(|clear| self.check("clear", clear, schema.is_some()));
        }
        let schema = schema?;
        let key = self.key(&schema);
        let mut config = alert.clone();
        let (told, fields) = (self.message(&schema), self.fields(&schema));
        let (told, fields) = (told.ok()?, fields.ok()?);
        let key = key.filter(|_| self.found.is_empty())?;
        let mut values: Vec<Column> = Vec::new();
        for column in levels.iter().flat_map(|level| columns::named(&level.when.text, on, &schema)) {
            add(&mut values, column);
        }
        let shown = values.len();
        told.into_iter().chain(fields.clone()).for_each(|column| add(&mut values, column));
        let fields = fields.into_iter().map(|column| column.name).collect();
        let spelled =
            |name: &str| columns::find(&schema, name).map_or_else(String::new, |column| column.name);
        config.message = config.message.map(|(message, text)| (message.renamed(spelled), text));
        let source = pipeline.sources.iter().find(|source| source.name.eq_ignore_ascii_case(on));
        let record = record_columns(source);
        let item = |sql: String, name: &str| Item { sql, name: name.to_owned() };
        let mut list = vec![item(columns::quoted(on, &key.parts), named_so::KEY)];
        let condition = |text: &str, name: &str| item(format!("(\n{text}\n)"), name);
        for (number, Level { severity, when, clear }) in levels.iter().enumerate() {
            list.push(condition(&when.text, &named_so::when_column(number, *severity)));
            let clear = clear.iter();
            list.extend(clear.map(|it| condition(&it.text, &named_so::clear_column(number, *severity))));
        }
        let names = [named_so::TIMESTAMP, named_so::TOPIC, named_so::PARTITION];
        list.extend(record.iter().zip(names).map(|(column, name)| item(column.clone(), name)));
        list.extend(offset_column(source).map(|column| item(column, named_so::OFFSET)));
        list.extend(
            values
                .iter()
                .map(|value| item(columns::quoted(on, &value.parts), &named_so::value_column(&value.name))),
        );
        let values = values.into_iter().enumerate();
        let values = values.map(|(index, column)| ValueColumn { name: column.name, shown: index < shown });
        let values = values.collect();
        // Alone it can be planned, so it is the record that is missing, or the whole is too large.
        if self
            .sql(&self.catalog.naming_records(), &format!("SELECT {} FROM {table}", record.join(", ")))
            .is_err()
        {
            self.tell(no_record(on, source), &alert.on, 0, on.len());
            return None;
        }
        let sql = select(list.iter().map(|it| (&*it.sql, &*it.name)), on);
        match self.sql(&self.catalog.naming_records(), &sql) {
            Ok(plan) if plan.remembers() && plan.sources().len() > 1 => {
                let message = format!("the detector below `{on}` judges rows of several sources together");
                let error = Error::new(&codes::NOT_YET, message)
                    .with_hint("Of whose source a row is, its alert could not tell: give each source a detector of its own.");
                self.tell(error, &alert.on, 0, on.len());
                None
            }
            Ok(plan) => {
                let (sources, key_fields) = (plan.sources(), key_fields(&plan, &pipeline.sources));
                let (plan, key) = (Arc::new(plan.naming_sources(named_so::SOURCE)), key.name);
                let notices = notices(alert, pipeline);
                let (share, readings) = (None, Readings::default());
                let alert = PlannedAlert {
                    config,
                    plan,
                    sources,
                    values,
                    key,
                    key_fields,
                    fields,
                    notices,
                    share,
                    readings,
                };
                Some((alert, list))
            }
            Err(error) => {
                self.tell(error.error, &alert.when, 0, alert.when.text.len());
                None
            }
        }
    }

    fn sql(&self, catalog: &Catalog, sql: &str) -> Result<StreamPlan, SqlError> {
        plan::plan_rows(catalog, sql, Some(&FromJson))
    }

    /// True if there is such a table and its columns are known.
    fn is_known(&self) -> bool {
        let is_on = |name: &str| name.eq_ignore_ascii_case(self.alert.on.text.trim());
        self.catalog.names().into_iter().any(is_on) && !self.draft.unknown.iter().any(|name| is_on(name))
    }

    /// The columns of the table; `None` if it is told there what is wrong with it, or told now that no alert can watch it.
    fn columns(&mut self, table: &str) -> Option<SchemaRef> {
        if !self.is_known() {
            return None;
        }
        match self.sql(self.catalog, &format!("SELECT * FROM {table}")) {
            Ok(plan) => Some(plan.output_schema()),
            Err(error) => {
                let on = &self.alert.on;
                self.tell(error.error, on, 0, on.text.trim_end().len());
                None
            }
        }
    }

    /// Plans a condition alone and tells what is wrong with it; over a table that is not there to be read only its syntax.
    fn check(&mut self, name: &str, condition: &Placed, is_there: bool) {
        let on = self.alert.on.text.trim();
        let text = &condition.text;
        let plan = match self.sql(self.catalog, &format!("SELECT (\n{text}\n) AS `{name}` FROM `{on}`")) {
            Ok(plan) => plan,
            Err(error) => {
                if is_there || error.error.code() == &codes::SQL_SYNTAX {
                    // The condition begins in the second line of the SQL; what is missing at its end is told there.
                    let place = error.place.map(|(line, column)| (line.saturating_sub(1), column));
                    let lines = text.split('\n').count();
                    let offset = match place {
                        Some((line, _)) if line > lines => text.trim_end().len(),
                        Some((0, _)) => 0,
                        Some(place) => load::offset_of(text, place),
                        None => 0,
                    };
                    self.tell(error.error, condition, offset, load::word_at(text, offset).len());
                }
                return;
            }
        };
        let schema = plan.output_schema();
        let error = match schema.fields().as_ref() {
            [only] if only.name() == name && only.data_type() == &DataType::Boolean => return,
            [only] if only.name() == name => {
                let found = plan::type_name(only.data_type());
                Error::new(&codes::SQL_PLAN, format!("`{name}` is not a condition: its type is {found}"))
                    .with_hint("Compare it with something, as in `temperature > 70`.")
            }
            _ => Error::new(&codes::SQL_SYNTAX, format!("`{name}` is not one condition"))
                .with_hint("Write what could stand after WHERE; parts of it are joined by AND and OR."),
        };
        self.tell(error, condition, 0, text.trim_end().len());
    }

    /// The key column.
    fn key(&mut self, schema: &Schema) -> Option<Column> {
        let key = &self.alert.key;
        let error = match columns::find(schema, &key.text) {
            Some(column) if is_key(&column.data_type) => return Some(column),
            Some(column) => {
                let found = plan::type_name(&column.data_type);
                let name = column.name.trim_matches('`');
                Error::new(&codes::SQL_PLAN, format!("`{name}` cannot be a key: its type is {found}"))
                    .with_hint("A key is a text or a whole number. A view can make one: `CAST(… AS STRING)`.")
            }
            None => unknown_column(schema, &key.text),
        };
        self.tell(error, key, 0, key.text.len());
        None
    }

    /// The columns that the message names; the error was told.
    fn message(&mut self, schema: &Schema) -> Result<Vec<Column>, ()> {
        let Some((message, text)) = &self.alert.message else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let before = self.found.len();
        for (name, at) in message.columns() {
            match columns::find(schema, name) {
                Some(column) => found.push(column),
                None => self.tell(unknown_column(schema, name), text, at, name.len()),
            }
        }
        if self.found.len() == before { Ok(found) } else { Err(()) }
    }

    /// The columns of which silence is told; the error was told.
    fn fields(&mut self, schema: &Schema) -> Result<Vec<Column>, ()> {
        let Some(no_data) = &self.alert.no_data else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let before = self.found.len();
        for field in &no_data.fields {
            match columns::find(schema, &field.text) {
                Some(column) => add(&mut found, column),
                None => self.tell(unknown_column(schema, &field.text), field, 0, field.text.len()),
            }
        }
        if self.found.len() == before { Ok(found) } else { Err(()) }
    }

    fn tell(&mut self, error: Error, within: &Placed, offset: usize, length: usize) {
        let File { text, name } = self.file;
        let problem = Problem::within(error, text, name, within.place, &within.text, offset, length);
        self.found.push(problem);
    }
}

/// A column that the SELECT of an alert gives.
pub(super) struct Item {
    pub sql: String,
    pub name: String,
}

/// The SELECT of these columns, each with its name.
pub(super) fn select<'a>(items: impl Iterator<Item = (&'a str, &'a str)>, on: &str) -> String {
    let columns = items.map(|(sql, name)| format!("{sql} AS `{}`", name.replace('`', "``")));
    format!("SELECT {} FROM `{on}`", columns.collect::<Vec<_>>().join(",\n"))
}

/// The conditions of a level.
struct Level<'a> {
    severity: Severity,
    when: &'a Placed,
    clear: Option<&'a Placed>,
}

/// The levels of an alert; of one without any its own conditions.
fn levels(alert: &AlertConfig) -> Vec<Level<'_>> {
    let AlertConfig { severity, when, clear, levels, .. } = alert;
    if levels.is_empty() {
        return vec![Level { severity: *severity, when, clear: clear.as_ref() }];
    }
    let levels = levels.iter();
    levels
        .map(|LevelConfig { severity, when, clear, .. }| Level {
            severity: *severity,
            when,
            clear: clear.as_ref(),
        })
        .collect()
}

fn add(columns: &mut Vec<Column>, column: Column) {
    if !columns.contains(&column) {
        columns.push(column);
    }
}

/// Who is told of an alert: of the silences only those that can be about it, so that a change of another is none of it.
fn notices(alert: &AlertConfig, pipeline: &Pipeline) -> Notices {
    let is_of = |rules: &[String]| {
        rules.is_empty() || rules.iter().any(|rule| rule.eq_ignore_ascii_case(&alert.name))
    };
    let silences = pipeline.silences.iter().filter(|silence| is_of(&silence.rules));
    let channels = pipeline.channels.iter().filter(|channel| is_of(&channel.rules));
    let channel = |config: &ChannelConfig| Channel {
        name: config.name.clone(),
        least: config.least,
        wait_ms: millis(config.wait),
        most: config.most,
        listed: channels::listed(config),
    };
    Notices {
        channels: channels.map(channel).collect(),
        silences: silences.cloned().collect(),
        inhibited_by: alert.inhibited_by.iter().map(|rule| rule.text.clone()).collect(),
    }
}

/// The field of each source that an alert's key is, as people see it. A source is left out if the key is computed there, or is
/// not the same field wherever it is read, or if it decodes nothing.
fn key_fields(plan: &StreamPlan, sources: &[SourceConfig]) -> BTreeMap<String, String> {
    let origins = plan.origins(named_so::KEY);
    let mut found: BTreeMap<&str, Vec<Option<String>>> = BTreeMap::new();
    for (name, origin) in plan.inputs().into_iter().zip(origins) {
        let source = sources.iter().find(|it| it.name == name);
        let field = origin.and_then(|origin| field_of(source?, &origin.join(".")));
        found.entry(name).or_default().push(field);
    }
    let one = |(name, fields): (&str, Vec<Option<String>>)| {
        let first = fields.first()?.clone()?;
        let is_same = fields.iter().all(|field| field.as_ref() == Some(&first));
        is_same.then(|| (name.to_owned(), first))
    };
    found.into_iter().filter_map(one).collect()
}

/// A field of what a source decodes, as people see it.
fn field_of(source: &SourceConfig, name: &str) -> Option<String> {
    let leaves = fields::leaves(&source.value.as_ref()?.schema);
    leaves.into_iter().map(|leaf| leaf.name).find(|leaf| leaf.eq_ignore_ascii_case(name))
}

/// How time, topic and partition of a record are named where an alert watches a source, or a view.
fn record_columns(source: Option<&SourceConfig>) -> [String; 3] {
    match source {
        None => RECORD_COLUMNS.map(str::to_owned),
        Some(SourceConfig { value: None, invalid: None, .. }) => {
            ["timestamp", "topic", "partition"].map(str::to_owned)
        }
        Some(_) => ["timestamp", "topic", "partition"].map(|column| format!("{KAFKA_COLUMN}.{column}")),
    }
}

/// How the place of a record is named where an alert watches a source; behind a view it is not told.
fn offset_column(source: Option<&SourceConfig>) -> Option<String> {
    Some(match source? {
        SourceConfig { value: None, invalid: None, .. } => "offset".to_owned(),
        _ => format!("{KAFKA_COLUMN}.offset"),
    })
}

fn no_record(on: &str, source: Option<&SourceConfig>) -> Error {
    let message = format!("`{on}` does not say when its records were, and an alert goes by their time");
    let hint = match source {
        Some(_) => format!("A column of its own hides `{KAFKA_COLUMN}`: rename it in the schema."),
        None => "Watch the source that the view reads.".to_owned(),
    };
    Error::new(&codes::NOT_YET, message).with_hint(hint)
}

fn unknown_column(schema: &Schema, name: &str) -> Error {
    let names = columns::names(schema);
    let unknown = unknown_name("column", name, names.iter().map(String::as_str));
    Error::new(&codes::SQL_PLAN, unknown.message()).with_hint(unknown.hint())
}

fn is_key(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_string() || *data_type == DataType::Boolean
}
