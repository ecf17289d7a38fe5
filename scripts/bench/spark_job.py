"""The plant's job as its authors describe it, in Spark with default settings: a topic's JSON appended to a Delta table;
with `windows`, what each device did in each ten seconds; with `csv`, appended to CSV files.

    scripts/services/spark-python.sh scripts/bench/spark_job.py BOOTSTRAP TOPIC SCHEMA TABLE CHECKPOINT [windows|csv]
"""

import sys

from pyspark.sql.functions import avg, col, count, from_json, lit, max, timestamp_seconds, window
from spark_session import session

bootstrap, topic, schema, table, checkpoint, *more = sys.argv[1:]
spark = session("bench")
stream = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", bootstrap)
    .option("subscribe", topic)
    .option("startingOffsets", "earliest")
    .load()
)
parsed = (
    stream.selectExpr("CAST(value AS STRING) as json")
    .select(from_json(col("json"), schema).alias("data"))
    .select("data.*")
)
if more == ["windows"]:
    parsed = (
        parsed.withColumn("at", timestamp_seconds("timestamp"))
        .withWatermark("at", "10 seconds")
        .groupBy(window("at", "10 seconds"), "device_id")
        .agg(avg("temperature").alias("mean"), max("humidity").alias("most"), count(lit(1)).alias("n"))
        .select(col("window.start").alias("start"), "device_id", "mean", "most", "n")
    )
query = (
    parsed.writeStream.format("csv" if more == ["csv"] else "delta")
    .outputMode("append")
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start(table)
)
query.awaitTermination()
spark.stop()
