//! A query that writes to PostgreSQL: Spark has no streaming sink for it, so each batch is written by JDBC.
//!
//! What must stay true: what JDBC cannot do (replace rows by key) is not done otherwise in silence, and the note says that
//! Spark may write a batch twice.

use forebay_connectors::sinks;
use forebay_core::OutputMode;
use forebay_core::config::QueryConfig;

use super::Writer;
use super::python::literal;

/// Writes each batch of a query by JDBC. Spark may come again with a batch that it has written: `append` is at least once.
pub(super) const INTO_JDBC: &str = "

def into_jdbc(mode, **options):
    \"\"\"Writes each batch into a table of PostgreSQL.\"\"\"

    def write(rows, epoch):
        rows.write.format(\"jdbc\").options(driver=\"org.postgresql.Driver\", **options).mode(mode).save()

    return write


";

impl Writer<'_> {
    /// The notes and the sink of a query into PostgreSQL; the error is why it is not in the job.
    pub(super) fn jdbc(&mut self, query: &QueryConfig, line: usize) -> Result<(String, String), String> {
        let name = query.name.as_str();
        let upserts = query.options.text("writeMode") == Some("upsert")
            || (query.output_mode == OutputMode::Update && query.options.text("writeMode").is_none());
        if upserts {
            return Err(format!(
                "query `{name}` is not in the job: Spark's JDBC cannot replace rows by key; write to a table beside it, and merge there"
            ));
        }
        let text = format!(
            "query `{name}`: Spark writes each batch by JDBC, and one that it comes again with is there twice"
        );
        let mut notes = self.note(line, text);
        let mode = if query.output_mode == OutputMode::Complete { "overwrite" } else { "append" };
        let mut call = vec![literal(mode)];
        for (option, text) in self.written(&["queries", name], Some(&sinks::postgres::SPEC), &query.options) {
            let at = self.keys.of(&["queries", name, "options", &option]).unwrap_or(line);
            let value = match option.as_str() {
                "url" => literal(&jdbc_url(&text)),
                "dbtable"
                | "user"
                | "password"
                | "batchsize"
                | "truncate"
                | "createTableOptions"
                | "createTableColumnTypes"
                | "sessionInitStatement" => self.value(at, &option, &text, &query.options, &mut notes),
                "driver" => continue,
                _ => {
                    let text = format!("query `{name}`: `{option}` has no counterpart in Spark's JDBC");
                    notes.push_str(&self.note(at, text));
                    continue;
                }
            };
            call.push(format!("{option}={value}"));
        }
        Ok((notes, format!("    .foreachBatch(into_jdbc({}))\n", call.join(", "))))
    }
}

/// As JDBC reads it: the user is an option of its own.
fn jdbc_url(url: &str) -> String {
    let rest = url.strip_prefix("jdbc:").unwrap_or(url);
    let rest = rest.strip_prefix("postgresql:").or_else(|| rest.strip_prefix("postgres:")).unwrap_or(rest);
    match rest.strip_prefix("//").map(|rest| rest.split_once('@').unwrap_or(("", rest))) {
        Some((_, hosts)) => format!("jdbc:postgresql://{hosts}"),
        None => format!("jdbc:postgresql:{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_jdbcs() {
        for (url, expected) in [
            ("postgresql://h:1/d?sslmode=disable", "jdbc:postgresql://h:1/d?sslmode=disable"),
            ("postgres://ops@h/d", "jdbc:postgresql://h/d"),
            ("jdbc:postgresql://h/d", "jdbc:postgresql://h/d"),
            ("jdbc:postgresql:d", "jdbc:postgresql:d"),
        ] {
            assert_eq!(jdbc_url(url), expected);
        }
    }
}
