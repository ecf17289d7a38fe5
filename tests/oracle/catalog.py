#!/usr/bin/env python3
"""What Spark reads of a table of a catalog, by its path and by a name of its own: catalog.py FOLDER OUT"""

import json
import pathlib
import sys

from spark_session import session

folder, out = sys.argv[1:]
spark = session("catalog", cores=1, memory="1g")
spark.sql("CREATE SCHEMA IF NOT EXISTS kafka_table")
spark.sql(f"CREATE TABLE kafka_table.pir_stream_test USING delta LOCATION '{folder}'")
named = spark.table("kafka_table.pir_stream_test")
answer = {"by_path": spark.read.format("delta").load(folder).count(), "by_name": named.count(),
          "movements": [row["movement"] for row in named.select("movement").distinct().collect()]}
pathlib.Path(out).write_text(json.dumps(answer))
spark.stop()
