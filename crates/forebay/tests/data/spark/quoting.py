# The pipeline `quoting` as a Spark Structured Streaming job, written by
# `forebay spark quoting.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "quoting")

spark = (
    SparkSession.builder.appName("quoting")
    .config("spark.sql.session.timeZone", "UTC")
    .getOrCreate()
)
queries = []

# line 4: source `odd`
# source `odd`: records that do not decode are dropped; Spark has no quarantine
(
    spark.readStream.format("kafka")
    .option("subscribe", "t")
    .option("kafka.bootstrap.servers", "localhost:9092")
    .option("kafka.client.id", "x\"); import os; os.system('ls') #")
    .option("kafka.client.rack", "back\\slash")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "a STRING COMMENT 'it is \"\"\" here', b INT, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*")
    .drop("_forebay_corrupt")
    .createOrReplaceTempView("`odd`")
)

# line 14: query `one`
queries.append(
    spark.sql("""
SELECT a, '"\"\"' AS q, "x\\\\n" AS n, 'a\\\\' AS back
FROM odd -- "\"\" + os.system("ls")
WHERE b > 0
""")
    .writeStream.queryName("one")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "one"))
    .start()
)

# line 20: query `two`
queries.append(
    spark.sql("SELECT a AS `end\"` FROM odd")
    .writeStream.queryName("two")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "two"))
    .start()
)

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
