"""Compares pairs of Delta tables in Spark, by the query that follows them; fails if one differs or is empty.

    scripts/services/spark-python.sh scripts/bench/spark_check.py OURS THEIRS "SELECT … FROM TABLE …" [OURS THEIRS …]
"""

import sys

from spark_session import session

spark = session("bench-check")
arguments = sys.argv[1:]
while arguments:
    ours, theirs, sql, *arguments = arguments
    a, b = (
        sorted(map(tuple, spark.sql(sql.replace("TABLE", f"delta.`{path}`")).collect())) for path in (ours, theirs)
    )
    assert a, "nothing was compared"
    assert a == b, f"the tables differ: {[pair for pair in zip(a, b) if pair[0] != pair[1]][:3]}"
    print(f"OK {len(a)} groups equal")
spark.stop()
