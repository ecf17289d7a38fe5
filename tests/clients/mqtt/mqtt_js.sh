#!/usr/bin/env bash
# mqtt_js.mjs with the MQTT.js that scripts/services/install.sh installs: HOST PORT, or a ws:// address.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/../../../scripts/services/common.sh"
need mqtt-clients "$mqtt_clients_version"
export NODE_PATH="$mqtt_clients_node/node_modules" PATH="$PATH:$node_venv/bin"
exec timeout 240 node --no-deprecation "$here/mqtt_js.mjs" "$@"
