//! The tables of `pg_catalog` that describe the pipeline's: classes, attributes, schemas, the database, roles, settings.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Field;
use forebay_core::Result;

use super::super::types::PgType;
use super::cells::{Cell, Row, columns, filled};
use super::oids::{DATABASE, OWNER};
use super::{Own, static_tables};
use crate::shown::sql::Relation;

/// The columns of tables that `datafusion-pg-catalog` has no fixed form for.
const PG_CLASS: &str = "oid oid, relname text, relnamespace oid, reltype oid, reloftype oid, relowner oid, relam oid, \
    relfilenode oid, reltablespace oid, relpages int, reltuples real, relallvisible int, reltoastrelid oid, relhasindex bool, \
    relisshared bool, relpersistence text, relkind text, relnatts short, relchecks short, relhasrules bool, relhastriggers bool, \
    relhassubclass bool, relrowsecurity bool, relforcerowsecurity bool, relispopulated bool, relreplident text, \
    relispartition bool, relrewrite oid, relfrozenxid text, relminmxid text, relacl texts, reloptions texts, relpartbound text, \
    tableoid oid, xmin text";
const PG_ATTRIBUTE: &str = "attrelid oid, attname text, atttypid oid, attlen short, attnum short, attcacheoff int, \
    atttypmod int, attndims short, attbyval bool, attalign text, attstorage text, attcompression text, attnotnull bool, \
    atthasdef bool, atthasmissing bool, attidentity text, attgenerated text, attisdropped bool, attislocal bool, \
    attinhcount short, attcollation oid, attstattarget short, attacl texts, attoptions texts, attfdwoptions texts, \
    attmissingval text";
const PG_NAMESPACE: &str = "oid oid, nspname text, nspowner oid, nspacl texts, xmin text, tableoid oid";
const PG_DATABASE: &str = "oid oid, datname text, datdba oid, encoding int, datlocprovider text, datistemplate bool, \
    datallowconn bool, datconnlimit int, datfrozenxid text, datminmxid text, dattablespace oid, datcollate text, datctype text, \
    daticulocale text, daticurules text, datcollversion text, datacl texts";
const PG_ROLES: &str = "oid oid, rolname text, rolsuper bool, rolinherit bool, rolcreaterole bool, rolcreatedb bool, \
    rolcanlogin bool, rolreplication bool, rolconnlimit int, rolpassword text, rolvaliduntil time, rolbypassrls bool, \
    rolconfig texts";
const PG_USER: &str = "usename text, usesysid oid, usecreatedb bool, usesuper bool, userepl bool, usebypassrls bool, \
    passwd text, valuntil time, useconfig texts";
const PG_TABLES: &str = "schemaname text, tablename text, tableowner text, tablespace text, hasindexes bool, \
    hasrules bool, hastriggers bool, rowsecurity bool";
const PG_VIEWS: &str = "schemaname text, viewname text, viewowner text, definition text";
const PG_MATVIEWS: &str = "schemaname text, matviewname text, matviewowner text, tablespace text, hasindexes bool, \
    ispopulated bool, definition text";
const PG_SETTINGS: &str = "name text, setting text, unit text, category text, short_desc text, extra_desc text, \
    context text, vartype text, source text, min_val text, max_val text, enumvals text, boot_val text, reset_val text, \
    sourcefile text, sourceline int, pending_restart bool";
const PG_STAT_ACTIVITY: &str = "datid oid, datname text, pid int, usesysid oid, usename text, application_name text, \
    client_addr text, client_hostname text, client_port int, backend_start time, xact_start time, query_start time, \
    state_change time, wait_event_type text, wait_event text, state text, query text, backend_type text";
const PG_STAT_USER_TABLES: &str = "relid oid, schemaname text, relname text, seq_scan long, seq_tup_read long, \
    idx_scan long, idx_tup_fetch long, n_tup_ins long, n_tup_upd long, n_tup_del long, n_live_tup long, n_dead_tup long, \
    last_vacuum time, last_autovacuum time, last_analyze time, last_autoanalyze time";

