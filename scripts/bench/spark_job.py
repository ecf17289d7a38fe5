"""The plant's job as its authors describe it, in Spark with default settings: a topic's JSON appended to a Delta table.

    scripts/services/spark-python.sh scripts/bench/spark_job.py BOOTSTRAP TOPIC SCHEMA TABLE CHECKPOINT
"""

import sys

from pyspark.sql.functions import col, from_json
from spark_session import session

bootstrap, topic, schema, table, checkpoint = sys.argv[1:]
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
query = (
    parsed.writeStream.format("delta")
    .outputMode("append")
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start(table)
)
query.awaitTermination()
spark.stop()
