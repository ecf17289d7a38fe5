#!/usr/bin/env python3
"""What Spark's Kafka sink writes for a SELECT over a topic: the oracle of Forebay's.

    scripts/services/spark-python.sh tests/oracle/kafka_sink.py --bootstrap HOST:PORT --from TOPIC --to TOPIC --sql SELECT

The SELECT reads the table `events`, which has the columns of Spark's Kafka source.
"""

import argparse
import tempfile

from spark_session import session


def main():
    parser = argparse.ArgumentParser()
    for name in ["--bootstrap", "--from", "--to", "--sql"]:
        parser.add_argument(name, required=True)
    arguments = vars(parser.parse_args())
    spark = session("kafka")
    kafka = {"kafka.bootstrap.servers": arguments["bootstrap"]}
    source = dict(kafka, subscribe=arguments["from"], startingOffsets="earliest", includeHeaders="true")
    spark.readStream.format("kafka").options(**source).load().createOrReplaceTempView("events")
    with tempfile.TemporaryDirectory() as checkpoint:
        writer = spark.sql(arguments["sql"]).writeStream.format("kafka").options(**kafka, topic=arguments["to"])
        query = writer.option("checkpointLocation", checkpoint).trigger(availableNow=True).start()
        assert query.awaitTermination(120), "the stream did not end"
    spark.stop()


if __name__ == "__main__":
    main()
