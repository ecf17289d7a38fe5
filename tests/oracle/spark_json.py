#!/usr/bin/env python3
"""Asks Spark what becomes of every JSON case, in each of its three modes, and writes the answers into the case file.

    scripts/services/spark-python.sh tests/oracle/spark_json.py [--all] [--only REGEX]

Without --all only the cases without an answer are asked. Ends with the cases where Forebay's quarantine mode keeps a
row that is not the row Spark's PERMISSIVE gives: there should be none but those that are explained.

How Spark is asked. The payload goes into a binary column `value`, as in a Kafka source; then
    PERMISSIVE     from_json(CAST(value AS STRING), schema + `_corrupt_record` STRING, columnNameOfCorruptRecord=_corrupt_record)
    FAILFAST       from_json(CAST(value AS STRING), schema)
    DROPMALFORMED  spark.read.schema(schema).json(Dataset[String] of CAST(value AS STRING)): from_json refuses this mode
                   (PARSE_MODE_UNSUPPORTED). The two differ in more than the mode: the reader takes each element of a
                   top-level array as a row, and has no row at all for an empty or a null message.
The session time zone is UTC, everything else is as Spark 4.0 comes (ANSI mode on, time parser policy CORRECTED).

Fates: {"fate":"row","row":{...}}; {"fate":"rows","rows":[...]} (more than one); {"fate":"null"} (from_json gave NULL instead
of a struct: `data.*` shows a row of NULLs); {"fate":"dropped"}; {"fate":"error","condition":...,"cause":...} (Spark's error
condition and the class of the innermost exception). In PERMISSIVE the row ends with `_corrupt_record`.

How values are written in rows, by Forebay too:
    BOOLEAN, integers      JSON booleans and numbers
    FLOAT, DOUBLE          JSON numbers (FLOAT: the DOUBLE of the same value); "NaN", "Infinity", "-Infinity"; -0.0 keeps its sign
    DECIMAL(p,s)           strings with s digits after the point
    STRING                 strings; of more than 1,024 bytes {"$string": {"bytes": n, "sha256": hex}};
                           bytes that are not UTF-8 {"$base64": ...}
    BINARY                 base64 (with padding)
    DATE                   "2024-02-29"; years beyond four digits "+10000-01-01", before year 0 "-0044-03-15"
    TIMESTAMP              "2024-02-29T12:34:56.789012Z", UTC, always six digits; years as for DATE
    STRUCT, MAP            objects (struct fields in schema order; the order of a MAP's keys means nothing);
                           a MAP that holds a key twice: {"$map": [[key, value], ...]}
    ARRAY                  arrays; of more than 100 elements {"$array": {"length": n, "first": e, "last": e}}
"""

import argparse
import base64
import hashlib
import json
import math
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import json_file  # noqa: E402

from pyspark.sql import DataFrame, functions as F  # noqa: E402
from pyspark.sql import types as T  # noqa: E402
from spark_session import session  # noqa: E402

MODES = ["PERMISSIVE", "DROPMALFORMED", "FAILFAST"]
CORRUPT = "_corrupt_record"


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


def encoded(kind, value):
    """A SQL expression that carries `value` to Python unharmed: times as numbers, text as bytes."""
    if isinstance(kind, T.TimestampType):
        return f"unix_micros({value})"
    if isinstance(kind, T.DateType):
        return f"unix_date({value})"
    if isinstance(kind, T.DecimalType):
        return f"CAST({value} AS STRING)"
    if isinstance(kind, T.StringType):
        return f"CAST({value} AS BINARY)"
    if isinstance(kind, T.ArrayType):
        return f"transform({value}, e{len(value)} -> {encoded(kind.elementType, f'e{len(value)}')})"
    if isinstance(kind, T.MapType):
        entry = f"e{len(value)}"
        pair = f"struct(CAST({entry}.key AS STRING), {encoded(kind.valueType, f'{entry}.value')})"
        return f"transform(map_entries({value}), {entry} -> {pair})"
    if isinstance(kind, T.StructType):
        fields = ", ".join(f"'{f.name}', {encoded(f.dataType, f'{value}.{quoted(f.name)}')}" for f in kind.fields)
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE named_struct({fields}) END"
    return value


def civil(days):
    """Year, month, day of a number of days since 1970-01-01 (Python's own dates end at 9999)."""
    days += 719468
    era, day_of_era = divmod(days, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_index = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_index + 2) // 5 + 1
    month = month_index + 3 if month_index < 10 else month_index - 9
    return year_of_era + era * 400 + (month <= 2), month, day


def date_text(days):
    year, month, day = civil(days)
    sign = "-" if year < 0 else "+" if year > 9999 else ""
    return f"{sign}{abs(year):04d}-{month:02d}-{day:02d}"


def timestamp_text(micros):
    days, rest = divmod(micros, 86_400_000_000)
    seconds, fraction = divmod(rest, 1_000_000)
    return f"{date_text(days)}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:06d}Z"


def text(data):
    data = bytes(data)
    if len(data) > 1024:
        return {"$string": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}}
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"$base64": base64.b64encode(data).decode()}


