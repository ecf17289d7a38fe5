//! The options of the PostgreSQL sink: the table of them, and what they mean.
//!
//! Names are those of Spark's JDBC sink where it has them. What must stay true: this is the only place that knows an
//! option's name; the password is in nothing that can be printed.

use std::sync::OnceLock;
use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec, Options};
use forebay_core::sink::Stopping;
use forebay_core::{Error, OutputMode, Result, Zone};

use super::kinds;
use super::names::{TableName, columns};
use super::url::Address;
use crate::tls::{Secret, TlsFiles};

const KEY: &str = "key";

/// The PostgreSQL sink in the registry.
pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "postgres",
    kind: ConnectorKind::Sink,
    summary: "Writes a table of PostgreSQL (12 or newer), by binary COPY, one transaction an epoch. Appends, or replaces rows by \
              key (`writeMode: upsert`, `outputMode: update`) or all of them (`complete`). Creates the table if it is not there, \
              else compares it with the query and names each difference. Rows that PostgreSQL refuses go to the quarantine with \
              its own words, the rest goes through; while the server is down the query waits, and says so.",
    delivery: "Exactly once: the epoch's number is written in the same transaction as its rows (`epochTable`); an epoch that \
               the database has is not written again, whatever died when.",
    options: &[
        OptionSpec {
            name: "url",
            kind: OptionKind::String,
            default: None,
            required: true,
            doc: "Where the database is: `jdbc:postgresql://HOST:PORT/DATABASE` or `postgresql://HOST:PORT/DATABASE`, several hosts \
                  with commas between them (the one that takes writes is used). `?sslmode=verify-full&sslrootcert=FILE` for TLS, \
                  which is always verified in full; `sslcert` and `sslkey` for a client's certificate. Without `sslmode` and \
                  certificates a server on this machine is spoken to in plain text, every other one by TLS.",
        },
        OptionSpec {
            name: "dbtable",
            kind: OptionKind::String,
            default: None,
            required: true,
            doc: "The table: NAME or SCHEMA.NAME, as in SQL: names without double quotes are lower case.",
        },
        OptionSpec {
            name: "user",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "Who writes. Default: the URL's user, else that of the process.",
        },
        OptionSpec {
            name: "password",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "The password, as `${NAME}` from the environment. Shown nowhere.",
        },
        OptionSpec {
            name: "sslrootcert",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "The PEM file of the authorities that may vouch for the server, as libpq and JDBC name it. Also in `url`. Default: \
                  those of the system.",
        },
        OptionSpec {
            name: "sslcert",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "The PEM file of the certificate, with its chain, by which the server knows this client (mTLS: `clientcert` or `cert` in \
                  its pg_hba.conf). Also in `url`.",
        },
        OptionSpec {
            name: "sslkey",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "The PEM file of that certificate's key, without a password. Also in `url`.",
        },
        OptionSpec {
            name: KEY,
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "Columns of the query that tell rows apart, separated by commas: the primary key of a table that is created, and by \
                  which rows are replaced. In update mode the columns of GROUP BY, if nothing is said.",
        },
        OptionSpec {
            name: "writeMode",
            kind: OptionKind::OneOf(&["append", "upsert"]),
            default: None,
            required: false,
            doc: "`append` adds rows; `upsert` replaces the row with the same `key`, the last one of an epoch wins. Default: append, in \
                  update mode upsert.",
        },
        OptionSpec {
            name: "mergeSchema",
            kind: OptionKind::Bool,
            default: Some("false"),
            required: false,
            doc: "Whether columns of the query that the table does not have are added to it. Without it such a query is refused.",
        },
        OptionSpec {
            name: "createTableColumnTypes",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "Types of columns of a table that is created, and of those that `mergeSchema` adds, where the usual ones are not wanted: \
                  `eventId uuid, payload jsonb`. PostgreSQL's types, or Spark's: `name STRING, weight DOUBLE`.",
        },
        OptionSpec {
            name: "createTableOptions",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "What follows the columns in CREATE TABLE: `PARTITION BY RANGE (\"eventTime\")`, `WITH (fillfactor = 80)`.",
        },
        OptionSpec {
            name: "batchsize",
            kind: OptionKind::Integer(1, 1_000_000),
            default: Some("10000"),
            required: false,
            doc: "How many rows are written at a time once PostgreSQL has refused one; those among which one is refused are halved until \
                  it is found.",
        },
        OptionSpec {
            name: "truncate",
            kind: OptionKind::Bool,
            default: Some("false"),
            required: false,
            doc: "In complete mode: empty the table by TRUNCATE rather than DELETE. Quicker; readers wait until the epoch is written.",
        },
        OptionSpec {
            name: "exactlyOnce",
            kind: OptionKind::Bool,
            default: Some("true"),
            required: false,
            doc: "Whether the epoch's number is written with its rows. Without it rows may come twice after a crash.",
        },
        OptionSpec {
            name: "epochTable",
            kind: OptionKind::String,
            default: Some("forebay_epochs"),
            required: false,
            doc: "The table that holds the newest epoch of each query, in the schema of `dbtable` unless it names one. Created on demand.",
        },
        OptionSpec {
            name: "queryTimeout",
            kind: OptionKind::Duration,
            default: Some("5 minutes"),
            required: false,
            doc: "How long the server may take for a step (a piece of COPY, a merge, a commit) until the epoch is tried again.",
        },
        OptionSpec {
            name: "lockTimeout",
            kind: OptionKind::Duration,
            default: Some("10 seconds"),
            required: false,
            doc: "How long to wait for somebody else's lock until the epoch is tried again, which the query's state tells.",
        },
        OptionSpec {
            name: "sessionInitStatement",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "A statement that is run in each new connection: `SET ROLE writer`.",
        },
        OptionSpec {
            name: "driver",
            kind: OptionKind::OneOf(&["org.postgresql.Driver"]),
            default: None,
            required: false,
            doc: "The driver that Spark would load, so that its options can be kept as they are. No Java is needed here.",
        },
    ],
    prefixes: &[],
    example: "queries:\n  events:\n    sql: SELECT * FROM iot\n    format: postgres\n    options:\n      url: postgresql://localhost:5432/plant\n      \
              dbtable: iot_events\n      user: forebay\n      password: ${PGPASSWORD}\n",
};

