//! The options of the Delta sink: the table of them, and what they mean for one table.
//!
//! Names are Spark's and Delta's own. Those that begin with `delta.` are table properties: given here, they become
//! properties of a table that the sink creates and rule what this sink does; not given, the table's own properties
//! rule, and then Delta's defaults. What must stay true: this is the only place that knows an option's name.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::options::{
    ConnectorKind, ConnectorSpec, OptionKind, OptionSpec, Options, parse_duration, parse_size,
};
use forebay_core::{Error, OutputMode, Result};

use super::action::Metadata;
use super::file::Encoding;
use super::stats;
use super::store::Location;
use crate::s3;

const CHECKPOINT_INTERVAL: &str = "delta.checkpointInterval";
const LOG_RETENTION: &str = "delta.logRetentionDuration";
const FILE_RETENTION: &str = "delta.deletedFileRetentionDuration";
const TARGET_SIZE: &str = "delta.targetFileSize";
const AUTO_COMPACT: &str = "delta.autoOptimize.autoCompact";
const INDEXED_COLUMNS: &str = "delta.dataSkippingNumIndexedCols";

/// Files that an epoch is still writing must never look old enough to be swept away.
const SHORTEST_RETENTION: Duration = Duration::from_secs(3600);

/// The Delta sink in the registry.
pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "delta",
    kind: ConnectorKind::Sink,
    summary: "Writes a Delta Lake table, which Spark, delta-rs and everything that reads Delta can read. Appends to it, \
              replaces rows by the columns of GROUP BY (`outputMode: update`) or all of them (`complete`), one version an \
              epoch. Creates the table if it is not there and keeps it tidy: log checkpoints, log cleanup, small files \
              compacted beside the stream, files nobody refers to removed.",
    delivery: "Exactly once: each commit carries a `txn` action with the query's identity and the epoch; an epoch \
               that the table has is not written again, whatever died when.",
    options: &[
        OptionSpec {
            name: "path",
            kind: OptionKind::String,
            default: None,
            required: true,
            doc: "The table's folder. Relative paths lie under `--data`. Or a folder of a bucket, `s3://bucket/folder` (also `s3a://`), \
                  with options `AWS_*` or `fs.s3a.*` beside it: see docs/cloud.md.",
        },
        OptionSpec {
            name: "partitionBy",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "Partition columns of a new table, separated by commas. An existing table must have the same. As in \
                  Delta, an empty string as partition value is NULL.",
        },
        OptionSpec {
            name: "mergeSchema",
            kind: OptionKind::Bool,
            default: Some("false"),
            required: false,
            doc: "Whether columns of the query that the table does not have are added to it, at the end, as \
                  nullable columns. Without it such a query is refused.",
        },
        OptionSpec {
            name: "compression",
            kind: OptionKind::OneOf(&["snappy", "zstd", "gzip", "lz4", "none", "uncompressed"]),
            default: Some("snappy"),
            required: false,
            doc: "How data files are compressed. Snappy is what Spark writes by default and costs as much time as \
                  zstd here; zstd gives smaller files.",
        },
        OptionSpec {
            name: "minCommitInterval",
            kind: OptionKind::Duration,
            default: Some("1 second"),
            required: false,
            doc: "How far apart commits are with the default trigger, so that a steady trickle of records does not \
                  flood the table with versions. `0 seconds` commits as soon as there is data.",
        },
        OptionSpec {
            name: TARGET_SIZE,
            kind: OptionKind::Size,
            default: None,
            required: false,
            doc: "Size at which a data file ends and the next begins, and up to which small files are compacted. \
                  Default: the table's property, else 128MiB.",
        },
        OptionSpec {
            name: AUTO_COMPACT,
            kind: OptionKind::OneOf(&["true", "false"]),
            default: None,
            required: false,
            doc: "Whether small files (less than a quarter of the target size) that this query wrote are compacted \
                  beside the stream. Rows do not change and readers of changes do not see it. Turn it off where \
                  delta-rs compacts the same table, or deletes or updates all of its rows, while the stream runs: \
                  unlike Spark, it does not notice a compaction that came first, and rows are doubled or its \
                  change is lost. Default: the table's property, else true.",
        },
        OptionSpec {
            name: "autoCompact.minNumFiles",
            kind: OptionKind::Integer(2, 100_000),
            default: Some("100"),
            required: false,
            doc: "How many small files this query writes before it looks for something to compact.",
        },
        OptionSpec {
            name: CHECKPOINT_INTERVAL,
            kind: OptionKind::Integer(1, 1_000_000),
            default: None,
            required: false,
            doc: "Commits after which the log gets a checkpoint. Default: the table's property, else 10.",
        },
        OptionSpec {
            name: LOG_RETENTION,
            kind: OptionKind::Duration,
            default: None,
            required: false,
            doc: "How long old log entries are kept behind a checkpoint, at least 1 hour. Default: the table's \
                  property, else 30 days.",
        },
        OptionSpec {
            name: FILE_RETENTION,
            kind: OptionKind::Duration,
            default: None,
            required: false,
            doc: "How long data files that are no longer part of the table (compacted, or left by an aborted epoch) \
                  are kept, at least 1 hour; time travel and slow readers need them. Only files that Forebay wrote \
                  are ever removed. Default: the table's property, else 7 days.",
        },
    ],
    prefixes: s3::PREFIXES,
    example: "queries:\n  lake:\n    sql: SELECT * FROM iot\n    format: delta\n    options: { path: data/iot_data }\n",
};

