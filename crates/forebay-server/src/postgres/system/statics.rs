//! The tables of `pg_catalog` that are the same in every PostgreSQL, and those of what Forebay does not have.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use datafusion_pg_catalog::pg_catalog::{ArrowTable, PgCatalogStaticTables};
use forebay_core::Result;

use super::super::types::OID_KEY;
use super::cells::columns;
use super::failed;

/// A table by its name; `None` if PostgreSQL has none of it.
pub(super) fn table(tables: &PgCatalogStaticTables, name: &str) -> Result<Option<RecordBatch>> {
    let it = tables;
    let whole = match name {
        "pg_aggregate" => &it.pg_aggregate,
        "pg_am" => &it.pg_am,
        "pg_cast" => &it.pg_cast,
        "pg_collation" => &it.pg_collation,
        "pg_conversion" => &it.pg_conversion,
        "pg_language" => &it.pg_language,
        "pg_opclass" => &it.pg_opclass,
        "pg_operator" => &it.pg_operator,
        "pg_opfamily" => &it.pg_opfamily,
        "pg_proc" => &it.pg_proc,
        "pg_range" => &it.pg_range,
        "pg_tablespace" => &it.pg_tablespace,
        "pg_ts_config" => &it.pg_ts_config,
        "pg_ts_dict" => &it.pg_ts_dict,
        "pg_ts_parser" => &it.pg_ts_parser,
        "pg_ts_template" => &it.pg_ts_template,
        other => return without_rows(tables, other),
    };
    batch(whole).map(Some)
}

/// What Forebay has none of: the columns are there, with arrays where PostgreSQL has them.
fn without_rows(it: &PgCatalogStaticTables, name: &str) -> Result<Option<RecordBatch>> {
    let form = match name {
        "pg_attrdef" => &it.pg_attrdef,
        "pg_auth_members" => &it.pg_auth_members,
        "pg_constraint" => &it.pg_constraint,
        "pg_db_role_setting" => &it.pg_db_role_setting,
        "pg_default_acl" => &it.pg_default_acl,
        "pg_depend" => &it.pg_depend,
        // PostgreSQL's own remarks on its own functions.
        "pg_description" => &it.pg_description,
        "pg_enum" => &it.pg_enum,
        "pg_event_trigger" => &it.pg_event_trigger,
        "pg_extension" => &it.pg_extension,
        "pg_foreign_data_wrapper" => &it.pg_foreign_data_wrapper,
        "pg_foreign_server" => &it.pg_foreign_server,
        "pg_foreign_table" => &it.pg_foreign_table,
        "pg_index" => &it.pg_index,
        "pg_inherits" => &it.pg_inherits,
        "pg_init_privs" => &it.pg_init_privs,
        "pg_largeobject" => &it.pg_largeobject,
        "pg_largeobject_metadata" => &it.pg_largeobject_metadata,
        "pg_partitioned_table" => &it.pg_partitioned_table,
        "pg_policy" => &it.pg_policy,
        "pg_publication" => &it.pg_publication,
        "pg_publication_namespace" => &it.pg_publication_namespace,
        "pg_publication_rel" => &it.pg_publication_rel,
        "pg_rewrite" => &it.pg_rewrite,
        "pg_seclabel" => &it.pg_seclabel,
        "pg_sequence" => &it.pg_sequence,
        "pg_shdepend" => &it.pg_shdepend,
        "pg_shdescription" => &it.pg_shdescription,
        "pg_shseclabel" => &it.pg_shseclabel,
        "pg_statistic_ext" => &it.pg_statistic_ext,
        "pg_subscription" => &it.pg_subscription,
        "pg_subscription_rel" => &it.pg_subscription_rel,
        "pg_trigger" => &it.pg_trigger,
        "pg_user_mapping" => &it.pg_user_mapping,
        "pg_indexes" => {
            let form =
                columns("schemaname text, tablename text, indexname text, tablespace text, indexdef text");
            return Ok(Some(RecordBatch::new_empty(form)));
        }
        "pg_locks" => {
            let form = columns("locktype text, database oid, relation oid, pid int, mode text, granted bool");
            return Ok(Some(RecordBatch::new_empty(form)));
        }
        "pg_prepared_xacts" => {
            let form = columns("transaction text, gid text, prepared time, owner text, database text");
            return Ok(Some(RecordBatch::new_empty(form)));
        }
        _ => return Ok(None),
    };
    let schema = form.schema();
    let fields = schema.fields().iter().map(|field| {
        let item = match field.name().as_str() {
            "conkey" | "confkey" | "indkey" | "indoption" | "tgattr" => DataType::Int16,
            "indclass" | "indcollation" | "polroles" | "conpfeqop" | "conppeqop" | "conffeqop"
            | "conexclop" => DataType::Int32,
            other if is_texts(other) => DataType::Utf8,
            _ => return field.as_ref().clone().with_nullable(true),
        };
        Field::new(field.name(), DataType::List(Arc::new(Field::new_list_field(item, true))), true)
    });
    Ok(Some(RecordBatch::new_empty(Arc::new(Schema::new(fields.collect::<Vec<_>>())))))
}

/// A table with its rows. Rights and options are arrays, of which there are none.
fn batch(table: &ArrowTable) -> Result<RecordBatch> {
    let whole = concat_batches(&table.schema(), table.data()).map_err(failed)?;
    let (mut fields, mut made) = (Vec::new(), Vec::new());
    for (field, column) in whole.schema().fields().iter().zip(whole.columns()) {
        if is_texts(field.name()) {
            let texts = DataType::new_list(DataType::Utf8, true);
            made.push(new_null_array(&texts, whole.num_rows()));
            fields.push(Field::new(field.name(), texts, true));
        } else {
            made.push(Arc::clone(column));
            fields.push(field.as_ref().clone().with_nullable(true));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), made).map_err(failed)
}

fn is_texts(name: &str) -> bool {
    ["acl", "options", "config"].iter().any(|end| name.ends_with(end)) && !name.starts_with("pg_")
}

/// `pg_type`, whose functions are numbers: clients join them with `pg_proc`.
pub(super) fn types(tables: &PgCatalogStaticTables) -> Result<RecordBatch> {
    let (types, procs) = (batch(&tables.pg_type)?, batch(&tables.pg_proc)?);
    let mut numbers: HashMap<&str, i32> = HashMap::new();
    if let (Some(names), Some(oids)) = (procs.column_by_name("proname"), procs.column_by_name("oid")) {
        let (names, oids) = (names.as_string::<i32>(), oids.as_primitive::<Int32Type>());
        for (name, oid) in names.iter().zip(oids) {
            if let (Some(name), Some(oid)) = (name, oid) {
                numbers.entry(name).or_insert(oid);
            }
        }
    }
    let (mut fields, mut made) = (Vec::new(), Vec::<ArrayRef>::new());
    for (field, column) in types.schema().fields().iter().zip(types.columns()) {
        let is_function = field.metadata().get(OID_KEY).is_some_and(|kind| kind == "regproc");
        match column.as_string_opt::<i32>().filter(|_| is_function) {
            Some(names) => {
                let number = |name: Option<&str>| name.map(|name| numbers.get(name).copied().unwrap_or(0));
                made.push(Arc::new(names.iter().map(number).collect::<Int32Array>()));
                let field = Field::new(field.name(), DataType::Int32, true);
                fields.push(field.with_metadata([(OID_KEY.to_owned(), "regproc".to_owned())].into()));
            }
            None => {
                fields.push(field.as_ref().clone().with_nullable(true));
                made.push(Arc::clone(column));
            }
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), made).map_err(failed)
}
