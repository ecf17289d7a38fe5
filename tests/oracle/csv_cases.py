#!/usr/bin/env python3
"""Asks Spark how it writes values as CSV, and stores its files as tests/oracle/csv_cases.json.

    scripts/services/spark-python.sh tests/oracle/csv_cases.py

A case is a schema, options of the writer, a session time zone, rows, and the one part file that Spark wrote of them (`file`).
`every_csv_file_of_spark_is_forebays_too` in forebay-connectors writes the same rows and compares the bytes.

Values stand as JSON: STRING as text, BOOLEAN as it is, whole numbers as numbers, DATE as days and TIMESTAMP and
TIMESTAMP_NTZ as microseconds since 1970, DECIMAL as text, FLOAT and DOUBLE as the hexadecimal bits of the DOUBLE.
"""

import decimal
import json
import pathlib
import random
import struct
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from pyspark.sql import functions as F  # noqa: E402
from spark_session import session  # noqa: E402

OUT = pathlib.Path(__file__).resolve().parent / "csv_cases.json"

NASTY = [
    "", " ", "  ", "a", " a", "a ", " a b ", "\t", "\ta\t", "a,b", ",", '"', '""', '"a"', 'a"b', '"a', 'a"', "\\", "\\\\", 'a\\b',
    'a\\', '\\"', 'a\\"b', 'a,\\b', 'a,"b', 'a,\\"b', "a\nb", "\n", "a\r\nb", "\r", "a\rb", "a\n", "\na", "#", "#a", " #a", "a#", "null", "NULL",
    "-", "é", "日本語", "😀", "a;b", ";", "a|b", "a'b", "'", "''", "'a'", "\x00", "a\x00b", "\x01", "\x0b", "\x0ca", "\u00a0a\u00a0", "\u2028", "=1+1",
    "+1", "-1", "@a", "=cmd|' /C calc'!A0", "\ufeff", "\ufeffa", ' "a" ', ' "a', 'a" ', " ,", ", ", ' a,b ', " \n", "\n ", "\x7f", "a\tb", "e", '"e"', " \\", '\\ ', ' "', '" ',
]
ALPHABET = [" ", " ", "\t", ",", '"', "\\", "\n", "\r", "#", "a", "b", "ü", ";", "'", "|", "1"]

OPTIONS = [
    {},
    {"header": "true"},
    {"quoteAll": "true"},
    {"escapeQuotes": "false"},
    {"escape": '"'},
    {"escape": "'"},
    {"quote": "'"},
    {"quote": ""},
    {"sep": ";"},
    {"delimiter": "\t"},
    {"sep": "|", "quote": "'", "escape": "'"},
    {"nullValue": "NULL"},
    {"nullValue": "-", "emptyValue": "e"},
    {"emptyValue": ""},
    {"nullValue": "", "emptyValue": "''"},
    {"nullValue": "a,b", "emptyValue": "a\"b"},
    {"nullValue": "\"n\"", "emptyValue": "\"e\""},
    {"ignoreLeadingWhiteSpace": "false"},
    {"ignoreTrailingWhiteSpace": "false"},
    {"ignoreLeadingWhiteSpace": "false", "ignoreTrailingWhiteSpace": "false"},
    {"ignoreLeadingWhiteSpace": "false", "ignoreTrailingWhiteSpace": "false", "quoteAll": "true"},
    {"quoteAll": "true", "emptyValue": "", "nullValue": "x"},
    {"quoteAll": "true", "escapeQuotes": "false"},
    {"lineSep": "\r\n"},
    {"lineSep": "\r", "quoteAll": "true"},
    {"charToEscapeQuoteEscaping": "\\"},
    {"escape": "'", "charToEscapeQuoteEscaping": "#"},
    {"header": "true", "quoteAll": "true"},
    {"comment": "a"},
    {"escape": '"', "escapeQuotes": "false"},
    {"sep": ";", "ignoreLeadingWhiteSpace": "false", "ignoreTrailingWhiteSpace": "false", "escape": '"'},
]

FLOATS = [0.0, -0.0, 1.0, 1.5, 1e7, 12345678.9, 1e-3, 9.99e-4, 1e300, 1e-300, float("nan"), float("inf"), float("-inf"), 2e23, 1e23, 5e-324,
          2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1 / 3, 123456.789, 9999999.999, 100.0, 1e21, 1e22, 2.0e-3, 4.9e-324, 1.1e-5, 3.4028234663852886e38, 1.401298464324817e-45, 16777216.0, 0.3,
          2.0 ** 60, 2.0 ** 63, 9007199254740993.0, 1.0e16, 8.41e21, 2.98023223876953125e-8]


