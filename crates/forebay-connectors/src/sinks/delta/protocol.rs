//! Which tables this writer may write: by table feature, not by version number.
//!
//! Delta promises that a writer which ignores a feature breaks the table. So what must stay true is the negative:
//! a feature that is not on the list here, and *used*, ends in `SINK_UNSUPPORTED` with the feature's name. Old
//! protocol versions (up to writer 6) only permit features; there the table's own words (constraints, generated
//! columns …) decide. Version 7 lists them; features that need nothing from an appending writer are on the list.

use forebay_core::error::codes;
use forebay_core::{Error, OutputMode, Result};

use super::action::{Metadata, Protocol};
use super::schema::{DeltaField, DeltaType};

/// Features of protocol 7 that an append either honours or has nothing to do with. What constrains rows
/// (`checkConstraints`, `generatedColumns`, …) may be listed and is refused by [`check`] where it is used.
const PASSABLE: &[&str] = &[
    "allowColumnDefaults",
    "appendOnly",
    "changeDataFeed",
    "checkConstraints",
    "clustering",
    "columnMapping",
    "deletionVectors",
    "domainMetadata",
    "generatedColumns",
    "identityColumns",
    "invariants",
    "timestampNtz",
    "typeWidening",
    "typeWidening-preview",
    "v2Checkpoint",
    "vacuumProtocolCheck",
];

/// The protocol of a table that this sink creates: Spark's default, or features where a column asks for one.
pub(crate) fn of_new_table(columns: &[DeltaField]) -> Protocol {
    if columns.iter().any(|column| column.ty.holds("timestamp_ntz")) {
        let features = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        return Protocol {
            min_reader_version: 3,
            min_writer_version: 7,
            reader_features: features(&["timestampNtz"]),
            writer_features: features(&["timestampNtz", "appendOnly", "invariants"]),
        };
    }
    Protocol { min_reader_version: 1, min_writer_version: 2, reader_features: None, writer_features: None }
}

/// Fails with `SINK_UNSUPPORTED` if an append by this writer could break the table.
pub(crate) fn check(protocol: &Protocol, metadata: &Metadata, columns: &[DeltaField]) -> Result<()> {
    if protocol.min_writer_version > 7 || protocol.min_reader_version > 3 {
        return Err(unsupported(&format!(
            "protocol reader {} writer {}",
            protocol.min_reader_version, protocol.min_writer_version
        )));
    }
    let listed = protocol.writer_features.iter().chain(&protocol.reader_features).flatten();
    if let Some(feature) = listed.into_iter().find(|feature| !PASSABLE.contains(&feature.as_str())) {
        return Err(unsupported(feature));
    }
    if protocol.min_writer_version < 7 && columns.iter().any(|column| column.ty.holds("timestamp_ntz")) {
        return Err(unsupported("timestampNtz (a column without time zone in a table of an older protocol)"));
    }
    in_use(metadata, columns)
}

/// What the table's properties and columns ask of every row.
fn in_use(metadata: &Metadata, columns: &[DeltaField]) -> Result<()> {
    let property = |name: &str| metadata.configuration.get(name).map(String::as_str);
    if let Some(name) = metadata.configuration.keys().find(|name| name.starts_with("delta.constraints.")) {
        return Err(unsupported(&format!("checkConstraints ({name})")));
    }
    match property("delta.columnMapping.mode") {
        None | Some("none") => {}
        Some(mode) => return Err(unsupported(&format!("columnMapping (mode {mode})"))),
    }
    for (name, feature) in [
        ("delta.enableRowTracking", "rowTracking"),
        ("delta.enableIcebergCompatV1", "icebergCompatV1"),
        ("delta.enableIcebergCompatV2", "icebergCompatV2"),
        ("delta.enableInCommitTimestamps", "inCommitTimestamp"),
    ] {
        if property(name).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(unsupported(feature));
        }
    }
    let mut found = None;
    for column in columns {
        column.walk(&mut |field| {
            for (key, feature) in [
                ("delta.invariants", "invariants"),
                ("delta.generationExpression", "generatedColumns"),
                ("delta.identity.start", "identityColumns"),
                ("CURRENT_DEFAULT", "allowColumnDefaults"),
            ] {
                if field.metadata.contains_key(key) {
                    found.get_or_insert_with(|| format!("{feature} (column {})", field.name));
                }
            }
        });
    }
    found.map_or(Ok(()), |feature| Err(unsupported(&feature)))
}

