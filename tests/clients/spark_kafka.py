#!/usr/bin/env python3
"""Spark's Kafka connector: a batch written, a batch read, and a stream read as in the seed.

    scripts/services/spark-python.sh tests/clients/spark_kafka.py --bootstrap 127.0.0.1:9092

Prints one OK line per scenario on stdout; any failure ends it with a traceback and exit code 1.
"""

import argparse
import tempfile
import uuid

from pyspark.sql.functions import col, from_json
from spark_session import session


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    bootstrap = parser.parse_args().bootstrap
    topic = f"spark-{uuid.uuid4().hex[:8]}"
    spark = session("kafka")
    kafka = {"kafka.bootstrap.servers": bootstrap}

    rows = spark.range(1000).selectExpr(
        "CAST(id % 3 AS STRING) AS key",
        "to_json(named_struct('device_id', concat('device_', id % 3), 'temperature', 20.0 + id % 60, 'number', id)) AS value",
    )
    rows.write.format("kafka").options(**kafka, topic=topic).save()
    print("OK Spark writes 1000 rows")

    source = dict(kafka, subscribe=topic, startingOffsets="earliest")
    batch = spark.read.format("kafka").options(**source).load()
    assert batch.count() == 1000, batch.count()
    assert batch.select("partition", "offset").distinct().count() == 1000
    print("OK Spark reads a batch")

    schema = "device_id STRING, temperature DOUBLE, number LONG"
    stream = spark.readStream.format("kafka").options(**source, maxOffsetsPerTrigger="300").load()
    parsed = stream.selectExpr("CAST(value AS STRING) AS json").select(from_json(col("json"), schema).alias("d")).select("d.*")
    with tempfile.TemporaryDirectory() as checkpoint:

        def run():
            writer = parsed.filter("temperature > 70").writeStream.format("memory").queryName("hot")
            query = writer.option("checkpointLocation", checkpoint).trigger(availableNow=True).start()
            assert query.awaitTermination(120), "the stream did not end"
            return len(query.recentProgress)

        batches = run()
        hot = {row.number for row in spark.sql("SELECT number FROM hot").collect()}
        assert hot == {n for n in range(1000) if 20 + n % 60 > 70}, len(hot)
        assert batches >= 4, batches
    print("OK Spark streams in several micro-batches")
    spark.stop()


if __name__ == "__main__":
    main()
