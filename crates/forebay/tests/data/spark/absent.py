# The pipeline `absent` as a Spark Structured Streaming job, written by
# `forebay spark absent.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0,io.delta:delta-spark_2.13:4.0.0 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "absent")

spark = (
    SparkSession.builder.appName("absent")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .getOrCreate()
)
queries = []

# line 3: source `iot`
# source `iot`: Spark's streams take no `endingOffsets`, they end at the latest
# source `iot`: records that do not decode are dropped; Spark has no quarantine
(
    spark.readStream.format("kafka")
    .option("subscribe", "t")
    .option("kafka.bootstrap.servers", "localhost:9092")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "device_id STRING, temperature DOUBLE, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*")
    .drop("_forebay_corrupt")
    .createOrReplaceTempView("`iot`")
)

# line 12: query `table`
# query `table`: `autoCompact.minNumFiles` has no counterpart in Spark
queries.append(
    spark.sql("SELECT * FROM iot")
    .writeStream.queryName("table")
    .format("delta")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "table"))
    .option("path", os.path.join(DATA, "t"))
    .option("delta.targetFileSize", "67108864")
    .start()
)

# alert `hot`: alerts have no counterpart in Spark
# `quarantine`: the quarantine has no counterpart in Spark
# `dashboard`: the page has no counterpart in Spark

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
