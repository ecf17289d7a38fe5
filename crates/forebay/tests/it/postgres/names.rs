//! Names that would be something else in SQL if they were not quoted: tables, schemas, columns, keys, users' choices of epochs'
//! table. None of them may be run, cut or changed.

use super::*;

/// Names of columns that a careless program would trip over.
const COLUMNS: &[&str] = &[
    "select",
    "Upper Case",
    "quo\"te",
    "'; DROP TABLE precious; --",
    "dot.ted",
    "größe °C",
    "back\\slash",
    "percent%s",
    "x'y",
];

#[test]
fn whatever_a_column_is_called_it_stays_a_name() {
    let (log, server) = (LogServer::start(), Postgres::start());
    server.run_as_forebay("CREATE TABLE precious (a int); INSERT INTO precious VALUES (1)");
    log.produce("events", &proof_events(10));
    let select: Vec<String> =
        COLUMNS.iter().enumerate().map(|(number, name)| format!("seq + {number} AS `{name}`")).collect();
    let sql = format!("SELECT {} FROM events", select.join(", "));
    let options =
        ["dbtable: '\"My \"\"Schema\"\"\".\"Ev''ents; --\"'", "key: '\"quo\"\"te\", \"Upper Case\"'"];
    server.run_as_forebay("CREATE SCHEMA \"My \"\"Schema\"\"\"");
    let text = query_text(log.address, PROOF_SCHEMA, "SQL", &server.url(), &options);
    // As a block, where neither quotes nor backslashes mean anything.
    let query = Query::new(&text.replace("sql: \"SQL\"", &format!("sql: |\n      {sql}")));
    query.run();
    let table = "\"My \"\"Schema\"\"\".\"Ev'ents; --\"";
    assert_eq!(server.count("precious"), 1);
    assert_eq!(server.count(table), 10);
    let found = server.rows(&format!(
        "SELECT attname FROM pg_attribute WHERE attrelid = '{}'::regclass AND attnum > 0 ORDER BY attnum",
        table.replace('\'', "''")
    ));
    let names: Vec<&str> = found.iter().map(|row| row[0].as_deref().unwrap()).collect();
    assert_eq!(names, COLUMNS);
    let sums = server.rows(&format!(
        "SELECT sum(\"select\"), sum(\"x'y\"), sum(\"'; DROP TABLE precious; --\") FROM {table}"
    ));
    assert_eq!(sums, [["45", "125", "75"].map(|sum| Some(sum.to_owned()))]);
    // The epochs lie beside the table, and a second run finds both.
    assert_eq!(server.one("SELECT count(*) FROM \"My \"\"Schema\"\"\".forebay_epochs"), "1");
    query.run();
    assert_eq!(server.count(table), 10);
}

#[test]
fn values_that_look_like_sql_are_values() {
    let (log, server) = (LogServer::start(), Postgres::start());
    server.run_as_forebay("CREATE TABLE precious (a int); INSERT INTO precious VALUES (1)");
    let texts =
        ["'; DROP TABLE precious; --", "\\.", "\\N", "$$", "$1", "\"", "a\tb\nc\r\n", "%s", "🙈", "", " "];
    let lines: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(id, text)| serde_json::json!({ "id": id, "text": text }).to_string())
        .collect();
    log.produce("events", &lines);
    for (table, more) in [("copied", &[][..]), ("upserted", &["key: text", "writeMode: upsert"])] {
        let dbtable = format!("dbtable: {table}");
        let options = [&[&*dbtable], more].concat();
        let query = Query::new(&query_text(
            log.address,
            "id INT, text STRING",
            "SELECT * FROM events",
            &server.url(),
            &options,
        ));
        query.run();
        let found = server.rows(&format!("SELECT text FROM {table} ORDER BY id"));
        let found: Vec<&str> = found.iter().map(|row| row[0].as_deref().unwrap()).collect();
        assert_eq!(found, texts, "{table}");
    }
    assert_eq!(server.count("precious"), 1);
}

#[test]
fn the_table_of_epochs_may_lie_elsewhere() {
    let trial = Trial::new();
    let query = trial.copy("t", &["epochTable: 'ops.\"Epochs; --\"'"]);
    trial.server.run_as_forebay("CREATE SCHEMA ops");
    query.run();
    assert_eq!(trial.server.one("SELECT query_name FROM ops.\"Epochs; --\""), "lake");
    assert_exactly_once(&trial.server.proof_rows("t"), EVENTS, "with epochs elsewhere");
}

#[test]
fn what_is_no_name_of_a_table_is_refused_before_the_server_is_asked() {
    let query = |table: &str| {
        let options = format!("dbtable: '{}'", table.replace('\'', "''"));
        let nowhere = url(free_address());
        Query::new(&query_text(free_address(), PROOF_SCHEMA, "SELECT * FROM events", &nowhere, &[&options]))
    };
    let long = "a".repeat(64);
    for table in ["t; DROP TABLE precious", "a.b.c", "a b", "\"a", "", "(SELECT 1) AS t", &long] {
        let said = query(table).refused();
        assert!(said.contains("dbtable"), "`{table}`: {said}");
    }
}
