#!/usr/bin/env python3
"""Prints a Delta table as canonical JSON lines, read by Spark or by Python's deltalake.

    scripts/services/spark-python.sh tests/oracle/read_delta.py --with spark TABLE
    scripts/services/python.sh       tests/oracle/read_delta.py --with deltalake TABLE
    ... TABLE --where "p = '../..'"      only rows for which the SQL condition holds (a test of data skipping)
    ... TABLE --columns id,name          only these columns
    ... TABLE --count                    only the last line

Several tables may be named: before each table's lines then stands {"table": NAME}. One line per row, sorted, so that
two readers (or a reader and an expectation) can be compared as texts; the last line is {"count": ROWS, "version": V}.

How values are written:
    BOOLEAN, integers      JSON booleans and numbers
    FLOAT, DOUBLE          JSON numbers; "NaN", "Infinity", "-Infinity"
    DECIMAL(p,s)           strings with s digits after the point
    STRING                 strings
    BINARY                 base64
    DATE                   "2024-02-29"
    TIMESTAMP              "2024-02-29T12:34:56.789012Z"; TIMESTAMP_NTZ the same without Z
    STRUCT                 objects
    MAP                    arrays of [key, value], sorted by key
    ARRAY                  arrays
Keys of objects are sorted.
"""

import argparse
import base64
import datetime
import decimal
import json
import math
import os
import sys


def canonical(value):
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return value
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, datetime.datetime):
        zone = "" if value.tzinfo is None else "Z"
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return value.isoformat(timespec="microseconds") + zone
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, Pairs):
        pairs = [[canonical(k), canonical(v)] for k, v in value]
        return sorted(pairs, key=lambda pair: json.dumps(pair[0]))
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    raise TypeError(f"no canonical form for {type(value)}")


class Pairs(list):
    """The entries of a MAP."""


def with_spark(tables, columns, where, count_only):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "services"))
    from pyspark.sql import functions as f
    from pyspark.sql import types as t
    from spark_session import session

    def plain(value, ty):
        """Spark's Row and dict to ours; a TIMESTAMP comes as a naive local time, the process runs in UTC."""
        if value is None:
            return None
        if isinstance(ty, t.TimestampType):
            return value.replace(tzinfo=datetime.timezone.utc)
        if isinstance(ty, t.StructType):
            return {field.name: plain(value[field.name], field.dataType) for field in ty.fields}
        if isinstance(ty, t.ArrayType):
            return [plain(item, ty.elementType) for item in value]
        if isinstance(ty, t.MapType):
            return Pairs((plain(k, ty.keyType), plain(v, ty.valueType)) for k, v in value.items())
        return value

    spark = session("read_delta")
    for table in tables:
        frame = spark.read.format("delta").load(table)
        history = spark.sql(f"DESCRIBE HISTORY delta.`{table}` LIMIT 1").collect()
        if where:
            frame = frame.where(where)
        if columns:
            frame = frame.select(*[f.col(name) for name in columns])
        schema = frame.schema
        rows = () if count_only else (plain(row, schema) for row in frame.collect())
        yield table, rows, frame.count(), history[0]["version"]
    spark.stop()


def with_deltalake(tables, columns, where, count_only):
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder

    def plain(value, ty):
        if value is None:
            return None
        if pa.types.is_timestamp(ty) and ty.tz is not None and value.tzinfo is None:
            return value.replace(tzinfo=datetime.timezone.utc)
        if pa.types.is_struct(ty):
            return {ty[i].name: plain(value[ty[i].name], ty[i].type) for i in range(ty.num_fields)}
        if pa.types.is_map(ty):
            return Pairs((plain(k, ty.key_type), plain(v, ty.item_type)) for k, v in value)
        if pa.types.is_list(ty) or pa.types.is_large_list(ty):
            return [plain(item, ty.value_type) for item in value]
        return value

    for path in tables:
        table = DeltaTable(path)
        names = ", ".join(f'"{name}"' for name in columns) if columns else "*"
        condition = f" WHERE {where}" if where else ""
        builder = QueryBuilder().register("t", table)
        result = builder.execute(f"SELECT {names} FROM t{condition}").read_all()
        data = pa.table(result)
        schema = data.schema
        rows = () if count_only else (
            {field.name: plain(row[field.name], field.type) for field in schema} for row in data.to_pylist()
        )
        yield path, rows, data.num_rows, table.version()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", metavar="TABLE")
    parser.add_argument("--with", dest="reader", choices=["spark", "deltalake"], default="spark")
    parser.add_argument("--columns", default="", help="names separated by commas")
    parser.add_argument("--where", help="an SQL condition")
    parser.add_argument("--count", action="store_true", help="no rows, only the last line")
    args = parser.parse_args()
    os.environ["TZ"] = "UTC"
    read = with_spark if args.reader == "spark" else with_deltalake
    columns = [name.strip() for name in args.columns.split(",") if name.strip()]
    tables = [os.path.abspath(table) for table in args.tables]
    for table, rows, count, version in read(tables, columns, args.where, args.count):
        if len(tables) > 1:
            print(json.dumps({"table": os.path.basename(table)}))
        for line in sorted(json.dumps(canonical(row), ensure_ascii=False, sort_keys=True) for row in rows):
            print(line)
        print(json.dumps({"count": count, "version": version}), flush=True)


if __name__ == "__main__":
    main()
