# The pipeline `windows` as a Spark Structured Streaming job, written by
# `forebay spark windows.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0,io.delta:delta-spark_2.13:4.0.0 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "windows")

spark = (
    SparkSession.builder.appName("windows")
    .config("spark.sql.session.timeZone", "Europe/Berlin")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .getOrCreate()
)
queries = []

# line 4: source `iot`
# source `iot`: records that do not decode are dropped; Spark has no quarantine
# source `iot`: late rows vanish; Spark has no late table
# source `iot`: any clock moves the watermark, also one more than `maxFutureSkew` (5 minutes) fast
# source `iot`: while it is silent its windows stay open; Spark has no `idleTimeout`
(
    spark.readStream.format("kafka")
    .option("subscribe", "iot_topic")
    .option("startingOffsets", "earliest")
    .option("kafka.bootstrap.servers", "localhost:9092")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "device_id STRING, temperature DOUBLE, humidity DOUBLE, timestamp INT, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*")
    .drop("_forebay_corrupt")
    .withColumn("_event_time", F.expr("timestamp_seconds(timestamp)"))
    .withWatermark("_event_time", "10 seconds")
    .createOrReplaceTempView("`iot`")
)

# line 11: view `warm`
(
    spark.sql("SELECT device_id, temperature, timestamp, _event_time FROM iot WHERE temperature > 20")
    .createOrReplaceTempView("`warm`")
)

# line 13: query `lake`
queries.append(
    spark.sql("SELECT * EXCEPT (_event_time) FROM iot")
    .writeStream.queryName("lake")
    .format("delta")
    .outputMode("append")
    .trigger(processingTime="1 second")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "lake"))
    .option("path", os.path.join(DATA, "data/iot_data"))
    .partitionBy("device_id")
    .option("delta.logRetentionDuration", "interval 259200 seconds")
    .start()
)

# line 17: query `minutes`
# query `minutes`: Spark's state has no bound of its own, `stateLimit` has no counterpart
queries.append(
    spark.sql("""
SELECT window.start AS start, device_id, avg(temperature) AS mean
FROM warm
GROUP BY window(_event_time, '1 minute'), device_id
""")
    .writeStream.queryName("minutes")
    .format("delta")
    .outputMode("append")
    .trigger(processingTime="1 second")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "minutes"))
    .option("path", "/lake/minutes")
    .start()
)

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
