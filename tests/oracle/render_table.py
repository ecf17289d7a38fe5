#!/usr/bin/env python3
"""Writes docs/json-decoding.md from the case file, so that page and data stay in step.

    python3 tests/oracle/render_table.py            writes the page
    python3 tests/oracle/render_table.py --check    exit 1 when the page is not what the cases say
"""

import collections
import sys

import json_file

CLASSES = {
    0: "Nothing wrong", 1: "Empty message", 2: "Null message (tombstone)", 3: "Only white space", 4: "Truncated object",
    5: "Cut inside a string, number, literal, escape or character", 6: "Commas, colons and brackets out of place", 7: "Two objects in one message",
    8: "An object and garbage", 9: "Two halves in neighbouring messages", 10: "Top level is no object",
    11: "Single quotes, comments, NaN, hex, bare words", 12: "Malformed numbers", 13: "Byte-order mark", 14: "UTF-16, UTF-32",
    15: "Raw control characters, bad escapes", 16: "Invalid UTF-8", 17: "Lone surrogates", 18: "Deep nesting", 19: "Huge strings", 20: "10,000 unknown fields",
    21: "Integers at and beyond their range", 22: "Floating point at its edges", 23: "Decimals", 24: "Value of another type", 25: "NULL or missing in a NOT NULL field",
    26: "Duplicate keys", 27: "Odd keys", 28: "Arrays, maps and structs", 29: "Huge arrays", 30: "Type change in mid-stream",
    32: "Epoch seconds, millis, micros, nanos", 33: "ISO times, zones, patterns, impossible times", 34: "Far times, dates", 38: "NULL event time",
    39: "Strange device ids", 41: "CSV formulas and separators", 42: "Partition values",
}

INTRODUCTION = """\
<!-- Written by tests/oracle/render_table.py from crates/forebay/tests/data/json_cases.json: change those, not this page. -->

# JSON decoding: what becomes of every kind of message

A message is one JSON object; the schema says which of its fields become columns. Most of the questions begin when a message is
*not* quite that. Forebay has four answers, chosen per source by `mode`:

| mode | a message that does not fit |
|---|---|
| `quarantine` (default) | goes, byte for byte, to the quarantine table, with an error code and the JSON path of the field to blame; its neighbours are not touched |
| `PERMISSIVE` | becomes a row in which what could not be read is NULL; `_corrupt_record`, when it is in the schema, keeps the message's text |
| `DROPMALFORMED` | is dropped, and counted |
| `FAILFAST` | stops the query |

The last three are Spark's, and do what Spark {spark} does, which for some messages is not what their names promise. The columns
below under their names are Spark's own answers, recorded by `tests/oracle/spark_json.py`: `from_json` on a binary column cast to string, as a job behind
Kafka does it, except for DROPMALFORMED, which `from_json` refuses and `spark.read.json` answers. The quarantine column was written by hand.
Forebay's tests decode every case in all four modes and compare. Two things differ on purpose: a top-level array is dropped by DROPMALFORMED, because one
message is one row here (Spark's reader makes a row of each element); and `_corrupt_record` is always text, so bytes that are not UTF-8 stand in it as U+FFFD.

## Codes of the quarantine

| code | the message |
|---|---|
| `json.empty` | is empty or only white space |
| `json.null` | is null (a tombstone) |
| `json.truncated` | ends before its value is complete |
| `json.syntax` | is not JSON: NaN, hex, single quotes, comments, leading zeros, raw control characters, lone surrogates, a byte-order mark … |
| `json.trailing` | has something after its first value |
| `json.not_object` | is an array, a string, a number, `true`, `false` or `null` |
| `json.utf8` | has a byte sequence that is not UTF-8, anywhere |
| `json.depth` | is nested deeper than 128 levels, its own braces being the first |
| `json.type` | has a value of another JSON type than its field wants |
| `json.range` | has a number outside the range or precision of its field, or a date or time that does not exist |
| `json.format` | has a string that is no date, timestamp or base64 where one is wanted |
| `json.required` | has NULL or nothing for a field that is NOT NULL |
| `json.duplicate_key` | has the same field, or the same key of a MAP, twice |
| `json.limit` | has a string above 16 MiB or an array above 100,000 elements in a field of the schema |

Codes from `json.type` on name the path of the field: `$.data.devices[1].v`, `$['a.b']` where a name is not a plain word. A message with several faults is reported
for one of them; which one is not promised.

## What `quarantine` takes

* Field names match exactly, case included; unknown fields are ignored, but must be JSON. A nullable field may be NULL or missing.
* Nothing is converted: a number for a STRING is `json.type`, and so is `"12"` for an INT, `1.0` for an INT, an integer for a TIMESTAMP. FLOAT, DOUBLE and
  DECIMAL take any JSON number. A DECIMAL with more fraction digits than its scale is rounded half up, as in Spark.
* A number too large for its field is `json.range`, never infinity; one too small for a DOUBLE is 0.0.
* TIMESTAMP takes the ISO forms Spark takes: a date, or date and time with `T` or a blank, a fraction (cut to microseconds), a zone; without a zone it is that of the option `timeZone`: the pipeline's if nothing is said.
  A DATE takes no time of day. A bare number in a string is a year only with four digits.
  With `timestampFormat` or `dateFormat` the pattern alone decides.

## Classes

How many cases of each class end in which way. For Spark's modes: *row* is a row as `quarantine` would make it or, where that refuses the message, **taken**: a row
without any sign that something was wrong; *NULL field* / *all NULL*: the bad field, or every field, is NULL and `_corrupt_record` keeps the text; *NULL*: `from_json` gives NULL
and even `_corrupt_record` says nothing. The numbers only name the classes, as in their cases (`A24-…`). Those that are missing (31, 35 to 37, 40)
are about what good messages do together: clocks that run ahead or behind, millions of devices, NaN in a detector.

"""

