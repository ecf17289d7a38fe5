"""examples/powerbi: that the report is one, that it asks the model for what is there, and the model the wire.

    scripts/services/postgres-python.sh tests/clients/powerbi_project.py HOST:PORT

1. The report by Microsoft's own checker (npm `@microsoft/powerbi-report-authoring-cli`, MIT): files, ids, visuals and their roles,
   formatting, layout. Not a warning may remain. With FOREBAY_ONLINE=1 also by the JSON Schemas that the files name, which it reads
   from developer.microsoft.com.
2. Every field of a visual is a column or a measure of the model, every column that a measure names is there.
3. Every table of the model is on the server, with these columns and types. And devices.pbids names the same server as the model.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

CLIENTS = pathlib.Path(__file__).parent
sys.path.insert(0, str(CLIENTS / "postgres"))
import wire  # noqa: E402
from shared import DATABASE, USER, address, ok, same  # noqa: E402

PROJECT = CLIENTS.parents[1] / "examples/powerbi"
MODEL, REPORT = PROJECT / "devices.SemanticModel/definition", PROJECT / "devices.Report/definition"
# What Power BI makes of a column of the wire.
TYPES = {
    "string": {"text", "character varying", "uuid"},
    "int64": {"bigint", "integer", "smallint"},
    "double": {"double precision", "real"},
    "dateTime": {"timestamp with time zone", "timestamp without time zone"},
}


def model():
    """Tables of the model by name: where they are, their columns with types, their measures with formulas. TMDL is lines of names and
    properties, one tab deeper where they belong to what stands above."""
    tables = {}
    for path in sorted((MODEL / "tables").glob("*.tmdl")):
        table, inside = {"columns": {}, "measures": {}}, None
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            assert not line.startswith(" "), f"{path.name}:{number}: TMDL is indented by tabs"
            depth, text = len(line) - len(line.lstrip("\t")), line.strip()
            if depth == 0 and text.startswith("table "):
                tables[text[6:].strip("'")] = table
            elif depth == 1 and text.startswith("column "):
                inside = text[7:].strip("'")
                table["columns"][inside] = {}
            elif depth == 1 and text.startswith("measure "):
                name, formula = re.fullmatch(r"measure ('[^']+'|\w+) = (.+)", text).groups()
                table["measures"][name.strip("'")] = formula
                inside = None
            elif depth == 1 and text.startswith("partition "):
                inside = None
            elif depth == 2 and inside and ": " in text:
                key, value = text.split(": ", 1)
                table["columns"][inside][key] = value
            elif depth == 2 and text.startswith("mode: "):
                table["mode"] = text[6:]
            if found := re.search(r'Schema = "(\w+)", Item = "(\w+)"', line):
                table["at"] = found.groups()
        assert {"mode", "at"} <= set(table), f"{path.name} has no partition"
    return tables


def fields(value):
    """Each (kind, table, name) that a visual asks for, wherever it stands."""
    if isinstance(value, dict):
        for kind in ("Column", "Measure"):
            if kind in value and "Property" in value[kind]:
                yield kind, value[kind]["Expression"]["SourceRef"]["Entity"], value[kind]["Property"]
        for inner in value.values():
            yield from fields(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner)


host, port = address()
checker = os.environ.get("FOREBAY_POWERBI_CHECKER")
if not checker:
    sys.exit("FAILED no checker: run this by scripts/services/postgres-python.sh, which names the one that install.sh installed")
how = [] if os.environ.get("FOREBAY_ONLINE") else ["--no-schema"]
said = subprocess.run(["node", checker, "validate", *how, str(PROJECT / "devices.pbip")], capture_output=True, text=True, timeout=120)
try:
    verdict = json.loads(said.stdout)["data"]
except (ValueError, KeyError):
    sys.exit(f"FAILED the checker itself: {said.stdout}{said.stderr}")
same(verdict["result"], "succeeded", f"Microsoft's checker: {json.dumps(verdict.get('diagnostics'), indent=1)}")
ok("the report, by Microsoft's checker" + ("" if how == [] else " without the schemas that it would load"))

tables = model()
same({table["mode"] for table in tables.values()}, {"directQuery"}, "how the model reads")
visuals = sorted(REPORT.glob("pages/*/visuals/*/visual.json"))
asked = set()
for path in visuals:
    asked |= set(fields(json.loads(path.read_text(encoding="utf-8"))))
for kind, table, name in sorted(asked):
    known = tables.get(table, {}).get({"Column": "columns", "Measure": "measures"}[kind], {})
    assert name in known, f"a visual asks for the {kind.lower()} {table}[{name}], the model has {sorted(known)}"
for name, table in tables.items():
    for measure, formula in table["measures"].items():
        for of, column in re.findall(r"(\w+)\[([^\]]+)\]", formula):
            assert column in tables[of]["columns"], f"the measure `{measure}` names {of}[{column}]"
        for of in re.findall(r"(?<!\w)\[([^\]]+)\]", formula):
            assert any(of in other["measures"] for other in tables.values()), f"the measure `{measure}` names [{of}]"
listed = re.findall(r"^ref table (\S+)$", (MODEL / "model.tmdl").read_text(encoding="utf-8"), re.M)
same(sorted(listed), sorted(tables), "the tables that the model lists")
kinds = {json.loads(path.read_text(encoding="utf-8"))["visual"]["visualType"] for path in visuals}
assert {"donutChart", "clusteredBarChart", "lineChart", "tableEx"} <= kinds, kinds
for path in REPORT.glob("pages/*/page.json"):
    assert "pageRefresh" in json.loads(path.read_text(encoding="utf-8"))["objects"], f"{path} does not refresh by itself"
ok(f"{len(visuals)} visuals ask for {len(asked)} fields, and the model has them all")

server = re.search(r'expression Server = "([^"]+)"', (MODEL / "expressions.tmdl").read_text(encoding="utf-8"))[1]
pbids = json.loads((PROJECT / "devices.pbids").read_text(encoding="utf-8"))["connections"][0]
same((pbids["details"]["address"]["server"], pbids["mode"], pbids["details"]["protocol"]), (server, "DirectQuery", "postgresql"), "devices.pbids")
connection = wire.Connection(host, port, USER, DATABASE, [("client_encoding", "UTF8")])
for name, table in tables.items():
    schema, item = table["at"]
    answer = connection.extended(f"select column_name, data_type from information_schema.columns where table_schema = '{schema}' and table_name = '{item}'")
    there = dict(answer.rows)
    assert there, f"{schema}.{item} of the model's table `{name}` is not on the server"
    for column, properties in table["columns"].items():
        source = properties["sourceColumn"]
        assert source in there, f"{schema}.{item} has no column {source}, but {sorted(there)}"
        assert there[source] in TYPES[properties["dataType"]], f"{schema}.{item}.{source} is {there[source]}, the model says {properties['dataType']}"
connection.close()
ok(f"{len(tables)} tables of the model are on the server, with their columns and types")
