#!/usr/bin/env bash
# Runs Python with Spark, its Kafka source and Delta Lake, and PostgreSQL's JDBC driver if it is installed:
#   scripts/services/spark-python.sh script.py ARGS...
# The script says `from spark_session import session` (see spark_session.py beside this file).
set -euo pipefail
. "$(dirname "$0")/common.sh"
need spark "$spark_version"
JAVA_HOME="$(find_java_home)"
export JAVA_HOME
export PYTHONPATH="$services_dir${PYTHONPATH:+:$PYTHONPATH}"
export PYSPARK_PYTHON="$spark_venv/bin/python" PYSPARK_DRIVER_PYTHON="$spark_venv/bin/python"
export PYTHONDONTWRITEBYTECODE=1
export SPARK_LOCAL_IP=127.0.0.1
unset SPARK_HOME
jars=("$spark_jars"/*.jar)
! installed pgjdbc "$pgjdbc_version" || jars+=("$pgjdbc_jars"/*.jar)
FOREBAY_SPARK_JARS="$(IFS=,; printf '%s' "${jars[*]}")"
export FOREBAY_SPARK_JARS
exec "$spark_venv/bin/python" "$@"
