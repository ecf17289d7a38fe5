//! The options of the file sinks: the tables of them, and what they mean.
//!
//! Names and defaults are those of Spark's `DataFrameWriter`. What must stay true: this is the only place that knows an
//! option's name, and what the writer of a part file cannot do is refused here, before anything is written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec, Options};
use forebay_core::{Error, Result, Zone};

use super::csv::{Dialect, Pattern, Texts};

const fn option(
    name: &'static str,
    kind: OptionKind,
    default: Option<&'static str>,
    doc: &'static str,
) -> OptionSpec {
    OptionSpec { name, kind, default, required: false, doc }
}

const PATH: OptionSpec = OptionSpec {
    name: "path",
    kind: OptionKind::String,
    default: None,
    required: true,
    doc: "The folder of the part files; one query writes to it. Relative paths lie under `--data`.",
};
const PARTITION_BY: OptionSpec = option(
    "partitionBy",
    OptionKind::String,
    None,
    "Columns, separated by commas, whose values become folders (`day=2025-06-15/`) and leave the files.",
);
const MAX_RECORDS: OptionSpec = option(
    "maxRecordsPerFile",
    OptionKind::Integer(0, i64::MAX),
    Some("0"),
    "Rows after which a part file ends and the next begins; 0 for no limit.",
);
const MIN_INTERVAL: OptionSpec = option(
    "minCommitInterval",
    OptionKind::Duration,
    Some("1 second"),
    "How far apart epochs are with the default trigger, so that a steady trickle of records does not flood the folder with \
     files. `0 seconds` writes as soon as there is data.",
);

const DELIVERY: &str = "Exactly once: part files are staged and fsynced, an entry of the manifest that names them is the \
                        epoch's commit, and only then they get their names. Who lists the folder sees no file of an epoch \
                        that is not committed, whatever died when.";

/// `format: csv` in the registry.
pub static CSV: ConnectorSpec = ConnectorSpec {
    name: "csv",
    kind: ConnectorKind::Sink,
    summary: "Writes a folder of CSV files, named and written as Spark does it: Spark, pandas and spreadsheets read them.",
    delivery: DELIVERY,
    options: &[
        PATH,
        option(
            "header",
            OptionKind::Bool,
            Some("false"),
            "Whether each file begins with the names of the columns.",
        ),
        option(
            "sep",
            OptionKind::String,
            None,
            "The character between values: a comma, where neither this nor `delimiter` is given. `\\t` is a tab.",
        ),
        option("delimiter", OptionKind::String, None, "Another name of `sep`."),
        option(
            "quote",
            OptionKind::String,
            Some("\""),
            "The character around values that need it. Empty as in Spark: the character NUL.",
        ),
        option(
            "escape",
            OptionKind::String,
            Some("\\"),
            "The character before a quote inside of a quoted value.",
        ),
        option(
            "charToEscapeQuoteEscaping",
            OptionKind::String,
            None,
            "The character before an `escape` inside of a quoted value; default `escape` itself, and none where `escape` is \
             the quote.",
        ),
        option("quoteAll", OptionKind::Bool, Some("false"), "Whether every value is quoted."),
        option(
            "escapeQuotes",
            OptionKind::Bool,
            Some("true"),
            "Whether a value that holds a quote is quoted.",
        ),
        option("nullValue", OptionKind::String, Some(""), "What NULL is written as."),
        option("emptyValue", OptionKind::String, Some("\"\""), "What an empty text is written as."),
        option(
            "ignoreLeadingWhiteSpace",
            OptionKind::Bool,
            Some("true"),
            "Whether blanks before a value are left out. Spark's default alters texts: `false` keeps them.",
        ),
        option(
            "ignoreTrailingWhiteSpace",
            OptionKind::Bool,
            Some("true"),
            "Whether blanks behind a value are left out. Spark's default alters texts: `false` keeps them.",
        ),
        option(
            "dateFormat",
            OptionKind::String,
            Some("yyyy-MM-dd"),
            "How a DATE is written, in Java's pattern letters.",
        ),
        option(
            "timestampFormat",
            OptionKind::String,
            Some("yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]"),
            "How a TIMESTAMP is written, in the pipeline's `timeZone`. Spark's default keeps milliseconds; \
             `yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX` keeps all.",
        ),
        option(
            "timestampNTZFormat",
            OptionKind::String,
            Some("yyyy-MM-dd'T'HH:mm:ss[.SSS]"),
            "How a TIMESTAMP_NTZ is written.",
        ),
        option(
            "comment",
            OptionKind::String,
            Some("#"),
            "A value at the beginning of a line that begins with this character is quoted, so that no reader takes the line \
             for a comment. Empty for none.",
        ),
        option("lineSep", OptionKind::String, Some("\n"), "What ends a line; one or two characters."),
        option("encoding", OptionKind::OneOf(&["UTF-8", "utf8"]), Some("UTF-8"), "The encoding."),
        option(
            "compression",
            OptionKind::OneOf(&["none", "uncompressed", "gzip"]),
            Some("none"),
            "How files are compressed.",
        ),
        option(
            "neutralizeFormulas",
            OptionKind::Bool,
            Some("false"),
            "Whether a text that a spreadsheet would compute (it begins with `=`, `+`, `-`, `@`, a tab or a carriage return, \
             also behind blanks) gets a `'` before it. Numbers and times stay as they are. Not in Spark.",
        ),
        PARTITION_BY,
        MAX_RECORDS,
        MIN_INTERVAL,
    ],
    prefixes: &[],
    example: "queries:\n  collect:\n    sql: SELECT * FROM sensors\n    format: csv\n    options: { path: sensor-data/output, header: true }\n",
};

