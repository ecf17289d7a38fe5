"""Times a statement in DuckDB, in this process, over the Parquet files of a table; prints the seconds of each round and the last rows as JSON.

    scripts/services/python.sh scripts/bench/ask_duckdb.py ROUNDS STATEMENT FILE…      (the table is called `rows`)
"""

import json
import sys
import time

import duckdb

rounds, statement, files = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
connection = duckdb.connect()
connection.execute(f"CREATE VIEW rows AS SELECT * FROM read_parquet({files!r})")
took, rows = [], []
for _ in range(rounds + 1):  # the first warms up
    began = time.perf_counter()
    rows = connection.execute(statement).fetchall()
    took.append(time.perf_counter() - began)
json.dump({"took": took[1:], "rows": [["" if value is None else str(value) for value in row] for row in rows]}, sys.stdout)
