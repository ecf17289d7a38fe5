"""Power BI without Power BI: the statements of its PostgreSQL connector, byte for byte, in the messages in which Npgsql sends them.

    scripts/services/postgres-python.sh tests/clients/powerbi.py HOST:PORT [--record]

The statements stand in powerbi/, one in each file, exactly as they go over the wire:

  01–04  Npgsql 4.0, which Power BI ships: what it asks of every server it meets, and how it resets a pooled connection
  05     Npgsql 8 and 9: the same, in one message
  10–15  the navigator, when a person looks for tables and loads one. 01–15 are recorded from Power BI Desktop on a PostgreSQL
         (datafusion-contrib/datafusion-postgres, issue 218; their table's name is ours) and from Npgsql's source
  20–30  DirectQuery: what visuals fold into, over our tables, in the shapes that are publicly recorded; 31–35 more of what the connector
         folds (parts of time, texts, numbers), written by hand

answers.json says what each answer must hold: its columns and what a client may take them for, all its rows (`rows`, in order where
`ordered`), or some of them (`holds`). Lines end as they stand and, because Power BI runs on Windows, once more with CR LF. What
DirectQuery must answer was told by a real PostgreSQL (`--record`), on which this program passes.
"""

import datetime
import decimal
import json
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "postgres"))
import wire  # noqa: E402

HERE = pathlib.Path(__file__).parent / "powerbi"
RECORD = "--record" in sys.argv
if RECORD:
    sys.argv.remove("--record")
from shared import DATABASE, USER, address, ok  # noqa: E402

STATEMENTS = {path.stem: path.read_bytes() for path in sorted(HERE.glob("*.sql"))}
ANSWERS = json.loads((HERE / "answers.json").read_text(encoding="utf-8"))
host, port = address()


def fail(what, came, expected):
    raise SystemExit(f"FAILED {what}\n  came:     {came!r}\n  expected: {expected!r}")


def told(value):
    """A value as answers.json writes it."""
    if isinstance(value, datetime.datetime):
        return (value.astimezone(datetime.timezone.utc) if value.tzinfo else value).replace(tzinfo=None).isoformat(sep=" ")
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, datetime.date) else value


def close(left, right):
    if isinstance(left, float) or isinstance(right, float):
        return None not in (left, right) and not isinstance(left, str) and not isinstance(right, str) and math.isclose(left, right, rel_tol=1e-12, abs_tol=1e-12)
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def equal(left, right):
    return len(left) == len(right) and all(map(close, left, right))


def check(name, answer, how):
    """One answer against what answers.json says of it."""
    must, what = ANSWERS[name], f"{name}, {how}"
    if answer.names != must["columns"]:
        fail(f"{what}: columns", answer.names, must["columns"])
    # A sum of integers is a numeric here and a bigint there, a moment has a zone or not: Power BI takes both.
    loose = {"decimal": "number", "int": "number", "float": "number", "timestamptz": "timestamp"}
    for column, kind, wanted in zip(must["columns"], answer.kinds, must["kinds"]):
        if loose.get(kind, kind) != loose.get(wanted, wanted):
            fail(f"{what}: what `{column}` is", kind, wanted)
    rows = [[told(value) for value in row] for row in answer.rows]
    if RECORD and "rows" in must:
        must["kinds"] = answer.kinds
        must["rows"] = rows if must.get("ordered") else sorted(rows, key=repr)
    if "rows" in must:
        found, expected = (rows, must["rows"]) if must.get("ordered") else (sorted(rows, key=repr), sorted(must["rows"], key=repr))
        if len(found) != len(expected) or not all(map(equal, found, expected)):
            fail(f"{what}: rows", found, expected)
    for row in must.get("holds", []):
        if not any(equal(row, found) for found in rows):
            fail(f"{what}: a row is missing", rows[:40], row)
    if "rises" in must:
        values = [row[must["columns"].index(must["rises"])] for row in rows]
        if values != sorted(values):
            fail(f"{what}: the order of `{must['rises']}`", values, sorted(values))
    return rows


def line_ends():
    return [("LF", lambda sql: sql), ("CR LF", lambda sql: sql.replace(b"\n", b"\r\n"))]


def opened():
    """A session as Npgsql opens it: asks for TLS, goes on without where its settings let it."""
    options = [("client_encoding", "UTF8")]
    return wire.Connection(host, port, USER, DATABASE, options, ssl_request=True)


