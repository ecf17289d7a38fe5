"""The seed's job in Spark: nested events from a topic, a row for each device, appended to PostgreSQL by JDBC in `foreachBatch`;
and how often each status came in each minute. Both tables must be there.

    FOREBAY_POSTGRES_PASSWORD=… scripts/services/spark-python.sh tests/oracle/devices_job.py \\
        --bootstrap B --topic T --url jdbc:postgresql://… --user U --events TABLE --status TABLE
"""

import argparse
import os
import tempfile

from pyspark.sql.functions import col, count, explode, from_json, lit, window
from spark_session import session

# `stringtype` lets PostgreSQL read a text as whatever its column is: a uuid.
STRINGS = "?stringtype=unspecified"
SCHEMA = (
    "eventId STRING, eventOffset BIGINT, eventPublisher STRING, customerId STRING, "
    "data STRUCT<devices: ARRAY<STRUCT<deviceId: STRING, temperature: DOUBLE, measure: STRING, status: STRING>>>, "
    "eventTime TIMESTAMP"
)

parser = argparse.ArgumentParser()
for name in ("bootstrap", "topic", "url", "user", "events", "status"):
    parser.add_argument(f"--{name}", required=True)
args = parser.parse_args()

spark = session("devices")


def rows():
    """The topic's events, a row for each device."""
    stream = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", args.bootstrap)
        .option("subscribe", args.topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    parsed = stream.select(from_json(col("value").cast("string"), SCHEMA).alias("event")).select("event.*")
    return parsed.withColumn("device", explode("data.devices")).select(
        "eventId", "customerId", "eventOffset", "eventPublisher", "eventTime",
        "device.deviceId", "device.measure", "device.status", "device.temperature",
    )


def into(table):
    """What `foreachBatch` calls: appends a batch to a table."""
    properties = {
        "user": args.user, "password": os.environ["FOREBAY_POSTGRES_PASSWORD"],
        "driver": "org.postgresql.Driver", "batchsize": "10000",
    }

    def append(batch, _):
        batch.write.jdbc(args.url + STRINGS, table, mode="append", properties=properties)

    return append


def run(frame, table):
    query = (
        frame.writeStream.foreachBatch(into(table))
        .outputMode("append")
        .option("checkpointLocation", tempfile.mkdtemp())
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()


run(rows(), args.events)
by_status = (
    rows()
    .withWatermark("eventTime", "10 seconds")
    .groupBy(window("eventTime", "1 minute"), "status")
    .agg(count(lit(1)).alias("events"))
    .select(col("window.start").alias("window_start"), col("window.end").alias("window_end"), "status", "events")
)
run(by_status, args.status)
print("OK written")
spark.stop()
