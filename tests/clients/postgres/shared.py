"""What the clients in this folder share: where the server is, what its tables hold, and what each check is called.

A client is `PROGRAM HOST:PORT`. It prints a line `OK name` for each check on stdout; the first that fails ends it with exit code 1
and says on stderr what came and what should have. Who it is follows libpq: PGUSER, PGDATABASE, PGPASSWORD (forebay, forebay, none).
The tables are those of data/: each line of a file is a row.
"""

import base64
import contextlib
import datetime
import decimal
import json
import math
import os
import pathlib
import struct
import sys

DATA = pathlib.Path(__file__).resolve().parent / "data"
TABLES = ["iot_device_events", "device_status", "device_temperature", "every_type"]
COLUMNS = {
    "iot_device_events": ["eventId", "customerId", "eventOffset", "eventPublisher", "eventTime", "deviceId", "measure", "status", "temperature", "pressure", "humidity"],
    "device_status": ["window_start", "window_end", "customerId", "status", "events"],
    "device_temperature": ["window_start", "window_end", "deviceId", "avg_temperature", "events"],
    "every_type": ["id", "small", "big", "single", "number", "exact", "flag", "words", "bytes", "day", "local_time", "instant", "tags", "counts"],
}  # fmt: skip

USER = os.environ.get("PGUSER", "forebay")
DATABASE = os.environ.get("PGDATABASE", "forebay")
PASSWORD = os.environ.get("PGPASSWORD", "")

# What must be refused, and the SQLSTATEs by which a server may say so: it is read-only, it has not got that, one may not.
REFUSED_WITH = {"25006", "0A000", "42501"}
REFUSED = [
    "CREATE TABLE made_by_a_client (id int)",
    "INSERT INTO device_status (status) VALUES ('ERROR')",
    "UPDATE device_status SET events = 0",
    "DELETE FROM device_status",
    "DROP TABLE device_status",
    "ALTER TABLE device_status ADD COLUMN more int",
    "TRUNCATE device_status",
    "CREATE ROLE somebody",
]

# Takes hours wherever it runs, and holds next to no memory: what a cancel request must end.
SLOW = "SELECT count(*) FROM " + ", ".join(f"iot_device_events e{n}" for n in range(10)) + " WHERE e0.pressure + e9.pressure > e5.pressure"

# Faults of a statement, and their SQLSTATEs.
FAULTS = {
    "SELECT * FROM no_such_table": "42P01",
    "SELECT no_such_column FROM device_status": "42703",
    "SELEC 1": "42601",
    "SELECT 1 / 0": "22012",
}


def address():
    if len(sys.argv) != 2 or ":" not in sys.argv[1]:
        sys.exit(f"usage: {pathlib.Path(sys.argv[0]).name} HOST:PORT")
    host, port = sys.argv[1].rsplit(":", 1)
    return host, int(port)


def ok(name):
    print(f"OK {name}", flush=True)


def same(found, expected, what):
    if alike(found, expected):
        return
    if isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        number = next(number for number, pair in enumerate(zip(found, expected)) if not alike(*pair))
        same(found[number], expected[number], f"{what}, row {number + 1}")
    if isinstance(expected, dict) and isinstance(found, dict) and list(found) == list(expected):
        name = next(name for name in expected if not alike(found[name], expected[name]))
        same(found[name], expected[name], f"{what}, {name}")
    raise SystemExit(f"FAILED {what}\n  came:     {found!r}\n  expected: {expected!r}")


def alike(found, expected):
    """Equal in value and in kind; floats to the last bit but NaN, which equals itself."""
    if isinstance(expected, float) and isinstance(found, float):
        return found == expected or (math.isnan(found) and math.isnan(expected))
    if isinstance(expected, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(found) == len(expected) and all(map(alike, found, expected))
    if isinstance(expected, dict) and isinstance(found, dict):
        return list(found) == list(expected) and all(alike(found[key], expected[key]) for key in expected)
    if type(found) is not type(expected) and not (isinstance(found, (bytes, memoryview)) and isinstance(expected, bytes)):
        return False
    return (bytes(found) if isinstance(expected, bytes) else found) == expected


def single(number):
    """The float that is nearest among those of 32 bits, which is what a REAL holds."""
    return None if number is None else struct.unpack("f", struct.pack("f", number))[0]


def typed(table, row):
    """A row of the files as Python has it: times, decimals and bytes of their own types."""

    def moment(text):
        return text and datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(datetime.timezone.utc)

    makes = {
        "iot_device_events": {"eventTime": moment},
        "device_status": {"window_start": moment, "window_end": moment},
        "device_temperature": {"window_start": moment, "window_end": moment},
        "every_type": {
            "single": single,
            "number": lambda number: number if number is None else float(number),
            "exact": lambda number: number if number is None else number.quantize(decimal.Decimal("0.000001")),
            "bytes": lambda text: text if text is None else base64.b64decode(text),
            "day": lambda text: text and datetime.date.fromisoformat(text),
            "local_time": lambda text: text and datetime.datetime.fromisoformat(text),
            "instant": moment,
        },
    }[table]
    whole = {name: float(value) if isinstance(value, decimal.Decimal) and name != "exact" else value for name, value in row.items()}
    return {name: makes.get(name, lambda value: value)(whole[name]) for name in COLUMNS[table]}


def rows(table):
    """The rows of a table, in the order of the file."""
    with open(DATA / f"{table}.jsonl", encoding="utf-8") as lines:
        read = [json.loads(line, parse_float=decimal.Decimal) for line in lines]
    for row in read:
        if row.get("exact") is not None:
            row["exact"] = decimal.Decimal(row["exact"])
    return [typed(table, row) for row in read]


def settled(row):
    """A row as a client gave it, without what is the client's own way: the zone that a moment is told in, and how many digits a float
    of 32 bits is told with."""
    found = {}
    for name, value in row.items():
        if isinstance(value, datetime.datetime) and value.tzinfo:
            value = value.astimezone(datetime.timezone.utc)
        found[name] = single(value) if name == "single" else value
    return found


def in_order(found):
    """Rows in an order that is the same for both sides."""
    return sorted(found, key=lambda row: [repr(value) for value in row.values()])


@contextlib.contextmanager
def must_fail(kinds, sqlstates, what, state):
    """The body must raise one of `kinds`, with one of the SQLSTATEs; `state` reads it off the exception."""
    sqlstates = {sqlstates} if isinstance(sqlstates, str) else sqlstates
    try:
        yield
    except kinds as error:
        if state(error) not in sqlstates:
            raise SystemExit(f"FAILED {what}\n  came:     {state(error)} {error}\n  expected: one of {sorted(sqlstates)}") from error
        return
    raise SystemExit(f"FAILED {what}: it was not refused")