/// What was asked for, before the table is known.
#[derive(Clone)]
pub(crate) struct Config {
    pub location: Location,
    /// `None` if not given: an existing table decides.
    pub partition_by: Option<Vec<String>>,
    pub merge_schema: bool,
    pub encoding: Encoding,
    pub min_commit_interval: Duration,
    pub compact_after: usize,
    pub output: Output,
    target_size: Option<u64>,
    auto_compact: Option<bool>,
    checkpoint_interval: Option<u64>,
    log_retention: Option<Duration>,
    file_retention: Option<Duration>,
}

/// What the rows of an epoch are to those before them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Output {
    pub mode: OutputMode,
    /// By which columns of the query a row finds the one whose place it takes, in update mode.
    pub keys: Vec<String>,
}

/// What holds for one table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Upkeep {
    pub target_size: u64,
    pub auto_compact: bool,
    pub checkpoint_interval: u64,
    pub log_retention: Duration,
    /// `delta.enableExpiredLogCleanup`
    pub log_cleanup: bool,
    pub file_retention: Duration,
    pub indexed_columns: usize,
}

impl Config {
    /// Reads the parsed options; relative paths lie under `data_dir`.
    pub fn new(options: &Options, data_dir: &Path) -> Result<Self> {
        let path = options.text("path").filter(|path| !path.trim().is_empty()).ok_or_else(|| {
            Error::new(&codes::MISSING_KEY, "option `path` is missing").with_hint("Name the table's folder.")
        })?;
        let location = Location::new(path, options.passed_on(), data_dir)?;
        let partition_by = options.text("partitionBy").map(|list| {
            let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect::<Vec<_>>()
        });
        let config = Self {
            location,
            partition_by,
            merge_schema: options.bool("mergeSchema"),
            encoding: Encoding::of(options.text("compression").unwrap_or("snappy")),
            min_commit_interval: options.duration("minCommitInterval").unwrap_or(Duration::from_secs(1)),
            compact_after: options
                .integer("autoCompact.minNumFiles")
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(100),
            output: Output::default(),
            target_size: options.size(TARGET_SIZE),
            auto_compact: options.text(AUTO_COMPACT).map(|word| word == "true"),
            checkpoint_interval: options.integer(CHECKPOINT_INTERVAL).and_then(|n| u64::try_from(n).ok()),
            log_retention: options.duration(LOG_RETENTION),
            file_retention: options.duration(FILE_RETENTION),
        };
        for (name, given) in [(LOG_RETENTION, config.log_retention), (FILE_RETENTION, config.file_retention)]
        {
            if given.is_some_and(|duration| duration < SHORTEST_RETENTION) {
                return Err(Error::new(&codes::BAD_VALUE, format!("option `{name}` is below 1 hour"))
                    .with_hint("Files of an epoch that is being written must not look old."));
            }
        }
        Ok(config)
    }

