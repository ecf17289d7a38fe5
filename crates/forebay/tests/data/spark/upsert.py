# The pipeline `upsert` as a Spark Structured Streaming job, written by
# `forebay spark upsert.yaml` for Spark 4.0.0. To run it:
#     spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0,org.postgresql:postgresql:42.7.4 JOB.py
#
# It has checkpoints of its own, so it begins where the options of the sources say, not where Forebay stopped.

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Where relative paths lie, and what the queries need to go on where they were.
DATA = os.environ.get("FOREBAY_DATA", "./forebay-data")
CHECKPOINTS = os.path.join(DATA, "spark-checkpoints", "upsert")

spark = (
    SparkSession.builder.appName("upsert")
    .config("spark.sql.session.timeZone", "UTC")
    .getOrCreate()
)


def by_key(name, keys, table, stage, epochs, table_options="", **options):
    """Each row takes the place of the one with the same keys, in one transaction with the batch's number: once, however often Spark comes."""
    jdbc = dict(options, driver="org.postgresql.Driver", stringtype="unspecified", dbtable=stage)

    def quoted(names):
        return ", ".join('"' + column.replace('"', '""') + '"' for column in names)

    def connected():
        jvm = spark._jvm
        jvm.org.apache.spark.sql.execution.datasources.jdbc.DriverRegistry.register("org.postgresql.Driver")
        properties = jvm.java.util.Properties()
        for option in ("user", "password"):
            if option in options:
                properties.setProperty(option, options[option])
        connection = jvm.java.sql.DriverManager.getConnection(options["url"], properties)
        if "sessionInitStatement" in options:
            connection.createStatement().execute(options["sessionInitStatement"])
        return connection

    def exists(connection):
        asked = connection.prepareStatement("SELECT to_regclass(?) IS NOT NULL")
        asked.setString(1, table)
        answer = asked.executeQuery()
        answer.next()
        return answer.getBoolean(1)

    def write(rows, epoch):
        columns = rows.columns
        key = [column for column in columns if column.lower() in [given.lower() for given in keys]]
        others = [column for column in columns if column not in key]
        query = next(str(it.id) for it in spark.streams.active if it.name == name)
        connection = connected()
        try:
            run = connection.createStatement().executeUpdate
            # Two queries that begin at once would make it both: IF NOT EXISTS does not keep them apart.
            ask = connection.createStatement().execute
            ask("SELECT pg_advisory_lock(hashtext('forebay_spark_epochs'))")
            run(f"CREATE TABLE IF NOT EXISTS {epochs} (query text PRIMARY KEY, epoch bigint NOT NULL)")
            ask("SELECT pg_advisory_unlock(hashtext('forebay_spark_epochs'))")
            if not exists(connection):
                rows.limit(0).write.format("jdbc").options(**jdbc).mode("overwrite").save()
                run(f"CREATE TABLE IF NOT EXISTS {table} (LIKE {stage}, PRIMARY KEY ({quoted(key)})) {table_options}")
            run(f"DROP TABLE IF EXISTS {stage}")
            run(
                f"CREATE UNLOGGED TABLE {stage} AS SELECT {quoted(columns)}, NULL::bigint AS forebay_order "
                f"FROM {table} WITH NO DATA"
            )
            numbered = rows.withColumn("forebay_order", F.monotonically_increasing_id())
            types = {option: value for option, value in jdbc.items() if option != "createTableColumnTypes"}
            numbered.write.format("jdbc").options(**types).mode("append").save()
            connection.setAutoCommit(False)
            is_new = run(
                f"INSERT INTO {epochs} AS told (query, epoch) VALUES ('{query}', {epoch}) ON CONFLICT (query) "
                "DO UPDATE SET epoch = EXCLUDED.epoch WHERE told.epoch < EXCLUDED.epoch"
            )
            if is_new:
                replaced = [f"{quoted([column])} = EXCLUDED.{quoted([column])}" for column in others]
                action = f"DO UPDATE SET {', '.join(replaced)}" if replaced else "DO NOTHING"
                run(
                    f"INSERT INTO {table} ({quoted(columns)}) SELECT DISTINCT ON ({quoted(key)}) {quoted(columns)} "
                    f"FROM {stage} ORDER BY {quoted(key)}, forebay_order DESC ON CONFLICT ({quoted(key)}) {action}"
                )
            run(f"DROP TABLE {stage}")
            connection.commit()
        finally:
            # What was not committed is undone.
            connection.close()

    return write


queries = []

# line 4: source `iot`
# source `iot`: records that do not decode are dropped; Spark has no quarantine
# source `iot`: late rows vanish; Spark has no late table
(
    spark.readStream.format("kafka")
    .option("subscribe", "iot")
    .option("kafka.bootstrap.servers", "broker:9092")
    .load()
    .select(
        F.from_json(
            F.col("value").cast("string"),
            "device_id STRING, temperature DOUBLE, at TIMESTAMP, _forebay_corrupt STRING",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_forebay_corrupt"},
        ).alias("data"),
    )
    .where("data IS NOT NULL AND data._forebay_corrupt IS NULL")
    .select("data.*")
    .drop("_forebay_corrupt")
    .withWatermark("at", "10 seconds")
    .createOrReplaceTempView("`iot`")
)

# line 11: query `last`
# query `last`: `lockTimeout` has no counterpart in Spark's JDBC
queries.append(
    spark.sql("SELECT * FROM iot")
    .writeStream.queryName("last")
    .outputMode("append")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "last"))
    .foreachBatch(by_key("last", ["device_id"], "\"My Plant\".last", "\"My Plant\".\"forebay_stage_upsert_last\"", "\"My Plant\".forebay_spark_epochs", user="ops", url="jdbc:postgresql://db:5432/plant?sslmode=verify-full", createTableColumnTypes="temperature REAL", table_options="WITH (fillfactor = 80)", sessionInitStatement="SET ROLE writer"))
    .start()
)

# line 23: query `newest`
queries.append(
    spark.sql("SELECT device_id, max(temperature) AS most FROM iot GROUP BY device_id")
    .writeStream.queryName("newest")
    .outputMode("update")
    .option("checkpointLocation", os.path.join(CHECKPOINTS, "newest"))
    .foreachBatch(by_key("newest", ["device_id"], "newest", "\"forebay_stage_upsert_newest\"", "forebay_spark_epochs", url="jdbc:postgresql://db/plant", user="ops"))
    .start()
)

if __name__ == "__main__":
    while not all([query.awaitTermination(1) for query in queries]):
        pass
