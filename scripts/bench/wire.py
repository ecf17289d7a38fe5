"""A Power BI style GROUP BY over a Delta table through the Postgres wire, beside DuckDB reading the table's files in its own process."""

import glob
import json
import subprocess
import time

import measure
from work import SERVICES, fresh, ready, say

ROUNDS = 9  # of each statement, after one that warms up
TABLE = '"public"."rows" "$Table"'  # as Power BI names what it reads
# What visuals fold into: a sub-select of the columns, and groups of it.
ASKED = {
    "two columns": 'select "_"."deviceId", "_"."status", count(*) as "a0", avg("_"."temperature") as "a1", max("_"."eventTime") as "a2" from '
    '(select "deviceId", "status", "temperature", "eventTime" from TABLE) "_" group by "_"."deviceId", "_"."status"',
    "one column": 'select "_"."status", count(*) as "a0" from (select "status" from TABLE) "_" group by "_"."status"',
}


def through_the_wire(bench, database, statement):
    """Seconds of each round as psql sees them, with all rows fetched, and the rows of the last."""
    timed = ["\\timing on"] + [statement] * (ROUNDS + 1)
    command = ["psql", "-XAt", "-F", "\t", "-h", "127.0.0.1", "-p", str(bench.port + 3)] + [part for one in timed for part in ("-c", one)]
    done = subprocess.run(command, capture_output=True, text=True, env=database.environment, timeout=600)
    if done.returncode != 0:
        raise measure.Failed(f"psql: {done.stderr[-1000:]}")
    took, rows = [], []
    for line in done.stdout.splitlines()[1:]:
        if line.startswith("Time: "):
            took.append(float(line.split()[1]) / 1000)
        elif len(took) == ROUNDS:
            rows.append(line.split("\t"))
    return took[1:], rows


def in_duckdb(files, statement):
    """The same, in its own process and without a connection."""
    command = [f"{SERVICES}/python.sh", "scripts/bench/ask_duckdb.py", str(ROUNDS), statement.replace(TABLE, "rows"), *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise measure.Failed(f"DuckDB: {done.stderr[-1000:]}")
    answer = json.loads(done.stdout)
    return answer["took"], answer["rows"]


def groups(rows, columns):
    """The groups with their counts, to be compared: means differ in their last digits by the order of the rows."""
    return sorted((*(str(value) for value in row[:columns]), int(row[columns])) for row in rows)


def settle(process):
    """Waits until the run has read what there was, for its page too: then both have the machine to themselves."""
    by, used = time.monotonic() + 120, measure.cpu_of(process.pid)
    while time.monotonic() < by:
        time.sleep(1)
        before, used = used, measure.cpu_of(process.pid)
        if used - before < 0.03:
            return
    raise measure.Failed("the run does not come to rest")


def all_of_it(bench, database, schema, select):
    """Fills a Delta table with the flattened rows of `devices`, and asks it."""
    home = fresh(f"{bench.dir}/wire")
    query = f"  rows:\n    sql: \"{select}\"\n    format: delta\n    options: {{ path: {home}/table }}\n"
    file = bench.pipeline(f"{home}/pipeline.yaml", bench.kafka, "devices", schema, query)
    measure.measured(bench.command(file, home), bench.log("wire-fill"))
    log = bench.log("wire")
    address = f"127.0.0.1:{bench.port + 3}"
    command = [bench.engine, "run", file, "--data", f"{home}/data", "--http", bench.http, "--embedded-log", "never", "--postgres", address]
    process = measure.start(command, log)
    ready("forebay run", process, log)
    settle(process)
    files = sorted(glob.glob(f"{home}/table/*.parquet"))
    found = {"files": len(files), "asked": {}}
    for name, statement in ASKED.items():
        statement = statement.replace("TABLE", TABLE)
        ours, rows = through_the_wire(bench, database, statement)
        theirs, expected = in_duckdb(files, statement)
        columns = 2 if name == "two columns" else 1
        if groups(rows, columns) != groups(expected, columns) or not rows:
            raise measure.Failed(f"GROUP BY {name}: the groups through the wire differ from DuckDB's")
        say(f"GROUP BY {name}: {sorted(ours)[len(ours) // 2] * 1000:.0f} ms, DuckDB {sorted(theirs)[len(theirs) // 2] * 1000:.0f} ms")
        found["asked"][name] = {"forebay": ours, "duckdb": theirs, "groups": len(rows)}
        found["rows"] = sum(int(row[columns]) for row in expected)
    measure.stop(process)
    return found
