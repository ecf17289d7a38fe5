//! Tables at rest: `spark.read` as a temporary view of the table's name.

use std::fmt::Write as _;

use forebay_connectors::{formats, s3, tables};
use forebay_core::config::TableConfig;

use super::Writer;
use super::python::literal;
use super::query::{of_session, path};

impl Writer<'_> {
    pub(super) fn table(&mut self, table: &TableConfig) -> String {
        let name = table.name.as_str();
        let line = self.line(&["tables", name]);
        let mut notes = self.note(line, reread(table));
        if let Some(at) = self.keys.of(&["tables", name, "maxMemory"]) {
            let text = format!("table `{name}`: `maxMemory` has no counterpart in Spark");
            notes.push_str(&self.note(at, text));
        }
        let mut code = format!("(\n    spark.read.format({})\n", literal(&table.format));
        if let Some((_, ddl)) = &table.schema {
            let _ = writeln!(code, "    .schema({})", literal(ddl.trim()));
        }
        let spec = tables::SPECS.iter().copied().find(|spec| spec.name == table.format);
        let decoder = formats::SPECS.iter().copied().find(|spec| spec.name == table.format);
        let mut options = self.written(&["tables", name], spec, &table.options);
        // What is refused here as a whole, Spark's default lets through as NULL.
        let has_mode =
            table.options.text("mode").is_some() && options.iter().all(|(option, _)| option != "mode");
        if has_mode {
            options.push(("mode".to_owned(), table.options.text("mode").unwrap_or_default().to_owned()));
        }
        options.extend(self.written(&["tables", name], decoder, &table.decoder_options));
        for (option, text) in options {
            let at = self.keys.of(&["tables", name, "options", &option]).unwrap_or(line);
            match option.as_str() {
                "path" => {}
                _ if s3::is_option(&option) => {
                    notes.push_str(&self.note(at, of_session(&format!("table `{name}`"), &option)));
                }
                _ if option.starts_with("max") => {
                    let text = format!("table `{name}`: `{option}` has no counterpart in Spark");
                    notes.push_str(&self.note(at, text));
                }
                _ => {
                    let value = self.value(at, &option, &text, &table.options, &mut notes);
                    let _ = writeln!(code, "    .option({}, {value})", literal(&option));
                }
            }
        }
        let at = path(table.options.text("path").unwrap_or_default());
        let _ = writeln!(code, "    .load({at})");
        let _ = writeln!(code, "    .createOrReplaceTempView({})\n)", literal(&format!("`{name}`")));
        format!("\n# line {line}: table `{name}`\n{notes}{code}")
    }
}

/// What differs when the table changes while the job runs.
fn reread(table: &TableConfig) -> String {
    let name = &table.name;
    match table.format.as_str() {
        "delta" => format!(
            "table `{name}`: as in Forebay each micro-batch is joined with the newest version; one that is repeated after a \
             crash with the newest then, not with its own"
        ),
        _ => format!(
            "table `{name}`: Spark lists the files once, when the job starts, and reads them in each micro-batch; a file that \
             is new or takes another's place is seen only by the next start, and may fail a micro-batch"
        ),
    }
}