def rendered(kind, value):
    """What `encoded` brought, as canonical JSON."""
    if value is None:
        return None
    if isinstance(kind, T.TimestampType):
        return timestamp_text(value)
    if isinstance(kind, T.DateType):
        return date_text(value)
    if isinstance(kind, T.StringType):
        return text(value)
    if isinstance(kind, T.BinaryType):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(kind, (T.FloatType, T.DoubleType)):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(kind, T.ArrayType):
        if len(value) > 100:
            ends = {"first": rendered(kind.elementType, value[0]), "last": rendered(kind.elementType, value[-1])}
            return {"$array": {"length": len(value), **ends}}
        return [rendered(kind.elementType, element) for element in value]
    if isinstance(kind, T.MapType):
        pairs = [[key, rendered(kind.valueType, element)] for key, element in value]
        return {"$map": pairs} if len({key for key, _ in pairs}) < len(pairs) else dict(pairs)
    if isinstance(kind, T.StructType):
        return {field.name: rendered(field.dataType, value[i]) for i, field in enumerate(kind.fields)}
    return value


class Oracle:
    def __init__(self):
        # Projections must not narrow the schema that is parsed: a field that is not read is not checked either.
        self.spark = session("json oracle", memory="4g", spark__sql__optimizer__enableJsonExpressionOptimization="false",
                             spark__sql__codegen__wholeStage="false", spark__rpc__message__maxSize="512")
        self.spark.sparkContext.setLogLevel("OFF")  # errors are answers here

    def schema(self, ddl):
        return T._parse_datatype_string(ddl)

    def ask(self, case, mode):
        ddl, options = case["schema"], dict(case.get("options", {}), mode=mode)
        messages = self.spark.createDataFrame([(json_file.payload(case),)], T.StructType([T.StructField("value", T.BinaryType())]))
        strings = messages.selectExpr("CAST(value AS STRING) AS value")
        kind = self.schema(ddl)
        try:
            if mode == "DROPMALFORMED":
                data = self.read(strings, ddl, options).select(F.struct("*").alias("data"))
            else:
                if mode == "PERMISSIVE":
                    options["columnNameOfCorruptRecord"] = CORRUPT
                    ddl += f", {CORRUPT} STRING"
                    kind = self.schema(ddl)
                data = strings.select(F.from_json("value", ddl, options).alias("data"))
            found = [rendered(kind, row[0]) for row in data.select(F.expr(encoded(kind, "data"))).collect()]
        except Exception as error:  # whatever Spark throws is its answer
            return self.failure(error)
        if not found:
            return {"fate": "dropped"}
        if len(found) > 1:
            return {"fate": "rows", "rows": found}
        return {"fate": "null"} if found[0] is None else {"fate": "row", "row": found[0]}

    def read(self, strings, ddl, options):
        """spark.read.json over a Dataset[String], which only the JVM's side offers for a DataFrame's column."""
        dataset = getattr(strings._jdf, "as")(self.spark._jvm.org.apache.spark.sql.Encoders.STRING())
        reader = self.spark._jsparkSession.read().schema(ddl)
        for name, value in options.items():
            reader = reader.option(name, value)
        return DataFrame(reader.json(dataset), self.spark)

    @staticmethod
    def failure(error):
        condition = getattr(error, "getCondition", lambda: None)()
        stack = str(error) + str(getattr(error, "_cause", "") or "") + str(getattr(error, "java_exception", "") or "")
        if condition is None:
            named = re.search(r"\[([A-Z][A-Z0-9_]+(?:\.[A-Z0-9_]+)*)\]", stack)
            condition = named.group(1) if named else type(error).__name__
        causes = re.findall(r"Caused by: ([\w.$]+)", Oracle.java_stack(error) or stack)
        return {"fate": "error", "condition": condition, "cause": causes[-1] if causes else ""}

    @staticmethod
    def java_stack(error):
        origin = getattr(error, "_origin", None) or getattr(error, "java_exception", None)
        causes = []
        while origin is not None and len(causes) < 20:
            causes.append("Caused by: " + origin.getClass().getName())
            origin = origin.getCause()
        return "\n".join(causes)


def differs(case):
    """Where a row is kept, Spark's PERMISSIVE ought to have the same (written out: -0.0 is not 0.0)."""
    ours, theirs = case["forebay"]["quarantine"], case["spark"]["PERMISSIVE"]
    if ours["fate"] != "row":
        return False
    if theirs["fate"] != "row":
        return True
    expected = dict(ours["row"], **{CORRUPT: None})
    return json.dumps(expected, sort_keys=True) != json.dumps(theirs["row"], sort_keys=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--all", action="store_true", help="ask again what was answered before")
    arguments.add_argument("--only", default="", help="a regular expression of case ids")
    chosen = arguments.parse_args()
    cases = json_file.load()
    wanted = [c for c in cases if re.search(chosen.only, c["id"]) and (chosen.all or "spark" not in c)]
    print(f"asking Spark about {len(wanted)} of {len(cases)} cases")
    oracle = Oracle() if wanted else None
    begin = time.time()
    for number, case in enumerate(wanted, 1):
        started = time.time()
        case["spark"] = {mode: oracle.ask(case, mode) for mode in MODES}
        if time.time() - started > 10:
            print(f"  {case['id']} took {time.time() - started:.0f} s")
        if number % 50 == 0:
            print(f"  {number} after {time.time() - begin:.0f} s", flush=True)
            json_file.save(cases)
    json_file.save(cases)
    unlike = [c for c in cases if "spark" in c and differs(c)]
    print(f"{len(unlike)} cases where a row kept in quarantine mode is not PERMISSIVE's row:")
    for case in unlike:
        print(f"  {case['id']}\n    forebay {json.dumps(case['forebay']['quarantine'].get('row'))}\n    spark   {json.dumps(case['spark']['PERMISSIVE'])}")


if __name__ == "__main__":
    main()