    /// The properties of a table that the sink creates.
    pub fn new_properties(&self) -> BTreeMap<String, String> {
        let seconds = |duration: Duration| format!("interval {} seconds", duration.as_secs());
        let given = [
            (TARGET_SIZE, self.target_size.map(|size| size.to_string())),
            (AUTO_COMPACT, self.auto_compact.map(|on| on.to_string())),
            (CHECKPOINT_INTERVAL, self.checkpoint_interval.map(|commits| commits.to_string())),
            (LOG_RETENTION, self.log_retention.map(seconds)),
            (FILE_RETENTION, self.file_retention.map(seconds)),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// Options first, then the table's properties, then Delta's defaults.
    pub fn upkeep(&self, metadata: &Metadata) -> Upkeep {
        const DAY: Duration = Duration::from_secs(86_400);
        let property = |name: &str| metadata.configuration.get(name).map(String::as_str);
        let duration = |name: &str| {
            let text = property(name)?.trim();
            parse_duration(text.strip_prefix("interval ").unwrap_or(text))
        };
        Upkeep {
            target_size: self
                .target_size
                .or_else(|| parse_size(property(TARGET_SIZE)?))
                .unwrap_or(128 << 20)
                .max(1 << 10),
            auto_compact: self.auto_compact.unwrap_or_else(|| {
                !property(AUTO_COMPACT).is_some_and(|word| word.eq_ignore_ascii_case("false"))
            }),
            checkpoint_interval: self
                .checkpoint_interval
                .or_else(|| property(CHECKPOINT_INTERVAL)?.parse().ok())
                .unwrap_or(10)
                .max(1),
            log_retention: self.log_retention.or_else(|| duration(LOG_RETENTION)).unwrap_or(30 * DAY),
            log_cleanup: property("delta.enableExpiredLogCleanup") != Some("false"),
            file_retention: self
                .file_retention
                .or_else(|| duration(FILE_RETENTION))
                .unwrap_or(7 * DAY)
                .max(SHORTEST_RETENTION),
            indexed_columns: match property(INDEXED_COLUMNS).and_then(|text| text.parse::<i64>().ok()) {
                Some(number) => usize::try_from(number).unwrap_or(usize::MAX),
                None => stats::DEFAULT_INDEXED_COLUMNS,
            },
        }
    }
}

impl Upkeep {
    /// Bytes below which a file is small.
    pub fn small(&self) -> u64 {
        self.target_size / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::delta::action::FileFormat;

    fn config(raw: &[(&str, &str)]) -> Result<Config> {
        let raw = raw.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::new(&Options::parse(&SPEC, &raw).unwrap(), Path::new("/data"))
    }

    #[test]
    fn options_beat_properties_beat_defaults() {
        let properties =
            [("delta.checkpointInterval", "25"), ("delta.logRetentionDuration", "interval 2 weeks")];
        let metadata = Metadata {
            id: String::new(),
            name: None,
            description: None,
            format: FileFormat { provider: "parquet".into(), options: BTreeMap::new() },
            schema_string: String::new(),
            partition_columns: vec![],
            configuration: properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            created_time: None,
        };
        let upkeep = config(&[("path", "t"), (LOG_RETENTION, "3 days")]).unwrap().upkeep(&metadata);
        assert_eq!(upkeep.checkpoint_interval, 25);
        assert_eq!(upkeep.log_retention, Duration::from_secs(3 * 86_400));
        assert_eq!(upkeep.file_retention, Duration::from_secs(7 * 86_400));
        let upkeep = config(&[("path", "t")]).unwrap().upkeep(&metadata);
        assert_eq!(upkeep.log_retention, Duration::from_secs(14 * 86_400));
    }

    #[test]
    fn paths_lie_under_the_data_folder_unless_absolute() {
        let shown = |path| config(&[("path", path)]).unwrap().location.shown();
        assert_eq!(shown("a/b"), Path::new("/data/a/b"));
        assert_eq!(shown("/a"), Path::new("/a"));
        assert_eq!(shown("s3a://bucket/t/"), Path::new("s3://bucket/t"));
        assert!(config(&[("path", " ")]).is_err());
        for path in ["gs://bucket/t", "s3://bucket", "abfss://c@a.dfs.core.windows.net/t"] {
            assert!(config(&[("path", path)]).is_err(), "{path}");
        }
        assert!(config(&[("path", "a"), ("AWS_REGION", "eu-central-1")]).is_err());
        assert!(config(&[("path", "a"), (FILE_RETENTION, "5 minutes")]).is_err());
    }
}
