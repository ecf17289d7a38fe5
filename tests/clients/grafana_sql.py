"""The statements of examples/grafana on the wire, as Grafana's PostgreSQL data source sends them.

    scripts/services/postgres-python.sh tests/clients/grafana_sql.py HOST:PORT

They are taken out of the dashboard itself, variables put in and macros expanded as Grafana's documentation says, and go out as simple
queries. Besides: what the data source asks when it is saved and when its query builder is opened (grafana/*.sql), and a
statement for each macro that the dashboard does not use.
"""

import datetime
import json
import pathlib
import re
import sys

CLIENTS = pathlib.Path(__file__).parent
sys.path.insert(0, str(CLIENTS / "postgres"))
import wire  # noqa: E402
from shared import DATABASE, USER, address, ok, rows, same  # noqa: E402

DASHBOARD = json.loads((CLIENTS.parents[1] / "examples/grafana/dashboards/devices.json").read_text(encoding="utf-8"))
UTC = datetime.timezone.utc
# The time that the dashboard shows. Alerts have the time of the records that opened them, whenever those were sent.
OF_EVENTS = (datetime.datetime(2026, 1, 5, 11, 0, tzinfo=UTC), datetime.datetime(2026, 1, 5, 12, 0, tzinfo=UTC))
OF_ALERTS = (datetime.datetime(2026, 1, 1, tzinfo=UTC), datetime.datetime(2100, 1, 1, tzinfo=UTC))
FROM, TO = OF_EVENTS
INTERVAL = ("1m", 60)


def rfc3339(moment):
    return f"'{moment.strftime('%Y-%m-%dT%H:%M:%S')}Z'"


def seconds(interval):
    number, unit = re.fullmatch(r"'?(\d+)(ms|[smhdw])'?", interval.strip()).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]


def group(column, interval, *fill):
    assert len(fill) <= 1
    width = seconds(interval)
    return f"floor(extract(epoch from {column})/{width})*{width}"


def epoch_group(column, interval, *fill):
    assert len(fill) <= 1
    return f"floor(({column})/{seconds(interval)})*{seconds(interval)}"


def nanoseconds(moment):
    return int(moment.timestamp()) * 10**9


MACROS = {
    "__time": lambda column: f'{column} AS "time"',
    "__timeEpoch": lambda column: f'extract(epoch from {column}) as "time"',
    "__timeFilter": lambda column: f"{column} BETWEEN {rfc3339(FROM)} AND {rfc3339(TO)}",
    "__timeFrom": lambda *_: rfc3339(FROM),
    "__timeTo": lambda *_: rfc3339(TO),
    "__timeGroup": group,
    "__timeGroupAlias": lambda *arguments: group(*arguments) + ' AS "time"',
    "__unixEpochFilter": lambda column: f"{column} >= {int(FROM.timestamp())} AND {column} <= {int(TO.timestamp())}",
    "__unixEpochNanoFilter": lambda column: f"{column} >= {nanoseconds(FROM)} AND {column} <= {nanoseconds(TO)}",
    "__unixEpochFrom": lambda *_: str(int(FROM.timestamp())),
    "__unixEpochTo": lambda *_: str(int(TO.timestamp())),
    "__unixEpochNanoFrom": lambda *_: str(nanoseconds(FROM)),
    "__unixEpochNanoTo": lambda *_: str(nanoseconds(TO)),
    "__unixEpochGroup": epoch_group,
    "__unixEpochGroupAlias": lambda *arguments: epoch_group(*arguments) + ' AS "time"',
}


def expanded(sql, variables, shown=OF_EVENTS):
    """The statement that goes out: variables and intervals first, in the browser; then the macros, in the data source."""
    global FROM, TO
    FROM, TO = shown
    sql = sql.replace("$__interval_ms", str(INTERVAL[1] * 1000)).replace("$__interval", INTERVAL[0])

    def variable(found):
        value = variables[found["braced"] or found["bare"]]
        if isinstance(value, list):
            quoted = ",".join("'" + item.replace("'", "''") + "'" for item in value)
            assert found["form"] == "sqlstring", f"{found[0]}: a list needs a form"
            return quoted
        return value

    names = "|".join(variables)
    sql = re.sub(rf"\$\{{(?P<braced>{names})(?::(?P<form>\w+))?\}}|\$(?P<bare>{names})\b", variable, sql)

    def macro(found):
        arguments = [argument.strip() for argument in found[2].split(",")] if found[2] else []
        return MACROS[found[1]](*arguments)

    sql = re.sub(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)", macro, sql)
    assert "$" not in sql, f"not expanded: {sql}"
    return sql


