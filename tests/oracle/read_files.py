#!/usr/bin/env python3
"""Reads a folder of CSV files with Spark, and with pandas if it is installed, and an archive of a cycle; compares rows.

    scripts/services/spark-python.sh tests/oracle/read_files.py FOLDER SCHEMA COUNT

SCHEMA is Spark DDL. Every reader must find COUNT rows, and the same ones.
"""

import csv
import glob
import sys

from spark_session import session


def main():
    folder, schema, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    spark = session("read-files")
    rows = spark.read.schema(schema).option("header", True).csv(folder).collect()
    by_spark = sorted(tuple("" if value is None else str(value) for value in row) for row in rows)
    plain = []
    for name in glob.glob(f"{folder}/*.csv"):
        with open(name, newline="", encoding="utf-8") as file:
            plain += [tuple(row) for row in list(csv.reader(file))[1:]]
    assert len(by_spark) == count, f"Spark finds {len(by_spark)} rows of {count}"
    assert sorted(plain) == by_spark, "Python's csv and Spark read different rows"
    readers = ["Spark", "csv"]
    try:
        import pandas
    except ImportError:
        pandas = None
    if pandas is not None:
        frame = pandas.concat(pandas.read_csv(name, dtype=str, keep_default_na=False) for name in glob.glob(f"{folder}/*.csv"))
        assert sorted(tuple(row) for row in frame.itertuples(index=False)) == by_spark, "pandas reads different rows"
        readers.append("pandas")
    print(f"OK {count} rows by {', '.join(readers)}")


if __name__ == "__main__":
    main()
