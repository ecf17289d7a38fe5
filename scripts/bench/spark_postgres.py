"""The seed's job in Spark with default settings: a row for each device of a topic's events, appended to PostgreSQL by JDBC.

    scripts/services/spark-python.sh scripts/bench/spark_postgres.py BOOTSTRAP TOPIC SCHEMA URL TABLE CHECKPOINT
"""

import os
import sys

from pyspark.sql.functions import col, explode, from_json
from spark_session import session

bootstrap, topic, schema, url, table, checkpoint = sys.argv[1:]
spark = session("bench")
stream = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", bootstrap)
    .option("subscribe", topic)
    .option("startingOffsets", "earliest")
    .load()
)
parsed = stream.select(from_json(col("value").cast("string"), schema).alias("event")).select("event.*")
rows = (
    parsed.withColumn("device", explode("data.devices"))
    .select(
        "eventId", "customerId", "eventOffset", "eventPublisher", "eventTime",
        "device.deviceId", "device.measure", "device.status", "device.temperature",
    )
    .where("deviceId IS NOT NULL")
)
properties = {
    "user": "forebay", "password": os.environ["FOREBAY_POSTGRES_PASSWORD"], "driver": "org.postgresql.Driver", "batchsize": "10000",
}
query = (
    rows.writeStream.foreachBatch(lambda batch, _: batch.write.jdbc(url, table, mode="append", properties=properties))
    .outputMode("append")
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()
spark.stop()