def bits(value):
    return struct.pack(">d", value).hex()


def strings(rng):
    rows = [[a, b] for a, b in zip(NASTY, reversed(NASTY))]
    rows += [[None, None], [None, "a"], ["a", None], ["", ""], ["", None], [None, ""]]
    for _ in range(150):
        rows.append(["".join(rng.choice(ALPHABET) for _ in range(rng.randint(0, 6))) for _ in range(2)])
    return rows


def cases():
    rng = random.Random(2)
    for options in OPTIONS:
        rows = strings(rng)
        # Two things of Spark's that alter values, and that Forebay leaves out: it writes `lineSep` for a line break inside
        # of a value, and half an escape for a blank value of which only the end is trimmed.
        if "lineSep" in options:
            rows = [row for row in rows if not any("\n" in (value or "") for value in row)]
        if options == {"ignoreLeadingWhiteSpace": "false"}:
            rows = [row for row in rows if not any(value and not value.strip() for value in row)]
        yield "a STRING, b STRING", options, "UTC", rows
    for options in [{}, {"header": "true"}, {"quoteAll": "true"}, {"nullValue": "N"}, {"emptyValue": ""}]:
        yield "`one col` STRING", options, "UTC", [[value] for value in NASTY] + [[None], ["a"], [None]]
    yield 'a STRING, `b,c` STRING, `d"e` STRING, ` f ` STRING, `#g` STRING', {"header": "true"}, "UTC", [["1", "2", "3", "4", "5"]]
    yield '`#a` STRING, `` STRING'.replace("``", "`b`"), {"header": "true"}, "UTC", [["1", "2"]]
    small = [value if not 3.5e38 < abs(value) < float("inf") else 0.5 for value in FLOATS]
    single = [struct.unpack(">f", struct.pack(">f", value))[0] for value in small]
    yield "d DOUBLE, f FLOAT", {}, "UTC", [[bits(double), bits(float_)] for double, float_ in zip(FLOATS, single)]
    many = []
    for _ in range(400):
        kind = rng.randint(0, 3)
        if kind == 0:
            many.append(struct.unpack(">d", rng.randbytes(8))[0])
        elif kind == 1:
            many.append(round(rng.uniform(-200, 200), rng.randint(0, 6)))
        elif kind == 2:
            many.append(rng.randint(1, 9999) * 10.0 ** rng.randint(-12, 12))
        else:
            many.append(float(rng.randint(-10**17, 10**17)))
    yield "d DOUBLE", {}, "UTC", [[bits(value)] for value in many if value == value]
    single = [struct.unpack(">f", rng.randbytes(4))[0] for _ in range(200)] + [struct.unpack(">f", struct.pack(">f", round(rng.uniform(-200, 200), 2)))[0] for _ in range(200)]
    yield "f FLOAT", {}, "UTC", [[bits(value)] for value in single if value == value]
    yield "t BOOLEAN, b TINYINT, s SMALLINT, i INT, l BIGINT", {}, "UTC", [
        [True, -128, -32768, -2147483648, -9223372036854775808], [False, 127, 32767, 2147483647, 9223372036854775807], [None] * 5]
    yield "x DECIMAL(10,2), y DECIMAL(38,18), z DECIMAL(20,0), w DECIMAL(38,38), v DECIMAL(9,7)", {}, "UTC", [
        ["-12345.60", "0", "12345678901234567890", "0.00000000000000000000000000000000000001", "0.0000001"],
        ["0", "0.000000000000000001", "0", "0", "0"], ["0.01", "-12345678901234567890.123456789012345678", "-1", "0.12345678901234567890123456789012345678", "0.0000010"],
        [None] * 5]
    days = [0, -1, 19000, 11016, -719162, 2932896, -200000]
    instants = [0, 1, -1, 1_700_000_000_000_000, 1_700_000_000_123_456, 1_711_846_800_000_000, 1_729_990_800_000_000, 1_729_990_800_999_999, -62135596800_000_000 + 86_400_000_000 * 3,
                253402300799_999_999 - 86_400_000_000, -5_000_000_000_000_000, 1_120_000_000_500_000]
    times = [[days[n % len(days)], instant, instant] for n, instant in enumerate(instants)] + [[None] * 3]
    for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "+05:30"]:
        yield "d DATE, t TIMESTAMP, n TIMESTAMP_NTZ", {}, zone, times
    for zone, pattern in [("UTC", "yyyy-MM-dd HH:mm:ss"), ("Europe/Berlin", "dd/MM/yyyy HH:mm:ss.SSSSSS"), ("Europe/Berlin", "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"), ("Europe/Berlin", "d.M.yy h:mm a"),
                          ("UTC", "EEE, d MMM yyyy HH:mm:ss Z"), ("Asia/Kolkata", "EEEE d MMMM yyyy, kk 'o''clock' VV"), ("UTC", "yyyyMMdd_HHmmss"), ("UTC", "yyyy-MM-dd HH:mm[:ss]"), ("Europe/Berlin", "D Q K:mm xxx x X XX Z")]:
        yield "t TIMESTAMP", {"timestampFormat": pattern}, zone, [[row[1]] for row in times]
    for pattern in ["dd.MM.yyyy", "M/d/yy", "yyyyMMdd", "EEE d MMM yyyy", "'x,y' yyyy", "\"yyyy\""]:
        yield "d DATE", {"dateFormat": pattern}, "UTC", [[row[0]] for row in times]
    yield "n TIMESTAMP_NTZ", {"timestampNTZFormat": "yyyy/MM/dd HH.mm.ss.SSS"}, "Europe/Berlin", [[row[2]] for row in times]