/// How rows get into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    Append,
    Upsert,
    /// The table is emptied first.
    Replace,
}

/// What was asked for.
pub struct Config {
    pub address: Address,
    pub tls: TlsFiles,
    pub user: String,
    pub password: Option<Secret>,
    pub table: TableName,
    pub epoch_table: Option<TableName>,
    pub key: Vec<String>,
    pub write: Option<WriteMode>,
    pub merge_schema: bool,
    pub column_types: Vec<(String, String)>,
    pub table_options: String,
    pub batch_size: usize,
    pub truncate: bool,
    pub query_timeout: Duration,
    pub lock_timeout: Duration,
    pub session_init: Option<String>,
    pub zone: Zone,
    /// `host:port/database`, for messages.
    pub shown: String,
    /// Completes when the query is asked to end.
    pub stopping: OnceLock<Stopping>,
}

impl Config {
    /// Reads parsed options. `zone` is the pipeline's.
    pub fn new(options: &Options, zone: Zone) -> Result<Self> {
        let text = |name: &str| options.text(name).map(str::trim).filter(|text| !text.is_empty());
        let needed = |name: &str| {
            text(name).ok_or_else(|| Error::new(&codes::MISSING_KEY, format!("option `{name}` is empty")))
        };
        let files = ["sslrootcert", "sslcert", "sslkey"].map(|name| (name, text(name)));
        let address = Address::read(needed("url")?)?.with_files(files)?;
        let user = text("user").map(str::to_owned).or_else(|| address.user.clone());
        let user = user.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "postgres".to_owned());
        let table = TableName::read("dbtable", needed("dbtable")?)?;
        let epoch_table =
            TableName::read("epochTable", options.text("epochTable").unwrap_or("forebay_epochs"))?;
        let key = text(KEY).map(|list| columns(KEY, list)).transpose()?.unwrap_or_default();
        let write = match text("writeMode") {
            Some("upsert") if key.is_empty() => return Err(without_key()),
            Some("upsert") => Some(WriteMode::Upsert),
            Some(_) => Some(WriteMode::Append),
            None => None,
        };
        let tls = TlsFiles {
            ca_file: address.root_certificate.clone(),
            certificate_file: address.certificate.clone(),
            key_file: address.key.clone(),
            names: "`sslrootcert`, `sslcert` and `sslkey`, options or in `url`, name PEM files: certificate authorities, and a client's chain and its key.",
            ..TlsFiles::default()
        };
        let column_types = text("createTableColumnTypes").map(column_types).transpose()?.unwrap_or_default();
        let shown = address.shown();
        Ok(Self {
            tls,
            user,
            password: options.text("password").map(|text| Secret::new(text.to_owned())),
            epoch_table: options.bool("exactlyOnce").then(|| table.beside(&epoch_table)),
            table,
            key,
            write,
            merge_schema: options.bool("mergeSchema"),
            column_types,
            table_options: text("createTableOptions").unwrap_or_default().to_owned(),
            batch_size: options.integer("batchsize").and_then(|n| usize::try_from(n).ok()).unwrap_or(10_000),
            truncate: options.bool("truncate"),
            query_timeout: options
                .duration("queryTimeout")
                .filter(|limit| !limit.is_zero())
                .unwrap_or(FOR_EVER),
            lock_timeout: options.duration("lockTimeout").unwrap_or(Duration::from_secs(10)),
            session_init: text("sessionInitStatement").map(str::to_owned),
            zone,
            shown,
            stopping: OnceLock::new(),
            address,
        })
    }

    /// How rows of an output mode get into the table.
    pub fn write_mode(&self, mode: OutputMode) -> Result<WriteMode> {
        match (mode, self.write) {
            (OutputMode::Complete, None | Some(WriteMode::Append)) => Ok(WriteMode::Replace),
            (OutputMode::Append, None) => Ok(WriteMode::Append),
            (OutputMode::Update, None) => Ok(WriteMode::Upsert),
            (OutputMode::Append | OutputMode::Update, Some(write)) => Ok(write),
            (OutputMode::Complete, Some(_)) => Err(Error::new(
                &codes::OUTPUT_MODE,
                "`outputMode: complete` writes all rows anew, `writeMode: upsert` those that changed",
            )
            .with_hint("Take `outputMode: update` with `writeMode: upsert`, or leave `writeMode` out.")),
        }
    }
}

