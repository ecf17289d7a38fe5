"""DBeaver: what it asks when it opens a connection and when a person unfolds the tree down to a table's columns and rows.

    scripts/services/postgres-python.sh tests/clients/postgres/dbeaver.py HOST:PORT

The statements are DBeaver 25.1's, as PostgreSQL's own log recorded them (datafusion-contrib/datafusion-postgres, issue 135), through the
extended protocol as pgjdbc sends them. `{…}` are the oids that it learned before.
"""

import wire
from shared import COLUMNS, DATABASE, TABLES, USER, address, ok, same

host, port = address()
connection = wire.Connection(host, port, USER, DATABASE, [("client_encoding", "UTF8"), ("DateStyle", "ISO"), ("TimeZone", "UTC")])


def ask(sql, **oids):
    """The rows as mappings. A name that comes twice has its first value, as JDBC reads it."""
    for name, oid in oids.items():
        sql = sql.replace("{" + name + "}", str(oid))
    try:
        answer = connection.extended(sql, results=wire.TEXT)
    except wire.Failed as error:
        raise SystemExit(f"FAILED {error.fields}\n{sql}") from error
    return [dict(reversed(list(zip(answer.names, row)))) for row in answer.rows]


ask("SET extra_float_digits = 3")
ask("SET application_name = 'PostgreSQL JDBC Driver'")
ask(f"SET application_name = 'DBeaver 25.1.5 - Main <{DATABASE}>'")
(who,) = ask("SELECT current_schema(),session_user")
same(who, {"session_user": USER, "current_schema": "public"}, "who is there, and where")
spaces = ask(
    "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n\n"
    "LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass\n"
    " ORDER BY nspname"
)
oids = {row["nspname"]: row["oid"] for row in spaces}
assert {"public", "pg_catalog", "information_schema"} <= set(oids), oids
public = oids["public"]
ok("schemas")

ask("SELECT n.nspname = ANY(current_schemas(true)), n.nspname, t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = 1034")
(of_type,) = ask(
    "SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid   FROM pg_catalog.pg_type   "
    "LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r           from pg_namespace as ns           "
    "join ( select s.r, (current_schemas(false))[s.r] as nspname                    from generate_series(1, array_upper(current_schemas(false), 1)) as s(r) ) as r          "
    "using ( nspname )        ) as sp     ON sp.nspoid = typnamespace  WHERE pg_type.oid = 1009  ORDER BY sp.r, pg_type.oid DESC"
)
same((of_type["is_array"], of_type["typname"]), (True, "_text"), "what pgjdbc asks of a type it does not know")
same([row["search_path"] for row in ask("SHOW search_path")][0].replace(" ", "").split(",")[-1], "public", "search_path")
ask(f"SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datname='{DATABASE}'")
same([row["setting"] for row in ask("SELECT * FROM pg_catalog.pg_settings where name='standard_conforming_strings'")], ["on"], "a setting")
same(len(ask("SELECT string_agg(word, ',' ) from pg_catalog.pg_get_keywords() where word <> ALL ('{a,abs,absolute,action,ada,add,admin,after,all,allocate,alter,aIways,and,any}')")), 1, "keywords")
assert "PostgreSQL" in ask("SELECT version()")[0]["version"]
same((ask("SELECT * FROM pg_catalog.pg_enum WHERE 1<>1 LIMIT 1"), ask("SELECT reltype FROM pg_catalog.pg_class WHERE 1<>1 LIMIT 1")), ([], []), "whether columns are there")
ok("what the server can do")

types = ask(
    "SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description FROM pg_catalog.pg_type t "
    "LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid "
    "LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C')"
)
found = {row["typname"]: row["oid"] for row in types}
for name, oid in {"bool": 16, "int8": 20, "text": 25, "float8": 701, "timestamptz": 1184, "numeric": 1700, "_text": 1009}.items():
    same(found.get(name), oid, f"the type {name}")
ok("types")

classes = ask(
    "SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,  pg_catalog.pg_get_partkeydef(c.oid) as partition_key \n"
    "FROM pg_catalog.pg_class c\n"
    "LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass\n"
    "WHERE c.relnamespace={public} AND c.relkind not in ('i','I','c')",
    public=public,
)
tables = {row["relname"]: row for row in classes}
missing = set(TABLES) - set(tables)
assert not missing, f"tables that are not there: {missing} in {set(tables)}"
same({tables[name]["relkind"] for name in TABLES}, {"r"}, "they are tables")
sizes = ask(
    "select c.oid,pg_catalog.pg_total_relation_size(c.oid) as total_rel_size,pg_catalog.pg_relation_size(c.oid) as rel_size\n"
    "FROM pg_class c\nWHERE c.relnamespace={public}",
    public=public,
)
assert {tables[name]["oid"] for name in TABLES} <= {row["oid"] for row in sizes}
ok("tables and their sizes")

for table in TABLES:
    oid = tables[table]["oid"]
    columns = ask(
        "SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid\n"
        "FROM pg_catalog.pg_attribute a\n"
        "INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)\n"
        "LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)\n"
        "LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)\n"
        "LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid\n"
        "WHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') AND c.oid={table} \n"
        "ORDER BY a.attnum",
        table=oid,
    )
    same([row["attname"] for row in columns if int(row["attnum"]) > 0], COLUMNS[table], f"the columns of {table}")
    known = {row["oid"] for row in types}
    for row in columns:
        assert row["atttypid"] in known or int(row["attnum"]) < 0, f"a column of a type that is not there: {row}"
    ask(
        "SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description, case when c.contype='c' then \"substring\"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy\n"
        "FROM pg_catalog.pg_constraint c\nINNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid\n"
        "LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid\n"
        "LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass\n"
        "WHERE c.conrelid={table}\nORDER BY c.oid",
        table=oid,
    )
    ask(
        "SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as tabrelname,dsc.description,"
        "pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr,pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr,"
        "pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size,pg_catalog.pg_stat_get_numscans(i.indexrelid) as index_num_scans FROM pg_catalog.pg_index i\n"
        "INNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid\nINNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid\n"
        "LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid=dsc.objoid\nWHERE  i.indrelid={table} ORDER BY tabrelname, c.relname",
        table=oid,
    )
ok("columns, constraints and indexes of each table")

for table in TABLES:
    connection.send(wire.parse(f"SELECT x.* FROM public.{table} x"), wire.bind(wire.TEXT), wire.describe_portal(), wire.execute(3), wire.sync())
    (answer,) = connection.answers()
    same((answer.names, len(answer.rows), answer.tag), (COLUMNS[table], 3, "suspended"), f"the first three rows of {table}")
same(ask("SHOW TRANSACTION ISOLATION LEVEL")[0]["transaction_isolation"], "read committed", "the isolation level")
connection.close()
ok("rows, as many as the grid shows")
