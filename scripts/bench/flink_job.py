"""What each of the plant's devices did in each ten seconds, by Flink SQL with default settings, into CSV files.

    scripts/services/flink-python.sh scripts/bench/flink_job.py BOOTSTRAP TOPIC FOLDER

The run ends where the topic ended when it began; the windows that are open then are written too.
"""

import os
import sys

from pyflink.table import EnvironmentSettings, TableEnvironment

bootstrap, topic, folder = sys.argv[1:]
flink = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
for name, value in {
    "pipeline.jars": os.environ["FOREBAY_FLINK_JARS"], "parallelism.default": "2", "table.local-time-zone": "UTC",
}.items():
    flink.get_config().set(name, value)
flink.execute_sql(f"""
    CREATE TABLE iot (
        device_id STRING, temperature DOUBLE, humidity DOUBLE, `timestamp` INT,
        seen AS TO_TIMESTAMP_LTZ(CAST(`timestamp` AS BIGINT) * 1000, 3),
        WATERMARK FOR seen AS seen - INTERVAL '10' SECOND
    ) WITH (
        'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{bootstrap}',
        'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json'
    )""")
flink.execute_sql(f"""
    CREATE TABLE lake (`start` TIMESTAMP(3), device_id STRING, mean DOUBLE, most DOUBLE, n BIGINT)
    WITH ('connector' = 'filesystem', 'path' = 'file://{folder}', 'format' = 'csv')""")
flink.execute_sql("""
    INSERT INTO lake
    SELECT window_start, device_id, AVG(temperature), MAX(humidity), COUNT(*)
    FROM TABLE(TUMBLE(TABLE iot, DESCRIPTOR(seen), INTERVAL '10' SECOND))
    GROUP BY window_start, window_end, device_id""").wait()