/// Spark's `queryTimeout: 0` is none.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The error of an upsert without a key.
pub fn without_key() -> Error {
    Error::new(&codes::MISSING_KEY, "rows are to be replaced and option `key` does not say by which columns")
        .with_hint("Name the columns that tell rows apart: `key: eventId, deviceId`.")
}

/// Reads `eventId uuid, amount numeric(10, 2)`.
fn column_types(text: &str) -> Result<Vec<(String, String)>> {
    let bad = || {
        Error::new(&codes::BAD_VALUE, format!("option `createTableColumnTypes` is `{text}`, expected NAME TYPE, …"))
            .with_hint("Write each column with its type, `eventId uuid, payload jsonb`; a name with blanks in double quotes.")
    };
    let (mut depth, mut quoted, mut parts, mut start) = (0_usize, false, Vec::new(), 0);
    for (at, sign) in text.char_indices() {
        match sign {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.checked_sub(1).ok_or_else(bad)?,
            ',' if !quoted && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    let one = |part: &str| {
        let part = part.trim();
        let (name, kind) = match part.strip_prefix('"') {
            Some(inside) => inside.split_once('"')?,
            None => part.split_once(char::is_whitespace)?,
        };
        let kind = kind.trim();
        let is_type = !kind.is_empty() && !kind.contains(';') && !kind.contains("--");
        (!name.is_empty() && is_type).then(|| (name.to_owned(), kinds::of_spark(kind).to_owned()))
    };
    parts.into_iter().map(|part| one(part).ok_or_else(bad)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &[(&str, &str)]) -> Result<Config> {
        let given = [("url", "postgresql://h/d"), ("dbtable", "t")].iter().chain(more);
        let raw = given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::new(&Options::parse(&SPEC, &raw).unwrap(), Zone::UTC)
    }

    #[test]
    fn how_rows_are_written_follows_from_both_modes() {
        use OutputMode::{Append, Complete, Update};
        let plain = config(&[]).unwrap();
        assert_eq!(plain.write_mode(Append).unwrap(), WriteMode::Append);
        assert_eq!(plain.write_mode(Update).unwrap(), WriteMode::Upsert);
        assert_eq!(plain.write_mode(Complete).unwrap(), WriteMode::Replace);
        let upsert = config(&[("writeMode", "upsert"), ("key", "a")]).unwrap();
        assert_eq!(upsert.write_mode(Append).unwrap(), WriteMode::Upsert);
        assert!(upsert.write_mode(Complete).is_err());
        let append = config(&[("writeMode", "append")]).unwrap();
        assert_eq!(append.write_mode(Update).unwrap(), WriteMode::Append, "each change is a row");
        assert!(config(&[("writeMode", "upsert")]).is_err());
    }

    #[test]
    fn the_epoch_table_lies_beside_the_table() {
        let of = |more: &[(&str, &str)]| config(more).unwrap().epoch_table.map(|table| table.to_string());
        assert_eq!(of(&[]).as_deref(), Some("forebay_epochs"));
        assert_eq!(of(&[("dbtable", "raw.t")]).as_deref(), Some("raw.forebay_epochs"));
        assert_eq!(of(&[("dbtable", "raw.t"), ("epochTable", "ops.e")]).as_deref(), Some("ops.e"));
        assert_eq!(of(&[("exactlyOnce", "false")]), None);
    }

    #[test]
    fn types_of_columns_may_have_commas_of_their_own() {
        let of = |text| config(&[("createTableColumnTypes", text)]).map(|config| config.column_types);
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(of("a uuid, b numeric(10, 2)").unwrap(), [pair("a", "uuid"), pair("b", "numeric(10, 2)")]);
        assert_eq!(of("\"a b\" text").unwrap(), [pair("a b", "text")]);
        let sparks = "a STRING, b double, c LONG, d VARCHAR(7), e Binary";
        let types = ["text", "double precision", "bigint", "VARCHAR(7)", "bytea"];
        let found = of(sparks).unwrap();
        assert_eq!(found.iter().map(|(_, kind)| kind.as_str()).collect::<Vec<_>>(), types);
        for text in ["a", "a uuid,", "a text); DROP TABLE t; --", ", b text"] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