def asked(connection, what, sql):
    """The answer to one statement, as a simple query."""
    try:
        (answer,) = connection.simple(sql)
    except wire.Failed as error:
        raise SystemExit(f"FAILED {what}: {error.fields}\n{sql}") from error
    return answer


def seen(connection, title, sql, form):
    """What Grafana needs of an answer: for a graph a time in the first place, numbers to draw, at most one name of the series."""
    answer = asked(connection, title, sql)
    same(bool(answer.rows), True, f"{title}: some rows")
    if form == "time_series":
        same(answer.names[0], "time", f"{title}: the first column")
        assert answer.kinds[0] in ("float", "decimal", "timestamp", "timestamptz", "int"), f"{title}: time is {answer.kinds[0]}"
        assert "metric" not in answer.names or answer.kinds[answer.names.index("metric")] == "text", answer.kinds
        numbers = [name for name, kind in zip(answer.names, answer.kinds) if kind in ("int", "float", "decimal")]
        assert [name for name in numbers if name != "time"], f"{title}: nothing to draw in {answer.names} {answer.kinds}"
        times = [row[0] for row in answer.rows]
        same(times, sorted(times), f"{title}: rows in the order of time")
    return answer


host, port = address()
for macro, expected in [
    ('$__timeFilter("eventTime")', "\"eventTime\" BETWEEN '2026-01-05T11:00:00Z' AND '2026-01-05T12:00:00Z'"),
    ("$__timeGroup(at,'5m')", "floor(extract(epoch from at)/300)*300"),
    ("$__timeGroupAlias(at, $__interval, NULL)", 'floor(extract(epoch from at)/60)*60 AS "time"'),
    ("$__time(at)", 'at AS "time"'),
    ("$__timeEpoch(at)", 'extract(epoch from at) as "time"'),
    ("$__unixEpochFilter(at)", "at >= 1767610800 AND at <= 1767614400"),
    ("$__unixEpochNanoFrom()", "1767610800000000000"),
    ("$__unixEpochGroup(at,'1h')", "floor((at)/3600)*3600"),
    ("$__interval_ms", "60000"),
]:
    same(expanded(macro, {"no": ""}), expected, f"the macro {macro}")

connection = wire.Connection(host, port, USER, DATABASE, [("client_encoding", "UTF8"), ("datestyle", "ISO, MDY"), ("extra_float_digits", "2")])
same(asked(connection, "the test of the data source", "SELECT 1").rows, [[1]], "the test of the data source")
version = asked(connection, "the version", "SELECT current_setting('server_version_num')::int/100 as version").rows[0][0]
assert version >= 1200, version
same(asked(connection, "TimescaleDB", "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'").rows, [], "TimescaleDB is not there")
tables = [row[0] for row in asked(connection, "the builder's tables", (CLIENTS / "grafana/tables.sql").read_text()).rows]
missing = {"iot_device_events", "device_status", "device_temperature"} - set(tables)
assert not missing, f"the builder does not find {missing} but {tables}"
columns = asked(connection, "the builder's columns", (CLIENTS / "grafana/columns.sql").read_text()).rows
same(sorted(row[0] for row in columns), ['"customerId"', "events", "status", "window_end", "window_start"], "the builder's columns")
ok("the data source is saved, and its builder finds tables and columns")

variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
values = {name: variable["query"] for name, variable in variables.items() if variable["type"] == "constant"}
customers = [row[0] for row in asked(connection, "customers", variables["customer"]["query"]).rows]
same(customers, ["CI00101", "CI00102", "CI00103"], "the variable `customer`")
ok("variables")

