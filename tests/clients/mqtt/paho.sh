#!/usr/bin/env bash
# paho_client.py with the paho-mqtt that scripts/services/install.sh installs: HOST PORT.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/../../../scripts/services/common.sh"
need mqtt-clients "$mqtt_clients_version"
exec timeout 240 "$mqtt_clients_venv/bin/python" "$here/paho_client.py" "$@"
