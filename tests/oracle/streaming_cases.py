#!/usr/bin/env python3
"""The cases of the streaming suite: from the files that people write to the pipelines and records that are run.

    python3 tests/oracle/streaming_cases.py --check     exit 1 where the answers are not those of the cases as they are

A file of `streaming/cases` is a list of cases, `defaults` before it:
    name       unique
    about      what it is for
    schema     of the source `events`; watermark: of it, as in a pipeline file. Or `sources`: both, by name
    tables     at rest, by name: `schema`, `rows` as those of a record, or `format: csv` and `text`; in a step the name of one
               with its rows changes it before the step. To one of `format: delta` the rows are added, as a new version
    views, sql, mode, deduplicate, multipleWatermarkPolicy, timeZone, maxOffsetsPerTrigger      as in a pipeline file
    steps      what is published before each run with `availableNow`; every run is a restart. A record is a list of its
               fields in the schema's order, or a mapping: `row` (the same list) or `raw` (text; null for a null value),
               with `partition`. A number in a TIMESTAMP column is seconds after 2024-01-01T00:00:00Z. With `sources` a
               step is a mapping of them
    partitions of each topic, 1 if not given
    tolerance  how far numbers may be apart, relative; 1e-9 if not given
    live       asked again of a real Spark in `make test`
    needs      what Forebay does not have yet: the case is stored and not compared
    differs    where Forebay means to do otherwise: the steps' rows there, with the reason beside it (`why`)
    told       what Forebay says where Spark refuses too: code and words. Needed where the code is also that of a slip of the pen

What Spark answers stands in `streaming/answers.json`, a case a line: the pipeline and the records as they are run, and
`rows`, for each step the rows that came, each a list of texts as the console prints them (Spark's `show`). A query that
Spark refuses has `refused`, the name of its error; one that ends in a later step has `failed`, and the rows of the steps before.
"""

import datetime
import json
import pathlib
import sys

import yaml



class Loader(yaml.SafeLoader):
    """YAML whose times are texts: Spark is to read them."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

HERE = pathlib.Path(__file__).resolve().parent / "streaming"
CASES = HERE / "cases"
ANSWERS = HERE / "answers.json"
BOOTSTRAP = "BOOTSTRAP"
BASE = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
KNOWN = {"name", "about", "schema", "watermark", "sources", "tables", "views", "sql", "mode", "deduplicate", "multipleWatermarkPolicy",
         "timeZone", "maxOffsetsPerTrigger", "steps", "partitions", "tolerance", "live", "needs", "differs", "told"}


def fields(schema):
    """The names and types of a schema's fields."""
    pieces, depth = [""], 0
    for letter in schema:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return [tuple(piece.strip().split(None, 1)) for piece in pieces]


def value(kind, given):
    if kind.upper().startswith("TIMESTAMP") and isinstance(given, (int, float)):
        moment = BASE + datetime.timedelta(microseconds=round(given * 1_000_000))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return given


def payload(schema, row):
    if not isinstance(row, list):
        raise ValueError(f"a record is a list of fields, not {row!r}")
    named = zip(fields(schema), row)
    return json.dumps({name: value(kind, given) for (name, kind), given in named}, ensure_ascii=False)


def record(topic, schema, given):
    """[topic, partition, value] of a record as it is written in a case."""
    given = given if isinstance(given, dict) else {"row": given}
    unknown = set(given) - {"row", "raw", "partition"}
    if unknown:
        raise ValueError(f"a record has {sorted(unknown)}")
    text = given["raw"] if "raw" in given else payload(schema, given["row"])
    return [topic, given.get("partition", 0), text]


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def pipeline(case):
    """The pipeline file; BOOTSTRAP stands for the address."""
    lines = [f"pipeline: {case['name']}"]
    if "timeZone" in case:
        lines.append(f"timeZone: {case['timeZone']}")
    lines.append("sources:")
    for name, source in sources(case).items():
        options = {"kafka.bootstrap.servers": BOOTSTRAP, "subscribe": topic_of(case, name), "startingOffsets": "earliest"}
        if "maxOffsetsPerTrigger" in case:
            options["maxOffsetsPerTrigger"] = case["maxOffsetsPerTrigger"]
        lines += [f"  {name}:", "    format: kafka", f"    options: {quoted(options)}", "    value: json",
                  f"    schema: {quoted(source['schema'])}"]
        if source.get("watermark"):
            watermark = dict({"maxFutureSkew": "none"}, **source["watermark"])
            lines.append(f"    watermark: {quoted(watermark)}")
    if "tables" in case:
        lines.append("tables:")
        for name, table in case["tables"].items():
            lines += [f"  {name}:", f"    format: {table.get('format', 'json')}", f"    path: {file_of(name)}"]
            if not is_delta(table):
                lines.append(f"    schema: {quoted(table['schema'])}")
            if "options" in table:
                lines.append(f"    options: {quoted(table['options'])}")
    if "views" in case:
        lines.append("views:")
        lines += [f"  {name}: {quoted(view)}" for name, view in case["views"].items()]
    lines += ["queries:", "  q:", f"    sql: {quoted(case['sql'].strip())}", "    format: console",
              "    options: {numRows: 1000000, truncate: false}", f"    outputMode: {case.get('mode', 'append')}",
              "    trigger: availableNow"]
    for key in ("deduplicate", "multipleWatermarkPolicy"):
        if key in case:
            lines.append(f"    {key}: {quoted(case[key])}")
    return "\n".join(lines) + "\n"


