# The pipeline `update` as a Spark Structured Streaming job, written by
# `forebay spark update.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0,io.delta:delta-spark_2.13:4.0.0 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "update")

spark = (
    SparkSession.builder.appName("update")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .getOrCreate()
)


def merged(path, keys, partition_by=(), **properties):
    """Each row takes the place of the one with the same keys. Delta's own sink takes no rows of update mode."""
    same = " AND ".join(f"old.{key} <=> new.{key}" for key in keys)
    table = path if "://" in path else os.path.abspath(path)

    def write(rows, epoch):
        if epoch == 0:
            nothing = rows.limit(0).write.format("delta").mode("ignore")
            nothing.partitionBy(*partition_by).options(**properties).save(table)
        rows.createOrReplaceTempView("new")
        rows.sparkSession.sql(
            f"MERGE INTO delta.`{table}` AS old USING new ON {same} "
            "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
        )

    return write


queries = []

# line 4: source `iot`
# source `iot`: records that do not decode are dropped; Spark has no quarantine
# source `iot`: late rows vanish; Spark has no late table
(
    spark.readStream.format("kafka")
    .option("subscribe", "iot")
    .option("kafka.bootstrap.servers", "broker:9092")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "device_id STRING, temperature DOUBLE, at TIMESTAMP, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*")
    .drop("_forebay_corrupt")
    .withWatermark("at", "10 seconds")
    .createOrReplaceTempView("`iot`")
)

# line 11: query `newest`
queries.append(
    spark.sql("SELECT device_id, max(temperature) AS most FROM iot GROUP BY device_id")
    .writeStream.queryName("newest")
    .outputMode("update")
    .trigger(processingTime="1 second")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "newest"))
    .foreachBatch(merged(os.path.join(DATA, "newest"), ["`device_id`"]))
    .start()
)

# line 16: query `minutes`
# query `minutes`: `compression` has no counterpart in MERGE
queries.append(
    spark.sql("""
SELECT window.start AS minute, device_id, count(*) AS n
FROM iot GROUP BY window(at, '1 minute'), device_id
""")
    .writeStream.queryName("minutes")
    .outputMode("update")
    .trigger(processingTime="5 seconds")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "minutes"))
    .foreachBatch(merged("/srv/minutes", ["`minute`", "`device_id`"], partition_by=["device_id"], **{"delta.targetFileSize": "67108864", "delta.logRetentionDuration": "interval 7200 seconds"}))
    .start()
)

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
