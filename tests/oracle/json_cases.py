#!/usr/bin/env python3
"""Writes the cases of JSON decoding into crates/forebay/tests/data/json_cases.json.

    python3 tests/oracle/json_cases.py            then: scripts/services/spark-python.sh tests/oracle/spark_json.py
                                                  then: python3 tests/oracle/render_table.py

A case is one message, a schema, and what must become of it: here in Forebay's own `quarantine` mode, written by hand; in
Spark's three modes by asking Spark (spark_json.py), whose answers are kept while schema, options and payload stay the same.

    id       A<class>-<name>; class is the number of the kind of bad input (0: nothing is wrong with it)
    group    syntax | values | time | identity
    schema   Spark DDL;  options  as for from_json, when there are any
    payload_base64, or payload_generator for huge ones (json_file.payload shows how to make the bytes); null: a tombstone
    valid    true: a JSON object that fits the schema; false: quarantined;
             "as spark": nothing settles it but custom, and Forebay's custom is Spark's answer
    forebay  {"quarantine": {"fate": "row", "row": ...} | {"fate": "quarantined", "code": ..., "path": ...}}
             The path is given where a field is to blame; steps are `.name`, `[3]`, and `['na.me']` for odd names.
    spark    {"PERMISSIVE" | "DROPMALFORMED" | "FAILFAST": {"fate": "row" | "rows" | "null" | "dropped" | "error", ...}}

How values are written in rows: see the head of spark_json.py. No case has two independent faults: which of them is
reported first is not promised.
"""

import base64
import json

import json_file

CASES = []


def case(case_id, payload, fate, *, schema="a INT, s STRING", group="syntax", note="", valid, options=None):
    entry = {"id": case_id, "class": int(case_id[1:].split("-")[0]), "group": group, "note": note, "schema": schema}
    if options:
        entry["options"] = options
    if isinstance(payload, dict):
        entry["payload_generator"] = payload
    else:
        data = payload.encode() if isinstance(payload, str) else payload
        entry["payload_base64"] = None if data is None else base64.b64encode(data).decode()
    entry["valid"] = valid
    entry["forebay"] = {"quarantine": fate}
    CASES.append(entry)


def row(case_id, payload, expected, *, valid=True, **more):
    case(case_id, payload, {"fate": "row", "row": expected}, valid=valid, **more)


def bad(case_id, payload, code, path=None, **more):
    fate = {"fate": "quarantined", "code": code}
    if path:
        fate["path"] = path
    case(case_id, payload, fate, valid=False, **more)


def nest(depth, opening="[", closing="]", core="", before='{"a":1,"s":"x","deep":', after="}"):
    return {"kind": "nest", "before": before, "open": opening, "depth": depth, "core": core, "close": closing, "after": after}


def repeat(unit, times, before, after, separator=""):
    return {"kind": "repeat", "before": before, "unit": unit, "times": times, "separator": separator, "after": after}


def long_string(unit, times):
    """How a string of more than 1,024 bytes is written in a row."""
    import hashlib
    data = (unit * times).encode()
    return {"$string": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}}


def long_array(length, first, last):
    """How an array of more than 100 elements is written in a row."""
    return {"$array": {"length": length, "first": first, "last": last}}


GOOD = {"a": 1, "s": "x"}
SEED = "device_id STRING, temperature DOUBLE, humidity DOUBLE, timestamp INT"


def good_records():
    row("A0-seed-record", '{"device_id": "device_1", "temperature": 45.31, "humidity": 60.5, "timestamp": 1700000000}',
        {"device_id": "device_1", "temperature": 45.31, "humidity": 60.5, "timestamp": 1700000000}, schema=SEED, group="values")
    row("A0-other-order", '{"timestamp":1700000000,"humidity":60.5,"temperature":45.31,"device_id":"device_1"}',
        {"device_id": "device_1", "temperature": 45.31, "humidity": 60.5, "timestamp": 1700000000}, schema=SEED, group="values")
    row("A0-integer-for-double", '{"device_id":"d","temperature":45,"humidity":60,"timestamp":1}',
        {"device_id": "d", "temperature": 45.0, "humidity": 60.0, "timestamp": 1}, schema=SEED, group="values")
    row("A0-white-space-everywhere", ' \t\r\n{ "a" :\n1 ,\t"s" : "x" }\r\n ', GOOD, note="JSON's four white-space characters")
    row("A0-empty-object", "{}", {"a": None, "s": None}, note="every field is missing, and all may be NULL")
    row("A0-all-nulls", '{"a":null,"s":null}', {"a": None, "s": None})
    row("A0-unknown-fields", '{"x":{"y":[1,"2",{"z":null}]},"a":1,"u":true,"s":"x","v":-1.5e3}', GOOD, note="unknown fields are ignored")
    row("A0-all-scalars",
        '{"b":true,"t":-7,"sm":300,"i":70000,"l":5000000000,"f":1.5,"d":2.25,"de":12.34,"s":"text","bi":"AAEC/w==",'
        '"da":"2024-02-29","ts":"2024-02-29T12:34:56.789012Z"}',
        {"b": True, "t": -7, "sm": 300, "i": 70000, "l": 5000000000, "f": 1.5, "d": 2.25, "de": "12.34", "s": "text",
         "bi": "AAEC/w==", "da": "2024-02-29", "ts": "2024-02-29T12:34:56.789012Z"},
        schema="b BOOLEAN, t TINYINT, sm SMALLINT, i INT, l BIGINT, f FLOAT, d DOUBLE, de DECIMAL(10,2), s STRING, bi BINARY, "
               "da DATE, ts TIMESTAMP", group="values")
    row("A0-all-scalars-null",
        '{"b":null,"t":null,"sm":null,"i":null,"l":null,"f":null,"d":null,"de":null,"s":null,"bi":null,"da":null,"ts":null}',
        {name: None for name in ["b", "t", "sm", "i", "l", "f", "d", "de", "s", "bi", "da", "ts"]},
        schema="b BOOLEAN, t TINYINT, sm SMALLINT, i INT, l BIGINT, f FLOAT, d DOUBLE, de DECIMAL(10,2), s STRING, bi BINARY, "
               "da DATE, ts TIMESTAMP", group="values")
    row("A0-escapes", '{"a":1,"s":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00"}', {"a": 1, "s": '"\\/\b\f\n\r\tA\u00e9\u20ac\U0001f600'})
    row("A0-escaped-nul", '{"a":1,"s":"a\\u0000b"}', {"a": 1, "s": "a\0b"}, note="escaped, NUL is an ordinary character")
    row("A0-utf8", '{"a":1,"s":"Gr\u00f6\u00dfe \u20ac \U0001f600 \u2028"}', {"a": 1, "s": "Gr\u00f6\u00dfe \u20ac \U0001f600 \u2028"})
    row("A0-delete-character", '{"a":1,"s":"\x7f"}', {"a": 1, "s": "\x7f"}, note="0x7f is not a control character to JSON")
    row("A0-nested", '{"id":"e","data":{"site":"n","devices":[{"id":"d1","v":1.5,"tags":["x","y"]},{"id":"d2"}]},"attr":{"k":"v","l":null}}',
        {"id": "e", "data": {"site": "n", "devices": [{"id": "d1", "v": 1.5, "tags": ["x", "y"]}, {"id": "d2", "v": None, "tags": None}]},
         "attr": {"k": "v", "l": None}},
        schema="id STRING, data STRUCT<site: STRING, devices: ARRAY<STRUCT<id: STRING, v: DOUBLE, tags: ARRAY<STRING>>>>, attr MAP<STRING, STRING>",
        group="values")