/// A table by its name.
pub(super) fn table(own: &Own, name: &str) -> Result<Option<RecordBatch>> {
    let (form, rows): (_, Vec<Row>) = match name {
        "pg_class" => (PG_CLASS, own.relations.iter().map(|it| class(own, it)).collect()),
        "pg_attribute" => (PG_ATTRIBUTE, own.relations.iter().flat_map(|it| attributes(own, it)).collect()),
        "pg_namespace" => {
            let row = |(name, oid): &(&str, i32)| {
                vec![("oid", (*oid).into()), ("nspname", (*name).into()), ("nspowner", OWNER.into())]
            };
            (PG_NAMESPACE, own.oids.schemas().iter().map(row).collect())
        }
        "pg_database" => (PG_DATABASE, vec![database(own)]),
        "pg_roles" | "pg_authid" => (PG_ROLES, vec![role(own)]),
        "pg_user" => (PG_USER, vec![vec![("usename", own.user.as_str().into()), ("usesysid", OWNER.into())]]),
        "pg_tables" => (PG_TABLES, listed(own, false, ["schemaname", "tablename", "tableowner"])),
        "pg_views" => (PG_VIEWS, listed(own, true, ["schemaname", "viewname", "viewowner"])),
        "pg_matviews" => (PG_MATVIEWS, Vec::new()),
        "pg_settings" => {
            let row = |(name, value): &(String, String)| {
                let value: Cell = value.as_str().into();
                let name: Cell = name.as_str().into();
                vec![
                    ("name", name),
                    ("setting", value.clone()),
                    ("reset_val", value),
                    ("context", "user".into()),
                    ("vartype", "string".into()),
                    ("source", "default".into()),
                ]
            };
            (PG_SETTINGS, own.settings.iter().map(row).collect())
        }
        "pg_stat_activity" => (PG_STAT_ACTIVITY, Vec::new()),
        "pg_stat_user_tables" | "pg_stat_all_tables" => (PG_STAT_USER_TABLES, Vec::new()),
        "pg_type" => return super::statics::types(static_tables()?).map(Some),
        _ => return Ok(None),
    };
    filled(&columns(form), &rows).map(Some)
}

fn class(own: &Own, it: &Relation) -> Row {
    let oid = own.oids.of(&it.schema, &it.name).unwrap_or_default();
    vec![
        ("oid", oid.into()),
        ("relname", it.name.as_str().into()),
        ("relnamespace", own.oids.schema(&it.schema).unwrap_or_default().into()),
        ("relowner", OWNER.into()),
        ("relam", if it.is_view { 0 } else { 2 }.into()),
        ("reltuples", (-1).into()),
        ("relpersistence", "p".into()),
        ("relkind", if it.is_view { "v" } else { "r" }.into()),
        ("relnatts", Cell::Int(it.columns.fields().len() as i64)),
        ("relispopulated", true.into()),
        ("relreplident", "n".into()),
        ("tableoid", 1_259.into()),
    ]
}

fn attributes(own: &Own, it: &Relation) -> Vec<Row> {
    let oid = own.oids.of(&it.schema, &it.name).unwrap_or_default();
    let row = |(at, field): (usize, &Arc<Field>)| {
        let pg = PgType::of(field);
        vec![
            ("attrelid", oid.into()),
            ("attname", field.name().as_str().into()),
            ("atttypid", Cell::Int(pg.oid.into())),
            ("attlen", Cell::Int(pg.length.into())),
            ("attnum", Cell::Int(at as i64 + 1)),
            ("attcacheoff", (-1).into()),
            ("atttypmod", pg.modifier.into()),
            ("attndims", if pg.element().is_some() { 1 } else { 0 }.into()),
            ("attbyval", (pg.length > 0 && pg.length <= 8).into()),
            ("attalign", "i".into()),
            ("attstorage", if pg.length > 0 { "p" } else { "x" }.into()),
            ("attcompression", "".into()),
            ("attidentity", "".into()),
            ("attgenerated", "".into()),
            ("attnotnull", (!field.is_nullable()).into()),
            ("attislocal", true.into()),
            ("attcollation", if pg.oid == super::super::types::TEXT { 100 } else { 0 }.into()),
        ]
    };
    it.columns.fields().iter().enumerate().map(row).collect()
}

fn database(own: &Own) -> Row {
    vec![
        ("oid", DATABASE.into()),
        ("datname", own.database.as_str().into()),
        ("datdba", OWNER.into()),
        ("encoding", 6.into()),
        ("datlocprovider", "c".into()),
        ("datallowconn", true.into()),
        ("datconnlimit", (-1).into()),
        ("dattablespace", 1_663.into()),
        ("datcollate", "C.UTF-8".into()),
        ("datctype", "C.UTF-8".into()),
    ]
}

fn role(own: &Own) -> Row {
    vec![
        ("oid", OWNER.into()),
        ("rolname", own.user.as_str().into()),
        ("rolinherit", true.into()),
        ("rolcanlogin", true.into()),
        ("rolconnlimit", (-1).into()),
    ]
}

fn listed(own: &Own, views: bool, names: [&'static str; 3]) -> Vec<Row> {
    let [schema, name, owner] = names;
    let those = own.relations.iter().filter(|it| it.is_view == views);
    let row = |it: &Relation| {
        vec![
            (schema, it.schema.as_str().into()),
            (name, it.name.as_str().into()),
            (owner, own.user.as_str().into()),
        ]
    };
    those.map(row).collect()
}