def sources(case):
    return case.get("sources") or {"events": {"schema": case["schema"], "watermark": case.get("watermark")}}


def file_of(table):
    """Where a table lies under the data folder."""
    return f"{table}.table"


def is_delta(table):
    return table.get("format") == "delta"


def rows_of(case, step, name, table):
    """What a table becomes before a step, or gets; None if it stays as it is."""
    rows = step.get(name) if isinstance(step, dict) else None
    return table.get("text", table.get("rows")) if rows is None and step is case["steps"][0] else rows


def files(case, step):
    """The files that are written before a step, by their names."""
    written = {}
    for name, table in case.get("tables", {}).items():
        rows = rows_of(case, step, name, table)
        if is_delta(table) or rows is None:
            continue
        written[file_of(name)] = rows if isinstance(rows, str) else "".join(payload(table["schema"], row) + "\n" for row in rows)
    return written


def deltas(case, step):
    """The rows that Delta tables get before a step, as JSON, by their names."""
    tables = {name: table for name, table in case.get("tables", {}).items() if is_delta(table)}
    rows = {name: rows_of(case, step, name, table) for name, table in tables.items()}
    return {file_of(name): {"schema": tables[name]["schema"], "rows": [payload(tables[name]["schema"], row) for row in given]}
            for name, given in rows.items() if given is not None}


def topic_of(case, source):
    return f"{case['name']}.{source}"


def resolved(case):
    """A case as it is run, without an answer."""
    unknown = set(case) - KNOWN
    if unknown:
        raise ValueError(f"case {case.get('name')}: unknown {sorted(unknown)}")
    every = sources(case)
    steps = []
    for step in case["steps"]:
        by_source = step if isinstance(step, dict) else {next(iter(every)): step}
        steps.append([record(topic_of(case, name), every[name]["schema"], given)
                      for name, records in by_source.items() if name in every for given in records or []])
    run = {"name": case["name"], "mode": case.get("mode", "append"), "pipeline": pipeline(case),
           "topics": {topic_of(case, name): case.get("partitions", 1) for name in every}, "steps": steps}
    if "tables" in case:
        run["files"] = [files(case, step) for step in case["steps"]]
        if any(is_delta(table) for table in case["tables"].values()):
            run["deltas"] = [deltas(case, step) for step in case["steps"]]
    for key in ("tolerance", "live", "needs", "differs", "told"):
        if key in case:
            run[key] = case[key]
    return run


def written():
    """All cases of the files, as they are run."""
    cases = []
    for path in sorted(CASES.glob("*.yaml")):
        try:
            file = yaml.load(path.read_text(), Loader=Loader)
            cases += [resolved({**file.get("defaults", {}), **case}) for case in file["cases"]]
        except (KeyError, ValueError, TypeError, yaml.YAMLError) as error:
            raise SystemExit(f"{path.name}: {error!r}")
    names = [case["name"] for case in cases]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise SystemExit(f"names that stand twice: {sorted(doubled)}")
    return cases


ANSWER = ("columns", "rows", "refused", "failed")


def answers():
    """The stored cases with their answers, by name."""
    stored = json.loads(ANSWERS.read_text())["cases"] if ANSWERS.exists() else []
    return {case["name"]: case for case in stored}


def save(cases, spark, path=ANSWERS):
    head = {"by": f"Apache Spark {spark}", "with": "scripts/oracle.sh regenerate"}
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    path.write_text(json.dumps(head)[:-1] + f', "cases": [\n{lines}\n]}}\n')


def check():
    stored, wrong = answers(), []
    cases = written()
    for case in cases:
        answer = stored.pop(case["name"], None)
        if answer is None:
            wrong.append(f"{case['name']} has no answer")
        elif {key: kept for key, kept in answer.items() if key not in ANSWER} != case:
            wrong.append(f"{case['name']} was changed since Spark answered it")
    wrong += [f"{name} is an answer without a case" for name in stored]
    if len(cases) < 60 or sum(bool(case.get("live")) for case in cases) < 15:
        wrong.append("there are fewer than 60 cases, or fewer than 15 of them live")
    if wrong:
        sys.exit("\n".join(wrong) + "\nrun scripts/oracle.sh regenerate")
    print(f"OK {len(cases)} cases")


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    else:
        sys.exit(__doc__)
