"""psqlODBC (Debian's odbc-postgresql) through unixODBC: isql, and pyodbc with the catalog functions that BI tools call.

    scripts/services/postgres-python.sh tests/clients/postgres/odbc_client.py HOST:PORT

Values are asked for in three ways: with statements prepared by the server, as the driver does by itself; with `UseServerSidePrepare=0`, where
the driver writes parameters into the text; and at the end with `UseDeclareFetch=1`, by cursors of SQL, as large tables are read.
"""

import datetime
import decimal
import os
import subprocess
import tempfile
import threading
import time

import pyodbc
from shared import COLUMNS, DATABASE, FAULTS, PASSWORD, REFUSED, REFUSED_WITH, SLOW, TABLES, USER, address, must_fail, ok, rows, same, single

host, port = address()
UTC = datetime.timezone.utc
# A timeout of the driver's own, and what it makes of it: ODBC has SQLSTATEs of its own for that.
CANCELLED = {"57014", "HY008", "HYT00"}


def connect(more=""):
    driver = "DRIVER={PostgreSQL Unicode}"
    return pyodbc.connect(f"{driver};SERVER={host};PORT={port};DATABASE={DATABASE};UID={USER};PWD={PASSWORD};SSLmode=disable;{more}", autocommit=True)


def refusal(what, sqlstates):
    return must_fail(pyodbc.Error, sqlstates, what, lambda error: error.args[0])


def checked(connection, how):
    cursor = connection.cursor()
    found = cursor.execute("SELECT id, small, big, single, number, exact, words, bytes, day, local_time FROM every_type ORDER BY id").fetchall()
    for row, expected in zip(found, rows("every_type"), strict=True):
        for name, value in zip([column[0] for column in cursor.description], row):
            same(single(value) if name == "single" else value, expected[name], f"every_type {expected['id']} {name}, {how}")
    events = rows("iot_device_events")
    device = 'D"4\'s 🌡'
    count = lambda where, *values: cursor.execute(f"SELECT count(*) FROM iot_device_events WHERE {where}", *values).fetchval()  # noqa: E731
    same(count('"deviceId" = ?', device), sum(row["deviceId"] == device for row in events), f"a parameter: text, {how}")
    same(count('"eventOffset" > ?', 10005), sum(row["eventOffset"] > 10005 for row in events), f"a parameter: integer, {how}")
    same(count("temperature < ?", 20.5), sum((row["temperature"] or 99) < 20.5 for row in events), f"a parameter: double, {how}")
    same(count("12.5::numeric = ?", decimal.Decimal("12.5")), len(events), f"a parameter: decimal, {how}")
    moment = datetime.datetime(2026, 1, 5, 11, 15)
    same(count('"eventTime" < ?', moment), sum(row["eventTime"] < moment.replace(tzinfo=UTC) for row in events), f"a parameter: timestamp, {how}")
    same(count("?::text IS NULL", None), len(events), f"a parameter: NULL, {how}")
    ok(f"values and parameters, {how}")


with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, "odbc.ini"), "w", encoding="utf-8") as ini:
        ini.write(f"[forebay]\nDriver=PostgreSQL Unicode\nServername={host}\nPort={port}\nDatabase={DATABASE}\nUsername={USER}\nPassword={PASSWORD}\nSSLmode=disable\n")
    asked = subprocess.run(
        ["isql", "forebay", "-b", "-d|"], input="SELECT status, count(*) FROM device_status GROUP BY status ORDER BY status\n", text=True, capture_output=True,
        timeout=60, env={**os.environ, "ODBCINI": ini.name},
    )  # fmt: skip
    lines = [line.split("|") for line in asked.stdout.split("\n") if "|" in line and not line.startswith("status")]
    expected = {}
    for row in rows("device_status"):
        expected[row["status"]] = str(int(expected.get(row["status"], 0)) + 1)
    same({line[0].strip(): line[1].strip() for line in lines}, dict(sorted(expected.items())), f"isql\n{asked.stdout}{asked.stderr}")
    ok("isql")

for how, more in [("prepared by the server", ""), ("written into the text", "UseServerSidePrepare=0")]:
    with connect(more) as connection:
        checked(connection, how)

with connect() as connection:
    cursor = connection.cursor()
    found = {row.table_name for row in cursor.tables(schema="public", tableType="TABLE")}
    missing = set(TABLES) - found
    assert not missing, f"SQLTables does not find {missing} but {found}"
    for table in TABLES:
        same([row.column_name for row in cursor.columns(table=table, schema="public")], COLUMNS[table], f"SQLColumns of {table}")
    kinds = {row.column_name: row.data_type for row in cursor.columns(table="every_type", schema="public")}
    same((kinds["id"], kinds["small"], kinds["big"], kinds["single"], kinds["number"], kinds["exact"], kinds["day"]), (4, 5, -5, 7, 6, 2, 91), "SQLColumns: types")
    list(cursor.primaryKeys("device_status")), list(cursor.foreignKeys("device_status")), list(cursor.statistics("device_status")), list(cursor.procedures())
    list(cursor.getTypeInfo())
    same([column[:2] for column in cursor.execute("SELECT * FROM device_status").description][4], ("events", int), "a column as described")
    ok("catalog functions: SQLTables, SQLColumns, SQLPrimaryKeys, SQLForeignKeys, SQLStatistics, SQLGetTypeInfo")

    for sql, sqlstate in FAULTS.items():
        with refusal(sql, {sqlstate, "42S02" if sqlstate == "42P01" else sqlstate, "42S22" if sqlstate == "42703" else sqlstate}):
            cursor.execute(sql).fetchall()
        same(cursor.execute("SELECT 1").fetchval(), 1, f"the session after {sql}")
    for sql in REFUSED:
        with refusal(sql, REFUSED_WITH):
            cursor.execute(sql)
    same(cursor.execute("SELECT count(*) FROM device_status").fetchval(), 16, "nothing was changed")
    ok("faults and refusals have their SQLSTATE, and the session goes on")

    begin = time.monotonic()
    threading.Timer(1.0, cursor.cancel).start()
    with refusal("SQLCancel", CANCELLED):
        cursor.execute(SLOW)
    assert time.monotonic() - begin < 20, "a cancelled statement ended late"
    same(connection.cursor().execute("SELECT 1").fetchval(), 1, "the session after SQLCancel")
    ok("SQLCancel ends the statement, not the session")

with connect("UseDeclareFetch=1;Fetch=3") as connection:
    checked(connection, "by DECLARE and FETCH")
