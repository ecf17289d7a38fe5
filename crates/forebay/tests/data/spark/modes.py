# The pipeline `modes` as a Spark Structured Streaming job, written by
# `forebay spark modes.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "modes")

spark = (
    SparkSession.builder.appName("modes")
    .config("spark.sql.session.timeZone", "UTC")
    .getOrCreate()
)
queries = []

# line 4: source `set_aside`
# source `set_aside`: records that do not decode are dropped; Spark has no quarantine
(
    spark.readStream.format("kafka")
    .option("subscribePattern", "t.*")
    .option("kafka.bootstrap.servers", "a:1,b:2")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "a INT, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
        F.struct("key", "value", "topic", "partition", "offset", "timestamp", "timestampType").alias("_kafka"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*", "_kafka")
    .drop("_forebay_corrupt")
    .createOrReplaceTempView("`set_aside`")
)

# line 5: source `nulls`
# source `nulls`: `maxDepth` has no counterpart in Spark
(
    spark.readStream.format("kafka")
    .option("assign", "{\"t\":[0,1]}")
    .option("kafka.bootstrap.servers", "a:1")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "a INT, bad STRING, t TIMESTAMP",
            {"mode": "PERMISSIVE", "timestampFormat": "dd.MM.yyyy", "columnNameOfCorruptRecord": "bad"},
        ).alias("data"),
        F.struct("key", "value", "topic", "partition", "offset", "timestamp", "timestampType").alias("_kafka"),
    )
    .select("data.*", "_kafka")
    .createOrReplaceTempView("`nulls`")
)

# line 10: source `dropped`
(
    spark.readStream.format("kafka")
    .option("subscribe", "t")
    .option("includeHeaders", "true")
    .option("kafka.bootstrap.servers", "a:1")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "a INT, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
        F.struct("key", "value", "topic", "partition", "offset", "timestamp", "timestampType", "headers").alias("_kafka"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*", "_kafka")
    .drop("_forebay_corrupt")
    .createOrReplaceTempView("`dropped`")
)

# line 11: source `strict-one`
(
    spark.readStream.format("kafka")
    .option("subscribe", "t")
    .option("kafka.bootstrap.servers", "a:1")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "a INT",
            {"mode": "FAILFAST"},
        ).alias("data"),
        F.struct("key", "value", "topic", "partition", "offset", "timestamp", "timestampType").alias("_kafka"),
    )
    .select("data.*", "_kafka")
    .createOrReplaceTempView("`strict-one`")
)

# line 12: source `raw`
# source `raw`: `maxBatchBytes` has no counterpart in Spark
(
    spark.readStream.format("kafka")
    .option("subscribe", "t")
    .option("failOnDataLoss", "false")
    .option("maxOffsetsPerTrigger", "100")
    .option("minOffsetsPerTrigger", "10")
    .option("maxTriggerDelay", "60s")
    .option("kafka.bootstrap.servers", "a:1")
    .load()
    .createOrReplaceTempView("`raw`")
)

# line 14: query `one`
queries.append(
    spark.sql("SELECT * EXCEPT (_kafka), _kafka.offset AS at FROM set_aside")
    .writeStream.queryName("one")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "one"))
    .start()
)

# line 15: query `two`
# query `two`: Spark cuts values after 20 characters or not at all, `truncate` takes no number
queries.append(
    spark.sql("SELECT a FROM nulls")
    .writeStream.queryName("two")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "two"))
    .option("numRows", "5")
    .start()
)

# line 16: query `three`
queries.append(
    spark.sql("SELECT a FROM dropped")
    .writeStream.queryName("three")
    .format("console")
    .outputMode("append")
    .trigger(availableNow=True)
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "three"))
    .option("truncate", "false")
    .start()
)

# line 17: query `four`
queries.append(
    spark.sql("SELECT a FROM `strict-one`")
    .writeStream.queryName("four")
    .format("console")
    .outputMode("append")
    .trigger(once=True)
    .option("checkpointLocation", os.path.join(DATA, "own/folder-spark"))
    .start()
)

# line 18: query `five`
queries.append(
    spark.sql("SELECT CAST(value AS STRING) AS text FROM raw")
    .writeStream.queryName("five")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "five"))
    .start()
)

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
