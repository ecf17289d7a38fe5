# The pipeline `registers` as a Spark Structured Streaming job, written by
# `forebay spark tables.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0,io.delta:delta-spark_2.13:4.0.0 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "registers")

spark = (
    SparkSession.builder.appName("registers")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .getOrCreate()
)
queries = []

# line 3: source `iot`
# source `iot`: records that do not decode are dropped; Spark has no quarantine
(
    spark.readStream.format("kafka")
    .option("subscribe", "iot")
    .option("kafka.bootstrap.servers", "broker:9092")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "id STRING, n INT, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*")
    .drop("_forebay_corrupt")
    .createOrReplaceTempView("`iot`")
)

# line 9: table `devices`
# table `devices`: Spark lists the files once, when the job starts, and reads them in each micro-batch; a file
#   that is new or takes another's place is seen only by the next start, and may fail a micro-batch
# table `devices`: `maxMemory` has no counterpart in Spark
(
    spark.read.format("csv")
    .schema("id STRING, site STRING")
    .option("header", "true")
    .option("sep", ";")
    .option("mode", "FAILFAST")
    .load(os.path.join(DATA, "devices.csv"))
    .createOrReplaceTempView("`devices`")
)

# line 15: table `limits`
# table `limits`: Spark lists the files once, when the job starts, and reads them in each micro-batch; a file
#   that is new or takes another's place is seen only by the next start, and may fail a micro-batch
(
    spark.read.format("json")
    .schema("id STRING, since DATE")
    .option("mode", "PERMISSIVE")
    .option("dateFormat", "dd.MM.yyyy")
    .load("/srv/limits.jsonl")
    .createOrReplaceTempView("`limits`")
)

# line 19: table `sites`
# table `sites`: as in Forebay each micro-batch is joined with the newest version; one that is repeated after
#   a crash with the newest then, not with its own
(
    spark.read.format("delta")
    .load(os.path.join(DATA, "lake/sites"))
    .createOrReplaceTempView("`sites`")
)

# line 20: table `shifts`
# table `shifts`: Spark lists the files once, when the job starts, and reads them in each micro-batch; a file
#   that is new or takes another's place is seen only by the next start, and may fail a micro-batch
(
    spark.read.format("parquet")
    .load(os.path.join(DATA, "shifts"))
    .createOrReplaceTempView("`shifts`")
)

# line 22: view `placed`
(
    spark.sql("SELECT id, city FROM devices JOIN sites USING (site)")
    .createOrReplaceTempView("`placed`")
)

# line 24: query `q`
queries.append(
    spark.sql("SELECT i.id, n, city FROM iot i LEFT JOIN placed p ON i.id = p.id")
    .writeStream.queryName("q")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "q"))
    .start()
)

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
