//! `information_schema`: the tables and columns of the pipeline in the words of the SQL standard, as BI tools read them.

use arrow::array::RecordBatch;
use forebay_core::Result;

use super::super::types::{self, PgType};
use super::Own;
use super::cells::{Cell, Row, columns, filled};
use crate::shown::sql::Relation;

const TABLES: &str = "table_catalog text, table_schema text, table_name text, table_type text, \
    self_referencing_column_name text, reference_generation text, user_defined_type_catalog text, \
    user_defined_type_schema text, user_defined_type_name text, is_insertable_into text, is_typed text, commit_action text";
const COLUMNS: &str = "table_catalog text, table_schema text, table_name text, column_name text, ordinal_position int, \
    column_default text, is_nullable text, data_type text, character_maximum_length int, character_octet_length int, \
    numeric_precision int, numeric_precision_radix int, numeric_scale int, datetime_precision int, interval_type text, \
    interval_precision int, character_set_catalog text, character_set_schema text, character_set_name text, \
    collation_catalog text, collation_schema text, collation_name text, domain_catalog text, domain_schema text, \
    domain_name text, udt_catalog text, udt_schema text, udt_name text, scope_catalog text, scope_schema text, \
    scope_name text, maximum_cardinality int, dtd_identifier text, is_self_referencing text, is_identity text, \
    identity_generation text, identity_start text, identity_increment text, identity_maximum text, identity_minimum text, \
    identity_cycle text, is_generated text, generation_expression text, is_updatable text";
const SCHEMATA: &str = "catalog_name text, schema_name text, schema_owner text, default_character_set_catalog text, \
    default_character_set_schema text, default_character_set_name text, sql_path text";
const VIEWS: &str = "table_catalog text, table_schema text, table_name text, view_definition text, check_option text, \
    is_updatable text, is_insertable_into text, is_trigger_updatable text, is_trigger_deletable text, \
    is_trigger_insertable_into text";
const CHARACTER_SETS: &str = "character_set_catalog text, character_set_schema text, character_set_name text, \
    character_repertoire text, form_of_use text, default_collate_catalog text, default_collate_schema text, \
    default_collate_name text";

/// What there is none of, with its columns.
const EMPTY: [(&str, &str); 14] = [
    (
        "table_constraints",
        "constraint_catalog text, constraint_schema text, constraint_name text, table_catalog text, table_schema text, \
         table_name text, constraint_type text, is_deferrable text, initially_deferred text, enforced text, nulls_distinct text",
    ),
    (
        "key_column_usage",
        "constraint_catalog text, constraint_schema text, constraint_name text, table_catalog text, table_schema text, \
         table_name text, column_name text, ordinal_position int, position_in_unique_constraint int",
    ),
    (
        "referential_constraints",
        "constraint_catalog text, constraint_schema text, constraint_name text, unique_constraint_catalog text, \
         unique_constraint_schema text, unique_constraint_name text, match_option text, update_rule text, delete_rule text",
    ),
    (
        "constraint_column_usage",
        "table_catalog text, table_schema text, table_name text, column_name text, constraint_catalog text, \
         constraint_schema text, constraint_name text",
    ),
    (
        "constraint_table_usage",
        "table_catalog text, table_schema text, table_name text, constraint_catalog text, constraint_schema text, \
         constraint_name text",
    ),
    (
        "check_constraints",
        "constraint_catalog text, constraint_schema text, constraint_name text, check_clause text",
    ),
    (
        "routines",
        "specific_catalog text, specific_schema text, specific_name text, routine_catalog text, routine_schema text, \
         routine_name text, routine_type text, data_type text, routine_definition text, external_language text",
    ),
    (
        "parameters",
        "specific_catalog text, specific_schema text, specific_name text, ordinal_position int, parameter_mode text, \
         is_result text, as_locator text, parameter_name text, data_type text",
    ),
    (
        "triggers",
        "trigger_catalog text, trigger_schema text, trigger_name text, event_manipulation text, \
         event_object_catalog text, event_object_schema text, event_object_table text, action_statement text",
    ),
    (
        "sequences",
        "sequence_catalog text, sequence_schema text, sequence_name text, data_type text, start_value text, \
         minimum_value text, maximum_value text, increment text, cycle_option text",
    ),
    (
        "element_types",
        "object_catalog text, object_schema text, object_name text, object_type text, collection_type_identifier text, \
         data_type text",
    ),
    (
        "table_privileges",
        "grantor text, grantee text, table_catalog text, table_schema text, table_name text, privilege_type text, \
         is_grantable text, with_hierarchy text",
    ),
    (
        "column_privileges",
        "grantor text, grantee text, table_catalog text, table_schema text, table_name text, column_name text, \
         privilege_type text, is_grantable text",
    ),
    ("domains", "domain_catalog text, domain_schema text, domain_name text, data_type text"),
];

