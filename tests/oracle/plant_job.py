"""The plant's job as its authors describe it, in Spark, on a topic; then its table compared with Forebay's.

    scripts/services/spark-python.sh tests/oracle/plant_job.py --bootstrap B --ours TABLE --theirs TABLE
"""

import argparse
import tempfile

from pyspark.sql.functions import col, from_json
from pyspark.sql.types import DoubleType, IntegerType, StringType, StructField, StructType
from spark_session import session

parser = argparse.ArgumentParser()
parser.add_argument("--bootstrap", required=True)
parser.add_argument("--ours", required=True)
parser.add_argument("--theirs", required=True)
args = parser.parse_args()

spark = session("plant")
schema = StructType([
    StructField("device_id", StringType(), True),
    StructField("temperature", DoubleType(), True),
    StructField("humidity", DoubleType(), True),
    StructField("timestamp", IntegerType(), True),
])
stream = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", args.bootstrap)
    .option("subscribe", "iot_topic")
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
    .option("checkpointLocation", tempfile.mkdtemp())
    .trigger(availableNow=True)
    .start(args.theirs)
)
query.awaitTermination()
theirs = spark.read.format("delta").load(args.theirs)
ours = spark.read.format("delta").load(args.ours)
assert theirs.schema == ours.schema, (theirs.schema, ours.schema)
count = theirs.count()
assert count > 0, "nothing was compared"
assert ours.count() == count, (ours.count(), count)
assert ours.exceptAll(theirs).isEmpty() and theirs.exceptAll(ours).isEmpty(), "rows differ"
print(f"OK equal tables: {count} rows")
analysis = spark.sql(
    "SELECT device_id, AVG(temperature) AS avg_temp, MAX(humidity) AS max_humidity "
    f"FROM delta.`{args.ours}` GROUP BY device_id ORDER BY device_id"
)
for row in analysis.collect():
    print(f"ROW {row.device_id}|{row.avg_temp!r}|{row.max_humidity!r}")
