"""pandas over SQLAlchemy and psycopg, as a notebook has it: read_sql, read_sql_table, reflection, chunks.

    scripts/services/postgres-python.sh tests/clients/postgres/pandas_client.py HOST:PORT
"""

import pandas
import sqlalchemy
from shared import COLUMNS, DATABASE, PASSWORD, REFUSED_WITH, TABLES, USER, address, must_fail, ok, rows, same

host, port = address()
url = sqlalchemy.URL.create("postgresql+psycopg", USER, PASSWORD or None, host, port, DATABASE)
engine = sqlalchemy.create_engine(url)

inspector = sqlalchemy.inspect(engine)
missing = set(TABLES) - set(inspector.get_table_names())
assert not missing, f"tables that reflection does not find: {missing}"
for table in TABLES:
    same([column["name"] for column in inspector.get_columns(table)], COLUMNS[table], f"the columns of {table}")
kinds = {column["name"]: type(column["type"]).__name__ for column in inspector.get_columns("every_type")}
same(kinds["big"], "BIGINT", "the type of a bigint")
same(kinds["exact"], "NUMERIC", "the type of a numeric")
assert kinds["number"] in ("DOUBLE_PRECISION", "DOUBLE"), kinds
assert kinds["instant"] == kinds["local_time"] == "TIMESTAMP", kinds
ok("reflection finds tables, columns and types")

with engine.connect() as connection:
    frame = pandas.read_sql("SELECT status, sum(events)::bigint AS events FROM device_status GROUP BY status ORDER BY status", connection)
    expected = {}
    for row in rows("device_status"):
        expected[row["status"]] = expected.get(row["status"], 0) + row["events"]
    same(dict(zip(frame["status"], frame["events"].tolist())), dict(sorted(expected.items())), "a GROUP BY")
    ok("read_sql of a statement")

    frame = pandas.read_sql_table("iot_device_events", connection)
    same(list(map(str, frame.columns)), COLUMNS["iot_device_events"], "columns of a table")
    same(str(frame["eventOffset"].dtype), "int64", "a bigint")
    same(str(frame["temperature"].dtype), "float64", "a double")
    assert str(frame["eventTime"].dtype).startswith("datetime64["), frame["eventTime"].dtype
    known = [row["temperature"] for row in rows("iot_device_events") if row["temperature"] is not None]
    same((len(frame), int(frame["temperature"].isna().sum())), (19, 19 - len(known)), "rows, and NULL as NaN")
    assert abs(frame["temperature"].mean() - sum(known) / len(known)) < 1e-9
    ok("read_sql_table")

    asked = sqlalchemy.text('SELECT * FROM iot_device_events WHERE "customerId" = :customer AND temperature > :least')
    frame = pandas.read_sql(asked, connection, params={"customer": "CI00102", "least": 10})
    expected = [row for row in rows("iot_device_events") if row["customerId"] == "CI00102" and (row["temperature"] or -99) > 10]
    same(sorted(frame["deviceId"]), sorted(row["deviceId"] for row in expected), "parameters by name")
    ok("parameters by name")

    chunks = list(pandas.read_sql("SELECT n FROM generate_series(1, 2500) AS t(n)", connection, chunksize=1000))
    same(([len(chunk) for chunk in chunks], int(pandas.concat(chunks)["n"].sum())), ([1000, 1000, 500], 3126250), "chunks")
    ok("chunks")

with must_fail(sqlalchemy.exc.DBAPIError, REFUSED_WITH, "to_sql", lambda error: error.orig.sqlstate), engine.connect() as connection:
    pandas.DataFrame({"a": [1]}).to_sql("made_by_pandas", connection)
ok("to_sql is refused")
