//! `forebay init`: a pipeline file to start from, that runs as it is written.
//!
//! Without `--from` it is the plant that `forebay simulate` plays; with it, a copy of a topic whose schema is inferred
//! from its records. What must stay true: no file is overwritten, no secret is written into one, and what is written
//! was loaded before as `forebay validate` loads it.

mod watched;

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use forebay_connectors::formats::json::infer;
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::options::looks_secret;
use forebay_storage::Door;

use crate::cli::{BrokerArgs, Global, InitArgs};
use crate::commands::schema::remarks;
use crate::runnable::Run;
use crate::sample::{self, Topic};
use crate::{broker, load, talk};
use watched::Watched;

/// Records to infer a schema from.
const RECORDS: u32 = 1_000;

pub async fn run(global: &Global, args: &InitArgs) -> anyhow::Result<ExitCode> {
    if args.file.exists() {
        return Err(taken(&args.file).into());
    }
    let draft = match &args.from {
        None if !args.options.is_empty() => {
            let error = Error::new(&codes::WRONG_USE, "`-X` is for the topic that `--from` names");
            return Err(error.with_hint("Add `--from kafka://HOST:PORT/TOPIC`, or leave it out.").into());
        }
        None => plant(global, &args.file),
        Some(from) => copy_of(global, from, &args.options).await?,
    };
    let draft = checked(global, draft)?;
    let text = draft.text(&args.file.display().to_string(), false);
    Door::new().write_new(&args.file, text.as_bytes()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(&args.file),
        _ => Error::new(&codes::WRONG_USE, "the file cannot be written")
            .at(args.file.display())
            .caused_by(error),
    })?;
    let file = args.file.display();
    talk::say(&format!("wrote {file}; now:\n  forebay validate {file}\n  forebay run {file}"));
    if args.from.is_none() {
        talk::say("and in another terminal, for devices that send:\n  forebay simulate --values wander");
    }
    talk::say(&format!("its page is then http://{}; in a terminal:\n  forebay top", global.http));
    for (name, _) in draft.options.iter().filter(|(name, _)| looks_secret(name)) {
        talk::say(&format!(
            "`{name}` is a secret and not in the file: set {} before it runs",
            variable(name)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// What a file is written from.
#[derive(Clone)]
struct Draft {
    name: String,
    servers: String,
    topic: String,
    starting: &'static str,
    /// Client options beside the servers.
    options: Vec<(String, String)>,
    /// The columns, one a line.
    ddl: String,
    /// What is unsure about them.
    remarks: Vec<String>,
    /// A comment and a SELECT for the screen.
    screen: (&'static str, &'static str),
    /// Alerts and what the page is told.
    watched: Watched,
    /// Of a first test: its name, the record that it gives, what it expects.
    test: [&'static str; 3],
    /// Why the table is left out, if it cannot be.
    no_table: Option<String>,
}

/// The plant of `forebay simulate`, named after its file: so it has folders of its own beside other pipelines.
fn plant(global: &Global, file: &Path) -> Draft {
    Draft {
        name: name_of(&file.file_stem().unwrap_or_default().to_string_lossy()),
        servers: global.kafka.map_or_else(|| "localhost:9092".to_owned(), |address| address.to_string()),
        topic: "iot_topic".to_owned(),
        starting: "latest",
        options: Vec::new(),
        ddl: "device_id STRING,\ntemperature DOUBLE,\nhumidity DOUBLE,\ntimestamp BIGINT".to_owned(),
        remarks: Vec::new(),
        screen: (
            "Readings above 70 degrees, on the screen as soon as they arrive.",
            "SELECT device_id, temperature, timestamp_seconds(timestamp) AS at FROM events WHERE temperature > 70",
        ),
        watched: Watched::plant(),
        test: [
            "a hot reading is shown, with its time",
            "{ device_id: device_1, temperature: 71.5, humidity: 40, timestamp: 5 }",
            "rows: [ { device_id: device_1, at: 00:00:05 } ]",
        ],
        no_table: None,
    }
}

/// A copy of a topic that is there.
async fn copy_of(global: &Global, from: &str, options: &[(String, String)]) -> anyhow::Result<Draft> {
    let topic = Topic::parse(from)?;
    let broker = BrokerArgs { bootstrap: topic.servers, client_properties: None, options: options.to_vec() };
    let values = sample::of_topic(global, &broker, &topic.name, RECORDS).await?;
    let inferred = infer::infer(&values)?;
    let remarks = remarks(&inferred);
    remarks.iter().for_each(|line| talk::say(&format!("-- {line}")));
    let ddl = inferred.ddl().context("a type that was inferred has no name")?;
    Ok(Draft {
        name: name_of(&topic.name),
        servers: broker::bootstrap(global, &broker),
        topic: topic.name,
        starting: "earliest",
        options: options.to_vec(),
        watched: Watched::of(&ddl),
        ddl,
        remarks,
        screen: ("The newest rows on the screen, to see that they come.", "SELECT * FROM events"),
        test: ["each record is read", "'{}'", "ledger: { read: 1 }"],
        no_table: None,
    })
}

/// The draft as far as it can be run: a table is left out that cannot have the columns.
fn checked(global: &Global, mut draft: Draft) -> anyhow::Result<Draft> {
    let run = Run { data: &global.data, trigger: None, needs_tables: false, only: &[] };
    let problems = |draft: &Draft| load::load(&draft.text("it", true), "it", Some(run)).err();
    let Some(found) = problems(&draft) else { return Ok(draft) };
    draft.no_table = found.first().map(|problem| problem.error.message().to_owned());
    match problems(&draft) {
        None => Ok(draft),
        Some(found) => {
            found.iter().for_each(|problem| talk::error(&problem.error));
            bail!("no pipeline that runs can be written for this topic")
        }
    }
}

impl Draft {
    /// The file; with `values` secrets stand in it, to be checked and never written.
    fn text(&self, file: &str, values: bool) -> String {
        let mut out = format!(
            "# A pipeline: where data comes from, what is done with it, where the rows go.\n#\n\
             #   forebay validate {file}     is anything wrong with this file?\n\
             #   forebay run {file}          run it until Ctrl-C; the next start goes on there\n#\n\
             # Editors with a YAML language server complete and check it, once `forebay schema json > pipeline.schema.json`\n\
             # has written what they need and the first line of this file is\n\
             #   # yaml-language-server: $schema=pipeline.schema.json\n\n\
             # Its folders and its metrics carry this name.\n\
             pipeline: {}\n\n\
             # `events` is our name for the topic: the queries below read it like a table.\n\
             sources:\n  events:\n    format: kafka\n    options:\n",
            self.name
        );
        let mut option = |name: &str, value: &str| {
            let _ = writeln!(out, "      {name}: {}", quoted(value));
        };
        option("kafka.bootstrap.servers", &self.servers);
        for (name, value) in &self.options {
            if looks_secret(name) && !values {
                option(name, &format!("${{{}}}", variable(name)));
            } else {
                option(name, &value.replace('$', "$$"));
            }
        }
        option("subscribe", &self.topic);
        out.push_str(
            "      # On the very first start: `latest` takes what arrives from now on, `earliest` also what is there.\n",
        );
        let _ = writeln!(out, "      startingOffsets: {}", self.starting);
        out.push_str(
            "    # Each message is JSON with these fields. One that does not fit is set aside with its reason\n    \
             # (`forebay quarantine ls`), and can be replayed once the schema is mended.\n    value: json\n",
        );
        for remark in &self.remarks {
            let _ = writeln!(out, "    # {remark}");
        }
        out.push_str("    schema: |\n");
        for column in self.ddl.lines() {
            let _ = writeln!(out, "      {column}");
        }
        out.push_str(
            "\n# Each query runs for ever, by itself: one SELECT, one place where its rows go.\nqueries:\n",
        );
        match &self.no_table {
            None => {
                let _ = write!(
                    out,
                    "  # Every record into a Delta Lake table, each exactly once. A relative path lies under `--data`.\n  \
                     #   forebay query --pipeline {file} 'SELECT count(*) FROM lake'\n  \
                     lake:\n    sql: SELECT * FROM events\n    format: delta\n    options:\n      path: data/{}\n    \
                     # Collect for a second, then write: fewer and larger files.\n    trigger:\n      \
                     processingTime: 1 second\n\n",
                    self.name
                );
            }
            Some(why) => {
                let _ = write!(
                    out,
                    "  # A Delta table takes these columns only with a SELECT that renames them:\n  # {}\n\n",
                    why.replace('\n', " ")
                );
            }
        }
        let (comment, sql) = self.screen;
        let _ = write!(out, "  # {comment}\n  screen:\n    sql: {sql}\n    format: console\n");
        let [name, given, expect] = self.test;
        out + &self.watched.text()
            + &format!(
                "\n# What is to come of which records. Without the `#` this is tried, on a clock of its own, by\n\
                 #   forebay test {file}\n\
                 # tests:\n#   - name: {name}\n#     given: {{ events: [ {given} ] }}\n#     expect: {{ queries: {{ screen: {{ {expect} }} }} }}\n"
            )
    }
}

/// A text as YAML takes it whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The environment variable for a secret option.
fn variable(option: &str) -> String {
    option.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// A pipeline's name after a topic's or a file's.
fn name_of(topic: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let name: String = topic.chars().map(plain).take(60).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') { name } else { format!("_{name}") }
}

fn taken(file: &Path) -> Error {
    Error::new(&codes::WRONG_USE, "the file is there already, and is left as it is")
        .at(file.display())
        .with_hint("Name another file behind `init`, or move this one away.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(options: &[(&str, &str)]) -> Draft {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Draft {
            name: name_of("7.lines"),
            servers: "h:1".to_owned(),
            topic: "7.lines".to_owned(),
            starting: "earliest",
            options,
            ddl: "`a b` STRING".to_owned(),
            remarks: Vec::new(),
            screen: ("", "SELECT * FROM events"),
            watched: Watched::default(),
            test: ["", "", ""],
            no_table: None,
        }
    }

    #[test]
    fn a_secret_is_never_written() {
        let draft = draft(&[("kafka.ssl.key.password", "hunter$2"), ("kafka.client.id", "a \"b\" $c")]);
        let written = draft.text("p.yaml", false);
        assert!(!written.contains("hunter"), "{written}");
        assert!(written.contains("kafka.ssl.key.password: \"${KAFKA_SSL_KEY_PASSWORD}\""), "{written}");
        assert!(written.contains(r#"kafka.client.id: "a \"b\" $$c""#), "{written}");
        assert!(draft.text("p.yaml", true).contains("hunter$$2"));
    }

    #[test]
    fn columns_that_a_table_cannot_have_cost_the_table_and_not_the_file() {
        use clap::Parser;
        let global = crate::cli::Cli::try_parse_from(["forebay", "init"]).unwrap().global;
        let checked = checked(&global, draft(&[])).unwrap();
        let text = checked.text("p.yaml", false);
        assert!(text.contains("column `a b` has a name that Delta does not allow"), "{text}");
        assert!(text.starts_with("# A pipeline") && text.contains("pipeline: _7_lines"), "{text}");
        assert!(load::load(&text, "p.yaml", None).is_ok());
        assert!(super::checked(&global, plant(&global, Path::new("plant.yaml"))).unwrap().no_table.is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_test_that_is_written_holds() {
        use clap::Parser;
        let global = crate::cli::Cli::try_parse_from(["forebay", "init"]).unwrap().global;
        let of_topic = Draft {
            ddl: "v DOUBLE".to_owned(),
            test: ["each record is read", "'{}'", "ledger: { read: 1 }"],
            ..draft(&[])
        };
        for draft in [plant(&global, Path::new("plant.yaml")), of_topic] {
            let text = draft.text("p.yaml", false);
            let (head, test) = text.split_once("# tests:\n").unwrap();
            let live: String = test.lines().map(|line| format!("{}\n", &line[2..])).collect();
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("p.yaml");
            Door::new().write_new(&file, format!("{head}tests:\n{live}").as_bytes()).unwrap();
            let (loaded, tests) =
                crate::testing::load_or_explain(&file, None, (None, Path::new("."))).unwrap().unwrap();
            let [test] = &tests[..] else { panic!("{tests:?}") };
            let outcome = crate::testing::run::run(test, &loaded).await.unwrap();
            assert!(outcome.failures.is_empty(), "{outcome:?}");
        }
    }

    #[test]
    fn what_is_written_as_an_example_is_right_as_it_stands() {
        let ddl = "machine STRING,\nheat DOUBLE";
        let draft = Draft { ddl: ddl.to_owned(), watched: Watched::of(ddl), ..draft(&[]) };
        let text = draft.text("p.yaml", false);
        let start = text.find("# alerts:").unwrap();
        let (example, rest) = text[start..].split_once("\n\n").unwrap();
        let live = example.lines().map(|line| format!("{}\n", &line[2..])).collect::<String>();
        let loaded = load::load(&format!("{}{live}\n{rest}", &text[..start]), "p.yaml", None).ok().unwrap();
        assert_eq!((loaded.alerts.len(), loaded.alerts[0].config.name.as_str()), (1, "high_heat"));
    }
}
