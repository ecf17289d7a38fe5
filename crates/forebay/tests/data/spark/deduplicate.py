# The pipeline `deduplicate` as a Spark Structured Streaming job, written by
# `forebay spark deduplicate.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "deduplicate")

spark = (
    SparkSession.builder.appName("deduplicate")
    .config("spark.sql.session.timeZone", "UTC")
    .getOrCreate()
)
queries = []

# line 3: source `plain`
# source `plain`: records that do not decode are dropped; Spark has no quarantine
# source `plain`: late rows vanish; Spark has no late table
(
    spark.readStream.format("kafka")
    .option("subscribe", "t")
    .option("kafka.bootstrap.servers", "localhost:9092")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "id STRING, at TIMESTAMP, v INT, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*")
    .drop("_forebay_corrupt")
    .withWatermark("at", "500 milliseconds")
    .createOrReplaceTempView("`plain`")
)

# line 9: source `computed`
# source `computed`: records that do not decode are dropped; Spark has no quarantine
# source `computed`: late rows vanish; Spark has no late table
# source `computed`: any clock moves the watermark, also one more than `maxFutureSkew` (5 minutes) fast
(
    spark.readStream.format("kafka")
    .option("subscribe", "t")
    .option("kafka.bootstrap.servers", "localhost:9092")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "id STRING, s BIGINT, v INT, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*")
    .drop("_forebay_corrupt")
    .withColumn("_event_time", F.expr("timestamp_seconds(s)"))
    .withWatermark("_event_time", "1 minute")
    .createOrReplaceTempView("`computed`")
)

# line 16: view `once`
(
    spark.sql("SELECT id, v, at FROM plain")
    .dropDuplicates(["id", "at"])
    .createOrReplaceTempView("`once`")
)

# line 18: query `a`
queries.append(
    spark.sql("SELECT id FROM once")
    .writeStream.queryName("a")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "a"))
    .start()
)

# line 19: query `b`
queries.append(
    spark.sql("SELECT * FROM plain")
    .dropDuplicatesWithinWatermark(["id"])
    .writeStream.queryName("b")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "b"))
    .start()
)

# line 20: query `c`
queries.append(
    spark.sql("SELECT id, v, _event_time FROM computed")
    .dropDuplicatesWithinWatermark(["id"])
    .drop("_event_time")
    .writeStream.queryName("c")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "c"))
    .start()
)

# line 21: query `d`
# `queries.d`: Spark remembers a key for the delay of the watermark, not for `within` (1 hour)
queries.append(
    spark.sql("SELECT * FROM computed")
    .dropDuplicatesWithinWatermark(["id"])
    .drop("_event_time")
    .writeStream.queryName("d")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "d"))
    .start()
)

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