CASES_HEADING = """
## Case by case

`\\x` marks bytes that are not printable; long messages are cut with `…`. Under PERMISSIVE only what is not plain is written out.

"""


def quarantine(case):
    fate = case["forebay"]["quarantine"]
    return "row" if fate["fate"] == "row" else f"`{fate['code']}`"


def permissive(case):
    fate = case["spark"]["PERMISSIVE"]
    if fate["fate"] != "row":
        return {"null": "NULL", "error": "error"}.get(fate["fate"], fate["fate"])
    fields = {name: value for name, value in fate["row"].items() if name != "_corrupt_record"}
    if fate["row"]["_corrupt_record"] is None:
        return row_or_taken(case, fields)
    return "all NULL" if all(value is None for value in fields.values()) else "NULL field"


def other(case, mode):
    fate = case["spark"][mode]
    if fate["fate"] == "row":
        return row_or_taken(case, fate["row"])
    return {"null": "NULL", "rows": "several rows"}.get(fate["fate"], fate["fate"])


def row_or_taken(case, row):
    ours = case["forebay"]["quarantine"]
    if ours["fate"] != "row":
        return "**taken**"
    return "row" if json_file.json.dumps(ours["row"], sort_keys=True) == json_file.json.dumps(row, sort_keys=True) else "another row"


OUTCOMES = [quarantine, permissive, lambda case: other(case, "DROPMALFORMED"), lambda case: other(case, "FAILFAST")]


def counted(outcomes):
    counts = collections.Counter(outcomes)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{outcome} ×{count}" for outcome, count in counts.most_common())


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def code(text):
    """Text as inline code inside a table cell."""
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text or text != text.strip() else ""
    return f"{fence}{pad}{cell(text)}{pad}{fence}"


def shown(case):
    """The message, cut to what fits a line."""
    if case.get("payload_generator"):
        generator = case["payload_generator"]
        unit = generator.get("unit") or generator["open"] + "…" + generator["close"]
        return code(f"{generator['before']} {unit} ×{generator.get('times') or generator['depth']:,} {generator['after']}")
    data = json_file.payload(case)
    if data is None:
        return "(null)"
    text = "".join(c if c.isprintable() or c == " " else f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}"
                   for c in data.decode("utf-8", "surrogateescape").replace("\ufeff", "\\xef\\xbb\\xbf"))
    text = "".join(f"\\x{ord(c) - 0xDC00:02x}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)
    text = text.replace("\\udc", "\\x") if "\\udc" not in (data.decode("utf-8", "ignore")) else text
    return code(text if len(text) <= 100 else text[:99] + "…") if text else "(empty)"


def compact(value):
    text = json_file.json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:99] + "…"


def permissive_detail(case):
    """The outcome, and what the fields are where that is not obvious."""
    outcome = permissive(case)
    if outcome not in ("**taken**", "another row", "NULL field"):
        return outcome
    fields = {name: value for name, value in case["spark"]["PERMISSIVE"]["row"].items() if name != "_corrupt_record"}
    return f"{outcome} {code(compact(fields))}"


def quarantine_detail(case):
    path = case["forebay"]["quarantine"].get("path")
    return quarantine(case) + (f" at {code(path)}" if path else "")


def page(cases):
    by_class = collections.defaultdict(list)
    for case in cases:
        by_class[case["class"]].append(case)
    lines = ["| # | class | cases | `quarantine` | `PERMISSIVE` | `DROPMALFORMED` | `FAILFAST` |", "|---|---|---|---|---|---|---|"]
    for number, members in sorted(by_class.items()):
        cells = [counted(outcome(case) for case in members) for outcome in OUTCOMES]
        lines.append(" | ".join([f"| {number}", CLASSES[number], str(len(members)), *cells]) + " |")
    details = []
    for number, members in sorted(by_class.items()):
        details += [f"### {number} {CLASSES[number]}", "", "| case | message | schema | `quarantine` | `PERMISSIVE` | `DROPMALFORMED` | `FAILFAST` |", "|---|---|---|---|---|---|---|"]
        for case in members:
            schema = code(case["schema"] if len(case["schema"]) <= 60 else case["schema"][:59] + "…")
            schema += "".join(f" {name} {code(value)}" for name, value in case.get("options", {}).items())
            note = f" ({cell(case['note'])})" if case["note"] else ""
            row = [case["id"] + note, shown(case), schema, quarantine_detail(case), permissive_detail(case), OUTCOMES[2](case), OUTCOMES[3](case)]
            details.append("| " + " | ".join(row) + " |")
        details.append("")
    introduction = INTRODUCTION.replace("{spark}", "4.0.0")
    return introduction + "\n".join(lines) + "\n" + CASES_HEADING + "\n".join(details).rstrip() + "\n"


def main():
    cases = json_file.load()
    unanswered = [case["id"] for case in cases if "spark" not in case]
    if unanswered:
        sys.exit(f"{len(unanswered)} cases have no answer from Spark yet, {unanswered[0]} first: run spark_json.py")
    text = page(cases)
    if "--check" in sys.argv[1:]:
        if not json_file.TABLE.exists() or json_file.TABLE.read_text() != text:
            sys.exit("docs/json-decoding.md is not what the cases say: run tests/oracle/render_table.py")
    else:
        json_file.TABLE.write_text(text)


if __name__ == "__main__":
    main()
