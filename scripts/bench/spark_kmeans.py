"""k-means of two clusters in Spark ML: trained from a CSV file (`train`), or applied to a topic's JSON and appended to a Delta table.

    scripts/services/learning-python.sh scripts/bench/spark_kmeans.py BOOTSTRAP TOPIC SCHEMA TABLE CHECKPOINT CSV MODEL [train]

A row's score is its distance from the centre that the model predicts for it.
"""

import sys

from pyspark.ml import PipelineModel, Pipeline
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import VectorAssembler
from pyspark.sql.functions import array, col, expr, from_json, lit
from spark_session import session

bootstrap, topic, schema, table, checkpoint, csv, model, *more = sys.argv[1:]
spark = session("k-means")
if more == ["train"]:
    rows = spark.read.csv(csv, header=True, inferSchema=True)
    stages = [VectorAssembler(inputCols=["temperature", "humidity"], outputCol="features"), KMeans(k=2, seed=1, maxIter=100, tol=1e-6)]
    Pipeline(stages=stages).fit(rows).save(model)
else:
    fitted = PipelineModel.load(model)
    centres = array(*[array(*[lit(float(x)) for x in centre]) for centre in fitted.stages[1].clusterCenters()])
    stream = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    parsed = stream.selectExpr("CAST(value AS STRING) as json").select(from_json(col("json"), schema).alias("data")).select("data.*")
    scored = fitted.transform(parsed).withColumn("centre", centres[col("prediction")])
    scored = scored.select(
        "device_id", "temperature", "humidity", expr("sqrt(pow(temperature - centre[0], 2) + pow(humidity - centre[1], 2))").alias("score")
    )
    query = scored.writeStream.format("delta").option("checkpointLocation", checkpoint).trigger(availableNow=True).start(table)
    query.awaitTermination()
spark.stop()
