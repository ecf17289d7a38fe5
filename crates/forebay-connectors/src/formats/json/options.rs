//! The options of the format, and what they come to.
//!
//! Names are Spark's where Spark has the option. Spark's `mode` is not here: the pipeline reads it, because it decides
//! about more than decoding. What Spark has and this format does not (`multiLine`, `encoding`, `allowComments`, …) is
//! unknown and refused, never ignored.

use forebay_core::error::Result;
use forebay_core::format::BadRecordMode;
use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec, Options};

use super::skip::DEEPEST;
use super::time::Times;

/// Levels of nesting that a record may have: far more than people write, and a bound on work per byte.
const DEPTH: usize = 128;

/// Bytes of one string: what still fits a Kafka message of the largest usual setting, and a cell people can look at.
const STRING: usize = 16 << 20;

/// Elements of one array: an `explode` of it is still a batch and not a bomb.
const ELEMENTS: usize = 100_000;

/// What Spark's JSON parser (Jackson) allows: levels, characters of a string, characters of a number.
pub(super) const SPARK_DEPTH: usize = 1_000;
pub(super) const SPARK_STRING: usize = 20_000_000;
pub(super) const SPARK_NUMBER: usize = 1_000;

// How times are written: of every format whose times are texts.
pub(crate) const TIMESTAMP_FORMAT: OptionSpec = OptionSpec {
    name: "timestampFormat",
    kind: OptionKind::String,
    default: None,
    required: false,
    doc: "How TIMESTAMP fields are written, in Java's pattern letters, for example `dd/MM/yyyy HH:mm:ss`. Without it: \
          ISO 8601 in the forms Spark reads.",
};

pub(crate) const TIME_ZONE: OptionSpec = OptionSpec {
    name: "timeZone",
    kind: OptionKind::String,
    default: None,
    required: false,
    doc: "The zone of TIMESTAMP texts that name none, such as `Europe/Berlin` or `+02:00`. Without it: the pipeline's \
          `timeZone`, which is UTC if the file says nothing else.",
};

pub(crate) const TIMESTAMP_NTZ_FORMAT: OptionSpec = OptionSpec {
    name: "timestampNTZFormat",
    kind: OptionKind::String,
    default: None,
    required: false,
    doc: "The same for TIMESTAMP_NTZ fields. A zone in the text is a fault.",
};

pub(crate) const DATE_FORMAT: OptionSpec = OptionSpec {
    name: "dateFormat",
    kind: OptionKind::String,
    default: None,
    required: false,
    doc: "How DATE fields are written, for example `dd.MM.yyyy`. Without it: `yyyy-MM-dd`.",
};

/// The format's entry in the registry.
pub const SPEC: ConnectorSpec = ConnectorSpec {
    name: "json",
    kind: ConnectorKind::Format,
    summary: "One JSON object for each record, read into the columns of the schema. Each record is decoded for itself: \
              a bad one never changes its neighbours.",
    delivery: "Decoding is a function of the record's bytes alone, so a replayed epoch gives the same rows.",
    options: &[
        TIMESTAMP_FORMAT,
        TIME_ZONE,
        TIMESTAMP_NTZ_FORMAT,
        DATE_FORMAT,
        OptionSpec {
            name: "columnNameOfCorruptRecord",
            kind: OptionKind::String,
            default: Some("_corrupt_record"),
            required: false,
            doc: "The STRING column that holds the text of a record that did not decode, in mode PERMISSIVE and if the schema \
                  has it. In mode quarantine it is a field like any other.",
        },
        OptionSpec {
            name: "maxDepth",
            kind: OptionKind::Integer(1, DEEPEST as i64),
            default: None,
            required: false,
            doc: "How deep objects and arrays may be nested, the record itself being the first level; counted in unknown fields \
                  too. 128; in Spark's modes 1000, as there.",
        },
        OptionSpec {
            name: "maxStringLength",
            kind: OptionKind::Size,
            default: None,
            required: false,
            doc: "The longest string that a column takes, in bytes without escapes. 16MiB; in Spark's modes 20 million, as there.",
        },
        OptionSpec {
            name: "maxArrayLength",
            kind: OptionKind::Integer(0, i32::MAX as i64),
            default: None,
            required: false,
            doc: "The most elements of an array, and entries of a map, that a column takes. 100000; in Spark's modes there is no \
                  such bound, as there.",
        },
    ],
    prefixes: &[],
    example: "sources:\n  iot:\n    format: kafka\n    options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: iot_topic }\n    \
              value: json\n    schema: device_id STRING, temperature DOUBLE, at TIMESTAMP\n",
};

/// What the options and the mode come to.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) max_depth: usize,
    pub(super) max_string: usize,
    pub(super) max_elements: usize,
    pub(super) max_number: usize,
    /// One of Spark's modes: where strict JSON and Spark would give different values for the same text, Spark's.
    pub(super) spark: bool,
    pub(super) times: Times,
}

impl Rules {
    pub(super) fn new(mode: BadRecordMode, options: &Options) -> Result<Self> {
        let spark = mode != BadRecordMode::Quarantine;
        let given = |name| options.integer(name).and_then(|value| usize::try_from(value).ok());
        let string = options.size("maxStringLength").map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        Ok(Self {
            max_depth: given("maxDepth").unwrap_or(if spark { SPARK_DEPTH } else { DEPTH }),
            max_string: string.unwrap_or(if spark { SPARK_STRING } else { STRING }),
            max_elements: given("maxArrayLength").unwrap_or(if spark { usize::MAX } else { ELEMENTS }),
            max_number: if spark { SPARK_NUMBER } else { usize::MAX },
            spark,
            times: Times::new(options)?,
        })
    }
}
