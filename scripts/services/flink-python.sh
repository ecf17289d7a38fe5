#!/usr/bin/env bash
# Runs Python with Flink and its Kafka connector:
#   scripts/services/flink-python.sh script.py ARGS...
# FOREBAY_FLINK_JARS holds what `pipeline.jars` wants.
set -euo pipefail
. "$(dirname "$0")/common.sh"
need flink "$flink_version-$flink_kafka_version"
JAVA_HOME="$(find_java_home)"
export JAVA_HOME PYTHONDONTWRITEBYTECODE=1
unset FLINK_HOME FLINK_CONF_DIR
jars=("$flink_jars"/*.jar)
FOREBAY_FLINK_JARS="$(IFS=';'; printf '%s' "${jars[*]/#/file://}")"
export FOREBAY_FLINK_JARS
exec "$flink_venv/bin/python" "$@"
