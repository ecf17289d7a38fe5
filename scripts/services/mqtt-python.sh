#!/usr/bin/env bash
# Runs Python with the clients of MQTT and of Kafka that a bridge between them needs (paho-mqtt, confluent-kafka):
#   scripts/services/mqtt-python.sh script.py ARGS...
set -euo pipefail
. "$(dirname "$0")/common.sh"
need mqtt-clients "$mqtt_clients_version"
exec "$mqtt_clients_venv/bin/python" "$@"