connection = opened()
for parameter in ["server_version", "client_encoding", "standard_conforming_strings", "integer_datetimes", "TimeZone"]:
    assert parameter in connection.parameters, f"the server does not tell {parameter}: {connection.parameters}"
if tuple(int(part) for part in connection.parameters["server_version"].split(" ")[0].split(".")[:1]) < (12,):
    fail("server_version", connection.parameters["server_version"], "12 or above")
if (connection.parameters["integer_datetimes"], connection.parameters["standard_conforming_strings"]) != ("on", "on"):
    fail("parameters", connection.parameters, "on")
ok("a session opens, and the server says what it is")

types = {}
for how, ends in line_ends():
    batch = b""
    for name in ["01-npgsql-types", "02-npgsql-composites", "03-npgsql-enums"]:
        batch += wire.parse(ends(STATEMENTS[name])) + wire.bind(None) + wire.describe_portal() + wire.execute()
    connection.send(batch, wire.sync())
    answers = connection.answers()
    if len(answers) != 3:
        fail("three statements and one Sync", len(answers), 3)
    loaded = check("01-npgsql-types", answers[0], how)
    check("02-npgsql-composites", answers[1], how)
    check("03-npgsql-enums", answers[2], how)
    types = {int(row[2]): row for row in loaded}
    if len(types) != len(loaded):
        fail("types: an oid comes twice", len(loaded), len(types))
ok("Npgsql 4.0 loads the types in one batch")

for how, ends in line_ends():
    answers = connection.simple(ends(STATEMENTS["05-npgsql-8"]))
    if len(answers) != 4:
        fail("Npgsql 8: answers to four statements in one message", len(answers), 4)
    for at, answer in enumerate(answers):
        check(f"05-npgsql-8/{at}", answer, how)
ok("Npgsql 8 loads the types in one message")

for how, ends in line_ends():
    (answer,) = connection.simple(STATEMENTS["04-npgsql-discard"])
    if answer.tag != "DISCARD ALL":
        fail("the tag of DISCARD ALL", answer.tag, "DISCARD ALL")
    for name in [name for name in STATEMENTS if "10" <= name[:2] < "20"]:
        # The reset of the pooled connection goes out with the first statement after it, and both are answered.
        reset = wire.query(STATEMENTS["04-npgsql-discard"])
        answer = connection.extended(ends(STATEMENTS[name]), before=reset, ends=2)
        check(name, answer, how)
        unknown = [oid for _, oid, _ in answer.columns if oid not in types]
        if unknown:
            fail(f"{name}: types that were not loaded", unknown, "types of the first answer")
ok("the navigator finds schemas, tables, columns and keys, over pooled connections")

for how, ends in line_ends():
    for name in [name for name in STATEMENTS if name[:2] >= "20"]:
        for form in (wire.BINARY, wire.TEXT):
            answer = connection.extended(ends(STATEMENTS[name]), results=form)
            check(name, answer, f"{how}, {'binary' if form else 'text'}")
            unknown = [oid for _, oid, _ in answer.columns if oid not in types]
            if unknown:
                fail(f"{name}: types that were not loaded", unknown, "types of the first answer")
        ok(f"DirectQuery: {name[3:]}") if how == "LF" else None
ok("DirectQuery with the line ends of Windows")

try:
    connection.extended(b'select "_"."nothing" from "public"."iot_device_events" "_"')
    fail("a column that is not there", "an answer", "42703")
except wire.Failed as error:
    if error.sqlstate != "42703":
        fail("a column that is not there", error.fields, "42703")
connection.extended(STATEMENTS["21-row-count"])
connection.close()

sessions = [opened() for _ in range(10)]  # as many as DirectQuery asks with at a time, when nobody says otherwise
for session in sessions:
    session.send(wire.parse(STATEMENTS["22-status-distribution"]), wire.bind(wire.BINARY), wire.describe_portal(), wire.execute(), wire.sync())
for session in sessions:
    check("22-status-distribution", session.answers()[-1], "ten at a time")
    session.close()
ok("a fault is told and forgotten, and ten visuals refresh at a time")
if RECORD:
    (HERE / "answers.json").write_text("{\n" + ",\n".join(f"  {json.dumps(name)}: {json.dumps(answer, ensure_ascii=False)}" for name, answer in ANSWERS.items()) + "\n}\n", encoding="utf-8")