answers = {}
for panel in DASHBOARD["panels"]:
    for target in panel["targets"]:
        for chosen in (customers, ["CI00102"]):
            shown = OF_ALERTS if "$alerts" in target["rawSql"] else OF_EVENTS
            sql = expanded(target["rawSql"], {**values, "customer": chosen}, shown)
            answers[panel["title"], len(chosen)] = seen(connection, panel["title"], sql, target["format"])
    ok(f"panel: {panel['title']}")
for annotation in DASHBOARD["annotations"]["list"]:
    answer = asked(connection, annotation["name"], expanded(annotation["target"]["rawSql"], values, OF_ALERTS))
    same((answer.names, bool(answer.rows)), (["time", "timeend", "text", "tags"], True), "annotations")
ok("annotations")

events = rows("iot_device_events")
same(sum(int(row[2]) for row in answers["Status distribution", 3].rows), len(events), "the sum of all bars")
same({row[0]: row[1] for row in answers["Status, the whole time", 1].rows}, {status: sum(row["status"] == status and row["customerId"] == "CI00102" for row in events) for status in sorted({row["status"] for row in events if row["customerId"] == "CI00102"})}, "the pie of one customer")  # fmt: skip
of_device = [row["temperature"] for row in events if row["deviceId"] == "D003"]
found = {row[0]: row[1] for row in answers["Average temperature, the whole time", 3].rows}
assert abs(found["D003"] - sum(value for value in of_device if value is not None) / sum(value is not None for value in of_device)) < 1e-9, found
same({int(row[-1]) for row in answers["Ledger", 3].rows}, {0}, "what the ledger misses")
ok("the numbers are those of the data")

for what, sql in {
    "__time": 'SELECT $__time("eventTime"), temperature AS value FROM iot_device_events WHERE $__timeFilter("eventTime") ORDER BY "eventTime"',
    "__timeGroup with a fill": "SELECT $__timeGroup(window_start, '5m', 0) AS \"time\", avg(events) AS value FROM device_status WHERE $__timeFilter(window_start) GROUP BY $__timeGroup(window_start, '5m', 0) ORDER BY 1",
    "__timeGroup below a second": "SELECT $__timeGroupAlias(\"eventTime\", '500ms'), count(*) AS value FROM iot_device_events WHERE $__timeFilter(\"eventTime\") GROUP BY 1 ORDER BY 1",
    "__timeFrom and __timeTo": 'SELECT $__time("eventTime"), humidity AS value FROM iot_device_events WHERE "eventTime" > $__timeFrom() AND "eventTime" < $__timeTo() ORDER BY 1',
    "__unixEpochFilter": "SELECT $__unixEpochGroupAlias(at, '1m'), count(*) AS value FROM (SELECT extract(epoch FROM \"eventTime\")::bigint AS at FROM iot_device_events) AS events WHERE $__unixEpochFilter(at) GROUP BY 1 ORDER BY 1",
    "__unixEpochNanoFilter": "SELECT $__unixEpochGroup(at / 1000000000, '1m') AS \"time\", count(*) AS value FROM (SELECT (extract(epoch FROM \"eventTime\") * 1000000000)::bigint AS at FROM iot_device_events) AS events WHERE $__unixEpochNanoFilter(at) GROUP BY 1 ORDER BY 1",
    "__timeEpoch": 'SELECT $__timeEpoch("eventTime"), temperature AS value FROM iot_device_events WHERE $__unixEpochFrom() < 1767614400 AND $__unixEpochTo() >= 1767614400 AND $__unixEpochNanoTo() > $__unixEpochNanoFrom() ORDER BY 1',
    "date_trunc": 'SELECT date_trunc(\'minute\', "eventTime") AS "time", status AS metric, count(*) AS value FROM iot_device_events WHERE $__timeFilter("eventTime") GROUP BY 1, 2 ORDER BY 1, 2',
    "series by columns": "SELECT $__timeGroupAlias(\"eventTime\", $__interval), avg(temperature) AS temperature, count(*) FILTER (WHERE status = 'ERROR') AS errors FROM iot_device_events GROUP BY 1 ORDER BY 1",
}.items():  # fmt: skip
    seen(connection, what, expanded(sql, {"no": ""}), "time_series")
ok("every other macro")
connection.close()
