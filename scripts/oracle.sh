#!/usr/bin/env bash
# Asks a real Spark for the answers of the streaming suite (tests/oracle/streaming.py says how).
#
#   scripts/oracle.sh regenerate [NAME ...]     stores its answers to all written cases, or to these
#   scripts/oracle.sh ask --out FILE [--live] [--random N --seed S] [NAME ...]
#
# The input goes through an Apache Kafka of its own, or through the one at FOREBAY_ORACLE_BOOTSTRAP. FOREBAY_BIN is the
# binary that makes Spark's jobs (the release build if not given).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/services/common.sh
[ $# -gt 0 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }

forebay="${FOREBAY_BIN:-${CARGO_TARGET_DIR:-target}/release/forebay}"
[ -x "$forebay" ] || die "there is no $forebay: build it first (make build), or name one with FOREBAY_BIN"
need clients "$clients_version"
bootstrap="${FOREBAY_ORACLE_BOOTSTRAP:-}"
if [ -z "$bootstrap" ]; then
  port=$((12000 + RANDOM % 20000)) # below those that the system gives to outgoing connections
  # Records of 2024 and older must stay.
  bootstrap="$(KAFKA_HEAP=512m KAFKA_EXTRA="log.retention.ms=-1" scripts/services/kafka.sh start --port "$port")"
  trap 'scripts/services/kafka.sh stop --port "$port"' EXIT
fi
FOREBAY_CLIENTS="$(echo "$clients_venv"/lib/python3*/site-packages)"
export FOREBAY_CLIENTS
scripts/services/spark-python.sh tests/oracle/streaming.py "$@" --bootstrap "$bootstrap" --forebay "$forebay"