def syntax():
    bad("A1-empty", "", "json.empty")
    bad("A2-tombstone", None, "json.null")
    bad("A3-blank", " ", "json.empty")
    bad("A3-all-white-space", " \t\r\n \n", "json.empty")
    bad("A3-no-break-space", "\u00a0", "json.syntax", note="not white space to JSON")
    bad("A3-nul", "\0", "json.syntax")

    for name, text in {
        "brace": "{", "quote": '{"', "in-key": '{"a', "after-key": '{"a"', "after-colon": '{"a":', "after-value": '{"a":1',
        "after-comma": '{"a":1,', "after-string": '{"a":1,"s":"x"',
    }.items():
        bad(f"A4-{name}", text, "json.truncated")
    bad("A4-in-nested-object", '{"p":{"x":1', "json.truncated", schema="p STRUCT<x: INT, y: INT>, s STRING")
    bad("A4-after-nested-object", '{"p":{"x":1}', "json.truncated", schema="p STRUCT<x: INT, y: INT>, s STRING")
    bad("A4-in-array", '{"v":[1,2', "json.truncated", schema="v ARRAY<INT>, s STRING")
    bad("A4-in-unknown-field", '{"a":1,"u":{"x":[1,', "json.truncated")

    bad("A5-cut-in-string", '{"a":1,"s":"hel', "json.truncated")
    bad("A5-cut-after-backslash", '{"a":1,"s":"hel\\', "json.truncated")
    bad("A5-cut-in-unicode-escape", '{"a":1,"s":"\\u00', "json.truncated")
    bad("A5-cut-between-surrogates", '{"a":1,"s":"\\ud83d', "json.truncated", note="the second half of the pair may have followed")
    bad("A5-cut-in-number", '{"s":"x","a":12', "json.truncated", note="what stands there is a number, but perhaps not the whole of it")
    bad("A5-cut-after-minus", '{"s":"x","a":-', "json.truncated")
    bad("A5-cut-after-point", '{"s":"x","d":1.', "json.truncated", schema="s STRING, d DOUBLE")
    bad("A5-cut-after-exponent", '{"s":"x","d":1e', "json.truncated", schema="s STRING, d DOUBLE")
    bad("A5-cut-in-true", '{"s":"x","b":tru', "json.truncated", schema="s STRING, b BOOLEAN")
    bad("A5-cut-in-null", '{"s":"x","a":nul', "json.truncated")
    bad("A5-cut-in-utf8", b'{"a":1,"s":"caf\xc3', "json.utf8", note="truncated too, but the bytes are not text at all")

    bad("A6-trailing-comma-object", '{"a":1,"s":"x",}', "json.syntax")
    bad("A6-leading-comma", '{,"a":1,"s":"x"}', "json.syntax")
    bad("A6-double-comma", '{"a":1,,"s":"x"}', "json.syntax")
    bad("A6-missing-comma", '{"a":1 "s":"x"}', "json.syntax")
    bad("A6-missing-colon", '{"a" 1,"s":"x"}', "json.syntax")
    bad("A6-only-comma", "{,}", "json.syntax")
    bad("A6-trailing-comma-array", '{"v":[1,2,],"s":"x"}', "json.syntax", schema="v ARRAY<INT>, s STRING")
    bad("A6-double-comma-array", '{"v":[1,,2],"s":"x"}', "json.syntax", schema="v ARRAY<INT>, s STRING")
    bad("A6-trailing-comma-unknown-field", '{"a":1,"u":[1,2,],"s":"x"}', "json.syntax")
    bad("A6-wrong-bracket", '{"v":[1,2},"s":"x"}', "json.syntax", schema="v ARRAY<INT>, s STRING")

    bad("A7-two-objects", '{"a":1,"s":"x"}{"a":2,"s":"y"}', "json.trailing")
    bad("A7-two-lines", '{"a":1,"s":"x"}\n{"a":2,"s":"y"}', "json.trailing")
    bad("A7-two-objects-comma", '{"a":1,"s":"x"},{"a":2,"s":"y"}', "json.trailing")
    bad("A8-garbage", '{"a":1,"s":"x"} garbage', "json.trailing")
    bad("A8-extra-brace", '{"a":1,"s":"x"}}', "json.trailing")
    bad("A8-comma", '{"a":1,"s":"x"},', "json.trailing")
    bad("A8-nul", '{"a":1,"s":"x"}\0', "json.trailing", note="a C string sent with its end mark")
    bad("A8-form-feed", '{"a":1,"s":"x"}\f', "json.trailing")
    bad("A8-garbage-before", 'garbage {"a":1,"s":"x"}', "json.syntax")
    bad("A8-log-prefix", ')]}\',\n{"a":1,"s":"x"}', "json.syntax")

    bad("A9-first-half", '{"a":1,"s":"left ', "json.truncated", note="joins with A9-second-half to valid JSON; must not")
    bad("A9-second-half", 'right"}', "json.syntax")

    for name, text in {
        "empty-array": "[]", "array-of-one": '[{"a":1,"s":"x"}]', "array-of-two": '[{"a":1,"s":"x"},{"a":2,"s":"y"}]',
        "array-of-scalars": "[1,2]", "integer": "1", "number": "-1.5e3", "string": '"x"', "true": "true", "null": "null",
        "object-in-string": '"{\\"a\\":1}"',
    }.items():
        bad(f"A10-{name}", text, "json.not_object")

    bad("A11-single-quotes", "{'a':1,'s':'x'}", "json.syntax")
    bad("A11-single-quoted-value", '{"a":1,"s":\'x\'}', "json.syntax")
    bad("A11-bare-key", '{a:1,"s":"x"}', "json.syntax")
    bad("A11-bare-value", '{"a":1,"s":x}', "json.syntax")
    bad("A11-block-comment", '{"a":1,/* why */"s":"x"}', "json.syntax")
    bad("A11-line-comment", '{"a":1,// why\n"s":"x"}', "json.syntax")
    bad("A11-hash-comment", '{"a":1,# why\n"s":"x"}', "json.syntax")
    for name, text in {"nan": "NaN", "infinity": "Infinity", "minus-infinity": "-Infinity", "plus-inf": "+INF", "minus-nan": "-NaN", "lower-nan": "nan"}.items():
        bad(f"A11-{name}", f'{{"s":"x","d":{text}}}', "json.syntax", schema="s STRING, d DOUBLE",
            note="what Python's json.dumps writes for it" if name in ("nan", "infinity", "minus-infinity") else "")
    bad("A11-nan-in-unknown-field", '{"a":1,"s":"x","u":NaN}', "json.syntax")
    bad("A11-nan-for-integer", '{"s":"x","a":NaN}', "json.syntax")
    bad("A11-nan-for-string", '{"a":1,"s":NaN}', "json.syntax")
    bad("A11-hex", '{"s":"x","a":0x1F}', "json.syntax")
    bad("A11-python-true", '{"s":"x","b":True}', "json.syntax", schema="s STRING, b BOOLEAN")
    bad("A11-python-none", '{"s":"x","a":None}', "json.syntax")
    bad("A11-undefined", '{"s":"x","a":undefined}', "json.syntax")
    bad("A11-misspelt-literal", '{"s":"x","a":nulll}', "json.syntax")

    for name, text in {"leading-zero": "01", "two-zeros": "00", "minus-leading-zero": "-01", "minus": "-", "plus": "+1", "underscore": "1_000", "two-minus": "--1"}.items():
        bad(f"A12-{name}", f'{{"s":"x","a":{text}}}', "json.syntax")
    for name, text in {"ends-in-point": "1.", "starts-with-point": ".5", "minus-point": "-.5", "no-exponent": "1e", "no-exponent-digits": "1e+",
                       "point-exponent": "1.e5", "two-points": "1.2.3", "leading-zero-fraction": "00.5", "comma-for-point": "1,5"}.items():
        bad(f"A12-{name}", f'{{"s":"x","d":{text}}}', "json.syntax", schema="s STRING, d DOUBLE")
    bad("A12-leading-zero-in-unknown-field", '{"a":1,"s":"x","u":01}', "json.syntax")
    row("A12-zeros", '{"i":0,"j":-0,"d":0.0,"e":0e5,"f":-0e-0}', {"i": 0, "j": 0, "d": 0.0, "e": 0.0, "f": -0.0},
        schema="i INT, j INT, d DOUBLE, e DOUBLE, f DOUBLE", note="these are well-formed")
    row("A12-exponents", '{"d":1E5,"e":1e+05,"f":1.5e-3}', {"d": 100000.0, "e": 100000.0, "f": 0.0015}, schema="d DOUBLE, e DOUBLE, f DOUBLE")

    bad("A13-byte-order-mark", b'\xef\xbb\xbf{"a":1,"s":"x"}', "json.syntax", note="RFC 8259 lets a parser ignore it; a device that sends one is worth knowing")
    for name, codec in {"le-bom": ("utf-16-le", b"\xff\xfe"), "be-bom": ("utf-16-be", b"\xfe\xff")}.items():
        bad(f"A14-utf16-{name}", codec[1] + '{"a":1,"s":"x"}'.encode(codec[0]), "json.utf8")
    bad("A14-utf16-le", '{"a":1,"s":"x"}'.encode("utf-16-le"), "json.syntax", note="valid UTF-8, with a NUL after each character")
    bad("A14-utf16-be", '{"a":1,"s":"x"}'.encode("utf-16-be"), "json.syntax")
    bad("A14-utf32-le", '{"a":1,"s":"x"}'.encode("utf-32-le"), "json.syntax")

    for name, byte in {"tab": "\t", "new-line": "\n", "carriage-return": "\r", "nul": "\0", "bell": "\x07", "unit-separator": "\x1f"}.items():
        bad(f"A15-{name}-in-string", '{"a":1,"s":"x%sy"}' % byte, "json.syntax")
    bad("A15-tab-in-key", '{"a\t":1,"s":"x"}', "json.syntax")
    bad("A15-tab-in-unknown-field", '{"a":1,"s":"x","u":"x\ty"}', "json.syntax")
    bad("A15-control-between-tokens", '{"a":1,\x01"s":"x"}', "json.syntax")
    bad("A15-bad-escape-x", '{"a":1,"s":"\\x41"}', "json.syntax")
    bad("A15-bad-escape-quote", '{"a":1,"s":"\\\'"}', "json.syntax")
    bad("A15-bad-unicode-escape", '{"a":1,"s":"\\u12G4"}', "json.syntax")
    bad("A15-bad-escape-in-unknown-field", '{"a":1,"s":"x","u":"\\q"}', "json.syntax")

    for name, data in {"ff": b"\xff", "lone-continuation": b"\x80", "overlong-slash": b"\xc0\xaf", "overlong-nul": b"\xc0\x80", "surrogate": b"\xed\xa0\x80",
                       "beyond-unicode": b"\xf4\x90\x80\x80", "cut-sequence": b"\xe2\x82", "latin-1": b"caf\xe9"}.items():
        bad(f"A16-{name}", b'{"a":1,"s":"' + data + b'"}', "json.utf8")
    bad("A16-in-key", b'{"a":1,"s\xff":"x"}', "json.utf8")
    bad("A16-in-unknown-field", b'{"a":1,"s":"x","u":"\xff"}', "json.utf8")
    bad("A16-between-tokens", b'{"a":1,\xff"s":"x"}', "json.utf8")
    bad("A16-random-bytes", bytes([0x93, 0x00, 0xA7, 0xFE, 0x10, 0x82, 0x7B, 0xC1]), "json.utf8", note="another format altogether")

    bad("A17-lone-high", '{"a":1,"s":"x\\ud800y"}', "json.syntax")
    bad("A17-lone-low", '{"a":1,"s":"x\\udc00y"}', "json.syntax")
    bad("A17-high-then-letter", '{"a":1,"s":"\\ud83d\\u0041"}', "json.syntax")
    bad("A17-reversed-pair", '{"a":1,"s":"\\ude00\\ud83d"}', "json.syntax")
    row("A17-pair", '{"a":1,"s":"\\ud83d\\ude00"}', {"a": 1, "s": "\U0001f600"})

    bad("A18-arrays-10000", nest(10000), "json.depth", note="in an unknown field: depth counts there too")
    bad("A18-objects-10000", nest(10000, '{"o":', "}", "1"), "json.depth")
    bad("A18-never-closed", nest(100000, closing=""), "json.depth")
    bad("A18-in-string-field", nest(10000, before='{"a":1,"s":'), "json.depth", note="reported before the type: the value is not read to its end")
    row("A18-128-levels", nest(127), GOOD, note="the record's own braces are the first level")
    bad("A18-129-levels", nest(128), "json.depth")
    bad("A18-1000-levels", nest(999), "json.depth", note="Spark's own limit is 1,000")
    bad("A18-1001-levels", nest(1000), "json.depth")
    row("A18-shallow-but-many", repeat('{"o":[#]}', 1000, '{"a":1,"s":"x","u":[', "]}", ","), GOOD, note="depth counts what is open, not what was")

    mebibyte = 1 << 20
    bad("A19-64-mib", repeat("x", 64 * mebibyte, '{"a":1,"s":"', '"}'), "json.limit", "$.s")
    row("A19-16-mib", repeat("x", 16 * mebibyte, '{"a":1,"s":"', '"}'), {"a": 1, "s": long_string("x", 16 * mebibyte)})
    bad("A19-16-mib-and-1", repeat("x", 16 * mebibyte + 1, '{"a":1,"s":"', '"}'), "json.limit", "$.s")
    bad("A19-20-million", repeat("x", 20_000_000, '{"a":1,"s":"', '"}'), "json.limit", "$.s", note="Spark's own limit is 20,000,000 characters")
    bad("A19-20-million-and-1", repeat("x", 20_000_001, '{"a":1,"s":"', '"}'), "json.limit", "$.s")
    row("A19-20-million-and-1-unknown-field", repeat("x", 20_000_001, '{"a":1,"u":"', '","s":"x"}'), GOOD)
    row("A19-17-mib-unknown-field", repeat("x", 17 * mebibyte, '{"a":1,"u":"', '","s":"x"}'), GOOD, note="what is skipped is not held, so it has no limit of its own")
    row("A19-16-mib-of-escapes", repeat("\\u0041", 16 * mebibyte // 8, '{"a":1,"s":"', '"}'), {"a": 1, "s": long_string("A", 2 * mebibyte)},
        note="the limit is on the decoded text")
    row("A20-10000-unknown-fields", repeat('"k#":#,', 10000, "{", '"a":1,"s":"x"}'), GOOD)
    row("A20-10000-unknown-fields-after", repeat(',"k#":{"x":[#]}', 10000, '{"a":1,"s":"x"', "}"), GOOD)


def values():
    def one(case_id, kind, text, expected, **more):
        row(case_id, f'{{"s":"x","v":{text}}}', {"s": "x", "v": expected}, schema=f"s STRING, v {kind}", group="values", **more)

    def wrong(case_id, kind, text, code, path="$.v", **more):
        bad(case_id, f'{{"s":"x","v":{text}}}', code, path, schema=f"s STRING, v {kind}", group="values", **more)

    for kind, low, high in [("TINYINT", -(1 << 7), (1 << 7) - 1), ("SMALLINT", -(1 << 15), (1 << 15) - 1), ("INT", -(1 << 31), (1 << 31) - 1),
                            ("BIGINT", -(1 << 63), (1 << 63) - 1)]:
        name = kind.lower()
        one(f"A21-{name}-greatest", kind, high, high)
        one(f"A21-{name}-least", kind, low, low)
        wrong(f"A21-{name}-too-great", kind, high + 1, "json.range", note="Spark takes 128 to 255 and wraps them round" if kind == "TINYINT" else "")
        wrong(f"A21-{name}-too-small", kind, low - 1, "json.range")
    wrong("A21-tinyint-255", "TINYINT", 255, "json.range")
    wrong("A21-tinyint-256", "TINYINT", 256, "json.range")
    wrong("A21-u64-greatest", "BIGINT", (1 << 64) - 1, "json.range")
    wrong("A21-beyond-u64", "BIGINT", 1 << 64, "json.range")
    wrong("A21-wraps-to-small-int", "INT", (1 << 32) + 7, "json.range")
    wrong("A21-forty-digits", "BIGINT", "1234567890" * 4, "json.range")
    one("A21-forty-digits-double", "DOUBLE", "1234567890" * 4, 1.2345678901234568e39)
    one("A21-unknown-field-forty-digits", "INT", f'1,"u":{"1234567890" * 4}', 1)
    wrong("A21-1001-digits", "BIGINT", "9" * 1001, "json.range")
    one("A21-1001-digits-fraction", "DOUBLE", "0." + "3" * 1001, 0.3333333333333333, note="Spark refuses numbers of more than 1,000 characters")
    wrong("A21-fraction-for-int", "INT", "1.5", "json.type")
    wrong("A21-point-zero-for-int", "INT", "1.0", "json.type", note="an integer in value, but not in text")
    wrong("A21-exponent-for-int", "INT", "1e2", "json.type")
    wrong("A21-exponent-for-bigint", "BIGINT", "1.7e9", "json.type")

    wrong("A22-overflow", "DOUBLE", "1e309", "json.range")
    wrong("A22-negative-overflow", "DOUBLE", "-1e309", "json.range")
    one("A22-underflow", "DOUBLE", "1e-400", 0.0)
    one("A22-negative-underflow", "DOUBLE", "-1e-400", -0.0)
    one("A22-negative-zero", "DOUBLE", "-0.0", -0.0)
    one("A22-negative-zero-integer-text", "DOUBLE", "-0", -0.0, note="the sign is kept, however zero is written; Spark reads an integer first")
    one("A22-smallest", "DOUBLE", "5e-324", 5e-324)
    one("A22-greatest", "DOUBLE", "1.7976931348623157e308", 1.7976931348623157e308)
    one("A22-subnormal-hang", "DOUBLE", "2.2250738585072011e-308", 2.225073858507201e-308, note="once hung PHP and Java")
    one("A22-seventeen-digits", "DOUBLE", "0.30000000000000004", 0.30000000000000004)
    one("A22-halfway", "DOUBLE", "9007199254740993", 9007199254740992.0, note="a tie: to even")
    one("A22-just-above-halfway", "DOUBLE", "9007199254740993.00000000000000000000000000001", 9007199254740994.0)
    wrong("A22-huge-exponent", "DOUBLE", "1e99999999999", "json.range")
    one("A22-huge-negative-exponent", "DOUBLE", "1e-99999999999", 0.0)
    one("A22-zero-huge-exponent", "DOUBLE", "0e99999999999", 0.0)
    wrong("A22-float-overflow", "FLOAT", "1e39", "json.range")
    one("A22-float-underflow", "FLOAT", "1e-50", 0.0)
    one("A22-float-tenth", "FLOAT", "0.1", 0.10000000149011612)
    one("A22-float-integer", "FLOAT", "16777217", 16777216.0)
    one("A22-float-double-rounding", "FLOAT", "1.00000017881393432617187499", 1.0000001192092896,
        note="read as DOUBLE first it would round twice, to 1.0000002384185791")

    one("A23-thirty-digits", "DECIMAL(38,0)", "123456789012345678901234567890", "123456789012345678901234567890")
    one("A23-thirty-digits-scaled", "DECIMAL(38,10)", "12345678901234567890.1234567891", "12345678901234567890.1234567891")
    one("A23-thirty-digits-double", "DOUBLE", "123456789012345678901234567890", 1.2345678901234568e29)
    wrong("A23-thirty-digits-for-short", "DECIMAL(10,2)", "123456789012345678901234567890", "json.range")
    one("A23-greatest", "DECIMAL(38,0)", "9" * 38, "9" * 38)
    wrong("A23-thirty-nine-digits", "DECIMAL(38,0)", "1" + "0" * 38, "json.range")
    one("A23-greatest-short", "DECIMAL(10,2)", "99999999.99", "99999999.99")
    wrong("A23-one-too-many", "DECIMAL(10,2)", "100000000", "json.range")
    one("A23-integer", "DECIMAL(10,2)", "5", "5.00")
    one("A23-negative-zero", "DECIMAL(10,2)", "-0.0", "0.00")
    one("A23-exponent", "DECIMAL(10,2)", "1.5e3", "1500.00")
    one("A23-rounds-up", "DECIMAL(10,2)", "1.235", "1.24", valid="as spark", note="half up; more digits than the scale are rounded away")
    one("A23-rounds-down", "DECIMAL(10,2)", "1.2349999", "1.23", valid="as spark")
    one("A23-rounds-negative", "DECIMAL(10,2)", "-0.005", "-0.01", valid="as spark")
    wrong("A23-rounds-out-of-range", "DECIMAL(3,2)", "9.995", "json.range")
    one("A23-tiny", "DECIMAL(10,2)", "1e-50", "0.00", valid="as spark")
    wrong("A23-exponent-bomb", "DECIMAL(10,2)", "1e1000000", "json.range", note="must not be written out in digits")
    one("A23-negative-exponent-bomb", "DECIMAL(10,2)", "1e-1000000", "0.00", valid="as spark")
    one("A23-no-detour-by-double", "DECIMAL(20,18)", "0.123456789012345678", "0.123456789012345678")

    for name, kind, text in [
        ("string-for-boolean", "BOOLEAN", '"true"'), ("one-for-boolean", "BOOLEAN", "1"), ("zero-for-boolean", "BOOLEAN", "0"), ("object-for-boolean", "BOOLEAN", "{}"),
        ("string-for-tinyint", "TINYINT", '"1"'), ("string-for-int", "INT", '"12"'), ("empty-string-for-int", "INT", '""'), ("word-for-int", "INT", '"abc"'),
        ("boolean-for-int", "INT", "true"), ("object-for-int", "INT", '{"x":1}'), ("array-for-int", "INT", "[1]"), ("empty-array-for-int", "INT", "[]"),
        ("string-for-bigint", "BIGINT", '"9223372036854775807"'),
        ("string-for-double", "DOUBLE", '"1.5"'), ("nan-string-for-double", "DOUBLE", '"NaN"'), ("infinity-string-for-double", "DOUBLE", '"Infinity"'),
        ("minus-infinity-string-for-double", "DOUBLE", '"-Infinity"'), ("inf-string-for-double", "DOUBLE", '"-INF"'), ("lower-nan-string-for-double", "DOUBLE", '"nan"'),
        ("nan-string-for-float", "FLOAT", '"NaN"'),
        ("empty-string-for-double", "DOUBLE", '""'), ("word-for-double", "DOUBLE", '"abc"'), ("boolean-for-double", "DOUBLE", "false"), ("object-for-double", "DOUBLE", "{}"),
        ("string-for-decimal", "DECIMAL(10,2)", '"1.50"'), ("word-for-decimal", "DECIMAL(10,2)", '"abc"'), ("boolean-for-decimal", "DECIMAL(10,2)", "true"),
        ("integer-for-string", "STRING", "12"), ("number-for-string", "STRING", "1.50"), ("exponent-for-string", "STRING", "1E5"), ("negative-zero-for-string", "STRING", "-0.0"),
        ("long-number-for-string", "STRING", "123456789012345678901234567890.123"), ("long-integer-for-string", "STRING", "123456789012345678901234567890"), ("small-number-for-string", "STRING", "0.0001"), ("ten-million-for-string", "STRING", "12345678.9"),
        ("point-zero-for-string", "STRING", "100.0"), ("overflow-for-string", "STRING", "1e309"),
        ("seventeen-digits-for-string", "STRING", "2.0000000000000003e-3"), ("boolean-for-string", "STRING", "true"), ("empty-object-for-string", "STRING", "{ }"),
        ("duplicate-keys-for-string", "STRING", '{"x":1,"x":2}'), ("escapes-for-string", "STRING", '{"x":"\\u00e9\\n\\/"}'),
        ("object-for-string", "STRING", '{ "x" : 1, "y" : [ 1.50, "q\\u0041" ] }'), ("array-for-string", "STRING", "[ 1, 2.0, null ]"),
        ("number-for-binary", "BINARY", "1"), ("array-for-binary", "BINARY", "[0,1]"),
        ("number-for-date", "DATE", "19000"), ("boolean-for-date", "DATE", "true"), ("object-for-date", "DATE", "{}"),
        ("boolean-for-timestamp", "TIMESTAMP", "true"), ("object-for-timestamp", "TIMESTAMP", "{}"),
        ("number-for-struct", "STRUCT<x: INT>", "1"), ("string-for-struct", "STRUCT<x: INT>", '"x"'), ("array-for-struct", "STRUCT<x: INT>", '[{"x":1}]'),
        ("empty-string-for-struct", "STRUCT<x: INT>", '""'),
        ("array-for-map", "MAP<STRING, INT>", "[1]"), ("number-for-map", "MAP<STRING, INT>", "1"),
    ]:
        wrong(f"A24-{name}", kind, text, "json.type")
    wrong("A24-in-struct", "STRUCT<x: INT, y: INT>", '{"x":1,"y":"2"}', "json.type", "$.v.y")
    wrong("A24-in-deep-struct", "STRUCT<p: STRUCT<x: INT, y: INT>, z: INT>", '{"p":{"x":1,"y":"b"},"z":3}', "json.type", "$.v.p.y")
    wrong("A24-in-map", "MAP<STRING, INT>", '{"k":1,"odd key":"b"}', "json.type", "$.v['odd key']")
    wrong("A24-in-array-of-structs", "ARRAY<STRUCT<x: INT, y: INT>>", '[{"x":1,"y":2},{"x":3,"y":"b"}]', "json.type", "$.v[1].y")
    # What follows a bad value must be read as if nothing had been, whatever names stand inside it.
    def then(case_id, kind, text, path, after=',"s":"x","w":2', **more):
        bad(case_id, f'{{"v":{text}{after}}}', "json.type", path, schema=f"v {kind}, s STRING, w INT", group="values", **more)

    then("A24-object-for-int-then-fields", "INT", '{"s":"inner","w":9}', "$.v")
    then("A24-array-for-int-then-fields", "INT", '[{"s":"inner"},[1]]', "$.v")
    then("A24-object-for-array-then-fields", "ARRAY<INT>", '{"s":"inner"}', "$.v")
    then("A24-array-for-struct-then-fields", "STRUCT<x: INT>", '[{"x":1,"s":"inner"}]', "$.v")
    then("A24-string-for-struct-then-fields", "STRUCT<x: INT>", '"x"', "$.v")
    then("A24-array-for-map-then-fields", "MAP<STRING, INT>", '[{"s":"inner"}]', "$.v")
    then("A24-object-for-boolean-then-fields", "BOOLEAN", '{"s":"inner"}', "$.v")
    then("A24-object-for-timestamp-then-fields", "TIMESTAMP", '{"s":"inner"}', "$.v")
    then("A24-in-struct-then-fields", "STRUCT<x: INT, y: INT>", '{"x":{"y":5},"y":1}', "$.v.x")
    then("A24-in-map-then-fields", "MAP<STRING, INT>", '{"k":"bad"}', "$.v.k")
    then("A24-in-map-then-key-like-field", "MAP<STRING, INT>", '{"k":"bad","w":9}', "$.v.k")
    then("A24-in-map-of-structs-then-fields", "MAP<STRING, STRUCT<x: INT>>", '{"k":{"x":"bad"},"l":{"x":1}}', "$.v.k.x")
    then("A24-two-wrong-fields", "INT", '"one"', "$.v", ',"s":"x","w":"two"', note="the first is reported")
    then("A28-mixed-then-fields", "ARRAY<INT>", '[1,"two",3]', "$.v[1]")
    then("A28-mixed-last-then-fields", "ARRAY<INT>", '[1,2,"three"]', "$.v[2]")
    then("A28-mixed-then-object-then-fields", "ARRAY<INT>", '["one",{"s":"inner","w":9},3]', "$.v[0]")
    then("A28-object-element-then-fields", "ARRAY<INT>", '[{"s":"inner","w":9},3]', "$.v[0]")
    then("A28-inner-array-mixed-then-fields", "ARRAY<ARRAY<INT>>", '[[1,"b",2],[3]]', "$.v[0][1]")
    then("A28-scalar-in-array-of-structs-then-fields", "ARRAY<STRUCT<x: INT>>", '[{"x":1},5,{"x":2}]', "$.v[1]")
    then("A28-struct-in-array-then-fields", "ARRAY<STRUCT<x: INT, y: INT>>", '[{"x":"bad","y":1},{"x":2}]', "$.v[0].x")
    then("A28-array-in-struct-then-fields", "STRUCT<a: ARRAY<INT>, y: INT>", '{"a":[1,"b",3],"y":1}', "$.v.a[1]")
    bad("A24-first-field-wrong", '{"v":"abc","s":"x","w":2}', "json.type", "$.v", schema="v INT, s STRING, w INT", group="values")
    one("A24-booleans", "ARRAY<BOOLEAN>", "[true,false,null]", [True, False, None])
    wrong("A24-binary-not-base64", "BINARY", '"***"', "json.format")
    wrong("A24-binary-no-padding", "BINARY", '"AAE"', "json.format")
    wrong("A24-binary-url-alphabet", "BINARY", '"_-8="', "json.format")
    one("A24-binary-empty", "BINARY", '""', "")

    required = "id STRING NOT NULL, v INT"
    bad("A25-null", '{"id":null,"v":1}', "json.required", "$.id", schema=required, group="values", note="Spark's JSON reader forgets NOT NULL")
    bad("A25-missing", '{"v":1}', "json.required", "$.id", schema=required, group="values")
    bad("A25-empty-object", "{}", "json.required", "$.id", schema=required, group="values")
    bad("A25-nested-null", '{"p":{"x":null},"v":1}', "json.required", "$.p.x", schema="p STRUCT<x: INT NOT NULL>, v INT", group="values")
    bad("A25-nested-missing", '{"p":{},"v":1}', "json.required", "$.p.x", schema="p STRUCT<x: INT NOT NULL>, v INT", group="values")
    row("A25-parent-null", '{"p":null,"v":1}', {"p": None, "v": 1}, schema="p STRUCT<x: INT NOT NULL>, v INT", group="values",
        note="what is required of a struct is not required where there is none")
    bad("A25-in-array", '{"v":[{"x":1},{"y":2}]}', "json.required", "$.v[1].x", schema="v ARRAY<STRUCT<x: INT NOT NULL, y: INT>>", group="values")
    row("A25-present", '{"id":"","v":null}', {"id": "", "v": None}, schema=required, group="values", note="an empty string is not NULL")

    bad("A26-same-value", '{"a":1,"a":1,"s":"x"}', "json.duplicate_key", "$.a", group="values")
    bad("A26-other-value", '{"a":1,"a":2,"s":"x"}', "json.duplicate_key", "$.a", group="values")
    bad("A26-null-then-value", '{"a":null,"a":2,"s":"x"}', "json.duplicate_key", "$.a", group="values")
    bad("A26-value-then-null", '{"a":1,"s":"x","a":null}', "json.duplicate_key", "$.a", group="values")
    bad("A26-by-escape", '{"a":1,"\\u0061":2,"s":"x"}', "json.duplicate_key", "$.a", group="values")
    bad("A26-nested", '{"p":{"x":1,"x":2},"s":"x"}', "json.duplicate_key", "$.p.x", schema="p STRUCT<x: INT>, s STRING", group="values")
    bad("A26-struct-twice", '{"p":{"x":1},"p":{"y":2},"s":"x"}', "json.duplicate_key", "$.p", schema="p STRUCT<x: INT, y: INT>, s STRING", group="values")
    bad("A26-map-key", '{"m":{"k":1,"k":2},"s":"x"}', "json.duplicate_key", "$.m.k", schema="m MAP<STRING, INT>, s STRING", group="values",
        note="one of the two would be lost")
    row("A26-unknown-field", '{"u":1,"u":2,"a":1,"s":"x"}', GOOD, group="values", note="nobody reads it")

    keys = "deviceId STRING, v INT"
    row("A27-upper-case", '{"DEVICEID":"d","v":1}', {"deviceId": None, "v": 1}, schema=keys, group="values", note="the match is exact: another field")
    row("A27-both-cases", '{"deviceid":"low","deviceId":"exact","DeviceID":"cap","v":1}', {"deviceId": "exact", "v": 1}, schema=keys, group="values")
    row("A27-dot", '{"a.b":1,"a":{"b":2},"s":"x"}', {"a.b": 1, "s": "x"}, schema="`a.b` INT, s STRING", group="values", note="a dot is part of the name")
    row("A27-dot-is-no-path", '{"a.b":1,"s":"x"}', {"a": None, "s": "x"}, schema="a STRUCT<b: INT>, s STRING", group="values")
    bad("A27-dot-wrong-type", '{"a.b":"one","s":"x"}', "json.type", "$['a.b']", schema="`a.b` INT, s STRING", group="values")
    row("A27-blank", '{"my key":1," s":"no","s":"x"}', {"my key": 1, "s": "x"}, schema="`my key` INT, s STRING", group="values")
    row("A27-escaped-key", '{"\\u0061":1,"\\u0073":"x"}', GOOD, group="values")
    row("A27-quote-in-key", '{"q\\"\\n":1,"a":1,"s":"x"}', GOOD, group="values")
    row("A27-empty-key", '{"":9,"a":1,"s":"x"}', GOOD, group="values")
    row("A27-empty-map-key", '{"m":{"":9},"s":"x"}', {"m": {"": 9}, "s": "x"}, schema="m MAP<STRING, INT>, s STRING", group="values")
    row("A27-unicode", '{"gr\\u00f6\u00dfe":1,"gro\u0308\u00dfe":2,"s":"x"}', {"gr\u00f6\u00dfe": 1, "s": "x"}, schema="`gr\u00f6\u00dfe` INT, s STRING",
        group="values", note="not normalised: o with combining dots is another name")
    row("A27-long-unknown-key", repeat("k", 60000, '{"a":1,"', '":2,"s":"x"}'), GOOD, group="values", note="Spark refuses keys above 50,000 characters")
    row("A27-prefix-keys", '{"aa":9,"a":1,"ss":"no","s":"x"}', GOOD, group="values")

    one("A28-empty-array", "ARRAY<INT>", "[]", [])
    one("A28-null-array", "ARRAY<INT>", "null", None)
    one("A28-array-of-null", "ARRAY<INT>", "[null]", [None])
    wrong("A28-scalar-for-array", "ARRAY<INT>", "1", "json.type")
    wrong("A28-string-for-array", "ARRAY<STRING>", '"x"', "json.type")
    wrong("A28-object-for-array", "ARRAY<STRUCT<x: INT>>", '{"x":1}', "json.type")
    wrong("A28-mixed", "ARRAY<INT>", '[1,"two",3]', "json.type", "$.v[1]")
    wrong("A28-mixed-strings", "ARRAY<STRING>", '["a",1,true]', "json.type", "$.v[1]")
    wrong("A28-range", "ARRAY<TINYINT>", "[1,2,300]", "json.range", "$.v[2]")
    one("A28-array-of-arrays", "ARRAY<ARRAY<INT>>", "[[],[1],null,[1,null]]", [[], [1], None, [1, None]])
    wrong("A28-array-of-arrays-mixed", "ARRAY<ARRAY<INT>>", "[[1],2]", "json.type", "$.v[1]")
    one("A28-array-of-structs", "ARRAY<STRUCT<x: INT>>", '[{"x":1},{},null,{"y":2}]', [{"x": 1}, {"x": None}, None, {"x": None}])
    one("A28-map-of-structs", "MAP<STRING, STRUCT<x: INT>>", '{"k":{"x":1},"l":{},"m":null}', {"k": {"x": 1}, "l": {"x": None}, "m": None})
    one("A28-map-of-arrays", "MAP<STRING, ARRAY<DOUBLE>>", '{"k":[1,2.5],"l":[]}', {"k": [1.0, 2.5], "l": []})
    one("A28-empty-map", "MAP<STRING, INT>", "{}", {})
    one("A28-empty-struct", "STRUCT<x: INT, y: STRING>", "{}", {"x": None, "y": None})
    one("A28-null-struct", "STRUCT<x: INT, y: STRING>", "null", None)
    one("A28-nested-kinds", "ARRAY<STRUCT<d: DECIMAL(6,3), t: TIMESTAMP, n: DATE, b: BINARY>>",
        '[{"d":1.5,"t":"2024-01-01 00:00:00","n":"2024-01-01","b":"/w=="}]',
        [{"d": "1.500", "t": "2024-01-01T00:00:00.000000Z", "n": "2024-01-01", "b": "/w=="}])
    row("A29-100000-elements", repeat("1", 100000, '{"s":"x","v":[', "]}", ","), {"s": "x", "v": long_array(100000, 1, 1)}, schema="s STRING, v ARRAY<INT>", group="values")
    bad("A29-100001-elements", repeat("1", 100001, '{"s":"x","v":[', "]}", ","), "json.limit", "$.v", schema="s STRING, v ARRAY<INT>", group="values")
    bad("A29-million-elements", repeat("#", 1000000, '{"s":"x","v":[', "]}", ","), "json.limit", "$.v", schema="s STRING, v ARRAY<INT>", group="values")
    row("A29-million-in-unknown-field", repeat("#", 1000000, '{"s":"x","u":[', '],"v":[1]}', ","), {"s": "x", "v": [1]}, schema="s STRING, v ARRAY<INT>", group="values")
    bad("A30-type-change", '{"device_id":"d","temperature":"n/a","humidity":60.5,"timestamp":1}', "json.type", "$.temperature", schema=SEED, group="values",
        note="the firmware update that broke the fleet")
    bad("A30-number-becomes-object", '{"device_id":"d","temperature":{"value":20.5,"unit":"C"},"humidity":60.5,"timestamp":1}', "json.type", "$.temperature",
        schema=SEED, group="values")


def times():
    def one(case_id, kind, text, expected, **more):
        row(case_id, f'{{"s":"x","t":{text}}}', {"s": "x", "t": expected}, schema=f"s STRING, t {kind}", group="time", **more)

    def wrong(case_id, kind, text, code, **more):
        bad(case_id, f'{{"s":"x","t":{text}}}', code, "$.t", schema=f"s STRING, t {kind}", group="time", **more)

    for name, number in {"seconds": 1700000000, "millis": 1700000000123, "micros": 1700000000123456, "nanos": 1700000000123456789}.items():
        one(f"A32-{name}-bigint", "BIGINT", number, number)
        wrong(f"A32-{name}-timestamp", "TIMESTAMP", number, "json.type", note="Spark takes any integer for seconds" if name == "seconds" else "")
    one("A32-seconds-int", "INT", "1700000000", 1700000000)
    wrong("A32-millis-int", "INT", "1700000000123", "json.range")
    wrong("A32-fraction-timestamp", "TIMESTAMP", "1700000000.5", "json.type")
    wrong("A32-seconds-as-string", "TIMESTAMP", '"1700000000"', "json.format")
    wrong("A32-millis-as-string", "TIMESTAMP", '"1700000000123"', "json.format")

    for name, text, stamp in [
        ("zulu", "2024-02-29T12:34:56Z", "2024-02-29T12:34:56.000000Z"), ("no-zone", "2024-02-29T12:34:56", "2024-02-29T12:34:56.000000Z"),
        ("blank", "2024-02-29 12:34:56", "2024-02-29T12:34:56.000000Z"), ("date-only", "2024-02-29", "2024-02-29T00:00:00.000000Z"),
        ("minutes", "2024-02-29T12:34", "2024-02-29T12:34:00.000000Z"), ("one-digit-fraction", "2024-02-29T12:34:56.5Z", "2024-02-29T12:34:56.500000Z"),
        ("micros", "2024-02-29T12:34:56.123456Z", "2024-02-29T12:34:56.123456Z"), ("plus-zone", "2024-02-29T12:34:56+02:00", "2024-02-29T10:34:56.000000Z"),
        ("minus-zone", "2024-02-29T12:34:56.250-05:30", "2024-02-29T18:04:56.250000Z"), ("year-2038", "2038-01-19T03:14:08Z", "2038-01-19T03:14:08.000000Z"),
    ]:
        one(f"A33-{name}", "TIMESTAMP", f'"{text}"', stamp)
    for name, text, stamp, note in [
        ("nanos", "2024-02-29T12:34:56.123456789Z", "2024-02-29T12:34:56.123456Z", "cut to micros, not rounded"),
        ("short-fields", "2024-2-9 1:2:3", "2024-02-09T01:02:03.000000Z", ""),
        ("year-month", "2024-02", "2024-02-01T00:00:00.000000Z", ""),
        ("year", "2024", "2024-01-01T00:00:00.000000Z", "four digits are a year"),
        ("hours", "2024-02-29T12", "2024-02-29T12:00:00.000000Z", ""),
        ("zone-hours", "2024-02-29T12:34:56+02", "2024-02-29T10:34:56.000000Z", ""),
        ("zone-no-colon", "2024-02-29T12:34:56+0200", "2024-02-29T10:34:56.000000Z", ""),
        ("zone-name", "2024-07-01T12:00:00 Europe/Berlin", "2024-07-01T10:00:00.000000Z", ""),
        ("zone-utc", "2024-02-29T12:34:56 UTC", "2024-02-29T12:34:56.000000Z", ""),
        ("zone-gmt-offset", "2024-02-29T12:34:56 GMT+1", "2024-02-29T11:34:56.000000Z", ""),
        ("surrounding-blanks", " 2024-02-29T12:34:56Z ", "2024-02-29T12:34:56.000000Z", ""),
        ("dst-gap", "2024-03-31T02:30:00 Europe/Berlin", "2024-03-31T01:30:00.000000Z", "there was no such local time; moved forward by the gap, as Java does"),
        ("dst-overlap", "2024-10-27T02:30:00 Europe/Berlin", "2024-10-27T00:30:00.000000Z", "it happened twice; the earlier one, as Java does"),
    ]:
        one(f"A33-{name}", "TIMESTAMP", f'"{text}"', stamp, valid="as spark", note=note)
    for name, text in {"hour-24": "2024-02-29T24:00:00Z", "leap-second": "2016-12-31T23:59:60Z", "bad-leap-day": "2023-02-29T00:00:00Z", "century-leap-day": "1900-02-29T00:00:00Z",
                       "month-13": "2024-13-01T00:00:00Z", "day-31-of-april": "2024-04-31T00:00:00Z", "minute-60": "2024-02-29T12:60:00Z", "zone-19-hours": "2024-02-29T12:00:00+19:00",
                       "day-0": "2024-02-00T00:00:00Z"}.items():
        wrong(f"A33-{name}", "TIMESTAMP", f'"{text}"', "json.range")
    for name, text in {"empty": "", "word": "yesterday", "rfc-2822": "Thu, 29 Feb 2024 12:34:56 GMT", "slashes": "29/02/2024 12:34:56", "basic-iso": "20240229T123456Z",
                       "trailing": "2024-02-29T12:34:56Zx", "comma-fraction": "2024-02-29T12:34:56,5Z", "unknown-zone": "2024-02-29T12:34:56 Mars/Olympus", "lower-t": "2024-02-29t12:34:56z",
                       "two-digit-year": "24-02-29T12:34:56Z"}.items():
        wrong(f"A33-{name}", "TIMESTAMP", f'"{text}"', "json.format")

    one("A34-epoch", "TIMESTAMP", '"1970-01-01T00:00:00Z"', "1970-01-01T00:00:00.000000Z")
    one("A34-before-epoch", "TIMESTAMP", '"1969-12-31T23:59:59.999999Z"', "1969-12-31T23:59:59.999999Z")
    one("A34-year-1", "TIMESTAMP", '"0001-01-01T00:00:00Z"', "0001-01-01T00:00:00.000000Z")
    one("A34-year-1582", "TIMESTAMP", '"1582-10-10T00:00:00Z"', "1582-10-10T00:00:00.000000Z", note="proleptic Gregorian: the day exists")
    one("A34-year-9999", "TIMESTAMP", '"9999-12-31T23:59:59.999999Z"', "9999-12-31T23:59:59.999999Z")
    one("A34-year-10000", "TIMESTAMP", '"10000-01-01T00:00:00Z"', "+10000-01-01T00:00:00.000000Z", valid="as spark")
    one("A34-plus-year", "TIMESTAMP", '"+10000-01-01T00:00:00Z"', "+10000-01-01T00:00:00.000000Z", valid="as spark")
    one("A34-year-0", "TIMESTAMP", '"0000-01-01T00:00:00Z"', "0000-01-01T00:00:00.000000Z", valid="as spark")
    one("A34-negative-year", "TIMESTAMP", '"-0044-03-15T00:00:00Z"', "-0044-03-15T00:00:00.000000Z", valid="as spark")
    wrong("A34-year-999999", "TIMESTAMP", '"999999-01-01T00:00:00Z"', "json.range", note="beyond 64-bit microseconds")
    wrong("A34-negative-number", "TIMESTAMP", "-1", "json.type")
    one("A34-negative-seconds", "BIGINT", "-1", -1)

    one("A34-date", "DATE", '"2024-02-29"', "2024-02-29")
    one("A34-date-year-9999", "DATE", '"9999-12-31"', "9999-12-31")
    one("A34-date-year-1", "DATE", '"0001-01-01"', "0001-01-01")
    wrong("A34-date-bad-leap-day", "DATE", '"2023-02-29"', "json.range")
    wrong("A34-date-month-13", "DATE", '"2024-13-01"', "json.range")
    wrong("A34-date-empty", "DATE", '""', "json.format")
    wrong("A34-date-word", "DATE", '"today"', "json.format")
    wrong("A34-date-days-as-string", "DATE", '"19000"', "json.format", note="Spark reads the year 19000; a bare number is a year only with four digits")
    one("A34-date-year", "DATE", '"2024"', "2024-01-01", valid="as spark")
    wrong("A34-timestamp-bare-19000", "TIMESTAMP", '"19000"', "json.format")
    wrong("A34-date-time", "DATE", '"2024-02-29T12:34:56Z"', "json.format", note="a time of day would be lost")
    one("A34-date-short-fields", "DATE", '"2024-2-9"', "2024-02-09", valid="as spark")
    one("A34-date-year-month", "DATE", '"2024-02"', "2024-02-01", valid="as spark")
    wrong("A34-date-slashes", "DATE", '"29/02/2024"', "json.format")

    def formatted(case_id, pattern, text, expected=None, code=None, kind="TIMESTAMP", option="timestampFormat", **more):
        options = {option: pattern}
        if code:
            bad(case_id, f'{{"s":"x","t":{text}}}', code, "$.t", schema=f"s STRING, t {kind}", group="time", options=options, **more)
        else:
            row(case_id, f'{{"s":"x","t":{text}}}', {"s": "x", "t": expected}, schema=f"s STRING, t {kind}", group="time", options=options, **more)

    plain, europe, zoned = "yyyy-MM-dd HH:mm:ss", "dd/MM/yyyy HH:mm", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"
    formatted("A33-format-plain", plain, '"2024-02-29 12:34:56"', "2024-02-29T12:34:56.000000Z")
    formatted("A33-format-plain-iso", plain, '"2024-02-29T12:34:56"', code="json.format")
    formatted("A33-format-plain-fraction", plain, '"2024-02-29 12:34:56.5"', code="json.format")
    formatted("A33-format-plain-short-fields", plain, '"2024-2-9 1:2:3"', code="json.format")
    formatted("A33-format-plain-bad-day", plain, '"2023-02-29 12:34:56"', code="json.range")
    formatted("A33-format-plain-hour-24", plain, '"2024-02-29 24:00:00"', code="json.range")
    formatted("A33-format-plain-number", plain, "1700000000", code="json.type")
    formatted("A33-format-europe", europe, '"29/02/2024 12:34"', "2024-02-29T12:34:00.000000Z")
    formatted("A33-format-europe-iso", europe, '"2024-02-29T12:34:56Z"', code="json.format")
    formatted("A33-format-zoned", zoned, '"2024-02-29T12:34:56.789+02:00"', "2024-02-29T10:34:56.789000Z")
    formatted("A33-format-zoned-zulu", zoned, '"2024-02-29T12:34:56.789Z"', "2024-02-29T12:34:56.789000Z")
    formatted("A33-format-zoned-no-fraction", zoned, '"2024-02-29T12:34:56Z"', code="json.format")
    formatted("A33-format-null", plain, "null", None)
    formatted("A33-format-date", "dd.MM.yyyy", '"29.02.2024"', "2024-02-29", kind="DATE", option="dateFormat")
    formatted("A33-format-date-iso", "dd.MM.yyyy", '"2024-02-29"', code="json.format", kind="DATE", option="dateFormat")
    formatted("A33-format-date-bad-day", "dd.MM.yyyy", '"31.04.2024"', code="json.range", kind="DATE", option="dateFormat")

    one("A38-null-timestamp", "TIMESTAMP", "null", None)
    row("A38-missing-timestamp", '{"s":"x"}', {"s": "x", "t": None}, schema="s STRING, t TIMESTAMP", group="time")
    bad("A38-required-timestamp-null", '{"s":"x","t":null}', "json.required", "$.t", schema="s STRING, t TIMESTAMP NOT NULL", group="time")


def identities():
    def device(case_id, text, **more):
        row(case_id, json.dumps({"device_id": text, "v": 1}, ensure_ascii=False), {"device_id": text, "v": 1}, schema="device_id STRING, v INT", group="identity", **more)

    for name, text in {"empty": "", "emoji": "\U0001f525\U0001f468\u200d\U0001f469\u200d\U0001f467", "path": "../../etc/passwd", "sql": "'; DROP TABLE iot; --", "percent": "%2F..%2F",
                       "new-line": "a\nb\r\n", "null-word": "null", "blanks": "  d  ", "nul": "a\0b", "right-to-left": "\u202edcba", "html": "<script>alert(1)</script>"}.items():
        device(f"A39-{name}", text)
    row("A39-one-megabyte", repeat("d", 1000000, '{"device_id":"', '","v":1}'), {"device_id": long_string("d", 1000000), "v": 1}, schema="device_id STRING, v INT", group="identity")
    row("A39-null", '{"device_id":null,"v":1}', {"device_id": None, "v": 1}, schema="device_id STRING, v INT", group="identity")
    for name, text in {"formula": "=cmd|' /C calc'!A0", "plus": "+1+1", "at": "@SUM(1)", "quotes": 'a"b,c;d', "carriage-return": "a\rb"}.items():
        device(f"A41-{name}", text)
    device("A42-hive-default", "__HIVE_DEFAULT_PARTITION__")
    row("A42-null-partition", '{"v":1}', {"device_id": None, "v": 1}, schema="device_id STRING, v INT", group="identity")
    device("A42-equals-and-slash", "a=b/c=d")


def main():
    good_records()
    syntax()
    values()
    times()
    identities()
    ids = [entry["id"] for entry in CASES]
    assert len(ids) == len(set(ids)), "two cases have the same id"

    asked = lambda entry: (entry["schema"], entry.get("options"), entry.get("payload_base64"), entry.get("payload_generator"))
    earlier = {entry["id"]: entry for entry in json_file.load()}
    unanswered = 0
    for entry in CASES:
        before = earlier.get(entry["id"])
        if before and "spark" in before and asked(before) == asked(entry):
            entry["spark"] = before["spark"]
        else:
            unanswered += 1
    json_file.save(CASES)
    print(f"{len(CASES)} cases written, {unanswered} without Spark's answer (run spark_json.py)")


if __name__ == "__main__":
    main()
