# The pipeline `fleet` as a Spark Structured Streaming job, written by
# `forebay spark expect.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "fleet")

spark = (
    SparkSession.builder.appName("fleet")
    .config("spark.sql.session.timeZone", "UTC")
    .getOrCreate()
)
queries = []

# line 3: source `cars`
# source `cars`: records that do not decode are dropped; Spark has no quarantine
# source `cars`: records that fail an expectation are left out; Spark has no quarantine
# source `cars`: a row for which an expectation cannot be computed stops the job; in Forebay it fails that
#   expectation
(
    spark.readStream.format("kafka")
    .option("subscribe", "cars")
    .option("kafka.bootstrap.servers", "localhost:9092")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "vin STRING, speed DOUBLE, lat DOUBLE, lon DOUBLE, engine STRING, gear INT, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*")
    .drop("_forebay_corrupt")
    .alias("cars")
    .where("CASE WHEN coalesce((\n`vin` IS NOT NULL\n), true) THEN true ELSE raise_error('a row fails the expectation vin_required') END")
    .where("coalesce((\n`speed` >= CAST('0' AS DOUBLE) AND `speed` <= CAST('300' AS DOUBLE) AND NOT isnan(`speed`)\n), true)")
    .where("coalesce((\n(`lat` >= CAST('-90' AS DOUBLE) AND `lat` <= CAST('90' AS DOUBLE)) AND NOT isnan(`lat`) AND (`lon` >= CAST('-180' AS DOUBLE) AND `lon` <= CAST('180' AS DOUBLE)) AND NOT isnan(`lon`)\n), true)")
    .where("coalesce((\ngear > 0 -- not in neutral\nOR speed = 0\n\n), true)")
    .withColumn("_failed_expectations", F.expr("filter(array(CASE WHEN NOT coalesce((\n`engine` IN ('idle', 'driving', 'driver\\'s')\n), true) THEN 'engine_in' END, CASE WHEN NOT coalesce((\n`vin` RLIKE '^\\\\d{3}\"\\'x$'\n), true) THEN 'vin_pattern' END), name -> name IS NOT NULL)"))
    .createOrReplaceTempView("`cars`")
)

# line 20: query `lake`
queries.append(
    spark.sql("SELECT * FROM cars")
    .writeStream.queryName("lake")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "lake"))
    .start()
)

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