/// `format: parquet` in the registry.
pub static PARQUET: ConnectorSpec = ConnectorSpec {
    name: "parquet",
    kind: ConnectorKind::Sink,
    summary: "Writes a folder of Parquet files, named as Spark does it.",
    delivery: DELIVERY,
    options: &[
        PATH,
        option(
            "compression",
            OptionKind::OneOf(&["snappy", "zstd", "gzip", "lz4", "none", "uncompressed"]),
            Some("snappy"),
            "How files are compressed.",
        ),
        PARTITION_BY,
        MAX_RECORDS,
        MIN_INTERVAL,
    ],
    prefixes: &[],
    example: "queries:\n  collect:\n    sql: SELECT * FROM sensors\n    format: parquet\n    options: { path: sensor-data/output }\n",
};

/// What the files hold.
#[derive(Clone, Debug)]
pub(crate) enum FileFormat {
    Csv(CsvFormat),
    /// A word of the option `compression`.
    Parquet(String),
}

/// How a CSV file is written.
#[derive(Clone, Debug)]
pub(crate) struct CsvFormat {
    pub header: bool,
    pub dialect: Dialect,
    pub texts: Texts,
    pub gzip: bool,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub path: PathBuf,
    pub format: FileFormat,
    pub partition_by: Vec<String>,
    /// `u64::MAX` for no limit.
    pub max_records: u64,
    pub min_commit_interval: Duration,
}

impl Config {
    /// Reads the options of [`CSV`] or [`PARQUET`], as `format` says; relative paths lie under `data_dir`.
    pub fn new(format: &str, options: &Options, data_dir: &Path, zone: Zone) -> Result<Self> {
        let path = options.text("path").filter(|path| !path.trim().is_empty()).ok_or_else(|| {
            Error::new(&codes::MISSING_KEY, "option `path` is missing")
                .with_hint("Name the folder of the files.")
        })?;
        if path.contains("://") {
            let message = format!("option `path` is `{path}`, expected a local folder");
            return Err(Error::new(&codes::NOT_YET, message));
        }
        let partition_by = options.text("partitionBy").unwrap_or_default().split(',').map(str::trim);
        let max_records = options.integer("maxRecordsPerFile").and_then(|rows| u64::try_from(rows).ok());
        let format = match format {
            "parquet" => FileFormat::Parquet(options.text("compression").unwrap_or("snappy").to_owned()),
            _ => FileFormat::Csv(CsvFormat {
                header: options.bool("header"),
                dialect: dialect(options)?,
                texts: texts(options, zone)?,
                gzip: options.text("compression") == Some("gzip"),
            }),
        };
        Ok(Self {
            path: data_dir.join(path),
            format,
            partition_by: partition_by.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            max_records: max_records.filter(|rows| *rows > 0).unwrap_or(u64::MAX),
            min_commit_interval: options.duration("minCommitInterval").unwrap_or(Duration::from_secs(1)),
        })
    }

    /// What names of files end with.
    pub fn extension(&self) -> &'static str {
        match &self.format {
            FileFormat::Csv(CsvFormat { gzip: true, .. }) => "csv.gz",
            FileFormat::Csv(_) => "csv",
            FileFormat::Parquet(word) => match word.as_str() {
                "none" | "uncompressed" => "parquet",
                "zstd" => "zstd.parquet",
                "gzip" => "gz.parquet",
                "lz4" => "lz4raw.parquet",
                _ => "snappy.parquet",
            },
        }
    }

    /// The format's word, as in the file.
    pub fn word(&self) -> &'static str {
        match self.format {
            FileFormat::Csv(_) => "csv",
            FileFormat::Parquet(_) => "parquet",
        }
    }
}

