# The pipeline `joins` as a Spark Structured Streaming job, written by
# `forebay spark joins.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "joins")

spark = (
    SparkSession.builder.appName("joins")
    .config("spark.sql.session.timeZone", "UTC")
    .getOrCreate()
)
queries = []

# line 3: source `l`
# source `l`: records that do not decode are dropped; Spark has no quarantine
# source `l`: late rows vanish; Spark has no late table
# source `l`: any clock moves the watermark, also one more than `maxFutureSkew` (5 minutes) fast
(
    spark.readStream.format("kafka")
    .option("subscribe", "l")
    .option("kafka.bootstrap.servers", "localhost:9092")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "id INT, s BIGINT, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*")
    .drop("_forebay_corrupt")
    .withColumn("_event_time", F.expr("timestamp_seconds(s)"))
    .withWatermark("_event_time", "10 seconds")
    .createOrReplaceTempView("`l`")
)

# line 4: source `r`
# source `r`: records that do not decode are dropped; Spark has no quarantine
# source `r`: late rows vanish; Spark has no late table
# source `r`: any clock moves the watermark, also one more than `maxFutureSkew` (5 minutes) fast
(
    spark.readStream.format("kafka")
    .option("subscribe", "r")
    .option("kafka.bootstrap.servers", "localhost:9092")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "rid INT, rt TIMESTAMP, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*")
    .drop("_forebay_corrupt")
    .withWatermark("rt", "5 seconds")
    .createOrReplaceTempView("`r`")
)

# line 6: query `bounded`
spark.conf.set("spark.sql.streaming.multipleWatermarkPolicy", "max")
queries.append(
    spark.sql("SELECT id, rt FROM l JOIN r ON id = rid AND rt > _event_time")
    .writeStream.queryName("bounded")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "bounded"))
    .start()
)

# line 7: query `starred`
# query `starred`: its `*` also gives _event_time or _kafka in Spark
spark.conf.set("spark.sql.streaming.multipleWatermarkPolicy", "min")
queries.append(
    spark.sql("SELECT * FROM l JOIN r ON id = rid")
    .writeStream.queryName("starred")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "starred"))
    .start()
)

# line 8: query `clause`
spark.conf.set("spark.sql.streaming.multipleWatermarkPolicy", "min")
(
    spark.table("`r`")
    .withWatermark("rt", "1 MINUTE")
    .createOrReplaceTempView("`r_timed_1`")
)
queries.append(
    spark.sql("SELECT rt, rid FROM `r_timed_1` AS r WHERE rid > 0")
    .writeStream.queryName("clause")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "clause"))
    .start()
)

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
