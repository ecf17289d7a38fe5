"""One way to open a Spark session in trials and oracles, so that all of them ask the same Spark.

Run through `scripts/services/spark-python.sh`, which names the jars in FOREBAY_SPARK_JARS.
"""

import atexit
import os
import shutil
import tempfile

from pyspark.sql import SparkSession


def session(app, cores=2, memory="2g", **options):
    """A local session on `cores` threads with the Kafka source and Delta Lake; times are in UTC.

    `options` are further settings; write `__` for a dot: `session("x", spark__sql__ansi__enabled="false")`.
    """
    scratch = tempfile.mkdtemp(prefix="forebay-spark-")
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    builder = (
        SparkSession.builder.appName(app)
        .master(f"local[{cores}]")
        .config("spark.jars", os.environ["FOREBAY_SPARK_JARS"])
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", str(cores))
        .config("spark.sql.warehouse.dir", f"{scratch}/warehouse")
        .config("spark.driver.memory", memory)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.extraJavaOptions", f"-Duser.timezone=UTC -Dderby.system.home={scratch}")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
    )
    for name, value in options.items():
        builder = builder.config(name.replace("__", "."), value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
