#!/usr/bin/env bash
# Runs Python with the clients the tests use (kafka-python, confluent-kafka, deltalake, pyarrow, jsonschema, schemathesis):
#   scripts/services/python.sh script.py ARGS...
set -euo pipefail
. "$(dirname "$0")/common.sh"
need clients "$clients_version"
exec "$clients_venv/bin/python" "$@"
