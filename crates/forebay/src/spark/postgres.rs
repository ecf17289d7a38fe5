//! A query that writes to PostgreSQL: Spark has no streaming sink for it, so each batch is written by JDBC.
//!
//! ```text
//! append, complete   batch ─ Spark's JDBC ─▶ table                        may be there twice
//! upsert             batch ─ Spark's JDBC ─▶ stage ─ one transaction of the driver's: INSERT … ON CONFLICT, the batch's number ─▶ table
//! ```
//!
//! What must stay true: a batch that Spark comes again with changes nothing where rows are replaced by key, and where they are appended the note
//! says that it may be there twice. The number belongs to the job's checkpoint, so a job that begins anew is not taken for one that repeats.

use forebay_connectors::sinks;
use forebay_core::OutputMode;
use forebay_core::config::QueryConfig;

use super::Writer;
use super::python::{list, literal};

/// Writes each batch of a query by JDBC. Spark may come again with a batch that it has written: `append` is at least once.
pub(super) const INTO_JDBC: &str = "

def into_jdbc(mode, **options):
    \"\"\"Writes each batch into a table of PostgreSQL.\"\"\"

    def write(rows, epoch):
        rows.write.format(\"jdbc\").options(driver=\"org.postgresql.Driver\", **options).mode(mode).save()

    return write


";

/// Replaces rows by key. Of several rows of a batch with the same key the last one wins: Spark's own order, partition by partition.
pub(super) const BY_KEY: &str = r#"

def by_key(name, keys, table, stage, epochs, table_options="", **options):
    """Each row takes the place of the one with the same keys, in one transaction with the batch's number: once, however often Spark comes."""
    jdbc = dict(options, driver="org.postgresql.Driver", stringtype="unspecified", dbtable=stage)

    def quoted(names):
        return ", ".join('"' + column.replace('"', '""') + '"' for column in names)

    def connected():
        jvm = spark._jvm
        jvm.org.apache.spark.sql.execution.datasources.jdbc.DriverRegistry.register("org.postgresql.Driver")
        properties = jvm.java.util.Properties()
        for option in ("user", "password"):
            if option in options:
                properties.setProperty(option, options[option])
        connection = jvm.java.sql.DriverManager.getConnection(options["url"], properties)
        if "sessionInitStatement" in options:
            connection.createStatement().execute(options["sessionInitStatement"])
        return connection

    def exists(connection):
        asked = connection.prepareStatement("SELECT to_regclass(?) IS NOT NULL")
        asked.setString(1, table)
        answer = asked.executeQuery()
        answer.next()
        return answer.getBoolean(1)

    def write(rows, epoch):
        columns = rows.columns
        key = [column for column in columns if column.lower() in [given.lower() for given in keys]]
        others = [column for column in columns if column not in key]
        query = next(str(it.id) for it in spark.streams.active if it.name == name)
        connection = connected()
        try:
            run = connection.createStatement().executeUpdate
            # Two queries that begin at once would make it both: IF NOT EXISTS does not keep them apart.
            ask = connection.createStatement().execute
            ask("SELECT pg_advisory_lock(hashtext('forebay_spark_epochs'))")
            run(f"CREATE TABLE IF NOT EXISTS {epochs} (query text PRIMARY KEY, epoch bigint NOT NULL)")
            ask("SELECT pg_advisory_unlock(hashtext('forebay_spark_epochs'))")
            if not exists(connection):
                rows.limit(0).write.format("jdbc").options(**jdbc).mode("overwrite").save()
                run(f"CREATE TABLE IF NOT EXISTS {table} (LIKE {stage}, PRIMARY KEY ({quoted(key)})) {table_options}")
            run(f"DROP TABLE IF EXISTS {stage}")
            run(
                f"CREATE UNLOGGED TABLE {stage} AS SELECT {quoted(columns)}, NULL::bigint AS forebay_order "
                f"FROM {table} WITH NO DATA"
            )
            numbered = rows.withColumn("forebay_order", F.monotonically_increasing_id())
            types = {option: value for option, value in jdbc.items() if option != "createTableColumnTypes"}
            numbered.write.format("jdbc").options(**types).mode("append").save()
            connection.setAutoCommit(False)
            is_new = run(
                f"INSERT INTO {epochs} AS told (query, epoch) VALUES ('{query}', {epoch}) ON CONFLICT (query) "
                "DO UPDATE SET epoch = EXCLUDED.epoch WHERE told.epoch < EXCLUDED.epoch"
            )
            if is_new:
                replaced = [f"{quoted([column])} = EXCLUDED.{quoted([column])}" for column in others]
                action = f"DO UPDATE SET {', '.join(replaced)}" if replaced else "DO NOTHING"
                run(
                    f"INSERT INTO {table} ({quoted(columns)}) SELECT DISTINCT ON ({quoted(key)}) {quoted(columns)} "
                    f"FROM {stage} ORDER BY {quoted(key)}, forebay_order DESC ON CONFLICT ({quoted(key)}) {action}"
                )
            run(f"DROP TABLE {stage}")
            connection.commit()
        finally:
            # What was not committed is undone.
            connection.close()

    return write


"#;

/// The table that holds the newest batch of each query, and how the names of stages begin.
const EPOCHS: &str = "forebay_spark_epochs";
const STAGE: &str = "forebay_stage";
/// PostgreSQL cuts longer names.
const LONGEST: usize = 63;

impl Writer<'_> {
    /// The notes and the sink of a query into PostgreSQL; the error is why it is not in the job.
    pub(super) fn jdbc(
        &mut self,
        query: &QueryConfig,
        pipeline: &str,
        line: usize,
    ) -> Result<(String, String), String> {
        let name = query.name.as_str();
        let upserts = query.options.text("writeMode") == Some("upsert")
            || (query.output_mode == OutputMode::Update && query.options.text("writeMode").is_none());
        let (mut notes, mut call) = match upserts {
            true => (String::new(), self.keyed(query, pipeline)?),
            false => {
                let text = format!(
                    "query `{name}`: Spark writes each batch by JDBC, and one that it comes again with is there twice"
                );
                let mode = if query.output_mode == OutputMode::Complete { "overwrite" } else { "append" };
                (self.note(line, text), vec![literal(mode)])
            }
        };
        for (option, text) in self.written(&["queries", name], Some(&sinks::postgres::SPEC), &query.options) {
            let at = self.keys.of(&["queries", name, "options", &option]).unwrap_or(line);
            let value = match option.as_str() {
                "key" | "writeMode" | "dbtable" if upserts => continue,
                "createTableOptions" if upserts => {
                    call.push(format!("table_options={}", literal(&text)));
                    continue;
                }
                "url" => {
                    let (user, url) = jdbc_url(&text);
                    if let Some(user) = user.filter(|_| query.options.text("user").is_none()) {
                        call.push(format!("user={}", literal(user)));
                    }
                    literal(&url)
                }
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
        let function = if upserts { "by_key" } else { "into_jdbc" };
        Ok((notes, format!("    .foreachBatch({function}({}))\n", call.join(", "))))
    }

    /// What a query that replaces rows by key is called with; the error is why it is not in the job.
    fn keyed(&self, query: &QueryConfig, pipeline: &str) -> Result<Vec<String>, String> {
        let name = query.name.as_str();
        let keys = match query.options.text("key") {
            Some(list) => columns(list),
            None => self.row_keys.get(name).cloned().unwrap_or_default(),
        };
        if keys.is_empty() {
            return Err(format!(
                "query `{name}` is not in the job: by which columns rows are replaced is not known before `forebay validate` finds \
                 nothing wrong with the file"
            ));
        }
        let table = query.options.text("dbtable").unwrap_or_default().trim();
        let schema = schema_of(table);
        let stage = format!("{schema}\"{}\"", stage(pipeline, name));
        Ok(vec![
            literal(name),
            list(keys.iter().map(String::as_str)),
            literal(table),
            literal(&stage),
            literal(&format!("{schema}{EPOCHS}")),
        ])
    }
}

/// The names of a list with commas, in double quotes or not.
fn columns(list: &str) -> Vec<String> {
    let (mut names, mut name, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut letters = list.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            // Two of them are one.
            '"' if is_quoted && letters.next_if_eq(&'"').is_some() => name.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => names.push(std::mem::take(&mut name).trim().to_owned()),
            letter => name.push(letter),
        }
    }
    names.push(name.trim().to_owned());
    names.retain(|name| !name.is_empty());
    names
}

/// The schema of a table with its dot, as it is written; empty if it has none.
fn schema_of(table: &str) -> &str {
    let mut is_quoted = false;
    let dots = table.char_indices().filter(|(_, letter)| {
        is_quoted ^= *letter == '"';
        !is_quoted && *letter == '.'
    });
    dots.last().and_then(|(dot, _)| table.get(..=dot)).unwrap_or_default()
}

/// The name of the stage of a query: its own also where PostgreSQL would cut it.
fn stage(pipeline: &str, query: &str) -> String {
    let name = format!("{STAGE}_{pipeline}_{query}").replace('"', "_");
    if name.len() <= LONGEST {
        return name;
    }
    // FNV-1a.
    let sum =
        name.bytes().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let sum = format!("_{sum:08x}");
    let mut end = LONGEST - sum.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{sum}", &name[..end])
}

/// As JDBC reads it: the user is an option of its own.
fn jdbc_url(url: &str) -> (Option<&str>, String) {
    let rest = url.strip_prefix("jdbc:").unwrap_or(url);
    let rest = rest.strip_prefix("postgresql:").or_else(|| rest.strip_prefix("postgres:")).unwrap_or(rest);
    match rest.strip_prefix("//").map(|rest| rest.split_once('@').unwrap_or(("", rest))) {
        Some((user, hosts)) => ((!user.is_empty()).then_some(user), format!("jdbc:postgresql://{hosts}")),
        None => (None, format!("jdbc:postgresql:{rest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_lie_beside_their_tables_under_names_of_their_own() {
        for (table, schema) in [
            ("t", ""),
            ("a.t", "a."),
            ("\"a.b\".\"c.d\"", "\"a.b\"."),
            ("\"c.d\"", ""),
            ("größe.t", "größe."),
        ] {
            assert_eq!(schema_of(table), schema, "{table}");
        }
        assert_eq!(stage("plant", "newest"), "forebay_stage_plant_newest");
        let long = |end: &str| stage(&"ü".repeat(30), &format!("newest_{end}"));
        assert!(long("a").len() <= LONGEST && long("a") != long("b"), "{} {}", long("a"), long("b"));
        assert_eq!(columns("a, \"b,\"\"c\" ,D"), ["a", "b,\"c", "D"]);
    }

    #[test]
    fn urls_are_jdbcs() {
        for (url, user, expected) in [
            ("postgresql://h:1/d?sslmode=disable", None, "jdbc:postgresql://h:1/d?sslmode=disable"),
            ("postgres://ops@h/d", Some("ops"), "jdbc:postgresql://h/d"),
            ("jdbc:postgresql://h/d", None, "jdbc:postgresql://h/d"),
            ("jdbc:postgresql:d", None, "jdbc:postgresql:d"),
        ] {
            assert_eq!(jdbc_url(url), (user, expected.to_owned()));
        }
    }
}