fn bad(name: &str, found: &str, expected: &str) -> Error {
    let message = format!("option `{name}` is `{}`, expected {expected}", found.escape_debug());
    Error::new(&codes::BAD_VALUE, message)
}

/// A character, which may be written as an escape: `\t`.
fn character(options: &Options, name: &str, default: Option<char>) -> Result<Option<u8>> {
    let Some(text) = options.text(name) else {
        return Ok(default.and_then(|c| u8::try_from(c).ok()));
    };
    let found = match text {
        "\\t" => '\t',
        "\\b" => '\u{8}',
        "\\f" => '\u{c}',
        "\\\"" => '"',
        "\\'" => '\'',
        "\\\\" => '\\',
        "\\u0000" | "\u{0}" => '\0',
        other => {
            let mut letters = other.chars();
            match (letters.next(), letters.next()) {
                (Some(only), None) if only.is_ascii() && only != '\n' && only != '\r' => only,
                _ => return Err(bad(name, text, "one ASCII character").with_hint("A tab is `\\t`.")),
            }
        }
    };
    Ok(u8::try_from(found).ok())
}

fn dialect(options: &Options) -> Result<Dialect> {
    if options.text("sep").is_some() && options.text("delimiter").is_some() {
        return Err(Error::new(&codes::BAD_VALUE, "options `sep` and `delimiter` are both given")
            .with_hint("They are two names of the same: leave one out."));
    }
    let name = if options.text("sep").is_some() { "sep" } else { "delimiter" };
    let separator = character(options, name, Some(','))?.unwrap_or(b',');
    let or_nul = |name: &str| match options.text(name) {
        Some("") => Ok(0),
        _ => Ok(character(options, name, None)?.unwrap_or_default()),
    };
    let (quote, escape) = (or_nul("quote")?, or_nul("escape")?);
    let escape_of_escape = match options.text("charToEscapeQuoteEscaping").filter(|text| !text.is_empty()) {
        Some(_) => character(options, "charToEscapeQuoteEscaping", None)?,
        None if escape == quote => None,
        None => Some(escape),
    };
    if separator == quote {
        let message = "the separator of values and their quote are the same character";
        return Err(Error::new(&codes::BAD_VALUE, message).with_hint("Choose another `sep` or `quote`."));
    }
    let text = |name: &str| options.text(name).unwrap_or_default().to_owned();
    let line_end = match options.text("lineSep").unwrap_or("\n") {
        "\\n" => "\n".to_owned(),
        "\\r\\n" => "\r\n".to_owned(),
        "\\r" => "\r".to_owned(),
        other if (1..=2).contains(&other.chars().count()) => other.to_owned(),
        other => return Err(bad("lineSep", other, "one or two characters")),
    };
    Ok(Dialect {
        separator,
        quote,
        escape,
        escape_of_escape: escape_of_escape.filter(|c| *c != 0),
        comment: or_nul("comment")?,
        quote_all: options.bool("quoteAll"),
        quotes_quotes: options.bool("escapeQuotes"),
        null: text("nullValue"),
        empty: text("emptyValue"),
        trims_start: options.bool("ignoreLeadingWhiteSpace"),
        trims_end: options.bool("ignoreTrailingWhiteSpace"),
        line_end,
        neutralizes: options.bool("neutralizeFormulas"),
    })
}

fn texts(options: &Options, zone: Zone) -> Result<Texts> {
    let pattern = |name: &str, forbidden: &str| -> Result<Pattern> {
        let text = options.text(name).unwrap_or_default();
        let fault = |what: String| {
            Error::new(&codes::BAD_VALUE, format!("option `{name}` is `{text}`: {what}")).with_hint(
                "Supported are the letters y u M L d D H h k K m s S a E Q X x Z VV, 'text' and [optional parts].",
            )
        };
        let pattern = Pattern::new(text).map_err(fault)?;
        let unknown = pattern.letters().find(|letter| forbidden.contains(*letter));
        match unknown {
            Some(letter) => Err(fault(format!("`{letter}` says what the value does not know"))),
            None => Ok(pattern),
        }
    };
    Ok(Texts {
        zone,
        date: pattern("dateFormat", "HhkKmsSaXxZV")?,
        timestamp: pattern("timestampFormat", "")?,
        local: pattern("timestampNTZFormat", "XxZV")?,
    })
}