/// A table by its name.
pub(super) fn table(own: &Own, name: &str) -> Result<Option<RecordBatch>> {
    let database = || -> Cell { own.database.as_str().into() };
    let (form, rows): (_, Vec<Row>) = match name {
        "tables" => {
            let row = |it: &Relation| {
                vec![
                    ("table_catalog", database()),
                    ("table_schema", it.schema.as_str().into()),
                    ("table_name", it.name.as_str().into()),
                    ("table_type", if it.is_view { "VIEW" } else { "BASE TABLE" }.into()),
                    ("is_insertable_into", "NO".into()),
                    ("is_typed", "NO".into()),
                ]
            };
            (TABLES, own.relations.iter().map(row).collect())
        }
        "columns" => (COLUMNS, own.relations.iter().flat_map(|it| described(&own.database, it)).collect()),
        "schemata" => {
            let row = |(name, _): &(&str, i32)| {
                vec![
                    ("catalog_name", database()),
                    ("schema_name", (*name).into()),
                    ("schema_owner", own.user.as_str().into()),
                ]
            };
            (SCHEMATA, own.oids.schemas().iter().map(row).collect())
        }
        "views" => {
            let row = |it: &Relation| {
                vec![
                    ("table_catalog", database()),
                    ("table_schema", it.schema.as_str().into()),
                    ("table_name", it.name.as_str().into()),
                    ("check_option", "NONE".into()),
                    ("is_updatable", "NO".into()),
                    ("is_insertable_into", "NO".into()),
                ]
            };
            (VIEWS, own.relations.iter().filter(|it| it.is_view).map(row).collect())
        }
        "character_sets" => {
            let row = vec![
                ("character_set_name", "UTF8".into()),
                ("character_repertoire", "UCS".into()),
                ("form_of_use", "UTF8".into()),
                ("default_collate_catalog", database()),
                ("default_collate_schema", "pg_catalog".into()),
                ("default_collate_name", "C.UTF-8".into()),
            ];
            (CHARACTER_SETS, vec![row])
        }
        other => match EMPTY.iter().find(|(name, _)| *name == other) {
            Some((_, form)) => (*form, Vec::new()),
            None => return Ok(None),
        },
    };
    filled(&columns(form), &rows).map(Some)
}

/// The columns of a table.
fn described(database: &str, it: &Relation) -> Vec<Row> {
    let row = |(at, field): (usize, &std::sync::Arc<arrow::datatypes::Field>)| {
        let pg = PgType::of(field);
        let (precision, scale) = match pg.oid {
            types::NUMERIC if pg.modifier > 0 => {
                (Some((pg.modifier - 4) >> 16), Some((pg.modifier - 4) & 0xffff))
            }
            types::INT2 => (Some(16), Some(0)),
            types::INT4 => (Some(32), Some(0)),
            types::INT8 => (Some(64), Some(0)),
            types::FLOAT4 => (Some(24), None),
            types::FLOAT8 => (Some(53), None),
            _ => (None, None),
        };
        let radix = precision.map(|_| if pg.oid == types::NUMERIC { 10 } else { 2 });
        let time = match pg.oid {
            types::DATE => Some(0),
            types::TIME | types::TIMESTAMP | types::TIMESTAMPTZ | types::INTERVAL => Some(6),
            _ => None,
        };
        vec![
            ("table_catalog", database.into()),
            ("table_schema", it.schema.as_str().into()),
            ("table_name", it.name.as_str().into()),
            ("column_name", field.name().as_str().into()),
            ("ordinal_position", Cell::Int(at as i64 + 1)),
            ("column_default", Cell::Null),
            ("is_nullable", if field.is_nullable() { "YES" } else { "NO" }.into()),
            ("data_type", pg.name().into()),
            ("character_maximum_length", Cell::Null),
            ("character_octet_length", if pg.oid == types::TEXT { Cell::Int(1 << 30) } else { Cell::Null }),
            ("numeric_precision", precision.into()),
            ("numeric_precision_radix", radix.into()),
            ("numeric_scale", scale.into()),
            ("datetime_precision", time.into()),
            ("interval_precision", Cell::Null),
            ("maximum_cardinality", Cell::Null),
            ("udt_catalog", database.into()),
            ("udt_schema", "pg_catalog".into()),
            ("udt_name", udt(pg).into()),
            ("dtd_identifier", (at + 1).to_string().into()),
            ("is_self_referencing", "NO".into()),
            ("is_identity", "NO".into()),
            ("is_generated", "NEVER".into()),
            ("is_updatable", "NO".into()),
        ]
    };
    it.columns.fields().iter().enumerate().map(row).collect()
}

/// The name of a type in `pg_type`.
fn udt(pg: PgType) -> String {
    let plain = |oid| match oid {
        types::BOOL => "bool",
        types::BYTEA => "bytea",
        types::INT8 => "int8",
        types::INT2 => "int2",
        types::INT4 => "int4",
        types::OID => "oid",
        types::JSON => "json",
        types::FLOAT4 => "float4",
        types::FLOAT8 => "float8",
        types::DATE => "date",
        types::TIME => "time",
        types::TIMESTAMP => "timestamp",
        types::TIMESTAMPTZ => "timestamptz",
        types::INTERVAL => "interval",
        types::NUMERIC => "numeric",
        _ => "text",
    };
    pg.element().map_or_else(|| plain(pg.oid).to_owned(), |element| format!("_{}", plain(element)))
}
