# The pipeline `secrets` as a Spark Structured Streaming job, written by
# `forebay spark secrets.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "secrets")

spark = (
    SparkSession.builder.appName("secrets")
    .config("spark.sql.session.timeZone", "UTC")
    .getOrCreate()
)


def secret_file(path):
    """A secret from a file, without the line break at its end."""
    with open(path, encoding="utf-8") as file:
        return file.read().removesuffix("\n").removesuffix("\r")


queries = []

# line 3: source `iot`
# `kafka.ssl.key.password` may be a secret and is not in the job: set KAFKA_SSL_KEY_PASSWORD where it runs
# source `iot`: records that do not decode are dropped; Spark has no quarantine
(
    spark.readStream.format("kafka")
    .option("subscribe", "iot_${topic}")
    .option("kafka.bootstrap.servers", os.environ["BROKERS"])
    .option("kafka.sasl.jaas.config", "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"" + secret_file("/run/secrets/kafka") + "\";")
    .option("kafka.sasl.mechanism", "PLAIN")
    .option("kafka.security.protocol", "SASL_PLAINTEXT")
    .option("kafka.ssl.key.password", os.environ["KAFKA_SSL_KEY_PASSWORD"])
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "a INT, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*")
    .drop("_forebay_corrupt")
    .createOrReplaceTempView("`iot`")
)

# line 15: query `q`
queries.append(
    spark.sql("SELECT * FROM iot")
    .writeStream.queryName("q")
    .format("console")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "q"))
    .start()
)

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
