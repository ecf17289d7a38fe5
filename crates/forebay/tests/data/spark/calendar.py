# The pipeline `calendar` as a Spark Structured Streaming job, written by
# `forebay spark calendar.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "calendar")

spark = (
    SparkSession.builder.appName("calendar")
    .config("spark.sql.session.timeZone", "+02:00")
    .getOrCreate()
)
queries = []

# line 4: source `iot`
# source `iot`: late rows vanish; Spark has no late table
(
    spark.readStream.format("kafka")
    .option("subscribe", "t")
    .option("failOnDataLoss", "true")
    .option("kafka.bootstrap.servers", "localhost:9092")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "device_id STRING, at TIMESTAMP",
            {"mode": "FAILFAST"},
        ).alias("data"),
    )
    .select("data.*")
    .withWatermark("at", "1 minute")
    .createOrReplaceTempView("`iot`")
)

# line 12: view `days`
# view `days`: `calendar_window` is Forebay's own; Spark's windows have one length and begin in UTC
(
    spark.sql("SELECT calendar_window.end AS day, count(*) AS n FROM iot GROUP BY calendar_window(at, 'day')")
    .createOrReplaceTempView("`days`")
)

# line 14: query `months`
# query `months`: `calendar_window` is Forebay's own; Spark's windows have one length and begin in UTC
queries.append(
    spark.sql("SELECT calendar_window, count(*) AS n FROM iot GROUP BY calendar_window(at, 'month', 'Europe/Berlin')")
    .writeStream.queryName("months")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "months"))
    .start()
)

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
