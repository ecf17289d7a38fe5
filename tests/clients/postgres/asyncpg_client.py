"""asyncpg: binary form throughout, types looked up in pg_catalog, statements described before they run, cursors, cancel by timeout.

    scripts/services/postgres-python.sh tests/clients/postgres/asyncpg_client.py HOST:PORT
"""

import asyncio
import datetime
import time

import asyncpg
from shared import DATABASE, FAULTS, PASSWORD, REFUSED, REFUSED_WITH, SLOW, TABLES, USER, address, in_order, must_fail, ok, rows, same, settled


def refusal(what, sqlstates):
    return must_fail(asyncpg.PostgresError, sqlstates, what, lambda error: error.sqlstate)


async def play():
    host, port = address()
    connection = await asyncpg.connect(host=host, port=port, user=USER, database=DATABASE, password=PASSWORD or None)
    same(await connection.fetchval("SELECT 1"), 1, "SELECT 1")
    assert connection.get_server_version().major >= 12, connection.get_server_version()
    same(connection.get_settings().client_encoding.lower().replace("-", ""), "utf8", "the client's encoding")
    ok("connects, and the server says what it is")

    for table in TABLES:
        found = [settled(dict(row)) for row in await connection.fetch(f"SELECT * FROM {table}")]
        same(in_order(found), in_order(rows(table)), table)
    ok("every value of every table")

    statement = await connection.prepare('SELECT "eventOffset", temperature, "eventTime" FROM iot_device_events WHERE "deviceId" = $1 AND "eventOffset" >= $2')
    same([attribute.name for attribute in statement.get_attributes()], ["eventOffset", "temperature", "eventTime"], "names of columns")
    same([parameter.name for parameter in statement.get_parameters()][1], "int8", "the type of a parameter beside a bigint")
    device = 'D"4\'s 🌡'
    for least in (0, 10005, 2**62):
        expected = sum(row["deviceId"] == device and row["eventOffset"] >= least for row in rows("iot_device_events"))
        same(len(await statement.fetch(device, least)), expected, "a prepared statement")
    moment = datetime.datetime(2026, 1, 5, 11, 15, tzinfo=datetime.timezone.utc)
    expected = sum(row["eventTime"] < moment for row in rows("iot_device_events"))
    same(await connection.fetchval('SELECT count(*) FROM iot_device_events WHERE "eventTime" < $1::timestamptz', moment), expected, "a parameter: timestamptz")
    expected = sum(row["status"] in ("ERROR", "STANDBY") for row in rows("iot_device_events"))
    same(await connection.fetchval("SELECT count(*) FROM iot_device_events WHERE status = ANY($1::text[])", ["ERROR", "STANDBY"]), expected, "a parameter: array")
    same(await connection.fetchval("SELECT $1::text IS NULL", None), True, "a parameter: NULL")
    ok("prepared statements and their parameters")

    async with connection.transaction(readonly=True):
        read = [row["n"] async for row in connection.cursor("SELECT n FROM generate_series(1, 5000) AS t(n) ORDER BY n", prefetch=100)]
    same(read, list(range(1, 5001)), "a cursor that fetches a hundred rows at a time")
    ok("a portal that is read in pieces")

    for sql, sqlstate in FAULTS.items():
        with refusal(sql, sqlstate):
            await connection.fetch(sql)
        same(await connection.fetchval("SELECT 1"), 1, f"the session after {sql}")
    ok("faults have their SQLSTATE, and the session goes on")

    for sql in REFUSED:
        with refusal(sql, REFUSED_WITH):
            await connection.execute(sql)
    with refusal("COPY", REFUSED_WITH):
        await connection.copy_records_to_table("device_status", records=[], columns=["status"])
    ok("whatever would change something is refused")

    begin = time.monotonic()
    try:
        await connection.fetch(SLOW, timeout=1)
        raise SystemExit("FAILED the timeout: the statement ended")
    except (asyncio.TimeoutError, TimeoutError):
        pass
    same(await connection.fetchval("SELECT 1"), 1, "the session after a timeout")
    assert time.monotonic() - begin < 20, "a cancelled statement ended late"
    ok("a timeout cancels the statement, not the session")

    await connection.reset()  # what a pool does between two users: SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL
    same(await connection.fetchval("SELECT 1"), 1, "the session after its reset")
    pool = await asyncpg.create_pool(host=host, port=port, user=USER, database=DATABASE, password=PASSWORD or None, min_size=1, max_size=4)
    same(sorted(await asyncio.gather(*[pool.fetchval("SELECT $1::int", n) for n in range(20)])), list(range(20)), "a pool")
    await pool.close()
    await connection.close()
    ok("a pool of four, reset between two users")


asyncio.run(play())