/// Fails with `SINK_UNSUPPORTED` if a writer in this mode does with the table what it must not.
pub(crate) fn check_mode(mode: OutputMode, protocol: &Protocol, metadata: &Metadata) -> Result<()> {
    if mode == OutputMode::Append {
        return Ok(());
    }
    let is_set =
        |name: &str| metadata.configuration.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if is_set("delta.appendOnly") {
        return Err(Error::new(
            &codes::SINK_UNSUPPORTED,
            format!(
                "the table is append only (`delta.appendOnly`), and output mode {mode} takes rows out of it"
            ),
        )
        .with_hint("Use `outputMode: append`, write to another table, or set the property to false."));
    }
    if mode == OutputMode::Update && !may_compact(protocol, metadata) {
        return Err(Error::new(
            &codes::SINK_UNSUPPORTED,
            "output mode update rewrites files, which this writer does not do in a table with changeDataFeed, clustering or \
             typeWidening",
        )
        .with_hint("Use `outputMode: append` or `complete`, or write to another table."));
    }
    Ok(())
}

/// True if compaction may rewrite this table's files: it moves rows as they are, which fails where files of one
/// table differ in more than their columns.
pub(crate) fn may_compact(protocol: &Protocol, metadata: &Metadata) -> bool {
    let listed = |name: &str| protocol.writer_features.iter().flatten().any(|feature| feature == name);
    !listed("typeWidening")
        && !listed("typeWidening-preview")
        && !listed("clustering")
        && !metadata.configuration.contains_key("delta.enableChangeDataFeed")
}

/// True if this writer knows how to write the table's checkpoints.
pub(crate) fn may_checkpoint(protocol: &Protocol) -> bool {
    !protocol.writer_features.iter().flatten().any(|feature| feature == "v2Checkpoint")
}

/// The columns of the table.
pub(crate) fn columns(metadata: &Metadata) -> Result<Vec<DeltaField>> {
    let parsed =
        serde_json::from_str(&metadata.schema_string).ok().and_then(|json| DeltaType::from_json(&json));
    match parsed {
        Some(DeltaType::Struct(columns)) => Ok(columns),
        _ => Err(unsupported("a schema that is not made of known Delta types")),
    }
}

fn unsupported(feature: &str) -> Error {
    Error::new(&codes::SINK_UNSUPPORTED, format!("the table uses {feature}, which this writer does not have"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::delta::action::FileFormat;

    fn metadata(schema: &str, configuration: &[(&str, &str)]) -> Metadata {
        Metadata {
            id: "id".into(),
            name: None,
            description: None,
            format: FileFormat { provider: "parquet".into(), options: Default::default() },
            schema_string: schema.into(),
            partition_columns: vec![],
            configuration: configuration.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            created_time: None,
        }
    }

    fn plain(field_metadata: &str) -> String {
        format!(
            r#"{{"type":"struct","fields":[{{"name":"a","type":"long","nullable":true,"metadata":{field_metadata}}}]}}"#
        )
    }

    fn verdict(protocol: (i32, i32, &[&str]), schema: &str, configuration: &[(&str, &str)]) -> Result<()> {
        let (min_reader_version, min_writer_version, features) = protocol;
        let writer_features =
            (min_writer_version == 7).then(|| features.iter().map(|name| (*name).to_owned()).collect());
        let protocol =
            Protocol { min_reader_version, min_writer_version, reader_features: None, writer_features };
        let metadata = metadata(schema, configuration);
        check(&protocol, &metadata, &columns(&metadata)?)
    }

    #[test]
    fn what_needs_nothing_from_an_append_passes() {
        let schema = plain("{}");
        verdict((1, 2, &[]), &schema, &[]).unwrap();
        verdict((1, 6, &[]), &schema, &[("delta.appendOnly", "true")]).unwrap();
        verdict((3, 7, &["deletionVectors", "v2Checkpoint", "domainMetadata"]), &schema, &[]).unwrap();
        verdict((1, 7, &["checkConstraints", "identityColumns"]), &schema, &[]).unwrap();
    }

    #[test]
    fn each_feature_in_use_is_refused_by_name() {
        let schema = plain("{}");
        let cases: [(Result<()>, &str); 9] = [
            (verdict((1, 3, &[]), &schema, &[("delta.constraints.c", "a > 0")]), "checkConstraints"),
            (verdict((2, 5, &[]), &schema, &[("delta.columnMapping.mode", "name")]), "columnMapping"),
            (verdict((1, 2, &[]), &plain(r#"{"delta.invariants":"x"}"#), &[]), "invariants"),
            (verdict((1, 4, &[]), &plain(r#"{"delta.generationExpression":"x"}"#), &[]), "generatedColumns"),
            (verdict((1, 6, &[]), &plain(r#"{"delta.identity.start":1}"#), &[]), "identityColumns"),
            (verdict((1, 7, &["rowTracking"]), &schema, &[]), "rowTracking"),
            (verdict((1, 7, &["icebergCompatV2"]), &schema, &[]), "icebergCompatV2"),
            (verdict((1, 7, &["somethingNew"]), &schema, &[]), "somethingNew"),
            (verdict((4, 8, &[]), &schema, &[]), "protocol"),
        ];
        for (outcome, feature) in cases {
            let error = outcome.unwrap_err();
            assert_eq!(error.code(), &codes::SINK_UNSUPPORTED);
            assert!(error.message().contains(feature), "{error} names {feature}");
        }
    }
}