def frame(spark, schema, rows):
    kinds = [field.dataType.typeName() for field in spark.createDataFrame([], schema).schema.fields]
    names = [field.name for field in spark.createDataFrame([], schema).schema.fields]
    raw, columns = [], []
    for at, (name, kind) in enumerate(zip(names, kinds)):
        column = F.col(f"c{at}")
        if kind == "date":
            raw.append("INT"), columns.append(F.expr(f"date_from_unix_date(c{at})").alias(name))
        elif kind == "timestamp":
            raw.append("BIGINT"), columns.append(F.expr(f"timestamp_micros(c{at})").alias(name))
        elif kind == "timestamp_ntz":
            raw.append("BIGINT"), columns.append(F.expr(f"timestamp_ntz'1970-01-01 00:00:00' + make_dt_interval(0, 0, 0, 0) + make_dt_interval(cast(c{at} div 86400000000 as int), 0, 0, cast((c{at} - (c{at} div 86400000000) * 86400000000) as decimal(38,6)) / 1000000)").alias(name))
        elif kind in ("double", "float"):
            raw.append("DOUBLE"), columns.append(column.cast(kind).alias(name))
        elif kind == "decimal":
            whole = spark.createDataFrame([], schema).schema.fields[at].dataType.simpleString()
            raw.append("STRING"), columns.append(column.cast(whole).alias(name))
        else:
            raw.append(kind), columns.append(column.alias(name))

    def value(kind, found):
        return struct.unpack(">d", bytes.fromhex(found))[0] if kind in ("double", "float") and found is not None else found

    data = [[value(kind, found) for kind, found in zip(kinds, row)] for row in rows]
    raw = ", ".join(f"c{at} {kind}" for at, kind in enumerate(raw))
    return spark.createDataFrame(data, raw).coalesce(1).select(*columns)


def main():
    spark = session("csv")
    answers = []
    for schema, options, zone, rows in cases():
        spark.conf.set("spark.sql.session.timeZone", zone)
        with tempfile.TemporaryDirectory() as folder:
            try:
                frame(spark, schema, rows).write.options(**options).mode("overwrite").csv(folder)
                part = [path for path in pathlib.Path(folder).glob("part-*.csv")]
                file = part[0].read_bytes().decode("utf-8")
                answer = {"file": file}
            except Exception as error:  # noqa: BLE001
                answer = {"error": str(error)[:300]}
        answers.append({"schema": schema, "options": options, "zone": zone, "rows": rows, **answer})
        print(len(answers), schema, options, zone, answer.get("error", "ok")[:200], flush=True)
    OUT.write_text(json.dumps(answers, ensure_ascii=True, separators=(",", ":")).replace('},{"schema"', '},\n{"schema"') + "\n")


if __name__ == "__main__":
    main()
