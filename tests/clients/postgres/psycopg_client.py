"""psycopg 3 (libpq): values in text and binary form, parameters bound by the server, server-side cursors, refusals, cancel.

    scripts/services/postgres-python.sh tests/clients/postgres/psycopg_client.py HOST:PORT
"""

import datetime
import threading
import time

import psycopg
from psycopg.rows import dict_row
from shared import DATABASE, FAULTS, PASSWORD, REFUSED, REFUSED_WITH, SLOW, TABLES, USER, address, in_order, must_fail, ok, rows, same, settled

host, port = address()
UTC = datetime.timezone.utc


def connect(**more):
    return psycopg.connect(host=host, port=port, user=USER, dbname=DATABASE, password=PASSWORD, autocommit=True, **more)


def refusal(what, sqlstates):
    return must_fail(psycopg.Error, sqlstates, what, lambda error: error.sqlstate)


def ask(connection, sql, parameters=None, binary=False):
    with connection.cursor(row_factory=dict_row, binary=binary) as cursor:
        return [settled(row) for row in cursor.execute(sql, parameters).fetchall()]


with connect() as connection:
    same(connection.info.encoding, "utf-8", "the client's encoding")
    assert connection.info.server_version >= 120000, connection.info.server_version
    same(connection.execute("SELECT 1").fetchone(), (1,), "SELECT 1")
    ok("connects, and the server says what it is")

    for table in TABLES:
        for binary in (False, True):
            found = ask(connection, f"SELECT * FROM {table}", binary=binary)
            same(in_order(found), in_order(rows(table)), f"{table}, {'binary' if binary else 'text'}")
    ok("every value of every table, in text and in binary form")

    found = ask(connection, 'SELECT "eventId", "deviceId" FROM iot_device_events WHERE "eventOffset" = 10003 ORDER BY "deviceId"')
    expected = [(row["eventId"], row["deviceId"]) for row in rows("iot_device_events") if row["eventOffset"] == 10003]
    same([tuple(row.values()) for row in found], sorted(expected), "quoted names")
    ok("names keep their case")

    # No `%s` is put into the text: the server gets $1 and the values beside it, their types often unknown.
    device = 'D"4\'s 🌡'
    of_device = [row for row in rows("iot_device_events") if row["deviceId"] == device]
    moment = datetime.datetime(2026, 1, 5, 11, 15, tzinfo=UTC)
    for binary in (False, True):
        mark = "%b" if binary else "%t"
        for what, sql, parameter, expected in [
            ("text", f'"deviceId" = {mark}', device, len(of_device)),
            ("integer", f'"eventOffset" > {mark}', 10005, sum(row["eventOffset"] > 10005 for row in rows("iot_device_events"))),
            ("double", f"temperature < {mark}", 20.5, sum((row["temperature"] or 99) < 20.5 for row in rows("iot_device_events"))),
            ("timestamptz", f'"eventTime" < {mark}', moment, sum(row["eventTime"] < moment for row in rows("iot_device_events"))),
            ("array", f"status = ANY({mark})", ["ERROR", "STANDBY"], sum(row["status"] in ("ERROR", "STANDBY") for row in rows("iot_device_events"))),
        ]:
            found = connection.execute(f"SELECT count(*) FROM iot_device_events WHERE {sql}", [parameter]).fetchone()
            same(found, (expected,), f"a parameter: {what}, {'binary' if binary else 'text'}")
    same(connection.execute("SELECT count(*) FROM iot_device_events WHERE %s::text IS NULL", [None]).fetchone(), (19,), "a parameter: NULL")
    same(connection.execute("SELECT %s::text, %s::bigint, %s::date", ["'; --", 2**62, datetime.date(2026, 1, 5)]).fetchone(), ("'; --", 2**62, datetime.date(2026, 1, 5)), "parameters come back")
    ok("parameters bound by the server, in text and in binary form")

    with connection.cursor() as cursor:
        for _ in range(7):  # psycopg prepares at the sixth time
            same(cursor.execute("SELECT words FROM every_type WHERE id = %s", [2]).fetchone(), ("",), "a prepared statement")
        same(cursor.execute("SELECT words FROM every_type WHERE id = %s", [3], prepare=True).fetchone(), (rows("every_type")[2]["words"],), "prepared at once")
    ok("prepared statements, used again")

    with connection.cursor() as cursor:
        cursor.execute("SELECT n FROM generate_series(1, 100000) AS t(n)")
        same((cursor.rowcount, len(cursor.fetchmany(10)), cursor.fetchone()), (100000, 10, (11,)), "fetchmany")
    same(sum(n for (n,) in connection.cursor().stream("SELECT n FROM generate_series(1, 20000) AS t(n)")), 200010000, "single-row mode")
    ok("a hundred thousand rows, and rows one by one")

    for sql, sqlstate in FAULTS.items():
        with refusal(sql, sqlstate):
            connection.execute(sql).fetchall()
        same(connection.execute("SELECT 1").fetchone(), (1,), f"the session after {sql}")
    ok("faults have their SQLSTATE, and the session goes on")

    for sql in REFUSED:
        with refusal(sql, REFUSED_WITH):
            connection.execute(sql)
    with refusal("COPY FROM STDIN", REFUSED_WITH), connection.cursor() as cursor, cursor.copy("COPY device_status FROM STDIN") as copy:
        copy.write(b"x")
    with refusal("COPY to a program", REFUSED_WITH):
        connection.execute("COPY device_status TO PROGRAM 'id'")
    with refusal("two statements in one with parameters", {"42601", "0A000"}):
        connection.execute("SELECT 1; SELECT %s", [2])
    same(connection.execute("SELECT count(*) FROM device_status").fetchone(), (16,), "nothing was changed")
    ok("whatever would change something is refused")

    with connection.transaction():
        same(connection.execute("SELECT count(*) FROM device_status").fetchone(), (16,), "in a transaction")
    try:
        with connection.transaction():
            connection.execute("SELECT * FROM no_such_table")
    except psycopg.Error as error:
        same(error.sqlstate, "42P01", "a fault in a transaction")
    same(connection.info.transaction_status, psycopg.pq.TransactionStatus.IDLE, "the session after ROLLBACK")
    ok("transactions that only read, and ROLLBACK after a fault")

    begin = time.monotonic()
    threading.Timer(1.0, connection.cancel).start()
    with refusal("cancel", "57014"):
        connection.execute(SLOW)
    assert time.monotonic() - begin < 20, "a cancelled statement ended late"
    same(connection.execute("SELECT 1").fetchone(), (1,), "the session after cancel")
    ok("a cancel request ends a statement, not the session")

    with refusal("statement_timeout", "57014"):
        connection.execute("SET statement_timeout = 500")
        connection.execute(SLOW)
    connection.execute("RESET statement_timeout")
    ok("statement_timeout ends a statement")

    with connection.transaction(), connection.cursor("in_pieces") as cursor:
        cursor.itersize = 100
        same([n for (n,) in cursor.execute("SELECT n FROM generate_series(1, 1000) AS t(n) ORDER BY n")], list(range(1, 1001)), "a cursor of SQL")
    ok("a server-side cursor: DECLARE, FETCH, CLOSE")
