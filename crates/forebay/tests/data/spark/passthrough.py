# The pipeline `passthrough` as a Spark Structured Streaming job, written by
# `forebay spark passthrough.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "passthrough")

spark = (
    SparkSession.builder.appName("passthrough")
    .config("spark.sql.session.timeZone", "UTC")
    .getOrCreate()
)
queries = []

# line 4: source `iot`
(
    spark.readStream.format("kafka")
    .option("subscribe", "a,b")
    .option("startingOffsets", "{\"a\":{\"0\":23,\"1\":-2}}")
    .option("startingTimestamp", "1704067200000")
    .option("failOnDataLoss", "true")
    .option("groupIdPrefix", "lag")
    .option("kafka.bootstrap.servers", "localhost:9092")
    .load()
    .createOrReplaceTempView("`iot`")
)

# line 8: query `q`
queries.append(
    spark.sql("SELECT topic, count(*) AS n FROM iot GROUP BY topic")
    .writeStream.queryName("q")
    .format("console")
    .outputMode("complete")
    .trigger(processingTime="1500 milliseconds")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "q"))
    .start()
)

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
